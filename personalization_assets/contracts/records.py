"""The verdict on a single record, for what arrives one by one: the same as on a batch, at once.

A record is a dict as JSON gives it: text, numbers, true and false, lists, null; times and dates as
ISO 8601 text. `RecordValidator` reads and judges one; `read_records` reads many into a frame for
`Contract.audit`. Both read values with the same functions, and both judge by the same predicates,
so a record that is taken at the door is not rejected at night.

Rules that need other rows (a repeated key) or that a check in Python judges are the batch's alone;
`RecordValidator.unjudged` names them.
"""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from personalization_assets.contracts.contract import FAILED_CASTS, Contract
from personalization_assets.contracts.predicates import NotFlagged, Record

WHOLE = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
INT64 = range(-(2**63), 2**63)

Reader = Callable[[Any], Any]
"""Gives the value in the column's type, or raises ValueError. Never gets None."""


@dataclass(frozen=True, slots=True)
class RecordVerdict:
    """`reasons`: errors, alphabetical; none for a record that may go on. `values`: as read.

    `values` has every column of the contract, and in `_flags`, where the table has it, the
    warnings.
    """

    reasons: tuple[str, ...]
    flags: tuple[str, ...]
    values: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether the record may go on."""
        return not self.reasons


class RecordValidator:
    """Judges records of one table. Make it once; `judge` takes tens of microseconds.

    `given` are values that the door knows and the record does not say, such as `source`.
    """

    def __init__(self, contract: Contract, given: Mapping[str, Any] | None = None) -> None:
        self.contract = contract
        self._given = dict(given or {})
        self._readers = [(name, reader_of(dtype)) for name, dtype in contract.schema.items()]
        self._has_flags = "_flags" in contract.schema
        rules = [(r, r.predicate) for r in contract.rules if r.predicate is not None]
        self._rules = [(r.name, r.severity == "error", p.record()) for r, p in rules]
        self._severities = {r.name: r.severity for r in contract.rules}
        # These stand in `_flags` already.
        self._said = {r.name for r, p in rules if isinstance(p, NotFlagged)}
        known = {r.name for r, _ in rules} | {f"{name}.type" for name in contract.schema}
        self.unjudged = tuple(r.name for r in contract.rules if r.name not in known)

    def judge(self, record: Record) -> RecordVerdict:
        """Read and judge a record; names that the contract does not have are left out."""
        given = self._given
        values: dict[str, Any] = {}
        reasons: list[str] = []
        flags: list[str] = []
        for name, read in self._readers:
            values[name], failed = _read(read, name, record, given)
            if failed:
                rule = f"{name}.type"
                warns = self._severities.get(rule) == "warning"
                (flags if warns else reasons).append(rule)
        if self._has_flags and values["_flags"] is None:
            values["_flags"] = []
        for rule, fatal, keeps in self._rules:
            if not keeps(values):
                if fatal:
                    reasons.append(rule)
                elif rule not in self._said:
                    flags.append(rule)
        if self._has_flags and flags:
            flags.sort()
            values["_flags"] = list(dict.fromkeys([*values["_flags"], *flags]))
        reasons.sort()
        return RecordVerdict(tuple(reasons), tuple(flags), values)


def read_records(
    contract: Contract, records: Iterable[Record], given: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """Records as a frame of the contract for `Contract.audit`, one row each, in their order."""
    given, records = given or {}, list(records)
    failed: list[list[str]] = [[] for _ in records]
    columns: dict[str, pl.Series] = {}
    for name, dtype in contract.schema.items():
        read = reader_of(dtype)
        values: list[Any] = []
        for number, record in enumerate(records):
            value, unreadable = _read(read, name, record, given)
            if unreadable:
                failed[number].append(name)
            values.append([] if value is None and name == "_flags" else value)
        columns[name] = pl.Series(name, values, dtype=dtype)
    return pl.DataFrame(columns).with_columns(
        pl.Series(FAILED_CASTS, failed, dtype=pl.List(pl.String))
    )


def _read(read: Reader, name: str, record: Record, given: Record) -> tuple[Any, bool]:
    """The value of a column, and whether what stands there could not be read."""
    value = record[name] if name in record else given.get(name)
    if value is None:
        return None, False
    try:
        return read(value), False
    except ValueError:
        return None, True


def reader_of(dtype: pl.DataType) -> Reader:
    """What reads a JSON value into a column's type.

    Raises:
        ValueError: the type has no form in JSON.
    """
    if isinstance(dtype, pl.List) and dtype.inner == pl.String:
        return _texts
    simple: list[tuple[Any, Reader]] = [
        (pl.String, _text),
        (pl.Int64, _whole),
        (pl.Float64, _number),
        (pl.Boolean, _boolean),
        (pl.Date, _day),
        (pl.Datetime, _moment),
    ]
    for kind, read in simple:
        if dtype == kind:
            return read
    raise ValueError(f"a record cannot hold polars {dtype}")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError
    if not value.isascii():
        value.encode()  # half a character (a lone surrogate) is no text
    return value


def _texts(value: Any) -> list[str | None]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return [None if v is None else _text(v) for v in value]


def _whole(value: Any) -> int:
    if type(value) is not int:
        written = type(value) is str and WHOLE.fullmatch(value)
        if not written and not (type(value) is float and value.is_integer()):
            raise ValueError
        value = int(value)
    if value not in INT64:
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if type(value) is float:
        number = value
    elif type(value) is int or (type(value) is str and NUMBER.fullmatch(value)):
        try:
            number = float(value)
        except OverflowError:
            raise ValueError from None
    else:
        raise ValueError
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    if value == "true":
        return True
    if value == "false":
        return False
    raise ValueError


def _day(value: Any) -> dt.date:
    if type(value) is dt.date:
        return value
    if type(value) is not str or not DAY.fullmatch(value):
        raise ValueError
    return dt.date.fromisoformat(value)


def _moment(value: Any) -> dt.datetime:
    """Naive UTC; a time that names no zone is in UTC."""
    if type(value) is str and MOMENT.fullmatch(value):
        value = dt.datetime.fromisoformat(value)
    if type(value) is not dt.datetime:
        raise ValueError
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError from None
