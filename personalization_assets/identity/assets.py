"""The tables of this room that Python builds; `identity.records` is a SQL model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import pandera.polars as pa
import polars as pl

from personalization_assets.contracts import contract_of
from personalization_assets.errors import UserError
from personalization_assets.identity.comparison import load_comparisons
from personalization_assets.identity.contracts import (
    Decisions,
    Evaluation,
    IdentityModel,
    Ledger,
    Links,
    Matches,
    ReviewQueue,
)
from personalization_assets.identity.decisions import read_decisions
from personalization_assets.identity.evaluation import evaluate
from personalization_assets.identity.workspace import standing_decisions, workspace
from personalization_assets.tables import Run, table_asset
from personalization_assets.warehouse import Rows

if TYPE_CHECKING:
    from personalization_assets.identity.model import Model

RECORDS = "SELECT * FROM identity.records"


@table_asset(contract=Decisions, kinds={"python", "csv"})
def decisions(run: Run) -> pl.DataFrame:
    """What `identity_decisions.csv` in the data folder says, if it is there."""
    return read_decisions(run.settings.data_dir / "identity_decisions.csv")


@table_asset(contract=IdentityModel, deps=["identity/records"], kinds={"python", "splink"})
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
    with workspace({"records": run.con.sql(RECORDS).to_arrow_table()}, run.con) as work:
        prepare(work, settings, tuple(comparisons.role_mailboxes.split()))
        sign = signature(work, comparisons, settings)
        current = [Model.from_json(t) for t in before.filter("is_current")["settings_json"]]
        if current and not needs_training(work, current[0], sign, settings):
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
    deps=["identity/records", "identity/model", "identity/decisions"],
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
    }
    with workspace(tables, run.con) as work:
        return match(work, trained, run.settings.identity)


@table_asset(
    contract=[Links, Ledger, ReviewQueue],
    deps=["identity/records", "identity/model", "identity/matches"],
    kinds={"python", "scipy"},
)
def links(run: Run) -> Mapping[type[pa.DataFrameModel], Rows]:
    """Cluster, carry ids over and write down what changed; all three tables or none."""
    from personalization_assets.identity.linking import link

    trained = _current_model(run)
    previous = (
        "SELECT source, record_id, customer_id FROM identity.links"
        if run.exists("identity.links")
        else "SELECT source, record_id, '' AS customer_id FROM identity.records WHERE false"
    )
    ledger = (
        run.con.sql("SELECT * FROM identity.ledger").to_arrow_table()
        if run.exists("identity.ledger")
        else contract_of(Ledger).empty().to_arrow()
    )
    tables = {
        "records": run.con.sql("SELECT source, record_id FROM identity.records").to_arrow_table(),
        "matches": run.con.sql("SELECT * FROM identity.matches").to_arrow_table(),
        "previous": run.con.sql(previous).to_arrow_table(),
        "ledger": ledger,
    }
    run.progress("Finding out who is who")
    with workspace(tables, run.con) as work:
        linked = link(
            work,
            trained.share,
            trained.household.share if trained.household else None,
            run.settings.identity,
            run.as_of,
        )
    run.metadata(review_items=linked.review_queue.num_rows, new_events=linked.new_events)
    return {Links: linked.links, Ledger: linked.ledger, ReviewQueue: linked.review_queue}


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


ASSETS: list[dg.AssetsDefinition] = [decisions, model, matches, links, evaluation]
