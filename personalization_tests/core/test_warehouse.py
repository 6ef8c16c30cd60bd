"""One writer at a time, told who holds the file; readers get a whole copy."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from personalization_assets.errors import UserError
from personalization_assets.warehouse import (
    FileQuery,
    Query,
    Warehouse,
    copy_to,
    stage,
    swap,
    tables,
    transaction,
)

HOLD = """
import duckdb, sys
con = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_held_file_names_the_process_that_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        warehouse = Warehouse(database=str(path), wait_seconds=0.3)
        with pytest.raises(UserError, match=rf"held by process {holder.pid} "), warehouse.connect():
            pass
    finally:
        holder.communicate()


def test_an_exception_inside_releases_the_file(tmp_path: Path) -> None:
    warehouse = Warehouse(database=str(tmp_path / "w.duckdb"), wait_seconds=0)
    with pytest.raises(RuntimeError), warehouse.connect():
        raise RuntimeError
    command = [
        sys.executable,
        "-c",
        f"import duckdb; duckdb.connect({str(tmp_path / 'w.duckdb')!r})",
    ]
    assert subprocess.run(command, check=False).returncode == 0


def test_a_run_keeps_the_file_open_between_tables_and_releases_it_when_one_fails(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "w.duckdb"
    reading = [sys.executable, "-c", f"import duckdb; duckdb.connect({str(path)!r})"]
    seen: list[int] = []

    @dg.asset
    def table(warehouse: dg.ResourceParam[Warehouse]) -> None:
        with warehouse.connect() as con:
            con.execute("CREATE TABLE t AS SELECT 1 AS a")
        seen.append(subprocess.run(reading, check=False, capture_output=True).returncode)
        with warehouse.connect() as con:
            con.execute("BEGIN TRANSACTION; DROP TABLE t")
            raise RuntimeError

    resources = {"warehouse": Warehouse(database=str(path), connection_config={"threads": 1})}
    assert not dg.materialize([table], resources=resources, raise_on_error=False).success
    assert seen == [1]
    assert subprocess.run(reading, check=False).returncode == 0
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_a_run_on_a_held_file_fails_with_the_sentence_of_its_first_table(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    @dg.asset
    def table(warehouse: dg.ResourceParam[Warehouse]) -> None:
        with pytest.raises(UserError, match="held by process"), warehouse.connect():
            pass

    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        resources = {"warehouse": Warehouse(database=str(path), wait_seconds=0.1)}
        assert dg.materialize([table], resources=resources).success
    finally:
        holder.communicate()


def test_a_file_that_is_no_warehouse_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_bytes(b"this is not a database" * 500)
    with (
        pytest.raises(UserError, match="cannot be opened"),
        Warehouse(database=str(path)).connect(),
    ):
        pass


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with Warehouse(database=str(tmp_path / "w.duckdb")).connect() as con:
        con.execute("CREATE SCHEMA r; CREATE TABLE r.t AS SELECT 1 AS a")
        with pytest.raises(duckdb.Error), transaction(con):
            con.execute("DROP TABLE r.t; SELECT no_such_function()")
        assert tables(con) == ["r.t"]


def test_readers_keep_their_copy_while_a_new_one_is_published(tmp_path: Path) -> None:
    served = tmp_path / "serving.duckdb"
    with Warehouse(database=str(tmp_path / "w.duckdb")).connect() as con:
        con.execute(
            "CREATE SCHEMA r; CREATE TABLE r.t AS SELECT 1 AS a; CREATE TABLE r.u AS SELECT 2 AS b"
        )
        copy_to(con, served, ["r.t"])
        reader = duckdb.connect(str(served), read_only=True)
        con.execute("UPDATE r.t SET a = 7")
        copy_to(con, served, ["r.t"])
        assert reader.execute("SELECT a FROM r.t").fetchall() == [(1,)]
        reader.close()
    with duckdb.connect(str(served), read_only=True) as con:
        assert con.execute("SELECT a FROM r.t").fetchall() == [(7,)]
        assert con.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(1,)]


def test_a_table_in_files_takes_the_place_of_rows_and_gives_it_back(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:

        def publish(rows: Query) -> None:
            with transaction(con):
                stage(con, "emails.batches", rows)
                swap(con, "emails.batches", "All mails")

        def found() -> list[tuple]:
            return con.execute("SELECT * FROM emails.batches").fetchall()

        part = tmp_path / "it's.parquet"
        con.execute("COPY (SELECT 2 AS a) TO '" + str(part).replace("'", "''") + "'")
        files = FileQuery("SELECT a FROM read_parquet('" + str(part).replace("'", "''") + "')")
        publish(Query("SELECT 1 AS a"))
        assert found() == [(1,)]
        publish(files)
        assert found() == [(2,)]
        publish(files)
        with pytest.raises(duckdb.Error):
            publish(FileQuery("SELECT a FROM read_parquet('nowhere.parquet')"))
        assert found() == [(2,)]
        assert tables(con) == ["emails.batches"]
        publish(Query("SELECT 3 AS a"))
        assert found() == [(3,)]
