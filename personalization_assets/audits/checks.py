"""Checks on what the audits found. None blocks: only contracts stop a run."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from personalization_assets.audits.schema_assets import no_schema_change
from personalization_assets.audits.settings import PROFILED
from personalization_assets.warehouse import Warehouse, exists

SHOWN = 10
"""Findings that are named in a check's description; the table has all."""


DRIFTED = """
SELECT table_name, column_name, measure, value, level
FROM audits.drift
WHERE level <> 'ok'
ORDER BY level, value / warn_at DESC, table_name, column_name, measure
"""


def drift_checks(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetChecksDefinition]:
    """A check `no_drift` on each profiled table, where those who own the table see it.

    They run after `audits/drift`, one step per room: a step whose checks span rooms would be
    skipped whole where one of them is blocked.
    """
    keys = sorted(
        spec.key
        for asset in assets
        for spec in asset.specs
        if "dagster/table_name" in spec.metadata and spec.key.path[0] in PROFILED
    )
    rooms = [(room, [key for key in keys if key.path[0] == room]) for room in PROFILED]
    return [_room_checks(room, tables) for room, tables in rooms if tables]


def _room_checks(room: str, tables: Sequence[dg.AssetKey]) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(
            "no_drift",
            asset=key,
            additional_deps=[dg.AssetKey(["audits", "drift"])],
            description="Rows, empty values, labels, ranges, distributions and age of the data are "
            "within the limits of their reference; see audits.drift",
        )
        for key in tables
    ]

    @dg.multi_asset_check(name=f"{room}__no_drift", specs=specs, can_subset=True)
    def check(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        found: dict[str, list[tuple[str, str, float, str]]] = {}
        # A run of some tables only may come before the first audits, or without new ones.
        with warehouse.connect() as con:
            rows = con.execute(DRIFTED).fetchall() if exists(con, "audits.drift") else []
        for table, *finding in rows:
            found.setdefault(table, []).append(tuple(finding))
        for key in sorted(context.selected_asset_check_keys):
            yield _drift_of(key, found.get(".".join(key.asset_key.path), []))

    return check


def _drift_of(
    key: dg.AssetCheckKey, found: Sequence[tuple[str, str, float, str]]
) -> dg.AssetCheckResult:
    """Columns, measures and values only: words may name labels, and the event log keeps them."""
    failed = sum(level == "fail" for *_, level in found)
    named = [f"{column}: {measure} {value:.3g}" for column, measure, value, _ in found[:SHOWN]]
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN,
        description=f"{len(found):,} measure{'s' * (len(found) != 1)} moved; see audits.drift: "
        f"{'; '.join(named)}{more}"
        if found
        else None,
        metadata={"to_act_on": failed, "to_watch": len(found) - failed},
    )


@dg.asset_check(
    asset=dg.AssetKey(["audits", "runs"]),
    description="No table that had rows after the run before is empty now",
)
def no_table_emptied(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Red, as a warning, with the tables that lost all their rows in the newest run."""
    found = _query(
        warehouse,
        "SELECT table_name, rows_before FROM audits.runs"
        " WHERE as_of = (SELECT max(as_of) FROM audits.runs) AND rows = 0 AND rows_before > 0"
        " ORDER BY table_name",
    )
    named = [f"{table} ({before:,} rows before)" for table, before in found[:SHOWN]]
    return _warning(named, len(found), "tables are empty now")


def _query(warehouse: Warehouse, sql: str, values: list[Any] | None = None) -> list[Any]:
    with warehouse.connect() as con:
        return con.execute(sql, values or []).fetchall()


def _warning(named: list[str], count: int, what: str, **numbers: int) -> dg.AssetCheckResult:
    more = f" and {count - len(named):,} more" if count > len(named) else ""
    return dg.AssetCheckResult(
        passed=not count,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{count:,} {what}: {'; '.join(named)}{more}" if count else None,
        metadata={"findings": count, **numbers},
    )


CHECKS: list[dg.AssetChecksDefinition] = [no_table_emptied, no_schema_change]
