"""One record at the door gets the verdict that it would get in a batch at night."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.contracts import Contract
from personalization_assets.contracts.overrides import ContractSettings, RuleSettings
from personalization_assets.contracts.records import RecordValidator, read_records, reader_of
from personalization_assets.standardized.entities import SourceContext, standardise
from personalization_assets.standardized.in_force import contracts_in_force
from personalization_assets.standardized.settings import StandardizedSettings

CORPUS = Path(__file__).parent / "records.ndjson"
"""Good, bad and odd records as JSON, one per line: table, record, and what must be said of it."""

DOOR = {"source": "shop", "_batch_id": "b", "_row_key": "b:1"}

CONTRACTS = contracts_in_force(StandardizedSettings())
STRICTER = contracts_in_force(
    StandardizedSettings(
        contracts={
            "crm_contacts": ContractSettings(
                rules={
                    "email.type": RuleSettings(severity="error"),
                    "contact.reachable": RuleSettings(severity="warning"),
                    "gender.unknown": RuleSettings(severity="off"),
                }
            )
        }
    )
)
VALUES: list[Any] = [
    None, "", " ", "a", "A", "DE", "EUR", "EUR\n", "de", "a@b.de", "a@b", "+4917012345",
    "completed", "web", "female", 0, 1, -1, 1.5, 3.0, -0.0, 10**6, 10**7 + 1, 2**63, 2**64,
    1e308, "1e309", float("nan"), float("inf"), "12", "-7", "1.", ".5", "1,5", "1_000", "٣", "0x1f",
    True, False, "true", "TRUE", "2026-01-01", "2026-02-30", "2026-01-01T10:00:00Z",
    "2026-01-01 10:00",
    "2026-01-01T10:00:00.123456+02:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "20260101", "2026-W01-1", [], ["a"], ["a", None], [1], {}, {"a": 1}, "x" * 300,
    "\ud800", "\x00",
]  # fmt: skip
"""What somebody may send for any column at all."""


def plausible(contract: Contract) -> dict[str, Any]:
    """A record with something of the right type in every column that must be filled."""
    by_type: dict[Any, Any] = {
        pl.String: "EUR",
        pl.Int64: 1,
        pl.Float64: 1.0,
        pl.Boolean: True,
        pl.Date: "2000-01-01",
        pl.Datetime: "2026-01-01T00:00:00Z",
    }
    return {
        column.name: next(v for kind, v in by_type.items() if column.dtype == kind)
        for column in contract.columns
        if not column.nullable and column.name not in {*DOOR, "_flags"}
    }


def by_batch(contract: Contract, records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Reasons and row of every record, as the night's audit gives them."""
    frame = read_records(contract, records, DOOR).with_row_index("n")
    audit = contract.audit(frame)
    reasons = dict(audit.rejected.select("n", "reasons").iter_rows())
    accepted = audit.accepted.iter_rows(named=True)
    # Rows that repeat a key are the batch's own to find.
    found = [[r for r in reasons.get(n, []) if r != "key.unique"] for n in range(len(records))]
    return [(tuple(said), None if n in reasons else next(accepted)) for n, said in enumerate(found)]


def same_verdicts(contract: Contract, records: list[dict[str, Any]]) -> None:
    validator = RecordValidator(contract, DOOR)
    assert set(validator.unjudged) == {"key.unique"}
    for record, (reasons, row) in zip(records, by_batch(contract, records), strict=True):
        verdict = validator.judge(record)
        assert verdict.reasons == reasons, (contract.name, record)
        if row is not None:
            assert verdict.values == row, (contract.name, record)


@pytest.mark.parametrize("contract", [*CONTRACTS.values(), STRICTER["crm_contacts"]])
def test_every_odd_value_in_every_column(contract: Contract) -> None:
    plain = plausible(contract)
    names = [name for name in contract.schema if name not in DOOR]
    same_verdicts(contract, [plain | {name: value} for name in names for value in VALUES])


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_random_records(data: st.DataObject) -> None:
    contract = data.draw(st.sampled_from(sorted(CONTRACTS.values(), key=lambda c: c.name)))
    keys = st.sampled_from(sorted({*contract.schema, "unheard_of"}))
    anything = st.sampled_from(VALUES) | st.text(max_size=5) | st.floats() | st.integers()
    records = data.draw(st.lists(st.dictionaries(keys, anything), min_size=1, max_size=10))
    for record in records:
        record.pop("_flags", None)
    same_verdicts(contract, [plausible(contract) | record for record in records])


@pytest.mark.parametrize("line", CORPUS.read_text(encoding="utf-8").splitlines())
def test_the_corpus(line: str) -> None:
    case = json.loads(line)
    contract = CONTRACTS[case["table"]]
    verdict = RecordValidator(contract, DOOR).judge(case["record"])
    assert list(verdict.reasons) == case.get("reasons", []), case["why"]
    assert list(verdict.flags) == case.get("flags", []), case["why"]
    same_verdicts(contract, [case["record"]])


def test_rows_that_the_room_has_read_are_judged_the_same() -> None:
    raw = pl.DataFrame(
        {
            "contact_id": ["1", "2", "", "4", "5"],
            "given_name": ["Ada", "Ada", "Ada", "", ""],
            "email": ["ADA@x.example", "no address", "", "", ""],
            "gender": ["Frau?", "female", "", "", ""],
            "birth_date": ["01.02.1980", "31.02.1980", "01.01.1850", "", ""],
            "phone": ["", "", "", "12", "0170 1234567"],
            "_batch_id": ["b"] * 5,
            "_row_key": [f"b:{n}" for n in range(5)],
        }
    )
    source = SourceContext("shop", "Europe/Berlin", "dmy", "EUR", "DE", "shop")
    frame = standardise("crm_contacts", raw, source, dt.datetime(2026, 11, 1), "EUR")
    contract = CONTRACTS["crm_contacts"]
    read = frame.filter(pl.col("_failed_casts").list.len() == 0).drop("_failed_casts")
    audit = contract.audit(read.with_row_index("n"))
    reasons = dict(audit.rejected.select("n", "reasons").iter_rows())
    validator = RecordValidator(contract)
    for n, row in enumerate(read.iter_rows(named=True)):
        assert validator.judge(row).reasons == tuple(reasons.get(n, ())), n
    assert reasons


def test_a_column_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="a record cannot hold polars Binary"):
        reader_of(pl.Binary())
