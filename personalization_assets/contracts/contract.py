"""What a contract is: columns, rules, a key, and how many rejected rows are too many."""

from dataclasses import dataclass, field
from typing import Any, Literal, cast

import pandera.polars as pa
import polars as pl

from personalization_assets.contracts.predicates import NotNull, Predicate

Severity = Literal["error", "warning"]

FAILED_CASTS = "_failed_casts"
"""Working column of an audited frame: names of columns whose received value could not be read."""

FILLED = "columns_are_filled"
"""The one check for all columns that are never empty because of how the table is built.

A key that a source left out is a rule of its own, with a history worth having. That a table which
we compute has no hole in it is one rule, not one per column: each check costs a run three events.
"""

UNIQUE_KEY = "key.unique"


@dataclass(frozen=True)
class Column:
    """One column of a table: its type in polars and DuckDB, and what it means.

    `renamed_from` is the name that the column had in the version before.
    """

    name: str
    dtype: pl.DataType | None
    duckdb_type: str
    nullable: bool
    description: str
    unit: str | None = None
    renamed_from: str | None = None

    @property
    def meaning(self) -> str:
        """The description, with the unit where it does not say it."""
        said = self.unit is None or f"({self.unit})" in self.description
        return self.description if said else f"{self.description} ({self.unit})"


@dataclass(frozen=True)
class Rule:
    """One thing that every row must satisfy. `name` is `<column>.<rule>` or a frame check's name.

    `predicate` is its condition; without one the rule is judged by Pandera (a check written in
    Python), reported by what builds the rows (`<column>.type`), or the key's. `sql` is the
    condition for rows that never leave DuckDB; empty when it cannot be judged there. `structural`
    rules of a table share one Dagster check. `limit` is the share of rows that may break this rule
    before nothing is published, whatever its severity.
    """

    name: str
    severity: Severity
    description: str
    column: str | None = None
    sql: str = ""
    structural: bool = False
    predicate: Predicate | None = None
    limit: float | None = None

    @property
    def check_name(self) -> str:
        """The Dagster check that reports the rule; names there have no dots."""
        return FILLED if self.structural else self.name.replace(".", "__")


@dataclass(frozen=True)
class Audit:
    """The verdict on a frame: rows that may be published, rows that may not, and why.

    `rejected` has the columns of the frame and `reasons` (list of rule names); `failures` counts
    the rows that broke each rule, warnings included.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    failures: dict[str, int]


@dataclass(frozen=True)
class Contract:
    """A table's promise, read from a Pandera model (or from the header of a SQL model)."""

    room: str
    table: str
    description: str
    grain: str
    key: tuple[str, ...]
    version: int
    owner: str
    pii: bool
    reject_limit: float
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    model: type[pa.DataFrameModel] | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """`room.table`, the name in DuckDB."""
        return f"{self.room}.{self.table}"

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column names and polars types, in order, for building a frame of this table."""
        return {c.name: c.dtype for c in self.columns if c.dtype is not None}

    def empty(self) -> pl.DataFrame:
        """A frame of this table without rows."""
        return pl.DataFrame(schema=self.schema)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with the contract's columns in the contract's order and types.

        Raises:
            ValueError: a column of the contract is missing, or a value does not fit its type.
        """
        missing = [c.name for c in self.columns if c.name not in frame.columns]
        if missing:
            raise ValueError(f"{self.name} lacks the column(s) {', '.join(missing)}")
        return frame.select(
            pl.col(name).cast(dtype) if frame.schema[name] != dtype else pl.col(name)
            for name, dtype in self.schema.items()
        )

    def audit(self, frame: pl.DataFrame) -> Audit:
        """Judge every row.

        A row goes to `rejected` when it breaks a rule of severity `error`; a broken `warning` only
        adds the rule's name to the row's `_flags`, where the table has that column. Of rows that
        share a key the first stays. Columns that the contract does not name are kept in `rejected`
        and dropped from `accepted`.
        """
        from personalization_assets.contracts.auditing import audit

        return audit(self, frame)


def required(column: str, structural: bool) -> Rule:
    """The rule that a column is never empty."""
    filled = NotNull(column)
    return Rule(
        f"{column}.required", "error", filled.words(), column, filled.sql(), structural, filled
    )


def duckdb_type(dtype: pl.DataType) -> str:
    """The DuckDB type that holds a polars type without loss."""
    if isinstance(dtype, pl.List):
        return duckdb_type(cast(pl.DataType, dtype.inner)) + "[]"
    if isinstance(dtype, pl.Struct):
        fields = ", ".join(
            f'"{f.name}" {duckdb_type(cast(pl.DataType, f.dtype))}' for f in dtype.fields
        )
        return f"STRUCT({fields})"
    simple: list[tuple[Any, str]] = [
        (pl.String, "VARCHAR"),
        (pl.Int64, "BIGINT"),
        (pl.Int32, "INTEGER"),
        (pl.Float64, "DOUBLE"),
        (pl.Float32, "FLOAT"),
        (pl.Boolean, "BOOLEAN"),
        (pl.Date, "DATE"),
        (pl.Datetime, "TIMESTAMP"),
        (pl.Binary, "BLOB"),
    ]
    for polars_type, name in simple:
        if dtype == polars_type:
            return name
    raise ValueError(f"no DuckDB type is set for polars {dtype}")
