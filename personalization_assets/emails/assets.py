"""The room's assets: suppressions, audience, batches, deliveries."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import pandera.polars as pa

from personalization_assets.emails.contracts import (
    Audience,
    Batches,
    Deliveries,
    ShownProducts,
    Suppressions,
)
from personalization_assets.emails.links import load_signer
from personalization_assets.emails.suppression_list import read_list, suppress
from personalization_assets.errors import UserError
from personalization_assets.mailboxes import read_role_accounts
from personalization_assets.tables import Query, Run, table_asset
from personalization_assets.warehouse import FileQuery

if TYPE_CHECKING:
    from personalization_assets.emails.building import BatchReport


@table_asset(contract=Suppressions, deps=["emails/suppression_signals"], kinds={"python", "sql"})
def suppressions(run: Run) -> Query:
    """Signals of the mail provider, and the shop's own list."""
    from personalization_assets.emails.campaigns import load_campaigns

    listed = read_list(run.settings.data_dir / "suppressions.csv")
    campaigns = load_campaigns(run.settings.campaigns_dir)
    run.metadata(listed=listed.height)
    return Query(suppress(run.con, listed, campaigns))


@table_asset(
    contract=Audience,
    deps=[
        "profiles/golden_profiles",
        "emails/suppressions",
        "standardized/email_events",
        "standardized/preferences",
    ],
    kinds={"python", "sql"},
)
def audience(run: Run) -> Query:
    """A decision for every campaign and candidate."""
    from personalization_assets.emails.audience import decide
    from personalization_assets.emails.campaigns import load_campaigns

    campaigns = load_campaigns(run.settings.campaigns_dir)
    run.metadata(campaigns=len(campaigns))
    return Query(
        decide(
            run.con,
            campaigns,
            run.settings.emails,
            run.as_of,
            own_deliveries=run.exists("emails.deliveries"),
            role_accounts=read_role_accounts(run.settings.data_dir / "role_accounts.csv"),
        )
    )


@table_asset(
    contract=[Batches, ShownProducts],
    deps=[
        "emails/audience",
        "profiles/golden_profiles",
        "recommendations/top_products",
        "standardized/products",
        "standardized/orders",
        "standardized/order_lines",
    ],
    kinds={"python", "liquid"},
)
def batches(run: Run) -> Mapping[type[pa.DataFrameModel], Query]:
    """Render every `send` of the audience, and note what the mails recommend."""
    from personalization_assets.emails.brand import load_brand
    from personalization_assets.emails.building import compile_all, render_parts
    from personalization_assets.emails.campaigns import load_campaigns
    from personalization_assets.emails.checking.campaign import warnings_of
    from personalization_assets.emails.shown import prepare as no_places
    from personalization_assets.emails.storage import MailStore, select_mails

    settings = run.settings
    brand = load_brand(settings.data_dir / "brand.yaml")
    if brand.currency != settings.base_currency:
        raise UserError(
            f"{settings.data_dir / 'brand.yaml'}: currency is {brand.currency}, but prices are "
            f"kept in {settings.base_currency} (setting base_currency): make the two the same."
        )
    store = MailStore(settings.mails_dir)
    dropped = store.drop_bodies(run.as_of, settings.emails.keep_bodies_days)
    if dropped:
        run.log.info(
            "%d runs are older than %d days: the text of their mails was dropped",
            dropped,
            settings.emails.keep_bodies_days,
        )
    compiled = compile_all(
        run.con, load_campaigns(settings.campaigns_dir), brand, settings.emails, run.as_of
    )
    if not compiled:
        no_places(run.con)
        return {Batches: Query(_no_mails(run.as_of)), ShownProducts: _shown(run)}
    for warning in warnings_of(compiled):
        run.log.warning("%s", warning)
    signer = load_signer(settings.data_dir / ".secret" / "link_key")
    folder = store.begin(run.as_of)
    report = render_parts(run.con, compiled, signer, folder, run.progress)
    run.progress(f"rendered {report.total:,} e-mails of {len(report.rows)} campaigns")
    _say_what_is_slow(run, report)
    _judge_mails(run, select_mails(report.parts))
    done = store.finish(folder)
    mails = FileQuery(select_mails(done / part.name for part in report.parts))
    return {Batches: mails, ShownProducts: _shown(run)}


