"""Run by run memory: runs and schema versions."""

import datetime as dt
import json

from personalization_assets.audits.history import About, merge_runs, merge_schemas, merge_use

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
    after = {"tier": "VARCHAR", "source": "VARCHAR", "points": "DOUBLE"}
    table = "standardized.loyalty_members"
    first = merge_schemas([], {table: before}, {table: About(1)}, MONDAY)
    assert first[0]["difference"] == "first seen"

    again = merge_schemas(first, {table: before}, {table: About(1)}, MONDAY + DAY)
    assert len(again) == 1
    assert again[0]["last_seen"] == MONDAY + DAY

    now = {table: About(2, nullable={"tier": False, "source": True}, read_by=("a.b",))}
    changed = merge_schemas(again, {table: after}, now, MONDAY + 2 * DAY)
    assert [row["version"] for row in changed] == [1, 2]
    assert changed[1]["difference"] == (
        "added mandatory tier VARCHAR; widened points BIGINT -> DOUBLE; dropped old DATE; "
        "contract version 1 -> 2"
    )
    assert (changed[1]["compatibility"], changed[1]["compatible"]) == ("none", False)
    assert changed[1]["read_by"] == ["a.b"]
    assert json.loads(changed[1]["columns"])[0] == {
        "name": "tier",
        "type": "VARCHAR",
        "nullable": False,
    }
    assert merge_schemas(changed, {table: after}, now, MONDAY + 2 * DAY) == changed


def test_a_contract_that_only_changes_what_may_be_empty_is_a_new_version() -> None:
    shape = {"a.b": {"x": "DATE"}}
    first = merge_schemas([], shape, {"a.b": About(1, nullable={"x": False})}, MONDAY)
    found = merge_schemas(first, shape, {"a.b": About(1, nullable={"x": True})}, MONDAY + DAY)
    assert (found[1]["difference"], found[1]["compatibility"]) == ("x may be empty now", "backward")


def test_the_order_of_columns_is_not_part_of_the_shape() -> None:
    first = merge_schemas([], {"a.b": {"x": "DATE", "y": "DATE"}}, {}, MONDAY)
    assert len(merge_schemas(first, {"a.b": {"y": "DATE", "x": "DATE"}}, {}, MONDAY + DAY)) == 1


def test_a_history_of_before_there_was_nullability_goes_on() -> None:
    old = {
        "table_name": "a.b",
        "version": 1,
        "fingerprint": "0" * 16,
        "contract_version": 1,
        "columns": '{"x": "DATE"}',
        "difference": "first seen",
        "first_seen": MONDAY,
        "last_seen": MONDAY,
    }
    about = {"a.b": About(1, nullable={"x": False})}
    (row,) = merge_schemas([old], {"a.b": {"x": "DATE"}}, about, MONDAY + DAY)
    assert json.loads(row["columns"])[0]["nullable"] is False
    assert (row["version"], row["last_seen"], row["compatible"]) == (1, MONDAY + DAY, True)


def test_what_a_run_used_is_known_even_if_versions_come_back() -> None:
    versions: list[dict[str, object]] = []
    use: list[dict[str, object]] = []
    for day, data_type in enumerate(["INTEGER", "BIGINT", "INTEGER", "INTEGER"]):
        seen = {"a.b": {"x": data_type}}
        as_of = MONDAY + day * DAY
        versions = merge_schemas(versions, seen, {}, as_of)
        use = merge_use(use, versions, seen, as_of, keep=3)
        assert merge_use(use, versions, seen, as_of, keep=3) == use
    assert [row["version"] for row in use] == [2, 3, 3]
    assert versions[2]["difference"] == "narrowed x BIGINT -> INTEGER"
