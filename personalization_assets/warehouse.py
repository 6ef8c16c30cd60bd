"""The one door to DuckDB: connect, and publish a table whole or not at all.

One process at a time may write the file. A second writer waits a bounded time and is then told who
holds it. Readers never come here: they open the copy that `serving` publishes.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Union

import duckdb
import polars as pl
from dagster import InitResourceContext
from dagster_duckdb import DuckDBResource
from pydantic import Field

from personalization_assets.contracts import Column
from personalization_assets.errors import UserError
from personalization_assets.sql_text import quoted

if TYPE_CHECKING:
    import pyarrow as arrow


class Query(str):
    """A SELECT whose rows stay inside DuckDB on their way into a table."""


class FileQuery(Query):
    """A SELECT over files that are published with it: the table is a view, and the rows stay in the
    files. For rows that are too large for the warehouse file."""


@dataclass(frozen=True)
class Change:
    """How a published table is to differ: keys of rows to take out, and rows to put in."""

    gone: "arrow.Table"
    fresh: "arrow.Table"


Rows: TypeAlias = Union[pl.DataFrame, "arrow.Table", "arrow.RecordBatchReader", Query, Change]


class Warehouse(DuckDBResource):
    """The warehouse file as a Dagster resource.

    `DuckDBResource.get_connection` waits 104 seconds for a held file and leaks its connection when
    the body raises; `connect` waits `wait_seconds` and always closes.
    """

    wait_seconds: float = Field(
        default=30.0, ge=0, description="How long to wait for another writer"
    )

    @contextmanager
    def connect(
        self, variables: Mapping[str, Any] | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-write connection; `variables` can be read in SQL with `getvariable`.

        Raises:
            UserError: another process holds the file longer than `wait_seconds`.
        """
        con = self._open(self.wait_seconds)
        try:
            con.execute("SET enable_progress_bar = false")
            for name, value in (variables or {}).items():
                con.execute(f"SET VARIABLE {name} = ?", [value])
            yield con
        finally:
            con.close()

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[Self]:
        """Keep the file open while a run uses it: DuckDB then opens and checkpoints it once.

        Connections to a file that its process has open share one instance. A file that another
        process holds is left to `connect`, which waits for it and says who holds it.
        """
        try:
            held = self._open(wait_seconds=0)
        except UserError:
            yield self
            return
        with held:
            yield self

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The name that code written against `DuckDBResource` knows."""
        with self.connect() as con:
            yield con

    def _open(self, wait_seconds: float) -> duckdb.DuckDBPyConnection:
        Path(self.database).parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                return duckdb.connect(self.database, config=dict(self.connection_config))
            except duckdb.IOException as error:
                if not _is_held(error) or time.monotonic() >= deadline:
                    raise UserError(_refusal(self.database, error)) from error
                time.sleep(0.25)


@contextmanager
def reading(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection for a command that looks into the warehouse between runs.

    Raises:
        UserError: there is no warehouse, or a run is writing it, or it cannot be opened.
    """
    if not database.exists():
        raise UserError(f"There is no warehouse at {database}: run `personalize run` first.")
    try:
        con = duckdb.connect(str(database), read_only=True)
    except duckdb.IOException as error:
        raise UserError(_refusal(str(database), error)) from None
    with con:
        yield con


def _is_held(error: duckdb.IOException) -> bool:
    return "lock" in str(error).lower()


def _refusal(database: str, error: duckdb.IOException) -> str:
    """Why the file was not opened, and what to do about it."""
    if _is_held(error):
        return held_message(database, str(error))
    return (
        f"The warehouse {database} cannot be opened: {str(error).splitlines()[0]}. Restore it from "
        "a copy, or move it away and run again to build it anew."
    )


def held_message(database: str, error: str) -> str:
    """Who holds the file, and what to do about it."""
    holder = re.search(r"held in (.+?) \(PID (\d+)\)", error)
    who = f"process {holder[2]} ({Path(holder[1]).name})" if holder else "another process"
    return (
        f"The warehouse {database} is held by {who}: wait for it to finish or stop it, or start "
        f"this work from the Dagster UI, which queues it."
    )


