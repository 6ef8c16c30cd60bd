"""How one standardized table is made of what its sources gave, for a run and for a replay."""

from dataclasses import replace

import polars as pl

from personalization_assets.contracts import Contract
from personalization_assets.mailboxes import load_mailboxes
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.standardized import quarantine
from personalization_assets.standardized.decisions import FILE, read_decisions
from personalization_assets.standardized.entities import Lookups
from personalization_assets.standardized.intake import Intake, received, sort_out
from personalization_assets.standardized.normalise.labels import spellings
from personalization_assets.standardized.releasing import releasing
from personalization_assets.standardized.spellings import load_spellings
from personalization_assets.tables import Run

LOOKS_UP = {
    "order_lines": "orders",
    "preferences": "products",
    "social_activity": "products",
}
"""Tables that need another one first: the time of the order, the catalogue's spellings."""


class TableBuild:
    """The rows of a table, and in the same transaction its part of the quarantine."""

    def __init__(self, config: SourcesConfig, contract: Contract) -> None:
        self.config = config
        self.contract = releasing(contract)
        self._intake: Intake | None = None

    def rows(self, run: Run) -> pl.DataFrame:
        """All rows that the contract has to judge.

        Raises:
            UserError: a feed cannot be computed, or the file of decisions has a mistake.
        """
        intake = self.intake(run, self.received(run))
        self._intake = replace(intake, rows=intake.rows.clear())
        feeds = self.config.feeds_of(self.contract.table)
        if not feeds:
            run.progress(f"{self.contract.table}: no source feeds it, the table is empty")
        else:
            run.progress(
                f"{self.contract.table}: {intake.rows.height:,} rows from"
                f" {', '.join(name for name, _, _ in feeds)}"
            )
        run.metadata(rows_discarded=intake.discarded.height, sources=len(feeds))
        return intake.rows

    def on_rejected(self, run: Run, contract: Contract, rejected: pl.DataFrame) -> None:
        """Write what the table did not take; call it while `<table>__new` is staged."""
        if self._intake is None:
            raise RuntimeError(f"{contract.name}: rows() comes before on_rejected()")
        schema, name = contract.name.split(".")
        staged = f'"{schema}"."{name}__new"'
        quarantine.write(run.con, contract, rejected, self._intake, run.as_of, staged)
        self._intake = None

    def received(self, run: Run, only: str | None = None) -> pl.DataFrame:
        """See `intake.received`."""
        return received(
            run.con,
            self.config,
            self.contract,
            run.as_of,
            run.settings.base_currency,
            _lookups(run, self.contract.table),
            run.settings.standardized.chunk_rows,
            only,
        )

    def intake(self, run: Run, rows: pl.DataFrame, only: str | None = None) -> Intake:
        """Rows that were received, sorted out: see `intake.sort_out`."""
        decisions = read_decisions(run.settings.data_dir / FILE)
        return sort_out(run.con, self.contract, rows, decisions, only)


def _lookups(run: Run, table: str) -> Lookups:
    wanted = load_spellings(run.settings.data_dir / run.settings.standardized.labels_file)
    mailboxes = load_mailboxes(run.settings.data_dir)
    needed = LOOKS_UP.get(table)
    if needed == "orders":
        times: pl.DataFrame = run.con.sql(
            "SELECT source, order_id, ordered_at FROM standardized.orders ORDER BY ALL"
        ).pl()
        return Lookups(order_times=times)
    if needed == "products":
        labels: pl.DataFrame = run.con.sql(
            "SELECT category AS label FROM standardized.products"
            " UNION ALL SELECT subcategory FROM standardized.products"
        ).pl()
        return Lookups(spellings=spellings(labels["label"]) | wanted, mailboxes=mailboxes)
    return Lookups(spellings=wanted, mailboxes=mailboxes)
