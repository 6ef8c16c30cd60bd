"""Contract of the table where rejected rows wait."""

import pandera.polars as pa
import polars as pl

STATUSES = ["waiting", "released", "replayed", "discarded"]


class Quarantine(pa.DataFrameModel):
    """A row that broke its contract or repeats another one, as received, with the reasons.

    A `waiting` row is in no table. A `released` row is in its table because a person said that it
    is right as it is; a `replayed` row waited once, was judged again and is in its table. A
    `discarded` row repeats an accepted one, or a person said that nobody needs it (`decision_id`).
    Rows received = rows of the table + waiting + discarded.
    """

    table_name: str = pa.Field(description="Standardized table the row was meant for")
    source: str = pa.Field(description="Name of the source the row came from")
    batch_id: str = pa.Field(description="Version of the file the row was read from")
    row_key: str = pa.Field(description="Batch and row number within it")
    record_key: str = pa.Field(
        nullable=True,
        description="What the source calls the record: contact_id, order_id, event_id ...; null "
        "where the row has none",
    )
    payload: str = pa.Field(
        description="The row as received: JSON with the source's own column names, or the line "
        "itself where it is no row"
    )
    reasons: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]
        description="Rules the row broke, such as 'ordered_at.type', in alphabetical order; of a "
        "row that is in its table or was discarded by a person, those for which it waited"
    )
    contract_version: int = pa.Field(ge=1, description="Version of the contract that judged it")
    status: str = pa.Field(isin=STATUSES, description="waiting, released, replayed or discarded")
    first_seen_as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Run that first rejected the row (UTC)", metadata={"unit": "UTC"}
    )
    replayed_as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="Run or replay that judged the row again and admitted it (UTC)",
        metadata={"unit": "UTC"},
    )
    decision_id: str = pa.Field(
        nullable=True, description="Decision that binds the row, in quarantine_decisions.csv"
    )
    decided_by: str = pa.Field(nullable=True, description="Who decided")
    decided_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When (UTC)", metadata={"unit": "UTC"}
    )
    decision_reason: str = pa.Field(nullable=True, description="Why, in their words")

    class Config:
        """Facts about the table."""

        name = "quarantine"
        metadata = {
            "room": "standardized",
            "key": ["table_name", "source", "batch_id", "row_key"],
            "grain": "one row per received row that its table did not take, or took later",
            "version": 2,
            "owner": "team:crm",
            "pii": True,
            "warnings": [],
            "reject_limit": 0.0,
        }
