"""Distances between profiles: known values, properties, and the choice of the reference."""

import datetime as dt
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_assets.audits.drift import (
    findings,
    js_distance,
    ks_distance,
    psi,
    with_reference,
)
from personalization_assets.audits.settings import AuditsSettings

MONDAY = dt.datetime(2026, 3, 2)
DAY = dt.timedelta(days=1)
SETTINGS = AuditsSettings()


def column(as_of: dt.datetime, bins: dict[str, int], **more: Any) -> dict[str, Any]:
    rows = more.pop("rows", sum(bins.values()))
    return {
        "table_name": "standardized.orders",
        "column_name": "status",
        "kind": "label",
        "rows": rows,
        "nulls": rows - sum(bins.values()),
        "bins": json.dumps(bins),
        "as_of": as_of,
    } | more


def test_distances_have_their_textbook_values() -> None:
    assert js_distance([10, 0], [0, 10]) == pytest.approx(1.0)
    assert ks_distance([10, 0, 10], [0, 20, 0]) == pytest.approx(0.5)
    # (0.6-0.5) ln(0.6/0.5) + (0.4-0.5) ln(0.4/0.5); half a row is nothing among so many
    expected = 0.1 * math.log(1.2) - 0.1 * math.log(0.8)
    assert psi([5_000_000, 5_000_000], [6_000_000, 4_000_000]) == pytest.approx(expected, rel=1e-5)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=30).filter(any))
def test_a_histogram_is_at_no_distance_from_itself_and_its_double(bins: list[int]) -> None:
    twice = [2 * n for n in bins]
    assert psi(bins, bins) == 0
    assert js_distance(bins, twice) == pytest.approx(0, abs=1e-7)
    assert ks_distance(bins, twice) == pytest.approx(0, abs=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=30
    ).filter(lambda pairs: any(a for a, _ in pairs) and any(b for _, b in pairs))
)
def test_distances_stay_in_their_bounds(pairs: list[tuple[int, int]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    assert psi(one, other) >= 0
    assert 0 <= js_distance(one, other) <= 1 + 1e-9
    assert js_distance(one, other) == pytest.approx(js_distance(other, one))
    assert 0 <= ks_distance(one, other) <= 1


def test_the_first_run_has_no_reference_and_no_findings() -> None:
    first = with_reference([column(MONDAY, {"completed": 1000})], [], SETTINGS)
    assert first[0]["reference_as_of"] is None
    assert findings(first, SETTINGS) == []


def test_the_reference_is_kept_until_it_is_old_so_that_slow_drift_adds_up() -> None:
    profiles: list[dict[str, Any]] = []
    taken = []
    for day in range(10):
        shift = 20 * day  # two points a day: never a finding from one day to the next
        today = [column(MONDAY + day * DAY, {"completed": 900 - shift, "cancelled": 100 + shift})]
        profiles = with_reference(today, profiles, SETTINGS)
        taken.append(profiles[0]["reference_as_of"])
        if day == 6:
            assert {f["measure"]: f["level"] for f in findings(profiles, SETTINGS)}["psi"] == "warn"
    assert taken[0] is None
    assert set(taken[1:7]) == {MONDAY}
    assert taken[8] == MONDAY + 6 * DAY


def test_a_repeated_run_is_compared_with_what_it_was_compared_with_before() -> None:
    first = with_reference([column(MONDAY, {"a": 600, "b": 400})], [], SETTINGS)
    tuesday = [column(MONDAY + DAY, {"a": 100, "b": 900})]
    once = with_reference(tuesday, first, SETTINGS)
    assert with_reference(tuesday, once, SETTINGS) == once
    assert once[0]["reference_as_of"] == MONDAY


def test_a_run_for_an_earlier_time_does_not_look_into_its_future() -> None:
    later = with_reference([column(MONDAY + 9 * DAY, {"a": 600})], [], SETTINGS)
    earlier = with_reference([column(MONDAY, {"a": 600})], later, SETTINGS)
    assert earlier[0]["reference_as_of"] is None


def test_vanished_values_and_rows_are_found() -> None:
    then = with_reference([column(MONDAY, {"a": 1000, "b": 1000})], [], SETTINGS)
    now = column(MONDAY + DAY, {"a": 400, "b": 400}, rows=1200)
    found = {f["measure"]: f for f in findings(with_reference([now], then, SETTINGS), SETTINGS)}
    assert found["nulls"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["nulls"]["level"] == "fail"
    assert found["rows"]["column_name"] == "*"
    assert found["rows"]["level"] == "warn"
    assert found["psi"]["level"] == "ok"


def test_small_tables_are_not_compared() -> None:
    then = with_reference([column(MONDAY, {"a": 30})], [], SETTINGS)
    now = with_reference([column(MONDAY + DAY, {"b": 30})], then, SETTINGS)
    assert findings(now, SETTINGS) == []


def test_a_column_that_became_another_kind_starts_anew() -> None:
    then = with_reference([column(MONDAY, {"a": 1000})], [], SETTINGS)
    now = column(MONDAY + DAY, {"1000": 1000}, kind="number")
    assert with_reference([now], then, SETTINGS)[0]["reference_as_of"] is None
