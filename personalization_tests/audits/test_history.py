"""Run by run memory: runs and schema versions."""

import datetime as dt
import json

from personalization_assets.audits.history import difference, merge_runs, merge_schemas

MONDAY = dt.datetime(2026, 3, 2)
DAY = dt.timedelta(days=1)


def counted(rows: int, content: str) -> dict[str, object]:
    return {
        "table_name": "identity.links",
        "rows": rows,
        "column_count": 6,
        "content_hash": content,
    }


def test_a_repeated_run_adds_nothing() -> None:
    first = merge_runs([], [counted(10, "a")], MONDAY, keep=5)
    assert merge_runs(first, [counted(10, "a")], MONDAY, keep=5) == first
    second = merge_runs(first, [counted(12, "b")], MONDAY + DAY, keep=5)
    assert merge_runs(second, [counted(12, "b")], MONDAY + DAY, keep=5) == second
    assert [(r["rows"], r["rows_before"], r["changed"]) for r in second] == [
        (10, None, True),
        (12, 10, True),
    ]


def test_an_unchanged_table_says_so() -> None:
    first = merge_runs([], [counted(10, "a")], MONDAY, keep=5)
    assert merge_runs(first, [counted(10, "a")], MONDAY + DAY, keep=5)[-1]["changed"] is False


def test_only_the_newest_runs_are_kept() -> None:
    history: list[dict[str, object]] = []
    for day in range(6):
        history = merge_runs(history, [counted(day, str(day))], MONDAY + day * DAY, keep=3)
    assert [row["rows"] for row in history] == [3, 4, 5]


def test_a_new_shape_is_a_new_version_with_its_difference_in_words() -> None:
    before = {"source": "VARCHAR", "points": "BIGINT", "old": "DATE"}
    after = {"source": "VARCHAR", "points": "DOUBLE", "tier": "VARCHAR"}
    table = "standardized.loyalty_members"
    first = merge_schemas([], {table: before}, {table: 1}, MONDAY)
    assert first[0]["difference"] == "first seen"

    again = merge_schemas(first, {table: before}, {table: 1}, MONDAY + DAY)
    assert len(again) == 1
    assert again[0]["last_seen"] == MONDAY + DAY

    changed = merge_schemas(again, {table: after}, {table: 2}, MONDAY + 2 * DAY)
    assert [row["version"] for row in changed] == [1, 2]
    assert changed[1]["difference"] == (
        "added tier VARCHAR; removed old DATE; changed points BIGINT -> DOUBLE; "
        "contract version 1 -> 2"
    )
    assert json.loads(changed[1]["columns"]) == after
    assert merge_schemas(changed, {table: after}, {table: 2}, MONDAY + 2 * DAY) == changed


def test_the_order_of_columns_is_not_part_of_the_shape() -> None:
    first = merge_schemas([], {"a.b": {"x": "DATE", "y": "DATE"}}, {}, MONDAY)
    assert len(merge_schemas(first, {"a.b": {"y": "DATE", "x": "DATE"}}, {}, MONDAY + DAY)) == 1
    assert difference({"x": "DATE"}, {"x": "DATE"}) == ""
