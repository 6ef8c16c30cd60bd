"""Checks on what the audits found. They warn; only contracts stop a run."""

from typing import Any

import dagster as dg

from personalization_assets.audits.schema_assets import no_schema_change
from personalization_assets.warehouse import Warehouse

SHOWN = 10
"""Findings that are named in a check's description; the table has all."""


@dg.asset_check(
    asset=dg.AssetKey(["audits", "drift"]),
    description="No column has moved from its reference by more than the settings allow",
)
def no_drift(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Red, as a warning, with the columns that moved most against their limit."""
    found = _query(
        warehouse,
        "SELECT table_name || '.' || column_name, measure, round(value, 3), level"
        " FROM audits.drift WHERE level <> 'ok'"
        " ORDER BY level, value / warn_at DESC, 1, 2",
    )
    named = [f"{name}: {measure} {value}" for name, measure, value, _ in found[:SHOWN]]
    return _warning(
        named,
        len(found),
        "column measures moved; see audits.drift",
        to_act_on=sum(row[3] == "fail" for row in found),
        to_watch=sum(row[3] == "warn" for row in found),
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


CHECKS: list[dg.AssetChecksDefinition] = [no_drift, no_table_emptied, no_schema_change]
