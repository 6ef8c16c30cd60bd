"""A contract must reject, flag and keep the right rows, and say so in the names users will read."""

import pandera.polars as pa
import polars as pl
import pytest

from personalization_assets.contracts import contract_of


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
