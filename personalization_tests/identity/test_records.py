"""`identity.records` out of the standardized tables, which may all be empty."""

import datetime as dt
from typing import Any

import duckdb
import polars as pl
import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.settings import PROJECT
from personalization_assets.sql_models import read_sql_model
from personalization_assets.standardized import contracts
from personalization_tests.identity.people import RECORDS

TABLES = [getattr(contracts, name) for name in contracts.__all__ if name != "Quarantine"]
MODEL = read_sql_model(PROJECT / "dbt_like_sql" / "identity" / "records.sql")


def made_of(**tables: list[dict[str, Any]]) -> pl.DataFrame:
    """identity.records where the standardized tables hold only these rows."""
    con = duckdb.connect()
    con.execute("CREATE SCHEMA standardized")
    for model in TABLES:
        contract = contract_of(model)
        rows = [{"source": "s", **row} for row in tables.get(contract.table, [])]
        con.register("incoming", pl.DataFrame(rows, schema=contract.schema).to_arrow())
        con.execute(f"CREATE TABLE {contract.name} AS SELECT * FROM incoming")
    frame: pl.DataFrame = con.sql(f"SELECT * FROM ({MODEL.sql}) ORDER BY source, record_id").pl()
    return frame


def test_empty_tables_give_no_records_with_all_columns() -> None:
    frame = made_of()
    assert frame.is_empty()
    assert dict(frame.schema) == RECORDS


def test_orders_give_one_record_per_account_with_the_latest_values() -> None:
    def order(day: int, **values: Any) -> dict[str, Any]:
        at = dt.datetime(2026, 1, day)
        return {"order_id": str(day), "record_id": "shop:7", "ordered_at": at, **values}

    frame = made_of(
        orders=[
            order(1, given_name="Ann", street="Old road 1", postcode="1", email="a@mail.example"),
            order(3, given_name="Anna", account_key="shop:7"),
            order(2, street="New road 2", postcode=None),
        ]
    )
    row = frame.row(0, named=True)
    assert frame.height == 1
    assert (row["given_name"], row["email"]) == ("Anna", "a@mail.example")
    assert (row["street"], row["postcode"]) == ("New road 2", None)
    assert row["updated_at"] == dt.datetime(2026, 1, 3)


def test_tables_of_one_source_that_speak_of_one_record_make_one_row() -> None:
    event = {"record_id": "shop:7", "account_key": "shop:7", "event_name": "login"}
    frame = made_of(
        orders=[{"order_id": "1", "record_id": "shop:7", "account_key": "shop:7", "email": "e"}],
        web_events=[
            {**event, "event_id": str(i), "device_id": d, "occurred_at": dt.datetime(2026, 1, 1, i)}
            for i, d in enumerate(["phone", "desk", "desk", None])
        ],
    )
    assert frame.select("entity", "email", "device_id").rows() == [("orders", "e", "desk")]


@pytest.mark.parametrize(
    ("full", "given", "family"),
    [
        ("Anna Schmidt", "Anna", "Schmidt"),
        ("Schmidt, Anna Maria", "Anna Maria", "Schmidt"),
        ("Anna Maria Schmidt", "Anna Maria", "Schmidt"),
        ("Ludwig van der Berg", "Ludwig", "van der Berg"),
        ("Madonna", "Madonna", None),
    ],
)
def test_a_full_name_is_split(full: str, given: str, family: str | None) -> None:
    row = made_of(crm_contacts=[{"record_id": "1", "full_name": full}]).row(0, named=True)
    assert (row["given_name"], row["family_name"]) == (given, family)
