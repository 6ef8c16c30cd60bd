"""`personalize schema ...` on a warehouse with a history, and a kill in the middle of a move."""

import datetime as dt
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from personalization_assets.audits.history import About, merge_schemas, merge_use
from personalization_assets.audits.schema_changes import ShapeColumn
from personalization_assets.cli import main
from personalization_assets.commands.schema_targets import BY_SELECT, promised
from personalization_assets.contracts import contract_of
from personalization_assets.settings import Settings
from personalization_assets.sql_models import read_sql_model
from personalization_assets.standardized.contracts import LoyaltyMembers
from personalization_assets.warehouse import content_hash, transaction

TABLE = "standardized.loyalty_members"
MONDAY = dt.datetime(2026, 3, 2)


class Warehouse:
    """A warehouse whose loyalty members lack a column of the contract and have one of before."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "w.duckdb"
        self.now = MONDAY
        columns = {c.name: c.duckdb_type for c in contract_of(LoyaltyMembers).columns}
        del columns["city"]
        columns |= {"points": "INTEGER", "card_colour": "VARCHAR"}
        filled = {
            "source": "'loyalty'",
            "member_id": "'m' || i",
            "record_id": "'m' || i",
            "_batch_id": "'b'",
            "_row_key": "'b:' || i",
            "_flags": "[]::VARCHAR[]",
            "points": "i",
            "card_colour": "CASE WHEN i % 2 = 0 THEN 'red' END",
        }
        values = ", ".join(f'({filled.get(n, "NULL")})::{t} AS "{n}"' for n, t in columns.items())
        self.query(f"CREATE SCHEMA standardized; CREATE SCHEMA audits; CREATE TABLE {TABLE} AS"
                   f" SELECT {values} FROM range(10) t(i)")  # fmt: skip
        self.audit()

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.path)) as con:
            return con.execute(sql).fetchall()

    def hash(self) -> str:
        with duckdb.connect(str(self.path)) as con:
            return content_hash(con, TABLE)

    def audit(self) -> None:
        """Record the shape that is stored, as the nightly run does."""
        import polars as pl

        from personalization_assets.audits.contracts import SchemaUse, SchemaVersions

        with duckdb.connect(str(self.path)) as con:

            def before(table: str) -> list[dict[str, object]]:
                known = con.execute(
                    "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'audits'"
                ).fetchall()[0][0]
                return con.sql(f"SELECT * FROM audits.{table}").pl().to_dicts() if known else []

            seen = {TABLE: {r[0]: r[1] for r in con.execute(f"DESCRIBE {TABLE}").fetchall()}}
            about = {TABLE: About(1, read_by=("identity.records",))}
            versions = merge_schemas(before("schema_versions"), seen, about, self.now)
            use = merge_use(before("schema_use"), versions, seen, self.now, 9)
            for model, rows in ((SchemaVersions, versions), (SchemaUse, use)):
                frame = pl.DataFrame(rows, schema=contract_of(model).schema)
                con.register("rows", frame.to_arrow())
                con.execute(f"CREATE OR REPLACE TABLE {contract_of(model).name} AS FROM rows")
        self.now += dt.timedelta(days=1)

    def personalize(self, *args: str) -> Result:
        result = CliRunner().invoke(main, ["schema", *args, "--warehouse", str(self.path)])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result


@pytest.fixture
def shop(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def test_a_table_goes_to_the_contract_in_force_and_back(shop: Warehouse) -> None:
    first = shop.hash()
    shown = shop.personalize("diff").output
    assert f"{TABLE}: as stored -> contract in force" in shown
    assert "  added nullable city VARCHAR\n" in shown
    assert "  widened points INTEGER -> BIGINT\n" in shown
    assert "Read by: identity.records" in shown
    assert "1 tables differ from the contracts in force" in shown

    tried = shop.personalize("upgrade", TABLE, "--dry-run").output
    assert "  drop card_colour VARCHAR: 5 values are parked\n" in tried
    assert "CREATE TABLE parked.standardized_loyalty_members_1 AS SELECT" in tried
    assert shop.hash() == first
    assert shop.query("SELECT count(*) FROM duckdb_schemas() WHERE schema_name = 'parked'") == [
        (0,)
    ]

    done = shop.personalize("upgrade", TABLE)
    assert done.exit_code == 0
    assert "10 rows moved" in done.output
    assert "parked.standardized_loyalty_members_1" in shop.personalize("parked").output
    shop.audit()
    versions = shop.personalize("list", TABLE).output
    assert "2 stored" in versions

    back = shop.personalize("rollback", TABLE)
    assert "bring back card_colour VARCHAR from parked.standardized_loyalty_members_1" in (
        back.output
    )
    assert "git checkout COMMIT -- personalization_assets/standardized/contracts" in back.output
    assert shop.hash() == first
    assert "Nothing is parked" in shop.personalize("parked").output
    night = shop.personalize("list", TABLE, "--as-of", "2026-03-02T12:00:00").output
    assert "The run of 2026-03-02 00:00 UTC used" in night


def test_parked_values_are_dropped_for_good_on_request(shop: Warehouse) -> None:
    shop.personalize("upgrade", TABLE)
    shop.audit()
    name = "parked.standardized_loyalty_members_1"
    assert shop.personalize("parked", "--drop", name).exit_code == 0
    assert "add card_colour VARCHAR, empty" in shop.personalize("rollback", TABLE).output
    assert shop.query(f"SELECT count(card_colour) FROM {TABLE}") == [(0,)]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("rollback", TABLE), "has no version before the one that is stored"),
        (("rollback", TABLE, "--to", "7"), "has no version 7: it has 1"),
        (("diff", "standardized.nothing"), "No run has recorded a version of standardized.noth"),
        (("upgrade", TABLE, "--to", "7"), "has no version 7: it has 1"),
        (("upgrade", "audits.runs"), "There is no table audits.runs that has versions"),
        (("parked", "--drop", "no"), "There is no parked table parked.no"),
    ],
)
def test_mistakes_get_a_sentence(shop: Warehouse, args: tuple[str, ...], sentence: str) -> None:
    result = shop.personalize(*args)
    assert result.exit_code == 1
    assert sentence in result.output
    assert "Traceback" not in result.output


MOVER = """
import sys, duckdb
from personalization_assets.audits.schema_moves import move_to, stored_shape
from personalization_assets.warehouse import transaction
with duckdb.connect(sys.argv[1]) as con:
    full = stored_shape(con, "shop.t")
    slim = full[:1]
    print("ready", flush=True)
    while True:
        for target in (slim, full):
            with transaction(con):
                move_to(con, "shop.t", target, {}, ["k"])
