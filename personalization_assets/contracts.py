"""Contracts: what a table promises, written once as a Pandera model and used everywhere.

A `DataFrameModel` in `<room>/contracts.py` is the only place where a table's columns, their
meaning and their rules are written. From it come the DDL and the comments in DuckDB, the column
schema in the Dagster catalog, one Dagster check per rule, and the reasons a row is quarantined for.

What belongs here: reading a model into a `Contract`, and judging rows against it. Building assets
out of contracts is in `tables.py`.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, cast

import pandera.polars as pa
import polars as pl

from personalization_assets.sql_text import quoted

Severity = Literal["error", "warning"]

FAILED_CASTS = "_failed_casts"
"""Working column of an audited frame: names of columns whose received value could not be read."""

FILLED = "columns_are_filled"
"""The one check for all columns that are never empty because of how the table is built.

A key that a source left out is a rule of its own, with a history worth having. That a table which
we compute has no hole in it is one rule, not one per column: each check costs a run three events.
"""

RULE_NAMES = {
    "not_nullable": "required",
    "str_matches": "pattern",
    "isin": "known",
    "greater_than": "range",
    "greater_than_or_equal_to": "range",
    "less_than": "range",
    "less_than_or_equal_to": "range",
    "in_range": "range",
    "str_length": "length",
}


@dataclass(frozen=True)
class Column:
    """One column of a table: its type in polars and DuckDB, and what it means."""

    name: str
    dtype: pl.DataType | None
    duckdb_type: str
    nullable: bool
    description: str
    unit: str | None = None


@dataclass(frozen=True)
class Rule:
    """One thing that every row must satisfy. `name` is `<column>.<rule>` or a frame check's name.

    `sql` is the same rule as a condition for rows that never leave DuckDB; empty when the rule can
    only be judged by Pandera. `structural` rules of a table share one Dagster check.
    """

    name: str
    severity: Severity
    description: str
    column: str | None = None
    sql: str = ""
    structural: bool = False

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
        frame = frame.with_row_index("_row")
        found = [
            self._cast_failures(frame),
            self._rule_failures(frame),
            self._repeated_keys(frame),
        ]
        failures = pl.concat(found).unique()
        counts = dict(failures.group_by("rule").len().iter_rows())
        severities = {r.name: r.severity for r in self.rules}
        is_warning = pl.col("rule").replace_strict(severities, default="error") == "warning"
        reasons = _per_row(failures.filter(~is_warning), "reasons")
        flags = _per_row(failures.filter(is_warning), "_new_flags")

        judged = frame.join(reasons, on="_row", how="left", maintain_order="left")
        if "_flags" in self.schema:
            judged = judged.join(flags, on="_row", how="left", maintain_order="left").with_columns(
                _flags=pl.concat_list(
                    pl.col("_flags").fill_null([]), pl.col("_new_flags").fill_null([])
                ).list.unique(maintain_order=True)
            )
        rejected = judged.filter(pl.col("reasons").is_not_null())
        accepted = judged.filter(pl.col("reasons").is_null()) if rejected.height else judged
        return Audit(
            accepted=self.conform(accepted),
            rejected=rejected.drop("_row", "_new_flags", strict=False),
            failures={r.name: counts.get(r.name, 0) for r in self.rules}
            | {name: n for name, n in counts.items() if name not in severities},
        )

    def _cast_failures(self, frame: pl.DataFrame) -> pl.DataFrame:
        if FAILED_CASTS not in frame.columns:
            return _no_failures()
        return (
            frame.select("_row", pl.col(FAILED_CASTS).alias("rule"))
            .filter(pl.col("rule").list.len() > 0)
            .explode("rule")
            .select("_row", rule=pl.col("rule") + ".type")
        )

    def _rule_failures(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self.model is None:
            return _no_failures()
        try:
            # Eager and lazy=True: on a LazyFrame Pandera checks the schema only.
            self.model.validate(self.conform(frame), lazy=True)
        except pa.errors.SchemaErrors as error:
            cases = cast(pl.DataFrame, error.failure_cases)
            if cases["index"].null_count():
                broken = cases.filter(pl.col("index").is_null())
                raise ValueError(
                    f"{self.name} does not have the shape of its contract: "
                    f"{', '.join(sorted(set(broken['check'].to_list())))}"
                ) from None
            check = pl.col("check").str.replace(r"\(.*$", "")
            return cases.select(
                _row=pl.col("index").cast(pl.get_index_type()),
                rule=pl.when(pl.col("schema_context") == "Column")
                .then(pl.col("column") + "." + check.replace(RULE_NAMES))
                .otherwise(check),
            )
        return _no_failures()

    def _repeated_keys(self, frame: pl.DataFrame) -> pl.DataFrame:
        if not self.key:
            return _no_failures()
        complete = frame.filter(pl.all_horizontal(pl.col(self.key).is_not_null()))
        return complete.filter(~pl.struct(self.key).is_first_distinct()).select(
            "_row", rule=pl.lit("key.unique")
        )


def _no_failures() -> pl.DataFrame:
    return pl.DataFrame(schema={"_row": pl.get_index_type(), "rule": pl.String})


def _per_row(failures: pl.DataFrame, name: str) -> pl.DataFrame:
    return (
        failures.sort("_row", "rule")
        .group_by("_row", maintain_order=True)
        .agg(pl.col("rule").alias(name))
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


@cache
def contract_of(model: type[pa.DataFrameModel]) -> Contract:
    """Read a Pandera model into a `Contract`.

    `Config.metadata` holds room, key, grain, version, owner, pii, warnings (rules that only flag)
    and reject_limit (share of rejected rows above which nothing is published).
    """
    schema = model.to_schema()
    about: dict[str, Any] = dict(model.Config.metadata or {})
    warnings = set(about.get("warnings", ()))
    columns: list[Column] = []
    rules: list[Rule] = []

    def add(name: str, description: str, column: str | None, sql: str = "") -> None:
        if any(r.name == name for r in rules):
            merged = next(i for i, r in enumerate(rules) if r.name == name)
            both = f"({rules[merged].sql}) AND ({sql})" if rules[merged].sql and sql else ""
            rules[merged] = Rule(
                name,
                rules[merged].severity,
                rules[merged].description + "; " + description,
                column,
                both,
            )
            return
        rules.append(
            Rule(name, "warning" if name in warnings else "error", description, column, sql)
        )

    for name, spec in schema.columns.items():
        dtype = cast(pl.DataType, spec.dtype.type)
        if isinstance(dtype, type):
            dtype = dtype()
        columns.append(
            Column(
                name=name,
                dtype=dtype,
                duckdb_type=duckdb_type(dtype),
                nullable=bool(spec.nullable),
                description=spec.description or "",
                unit=(spec.metadata or {}).get("unit"),
            )
        )
        if not spec.nullable:
            structural = not about.get("reject_limit") or name == "source" or name.startswith("_")
            rules.append(required(name, structural))
        for check in spec.checks:
            rule = RULE_NAMES.get(check.name, check.name)
            add(f"{name}.{rule}", _check_words(name, check), name, _check_sql(name, check))
    for check in schema.checks:
        add(check.name, check.description or check.error or check.name.replace("_", " "), None)
    if about.get("key"):
        add("key.unique", f"one row per {', '.join(about['key'])}", None)
    # Rules that the standardiser raises itself (failed casts, future dates) are declared by name,
    # so that each of them has its own check and history.
    for name, words in dict(about.get("reported", {})).items():
        add(name, words, name.split(".")[0])

    return Contract(
        room=about["room"],
        table=model.Config.name or model.__name__.lower(),
        description=" ".join((model.__doc__ or "").split()),
        grain=about.get("grain", ""),
        key=tuple(about.get("key", ())),
        version=int(about.get("version", 1)),
        owner=about.get("owner", "team:data"),
        pii=bool(about.get("pii", False)),
        reject_limit=float(about.get("reject_limit", 0.0)),
        columns=tuple(columns),
        rules=tuple(rules),
        model=model,
    )


def required(column: str, structural: bool) -> Rule:
    """The rule that a column is never empty."""
    filled = f'"{column}" IS NOT NULL'
    return Rule(
        f"{column}.required", "error", f"{column} is never empty", column, filled, structural
    )


def _check_words(column: str, check: Any) -> str:
    """A built-in Pandera check as a phrase; Pandera's own reads like code."""
    if check.description:
        return str(check.description)
    stats: dict[str, Any] = check.statistics or {}
    low, high = stats.get("min_value"), stats.get("max_value")
    phrases = {
        "greater_than": f"is above {low}",
        "greater_than_or_equal_to": f"is at least {low}",
        "less_than": f"is below {high}",
        "less_than_or_equal_to": f"is at most {high}",
        "in_range": f"is between {low} and {high}",
        "str_length": f"has {low or 0} to {high or 'any number of'} characters",
        "str_matches": f"has the form {stats.get('pattern')}",
        "isin": f"is one of {', '.join(str(v) for v in stats.get('allowed_values', ()))}",
        "not_equal_to": f"is not {stats.get('value')}",
    }
    return f"{column} {phrases.get(check.name, check.error or check.name.replace('_', ' '))}"


def _check_sql(column: str, check: Any) -> str:
    """The built-in Pandera checks as SQL, for tables that are built inside DuckDB."""
    stats: dict[str, Any] = check.statistics or {}
    operators = {
        "greater_than": (">", "min_value"),
        "greater_than_or_equal_to": (">=", "min_value"),
        "less_than": ("<", "max_value"),
        "less_than_or_equal_to": ("<=", "max_value"),
    }
    if check.name in operators:
        operator, key = operators[check.name]
        return f'"{column}" {operator} {_literal(stats[key])}'
    if check.name == "in_range":
        low, high = _literal(stats["min_value"]), _literal(stats["max_value"])
        return f'"{column}" BETWEEN {low} AND {high}'
    if check.name == "isin":
        return f'"{column}" IN ({", ".join(_literal(v) for v in stats["allowed_values"])})'
    if check.name == "str_matches":
        return f'regexp_matches("{column}", {_literal(stats["pattern"])})'
    return ""


def _literal(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value)
    return quoted(str(value))
