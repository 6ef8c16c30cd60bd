"""Tables move between shapes and come back byte for byte, whatever they hold."""

import os
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_assets import warehouse as wh
from personalization_assets.audits.parking import drop_parked, read_moves
from personalization_assets.audits.schema_changes import Shape, ShapeColumn, same_columns
from personalization_assets.audits.schema_moves import Done, ident, move_to, stored_shape
from personalization_assets.errors import UserError

TABLE = "shop.members"
Con = duckdb.DuckDBPyConnection

ODD = st.text(st.sampled_from("a,;'\"[]{}=\\ \n\x1f0Zß🙂NULL"), max_size=6)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "INTEGER": st.integers(-(2**31), 2**31 - 1),
    "BIGINT": st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9),
    "DOUBLE": st.floats() | st.sampled_from([0.0, -0.0, 1.0, 2.5]),
    "VARCHAR": ODD | st.sampled_from(["1", "01", "2.50", "true", "2024-02-29", "[1, 2]"]),
    "DECIMAL(9,2)": st.decimals(-9999999, 9999999, places=2),
    "DECIMAL(18,6)": st.decimals(-999999, 999999, places=6),
    "DATE": st.dates(),
    "TIMESTAMP": st.datetimes(),
    "BOOLEAN": st.booleans(),
    "INTEGER[]": st.lists(st.integers(-9, 9) | st.none(), max_size=3),
    "VARCHAR[]": st.lists(ODD | st.none(), max_size=3),
    "HUGEINT": st.integers(-(2**127) + 1, 2**127 - 1),
    "BLOB": st.binary(max_size=4),
    "TIME": st.times(),
    "ENUM('a', 'b''c')": st.sampled_from(["a", "b'c"]),
    'STRUCT(a INTEGER, "b c" VARCHAR)': st.fixed_dictionaries({"a": st.integers(0, 9), "b c": ODD}),
}
NAMES = ["a", "b", "Tier", "left_a", "_copy", 'it"s', "select", "old a", "row"]


@dataclass(frozen=True)
class Stage:
    """A shape, what it renamed of the one before, and its key."""

    shape: Shape
    former: dict[str, str]
    key: list[str]


History = tuple[list[Stage], list[dict[str, Any]]]


@st.composite
def histories(draw: st.DrawFn, keyed: bool | None = None) -> History:
    """The shapes that a table goes through, and rows of the first."""
    types = st.sampled_from(list(VALUES))
    keyed = draw(st.booleans()) if keyed is None else keyed
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    shape = tuple(ShapeColumn(n, draw(types)) for n in names)
    if keyed:
        shape = (ShapeColumn("k", "VARCHAR"), *shape)
    keys = draw(st.lists(ODD, max_size=5, unique=True))
    rows = [
        {c.name: draw(VALUES[c.data_type] | st.none()) for c in shape} | ({"k": k} if keyed else {})
        for k in keys
    ]
    if rows and not keyed:
        rows.append(rows[0])  # equal rows of a table without a key
    stages = [Stage(shape, {}, ["k"] if keyed else [])]
    for _ in range(draw(st.integers(1, 3))):
        stages.append(_next_stage(draw, stages[-1], types))
    return stages, rows


def _next_stage(draw: st.DrawFn, now: Stage, types: st.SearchStrategy[str]) -> Stage:
    after: list[ShapeColumn] = []
    former: dict[str, str] = {}
    key = now.key
    free = [n for n in NAMES if n not in {c.name for c in now.shape}]
    for column in now.shape:
        what = draw(st.sampled_from(["keep", "keep", "drop", "retype", "rename"]))
        name, data_type, is_key = column.name, column.data_type, column.name in key
        if what == "drop" and not is_key:
            continue
        if what in ("rename", "retype") and not is_key and draw(st.booleans()):
            data_type = draw(types)
        if what == "rename" and free:
            former[free[0]] = name
            name = free.pop(0)
            key = [name] if is_key else key
        after.append(ShapeColumn(name, data_type))
    if free and (draw(st.booleans()) or not after):
        after.insert(0, ShapeColumn(free.pop(0), draw(types)))
    return Stage(tuple(after), former, key)


def fill(con: Con, shape: Shape, rows: list[dict[str, Any]]) -> None:
    con.execute("CREATE SCHEMA shop")
    ddl = ", ".join(f"{ident(c.name)} {c.data_type}" for c in shape)
    con.execute(f"CREATE TABLE {TABLE} ({ddl})")
    for row in rows:
        insert(con, shape, row)


