"""What a rule says of a row, in the three forms that are asked for: polars, SQL and one record.

Each predicate is a small value with its parameters. A rule's verdict must not depend on the way
it is asked for; `personalization_tests/core/test_predicates.py` holds them against each other and
against Pandera. As in SQL and in Pandera an empty value breaks nothing but `NotNull` and
`AtLeastOne`.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import polars as pl
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

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

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        return pl.col(self.column).is_not_null()

    def sql(self) -> str:
        """See `Predicate`."""
        return f'"{self.column}" IS NOT NULL'

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
        column = self.column
        return lambda r: r[column] is not None

    def words(self) -> str:
        """See `Predicate`."""
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

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        value = pl.col(self.column)
        kept = pl.lit(value=True)
        if self.min is not None:
            kept = kept & (value > self.min if self.above_min else value >= self.min)
        if self.max is not None:
            kept = kept & (value < self.max if self.below_max else value <= self.max)
        return kept

    def sql(self) -> str:
        """See `Predicate`."""
        parts = []
        if self.min is not None:
            parts.append(f'"{self.column}" {">" if self.above_min else ">="} {self.min}')
        if self.max is not None:
            parts.append(f'"{self.column}" {"<" if self.below_max else "<="} {self.max}')
        return " AND ".join(parts) or "true"

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
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

    def words(self) -> str:
        """See `Predicate`."""
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

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        return pl.col(self.column).is_in(list(self.values))

    def sql(self) -> str:
        """See `Predicate`."""
        return f'"{self.column}" IN ({", ".join(_literal(v) for v in self.values)})'

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
        column, known = self.column, frozenset(self.values) | {None}
        return lambda r: r[column] in known

    def words(self) -> str:
        """See `Predicate`."""
        return f"{self.column} is one of {', '.join(str(v) for v in self.values)}"


@dataclass(frozen=True, config=FROZEN)
class Differs(Predicate):
    """The value is not a certain one."""

    column: str
    value: Scalar

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        return pl.col(self.column) != self.value

    def sql(self) -> str:
        """See `Predicate`."""
        return f'"{self.column}" <> {_literal(self.value)}'

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
        column, value = self.column, self.value
        return lambda r: r[column] != value

    def words(self) -> str:
        """See `Predicate`."""
        return f"{self.column} is not {self.value}"


@dataclass(frozen=True, config=FROZEN)
class Pattern(Predicate):
    r"""The text fits a regular expression, from its first character on (`$` ends it).

    What the engines of polars, DuckDB and Python read alike is allowed: no look-around, no back
    references, and `\w` and `\b`, of which each has its own idea, not at all.
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

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        return pl.col(self.column).str.contains(self._anchored())

    def sql(self) -> str:
        """See `Predicate`."""
        return f'regexp_matches("{self.column}", {quoted(self._anchored())})'

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
        column, fits = self.column, python_pattern(self._anchored()).match

        def kept(record: Record) -> bool:
            value = record[column]
            return value is None or fits(value) is not None

        return kept

    def words(self) -> str:
        """See `Predicate`."""
        return f"{self.column} has the form {self.pattern}"


@dataclass(frozen=True, config=FROZEN)
class Length(Predicate):
    """The text has so many characters (code points)."""

    column: str
    min: int | None = None
    max: int | None = None
    parameters: ClassVar[tuple[str, ...]] = ("min", "max")

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        length = pl.col(self.column).str.len_chars()
        kept = pl.lit(value=True)
        if self.min is not None:
            # Bytes are counted without reading them, and only the empty text has none.
            some = pl.col(self.column).str.len_bytes() >= 1
            kept = kept & (some if self.min == 1 else length >= self.min)
        if self.max is not None:
            kept = kept & (length <= self.max)
        return kept

    def sql(self) -> str:
        """See `Predicate`."""
        parts = []
        if self.min is not None:
            parts.append(f'length("{self.column}") >= {self.min}')
        if self.max is not None:
            parts.append(f'length("{self.column}") <= {self.max}')
        return " AND ".join(parts) or "true"

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
        column, low, high = self.column, self.min or 0, self.max

        def kept(record: Record) -> bool:
            value = record[column]
            return value is None or (low <= len(value) and (high is None or len(value) <= high))

        return kept

    def words(self) -> str:
        """See `Predicate`."""
        most = "any number of" if self.max is None else self.max
        return f"{self.column} has {self.min or 0} to {most} characters"


