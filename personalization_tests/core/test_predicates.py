"""A rule must say the same of a value whether polars, DuckDB, Pandera or one record is asked."""

import datetime as dt
import math
from functools import cache
from typing import Any

import duckdb
import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.contracts import contract_of
from personalization_assets.contracts.patterns import python_pattern
from personalization_assets.contracts.predicates import (
    AtLeastOne,
    Differs,
    InOrder,
    Known,
    Length,
    NotFlagged,
    NotNull,
    Pattern,
    Predicate,
    Range,
    changed,
)
from personalization_assets.standardized.contracts.base import (
    COUNTRY_PATTERN,
    EMAIL_PATTERN,
    PHONE_PATTERN,
)

NUMBERS = st.none() | st.floats(width=32) | st.integers(-10, 10).map(float)
TEXTS = (
    st.none()
    | st.text(st.characters(codec="utf-8"), max_size=6)
    | st.sampled_from(
        [
            "a@b.de",
            "a\n",
            "DE",
            "DE\n",
            "\x1c",
            "a\x1cb@x.de",
            "a\u2028@b.c.d",
            "+4917012345",
            "ä" * 5,
        ]
    )
)
DAYS = st.none() | st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 5))
FLAGS = st.none() | st.lists(st.sampled_from(["a.b", "c.d"]), max_size=2)


SOME = settings(max_examples=40)


@cache
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def verdicts(predicate: Predicate, frame: pl.DataFrame) -> dict[str, list[bool]]:
    """Row by row, by each way of asking, with nothing known counted as kept."""
    con = connection()
    con.register("rows_in", frame.with_row_index("_n").to_arrow())
    in_duckdb: pl.DataFrame = con.sql(
        f"SELECT coalesce({predicate.sql()}, true) AS kept FROM rows_in ORDER BY _n"
    ).pl()
    con.unregister("rows_in")
    record = predicate.record()
    return {
        "polars": frame.select(k=predicate.polars().fill_null(value=True))["k"].to_list(),
        "duckdb": in_duckdb["kept"].to_list(),
        "record": [record(row) for row in frame.iter_rows(named=True)],
    }


def agree(predicate: Predicate, frame: pl.DataFrame) -> list[bool]:
    found = verdicts(predicate, frame)
    assert found["polars"] == found["record"], predicate
    assert found["polars"] == found["duckdb"], predicate
    return found["polars"]


def kept_by_pandera(field: Any, annotation: Any, frame: pl.DataFrame) -> list[bool]:
    model = type("Model", (pa.DataFrameModel,), {"__annotations__": {"v": annotation}, "v": field})
    try:
        model.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        broken = set(error.failure_cases["index"].to_list())
        return [n not in broken for n in range(frame.height)]
    return [True] * frame.height


@SOME
@given(
    values=st.lists(NUMBERS, min_size=1, max_size=8),
    low=st.none() | st.integers(-3, 0),
    high=st.none() | st.integers(1, 3) | st.just(2.5),
    above=st.booleans(),
    below=st.booleans(),
)
def test_ranges(
    values: list[float | None], low: int | None, high: float | None, above: bool, below: bool
) -> None:
    frame = pl.DataFrame({"v": pl.Series(values, dtype=pl.Float64)})
    kept = agree(Range("v", low, high, above, below), frame)
    checks = {}
    if low is not None:
        checks["gt" if above else "ge"] = low
    if high is not None:
        checks["lt" if below else "le"] = high
    field = pa.Field(nullable=True, **checks)
    # Pandera may not see NaN as a value; everything else it judges as we do.
    numbers = [n for n, v in enumerate(values) if v is None or not math.isnan(v)]
    pandera = kept_by_pandera(field, float, frame)
    assert [kept[n] for n in numbers] == [pandera[n] for n in numbers]


@SOME
@given(values=st.lists(TEXTS, min_size=1, max_size=8))
@pytest.mark.parametrize("pattern", [EMAIL_PATTERN, PHONE_PATTERN, COUNTRY_PATTERN, r"\s", "a|b$"])
def test_patterns(pattern: str, values: list[str | None]) -> None:
    frame = pl.DataFrame({"v": pl.Series(values, dtype=pl.String)})
    kept = agree(Pattern("v", pattern), frame)
    assert kept == kept_by_pandera(pa.Field(nullable=True, str_matches=pattern), str, frame)


@SOME
@given(values=st.lists(TEXTS, min_size=1, max_size=8), low=st.integers(0, 2))
def test_texts(values: list[str | None], low: int) -> None:
    frame = pl.DataFrame({"v": pl.Series(values, dtype=pl.String)})
    lengths = {"min_value": low, "max_value": 3}
    assert agree(Length("v", low, 3), frame) == kept_by_pandera(
        pa.Field(nullable=True, str_length=lengths), str, frame
    )
    known = ["DE", "a\n", "it's"]
    assert agree(Known("v", tuple(known)), frame) == kept_by_pandera(
        pa.Field(nullable=True, isin=known), str, frame
    )
    agree(Differs("v", "DE"), frame)
    assert agree(NotNull("v"), frame) == kept_by_pandera(pa.Field(), str, frame)


@SOME
@given(rows=st.lists(st.tuples(DAYS, DAYS, FLAGS), min_size=1, max_size=6))
def test_rules_about_a_whole_row(rows: list[tuple[Any, Any, Any]]) -> None:
    frame = pl.DataFrame(
        rows,
        schema={"a": pl.Datetime("us"), "b": pl.Datetime("us"), "_flags": pl.List(pl.String)},
        orient="row",
    )
    assert agree(InOrder("a", "b"), frame) == [a is None or b is None or a <= b for a, b, _ in rows]
    assert agree(AtLeastOne(("a", "b")), frame) == [
        a is not None or b is not None for a, b, _ in rows
    ]
    assert agree(NotFlagged("a.b"), frame) == ["a.b" not in (f or []) for _, _, f in rows]


def test_a_day_and_a_moment_are_in_order() -> None:
    frame = pl.DataFrame(
        {
            "day": [dt.date(2020, 1, 2), dt.date(2020, 1, 2)],
            "moment": [dt.datetime(2020, 1, 2), dt.datetime(2020, 1, 1, 23)],
        }
    )
    assert agree(InOrder("day", "moment"), frame) == [True, False]


def test_two_bounds_are_one_range() -> None:
    class Model(pa.DataFrameModel):
        """A number."""

        v: float = pa.Field(gt=0, le=9)

        class Config:
            metadata = {"room": "r"}  # noqa: RUF012

    assert [r.predicate for r in contract_of(Model).rules if r.name == "v.range"] == [
        Range("v", 0, 9, above_min=True)
    ]


@pytest.mark.parametrize("pattern", [r"\w+", r"a(?=b)", r"(a)\1", r"\bx", r"\p{L}", "(", r"(?i)a"])
def test_what_engines_read_differently_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"in `|regular expression"):
        python_pattern(pattern)


def test_parameters_are_checked() -> None:
    assert changed(Range("v", 0, 5), {"max": 10}) == Range("v", 0, 10)
    with pytest.raises(ValueError, match="has no parameter maximum: it has min, max"):
        changed(Range("v", 0, 5), {"maximum": 10})
    with pytest.raises(ValueError, match="min 7 lies above max 5"):
        changed(Range("v", 0, 5), {"min": 7})
