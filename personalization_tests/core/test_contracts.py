"""A contract must reject, flag and keep the right rows, and say so in the names users will read."""

from collections import Counter
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.contracts import contract_of, frame_rule
from personalization_assets.contracts.predicates import InOrder


class Visits(pa.DataFrameModel):
    """One visit of a customer."""

    visit_id: str = pa.Field(description="Id of the visit")
    age: int = pa.Field(ge=0, le=120, nullable=True, description="Age", metadata={"unit": "years"})
    kind: str = pa.Field(isin=["shop", "web"], description="Where")
    flags: pl.List(pl.String) = pa.Field(nullable=True, alias="_flags", description="Warnings")  # type: ignore[valid-type]

    class Config:
        name = "visits"
        metadata = {  # noqa: RUF012
            "room": "standardized",
            "key": ["visit_id"],
            "grain": "one row per visit",
            "warnings": ["age.range"],
            "reject_limit": 0.5,
            "reported": {"age.type": "age is a whole number"},
        }


def frame(**columns: list[object]) -> pl.DataFrame:
    rows = len(columns["visit_id"])
    return pl.DataFrame(
        {"age": [30] * rows, "kind": ["shop"] * rows, **columns},
        schema_overrides={"age": pl.Int64, "_flags": pl.List(pl.String)},
    ).with_columns(_flags=pl.lit([], dtype=pl.List(pl.String)))


def test_rows_are_kept_flagged_or_rejected_with_reasons() -> None:
    audit = contract_of(Visits).audit(
        frame(
            visit_id=["a", "b", None, "d", "d"],
            age=[30, 200, 30, 30, 31],
            kind=["shop", "web", "shop", "moon", "shop"],
        )
    )
    assert audit.accepted["visit_id"].to_list() == ["a", "b"]
    assert audit.accepted["_flags"].to_list() == [[], ["age.range"]]
    assert audit.rejected["reasons"].to_list() == [
        ["visit_id.required"],
        ["kind.known"],
        ["key.unique"],
    ]
    assert audit.failures["age.range"] == 1


def test_a_failed_cast_becomes_a_reason() -> None:
    rows = frame(visit_id=["a", "b"]).with_columns(
        _failed_casts=pl.Series([[], ["age"]], dtype=pl.List(pl.String))
    )
    audit = contract_of(Visits).audit(rows)
    assert audit.rejected["reasons"].to_list() == [["age.type"]]


def test_a_frame_without_a_column_of_the_contract_is_named() -> None:
    with pytest.raises(ValueError, match=r"standardized\.visits lacks the column\(s\) kind"):
        contract_of(Visits).audit(frame(visit_id=["a"]).drop("kind"))


def test_an_empty_frame_passes() -> None:
    audit = contract_of(Visits).audit(contract_of(Visits).empty())
    assert (audit.accepted.height, audit.rejected.height) == (0, 0)
    assert set(audit.failures.values()) == {0}


def test_the_contract_says_what_its_model_says() -> None:
    contract = contract_of(Visits)
    assert [c.duckdb_type for c in contract.columns] == [
        "VARCHAR",
        "BIGINT",
        "VARCHAR",
        "VARCHAR[]",
    ]
    severities = {r.name: r.severity for r in contract.rules}
    assert severities["age.range"] == "warning"
    assert severities["key.unique"] == "error"
    assert next(c for c in contract.columns if c.name == "age").unit == "years"


class Wide(pa.DataFrameModel):
    """Rules of every kind, two of them written in Python."""

    key: str = pa.Field(description="Key")
    code: str = pa.Field(nullable=True, str_matches="^[A-C]$", description="Code")
    kind: str = pa.Field(nullable=True, isin=["x", "y"], description="Kind")
    low: float = pa.Field(nullable=True, ge=0, lt=5, description="Low")
    high: float = pa.Field(nullable=True, description="High")
    flags: pl.List(pl.String) = pa.Field(alias="_flags", description="Warnings")  # type: ignore[valid-type]

    ordered = frame_rule("low.order", "low is not above high", InOrder("low", "high"))

    @pa.check("high", name="even")
    @classmethod
    def high_is_even(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col(data.key) % 2 == 0)

    @pa.dataframe_check(name="not.both", error="a and b", description="not both")
    @classmethod
    def not_both(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(
            ((pl.col("code") != "A") | (pl.col("kind") != "y")).fill_null(value=True)
        )

    class Config:
        name = "wide"
        metadata = {  # noqa: RUF012
            "room": "standardized",
            "key": ["key"],
            "warnings": ["kind.known", "low.order", "not.both"],
            "reject_limit": 1.0,
        }


def text(*values: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


WIDE_ROWS = st.lists(
    st.tuples(
        text("a", "b", "c", "d", "e"),
        text("A", "B", "D", "a"),
        text("x", "y", "z", "u", "v", "w", "t", "s", "r"),
        st.none() | st.sampled_from([-1.0, 0.0, 2.0, 5.0]),
        st.none() | st.sampled_from([1.0, 2.0, 4.0]),
        st.lists(st.sampled_from(["old", "low.order"]), max_size=1),
    ),
    max_size=12,
)


@given(rows=WIDE_ROWS)
@settings(max_examples=60)
def test_the_audit_says_of_every_row_what_pandera_says(rows: list[tuple[Any, ...]]) -> None:
    contract = contract_of(Wide)
    rows_in = pl.DataFrame(rows, schema=contract.schema, orient="row").with_row_index("n")
    audit = contract.audit(rows_in)
    expected: list[set[str]] = [set() for _ in rows]
    try:
        Wide.validate(rows_in.drop("n"), lazy=True)
    except pa.errors.SchemaErrors as error:
        names = {"not_nullable": "required", "str_matches": "pattern", "isin": "known"}
        names |= {"greater_than_or_equal_to": "range", "less_than": "range"}
        for case in error.failure_cases.iter_rows(named=True):
            check = case["check"].split("(")[0]
            whole = case["schema_context"] != "Column"
            rule = "not.both" if check == "a and b" else check
            expected[case["index"]].add(
                rule if whole else f"{case['column']}.{names.get(check, check)}"
            )
    seen: set[str] = set()
    for n, row in enumerate(rows):
        if row[0] is not None and row[0] in seen:
            expected[n].add("key.unique")
        seen.add(row[0])
    warnings = {r.name for r in contract.rules if r.severity == "warning"}
    reasons = dict(audit.rejected.select("n", "reasons").iter_rows())
    assert [set(reasons.get(n, [])) for n in range(len(rows))] == [e - warnings for e in expected]
    kept = [n for n, e in enumerate(expected) if not e - warnings]
    assert audit.accepted.rows() == [
        (*rows[n][:5], list(dict.fromkeys([*rows[n][5], *sorted(expected[n] & warnings)])))
        for n in kept
    ]
    counts = Counter(rule for broken in expected for rule in broken)
    assert {name: n for name, n in audit.failures.items() if n} == counts
