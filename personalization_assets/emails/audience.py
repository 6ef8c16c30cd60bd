"""Who gets which mail, and why not: one decision per campaign and candidate, in SQL.

Rules, in this order; the first that applies decides:

1. no_consent: a promotional mail needs consent to e-mail marketing, and a campaign may need
   consent to personalisation;
2. no_address: there is no address that mail can go to;
3. suppressed: the address bounced, complained, unsubscribed (from everything or from the campaign's
   list), rests after soft bounces, or is on the shop's own list; or it is a role account (info@)
   that has not agreed itself in the preference centre. A transactional mail is stopped by hard
   bounces and the shop's list only;
4. holdout of all promotional mail (rule global_holdout): people left out of everything, to measure
   what mail brings at all. They take no place from anybody;
5. capped: the same mail went out lately, another person of this run has the same address, or the
   window is full: past deliveries first, then the campaigns of this run by priority;
6. holdout of the campaign: left out on purpose, to measure what the mail brings. Drawn among those
   who would have got it, and the place goes to the next campaign: what these people get is what
   they would get if the campaign did not exist;
7. send.

Windows are local calendar days of the person, and end on the day of sending (`send_at`): a window
of 7 days ending on a Tuesday holds the mails since Wednesday 0:00. A mail of last Tuesday is
outside it, so a weekly mail can go out on the same weekday at whatever hour; one of 23:30 yesterday
counts to yesterday; days of 23 or 25 hours count as days. Mails that wait (decided by an earlier
run, to be sent today or tomorrow) count like mails that are sent, and so do those to an address
that the person had before. Mails that an earlier run of the same UTC day handed over stand: they
are decided again as `send` before all others, and are not handed over twice.

A promotional mail leaves at the person's best hour, kept between the hours allowed, today or
tomorrow, whichever comes first; nothing is dropped for the hour's sake. A mail that no cap counts
leaves at once.

Arms are drawn by hash of `customer_id` and the campaign's name (or its `experiment`), never by day
or chance: a person keeps the arm. Raising a holdout keeps whom it held out. Variants are drawn by
weighted rendezvous hashing (Thaler and Ravishankar 1998; weights as in Schindelhauer and Schomaker
2005): adding a variant moves only those who go to it, as long as the others keep their proportions.
When two customers turn out to be one person, the id that survives decides; a person split off gets
a new id and with it a new draw.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from personalization_assets.emails import decision_sql
from personalization_assets.emails.campaigns import Campaign, CampaignError
from personalization_assets.emails.problems import did_you_mean, yaml_line
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.suppression_list import register_tables, suppression_of
from personalization_assets.errors import UserError
from personalization_assets.mailboxes import packaged_mailboxes
from personalization_assets.sql_text import quoted

EMAIL_SHAPE = r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]{2,}"

LEVELS = ("high", "medium", "low", "dormant", "new")


def stable_share(text: str) -> str:
    """SQL for a number in [0, 1) that only depends on a text."""
    return f"(('0x' || substr(md5({text}), 1, 8))::BIGINT / 4294967296.0)"


def check_audience(con: duckdb.DuckDBPyConnection, campaign: Campaign) -> None:
    """Ask the database whether a campaign's audience fits golden_profiles.

    Raises:
        CampaignError: it does not: a column that is not there, or types that do not fit.
    """
    try:
        con.execute(f"EXPLAIN {_candidates_sql(campaign)}").fetchall()
    except duckdb.Error as error:
        text = str(error)
        columns = [
            row[0] for row in con.execute("DESCRIBE profiles.golden_profiles").fetchall()
        ] + ["as_of"]
        if 'Referenced column "' in text:
            word = text.split('Referenced column "')[1].split('"')[0]
            hint = did_you_mean(word, columns).rstrip("?")
            if word[:1] in "“”„‘’‚«»":
                hint = "; write texts in straight single quotes, as in city = 'Rome'"
            problem = f"golden_profiles has no column {word!r}{hint}"
        else:
            problem = text.splitlines()[0].split(": ", 1)[-1].rstrip(".")
        path = campaign.folder / "campaign.yaml"
        written = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
        line = yaml_line(written, ("audience",))
        raise CampaignError(path, [(line, f"audience: {problem}")]) from error


def _candidates_sql(campaign: Campaign) -> str:
    return f"""
        SELECT '{campaign.name}' AS campaign, _row AS person FROM (
            SELECT *, rowid AS _row, getvariable('as_of')::TIMESTAMP AS as_of
            FROM profiles.golden_profiles
        ) WHERE ({campaign.file.audience}
        )"""


def decide(
    con: duckdb.DuckDBPyConnection,
    campaigns: Sequence[Campaign],
    settings: EmailsSettings,
    as_of: datetime,
    *,
    own_deliveries: bool = False,
    role_accounts: Sequence[str] | None = None,
) -> str:
    """The SELECT of emails.audience; needs the connection's variable `as_of`.

    `own_deliveries` counts mails in emails.deliveries of earlier runs, beside those that the mail
    provider reported. `role_accounts` are mailbox names of tasks; default: the packaged list.
    Registers small tables of campaigns, variants and caps on the connection.

    Raises:
        UserError: a campaign's audience names a column that does not exist, or the default time
            zone is none.
    """
    due = [c for c in campaigns if c.due(as_of.weekday())]
    for campaign in campaigns:
        check_audience(con, campaign)
    _check_zone(con, settings.default_time_zone)
    if settings.mail_role_accounts:
        role_accounts = []
    elif role_accounts is None:
        role_accounts = sorted(packaged_mailboxes().roles)
    register_tables(con, _small_tables(campaigns, due, settings, role_accounts))
    candidates = " UNION ALL ".join(_candidates_sql(c) for c in due) or (
        "SELECT ''::VARCHAR AS campaign, 0::BIGINT AS person WHERE false"
    )
    salt = quoted(f"{settings.global_holdout_salt}|")
    decisions = decision_sql.DECISIONS.format(
        email_shape=EMAIL_SHAPE,
        global_holdout=settings.global_holdout,
        global_hash=stable_share(f"{salt} || p.customer_id || '|global'"),
        holdout_hash=stable_share("k.salt || '|' || p.customer_id || '|holdout'"),
        variant=_variant_sql(),
        suppression=suppression_of("k.kind", "k.mailing_list"),
    )
    before = _before(campaigns, settings, own_deliveries)
    return f"WITH candidates AS MATERIALIZED ({candidates}),\n{before},\n{decisions}"


def counted_mails(
    con: duckdb.DuckDBPyConnection,
    campaigns: Sequence[Campaign],
    settings: EmailsSettings,
    customer_id: str,
    *,
    own_deliveries: bool = False,
) -> list[tuple[str, datetime]]:
    """Past mails in the person's window, as a campaign's name and a time (UTC), the newest first.

    Counts as `decide` does, on the same connection and with its variable `as_of`, for a mail that
    leaves at the person's next hour.
    """
    register_tables(con, _small_tables(campaigns, campaigns, settings, []))
    rows = con.execute(
        f"""
        WITH {_before(campaigns, settings, own_deliveries, "p.customer_id = $id")}
        SELECT coalesce(s.campaign, 'unnamed'), s.sent_at
        FROM seen s JOIN starts b ON b.clock = s.clock AND b.days = s.days
        WHERE s.capped AND s.sent_at >= b.begins ORDER BY 2 DESC, 1
        """,
        {"id": customer_id},
    ).fetchall()
    return [(str(campaign), at) for campaign, at in rows]


def _before(
    campaigns: Sequence[Campaign],
    settings: EmailsSettings,
    own_deliveries: bool,
    who: str = "p.rowid IN (SELECT person FROM candidates)",
) -> str:
    """The first two parts of the WITH: people and past mails."""
    longest = max(
        [settings.window_days, settings.window_days_dormant]
        + [c.file.again_after_days for c in campaigns]
    )
    horizon = longest + 2  # local days begin up to a day earlier than those of UTC
    people = decision_sql.PEOPLE.format(
        who=who,
        zone=settings.default_time_zone,
        default_hour=settings.default_hour,
        earliest=settings.earliest_hour,
        latest=settings.latest_hour,
    )
    own = decision_sql.OWN if own_deliveries else decision_sql.NO_OWN
    mails = decision_sql.MAILS.format(own=own.format(horizon=horizon), horizon=horizon)
    return f"{people},\n{mails}"


def _variant_sql() -> str:
    """SQL for the arm of a person: of all variants the one with the smallest -ln(hash) / share."""
    share = stable_share("k.salt || '|' || p.customer_id || '|variant|' || a.name")
    # The hash may be 0, of which there is no logarithm; 2^-33 is below every other value.
    return (
        f"list_reduce(list_transform(v.arms, lambda a: "
        f"{{'score': -ln(greatest({share}, pow(2, -33))) / a.share, 'name': a.name}}), "
        f"lambda x, y: CASE WHEN y.score < x.score THEN y ELSE x END).name"
    )


def _check_zone(con: duckdb.DuckDBPyConnection, zone: str) -> None:
    names = [str(row[0]) for row in con.execute("SELECT name FROM pg_timezone_names()").fetchall()]
    if zone not in names:
        raise UserError(
            f"setting emails.default_time_zone: {zone!r} is not a time zone"
            f"{did_you_mean(zone, names) or ', write it like Europe/Dublin.'}"
        )


def _small_tables(
    campaigns: Sequence[Campaign],
    due: Sequence[Campaign],
    settings: EmailsSettings,
    role_accounts: Sequence[str],
) -> Mapping[str, pl.DataFrame]:
    """What the SQL reads beside the warehouse: rows instead of long conditions."""
    arms = pl.List(pl.Struct({"name": pl.String, "share": pl.Float64}))
    windows = [
        settings.window_days_dormant if level == "dormant" else settings.window_days
        for level in LEVELS
    ]
    days = {*windows, *(c.file.again_after_days for c in campaigns)} - {0}
    return {
        "mail_campaigns": _frame(
            [
                {
                    "campaign": c.name,
                    "kind": c.file.kind,
                    "priority": c.file.priority,
                    "capped": c.capped,
                    "again": c.file.again_after_days,
                    "holdout": c.file.holdout,
                    "personal": c.file.needs_personalisation,
                    "mailing_list": (c.file.mailing_list if c.file.kind == "promotional" else None),
                    "salt": c.file.experiment or c.name,
                }
                for c in due
            ],
            campaign=pl.String,
            kind=pl.String,
            priority=pl.Int64,
            capped=pl.Boolean,
            again=pl.Int64,
            holdout=pl.Float64,
            personal=pl.Boolean,
            mailing_list=pl.String,
            salt=pl.String,
        ),
        "mail_variants": _frame(
            [
                {
                    "campaign": c.name,
                    "only_variant": c.file.variants[0].name if len(c.file.variants) == 1 else None,
                    # In order of names: the order in the file must not matter, even for a tie.
                    "arms": [
                        {"name": v.name, "share": v.share}
                        for v in sorted(c.file.variants, key=lambda v: v.name)
                    ],
                }
                for c in due
            ],
            campaign=pl.String,
            only_variant=pl.String,
            arms=arms,
        ),
        # What events and deliveries may call a campaign: its name or its UTM tag.
        "mail_labels": _frame(
            [
                {
                    "label": label,
                    "campaign": c.name,
                    "capped": c.capped,
                    "again": c.file.again_after_days,
                }
                for c in campaigns
                for label in sorted({c.name, c.file.utm.campaign or c.name})
            ],
            label=pl.String,
            campaign=pl.String,
            capped=pl.Boolean,
            again=pl.Int64,
        ),
        "mail_caps": _frame(
            [
                {"level": level, "cap": getattr(settings, f"cap_{level}"), "days": length}
                for level, length in zip(LEVELS, windows, strict=True)
            ],
            level=pl.String,
            cap=pl.Int64,
            days=pl.Int64,
        ),
        "mail_days": _frame([{"days": n} for n in sorted(days)], days=pl.Int64),
        "mail_uncapped": _frame(
            [{"pattern": pattern} for pattern in settings.uncapped_mails], pattern=pl.String
        ),
        "mail_roles": _frame([{"name": name} for name in role_accounts], name=pl.String),
    }


def _frame(rows: list[dict[str, Any]], **schema: Any) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema)
