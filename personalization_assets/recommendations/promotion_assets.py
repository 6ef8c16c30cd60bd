"""The table of promotions, which training reads."""

import dagster as dg
import polars as pl

from personalization_assets.recommendations.promotion_contracts import Promotions
from personalization_assets.recommendations.promotions import FILE, read_promotions
from personalization_assets.tables import Run, table_asset


@table_asset(contract=Promotions, kinds={"python", "csv"})
def promotions(run: Run) -> pl.DataFrame:
    """What `model_promotions.csv` in the data folder says, if it is there."""
    return read_promotions(run.settings.data_dir / FILE)


ASSETS: list[dg.AssetsDefinition] = [promotions]
