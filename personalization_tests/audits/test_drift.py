"""What counts as a finding, and what a profile is compared with."""

import datetime as dt
import json
from typing import Any

import pytest
from pydantic import ValidationError

from personalization_assets.audits.drift import check_places, findings, with_reference
from personalization_assets.audits.settings import AuditsSettings
from personalization_assets.errors import UserError

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
        "distinct_values": len(bins),
        "median": None,
        "lag_hours": None,
        "usual_lag_hours": None,
        "bins": json.dumps(bins),
        "as_of": as_of,
    } | more


def compare(then: dict[str, Any], now: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Measure -> finding, of tonight's profile against one of the night before."""
    chosen = AuditsSettings(**settings)
    first = with_reference([then], [], chosen)
    return {f["measure"]: f for f in findings(with_reference([now], first, chosen), chosen)}


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


def test_empty_values_and_lost_rows_are_found() -> None:
    found = compare(
        column(MONDAY, {"a": 1000, "b": 1000}),
        column(MONDAY + DAY, {"a": 400, "b": 400}, rows=1200),
    )
    assert found["nulls"]["level"] == "fail"
    assert found["nulls"]["words"] == "33.3% empty, 0.0% before"
    assert (found["rows"]["column_name"], found["rows"]["level"]) == ("*", "warn")
    assert found["psi"]["level"] == "ok"


def test_labels_that_come_and_go_are_found_and_rare_ones_are_left_to_chance() -> None:
    then = {"paid": 9000, "open": 970, "void": 30}
    found = compare(column(MONDAY, then), column(MONDAY + DAY, {"paid": 9000, "lost": 995, "x": 5}))
    assert found["new_labels"]["level"] == "warn"
    assert found["new_labels"]["words"] == "new: 'lost' (995 rows), 'x' (5 rows)"
    assert found["vanished_labels"]["value"] == pytest.approx(0.097)
    rare = compare(column(MONDAY, then), column(MONDAY + DAY, {**then, "x": 9}))
    assert rare["new_labels"]["level"] == "ok"


def test_the_label_whose_share_moved_most_is_named() -> None:
    then = {"paid": 8000, "open": 1500, "void": 500}
    found = compare(
        column(MONDAY, then), column(MONDAY + DAY, {**then, "paid": 7500, "void": 1000})
    )
    assert [found[m]["level"] for m in ("psi", "label_share")] == ["ok", "warn"]
    assert found["label_share"]["words"] == "'void' is 10.0% of rows, 5.0% before"


def test_the_same_difference_of_shares_is_a_finding_only_where_rows_can_tell() -> None:
    def found(rows: int) -> str:
        then = column(MONDAY, {"a": rows // 2, "b": rows // 2})
        now = column(MONDAY + DAY, {"a": rows * 32 // 100, "b": rows * 68 // 100})
        return str(compare(then, now)["psi"]["level"])

    assert [found(rows) for rows in (100, 10_000)] == ["ok", "warn"]


def test_limits_are_set_for_a_measure_a_column_a_table_or_all() -> None:
    then, now = column(MONDAY, {"a": 5000, "b": 5000}), column(MONDAY + DAY, {"a": 4500, "b": 5500})
    assert compare(then, now)["psi"]["level"] == "ok"
    table, everywhere = {"status": {"psi_warn": 0.009}}, {"*": {"psi_warn": 0.5, "psi_fail": 0.009}}
    closer = compare(then, now, limits={"standardized.orders": table, "*": everywhere})["psi"]
    assert (closer["warn_at"], closer["level"]) == (0.009, "fail")
    assert compare(then, now, ignored_columns=("standardized.orders.status",)).keys() == {"rows"}
    with pytest.raises(ValidationError, match="has no limit psy_warn: did you mean psi_warn"):
        AuditsSettings(limits={"*": {"*": {"psy_warn": 1.0}}})


def test_a_key_that_became_one_value_is_found_though_it_now_passes_for_a_label() -> None:
    keys = column(MONDAY, {}, rows=1000, kind="counted", distinct_values=1000)
    then = keys | {"bins": None, "nulls": 0}
    found = compare(then, column(MONDAY + DAY, {"o1": 1000}))
    assert found["distinct"]["level"] == "fail"


def test_small_tables_are_not_compared_but_for_their_rows() -> None:
    found = compare(column(MONDAY, {"a": 30}), column(MONDAY + DAY, {"b": 30}))
    assert found.keys() == {"rows"}


def test_a_column_that_became_another_kind_starts_anew() -> None:
    then = with_reference([column(MONDAY, {"a": 1000})], [], SETTINGS)
    now = column(MONDAY + DAY, {"8000": 1000}, kind="number")
    assert with_reference([now], then, SETTINGS)[0]["reference_as_of"] is None


def test_a_renamed_column_takes_its_reference_along() -> None:
    then = with_reference([column(MONDAY, {"a": 1000})], [], SETTINGS)
    now = column(MONDAY + DAY, {"a": 1000}, column_name="order_status")
    renamed = {"standardized.orders": {"order_status": "status"}}
    assert with_reference([now], then, SETTINGS, renamed)[0]["reference_as_of"] == MONDAY
    assert with_reference([now], then, SETTINGS)[0]["reference_as_of"] is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"limits": {"standardized.order": {"*": {"ks_warn": 0.1}}}}, "table standardized.order,"),
        ({"limits": {"standardized.orders": {"stat": {"ks_warn": 0.1}}}}, "column stat, which"),
        ({"ignored_columns": ("stat",)}, "column stat, which"),
        ({"ignored_columns": ("orders.status",)}, "table orders, which"),
    ],
)
def test_settings_that_name_what_is_not_there_are_refused(
    settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        check_places([column(MONDAY, {"a": 1})], AuditsSettings(**settings))


def test_settings_may_name_any_profiled_column() -> None:
    limits = {"*": {"status": {"ks_warn": 0.1}}, "standardized.orders": {"*": {"rows_warn": 1.0}}}
    settings = AuditsSettings(limits=limits, ignored_columns=("standardized.orders.status",))
    check_places([column(MONDAY, {"a": 1})], settings)
