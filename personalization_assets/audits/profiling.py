"""Profiles of tables: two aggregate queries per table, whatever the number of columns.

Pure functions over a DuckDB connection. Everything is exact and integer-valued or a value of the
column itself, so that the result does not depend on the number of threads.
"""

import datetime as dt
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from personalization_assets.audits.settings import AuditsSettings

Kind = Literal["number", "time", "label", "counted"]

PER_COLUMN = 8
"""Aggregates asked for each column."""

STEPS_PER_OCTAVE = 8
"""Width of a bin of numbers: a value doubles in so many bins, so neighbours differ by 9 %."""

LABEL_ROWS = 10
"""Rows per value, on average, below which a text column holds facts about single people."""

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "U")
TIMES = ("DATE", "TIMESTAMP")
BOOKKEEPING = ("_batch_id", "_row_key", "_flags", "_extracted_at")
"""Columns that say where a row came from; their values differ by design."""

RUN_TIMES = "_as_of"
"""How columns end that hold times of runs: when the platform worked, not when something was."""


@dataclass(frozen=True)
class TableColumn:
    """A column as the catalog of DuckDB describes it."""

    name: str
    data_type: str
    position: int


def table_columns(con: duckdb.DuckDBPyConnection, table: str) -> list[TableColumn]:
    """The columns of `room.table`, in table order."""
    # DESCRIBE, because information_schema goes through all columns of all tables
    described = con.execute(f"DESCRIBE {table}").fetchall()
    return [TableColumn(row[0], row[1], position) for position, row in enumerate(described, 1)]


def profile_table(
    con: duckdb.DuckDBPyConnection, table: str, as_of: dt.datetime, settings: AuditsSettings
) -> list[dict[str, Any]]:
    """One dict per column of `room.table`: the current half of a row of `audits.table_profiles`."""
    columns = [
        c
        for c in table_columns(con, table)
        if c.name not in BOOKKEEPING and not c.name.endswith(RUN_TIMES)
    ]
    if not columns:
        return []
    counted = {*settings.personal_columns, *settings.rotating_columns}
    kinds = {c.name: _kind(c, counted) for c in columns}
    profiles = _counts(con, table, columns, kinds, as_of)
    for column in columns:
        found = profiles[column.name]
        filled = found["rows"] - found["nulls"]
        found |= {"table_name": table, "as_of": as_of, "bins": None}
        if kinds[column.name] == "label" and column.data_type != "BOOLEAN":
            few = found["distinct_values"] <= settings.max_labels
            if not few or found["distinct_values"] * LABEL_ROWS > filled:
                kinds[column.name] = "counted"
        if _identifies(column, kinds[column.name], found):
            kinds[column.name] = "counted"
        found["kind"] = kinds[column.name]
    for name, bins in _bins(con, table, kinds, as_of).items():
        profiles[name]["bins"] = bins
    return [profiles[c.name] for c in columns]


def _kind(column: TableColumn, counted: Container[str]) -> Kind:
    name = column.name.removesuffix("_origin")
    if name in counted or column.name == "_row_key":
        return "counted"
    if _nested(column.data_type):
        return "counted"
    if column.data_type.startswith(TIMES):
        return "time"
    if column.data_type.startswith(NUMBERS) and column.data_type != "UUID":
        return "number"
    return "label" if column.data_type in ("VARCHAR", "BOOLEAN") else "counted"


def _identifies(column: TableColumn, kind: Kind, found: Mapping[str, Any]) -> bool:
    """Whole numbers that never repeat are keys: that new rows have higher ones says nothing."""
    filled = found["rows"] - found["nulls"]
    whole = column.data_type.endswith(("INT", "INTEGER"))
    return kind == "number" and whole and filled > 1 and found["distinct_values"] == filled


def _nested(data_type: str) -> bool:
    return data_type.endswith("]") or data_type.startswith(("STRUCT", "MAP", "UNION", "JSON"))


