"""What people decide about rejected rows, and what a replay makes of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from personalization_assets.cli import main
from personalization_assets.errors import UserError
from personalization_assets.standardized import decisions
from personalization_assets.standardized.balance import COUNTS, balance, misplaced
from personalization_assets.standardized.choosing import Choice, chosen, export, require
from personalization_assets.standardized.deciding import decide, withdraw
from personalization_assets.standardized.replay import Command
from personalization_tests.standardized.quarantine_world import SOURCES, World, world

COMMAND = Command("one", "release", "tester")
LINES = ("order_lines",)
BAD_PRICE = "A,2024-01-01,10,p1,Toys,1,-5"
GOOD = "A,2024-01-01,10,p2,Toys,2,5"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, tables=("orders", "order_lines")) as made:
        made.deliver("shop_1", BAD_PRICE, GOOD, "B,2024-01-01,10,p1,Toys,x,1")
        made.run()
        yield made


def rows(shop: World, **choice: tuple[str, ...]) -> pl.DataFrame:
    return chosen(shop.con, Choice(statuses=("waiting",), **choice))


def statuses(shop: World) -> dict[str, int]:
    return dict(
        shop.query("SELECT status, count(*) FROM standardized.quarantine GROUP BY 1 ORDER BY 1")
    )


def test_a_released_row_is_flagged_and_stays_in_a_warehouse_built_anew(shop: World) -> None:
    decide(shop.desk(), "release", rows(shop, reasons=("unit_price.range",)), COMMAND, "returns")
    assert shop.query(
        "SELECT order_id, unit_price FROM standardized.order_lines"
        " WHERE list_contains(_flags, 'released')"
    ) == [("A", -5.0)]
    assert statuses(shop) == {"released": 1, "waiting": 1}
    shop.assert_sound()
    assert shop.state() == shop.fresh()


def test_a_release_holds_for_the_same_row_in_the_next_file_and_for_no_other(shop: World) -> None:
    decide(shop.desk(), "release", rows(shop, reasons=("unit_price.range",)), COMMAND, None)
    (shop.folder / "shop_1.csv").unlink()
    shop.con.close()
    with world(shop.folder, tables=shop.tables) as anew:
        # A column more, in another place of another file: the row itself is the same.
        text = f"order,at,total,sku,kind,n,price,note\n{GOOD},\n{BAD_PRICE},\n"
        (anew.folder / "shop_2.csv").write_text(text + BAD_PRICE.replace("-5", "-6") + ",\n")
        anew.run()
        waiting = anew.query("SELECT payload FROM standardized.quarantine WHERE status = 'waiting'")
        assert len(waiting) == 1
        assert '"price":"-6"' in waiting[0][0]
        assert anew.query("SELECT unit_price FROM standardized.order_lines ORDER BY 1") == [
            (-5.0,),
            (5.0,),
        ]


def test_what_a_table_promises_to_its_readers_cannot_be_released(shop: World) -> None:
    with pytest.raises(UserError, match=r"breaks quantity\.type: its quantity could not be read"):
        decide(shop.desk(), "release", rows(shop), COMMAND, None)
    assert not shop.decisions.exists()
    assert statuses(shop) == {"waiting": 2}


def test_a_discarded_newest_version_gives_way_to_the_one_before(tmp_path: Path) -> None:
    with world(tmp_path, tables=("crm_contacts",)) as shop:
        shop.deliver("crm_1", "1,Anna,a@example.com,01.02.2024")
        shop.deliver("crm_2", "1,n/a,,01.03.2024")
        shop.run()
        names = "SELECT given_name FROM standardized.crm_contacts"
        assert shop.query(names) == []
        ids, _ = decide(shop.desk(), "discard", rows(shop), COMMAND, "emptied by mistake")
        assert shop.query(names) == [("Anna",)]
        assert shop.state() == shop.fresh()
        withdraw(shop.desk(), ids[0], COMMAND)
        assert shop.query(names) == []
        shop.assert_sound()
        assert shop.state() == shop.fresh()


def test_a_replay_after_a_new_mapping_gives_what_a_whole_run_gives(shop: World) -> None:
    before = statuses(shop)
    shop.yaml = SOURCES.replace("quantity: n", "quantity: {sql: \"replace(n, 'x', '10')\"}")
    outcome = next(o for o in shop.replay() if o.table == "order_lines")
    assert (before, outcome.admitted, outcome.waiting) == ({"waiting": 2}, 1, 1)
    replayed = shop.state()
    assert sum(o.admitted for o in shop.replay()) == 0
    shop.run()
    assert shop.state() == replayed == shop.fresh()
    assert statuses(shop) == {"replayed": 1, "waiting": 1}
    assert shop.query(
        "SELECT reason, rows_before, rows_admitted, rows_after FROM standardized.replays"
        " WHERE rows_admitted > 0"
    ) == [("quantity.type", 1, 1, 0)]


def test_of_two_rows_with_one_key_the_repaired_one_takes_its_place_back(tmp_path: Path) -> None:
    with world(tmp_path, tables=("crm_contacts",)) as shop:
        shop.rules = {"crm_contacts": {"updated_at.type": {"severity": "error"}}}
        shop.deliver("crm_1", "1,Anna,a@example.com,soon", "1,Bea,b@example.com,later")
        shop.deliver("crm_2", "2,Cid,c@example.com,01.02.2024")
        shop.run()
        assert statuses(shop) == {"waiting": 2}
        shop.rules = {}
        shop.replay("reasons = ['key.unique', 'updated_at.type']")  # the second of them
        assert shop.query("SELECT given_name FROM standardized.crm_contacts ORDER BY 1") == [
            ("Anna",),
            ("Cid",),
        ]
        assert shop.state() == shop.fresh()


def test_a_broken_row_does_not_keep_a_sound_one_of_its_key_out(tmp_path: Path) -> None:
    with world(tmp_path, tables=("crm_contacts",)) as shop:
        shop.deliver("crm_1", "1,n/a,,", "1,Bea,b@example.com,")
        shop.run()
        mails = "SELECT email FROM standardized.crm_contacts"
        assert shop.query(mails) == [("b@example.com",)]
        # Once it is not broken any more it is the first of its key again, as in a whole run.
        shop.rules = {"crm_contacts": {"contact.reachable": {"severity": "warning"}}}
        (outcome,) = shop.replay()
        assert (outcome.admitted, outcome.displaced, outcome.waiting) == (1, 1, 1)
        assert shop.query(mails) == [(None,)]
        shop.assert_sound()
        assert shop.state() == shop.fresh()


def test_rows_of_a_file_that_was_replaced_are_left_to_a_run(shop: World) -> None:
    shop.deliver("shop_1", GOOD)
    shop.load()
    with pytest.raises(UserError, match="`personalize run` judges all rows again"):
        shop.replay()


def test_a_row_that_is_lost_or_in_two_places_is_seen(shop: World) -> None:
    decide(shop.desk(), "release", rows(shop, reasons=("unit_price.range",)), COMMAND, None)
    shop.query("UPDATE standardized.quarantine SET status = 'waiting' WHERE status = 'released'")
    assert misplaced(shop.con, "order_lines") == (1, 0)
    found = balance(shop.con, shop.config, "order_lines")
    assert found.select(*COUNTS).row(0) == (3, 2, 2, 0)
    shop.query("UPDATE standardized.quarantine SET status = 'replayed'")
    assert misplaced(shop.con, "order_lines") == (0, 1)
    shop.query("DELETE FROM standardized.order_lines")
    assert balance(shop.con, shop.config, "order_lines").select(*COUNTS).row(0) == (3, 0, 0, 0)


def test_a_quarantine_of_the_version_before_gets_its_columns_in_the_next_run(shop: World) -> None:
    before = shop.state()
    for column in ("record_key", "replayed_as_of", "decision_id", "decided_by", "decided_at"):
        shop.query(f"ALTER TABLE standardized.quarantine DROP COLUMN {column}")
    with pytest.raises(UserError, match="`personalize run` brings it up to date"):
        require(shop.con, Choice())
    shop.run()
    assert shop.state() == before


# Dies inside the transaction of a table: before rows move, while they are out, before the commit.
KILLER = """
import os, signal, sys
from pathlib import Path
from personalization_assets.standardized import quarantine, replay
from personalization_tests.standardized.quarantine_world import World