def insert(con: Con, shape: Shape, row: dict[str, Any]) -> None:
    marks = ", ".join(f"?::{c.data_type}" for c in shape)
    con.execute(f"INSERT INTO {TABLE} VALUES ({marks})", [row[c.name] for c in shape])


def go(con: Con, target: Shape, former: dict[str, str], key: list[str] | None = None) -> Done:
    with wh.transaction(con):
        return move_to(con, TABLE, target, former, key or [])


def content_of(con: Con) -> list[tuple[Any, ...]]:
    """Every row as text, in the order of the table."""
    return con.execute(f"SELECT t::VARCHAR FROM {TABLE} t").fetchall()


fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_SCHEMAS", "8")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@fuzzed
@given(histories())
def test_there_and_back_again(history: History) -> None:
    stages, rows = history
    with duckdb.connect() as con:
        fill(con, stages[0].shape, rows)
        found = [(wh.content_hash(con, TABLE), content_of(con))]
        for stage in stages[1:]:
            go(con, stage.shape, stage.former, stage.key)
            found.append((wh.content_hash(con, TABLE), content_of(con)))
        for number in (0, -1, 1, 0):
            go(con, stages[number].shape, {}, stages[number].key)
            assert (wh.content_hash(con, TABLE), content_of(con)) == found[number]
            assert same_columns(stored_shape(con, TABLE), stages[number].shape)
        tables = con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'parked'"
        ).fetchall()
        known = {m.parked.table for m in read_moves(con) if m.parked}
        assert {f"parked.{name}" for (name,) in tables} - known == {"parked.moves"}


@fuzzed
@given(histories(keyed=True), st.data())
def test_rows_of_a_key_come_back_whatever_happens_to_others(
    history: History, data: st.DataObject
) -> None:
    stages, rows = history
    with duckdb.connect() as con:
        fill(con, stages[0].shape, rows)
        first = dict(con.execute(f"SELECT k, t::VARCHAR FROM {TABLE} t").fetchall())
        for stage in stages[1:]:
            go(con, stage.shape, stage.former, stage.key)
        last = stages[-1]
        gone = (
            set(data.draw(st.lists(st.sampled_from(sorted(first)), unique=True)))
            if first
            else set()
        )
        for key in gone:
            con.execute(f"DELETE FROM {TABLE} WHERE {ident(last.key[0])} = ?", [key])
        fresh = {c.name: data.draw(VALUES[c.data_type] | st.none()) for c in last.shape}
        fresh[last.key[0]] = "a new key"
        insert(con, last.shape, fresh)
        # and a run builds the table again, columns in another order
        con.execute(
            f"CREATE OR REPLACE TABLE {TABLE} AS SELECT"
            f" {', '.join(ident(c.name) for c in reversed(last.shape))} FROM {TABLE}"
        )
        go(con, stages[0].shape, {}, ["k"])
        back = dict(con.execute(f"SELECT k, t::VARCHAR FROM {TABLE} t").fetchall())
        assert back.keys() == (first.keys() - gone) | {"a new key"}
        assert {k: v for k, v in back.items() if k in first} == {
            k: v for k, v in first.items() if k not in gone
        }


MEMBERS = (
    ShapeColumn("member_id", "VARCHAR", False),
    ShapeColumn("tier", "VARCHAR", True),
    ShapeColumn("points", "DOUBLE", True),
)
SLIM = (
    ShapeColumn("id", "VARCHAR", False),
    ShapeColumn("points", "INTEGER", True),
    ShapeColumn("city", "VARCHAR", True),
)


@pytest.fixture
def con() -> Any:
    with duckdb.connect() as connection:
        rows = [("m1", "gold", 1.5), ("m2", None, 2.0), ("m,3", "silver", None)]
        fill(
            connection,
            MEMBERS,
            [dict(zip(("member_id", "tier", "points"), r, strict=True)) for r in rows],
        )
        connection.execute(f"COMMENT ON TABLE {TABLE} IS 'Members'")
        connection.execute(f"COMMENT ON COLUMN {TABLE}.member_id IS 'Who'")
        yield connection


def content(con: Con) -> list[tuple[Any, ...]]:
    return con.execute(f"SELECT * FROM {TABLE} ORDER BY 1").fetchall()


