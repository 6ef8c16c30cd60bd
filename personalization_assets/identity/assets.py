"""The tables of this room that Python builds; `identity.records` is a SQL model."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import dagster as dg
import pandera.polars as pa
import polars as pl

from personalization_assets.contracts import contract_of
from personalization_assets.errors import UserError
from personalization_assets.identity.blocklist import read_blocklist
from personalization_assets.identity.comparison import load_comparisons
from personalization_assets.identity.contracts import (
    Blocklist,
    Decisions,
    Descriptions,
    Evaluation,
    FormerIds,
    IdentityModel,
    Ledger,
    LinkRuns,
    Links,
    LinksStrict,
    Matches,
    ReviewQueue,
)
from personalization_assets.identity.decisions import read_decisions
from personalization_assets.identity.evaluation import evaluate
from personalization_assets.identity.gate import CHECKS as GATE
from personalization_assets.identity.gate import Figures, Totals, judge, measure
from personalization_assets.identity.workspace import beside, standing_decisions, workspace
from personalization_assets.tables import Run, table_asset
from personalization_assets.warehouse import Rows

if TYPE_CHECKING:
    import pyarrow

    from personalization_assets.identity.model import Model

RECORDS = "SELECT * FROM identity.records"
BLOCKLIST = "SELECT kind, value FROM identity.blocklist"

SAME_COLUMNS = {
    "account_key": "account_key",
    "given_name": "first_name",
    "family_name": "last_name",
    "email": "email",
    "phone": "phone",
    "birth_date": "dob",
    "street": "street",
    "postcode": "postcode",
    "city": "city",
    "device_id": "device",
}
"""Columns of `identity.records` and what becomes of them in `identity.descriptions`."""

PUBLISHED: dict[str, type[pa.DataFrameModel]] = {
    "links_before": Links,
    "matches_before": Matches,
    "ledger_before": Ledger,
    "review_before": ReviewQueue,
    "strict_before": LinksStrict,
    "former_before": FormerIds,
    "descriptions_before": Descriptions,
}
"""Tables that are published together, by the name that an incremental run knows them by."""

TOGETHER: list[type[pa.DataFrameModel]] = [*PUBLISHED.values(), LinkRuns]


@table_asset(contract=Decisions, kinds={"python", "csv"})
def decisions(run: Run) -> pl.DataFrame:
    """What `identity_decisions.csv` in the data folder says, if it is there."""
    return read_decisions(run.settings.data_dir / "identity_decisions.csv")


@table_asset(contract=Blocklist, kinds={"python", "csv"})
def blocklist(run: Run) -> pl.DataFrame:
    """What `identity_blocklist.csv` in the data folder says, if it is there."""
    return read_blocklist(run.settings.data_dir / "identity_blocklist.csv")


@table_asset(
    contract=IdentityModel,
    deps=["identity/records", "identity/blocklist"],
    kinds={"python", "splink"},
)
def model(run: Run) -> pl.DataFrame:
    """Train only when there is no model, or settings, columns or the shop's size have changed."""
    from personalization_assets.identity.descriptions import nodes_from
    from personalization_assets.identity.model import Model
    from personalization_assets.identity.normalise import more_columns, prepare
    from personalization_assets.identity.training import needs_training, signature, train

    settings = run.settings.identity
    comparisons = load_comparisons(run.settings.data_dir / "identity.yaml")
    before = (
        run.read("identity.model")
        if run.exists("identity.model")
        else contract_of(IdentityModel).empty()
    )
    current = [Model.from_json(t) for t in before.filter("is_current")["settings_json"]]
    if current and not settings.train_now and _much_as_before(run):
        # The last run's descriptions tell, and are there already.
        nodes = nodes_from("{db}.identity.descriptions", more_columns((), settings))
        with beside(run.con, {"nodes": nodes}) as work:
            sign = signature(work, comparisons, settings)
            if not needs_training(work, current[0], sign, settings):
                run.metadata(trained=False)
                return before.sort("trained_as_of", "model_version")
    tables = {
        "records": run.con.sql(RECORDS).to_arrow_table(),
        "blocklist": run.con.sql(BLOCKLIST).to_arrow_table(),
    }
    with workspace(tables, run.con) as work:
        prepare(work, settings, comparisons.roles)
        sign = signature(work, comparisons, settings)
        if (
            current
            and not settings.train_now
            and not needs_training(work, current[0], sign, settings)
        ):
            run.metadata(trained=False)
            return before.sort("trained_as_of", "model_version")
        run.progress("Learning how alike records of one person are")
        trained = train(work, comparisons, settings, sign)
    run.metadata(trained=True, records=trained.records)
    row = {
        "model_version": trained.version,
        "trained_as_of": run.as_of,
        "records": trained.records,
        "settings_json": trained.to_json(),
        "is_current": True,
        "notes": "; ".join(trained.notes),
    }
    after = pl.DataFrame([row], schema=contract_of(IdentityModel).schema)
    older = before.filter(pl.col("model_version") != trained.version)
    return pl.concat([older.with_columns(is_current=pl.lit(False)), after]).sort(
        "trained_as_of", "model_version"
    )


