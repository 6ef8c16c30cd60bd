"""The history of columns, and how old data usually is."""

import datetime as dt
from typing import Any

import polars as pl

from personalization_assets.audits.contracts import ColumnHistory
from personalization_assets.audits.drift import findings, with_reference
from personalization_assets.audits.settings import AuditsSettings
from personalization_assets.audits.trends import merge_history, usual_lags
from personalization_assets.contracts import contract_of

MONDAY = dt.datetime(2026, 3, 2, 6)
SCHEMA = contract_of(ColumnHistory).schema
PLACE = ("standardized.orders", "ordered_at")


def night(day: int, lag_hours: float, rows: int = 2000) -> dict[str, Any]:
    as_of = MONDAY + dt.timedelta(days=day)
    epoch_day = (as_of - dt.datetime(1970, 1, 1)).days
    days = ",".join(f'"{epoch_day - back}": {rows // 40}' for back in range(40))
    return {
        "table_name": PLACE[0],
        "column_name": PLACE[1],
        "kind": "time",
        "as_of": as_of,
        "rows": rows,
        "nulls": 0,
        "distinct_values": rows,
        "median": None,
        "lag_hours": lag_hours,
        "bins": f'{{"age": {{"1000": {rows}}}, "day": {{{days}}}, "hour": {{"6": {rows}}}}}',
    }


def history(nights: list[dict[str, Any]], keep: int = 400) -> pl.DataFrame:
    merged = pl.DataFrame(schema=SCHEMA)
    for profile in nights:
        merged = merge_history(merged, [profile], profile["as_of"], keep, SCHEMA)
    return merged


def test_a_repeated_night_replaces_its_own_and_old_ones_go() -> None:
    merged = history([night(0, 5), night(1, 6), night(2, 7), night(2, 8)], keep=2)
    assert merged["lag_hours"].to_list() == [6, 8]
    assert contract_of(ColumnHistory).audit(merged).rejected.is_empty()


def test_one_late_night_does_not_become_the_usual() -> None:
    lags = history([night(day, 300 if day == 4 else 10) for day in range(20)])
    tonight = MONDAY + dt.timedelta(days=20)
    assert usual_lags(lags, tonight, runs=28) == {PLACE: 10}
    assert usual_lags(lags, MONDAY, runs=28) == {}  # what comes later is not known yet


def test_data_is_late_beyond_the_usual_where_rows_come_often_enough() -> None:
    def level(lag_hours: float, rows: int) -> str:
        then = with_reference([night(0, 10, rows)], [], AuditsSettings())
        now = night(1, lag_hours, rows) | {"usual_lag_hours": 10.0}
        found = findings(with_reference([now], then, AuditsSettings()), AuditsSettings())
        return next(str(f["level"]) for f in found if f["measure"] == "late")

    assert [level(lag, 2000) for lag in (10, 33, 40, 90)] == ["ok", "ok", "warn", "fail"]
    assert level(40, 120) == "ok"  # three rows a day: a day without one is nothing
