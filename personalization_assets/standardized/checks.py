"""Checks that span rows or tables: nothing was lost, and what refers to something finds it."""

import dagster as dg

from personalization_assets.contracts import contract_of
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.sources.feeds import feed_rows
from personalization_assets.standardized.in_force import MODELS
from personalization_assets.warehouse import Warehouse, exists

ROOM = "standardized"


def build_standardized_checks(config: SourcesConfig) -> list[dg.AssetChecksDefinition]:
    """The room's checks; the balance counts again what the sources of `config` gave."""
    return [_balance(config), *REFERENCES]


def _balance(config: SourcesConfig) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[ROOM, "quarantine"],
        name="no_row_was_lost",
        blocking=True,
        description="Every row that a source gave is in its table or in the quarantine, once.",
    )
    def check(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        counts: dict[str, int] = {}
        wrong: list[str] = []
        with warehouse.connect() as con:
            for model in MODELS:
                table = contract_of(model).table
                if not config.feeds_of(table) and not exists(con, f"{ROOM}.{table}"):
                    continue
                received = sum(
                    int(
                        con.execute(
                            f"SELECT count(*) FROM ({feed_rows(con, config, name, table)})"
                        ).fetchall()[0][0]
                    )
                    for name, _, _ in config.feeds_of(table)
                )
                accepted, waiting, repeated = con.execute(
                    f"SELECT (SELECT count(*) FROM {ROOM}.{table}),"
                    " count(*) FILTER (WHERE status <> 'discarded'),"
                    " count(*) FILTER (WHERE status = 'discarded')"
                    f" FROM {ROOM}.quarantine WHERE table_name = ?",
                    [table],
                ).fetchall()[0]
                counts[f"{table}_received"] = received
                counts[f"{table}_quarantined"] = waiting
                counts[f"{table}_discarded"] = repeated
                if received != accepted + waiting + repeated:
                    wrong.append(
                        f"{table}: {received:,} received, {accepted:,} accepted,"
                        f" {waiting:,} in quarantine, {repeated:,} repeats"
                    )
        return dg.AssetCheckResult(
            passed=not wrong,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(wrong)
            or "Received rows are accepted, quarantined or repeats, and nothing else.",
            metadata=dict(counts),
        )

    return check


def _reference(
    table: str,
    column: str,
    target: str,
    name: str,
    meaning: str,
    *,
    source: str | None = None,
    advice: str = "",
) -> dg.AssetChecksDefinition:
    """Whether `column` finds its row in `target`: by id alone, or with the source in `source`."""

    own = f" AND t.source = r.{source}" if source else ""

    @dg.asset_check(
        asset=[ROOM, table],
        name=name,
        additional_deps=[dg.AssetKey([ROOM, target])],
        description=meaning,
    )
    def check(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        with warehouse.connect() as con:
            if not exists(con, f"{ROOM}.{target}"):
                return dg.AssetCheckResult(passed=True, description=f"There are no {target} yet.")
            lost, named, known = con.execute(
                f"SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM {ROOM}.{target} AS t"
                f" WHERE t.{column} = r.{column}{own})), count(*),"
                f" (SELECT count(*) FROM {ROOM}.{target})"
                f" FROM {ROOM}.{table} AS r WHERE r.{column} IS NOT NULL"
            ).fetchall()[0]
        if not known:
            return dg.AssetCheckResult(
                passed=True, description=f"No source feeds {target}: there is nothing to find."
            )
        return dg.AssetCheckResult(
            passed=lost == 0,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{lost:,} of {named:,} rows name a {column} that {target} lacks.{advice}"
            if lost
            else meaning,
            metadata={"rows_failed": lost, "rows": named},
        )

    return check


REFERENCES = [
    _reference(
        "order_lines",
        "order_id",
        "orders",
        "order_is_known",
        "The order of every line is known.",
        source="order_source",
        advice=" If orders come from another source, name it in `orders_of` in sources.yaml.",
    ),
    *(
        _reference(
            table,
            "product_id",
            "products",
            "product_is_known",
            "Every product that is named is in the catalogue.",
        )
        for table in ("order_lines", "web_events", "email_events", "social_activity")
    ),
]
