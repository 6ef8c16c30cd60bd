"""The tables of this room that Python builds; the others are SQL models in `dbt_like_sql`."""

import dagster as dg
import polars as pl

from personalization_assets.feedback.contracts import Examination
from personalization_assets.tables import Run, table_asset


@table_asset(contract=Examination, deps=["feedback/recommendation_outcomes"])
def examination(run: Run) -> pl.DataFrame:
    """How often each place is looked at."""
    from personalization_assets.feedback import examination as model

    return model.examine(model.counts_of(run.con), run.settings.feedback)


ASSETS: list[dg.AssetsDefinition] = [examination]
