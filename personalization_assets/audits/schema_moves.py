"""Move a stored table from one shape to another and back, with its values kept.

A move rebuilds the table beside itself and swaps it in. What the new shape has no place for is
parked: the values of dropped columns, and values that do not survive a change of type. Undoing the
move puts them back where the row is still there and nobody has written another value since.

Rows are recognised by the contract's key. Where there is none, or it is not unique, a row is
recognised by a hash of all it has left and its number among its equals; equals can change places.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from personalization_assets.audits.parking import (
    Move,
    Parked,
    next_id,
    park_name,
    read_moves,
    remember,
    settle,
    way_back,
)
from personalization_assets.audits.schema_changes import Shape, ShapeColumn
from personalization_assets.audits.schema_plan import (
    Execute,
    Plan,
    ident,
    in_new,
    matched,
    numbered,
    qualified,
)
from personalization_assets.errors import UserError
from personalization_assets.sql_text import quoted


@dataclass(frozen=True)
class Done:
    """What a move did: a line for each step, and the SQL in order."""

    steps: list[str]
    sql: list[str]


def shape_of(con: duckdb.DuckDBPyConnection, table: str) -> Shape:
    """The columns that a table or view has now; none if it is not there."""
    rows = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name ="
        " current_database() AND schema_name || '.' || table_name = ? ORDER BY column_index",
        [table],
    ).fetchall()
    return tuple(ShapeColumn(name, data_type) for name, data_type in rows)


def stored_shape(con: duckdb.DuckDBPyConnection, table: str) -> Shape:
    """The columns of a table that can be moved; what may be empty only a contract knows.

    Raises:
        UserError: there is no such table, or it is a view and holds no rows of its own.
    """
    shape = shape_of(con, table)
    if not shape or table.startswith(("audits.", "parked.")):
        raise UserError(
            f"There is no table {table} that has versions: `personalize schema list` names them."
        )
    views = con.execute(
        "SELECT count(*) FROM duckdb_views() WHERE database_name = current_database()"
        " AND schema_name || '.' || view_name = ?",
        [table],
    ).fetchall()
    if views[0][0]:
        raise UserError(
            f"{table} is a view on files, its rows are not in the warehouse: it changes its shape "
            "when a run builds it again, and cannot be moved."
        )
    return shape


def move(
    con: duckdb.DuckDBPyConnection,
    table: str,
    target: Shape,
    former: Mapping[str, str],
    key: Sequence[str] = (),
    undone: Move | None = None,
    now: dt.datetime | None = None,
) -> Done:
    """Rebuild `table` in the shape `target`; call it inside a transaction.

    `former` maps each column of the target that goes on to the stored column it goes on from.
    `key` are the target's key columns. `undone` is the move that this one takes back: what it
    parked is put back. `now` is the time to write down (UTC).

    Raises:
        UserError: a mandatory column would be empty in some row, or two rows would get one key.
    """
    sql: list[str] = []

    def execute(statement: str) -> list[tuple[object, ...]]:
        sql.append(statement)
        found: list[tuple[object, ...]] = con.execute(statement).fetchall()
        return found

    before = stored_shape(con, table)
    move_id = next_id(con)
    plan = Plan(con, table, before, target, dict(former), undone)
    execute(f"CREATE TEMP TABLE moving AS {plan.select()}")
    plan.refuse_holes(execute)
    names = [name for name in key if name in {c.name for c in target}]
    by_key = len(names) == len(key) > 0 and plan.is_unique(execute, names, key)
    parked, counts = _park(execute, plan, move_id, names if by_key else [])
    steps = plan.steps(counts)
    _swap_in(con, execute, plan)
    if undone is not None:
        left = settle(con, execute, undone, _still_there(undone))
        if left:
            steps.append(f"keep the values of {left:,} rows parked: those rows are gone")
    execute("DROP TABLE temp.moving")
    moved_at = now or dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
    remember(con, move_id, plan.table, before, target, plan.former, parked, undone, moved_at)
    return Done(steps, sql)


def move_to(
    con: duckdb.DuckDBPyConnection,
    table: str,
    target: Shape,
    former: Mapping[str, str],
    key: Sequence[str] = (),
) -> Done:
    """Bring a table to a shape, by taking back remembered moves where they lead there.

    `former` maps columns of the target to stored columns where their names differ; it is not asked
    where moves are taken back. Call it inside a transaction.

    Raises:
        UserError: as `stored_shape` and `move`.
    """
    stored = stored_shape(con, table)
    way = way_back(read_moves(con, table), stored, target)
    if way:
        done = []
        for n, found in enumerate(way):
            rest = way[n + 1 :]
            stop = found.before if rest else _promised(found.before, target)
            key_there = _followed(key, rest)
            done.append(move(con, table, stop, _turned(found.former), key_there, found))
        return Done([s for d in done for s in d.steps], [s for d in done for s in d.sql])
    names = {c.name for c in stored}
    taken = set(former.values())
    goes_on = {
        c.name: former.get(c.name, c.name)
        for c in target
        if former.get(c.name) in names or (c.name in names and c.name not in taken)
    }
    return move(con, table, target, goes_on, key)


def _turned(former: Mapping[str, str]) -> dict[str, str]:
    return {before: after for after, before in former.items()}


def _promised(shape: Shape, target: Shape) -> Shape:
    """A remembered shape, in its order, with what the target says of empty values."""
    nullable = {c.name: c.nullable for c in target}
    return tuple(ShapeColumn(c.name, c.data_type, nullable.get(c.name)) for c in shape)


def _followed(key: Sequence[str], rest: Sequence[Move]) -> list[str]:
    """The key of the last target under the names that an earlier stop on the way has for it."""
    names = list(key)
    for found in reversed(rest):
        # from the names before `found` to those after it
        names = [_turned(found.former).get(name, name) for name in names]
    return names


def _park(
    execute: Execute, plan: Plan, move_id: int, key: Sequence[str]
) -> tuple[Parked | None, dict[str, int]]:
    """Put what does not fit into a table of its own; nothing to put there makes no table."""
    misfits = plan.misfits()
    if not misfits:
        return None, {}
    listed = ", ".join(f"count({ident('parked ' + name)})" for name in misfits)
    (found,) = execute(f"SELECT {listed} FROM temp.moving")
    counts = {name: int(str(n)) for name, n in zip(misfits, found, strict=True)}
    kept = [name for name in misfits if counts[name]]
    if not kept:
        return None, counts
    parked = park_name(move_id, plan.table, key, [(n, n in plan.later) for n in kept])
    rows = "SELECT * FROM temp.moving"
    if not key:
        rows = numbered(rows, [in_new(n) for n in sorted(plan.new)], "")
    columns = [
        *(
            f"{in_new(mine) if key else mine} AS {ident(theirs)}"
            for mine, theirs in parked.matched_by()
        ),
        *(f"{ident('parked ' + n)} AS {ident(parked.values[n][0])}" for n in kept),
        *(
            f"{ident('left ' + n)} AS {ident(left)}"
            for n in kept
            if (left := parked.values[n][1]) is not None
        ),
    ]
    some = " OR ".join(f"{ident('parked ' + n)} IS NOT NULL" for n in kept)
    execute(
        f"CREATE TABLE {parked.table} AS SELECT {', '.join(columns)} FROM ({rows}) WHERE {some}"
    )
    about = (
        f"What a move took out of {plan.table}: {', '.join(kept)}. As personal as that table is; "
        "personalize schema parked lists and drops it."
    )
    execute(f"COMMENT ON TABLE {parked.table} IS {quoted(about)}")
    return parked, counts


def _swap_in(con: duckdb.DuckDBPyConnection, execute: Execute, plan: Plan) -> None:
    """Put the moved rows in the table's place, in their order, comments with them."""
    room, _, name = plan.table.partition(".")
    ((about,),) = con.execute(
        "SELECT comment FROM duckdb_tables() WHERE database_name = current_database()"
        " AND schema_name = ? AND table_name = ?",
        [room, name],
    ).fetchall()
    notes = dict(
        con.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL AND"
            " database_name = current_database() AND schema_name = ? AND table_name = ?",
            [room, name],
        ).fetchall()
    )
    fresh = f"{ident(room)}.{ident(name + '__new')}"
    news = ", ".join(f"{in_new(c.name)} AS {ident(c.name)}" for c in plan.target)
    execute(f"CREATE OR REPLACE TABLE {fresh} AS SELECT {news} FROM temp.moving m ORDER BY m.row")
    execute(f"DROP TABLE {qualified(plan.table)}")
    execute(f"ALTER TABLE {fresh} RENAME TO {ident(name)}")
    if about:
        execute(f"COMMENT ON TABLE {qualified(plan.table)} IS {quoted(about)}")
    for column in plan.target:
        note = notes.get(plan.former.get(column.name, column.name))
        if note:
            place = f"{qualified(plan.table)}.{ident(column.name)}"
            execute(f"COMMENT ON COLUMN {place} IS {quoted(note)}")


def _still_there(undone: Move) -> str:
    """The condition that the row of parked row `p` is among those that were moved."""
    found = matched(undone.parked) if undone.parked else "false"
    return f"EXISTS (SELECT 1 FROM temp.moving o WHERE {found})"
