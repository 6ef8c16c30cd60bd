"""Contracts of the audits room."""

from typing import ClassVar

import pandera.polars as pa
import polars as pl

from personalization_assets.audits.settings import MEASURES

MOMENT = pl.Datetime("us")


class Runs(pa.DataFrameModel):
    """How many rows every table had after each run, and whether its content changed."""

    table_name: str = pa.Field(description="Table as room.table")
    as_of: MOMENT = pa.Field(description="Time of the run (UTC)")  # type: ignore[valid-type]
    room: str = pa.Field(description="Room of the table")
    rows: int = pa.Field(ge=0, description="Rows after the run")
    column_count: int = pa.Field(ge=1, description="Columns after the run")
    content_hash: str = pa.Field(description="Fingerprint of all rows, whatever their order")
    changed: bool = pa.Field(
        description="Whether the content differs from the run before; true for the first"
    )
    rows_before: int = pa.Field(
        nullable=True, ge=0, description="Rows after the run before; empty for the first"
    )

    class Config:
        """What the table is."""

        name = "runs"
        metadata: ClassVar[dict[str, object]] = {
            "room": "audits",
            "key": ["table_name", "as_of"],
            "grain": "one row per table and run",
            "version": 1,
            "owner": "team:data",
        }


class TableProfiles(pa.DataFrameModel):
    """What every column of the profiled rooms looks like in numbers, beside its reference.

    The reference is an earlier profile of the same column; `drift` compares the two. Bins hold
    counts: of labels, of numbers on a logarithmic scale, of moments by age in days (logarithmic),
    by day since 1970 and by hour of day. Personal columns have counts only.
    """

    table_name: str = pa.Field(description="Table as room.table")
    column_name: str = pa.Field(description="Column of the table")
    position: int = pa.Field(ge=1, description="Place of the column in the table, from 1")
    data_type: str = pa.Field(description="Type in DuckDB")
    kind: str = pa.Field(
        isin=["number", "time", "label", "counted"],
        description="How the column is binned; `counted` is not",
    )
    rows: int = pa.Field(ge=0, description="Rows of the table")
    nulls: int = pa.Field(ge=0, description="Rows where the column is empty")
    distinct_values: int = pa.Field(
        nullable=True, ge=0, description="Different values, counted exactly; empty for nested types"
    )
    minimum: float = pa.Field(nullable=True, description="Smallest number")
    median: float = pa.Field(nullable=True, description="Middle number (the lower of two)")
    maximum: float = pa.Field(nullable=True, description="Largest number")
    earliest: MOMENT = pa.Field(nullable=True, description="Earliest moment (UTC)")  # type: ignore[valid-type]
    latest: MOMENT = pa.Field(nullable=True, description="Latest moment (UTC)")  # type: ignore[valid-type]
    lag_hours: float = pa.Field(
        nullable=True, ge=0, description="Age of the newest moment that is not in the future"
    )
    usual_lag_hours: float = pa.Field(
        nullable=True, ge=0, description="Lag that nine in ten of the runs before stayed within"
    )
    bins: str = pa.Field(
        nullable=True,
        description="JSON object, bin -> rows; of moments, three of them: age, day, hour",
    )
    as_of: MOMENT = pa.Field(description="Time of the run that took this profile (UTC)")  # type: ignore[valid-type]
    reference_as_of: MOMENT = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="Time of the run that took the reference (UTC)"
    )
    reference_rows: int = pa.Field(nullable=True, ge=0, description="Rows of the reference")
    reference_nulls: int = pa.Field(nullable=True, ge=0, description="Nulls of the reference")
    reference_distinct_values: int = pa.Field(
        nullable=True, ge=0, description="Different values of the reference"
    )
    reference_median: float = pa.Field(nullable=True, description="Median of the reference")
    reference_bins: str = pa.Field(nullable=True, description="Bins of the reference")

    class Config:
        """What the table is."""

        name = "table_profiles"
        metadata: ClassVar[dict[str, object]] = {
            "room": "audits",
            "key": ["table_name", "column_name"],
            "grain": "one row per column of a profiled table",
            "version": 2,
            "owner": "team:data",
        }


class ColumnHistory(pa.DataFrameModel):
    """What every profiled column was like run by run: the numbers that trends are made of."""

    table_name: str = pa.Field(description="Table as room.table")
    column_name: str = pa.Field(description="Column of the table")
    as_of: MOMENT = pa.Field(description="Time of the run (UTC)")  # type: ignore[valid-type]
    rows: int = pa.Field(ge=0, description="Rows of the table")
    nulls: int = pa.Field(ge=0, description="Rows where the column is empty")
    distinct_values: int = pa.Field(
        nullable=True, ge=0, description="Different values, counted exactly; empty for nested types"
    )
    median: float = pa.Field(nullable=True, description="Middle number (the lower of two)")
    lag_hours: float = pa.Field(
        nullable=True, ge=0, description="Age of the newest moment that is not in the future"
    )

    class Config:
        """What the table is."""

        name = "column_history"
        metadata: ClassVar[dict[str, object]] = {
            "room": "audits",
            "key": ["table_name", "column_name", "as_of"],
            "grain": "one row per column of a profiled table and run",
            "version": 1,
            "owner": "team:data",
        }


