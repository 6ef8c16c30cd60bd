"""One small sample shop, run once from extracts to e-mails, that the tests of the whole look at."""

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from personalization_assets.cli import main
from personalization_assets.commands.run import run_all
from personalization_assets.recommendations.settings import RecommendationsSettings
from personalization_assets.sample import generate
from personalization_assets.settings import PROJECT, Settings
from personalization_assets.sources.settings import SourcesSettings
from personalization_assets.warehouse import Warehouse, content_hash, tables

END = dt.datetime(2026, 11, 1)
PEOPLE = 150
NOTES = ("audits.runs", "identity.link_runs")
"""What runs note about themselves."""


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
            sources=SourcesSettings(settle_seconds=0),
            recommendations=RecommendationsSettings(tune=False),
        )

    def run(self, as_of: dt.datetime = END) -> bool:
        """Refresh everything, quietly."""
        console = Console(file=(self.folder / "run.log").open("a", encoding="utf-8"))
        return run_all(self.settings, console, as_of)

    def personalize(self, *options: str, settings: str = "") -> tuple[int, str]:
        """`personalize run` as a person types it: the exit code, and all that it says."""
        file = self.folder / "settings.yaml"
        file.write_text(
            settings
            or f"data_dir: {self.folder}\n"
            "sources: {settle_seconds: 0}\n"
            "recommendations: {tune: false}\n",
            encoding="utf-8",
        )
        command = ["--settings", str(file), "run", "--as-of", END.isoformat()]
        command += ["--sources", str(self.folder / "sources.yaml")]
        command += ["--warehouse", str(self.settings.warehouse_file)]
        result = CliRunner().invoke(main, [*command, *options], env={"COLUMNS": "200"})
        return result.exit_code, result.output

    def replace(self, file: str, old: str, new: str) -> None:
        """Change the first place where a text stands in a file of the shop."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def hashes(self) -> dict[str, str]:
        """The content of every table, by name; what runs note about themselves is left out."""
        warehouse = Warehouse(database=str(self.settings.warehouse_file), wait_seconds=0)
        with warehouse.connect() as con:
            return {t: content_hash(con, t) for t in tables(con) if t not in NOTES}

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
    """The shop after one run, with Dagster's history of it. Only look; copy it to change it."""
    done = fresh_shop.copy(tmp_path_factory.mktemp("done") / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(done.folder / ".dagster"))
        assert done.run(), (done.folder / "run.log").read_text(encoding="utf-8")
    return done
