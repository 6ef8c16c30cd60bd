"""A small shop whose rows break rules: files, settings and a warehouse, run without Dagster."""

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from personalization_assets import warehouse as wh
from personalization_assets.settings import Settings
from personalization_assets.sources.config import SourcesConfig, load_sources
from personalization_assets.sources.load import load_source
from personalization_assets.standardized import decisions
from personalization_assets.standardized.balance import COUNTS, balance, misplaced
from personalization_assets.standardized.building import TableBuild
from personalization_assets.standardized.deciding import Desk
from personalization_assets.standardized.in_force import contracts_in_force
from personalization_assets.standardized.replay import Command, Outcome, replay
from personalization_assets.tables import Run, publish

AS_OF = dt.datetime(2026, 10, 20)
TABLES = ("crm_contacts", "products", "orders", "order_lines")
SOURCES = """
version: 1
sources:
  crm:
    path: crm*.csv
    format: csv
    date_order: dmy
    feeds:
      crm_contacts:
        columns: {contact_id: Id, given_name: Name, email: Mail, updated_at: Changed}
  shop:
    path: shop*.csv
    format: csv
    currency: EUR
    feeds:
      orders:
        columns: {order_id: order, ordered_at: at, total_amount: total}
        one_row_per: [order]
      products: {one_row_per: sku, columns: {product_id: sku, price: price, category: kind}}
      order_lines:
        columns: {order_id: order, product_id: sku, quantity: n, unit_price: price}
"""


@dataclass
class World:
    """A data folder with a warehouse in it, or with one in memory where `database` says so."""

    folder: Path
    database: str = ":memory:"
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    yaml: str = SOURCES
    tables: tuple[str, ...] = TABLES
    con: duckdb.DuckDBPyConnection = field(init=False)

    def __post_init__(self) -> None:
        self.con = duckdb.connect(self.database, config={"threads": 1})

    @property
    def config(self) -> SourcesConfig:
        (self.folder / "sources.yaml").write_text(self.yaml)
        return load_sources(self.folder / "sources.yaml")

    @property
    def settings(self) -> Settings:
        changed = {t: {"reject_limit": 1.0, "rules": self.rules.get(t, {})} for t in self.tables}
        return Settings.model_validate(
            {
                "data_dir": self.folder,
                "sources": {"settle_seconds": 0},
                "standardized": {"contracts": changed},
            }
        )

    @property
    def decisions(self) -> Path:
        return self.folder / decisions.FILE

    def job(self, as_of: dt.datetime = AS_OF) -> Run:
        return Run(self.con, as_of, self.settings, logging.getLogger("world"))

    def deliver(self, name: str, *lines: str) -> None:
        heads = {"crm": "Id,Name,Mail,Changed", "shop": "order,at,total,sku,kind,n,price"}
        text = "\n".join([heads[name.split("_")[0]], *lines])
        (self.folder / f"{name}.csv").write_text(text + "\n")

    def load(self, as_of: dt.datetime = AS_OF) -> None:
        for name in self.config.sources:
            load_source(self.con, self.config, name, as_of, self.settings.sources)

    def run(self, as_of: dt.datetime = AS_OF) -> None:
        """All tables whole, as the assets build them."""
        self.load(as_of)
        run, contracts = self.job(as_of), contracts_in_force(self.settings.standardized)
        for table in self.tables:
            build = TableBuild(self.config, contracts[table])
            publish(run, [(build.contract, build.rows(run))], build.on_rejected)

    def replay(
        self, where: str = "status = 'waiting'", as_of: dt.datetime = AS_OF
    ) -> list[Outcome]:
        wanted: pl.DataFrame = self.con.sql(
            f"SELECT table_name, source, row_key FROM standardized.quarantine WHERE {where}"
        ).pl()
        contracts = contracts_in_force(self.settings.standardized)
        command = Command("replay-1", "replay", "tester")
        return replay(self.job(as_of), self.config, contracts, wanted, command)

    def desk(self, as_of: dt.datetime = AS_OF) -> Desk:
        return Desk(self.job(as_of), self.config, contracts_in_force(self.settings.standardized))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.execute(sql).fetchall()

    def state(self) -> dict[str, Any]:
        """What every table holds, and what is out of them and why."""
        state: dict[str, Any] = {
            t: wh.content_hash(self.con, f"standardized.{t}") for t in self.tables
        }
        state["out"] = self.query(
            "SELECT table_name, source, row_key, record_key, payload, reasons, status, decision_id"
            " FROM standardized.quarantine WHERE status <> 'replayed' ORDER BY ALL"
        )
        return state

    def fresh(self) -> dict[str, Any]:
        """The state of a warehouse that is built anew from the same files and decisions."""
        other = World(self.folder, rules=self.rules, yaml=self.yaml, tables=self.tables)
        try:
            other.run()
            return other.state()
        finally:
            other.con.close()

    def assert_sound(self) -> None:
        """Received rows are in one place each, by file; keys are unique."""
        for table, contract in contracts_in_force(self.settings.standardized).items():
            if table not in self.tables:
                continue
            counts = balance(self.con, self.config, table)
            off = counts.filter(pl.col("received") != pl.sum_horizontal(COUNTS[1:]))
            assert off.is_empty(), off
            assert misplaced(self.con, table) == (0, 0)
            key = ", ".join(contract.key)
            repeated = self.query(
                f"SELECT count(*) - count(DISTINCT ({key})) FROM standardized.{table}"
            )
            assert repeated == [(0,)]


@contextmanager
def world(folder: Path, **more: Any) -> Iterator[World]:
    made = World(folder, **more)
    try:
        yield made
    finally:
        made.con.close()
