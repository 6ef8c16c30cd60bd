"""The tables of this room that Python builds; the others are SQL models in `dbt_like_sql`."""

from collections.abc import Mapping

import dagster as dg
import pandera.polars as pa
import polars as pl

from personalization_assets.contracts import contract_of
from personalization_assets.recommendations.contracts import (
    AlsFactors,
    AlsModel,
    Evaluation,
    TrainingData,
    Trials,
)
from personalization_assets.sql_models import read_sql_model
from personalization_assets.tables import Run, table_asset


@table_asset(
    contract=[AlsModel, AlsFactors, Evaluation, Trials, TrainingData],
    deps=[
        "recommendations/activity",
        "recommendations/interactions",
        "recommendations/catalogue",
        "recommendations/promotions",
    ],
    kinds={"python", "scikitlearn"},
)
def als_model(run: Run) -> Mapping[type[pa.DataFrameModel], pl.DataFrame]:
    """Train a version where settings or activity are new, and let the gate decide about it."""
    from personalization_assets.recommendations import promotions, training

    before = training.Records(
        _standing(run, AlsModel),
        _standing(run, AlsFactors),
        _standing(run, Evaluation),
        _standing(run, Trials),
        _standing(run, TrainingData),
    )
    after = training.train_version(
        run.con,
        _interactions_statement(run),
        run.as_of,
        run.settings.recommendations,
        run.settings.seed,
        run.settings.threads,
        before,
        promotions.promoted_version(run.read("recommendations.promotions")),
        _wanted(run),
        run.progress,
    )
    run.metadata(
        versions=after.models.height, new_versions=after.models.height - before.models.height
    )
    return {
        AlsModel: after.models,
        AlsFactors: after.factors,
        Evaluation: after.evaluation,
        Trials: after.trials,
        TrainingData: after.data,
    }


def _wanted(run: Run) -> bool:
    """Whether new activity is to be trained on.

    The signals are those of the run before: what came of mails is known after the lists are made.
    Only those about the version that is current count: another may have been promoted since.
    """
    if run.settings.recommendations.retrain == "nightly":
        return True
    if not run.exists("feedback.retraining_signals"):
        return True
    due = run.con.sql(
        "SELECT count(*) FROM feedback.retraining_signals"
        " SEMI JOIN (SELECT model_version FROM recommendations.als_model WHERE is_current)"
        " USING (model_version) WHERE is_due"
    ).fetchall()
    return bool(due[0][0])


def _standing(run: Run, model: type[pa.DataFrameModel]) -> pl.DataFrame:
    """A table of ours as it stands: it grows from version to version.

    Versions that an earlier release recorded with other columns can't be read back: they are left
    out, and the next training is the first again.
    """
    contract = contract_of(model)
    if not run.exists(contract.name):
        return contract.empty()
    standing = run.read(contract.name)
    if set(standing.columns) != {column.name for column in contract.columns}:
        run.progress(f"{contract.name} is of an earlier release: its versions are left out")
        return contract.empty()
    return contract.conform(standing)


def _interactions_statement(run: Run) -> str:
    path = run.settings.sql_models / "recommendations" / "interactions.sql"
    return read_sql_model(path).sql


ASSETS: list[dg.AssetsDefinition] = [als_model]
