"""Shops to measure with: the sample shop and the real shop, as far as a benchmark needs them."""

import datetime as dt
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
from rich.console import Console

from personalization_tests.benchmarks.measure import REPOSITORY

END = dt.datetime(2026, 11, 1)
SEED = 20


def sample_data(folder: Path, people: int) -> None:
    """A data folder with the tracked files and a sample shop's extracts."""
    from personalization_assets.sample import generate

    shutil.copytree(
        REPOSITORY / "data",
        folder,
        ignore=shutil.ignore_patterns("landing", "exports", "*.duckdb*", ".dagster", ".secret*"),
    )
    generate(folder / "landing", people=people, seed=SEED, end=END, progress=lambda _: None)


def sample_records(folder: Path, people: int) -> Callable[[], Path]:
    """Work that builds identity.records of a sample shop and gives its file."""
    sample_data(folder, people)
    return lambda: _records(folder, folder / "sources.yaml")


def real_records(folder: Path, shared: Path) -> Callable[[], Path]:
    """Work that builds identity.records of the real shop and gives its file."""
    sources = REPOSITORY / "personalization_tests" / "real_shop" / "sources.yaml"
    os.environ["REAL_SHOP"] = str(shared / "real-shop")
    folder.mkdir(parents=True)
    return lambda: _records(folder, sources)


def _records(folder: Path, sources: Path) -> Path:
    from personalization_assets.commands.run import run_all
    from personalization_assets.settings import Settings

    settings = Settings(
        data_dir=folder, warehouse=folder / "warehouse.duckdb", sources_yaml=sources
    )
    console = Console(file=(folder / "run.log").open("w", encoding="utf-8"))
    if not run_all(settings, console, END, select=['+key:"identity/records"']):
        raise RuntimeError((folder / "run.log").read_text(encoding="utf-8"))
    out = folder / "records.parquet"
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as con:
        con.execute(f"COPY (FROM identity.records ORDER BY source, record_id) TO '{out}'")
    return out