@dataclass(frozen=True, config=FROZEN)
class AtLeastOne(Predicate):
    """One of several columns is filled."""

    columns: tuple[str, ...]

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        return pl.any_horizontal(pl.col(*self.columns).is_not_null())

    def sql(self) -> str:
        """See `Predicate`."""
        return "(" + " OR ".join(f'"{c}" IS NOT NULL' for c in self.columns) + ")"

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
        columns = self.columns
        return lambda r: any(r[c] is not None for c in columns)

    def words(self) -> str:
        """See `Predicate`."""
        return f"at least one of {', '.join(self.columns)} is filled"


@dataclass(frozen=True, config=FROZEN)
class InOrder(Predicate):
    """The first value is not above the second; either may be empty."""

    first: str
    second: str

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        return pl.col(self.first) <= pl.col(self.second)

    def sql(self) -> str:
        """See `Predicate`."""
        return f'"{self.first}" <= "{self.second}"'

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
        first, second = self.first, self.second

        def kept(record: Record) -> bool:
            low, high = record[first], record[second]
            return low is None or high is None or bool(_comparable(low) <= _comparable(high))

        return kept

    def words(self) -> str:
        """See `Predicate`."""
        return f"{self.first} is not after {self.second}"


@dataclass(frozen=True, config=FROZEN)
class NotFlagged(Predicate):
    """What reads the row did not write this name into its `_flags`."""

    flag: str

    def polars(self) -> pl.Expr:
        """See `Predicate`."""
        return ~pl.col("_flags").list.contains(pl.lit(self.flag))

    def sql(self) -> str:
        """See `Predicate`."""
        return f'NOT list_contains("_flags", {quoted(self.flag)})'

    def record(self) -> Callable[[Record], bool]:
        """See `Predicate`."""
        flag = self.flag
        return lambda r: flag not in (r["_flags"] or ())

    def words(self) -> str:
        """See `Predicate`."""
        return f"nothing was found that is called {self.flag}"


WHITE_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Unicode's White_Space, `\\s` to polars; to Python `\\s` is four control characters more."""


def python_pattern(pattern: str) -> re.Pattern[str]:
    r"""A regular expression of polars for Python: `$` is the very end, `\s` is Unicode's.

    Raises:
        ValueError: the pattern has a part that Python and polars read differently.
    """
    out: list[str] = []
    in_class = False
    i = 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\" and i + 1 < len(pattern):
            pair = pattern[i : i + 2]
            i += 2
            if pair in (r"\w", r"\W", r"\b", r"\B", r"\S") or pair[1].isdigit():
                raise ValueError(f"`{pair}` in `{pattern}`: list the characters instead")
            if pair in (r"\p", r"\P"):
                raise ValueError(f"`{pair}` in `{pattern}` is not known to Python")
            out.append((WHITE_SPACE if in_class else f"[{WHITE_SPACE}]") if pair == r"\s" else pair)
            continue
        if char == "(" and pattern[i : i + 2] == "(?" and pattern[i : i + 3] != "(?:":
            raise ValueError(f"`{pattern[i : i + 3]}` in `{pattern}`: only `(?:` is allowed")
        if char == "[" and not in_class:
            in_class = True
        elif char == "]" and in_class and out[-1] not in ("[", "^"):
            in_class = False
        out.append(r"\Z" if char == "$" and not in_class else char)
        i += 1
    try:
        return re.compile("".join(out))
    except re.error as error:
        raise ValueError(f"`{pattern}` is no regular expression: {error}") from None


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


def of_check(column: str, name: str, statistics: Mapping[str, Any]) -> Predicate | None:
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


def joined(predicates: Sequence[Predicate]) -> Predicate:
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


def _plain(value: float | int | None) -> str:
    return f"{int(value)}" if isinstance(value, float) and value.is_integer() else str(value)


def _comparable(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value
    return dt.datetime(value.year, value.month, value.day) if isinstance(value, dt.date) else value


def _literal(value: Scalar) -> str:
    return str(value) if isinstance(value, bool | int | float) else quoted(value)