folder, step = Path(sys.argv[1]), sys.argv[2]
shop = World(folder, str(folder / "w.duckdb"), tables=("orders", "order_lines"))
shop.rules = {"order_lines": {"unit_price.range": {"min": -10}}}

def die(module, name, after):
    real = getattr(module, name)
    def dying(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        if args[1].table == "order_lines":
            os.kill(os.getpid(), signal.SIGKILL)
        return None if after else real(*args, **kwargs)
    setattr(module, name, dying)

if step == "rows are out":
    die(quarantine, "write", after=False)
elif step == "not committed":
    die(replay, "_remember", after=True)
shop.replay()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("step", ["rows are out", "not committed", "committed"])
def test_a_replay_that_is_killed_leaves_all_before_or_all_after(tmp_path: Path, step: str) -> None:
    file, tables = str(tmp_path / "w.duckdb"), ("orders", "order_lines")
    with world(tmp_path, database=file, tables=tables) as shop:
        shop.deliver("shop_1", BAD_PRICE, GOOD)
        shop.run()
        before = shop.state()
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), step], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    with world(tmp_path, database=file, tables=tables) as shop:
        shop.assert_sound()
        shop.rules = {"order_lines": {"unit_price.range": {"min": -10}}}
        assert shop.state() == (shop.fresh() if step == "committed" else before)
        shop.replay()
        assert shop.state() == shop.fresh()


