"""Checks that span rows or tables: nothing was lost, and what refers to something finds it."""

import dagster as dg
import duckdb
import polars as pl

from personalization_assets.contracts import contract_of
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.standardized.balance import COUNTS, balance, misplaced
from personalization_assets.standardized.in_force import MODELS
from personalization_assets.warehouse import Warehouse, exists

ROOM = "standardized"


def build_standardized_checks(config: SourcesConfig) -> list[dg.AssetChecksDefinition]:
    """The room's checks; the balance counts again what the sources of `config` gave."""
    return [_balance(config), *REFERENCES, customer_is_known, _one_place(config)]


def _balance(config: SourcesConfig) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[ROOM, "quarantine"],
        name="no_row_was_lost",
        blocking=True,
        description="Every row that a file gave is in its table, waits, or was discarded: once.",
    )
    def check(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        counts: dict[str, int] = {}
        wrong: list[str] = []
        with warehouse.connect() as con:
            for table in _tables(con, config):
                found = balance(con, config, table)
                received, accepted, waiting, discarded = found.select(*COUNTS).sum().row(0)
                counts[f"{table}_received"] = received
                counts[f"{table}_quarantined"] = waiting
                counts[f"{table}_discarded"] = discarded
                off = pl.col("received") != pl.sum_horizontal(COUNTS[1:])
                for source, batch in found.filter(off).select("source", "batch_id").rows()[:1]:
                    wrong.append(
                        f"{table}: {received:,} received, {accepted:,} accepted,"
                        f" {waiting:,} in quarantine, {discarded:,} discarded; first off is batch"
                        f" {batch} of {source}"
                    )
        return dg.AssetCheckResult(
            passed=not wrong,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(wrong)
            or "Received rows are accepted, quarantined or discarded, and nothing else.",
            metadata=dict(counts),
        )

    return check


def _one_place(config: SourcesConfig) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[ROOM, "quarantine"],
        name="no_row_is_in_two_places",
        blocking=True,
        description="No row is both in its table and waiting or discarded, and every released or "
        "replayed row is in its table.",
    )
    def check(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        wrong: list[str] = []
        total = 0
        with warehouse.connect() as con:
            for table in _tables(con, config):
                twice, missing = misplaced(con, table)
                total += twice + missing
                if twice:
                    wrong.append(f"{table}: {twice:,} rows of it are in quarantine as well")
                if missing:
                    wrong.append(f"{table}: {missing:,} rows count as admitted and are not in it")
        return dg.AssetCheckResult(
            passed=not wrong,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(wrong) or "Every row is in one place.",
            metadata={"rows_failed": total},
        )

    return check


def _tables(con: duckdb.DuckDBPyConnection, config: SourcesConfig) -> list[str]:
    """Tables that a source feeds, or fed once."""
    names = [contract_of(model).table for model in MODELS]
    return [t for t in names if config.feeds_of(t) or exists(con, f"{ROOM}.{t}")]


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


@dg.asset_check(
    asset=[ROOM, "orders"],
    name="customer_is_known",
    additional_deps=[[ROOM, "crm_contacts"], [ROOM, "loyalty_members"]],
    description="Accounts that order are known to contacts or members, where these name accounts.",
)
def customer_is_known(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Whether orders and customers name accounts alike.

    An account without a contact is no mistake: few shops keep everybody in their CRM. That none of
    them has one is: the two are mapped with different systems, and no order finds its person by it.
    """
    with warehouse.connect() as con:
        people = [t for t in ("crm_contacts", "loyalty_members") if exists(con, f"{ROOM}.{t}")]
        known = (
            " UNION ".join(f"SELECT account_key FROM {ROOM}.{t}" for t in people)
            or "SELECT NULL AS account_key"
        )
        orders, named, found, nobody, accounts = con.execute(
            f"WITH known AS (SELECT * FROM ({known}) WHERE account_key IS NOT NULL)"
            " SELECT count(*), count(account_key),"
            " count(*) FILTER (account_key IN (SELECT account_key FROM known)),"
            " count(*) FILTER (record_id IS NULL), (SELECT count(*) FROM known)"
            f" FROM {ROOM}.orders"
        ).fetchall()[0]
    lost = named if named and accounts and not found else 0
    words = f"{found:,} of {named:,} orders with an account belong to a known contact or member"
    return dg.AssetCheckResult(
        passed=not lost,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{words}: check `account_system` of the feeds in sources.yaml."
        if lost
        else f"{words}.",
        metadata={
            "rows_failed": lost,
            "rows": orders,
            "rows_of_unknown_accounts": named - found,
            "rows_of_nobody": nobody,
        },
    )
