"""Who-is-who is published whole: a process that is killed leaves all of it before, or all after."""

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from personalization_assets.identity.assets import ASSETS
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.settings import Settings
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse, content_hash
from personalization_tests.identity.people import town

TABLES = (
    "links",
    "matches",
    "ledger",
    "review_queue",
    "links_strict",
    "former_ids",
    "descriptions",
    "link_runs",
)
UPSTREAM, LINKS = ASSETS[:-2], ASSETS[-2]
POINTS = {
    "third table staged": ("stage", 3, "before"),
    "first table about to be written": ("write", 1, "before"),
    "half of the tables written": ("write", 5, "before"),
    "last table about to be written": ("write", 8, "before"),
    "all written, not committed": ("commit", 1, "before"),
    "committed": ("committed", 1, "after"),
}
"""Where the process is killed -> the step of publishing, which time, what is left."""

# A fresh interpreter for each point: polars does not work in a forked one.
KILLER = """
import json, os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from personalization_assets import warehouse
from personalization_tests.integration.test_killed_while_linking import night

def die_at(step, times):
    left = [times]
    def count():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def before(function):
        def counted(*args, **kwargs):
            count()
            return function(*args, **kwargs)
        return counted
    if step == "stage":
        warehouse.stage = before(warehouse.stage)
        return
    if step == "write":  # whole, or what has changed of it
        warehouse.swap, warehouse.put_in = before(warehouse.swap), before(warehouse.put_in)
        return
    @contextmanager
    def transaction(con):
        con.execute("BEGIN TRANSACTION")
        yield
        if step == "commit":
            count()
        con.execute("COMMIT")
        count()
    warehouse.transaction = transaction

folder, step, times, incremental = json.loads(sys.argv[1])
die_at(step, times)
night(Path(folder), 2, links=True, incremental=incremental)
"""


def night(folder: Path, day: int, links: bool = False, incremental: bool = False) -> None:
    """Train a model, or work out who is who under it."""
    identity = IdentitySettings(sample_records=500, incremental=incremental)
    settings = Settings(data_dir=folder, identity=identity)
    result = dg.materialize(
        [LINKS] if links else UPSTREAM,
        resources={
            "warehouse": Warehouse(database=str(settings.warehouse_file)),
            "settings": settings,
            "clock": Clock(as_of=dt.datetime(2026, 11, day).isoformat()),
        },
    )
    assert result.success


def arrive(folder: Path, frame: pl.DataFrame) -> None:
    with Warehouse(database=str(folder / "warehouse.duckdb")).connect() as con:
        con.execute("CREATE SCHEMA IF NOT EXISTS identity")
        con.register("incoming", frame.to_arrow())
        con.execute("CREATE OR REPLACE TABLE identity.records AS SELECT * FROM incoming")


def published(folder: Path) -> dict[str, str]:
    with Warehouse(database=str(folder / "warehouse.duckdb")).connect() as con:
        return {t: content_hash(con, f"identity.{t}") for t in TABLES}


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("incremental", [False, True], ids=["all records", "what changed"])
def test_a_process_killed_while_publishing_leaves_one_night_or_the_other(
    tmp_path: Path, incremental: bool
) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    frame, _ = town(150)
    arrive(shop, frame)
    night(shop, 1)
    night(shop, 1, links=True)
    before = published(shop)

    # A second night that changes all tables: newcomers, and two people whom somebody joins.
    newcomers, _ = town(12, seed=9)
    newcomers = newcomers.with_columns(record_id=pl.lit("a-") + pl.col("record_id"))
    arrive(shop, pl.concat([frame, newcomers]))
    (shop / "identity_decisions.csv").write_text(
        "decision_id,source_l,record_id_l,source_r,record_id_r,verdict\n1,crm,r1,crm,r2,same\n"
    )
    night(shop, 2)
    folders = {point: tmp_path / point for point in POINTS}
    for folder in folders.values():
        shutil.copytree(shop, folder)
    night(shop, 2, links=True, incremental=incremental)
    after = published(shop)
    assert not [t for t in TABLES if before[t] == after[t]]

    for point, folder in folders.items():
        step, times, _ = POINTS[point]
        done = subprocess.run(
            [sys.executable, "-c", KILLER, json.dumps([str(folder), step, times, incremental])],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    for point, folder in folders.items():
        assert published(folder) == {"before": before, "after": after}[POINTS[point][2]], point

    # Whoever is left before finishes the night as if nothing had happened.
    again = folders["half of the tables written"]
    night(again, 2, links=True, incremental=incremental)
    assert published(again) == after
