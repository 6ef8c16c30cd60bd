"""Contracts of the tables that Python builds here; those of SQL models are in their headers."""

from typing import ClassVar

import pandera.polars as pa


class Examination(pa.DataFrameModel):
    """How often each place of a mail's recommendations is looked at, compared with the first: what
    click rates are divided by, so that a product is not blamed for standing low."""

    position: int = pa.Field(ge=1, description="Place in the mail, 1 first")
    shown: int = pa.Field(ge=0, description="Places that count", metadata={"unit": "count"})
    clicked: int = pa.Field(ge=0, description="Of these, clicked", metadata={"unit": "count"})
    examination: float = pa.Field(
        gt=0, description="Looked at so often as the first place is; 1 for the first"
    )
    prior: float = pa.Field(gt=0, description="What it would be without data")
    evidence: float = pa.Field(
        ge=0, le=1, description="How much of the estimate the data say; the prior says the rest"
    )

    class Config:
        """Where the table is and what a row is."""

        name = "examination"
        metadata: ClassVar = {
            "room": "feedback",
            "owner": "team:crm",
            "version": 1,
            "key": ["position"],
            "grain": "one row per place",
        }