def exists(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether `room.table` is there."""
    schema, name = table.split(".")
    found = con.execute(
        "SELECT count(*) FROM information_schema.tables"
        " WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ?",
        [schema, name],
    ).fetchall()
    return bool(found[0][0])


def stage(
    con: duckdb.DuckDBPyConnection,
    table: str,
    rows: Rows,
    columns: tuple[Column, ...] = (),
) -> str:
    """Write rows to `<table>__new`, columns by name, and return that name.

    With `columns`, the staged table has exactly these, typed; without, whatever the query gives.
    A `FileQuery` becomes a view. Of a `Change`, the rows to put in are staged.
    """
    if isinstance(rows, Change):
        rows = rows.fresh
    schema, name = table.split(".")
    staged = f'"{schema}"."{name}__new"'
    con.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    if isinstance(rows, FileQuery):
        typed = ", ".join(f'"{c.name}"::{c.duckdb_type} AS "{c.name}"' for c in columns) or "*"
        con.execute(f"CREATE OR REPLACE VIEW {staged} AS SELECT {typed} FROM ({rows})")
        return staged
    if isinstance(rows, Query):
        source = f"({rows})"
    else:
        con.register("staged_rows", rows.to_arrow() if isinstance(rows, pl.DataFrame) else rows)
        source = "staged_rows"
    try:
        if columns:
            ddl = ", ".join(f'"{c.name}" {c.duckdb_type}' for c in columns)
            con.execute(f"CREATE OR REPLACE TABLE {staged} ({ddl})")
            names = ", ".join(f'"{c.name}"' for c in columns)
            con.execute(f"INSERT INTO {staged} ({names}) SELECT {names} FROM {source}")
        else:
            con.execute(f"CREATE OR REPLACE TABLE {staged} AS SELECT * FROM {source}")
    finally:
        if source == "staged_rows":
            con.unregister("staged_rows")
    return staged


def swap(
    con: duckdb.DuckDBPyConnection,
    table: str,
    description: str = "",
    columns: tuple[Column, ...] = (),
) -> None:
    """Put `<table>__new` in the place of `<table>`; call it inside the transaction that staged."""
    schema, name = table.split(".")
    old, new = _kind_of(con, schema, name), _kind_of(con, schema, f"{name}__new")
    if old:
        con.execute(f'DROP {old} "{schema}"."{name}"')
    con.execute(f'ALTER {new} "{schema}"."{name}__new" RENAME TO "{name}"')
    if description:
        con.execute(f'COMMENT ON {new} "{schema}"."{name}" IS {quoted(description)}')
    for column in columns:
        if column.description:
            target = f'"{schema}"."{name}"."{column.name}"'
            con.execute(f"COMMENT ON COLUMN {target} IS {quoted(column.description)}")


def take_out(con: duckdb.DuckDBPyConnection, table: str, gone: "arrow.Table") -> int:
    """Delete the rows of the table that `gone` names by their key, or a row of `<table>__new` has
    the key of, and say how many; in the transaction that stages.

    Where `gone` names rows that are there, and all whose keys come again, that is as many as it
    has: one pass over the table takes them out and finds keys that would be there twice.
    """
    schema, name = table.split(".")
    con.register("gone_rows", gone)
    key = ", ".join(f'"{k}"' for k in gone.schema.names)
    same = " AND ".join(f'leaving."{k}" = "{name}"."{k}"' for k in gone.schema.names)
    deleted = con.execute(
        f'DELETE FROM "{schema}"."{name}" USING (SELECT {key} FROM gone_rows'
        f' UNION SELECT {key} FROM "{schema}"."{name}__new") AS leaving WHERE {same}'
    ).fetchall()[0][0]
    con.unregister("gone_rows")
    return int(deleted)


def put_in(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Add the rows of `<table>__new` to the table; in the transaction that staged them."""
    schema, name = table.split(".")
    con.execute(f'INSERT INTO "{schema}"."{name}" BY NAME FROM "{schema}"."{name}__new"')
    con.execute(f'DROP TABLE "{schema}"."{name}__new"')


def _kind_of(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> str:
    """TABLE, VIEW, or nothing where there is neither."""
    found = con.execute(
        "SELECT table_type FROM information_schema.tables WHERE table_catalog = current_database()"
        " AND table_schema = ? AND table_name = ?",
        [schema, name],
    ).fetchall()
    if not found:
        return ""
    return "VIEW" if found[0][0] == "VIEW" else "TABLE"


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing: commits when the body ends, rolls back when it raises."""
    con.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def content_hash(con: duckdb.DuckDBPyConnection, table: str) -> str:
    """A fingerprint of a table's rows, whatever their order; equal rows give equal hashes."""
    rows, fingerprint = con.execute(
        f"SELECT count(*), coalesce(bit_xor(md5_number(r::VARCHAR)), 0) FROM {table} r"
    ).fetchall()[0]
    return f"{rows}-{fingerprint:032x}"


def tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Every published `room.table`, in order."""
    rows = con.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables"
        " WHERE table_catalog = current_database() AND table_schema <> 'main'"
        " AND NOT ends_with(table_name, '__new') ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def copy_to(con: duckdb.DuckDBPyConnection, target: Path, chosen: Sequence[str]) -> None:
    """Copy tables into a file of their own and put it in place at once.

    A reader that has the old file open keeps reading it; the next one to open gets the new one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".tmp")
    fresh.unlink(missing_ok=True)
    con.execute(f"ATTACH {quoted(str(fresh))} AS fresh")
    try:
        for table in chosen:
            schema, name = table.split(".")
            con.execute(f'CREATE SCHEMA IF NOT EXISTS fresh."{schema}"')
            con.execute(f'CREATE TABLE fresh."{schema}"."{name}" AS FROM "{schema}"."{name}"')
    finally:
        con.execute("DETACH fresh")
    fresh.replace(target)
