"""Wiring: nine tables out of what the sources feed, and the quarantine of what they rejected."""

from dagster import AssetsDefinition

from personalization_assets.contracts import Contract, contract_of
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.standardized import contracts, quarantine
from personalization_assets.standardized.building import LOOKS_UP, TableBuild
from personalization_assets.standardized.in_force import MODELS, contracts_in_force
from personalization_assets.standardized.settings import StandardizedSettings
from personalization_assets.tables import Query, Run, table_asset


def build_standardized_assets(
    config: SourcesConfig, settings: StandardizedSettings | None = None
) -> list[AssetsDefinition]:
    """The nine tables, each after the sources that feed it, and the quarantine after all.

    Raises:
        UserError: the settings change a rule that is not there, or in a way that it does not allow.
    """
    in_force = contracts_in_force(settings or StandardizedSettings())
    return [*(_table(config, contract) for contract in in_force.values()), _quarantine()]


def _table(config: SourcesConfig, contract: Contract) -> AssetsDefinition:
    build = TableBuild(config, contract)
    table = build.contract.table
    deps = [f"sources/{name}" for name, _, _ in config.feeds_of(table)]
    if table in LOOKS_UP:
        deps.append(f"standardized/{LOOKS_UP[table]}")
    return table_asset(
        contract=build.contract, deps=deps, kinds={"polars"}, on_rejected=build.on_rejected
    )(build.rows)


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
