"""The tables of this room that Python builds; `identity.records` is a SQL model."""

from collections.abc import Mapping
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
    Evaluation,
    FormerIds,
    IdentityModel,
    Ledger,
    Links,
    LinksStrict,
    Matches,
    ReviewQueue,
)
from personalization_assets.identity.decisions import read_decisions
from personalization_assets.identity.evaluation import evaluate
from personalization_assets.identity.gate import CHECKS as GATE
from personalization_assets.identity.gate import judge, measure
from personalization_assets.identity.workspace import standing_decisions, workspace
from personalization_assets.tables import Run, table_asset
from personalization_assets.warehouse import Rows

if TYPE_CHECKING:
    from personalization_assets.identity.model import Model

RECORDS = "SELECT * FROM identity.records"
BLOCKLIST = "SELECT kind, value FROM identity.blocklist"


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
    from personalization_assets.identity.model import Model
    from personalization_assets.identity.normalise import prepare
    from personalization_assets.identity.training import needs_training, signature, train

    settings = run.settings.identity
    comparisons = load_comparisons(run.settings.data_dir / "identity.yaml")
    before = (
        run.read("identity.model")
        if run.exists("identity.model")
        else contract_of(IdentityModel).empty()
    )
    tables = {
        "records": run.con.sql(RECORDS).to_arrow_table(),
        "blocklist": run.con.sql(BLOCKLIST).to_arrow_table(),
    }
    with workspace(tables, run.con) as work:
        prepare(work, settings, tuple(comparisons.role_mailboxes.split()))
        sign = signature(work, comparisons, settings)
        current = [Model.from_json(t) for t in before.filter("is_current")["settings_json"]]
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


@table_asset(
    contract=Matches,
    deps=["identity/records", "identity/model", "identity/decisions", "identity/blocklist"],
    kinds={"python", "splink"},
)
def matches(run: Run) -> Rows:
    """Score what could be one person under the current model."""
    from personalization_assets.identity.matching import match

    trained = _current_model(run)
    run.progress("Comparing records")
    tables = {
        "records": run.con.sql(RECORDS).to_arrow_table(),
        "decisions": run.con.sql(standing_decisions("identity.decisions")).to_arrow_table(),
        "blocklist": run.con.sql(BLOCKLIST).to_arrow_table(),
    }
    with workspace(tables, run.con) as work:
        return match(work, trained, run.settings.identity)


@table_asset(
    contract=[Links, Ledger, ReviewQueue, LinksStrict, FormerIds],
    deps=["identity/records", "identity/model", "identity/matches"],
    kinds={"python", "scipy"},
    gate=GATE,
)
def links(run: Run) -> Mapping[type[pa.DataFrameModel], Rows]:
    """Cluster, carry ids over, write down what changed and judge it; all tables or none."""
    from personalization_assets.identity.linking import link

    trained = _current_model(run)
    before = _before(run)
    tables = {
        "records": run.con.sql("SELECT source, record_id FROM identity.records").to_arrow_table(),
        "matches": run.con.sql("SELECT * FROM identity.matches").to_arrow_table(),
        "names": run.con.sql(
            "SELECT source, record_id, given_name, family_name FROM identity.records"
        ).to_arrow_table(),
        **{name: run.con.sql(sql).to_arrow_table() for name, sql in before.items()},
    }
    run.progress("Finding out who is who")
    with workspace(tables, run.con) as work:
        linked = link(
            work,
            trained.share,
            trained.household.share if trained.household else None,
            run.settings.identity,
            run.as_of,
            trained.version,
            new_model=trained.version not in _versions_before(run, trained.version),
        )
        verdicts, refusal = judge(measure(work), run.settings.identity, run.as_of)
    run.metadata(
        review_items=linked.review_queue.num_rows,
        new_events=linked.new_events,
        **{v.check: round(float(v.counts["value"]), 5) for v in verdicts if v.counts},
    )
    run.judge(verdicts, refusal)
    return {
        Links: linked.links,
        Ledger: linked.ledger,
        ReviewQueue: linked.review_queue,
        LinksStrict: linked.links_strict,
        FormerIds: linked.former_ids,
    }


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


ASSETS: list[dg.AssetsDefinition] = [decisions, blocklist, model, matches, links, evaluation]