def test_an_export_starts_no_formula_in_a_spreadsheet(shop: World, tmp_path: Path) -> None:
    frame = rows(shop).with_columns(payload=pl.Series(["=cmd|' /C calc'!A0", "-1"]))
    assert export(frame, {}, tmp_path / "x.csv")
    assert pl.read_csv(tmp_path / "x.csv")["payload"].to_list() == ["'=cmd|' /C calc'!A0", "'-1"]
    assert not export(frame, {}, tmp_path / "x.parquet")
    assert (
        pl.read_parquet(tmp_path / "x.parquet")["payload"].to_list() == frame["payload"].to_list()
    )
    with pytest.raises(UserError, match=r"ends in \.csv"):
        export(frame, {}, tmp_path / "x.xlsx")


def test_a_file_of_decisions_with_a_mistake_stops_the_run_in_one_sentence(shop: World) -> None:
    shop.decisions.write_text(
        "decision_id,table_name,source,row_digest,decision,rules\na,orders,shop,00,forget,x\n"
    )
    with pytest.raises(UserError, match="line 2, has a decision that is neither"):
        shop.run()


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONALIZE_DATA_DIR", str(tmp_path))
    file = str(tmp_path / "warehouse.duckdb")

    def personalize(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["quarantine", *words], env={"COLUMNS": "200"})
        assert done.exit_code == code, done.output
        return done.output

    with world(tmp_path, database=file, tables=("orders", "order_lines")) as shop:
        shop.deliver("shop_1", BAD_PRICE, GOOD, "B,2024-01-01,10,p1,\x1b[2J,x,1")
        shop.run()
        held = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", held, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        assert "is held by process" in personalize("replay", code=1)
        os.kill(holder.pid, signal.SIGKILL)
    assert "unit_price.range" in personalize("list", "--table", "order_lines")
    assert "did you mean shop" in personalize("list", "--source", "shops", code=1)
    shown = personalize("show", "--reason", "quantity.type")
    assert "quantity could be read" in shown
    assert "\x1b[2J" not in shown
    assert "rows that you name" in personalize("discard", "--why", "x", code=1)
    said = personalize("discard", "--reason", "quantity.type", "--why", "a test")
    assert "personalize run" in said
    name = said.split("withdraw ")[1].split()[0]
    assert name in personalize("decisions")
    assert "Withdrawn: 1 decision" in personalize("withdraw", name)
    assert "0 admitted, 2 of them wait" in personalize("replay")
    assert decisions.read_decisions(tmp_path / decisions.FILE)["binds"].to_list() == [False]