def _counts(
    con: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[TableColumn],
    kinds: dict[str, Kind],
    as_of: dt.datetime,
) -> dict[str, dict[str, Any]]:
    parts = ["count(*)"]
    now = _literal(as_of)
    for column in columns:
        name = _quoted(column.name)
        kind = kinds[column.name]
        parts.append(f"count({name})")
        parts.append("NULL" if _nested(column.data_type) else f"count(DISTINCT {name})")
        for aggregate in ("min({})", "quantile_disc({}, 0.5)", "max({})"):
            parts.append(aggregate.format(_finite(name)) if kind == "number" else "NULL")
        for aggregate in ("min", "max"):
            parts.append(f"{aggregate}({name})::TIMESTAMP" if kind == "time" else "NULL")
        past = f"max({name}::TIMESTAMP) FILTER ({name}::TIMESTAMP <= {now})"
        parts.append(f"date_diff('minute', {past}, {now})" if kind == "time" else "NULL")
    rows, *values = con.execute(f"SELECT {', '.join(parts)} FROM {table}").fetchall()[0]
    profiles: dict[str, dict[str, Any]] = {}
    for number, column in enumerate(columns):
        filled, distinct, low, middle, high, first, last, lag = values[
            number * PER_COLUMN : (number + 1) * PER_COLUMN
        ]
        profiles[column.name] = {
            "column_name": column.name,
            "position": column.position,
            "data_type": column.data_type,
            "rows": rows,
            "nulls": rows - filled,
            "distinct_values": distinct,
            "minimum": low,
            "median": middle,
            "maximum": high,
            "earliest": first,
            "latest": last,
            "lag_hours": None if lag is None else round(lag / 60, 2),
        }
    return profiles


def _bins(
    con: duckdb.DuckDBPyConnection, table: str, kinds: dict[str, Kind], as_of: dt.datetime
) -> dict[str, str]:
    """JSON by column: bin -> rows; of moments by `age` in days, by `day` and by `hour` of day."""
    asked: list[tuple[str, str]] = []
    parts: list[str] = []
    for column, kind in kinds.items():
        for part, expression in _expressions(_quoted(column), kind, as_of).items():
            asked.append((column, part))
            parts.append(f"histogram({expression})")
    if not parts:
        return {}
    found = con.execute(f"SELECT {', '.join(parts)} FROM {table}").fetchall()[0]
    bins: dict[str, Any] = {}
    for (column, part), counts in zip(asked, found, strict=True):
        named = {str(key): count for key, count in sorted((counts or {}).items())}
        if part:
            bins.setdefault(column, {})[part] = named
        else:
            bins[column] = named
    return {name: json.dumps(counts, ensure_ascii=False) for name, counts in bins.items()}


def _expressions(name: str, kind: Kind, as_of: dt.datetime) -> dict[str, str]:
    if kind == "number":
        return {"": _log_bin(_finite(name))}
    if kind == "label":
        return {"": f"{name}::VARCHAR"}
    if kind == "counted":
        return {}
    moment = f"{name}::TIMESTAMP"
    # By age a sliding window stays what it is, by day a history that grows at its end does.
    return {
        "age": _log_bin(f"date_diff('day', {moment}, {_literal(as_of)})::DOUBLE"),
        "day": f"date_diff('day', DATE '1970-01-01', {moment}::DATE)::INTEGER",
        "hour": f"hour({moment})::INTEGER",
    }


def _literal(moment: dt.datetime) -> str:
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"


def _finite(name: str) -> str:
    value = f"{name}::DOUBLE"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _log_bin(value: str) -> str:
    """Signed logarithmic bins that need no knowledge of the data, so any two runs share them."""
    magnitude = f"1000 + floor({STEPS_PER_OCTAVE} * log2(abs({value})))"
    return (
        f"CASE WHEN abs({value}) < 1e-9 THEN 0 "
        f"WHEN {value} IS NOT NULL THEN sign({value}) * ({magnitude}) END::INTEGER"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