class Drift(pa.DataFrameModel):
    """How far a column, or a table as a whole, has moved from its reference.

    `level` is warn or fail where the value reaches the limit and also what chance alone brings in
    samples of this size; on a large table the smallest change is significant, so the limit is an
    effect size. Empty on the first run, when there is no reference. Words may name labels of
    columns that are not personal.
    """

    table_name: str = pa.Field(description="Table as room.table")
    column_name: str = pa.Field(description="Column of the table; `*` for the table as a whole")
    measure: str = pa.Field(
        isin=list(MEASURES),
        description="psi: population stability index; js: Jensen-Shannon distance (base 2); ks: "
        "Kolmogorov-Smirnov distance; nulls: Cohen's h of the shares of empty values; rows and "
        "distinct: change of the number of rows or of different values, as a share; new_labels and "
        "vanished_labels: share of rows of the most frequent label that only one side has; range: "
        "share of rows outside the reference's range; hours: Jensen-Shannon distance of the hours "
        "of day; late: hours that data is older than usual",
    )
    value: float = pa.Field(ge=0, description="The measure; 0 is no change")
    by_chance: float = pa.Field(
        ge=0, description="What the value stays under where nothing changed, on all but few nights"
    )
    warn_at: float = pa.Field(gt=0, description="From here on the level is warn")
    fail_at: float = pa.Field(gt=0, description="From here on the level is fail")
    level: str = pa.Field(isin=["ok", "warn", "fail"], description="What to make of it")
    words: str = pa.Field(description="What was compared, in words")
    rows: int = pa.Field(ge=0, description="Rows now")
    reference_rows: int = pa.Field(ge=0, description="Rows of the reference")
    as_of: MOMENT = pa.Field(description="Time of the run compared (UTC)")  # type: ignore[valid-type]
    reference_as_of: MOMENT = pa.Field(  # type: ignore[valid-type]
        description="Time of the run it is compared with (UTC)"
    )

    class Config:
        """What the table is."""

        name = "drift"
        metadata: ClassVar[dict[str, object]] = {
            "room": "audits",
            "key": ["table_name", "column_name", "measure"],
            "grain": "one row per measure of a column that has a reference",
            "version": 2,
            "owner": "team:data",
        }


class SchemaVersions(pa.DataFrameModel):
    """The shapes that each table has had, what changed from one to the next, and for whom.

    Compatibility is in the words of Confluent's Schema Registry, against the version before:
    backward, the new contract reads the old rows; forward, old readers read the new rows.
    """

    table_name: str = pa.Field(description="Table as room.table")
    version: int = pa.Field(ge=1, description="1 for the first shape seen, then counted up")
    fingerprint: str = pa.Field(
        str_matches="^[0-9a-f]{16}$",
        description="Of the columns' names, types and nullability and the contract's version",
    )
    contract_version: int = pa.Field(
        nullable=True, ge=1, description="Version of the table's contract; empty if it has none"
    )
    columns: str = pa.Field(
        description="JSON array in table order: name, type in DuckDB, nullable (null if no "
        "contract says)"
    )
    changes: str = pa.Field(
        description="JSON array against the version before: kind, column, before, after"
    )
    difference: str = pa.Field(description="The same in words")
    compatibility: str = pa.Field(
        isin=["full", "backward", "forward", "none"],
        description="Against the version before; full for the first",
    )
    compatible: bool = pa.Field(
        description="Whether what reads the version before can go on as it is: full or forward"
    )
    read_by: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="Tables that read it, audits left out; empty where not known"
    )
    first_seen: MOMENT = pa.Field(description="First run that saw this version (UTC)")  # type: ignore[valid-type]
    last_seen: MOMENT = pa.Field(description="Last run that saw this version (UTC)")  # type: ignore[valid-type]

    class Config:
        """What the table is."""

        name = "schema_versions"
        metadata: ClassVar[dict[str, object]] = {
            "room": "audits",
            "key": ["table_name", "version"],
            "grain": "one row per table and shape",
            "version": 2,
            "owner": "team:data",
        }


class SchemaUse(pa.DataFrameModel):
    """Which version of every table a run left behind: what was in use on the night of..."""

    as_of: MOMENT = pa.Field(description="Time of the run (UTC)")  # type: ignore[valid-type]
    table_name: str = pa.Field(description="Table as room.table")
    version: int = pa.Field(ge=1, description="Version in audits.schema_versions")

    class Config:
        """What the table is."""

        name = "schema_use"
        metadata: ClassVar[dict[str, object]] = {
            "room": "audits",
            "key": ["as_of", "table_name"],
            "grain": "one row per run and table",
            "version": 1,
            "owner": "team:data",
        }