def _shown(run: Run) -> Query:
    from personalization_assets.emails.shown import shown

    return shown(
        run.as_of,
        run.settings.emails.shown_products_days,
        earlier=run.exists("emails.shown_products"),
        delivered=run.exists("emails.deliveries"),
    )


def _say_what_is_slow(run: Run, report: "BatchReport") -> None:
    """Templates, or mails, that had to be rendered the long way."""
    for (campaign, variant, part), template in sorted(report.templates.items()):
        for advice in template.advice:
            run.log.info("%s, variant %s, %s: %s", campaign, variant, part, advice)
    sent_back = sum(template.sent_back for template in report.templates.values())
    run.metadata(parts_rendered_by_python_liquid=sent_back)


def _judge_mails(run: Run, mails: str) -> None:
    """Count what was rendered; warn of mails that Gmail cuts.

    Raises:
        UserError: too many mails failed.
    """
    settings = run.settings.emails
    counts = dict(
        run.con.execute(f"SELECT status, count(*) FROM ({mails}) GROUP BY 1 ORDER BY 1").fetchall()
    )
    failed, total = counts.get("error", 0), sum(counts.values())
    reasons = run.con.execute(
        f"SELECT campaign, reason, count(*) FROM ({mails}) WHERE status = 'error'"
        " GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT 3"
    ).fetchall()
    for campaign, reason, number in reasons:
        run.log.warning("%s: %d mails could not be rendered: %s", campaign, number, reason)
    if total and failed / total > settings.max_error_share:
        raise UserError(
            f"{failed:,} of {total:,} mails could not be rendered, above the limit of "
            f"{settings.max_error_share:.0%} (setting emails.max_error_share); most often "
            f"{reasons[0][1]} in campaign {reasons[0][0]}: correct the template and run again."
        )
    large = run.con.execute(
        f"SELECT campaign, count(*), max(bytes) FROM ({mails}) WHERE bytes > ?"
        " GROUP BY 1 ORDER BY 1",
        [settings.clip_bytes],
    ).fetchall()
    for campaign, number, size in large:
        run.log.warning(
            "%s: %d mails are above %d KB (largest %d KB); Gmail cuts them: show fewer products",
            campaign,
            number,
            settings.clip_bytes // 1024,
            size // 1024,
        )
    run.metadata(**{f"mails_{status}": number for status, number in counts.items()})


@table_asset(
    contract=Deliveries, deps=["emails/batches", "emails/audience"], kinds={"python", "parquet"}
)
def deliveries(run: Run) -> Query:
    """Write the rendered mails to files, or learn what the mail server was given; remember all."""
    from personalization_assets.emails.delivery.pruning import midnight_before, prune_journal
    from personalization_assets.emails.handover import hand_over

    delivery = run.settings.emails.delivery
    forgotten = midnight_before(run.as_of, delivery.keep_journal_days)
    pruned = prune_journal(run.con, run.settings.mails_dir, forgotten)
    if pruned is None:
        run.log.info("mails are going out, so the next run prunes their journal")
    elif pruned:
        run.log.info(
            "%d mails of runs before %s were taken from the journal of sent mails",
            pruned,
            forgotten.date(),
        )
        run.metadata(taken_from_journal=pruned)
    sql, counts = hand_over(
        run.con,
        run.settings.exports_dir,
        earlier=run.exists("emails.deliveries"),
        channel=delivery.channel,
        journal=run.settings.mails_dir,
        expire_hours=delivery.expire_hours,
    )
    run.metadata(**{f"handed_over_{name}": number for name, number in counts.items()})
    return Query(sql)


def _no_mails(as_of: datetime) -> str:
    """An empty batch of the right shape."""
    from personalization_assets.contracts import contract_of

    columns = ", ".join(
        f'NULL::{c.duckdb_type} AS "{c.name}"' for c in contract_of(Batches).columns
    )
    return f"SELECT * FROM (SELECT {columns}) WHERE false"


ASSETS = [suppressions, audience, batches, deliveries]
