"""What a rule says of a row, in the three forms that are asked for: polars, SQL and one record.

Each predicate is a small value with its parameters. A rule's verdict must not depend on the way
it is asked for; `personalization_tests/core/test_predicates.py` holds them against each other and
against Pandera. As in SQL and in Pandera an empty value breaks nothing but `NotNull` and
`AtLeastOne`.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import polars as pl
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from typing_extensions import override

from personalization_assets.contracts.patterns import python_pattern, spelled_out
from personalization_assets.sql_text import quoted

Record = Mapping[str, Any]
Scalar = bool | int | float | str

FROZEN = ConfigDict(extra="forbid", strict=False)


@dataclass(frozen=True, config=FROZEN)
class Predicate:
    """True for a row that keeps the rule. `parameters` names what a user's settings may change."""

    parameters: ClassVar[tuple[str, ...]] = ()

    def polars(self) -> pl.Expr:
        """The condition; null counts as kept."""
        raise NotImplementedError

    def sql(self) -> str:
        """The condition in DuckDB; NULL counts as kept."""
        raise NotImplementedError

    def record(self) -> Callable[[Record], bool]:
        """The condition for one record: a dict that has every column, empty ones as None."""
        raise NotImplementedError

    def words(self) -> str:
        """The condition as a phrase for people."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """The parameters that may be changed, with their values."""
        return {name: getattr(self, name) for name in self.parameters}


@dataclass(frozen=True, config=FROZEN)
class NotNull(Predicate):
    """The column is never empty."""

    column: str

    @override
    def polars(self) -> pl.Expr:
        return pl.col(self.column).is_not_null()

    @override
    def sql(self) -> str:
        return f'"{self.column}" IS NOT NULL'

    @override
    def record(self) -> Callable[[Record], bool]:
        column = self.column
        return lambda r: r[column] is not None

    @override
    def words(self) -> str:
        return f"{self.column} is never empty"


@dataclass(frozen=True, config=FROZEN)
class Range(Predicate):
    """The number lies between two bounds, either of which may be absent or excluded.

    Not-a-number counts as larger than any number, as polars and DuckDB order it.
    """

    column: str
    min: float | int | None = None
    max: float | int | None = None
    above_min: bool = False
    below_max: bool = False
    parameters: ClassVar[tuple[str, ...]] = ("min", "max")

    def __post_init__(self) -> None:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} lies above max {self.max}")

    @override
    def polars(self) -> pl.Expr:
        value = pl.col(self.column)
        parts = []
        if self.min is not None:
            parts.append(value > self.min if self.above_min else value >= self.min)
        if self.max is not None:
            parts.append(value < self.max if self.below_max else value <= self.max)
        return _all(parts)

    @override
    def sql(self) -> str:
        parts = []
        if self.min is not None:
            parts.append(f'"{self.column}" {">" if self.above_min else ">="} {self.min}')
        if self.max is not None:
            parts.append(f'"{self.column}" {"<" if self.below_max else "<="} {self.max}')
        return " AND ".join(parts) or "true"

    @override
    def record(self) -> Callable[[Record], bool]:
        column, low, high = self.column, self.min, self.max
        above, below = self.above_min, self.below_max

        def kept(record: Record) -> bool:
            value = record[column]
            if value is None:
                return True
            if value != value:
                return high is None
            if low is not None and (value < low or (above and value == low)):
                return False
            return not (high is not None and (value > high or (below and value == high)))

        return kept

    @override
    def words(self) -> str:
        low = f"{'above' if self.above_min else 'at least'} {_plain(self.min)}"
        high = f"{'below' if self.below_max else 'at most'} {_plain(self.max)}"
        if self.min is None:
            return f"{self.column} is {high}"
        if self.max is None:
            return f"{self.column} is {low}"
        if self.above_min or self.below_max:
            return f"{self.column} is {low} and {high}"
        return f"{self.column} is between {_plain(self.min)} and {_plain(self.max)}"


@dataclass(frozen=True, config=FROZEN)
class Known(Predicate):
    """The value is one of a list."""

    column: str
    values: tuple[Scalar, ...]
    parameters: ClassVar[tuple[str, ...]] = ("values",)

    @override
    def polars(self) -> pl.Expr:
        return pl.col(self.column).is_in(list(self.values))

    @override
    def sql(self) -> str:
        return f'"{self.column}" IN ({", ".join(_literal(v) for v in self.values)})'

    @override
    def record(self) -> Callable[[Record], bool]:
        column, known = self.column, frozenset(self.values) | {None}
        return lambda r: r[column] in known

    @override
    def words(self) -> str:
        return f"{self.column} is one of {', '.join(str(v) for v in self.values)}"


@dataclass(frozen=True, config=FROZEN)
class Differs(Predicate):
    """The value is not a certain one."""

    column: str
    value: Scalar

    @override
    def polars(self) -> pl.Expr:
        return pl.col(self.column) != self.value

    @override
    def sql(self) -> str:
        return f'"{self.column}" <> {_literal(self.value)}'

    @override
    def record(self) -> Callable[[Record], bool]:
        column, value = self.column, self.value
        return lambda r: r[column] != value

    @override
    def words(self) -> str:
        return f"{self.column} is not {self.value}"


@dataclass(frozen=True, config=FROZEN)
class Pattern(Predicate):
    r"""The text fits a regular expression, from its first character on (`$` ends it).

    What the engines of polars, DuckDB and Python read alike is allowed: no look-around, no back
    references, and no classes like `\w` and `\d` of which each has its own idea; `\s` is.
    """

    column: str
    pattern: str
    parameters: ClassVar[tuple[str, ...]] = ("pattern",)

    def __post_init__(self) -> None:
        python_pattern(self.pattern)
        try:
            pl.Series([""]).str.contains(self._anchored())
        except pl.exceptions.ComputeError:
            raise ValueError(f"`{self.pattern}` is no regular expression of polars") from None

    def _anchored(self) -> str:
        # As Pandera does it.
        return self.pattern if self.pattern.startswith("^") else f"^{self.pattern}"

    @override
    def polars(self) -> pl.Expr:
        return pl.col(self.column).str.contains(self._anchored())

    @override
    def sql(self) -> str:
        return f'regexp_matches("{self.column}", {quoted(spelled_out(self._anchored()))})'

    @override
    def record(self) -> Callable[[Record], bool]:
        column, fits = self.column, python_pattern(self._anchored()).search

        def kept(record: Record) -> bool:
            value = record[column]
            return value is None or fits(value) is not None

        return kept

    @override
    def words(self) -> str:
        return f"{self.column} has the form {self.pattern}"


@dataclass(frozen=True, config=FROZEN)
class Length(Predicate):
    """The text has so many characters (code points)."""

    column: str
    min: int | None = None
    max: int | None = None
    parameters: ClassVar[tuple[str, ...]] = ("min", "max")

    @override
    def polars(self) -> pl.Expr:
        text = pl.col(self.column).str
        parts = []
        if self.min is not None:
            # Bytes are counted without reading them, and only the empty text has none.
            parts.append(text.len_bytes() > 0 if self.min == 1 else text.len_chars() >= self.min)
        if self.max is not None:
            parts.append(text.len_chars() <= self.max)
        return _all(parts)

    @override
    def sql(self) -> str:
        parts = []
        if self.min is not None:
            parts.append(f'length("{self.column}") >= {self.min}')
        if self.max is not None:
            parts.append(f'length("{self.column}") <= {self.max}')
        return " AND ".join(parts) or "true"

    @override
    def record(self) -> Callable[[Record], bool]:
        column, low, high = self.column, self.min or 0, self.max

        def kept(record: Record) -> bool:
            value = record[column]
            return value is None or (low <= len(value) and (high is None or len(value) <= high))

        return kept

    @override
    def words(self) -> str:
        most = "any number of" if self.max is None else self.max
        return f"{self.column} has {self.min or 0} to {most} characters"


@dataclass(frozen=True, config=FROZEN)
class AtLeastOne(Predicate):
    """One of several columns is filled."""

    columns: tuple[str, ...]

    @override
    def polars(self) -> pl.Expr:
        return pl.any_horizontal(pl.col(*self.columns).is_not_null())

    @override
    def sql(self) -> str:
        return "(" + " OR ".join(f'"{c}" IS NOT NULL' for c in self.columns) + ")"

    @override
    def record(self) -> Callable[[Record], bool]:
        columns = self.columns
        return lambda r: any(r[c] is not None for c in columns)

    @override
    def words(self) -> str:
        return f"at least one of {', '.join(self.columns)} is filled"


@dataclass(frozen=True, config=FROZEN)
class InOrder(Predicate):
    """The first value is not above the second; either may be empty."""

    first: str
    second: str

    @override
    def polars(self) -> pl.Expr:
        return pl.col(self.first) <= pl.col(self.second)

    @override
    def sql(self) -> str:
        return f'"{self.first}" <= "{self.second}"'

    @override
    def record(self) -> Callable[[Record], bool]:
        first, second = self.first, self.second

        def kept(record: Record) -> bool:
            low, high = record[first], record[second]
            return low is None or high is None or bool(_comparable(low) <= _comparable(high))

        return kept

    @override
    def words(self) -> str:
        return f"{self.first} is not after {self.second}"


@dataclass(frozen=True, config=FROZEN)
class NotFlagged(Predicate):
    """What reads the row did not write this name into its `_flags`."""

    flag: str

    @override
    def polars(self) -> pl.Expr:
        return ~pl.col("_flags").list.contains(pl.lit(self.flag))

    @override
    def sql(self) -> str:
        return f'NOT list_contains("_flags", {quoted(self.flag)})'

    @override
    def record(self) -> Callable[[Record], bool]:
        flag = self.flag
        return lambda r: flag not in (r["_flags"] or ())

    @override
    def words(self) -> str:
        return f"nothing was found that is called {self.flag}"


def changed(predicate: Predicate, changes: Mapping[str, Any]) -> Predicate:
    """The predicate with other parameters.

    Raises:
        ValueError: a parameter that it does not have, or a value that it cannot take; one phrase.
    """
    unknown = sorted(set(changes) - set(predicate.parameters))
    if unknown:
        has = ", ".join(predicate.parameters) or "none"
        raise ValueError(f"has no parameter {', '.join(unknown)}: it has {has}")
    present = {f.name: getattr(predicate, f.name) for f in fields(predicate)}
    return type(predicate)(**(present | dict(changes)))


def _all(parts: Sequence[pl.Expr]) -> pl.Expr:
    """All of the conditions; of none, a column that is true."""
    return pl.all_horizontal(parts) if parts else pl.repeat(True, pl.len(), dtype=pl.Boolean)


def _plain(value: float | int | None) -> str:
    return f"{int(value)}" if isinstance(value, float) and value.is_integer() else str(value)


def _comparable(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value
    return dt.datetime(value.year, value.month, value.day) if isinstance(value, dt.date) else value


def _literal(value: Scalar) -> str:
    return str(value) if isinstance(value, bool | int | float) else quoted(value)
