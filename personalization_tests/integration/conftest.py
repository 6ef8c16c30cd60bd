"""One small sample shop, run once from extracts to e-mails, that the tests of the whole look at."""

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from personalization_assets.commands.run import run_all
from personalization_assets.sample import generate
from personalization_assets.settings import PROJECT, Settings
from personalization_assets.warehouse import Warehouse, content_hash, tables

END = dt.datetime(2026, 11, 1)
PEOPLE = 300


@dataclass(frozen=True)
class Shop:
    """A data folder of its own: extracts, settings and a warehouse."""

    folder: Path

    @property
    def settings(self) -> Settings:
        return Settings(
            data_dir=self.folder,
            warehouse=self.folder / "warehouse.duckdb",
            threads=2,
            memory_limit="2GB",
        )

    def run(self, as_of: dt.datetime = END) -> bool:
        """Refresh everything, quietly."""
        console = Console(file=(self.folder / "run.log").open("a", encoding="utf-8"))
        return run_all(self.settings, console, as_of)

    def hashes(self) -> dict[str, str]:
        """The content of every table, by name; what a run notes about itself is left out."""
        warehouse = Warehouse(database=str(self.settings.warehouse_file), wait_seconds=0)
        with warehouse.connect() as con:
            return {t: content_hash(con, t) for t in tables(con) if t != "audits.runs"}

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a query on the warehouse."""
        warehouse = Warehouse(database=str(self.settings.warehouse_file), wait_seconds=0)
        with warehouse.connect() as con:
            return con.execute(sql).fetchall()

    def copy(self, folder: Path) -> "Shop":
        """The same shop somewhere else, to change or to break."""
        shutil.copytree(self.folder, folder)
        return Shop(folder)


def new_shop(folder: Path, people: int = PEOPLE) -> Shop:
    """A data folder with the tracked files and a sample shop's extracts."""
    shutil.copytree(
        PROJECT / "data",
        folder,
        ignore=shutil.ignore_patterns("landing", "exports", "*.duckdb*", ".dagster", ".secret*"),
    )
    generate(folder / "landing", people=people, seed=7, end=END, progress=lambda _: None)
    return Shop(folder)


@pytest.fixture(scope="session")
def fresh_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Extracts only, nothing run yet. Copy it before you run it."""
    return new_shop(tmp_path_factory.mktemp("fresh") / "data")


@pytest.fixture(scope="session")
def shop(fresh_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop after one run. Only look at it; copy it to change it."""
    done = fresh_shop.copy(tmp_path_factory.mktemp("done") / "data")
    assert done.run(), (done.folder / "run.log").read_text(encoding="utf-8")
    return done
