"""Profiles of real DuckDB tables."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from personalization_assets.audits.drift import findings, with_reference
from personalization_assets.audits.profiling import profile_table
from personalization_assets.audits.settings import AuditsSettings

AS_OF = dt.datetime(2026, 3, 2, 6)
SETTINGS = AuditsSettings()

ORDERS = """
CREATE SCHEMA standardized;
CREATE TABLE standardized.orders AS
SELECT
    'o' || i AS order_id,
    'person' || (i % 30) || '@example.com' AS email,
    CASE WHEN i % 10 = 0 THEN NULL WHEN i % 4 = 0 THEN 'cancelled' ELSE 'completed' END AS status,
    CASE WHEN i = 7 THEN 'nan'::DOUBLE ELSE exp((i % 997) / 997 * 5) END AS total_base,
    TIMESTAMP '2026-03-01' - to_days((i % 300)::INTEGER) AS ordered_at,
    DATE '1990-01-01' AS birth_date,
    i % 3 = 0 AS paid,
    ['x', 'y'] AS tags,
    struct_pack(a := i) AS nested,
    'batch' AS _batch_id,
    []::VARCHAR[] AS _flags
FROM range(5000) t(i);
"""


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(ORDERS)
        yield connection


def profile(con: duckdb.DuckDBPyConnection, as_of: dt.datetime = AS_OF) -> dict[str, Any]:
    found = profile_table(con, "standardized.orders", as_of, SETTINGS)
    return {row["column_name"]: row for row in found}


def test_each_kind_of_column_is_measured_its_way(con: duckdb.DuckDBPyConnection) -> None:
    found = profile(con)
    assert {name: row["kind"] for name, row in found.items()} == {
        "order_id": "counted",
        "email": "counted",
        "status": "label",
        "total_base": "number",
        "ordered_at": "time",
        "birth_date": "counted",
        "paid": "label",
        "tags": "counted",
        "nested": "counted",
    }
    assert found["status"]["nulls"] == 500
    assert json.loads(found["status"]["bins"]) == {"cancelled": 1000, "completed": 3500}
    assert found["total_base"]["minimum"] == 1.0
    assert found["total_base"]["maximum"] == pytest.approx(147.7, abs=0.5)
    assert found["ordered_at"]["latest"] == dt.datetime(2026, 3, 1)
    assert found["order_id"]["distinct_values"] == 5000
    assert found["tags"]["distinct_values"] is None


def test_no_value_of_a_personal_or_a_text_column_is_kept(con: duckdb.DuckDBPyConnection) -> None:
    found = profile(con)
    # thirty addresses would pass for labels by their number
    assert found["email"]["distinct_values"] == 30
    text = json.dumps(found, default=str)
    assert "@example.com" not in text
    assert "1990" not in text
    assert "o4999" not in text


def test_text_of_a_tiny_table_is_no_label(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE standardized.tiny AS SELECT unnest(['one', 'two', 'three']) AS note")
    assert profile_table(con, "standardized.tiny", AS_OF, SETTINGS)[0]["kind"] == "counted"


def test_an_empty_table_has_a_profile(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DELETE FROM standardized.orders")
    assert all(row["rows"] == 0 and row["nulls"] == 0 for row in profile(con).values())


def test_the_profile_does_not_depend_on_threads(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("SET threads = 1")
    one = profile(con)
    con.execute("SET threads = 4")
    assert profile(con) == one


def test_a_rise_in_prices_is_found_where_psi_alone_is_blind(
    con: duckdb.DuckDBPyConnection,
) -> None:
    then = with_reference(list(profile(con).values()), [], SETTINGS)
    con.execute("UPDATE standardized.orders SET total_base = total_base * 1.3")
    tomorrow = AS_OF + dt.timedelta(days=1)
    now = with_reference(list(profile(con, tomorrow).values()), then, SETTINGS)
    found = {(f["column_name"], f["measure"]): f["level"] for f in findings(now, SETTINGS)}
    assert found["total_base", "ks"] == "warn"
    assert {name for name, level in found.items() if level != "ok"} <= {
        ("total_base", "ks"),
        ("total_base", "js"),
        ("total_base", "psi"),
        ("total_base", "range"),
    }


def test_moments_are_binned_by_age_day_and_hour_and_have_a_lag(
    con: duckdb.DuckDBPyConnection,
) -> None:
    found = profile(con)["ordered_at"]
    bins = json.loads(found["bins"])
    assert bins["hour"] == {"0": 5000}
    assert sum(bins["day"].values()) == sum(bins["age"].values()) == 5000
    assert found["lag_hours"] == 30.0
    con.execute("INSERT INTO standardized.orders (ordered_at) VALUES ('2030-01-01')")
    assert profile(con)["ordered_at"]["lag_hours"] == 30.0  # a date in the future is not news


def test_whole_numbers_that_never_repeat_are_keys(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "CREATE TABLE standardized.keyed AS SELECT i AS id, i // 2 AS twice FROM range(99) t(i)"
    )
    kinds = [p["kind"] for p in profile_table(con, "standardized.keyed", AS_OF, SETTINGS)]
    assert kinds == ["counted", "number"]


@pytest.mark.parametrize("days", [1, 3, 30])
def test_a_history_that_grows_or_slides_is_no_drift_and_a_moved_clock_is(
    con: duckdb.DuckDBPyConnection, days: int
) -> None:
    """A young shop's rows all grow older, and an extract of the last weeks drops its oldest."""
    hourly = "SELECT TIMESTAMP '2026-01-01' + to_hours((i * i % 12 + 24 * (i // 40))::INTEGER)"

    def night(first: int, last: int, hours: int = 0) -> list[dict[str, Any]]:
        con.execute(
            f"CREATE OR REPLACE TABLE standardized.t AS {hourly} + to_hours({hours}) AS moment"
            f" FROM range({first}, {last}) t(i)"
        )
        as_of = dt.datetime(2026, 1, 1) + dt.timedelta(days=last // 40)
        return profile_table(con, "standardized.t", as_of, SETTINGS)

    then = with_reference(night(0, 2400), [], SETTINGS)
    for first in (0, 40 * days):
        now = with_reference(night(first, 2400 + 40 * days), then, SETTINGS)
        moments = [f for f in findings(now, SETTINGS) if f["column_name"] == "moment"]
        assert {f["level"] for f in moments} == {"ok"}
    moved = with_reference(night(0, 2400 + 40 * days, hours=3), then, SETTINGS)
    assert {f["measure"] for f in findings(moved, SETTINGS) if f["level"] != "ok"} >= {"hours"}