def _much_as_before(run: Run) -> bool:
    """Whether the records fill about the same columns as when they were described last.

    Within a factor of two: a column that comes up slowly is seen a run later.
    """
    if not run.exists("identity.descriptions"):
        return False
    counts = [
        run.con.sql(f"SELECT count(*), {', '.join(f'count({c})' for c in columns)} FROM {table}")
        for table, columns in (
            ("identity.records", SAME_COLUMNS.keys()),
            ("identity.descriptions", SAME_COLUMNS.values()),
        )
    ]
    now, then = (c.fetchall()[0] for c in counts)
    return all(a <= 2 * b and b <= 2 * a for a, b in zip(now, then, strict=True))


@table_asset(
    contract=TOGETHER,
    deps=["identity/records", "identity/model", "identity/decisions", "identity/blocklist"],
    kinds={"python", "splink"},
    gate=GATE,
)
def links(run: Run) -> Mapping[type[pa.DataFrameModel], Rows]:
    """Compare, cluster, carry ids over, write down what changed and judge it; all tables or none.

    Looks only at what has changed since the last run, if that can be told.
    """
    from personalization_assets.identity.incremental.baseline import setup_of, why_full
    from personalization_assets.identity.incremental.relinking import TooMuchError

    trained, settings = _current_model(run), run.settings.identity
    setup = setup_of(trained, settings)
    why = why_full(run.con, settings, trained, setup, [contract_of(m) for m in TOGETHER])
    if not why:
        try:
            return _what_changed(run, trained, setup)
        except TooMuchError as reached:
            why = str(reached)
    return _everything(run, trained, setup, why)


def _everything(
    run: Run, trained: "Model", setup: str, why: str
) -> Mapping[type[pa.DataFrameModel], Rows]:
    from personalization_assets.identity.descriptions import COLUMNS
    from personalization_assets.identity.incremental.baseline import digest_of
    from personalization_assets.identity.linking import areas, link, whole_ledger
    from personalization_assets.identity.matching import match_pairs, matches_table

    settings = run.settings.identity
    tables = {
        "records": run.con.sql(RECORDS).to_arrow_table(),
        "decisions": run.con.sql(standing_decisions("identity.decisions")).to_arrow_table(),
        "blocklist": run.con.sql(BLOCKLIST).to_arrow_table(),
        **{name: run.con.sql(sql).to_arrow_table() for name, sql in _before(run).items()},
    }
    run.progress(f"Comparing all records: {why}")
    with workspace(tables, run.con) as work:
        match_pairs(work, trained, settings, keep=True)
        matches = matches_table(work, trained.version)
        run.progress("Finding out who is who")
        linked = link(
            work,
            trained.share,
            trained.household.share if trained.household else None,
            settings,
            run.as_of,
            trained.version,
            new_model=trained.version not in _versions_before(run, trained.version),
        )
        figures = measure(work)
        _judge(run, figures)
        ledger = whole_ledger(work)
        areas(work, settings)
        descriptions = work.sql(
            f"""SELECT {", ".join(f"d.{c}" for c in COLUMNS)}, a.area, a.neighbourhood
            FROM descriptions AS d JOIN area_of AS a ON a.rid = d.number ORDER BY d.number"""
        ).to_arrow_table()
        work.register("now", linked.links)
        published = digest_of(work, "now")
    run.metadata(
        linked="full",
        review_items=linked.review_queue.num_rows,
        new_events=linked.events.num_rows,
    )
    log = _logged(
        run,
        figures.totals,
        mode="full",
        reason=why,
        changed=None,
        relinked=figures.records_now,
        setup=setup,
        published=published,
    )
    return {
        Links: linked.links,
        Matches: matches,
        Ledger: ledger,
        ReviewQueue: linked.review_queue,
        LinksStrict: linked.links_strict,
        FormerIds: linked.former_ids,
        Descriptions: descriptions,
        LinkRuns: log,
    }


