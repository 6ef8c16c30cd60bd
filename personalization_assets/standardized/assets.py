"""Wiring: nine tables out of what the sources feed, and the quarantine of what they rejected."""

import polars as pl
from dagster import AssetsDefinition
from pandera.polars import DataFrameModel

from personalization_assets.contracts import Contract, contract_of
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.standardized import contracts, quarantine
from personalization_assets.standardized.entities import Lookups
from personalization_assets.standardized.in_force import MODELS
from personalization_assets.standardized.intake import take_in
from personalization_assets.standardized.normalise.labels import spellings
from personalization_assets.standardized.spellings import load_spellings
from personalization_assets.tables import Query, Run, table_asset

LOOKS_UP = {
    "order_lines": "standardized/orders",
    "preferences": "standardized/products",
    "social_activity": "standardized/products",
}
"""Tables that need another one first: the time of the order, the catalogue's spellings."""


def build_standardized_assets(config: SourcesConfig) -> list[AssetsDefinition]:
    """The nine tables, each after the sources that feed it, and the quarantine after all."""
    return [*(_table(config, model) for model in MODELS), _quarantine()]


def _table(config: SourcesConfig, model: type[DataFrameModel]) -> AssetsDefinition:
    contract = contract_of(model)
    discarded: list[pl.DataFrame] = []

    def build(run: Run) -> pl.DataFrame:
        intake = take_in(
            run.con,
            config,
            contract,
            run.as_of,
            run.settings.base_currency,
            _lookups(run, contract.table),
            run.settings.standardized.chunk_rows,
        )
        discarded[:] = [intake.discarded]
        feeds = config.feeds_of(contract.table)
        if not feeds:
            run.progress(f"{contract.table}: no source feeds it, the table is empty")
        else:
            run.progress(
                f"{contract.table}: {intake.rows.height:,} rows from"
                f" {', '.join(name for name, _, _ in feeds)}"
            )
        run.metadata(rows_discarded=intake.discarded.height, sources=len(feeds))
        return intake.rows

    def on_rejected(run: Run, contract: Contract, rejected: pl.DataFrame) -> None:
        quarantine.write(run.con, contract, rejected, discarded[0], run.as_of)

    deps = [f"sources/{name}" for name, _, _ in config.feeds_of(contract.table)]
    if contract.table in LOOKS_UP:
        deps.append(LOOKS_UP[contract.table])
    return table_asset(contract=model, deps=deps, kinds={"polars"}, on_rejected=on_rejected)(build)


def _lookups(run: Run, table: str) -> Lookups:
    wanted = load_spellings(run.settings.data_dir / run.settings.standardized.labels_file)
    if table == "order_lines":
        times: pl.DataFrame = run.con.sql(
            "SELECT source, order_id, ordered_at FROM standardized.orders ORDER BY ALL"
        ).pl()
        return Lookups(order_times=times)
    if LOOKS_UP.get(table) == "standardized/products":
        labels: pl.DataFrame = run.con.sql(
            "SELECT category AS label FROM standardized.products"
            " UNION ALL SELECT subcategory FROM standardized.products"
        ).pl()
        return Lookups(spellings=spellings(labels["label"]) | wanted)
    return Lookups(spellings=wanted)


def _quarantine() -> AssetsDefinition:
    def build(run: Run) -> Query:
        # The nine tables wrote their rows in their own transactions; here they are judged as one.
        quarantine.create_table(run.con)
        return Query(f"SELECT * FROM {quarantine.TABLE}")

    return table_asset(
        contract=contracts.Quarantine,
        deps=[f"standardized/{contract_of(model).table}" for model in MODELS],
        kinds={"sql"},
    )(build)
