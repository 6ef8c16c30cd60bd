"""The schema `parked`: what moves between schema versions took out of tables, so that they can be
undone.

`parked.moves` has one row per move that can be taken back or repeated (key: move_id). Each other
table of the schema holds what one move took out, by the key of its table or by a hash of the row.
They are as personal as the tables that they come from, and stay until the move is taken back or
`personalize schema parked --drop` removes them.
"""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from personalization_assets import warehouse as wh
from personalization_assets.audits.schema_changes import Shape, from_json, same_columns, to_json

Stack = Literal["undo", "redo", "left"]

MOVES = """
CREATE SCHEMA IF NOT EXISTS parked;
CREATE TABLE IF NOT EXISTS parked.moves (
    move_id INTEGER, table_name VARCHAR, stack VARCHAR, before VARCHAR, after VARCHAR,
    former VARCHAR, parked VARCHAR, moved_at TIMESTAMP
);
COMMENT ON TABLE parked.moves IS
    'Moves of tables between schema versions that can be undone (stack undo), repeated (redo), or '
    'of which only values are left whose rows are gone (left). Grain: one row per move.';
"""


@dataclass(frozen=True)
class Parked:
    """A table of parked values.

    `key` maps key columns of the moved table to columns here; without, a row's hash and its number
    among its equals tell. `values` maps a column of the shape before to the column here that holds
    its values, and to the one that holds what the move made of them, unless it dropped them.
    """

    table: str
    key: dict[str, str]
    values: dict[str, tuple[str, str | None]]

    def matched_by(self, prefix: str = "") -> list[tuple[str, str]]:
        """Pairs of a column of the moved rows and the column here that must equal it."""
        if self.key:
            return list(self.key.items())
        return [(f"{prefix}hash", "_row_hash"), (f"{prefix}copy", "_copy")]


@dataclass(frozen=True)
class Move:
    """A row of `parked.moves`; `former` maps columns of `after` to columns of `before`."""

    move_id: int
    table: str
    stack: Stack
    before: Shape
    after: Shape
    former: dict[str, str]
    parked: Parked | None
    moved_at: dt.datetime


def read_moves(con: duckdb.DuckDBPyConnection, table: str | None = None) -> list[Move]:
    """Moves that are remembered, the newest first."""
    if not wh.exists(con, "parked.moves"):
        return []
    rows = con.execute(
        "SELECT move_id, table_name, stack, before, after, former, parked, moved_at"
        " FROM parked.moves WHERE coalesce(table_name = ?, true) ORDER BY move_id DESC",
        [table],
    ).fetchall()
    return [
        Move(
            move_id,
            name,
            stack,
            from_json(before),
            from_json(after),
            json.loads(former),
            _parked(parked),
            moved_at,
        )
        for move_id, name, stack, before, after, former, parked, moved_at in rows
    ]


def _parked(text: str | None) -> Parked | None:
    if text is None:
        return None
    found = json.loads(text)
    values = {name: (value, left) for name, (value, left) in found["values"].items()}
    return Parked(found["table"], found["key"], values)


def way_back(moves: Sequence[Move], stored: Shape, target: Shape) -> list[Move]:
    """The moves to take back, in order, that lead from the stored shape to the target.

    Empty where no unbroken row of them does. Moves that a run has overtaken since, by building the
    table in another shape, are passed over.
    """
    for stack in ("undo", "redo"):
        here = stored
        way: list[Move] = []
        for found in (m for m in moves if m.stack == stack):
            if not same_columns(found.after, here):
                if way:
                    break
                continue
            way.append(found)
            here = found.before
            if same_columns(here, target):
                return way
    return []


def park_name(
    move_id: int, table: str, key: Sequence[str], columns: Sequence[tuple[str, bool]]
) -> Parked:
    """A new parked table's name and columns: `columns` and whether something of each is left."""
    taken: set[str] = set()

    def free(name: str) -> str:
        candidate, copy = name, 1
        while candidate.lower() in taken:
            copy += 1
            candidate = f"{name}_{copy}"
        taken.add(candidate.lower())
        return candidate

    keys = {name: free(name) for name in key}
    if not keys:
        taken |= {"_row_hash", "_copy"}
    values = {name: (free(name), free(f"left_{name}") if left else None) for name, left in columns}
    return Parked(f"parked.{table.replace('.', '_')}_{move_id}", keys, values)


def next_id(con: duckdb.DuckDBPyConnection) -> int:
    """The number of the next move; makes the table of moves where there is none."""
    con.execute(MOVES).fetchall()
    found: int = con.execute("SELECT coalesce(max(move_id), 0) + 1 FROM parked.moves").fetchall()[
        0
    ][0]
    return found


def remember(
    con: duckdb.DuckDBPyConnection,
    move_id: int,
    table: str,
    before: Shape,
    after: Shape,
    former: dict[str, str],
    parked: Parked | None,
    undone: Move | None,
    now: dt.datetime,
) -> None:
    """Write down a move. One that takes nothing back ends what could be repeated."""
    if undone is None:
        con.execute(
            "DELETE FROM parked.moves WHERE table_name = ? AND stack = 'redo' AND parked IS NULL",
            [table],
        ).fetchall()
        con.execute(
            "UPDATE parked.moves SET stack = 'left' WHERE table_name = ? AND stack = 'redo'",
            [table],
        ).fetchall()
    as_json = (
        json.dumps({"table": parked.table, "key": parked.key, "values": parked.values})
        if parked
        else None
    )
    con.execute(
        "INSERT INTO parked.moves VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            move_id,
            table,
            "redo" if undone is not None and undone.stack == "undo" else "undo",
            to_json(before),
            to_json(after),
            json.dumps(former, ensure_ascii=False),
            as_json,
            now,
        ],
    ).fetchall()


def settle(
    con: duckdb.DuckDBPyConnection,
    execute: Callable[[str], list[tuple[object, ...]]],
    undone: Move,
    found: str,
) -> int:
    """Forget a move that was taken back. Values whose rows are gone stay parked; their number.

    `found` is a condition on the parked rows, named `p`: that their row is there.
    """
    parked = undone.parked
    left = 0
    if parked is not None:
        execute(f"DELETE FROM {parked.table} AS p WHERE {found}")
        left = int(str(execute(f"SELECT count(*) FROM {parked.table}")[0][0]))
        if not left:
            execute(f"DROP TABLE {parked.table}")
    if left:
        statement = "UPDATE parked.moves SET stack = 'left' WHERE move_id = ?"
    else:
        statement = "DELETE FROM parked.moves WHERE move_id = ?"
    con.execute(statement, [undone.move_id]).fetchall()
    return left


def drop_parked(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Drop a parked table for good; False if there is none of that name.

    Its move can still be taken back, without these values.
    """
    for found in read_moves(con):
        if found.parked is None or found.parked.table != table:
            continue
        con.execute(f"DROP TABLE {table}").fetchall()
        if found.stack == "left":
            con.execute("DELETE FROM parked.moves WHERE move_id = ?", [found.move_id]).fetchall()
        else:
            con.execute(
                "UPDATE parked.moves SET parked = NULL WHERE move_id = ?", [found.move_id]
            ).fetchall()
        return True
    return False