def _what_changed(run: Run, trained: "Model", setup: str) -> Mapping[type[pa.DataFrameModel], Rows]:
    """The same for the records that changes can reach, as changes of the published tables."""
    from personalization_assets.identity.incremental.baseline import digest_after
    from personalization_assets.identity.incremental.changed import find_changed
    from personalization_assets.identity.incremental.relinking import TooMuchError, relink

    settings = run.settings.identity
    views = {
        "records": "SELECT * FROM {db}.identity.records",
        "decisions": standing_decisions("{db}.identity.decisions"),
        "blocklist": "SELECT kind, value FROM {db}.identity.blocklist",
        **{n: f"SELECT * FROM {{db}}.{contract_of(m).name}" for n, m in PUBLISHED.items()},
    }
    *totals, published = run.con.execute(
        "SELECT records, customers, largest, conflicting, published FROM identity.link_runs"
        " ORDER BY run DESC LIMIT 1"
    ).fetchall()[0]
    run.progress("Looking for what has changed")
    with beside(run.con, views) as work:
        changed = find_changed(work)
        records = work.sql("SELECT count(*) FROM records").fetchall()[0][0]
        if changed > settings.incremental_share * records:
            raise TooMuchError(
                f"{changed:,} of {records:,} records have changed, more than incremental_share"
            )
        run.progress(f"Comparing what {changed:,} changed records can reach")
        found = relink(work, trained, settings, run.as_of, Totals(*totals))
    _judge(run, found.figures)
    run.metadata(
        linked="incremental",
        changed_records=found.changed,
        relinked_records=found.relinked,
        new_events=found.ledger.fresh.num_rows,
    )
    log = _logged(
        run,
        found.figures.totals,
        mode="incremental",
        reason=None,
        changed=found.changed,
        relinked=found.relinked,
        setup=setup,
        published=digest_after(published, *found.moved),
    )
    return {
        Links: found.links,
        Matches: found.matches,
        Ledger: found.ledger,
        ReviewQueue: found.review_queue,
        LinksStrict: found.links_strict,
        FormerIds: found.former_ids,
        Descriptions: found.descriptions,
        LinkRuns: log,
    }


def _judge(run: Run, figures: Figures) -> None:
    verdicts, refusal = judge(figures, run.settings.identity, run.as_of)
    run.metadata(**{v.check: round(float(v.counts["value"]), 5) for v in verdicts if v.counts})
    run.judge(verdicts, refusal)


def _logged(run: Run, totals: Totals, **row: int | str | None) -> "pyarrow.Table":
    """All runs that published links so far, and this one."""
    columns = contract_of(LinkRuns).columns
    known = run.exists("identity.link_runs")
    before = "SELECT * FROM identity.link_runs UNION ALL BY NAME" if known else ""
    count = run.con.sql("SELECT count(*) FROM identity.link_runs").fetchall()[0][0] if known else 0
    this = {"run": count + 1, "as_of": run.as_of, **asdict(totals), **row}
    return run.con.sql(
        f"{before} SELECT {', '.join(f'?::{c.duckdb_type} AS {c.name}' for c in columns)}",
        params=[this[c.name] for c in columns],
    ).to_arrow_table()


def _before(run: Run) -> dict[str, str]:
    """SELECTs of what the run before published, by the name that `link` knows it by."""
    nothing = (
        "FROM (SELECT '' AS source, '' AS record_id, '' AS customer_id, '' AS linked_by) WHERE 1=0"
    )
    columns = "source, record_id, customer_id"
    return {
        "previous": f"SELECT {columns}, linked_by "
        + ("FROM identity.links" if run.exists("identity.links") else nothing),
        "former": f"SELECT {columns} "
        + ("FROM identity.former_ids" if run.exists("identity.former_ids") else nothing),
        "ledger": "SELECT * FROM identity.ledger"
        if run.exists("identity.ledger")
        else "SELECT "
        + ", ".join(f"NULL::{c.duckdb_type} AS {c.name}" for c in contract_of(Ledger).columns)
        + " WHERE 1=0",
    }


def _versions_before(run: Run, unknown: str) -> set[str]:
    """Versions of the model behind the published links; `unknown` where nothing says it."""
    if not run.exists("identity.links_strict"):
        return {unknown}
    rows = run.con.execute("SELECT DISTINCT model_version FROM identity.links_strict").fetchall()
    return {row[0] for row in rows} or {unknown}


@table_asset(contract=Evaluation, deps=["identity/links"], kinds={"python"})
def evaluation(run: Run) -> pl.DataFrame:
    """Compare with the truth file, if there is one; no other asset reads it."""
    path = run.settings.truth_file
    if not path.exists():
        return contract_of(Evaluation).empty()
    truth = pl.read_csv(path, infer_schema_length=0)
    missing = [c for c in ("source", "key", "person") if c not in truth.columns]
    if missing:
        raise UserError(f"{path.name} lacks the column(s) {', '.join(missing)}: add them.")
    result = evaluate(run.read("identity.links"), truth)
    run.metadata(**{str(m): round(float(v), 4) for m, v in result.iter_rows()})
    return result


def _current_model(run: Run) -> "Model":
    from personalization_assets.identity.model import Model

    rows = run.con.execute("SELECT settings_json FROM identity.model WHERE is_current").fetchall()
    if not rows:
        raise UserError("identity.model holds no current model: materialize identity/model first.")
    return Model.from_json(rows[0][0])


ASSETS: list[dg.AssetsDefinition] = [decisions, blocklist, model, links, evaluation]