"""


def test_a_move_that_is_killed_leaves_one_shape_or_the_other(tmp_path: Path) -> None:
    from personalization_assets.audits.schema_moves import move_to, stored_shape

    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE SCHEMA shop")
        con.execute(
            "CREATE TABLE shop.t AS SELECT 'k' || i AS k, i AS n, repeat('x', 50) || i AS text"
            " FROM range(20_000) t(i)"
        )
        full, first = stored_shape(con, "shop.t"), content_hash(con, "shop.t")
    dice = random.Random(3)
    for _ in range(2):
        mover = subprocess.Popen(
            [sys.executable, "-c", MOVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert mover.stdout is not None
        assert mover.stdout.readline() == "ready\n"
        time.sleep(0.2 + dice.random() / 2)
        mover.send_signal(signal.SIGKILL)
        mover.wait()
        mover.stdout.close()
        with duckdb.connect(str(path)) as con:
            names = [c.name for c in stored_shape(con, "shop.t")]
            assert names in (["k"], ["k", "n", "text"])
            if names == ["k"]:
                with transaction(con):
                    move_to(con, "shop.t", full, {}, ["k"])
            assert content_hash(con, "shop.t") == first


def test_a_new_column_of_a_sql_model_has_the_type_of_its_select(tmp_path: Path) -> None:
    path = tmp_path / "profiles" / "things.sql"
    path.parent.mkdir()
    header = "-- Things.\n-- @key: k\n-- @column k: Key\n-- @column seen: Moment\n"
    header += "-- @column m: Sum\n-- @renamed m: total\n"
    select = "SELECT k, getvariable('as_of') AS seen, n * 2 AS m FROM shop.t"
    path.write_text(header + select, encoding="utf-8")
    contract, settings = read_sql_model(path).contract, Settings(sql_models=tmp_path)
    stored = (ShapeColumn("k", "VARCHAR"), ShapeColumn("total", "DOUBLE"))
    with duckdb.connect() as con:
        kept, unknown, renamed = promised(con, settings, contract, stored)
        assert (kept.data_type, unknown.data_type, renamed.data_type) == (
            "VARCHAR",
            BY_SELECT,
            "DOUBLE",
        )
        con.execute("CREATE SCHEMA shop; CREATE TABLE shop.t AS SELECT 'k' AS k, 1 AS n")
        _, seen, total = promised(con, settings, contract, stored)
        assert (seen.data_type, total.data_type) == ("TIMESTAMP", "INTEGER")
