"""A Pandera model as a contract.

Pandera's built-in checks become predicates, so that the same rule can be asked of a frame, of
DuckDB and of a single record. A check of a whole row is declared with `frame_rule`. Checks written
in Python work too: Pandera judges them, on frames only.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

import pandera.polars as pa
import polars as pl

from personalization_assets.contracts.contract import (
    UNIQUE_KEY,
    Column,
    Contract,
    Rule,
    Severity,
    duckdb_type,
    required,
)
from personalization_assets.contracts.predicates import (
    Differs,
    Known,
    Length,
    Pattern,
    Predicate,
    Range,
)

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

PREDICATE = "predicate"
"""Where a check of a whole row keeps its condition, among its statistics."""


def frame_rule(name: str, words: str, predicate: Predicate) -> Any:
    """A rule about a whole row, for a class attribute of a Pandera model.

    Give it to an attribute of the model itself; Pandera forgets the name of an inherited one.
    """

    def holds(cls: type, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(predicate.polars().fill_null(value=True))

    holds.__name__ = name.replace(".", "_")
    check = pa.dataframe_check(name=name, description=words, statistics={PREDICATE: predicate})
    return check(holds)


@cache
def contract_of(model: type[pa.DataFrameModel]) -> Contract:
    """Read a Pandera model into a `Contract`.

    `Config.metadata` holds room, key, grain, version, owner, pii, warnings (rules that only flag)
    and reject_limit (share of rejected rows above which nothing is published).

    Raises:
        ValueError: two checks of one column go by one name and do not make one rule.
    """
    schema = model.to_schema()
    about: dict[str, Any] = dict(model.Config.metadata or {})
    warnings = set(about.get("warnings", ()))
    columns: list[Column] = []
    rules: list[Rule] = []
    for name, spec in schema.columns.items():
        dtype = cast(pl.DataType, spec.dtype.type)
        if isinstance(dtype, type):
            dtype = dtype()
        more = spec.metadata or {}
        columns.append(
            Column(
                name=name,
                dtype=dtype,
                duckdb_type=duckdb_type(dtype),
                nullable=bool(spec.nullable),
                description=spec.description or "",
                unit=more.get("unit"),
                renamed_from=more.get("renamed_from"),
            )
        )
        if not spec.nullable:
            structural = not about.get("reject_limit") or name == "source" or name.startswith("_")
            rules.append(required(name, structural))
        rules += _column_rules(name, spec.checks, warnings)
    for check in schema.checks:
        predicate = (check.statistics or {}).get(PREDICATE)
        words = check.description or check.error or check.name.replace("_", " ")
        rules.append(
            Rule(
                check.name,
                _severity(check.name, warnings),
                words,
                sql=predicate.sql() if predicate else "",
                predicate=predicate,
            )
        )
    if about.get("key"):
        rules.append(Rule(UNIQUE_KEY, "error", f"one row per {', '.join(about['key'])}"))
    # Rules that the standardiser raises itself (failed casts) are declared by name, so that each
    # of them has its own check and history.
    for name, words in dict(about.get("reported", {})).items():
        rules.append(Rule(name, _severity(name, warnings), words, name.split(".")[0]))
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


def models(below: type[pa.DataFrameModel] = pa.DataFrameModel) -> Iterator[type[pa.DataFrameModel]]:
    """Every Pandera model that describes a table and whose module has been loaded."""
    for model in below.__subclasses__():
        if (getattr(model.Config, "metadata", None) or {}).get("room"):
            yield model
        yield from models(model)


def rule_name(check: Any, column: str | None) -> str:
    """The name under which a check of Pandera is reported."""
    return f"{column}.{RULE_NAMES.get(check.name, check.name)}" if column else str(check.name)


def _severity(name: str, warnings: set[str]) -> Severity:
    return "warning" if name in warnings else "error"


def _column_rules(column: str, checks: list[Any], warnings: set[str]) -> list[Rule]:
    named: dict[str, list[Any]] = {}
    for check in checks:
        named.setdefault(rule_name(check, column), []).append(check)
    rules = []
    for name, same in named.items():
        found = [_predicate_of(column, c.name, c.statistics or {}) for c in same]
        known = [p for p in found if p is not None]
        if known and len(known) < len(found):
            raise ValueError(f"{name}: give the check that is written in Python another name")
        predicate = _joined(known) if known else None
        words = [str(c.description) for c in same if c.description]
        if not words:
            words = [
                predicate.words()
                if predicate
                else f"{column} {same[0].error or same[0].name.replace('_', ' ')}"
            ]
        rules.append(
            Rule(
                name,
                _severity(name, warnings),
                "; ".join(words),
                column,
                predicate.sql() if predicate else "",
                predicate=predicate,
            )
        )
    return rules


def _predicate_of(column: str, name: str, statistics: Mapping[str, Any]) -> Predicate | None:
    """The predicate of one of Pandera's built-in checks; None where there is none."""
    low, high = statistics.get("min_value"), statistics.get("max_value")
    match name:
        case "greater_than":
            return Range(column, min=low, above_min=True)
        case "greater_than_or_equal_to":
            return Range(column, min=low)
        case "less_than":
            return Range(column, max=high, below_max=True)
        case "less_than_or_equal_to":
            return Range(column, max=high)
        case "in_range":
            return Range(
                column,
                low,
                high,
                above_min=not statistics.get("include_min", True),
                below_max=not statistics.get("include_max", True),
            )
        case "isin":
            return Known(column, tuple(statistics["allowed_values"]))
        case "not_equal_to":
            return Differs(column, statistics["value"])
        case "str_matches":
            pattern = statistics["pattern"]
            return Pattern(column, getattr(pattern, "pattern", pattern))
        case "str_length":
            return Length(column, low, high)
    return None


def _joined(predicates: Sequence[Predicate]) -> Predicate:
    """Two bounds of one column as one range.

    Raises:
        ValueError: predicates that do not go together.
    """
    if len(predicates) == 1:
        return predicates[0]
    first, second = predicates
    if not isinstance(first, Range) or not isinstance(second, Range):
        raise ValueError("two checks of one kind on one column")
    low, high = (first, second) if first.min is not None else (second, first)
    return Range(low.column, low.min, high.max, low.above_min, high.below_max)