def test_every_step_is_named_and_what_does_not_fit_is_parked_by_key(con: Con) -> None:
    done = go(con, SLIM, {"id": "member_id"}, ["id"])
    assert done.steps == [
        "rename member_id to id",
        "narrow points DOUBLE -> INTEGER: 1 values are parked",
        "add city VARCHAR, empty",
        "drop tier VARCHAR: 2 values are parked",
    ]
    assert content(con) == [("m,3", None, None), ("m1", 2, None), ("m2", 2, None)]
    (found,) = read_moves(con)
    assert found.parked is not None
    assert con.execute(f"SELECT * FROM {found.parked.table} ORDER BY 1").fetchall() == [
        ("m,3", "silver", None, None),
        ("m1", "gold", 1.5, 2),
    ]
    comments = con.execute(
        "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name IN ('shop', 'parked')"
        " AND table_name <> 'moves' ORDER BY 1"
    ).fetchall()
    assert comments[0] == ("members", "Members")
    assert "What a move took out of shop.members: tier, points." in comments[1][1]
    assert con.execute(
        "SELECT comment FROM duckdb_columns() WHERE column_name = 'id' AND schema_name = 'shop'"
    ).fetchall() == [("Who",)]


def test_rows_that_came_or_changed_between_keep_what_they_have(con: Con) -> None:
    go(con, SLIM, {"id": "member_id"}, ["id"])
    con.execute(f"INSERT INTO {TABLE} VALUES ('m4', 7, 'Ulm')")
    con.execute(f"UPDATE {TABLE} SET points = 9 WHERE id = 'm1'")
    con.execute(f"DELETE FROM {TABLE} WHERE id = 'm,3'")
    done = go(con, MEMBERS, {}, ["member_id"])
    assert content(con) == [("m1", "gold", 9.0), ("m2", None, 2.0), ("m4", None, 7.0)]
    assert "keep the values of 1 rows parked: those rows are gone" in done.steps
    left = [m for m in read_moves(con) if m.stack == "left"]
    assert left[0].parked is not None
    assert con.execute(f"SELECT tier FROM {left[0].parked.table}").fetchall() == [("silver",)]
    assert drop_parked(con, left[0].parked.table)
    go(con, SLIM, {}, ["id"])
    assert content(con) == [("m1", 9, None), ("m2", 2, None), ("m4", 7, "Ulm")]


def test_a_table_that_a_run_has_built_again_gets_its_values_back_by_key(con: Con) -> None:
    go(con, SLIM, {"id": "member_id"}, ["id"])
    con.execute(f"CREATE OR REPLACE TABLE {TABLE} AS SELECT city, points, id FROM {TABLE}")
    go(con, MEMBERS, {}, ["member_id"])
    assert content(con) == [("m,3", "silver", None), ("m1", "gold", 1.5), ("m2", None, 2.0)]


def test_a_move_that_a_run_has_overtaken_is_still_taken_back(con: Con) -> None:
    go(con, SLIM, {"id": "member_id"}, ["id"])
    con.execute(f"CREATE TABLE shop.slim AS FROM {TABLE}")
    con.execute(f"CREATE OR REPLACE TABLE {TABLE} AS SELECT 'm1' AS id, 3 AS visits")
    go(con, (ShapeColumn("id", "VARCHAR"),), {}, ["id"])
    con.execute(f"CREATE OR REPLACE TABLE {TABLE} AS FROM shop.slim")
    go(con, MEMBERS, {}, ["member_id"])
    assert content(con) == [("m,3", "silver", None), ("m1", "gold", 1.5), ("m2", None, 2.0)]
    assert [m.stack for m in read_moves(con)] == ["redo", "undo"]


def test_what_cannot_be_undone_is_refused_and_changes_nothing(con: Con) -> None:
    before = wh.content_hash(con, TABLE)
    mandatory = (*MEMBERS, ShapeColumn("born", "DATE", False))
    with pytest.raises(UserError, match="born is never empty in that version, and 3 of 3 rows"):
        go(con, mandatory, {}, ["member_id"])
    same_key = (ShapeColumn("member_id", "INTEGER", True), *MEMBERS[1:])
    con.execute(
        f"UPDATE {TABLE} SET member_id = CASE member_id WHEN 'm1' THEN '1' ELSE '01' END"
        f" WHERE member_id <> 'm,3'"
    )
    con.execute(f"DELETE FROM {TABLE} WHERE member_id = 'm,3'")
    after = wh.content_hash(con, TABLE)
    with pytest.raises(UserError, match="rows that differ in member_id would have the same key"):
        go(con, same_key, {}, ["member_id"])
    con.execute("CREATE VIEW shop.v AS SELECT 1 AS a")
    with pytest.raises(UserError, match=r"shop.v is a view on files"), wh.transaction(con):
        move_to(con, "shop.v", MEMBERS, {})
    assert wh.content_hash(con, TABLE) == after != before
    assert read_moves(con) == []
