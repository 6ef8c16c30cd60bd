"""What it costs to judge waiting rows again, beside running their table again whole.

Contacts of a CRM export, a share of which breaks a rule; the rule becomes a warning, then the rows
that wait are admitted. Baseline: the table is run again whole (read, standardise, judge, publish),
which is what there is without a replay. Both ways the tables come out the same, which is compared.
"""

import argparse
import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from personalization_tests.benchmarks.measure import COST, measured, scratch, show, times
from personalization_tests.benchmarks.standardising import contacts

AS_OF = dt.datetime(2026, 11, 1)
YAML = """
version: 1
sources:
  crm:
    path: crm.csv
    format: csv
    country: DE
    date_order: dmy
    feeds:
      crm_contacts:
        columns: {contact_id: contact_id, given_name: given_name, family_name: family_name,
          email: email, phone: phone, birth_date: birth_date, postcode: postcode, country: country,
          email_opt_in: email_opt_in, updated_at: updated_at}
"""


def prepare(folder: Path, rows: int, waiting: int) -> None:
    """Write the file and a warehouse in which `waiting` of the contacts wait."""
    import polars as pl

    (folder / "sources.yaml").write_text(YAML)
    every = rows // waiting
    bad = pl.int_range(pl.len()) % every == 0
    frame = contacts(rows).with_columns(
        contact_id=pl.int_range(pl.len()).cast(pl.String),
        birth_date=pl.when(bad).then(pl.lit("31.02.1980")).otherwise(pl.lit("01.02.1980")),
    )
    frame.drop("_batch_id", "_row_key").write_csv(folder / "crm.csv")
    whole(folder, "error")()


def _open(folder: Path, severity: str) -> tuple[Any, Any, Any]:
    from personalization_assets.settings import Settings
    from personalization_assets.sources.config import load_sources
    from personalization_assets.standardized.in_force import contracts_in_force
    from personalization_assets.tables import Run
    from personalization_assets.warehouse import Warehouse

    rules = {"birth_date.type": {"severity": severity}}
    changed = {"crm_contacts": {"reject_limit": 1.0, "rules": rules}}
    settings = Settings.model_validate(
        {
            "data_dir": folder,
            "sources": {"settle_seconds": 0},
            "standardized": {"contracts": changed},
        }
    )
    warehouse = Warehouse(
        database=str(folder / "w.duckdb"),
        connection_config={"threads": settings.threads, "memory_limit": settings.memory_limit},
    )
    run = Run(warehouse._open(0), AS_OF, settings, logging.getLogger("benchmark"))
    return run, load_sources(folder / "sources.yaml"), contracts_in_force(settings.standardized)


def whole(folder: Path, severity: str) -> Callable[[], None]:
    """Work that runs the table whole."""
    from personalization_assets.sources.load import load_source
    from personalization_assets.standardized.building import TableBuild
    from personalization_assets.tables import publish

    run, config, contracts = _open(folder, severity)
    load_source(run.con, config, "crm", AS_OF, run.settings.sources)
    build = TableBuild(config, contracts["crm_contacts"])

    def work() -> None:
        publish(run, [(build.contract, build.rows(run))], build.on_rejected)
        run.con.close()

    return work


def replaying(folder: Path) -> Callable[[], int]:
    """Work that judges the waiting rows again; gives how many came in."""
    from personalization_assets.standardized.replay import Command, replay

    run, config, contracts = _open(folder, "warning")

    def work() -> int:
        wanted = run.con.sql(
            "SELECT table_name, source, row_key FROM standardized.quarantine"
            " WHERE status = 'waiting'"
        ).pl()
        done = replay(run, config, contracts, wanted, Command("replay-1", "replay", "benchmark"))
        run.con.close()
        return int(done[0].admitted)

    return work


def fingerprint(folder: Path) -> str:
    """Of the rows of the table."""
    import duckdb

    from personalization_assets.warehouse import content_hash

    with duckdb.connect(str(folder / "w.duckdb")) as con:
        return content_hash(con, "standardized.crm_contacts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, nargs="+", default=[1_000, 100_000])
    asked = parser.parse_args()
    for waiting in asked.waiting:
        with scratch() as folder:
            prepare(folder, asked.rows, waiting)
            admitted, cost = measured(replaying, folder)
            replayed = fingerprint(folder)
            _, baseline = measured(whole, folder, "warning")
            same = fingerprint(folder)
        if replayed != same:
            raise SystemExit("the replay and the whole run gave different tables")
        lines = [
            ["the table again whole", *baseline.cells(), times(1, 1)],
            [f"replay, {admitted:,} admitted", *cost.cells(), times(baseline.cpu, cost.cpu)],
        ]
        show(
            f"{waiting:,} of {asked.rows:,} contacts wait",
            ["what", *COST, "CPU, times less"],
            lines,
        )


if __name__ == "__main__":
    main()
