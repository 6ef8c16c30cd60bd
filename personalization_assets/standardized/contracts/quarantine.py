"""Contract of the table where rejected rows wait."""

import pandera.polars as pa
import polars as pl

STATUSES = ["waiting", "replayed", "discarded"]


class Quarantine(pa.DataFrameModel):
    """A row that broke its contract or repeats another one, as received, with the reasons.

    `waiting` rows can be replayed once repaired, `replayed` rows have been, `discarded` rows
    repeat a row that was accepted and need nothing from anybody.
    """

    table_name: str = pa.Field(description="Standardized table the row was meant for")
    source: str = pa.Field(description="Name of the source the row came from")
    batch_id: str = pa.Field(description="Version of the file the row was read from")
    row_key: str = pa.Field(description="Batch and row number within it")
    payload: str = pa.Field(
        description="The row as received: JSON with the source's own column names, or the line "
        "itself where it is no row"
    )
    reasons: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]
        description="Rules the row broke, such as 'ordered_at.type', in alphabetical order"
    )
    contract_version: int = pa.Field(ge=1, description="Version of the contract that judged it")
    status: str = pa.Field(isin=STATUSES, description="waiting, replayed or discarded")
    first_seen_as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Run that first rejected the row (UTC)", metadata={"unit": "UTC"}
    )

    class Config:
        """Facts about the table."""

        name = "quarantine"
        metadata = {
            "room": "standardized",
            "key": ["table_name", "source", "batch_id", "row_key"],
            "grain": "one row per rejected source row and table",
            "version": 1,
            "owner": "team:crm",
            "pii": True,
            "warnings": [],
            "reject_limit": 0.0,
        }
