"""A DuckDB connection in memory to work on: Splink leaves tables behind, not in the warehouse."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from personalization_assets.sql_text import quoted_name

_BESIDE_COLUMNS = """rid BIGINT, source VARCHAR, record_id VARCHAR, customer_id VARCHAR,
    confidence DOUBLE, linked_by VARCHAR, area BIGINT"""
DECISION_COLUMNS = "source_l, record_id_l, source_r, record_id_r, verdict"


@contextmanager
def workspace(
    tables: Mapping[str, Any],
    like: duckdb.DuckDBPyConnection | None = None,
    threads: int | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that holds the given Arrow tables by name, threads and memory as `like` has.

    With `threads`, it has at most so many of them.
    Tables `decisions` (see `standing_decisions`) and `blocklist` (kind, value) are there even if
    none are given; and `beside` and `beside_pairs` (l, r, p_home), empty: in a run that looks at
    changes only, these are records that are not linked again but may live with one that is, and the
    pairs with them. Their `rid`s come after those of all others.
    """
    work = duckdb.connect()
    try:
        work.execute("SET enable_progress_bar = false")
        # Nothing here depends on the order of rows, and keeping it costs memory.
        work.execute("SET preserve_insertion_order = false")
        work.execute(f"SET temp_directory = '{tempfile.gettempdir()}/personalize-{os.getpid()}'")
        if like is not None:
            for name in ("threads", "memory_limit"):
                value = like.sql(f"SELECT current_setting('{name}')").fetchall()[0][0]
                if name == "threads" and threads:
                    value = min(value, threads)
                work.execute(f"SET {name} = '{value}'")
        columns = DECISION_COLUMNS.replace(",", " VARCHAR,") + " VARCHAR"
        work.execute(f"CREATE TABLE decisions ({columns})")
        work.execute("CREATE TABLE blocklist (kind VARCHAR, value VARCHAR)")
        work.execute(f"CREATE TABLE beside ({_BESIDE_COLUMNS})")
        work.execute("CREATE TABLE beside_pairs (l BIGINT, r BIGINT, p_home DOUBLE)")
        for name, table in tables.items():
            create(work, name, table)
        yield work
    finally:
        work.close()


def part_of(
    work: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table], main: str
) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """A workspace for some of the records, with no more threads than the table `main` keeps busy.

    DuckDB hands out work in row groups. Threads that get none wait for it in each of the hundreds
    of statements, and that costs.
    """
    return workspace(tables, work, threads=1 + tables[main].num_rows // _ROW_GROUP)


_ROW_GROUP = 122_880
"""Rows; see https://duckdb.org/docs/stable/guides/performance/how_to_tune_workloads."""


def create(work: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Create or replace a table of these rows."""
    work.register("incoming", table)
    work.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
    work.unregister("incoming")


@contextmanager
def beside(
    con: duckdb.DuckDBPyConnection, views: Mapping[str, str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A second connection to the same database for tables that nobody else sees, in memory.

    Its `views` are SELECTs by name; in their text `{db}` stands for the database of `con`. It
    shares threads and memory limit, and sees what is committed.
    """
    home = con.sql("SELECT current_database()").fetchall()[0][0]
    work = con.cursor()
    try:
        work.execute(f"ATTACH ':memory:' AS {_BESIDE}")
        try:
            work.execute(f"USE {_BESIDE}")
            for name, select in views.items():
                work.execute(f"CREATE VIEW {name} AS {select.format(db=quoted_name(home))}")
            yield work
        finally:
            work.execute(f"USE {quoted_name(home)}")
            work.execute(f"DETACH {_BESIDE}")
    finally:
        work.close()


_BESIDE = "beside_the_warehouse"


def standing_decisions(table: str) -> str:
    """SQL: one row per pair of records with its latest verdict that was not withdrawn."""
    return f"""
    WITH ordered AS (
        SELECT
            CASE WHEN (source_l, record_id_l) <= (source_r, record_id_r)
                THEN source_l ELSE source_r END AS a,
            CASE WHEN (source_l, record_id_l) <= (source_r, record_id_r)
                THEN record_id_l ELSE record_id_r END AS b,
            CASE WHEN (source_l, record_id_l) <= (source_r, record_id_r)
                THEN source_r ELSE source_l END AS c,
            CASE WHEN (source_l, record_id_l) <= (source_r, record_id_r)
                THEN record_id_r ELSE record_id_l END AS d,
            verdict, decided_at, decision_id
        FROM {table} WHERE withdrawn_at IS NULL
    )
    SELECT a AS source_l, b AS record_id_l, c AS source_r, d AS record_id_r, verdict
    FROM ordered
    WHERE (a, b) <> (c, d)
    QUALIFY row_number() OVER (
        PARTITION BY a, b, c, d ORDER BY decided_at DESC NULLS LAST, decision_id DESC) = 1
    ORDER BY ALL
    """
