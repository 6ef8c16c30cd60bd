"""Contract of the table of promotions."""

from typing import ClassVar

import pandera.polars as pa
import polars as pl

from personalization_assets.recommendations.contracts import KEEPER


class Promotions(pa.DataFrameModel):
    """Versions of the model that people promoted, from model_promotions.csv.

    While one holds, lists are made with it; new versions are trained and judged meanwhile and wait.
    """

    promotion_id: str = pa.Field(description="Id of the promotion, chosen by who wrote it")
    model_version: str = pa.Field(str_matches=r"^[0-9a-f]{12}$", description="Version in als_model")
    author: str = pa.Field(nullable=True, description="Who promoted it")
    promoted_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When", metadata={"unit": "UTC"}
    )
    reason: str = pa.Field(nullable=True, description="Why, in words")
    withdrawn_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="When it was withdrawn or another took its place",
        metadata={"unit": "UTC"},
    )
    holds: bool = pa.Field(description="Whether it binds: the latest that is not withdrawn")

    class Config:
        """Where the table is and what a row is."""

        name = "promotions"
        metadata: ClassVar = {
            **KEEPER,
            "key": ["promotion_id"],
            "grain": "one row per promotion",
        }
