"""Wiring of `schema_versions` and `schema_use`, and the check on what changed."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import polars as pl

from personalization_assets import warehouse as wh
from personalization_assets.audits.contracts import SchemaUse, SchemaVersions
from personalization_assets.audits.history import About, merge_schemas, merge_use
from personalization_assets.audits.profiling import table_columns
from personalization_assets.contracts import contract_of
from personalization_assets.tables import Clock, Run, table_asset
from personalization_assets.warehouse import Warehouse

UNWATCHED = ("audits.", "parked.")
SHOWN = 10
"""Changes that are named in the check's description; the table has all."""


def about_tables(specs: Iterable[dg.AssetSpec]) -> dict[str, About]:
    """What the catalog says of each table: contract version, nullability, renames, readers."""
    specs = list(specs)
    readers: dict[str, set[str]] = {}
    for spec in specs:
        for dep in spec.deps:
            if spec.key.path[0] != "audits":
                readers.setdefault(_name(dep.asset_key), set()).add(_name(spec.key))
    found = {}
    for spec in specs:
        version = spec.metadata.get("contract_version")
        schema = spec.metadata.get("dagster/column_schema")
        columns = schema.columns if version and isinstance(schema, dg.TableSchema) else []
        table = _name(spec.key)
        found[table] = About(
            contract_version=int(version) if version else None,
            nullable={c.name: c.constraints.nullable for c in columns},
            renamed_from={
                c.name: c.tags["renamed_from"] for c in columns if "renamed_from" in c.tags
            },
            read_by=tuple(sorted(readers.get(table, ()))),
        )
    return found


def _name(key: dg.AssetKey) -> str:
    return ".".join(key.path)


def schema_asset(watched: Sequence[str], about: Mapping[str, About]) -> dg.AssetsDefinition:
    """`audits/schema_versions` with `audits/schema_use`, downstream of `watched`."""

    @table_asset(contract=[SchemaVersions, SchemaUse], deps=watched, kinds={"python"})
    def schema_versions(run: Run) -> dict[type, pl.DataFrame]:
        seen = {
            table: {c.name: c.data_type for c in table_columns(run.con, table)}
            for table in wh.tables(run.con)
            if not table.startswith(UNWATCHED)
        }
        versions = merge_schemas(_before(run, "audits.schema_versions"), seen, about, run.as_of)
        use = merge_use(
            _before(run, "audits.schema_use"),
            versions,
            seen,
            run.as_of,
            run.settings.audits.keep_runs,
        )
        run.metadata(
            tables=len(seen), new_versions=sum(row["first_seen"] == run.as_of for row in versions)
        )
        return {
            SchemaVersions: pl.DataFrame(versions, schema=contract_of(SchemaVersions).schema),
            SchemaUse: pl.DataFrame(use, schema=contract_of(SchemaUse).schema),
        }

    return schema_versions


def _before(run: Run, table: str) -> list[dict[str, object]]:
    return run.read(table).to_dicts() if run.exists(table) else []


@dg.asset_check(
    asset=dg.AssetKey(["audits", "schema_versions"]),
    description="No table changed its columns or its contract's version in this run",
)
def no_schema_change(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse], clock: Clock
) -> dg.AssetCheckResult:
    """Red for the one run that sees a new shape first: a warning, or an error where it breaks what
    other tables read. The table stands either way; the check only tells."""
    as_of = clock.resolve(context.op_execution_context)
    with warehouse.connect() as con:
        found = con.execute(
            "SELECT table_name, difference, compatible, coalesce(len(read_by), 0)"
            " FROM audits.schema_versions"
            " WHERE version > 1 AND first_seen = ? ORDER BY compatible, 4 DESC, table_name",
            [as_of],
        ).fetchall()
    named = [
        f"{table}: {difference}"
        + ("" if compatible else f" (breaks its readers: {readers} tables)")
        for table, difference, compatible, readers in found[:SHOWN]
    ]
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    breaking = sum(not row[2] for row in found)
    felt = any(not compatible and readers for _, _, compatible, readers in found)
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if felt else dg.AssetCheckSeverity.WARN,
        description=f"{len(found):,} tables have a new shape, {breaking:,} of them not as their "
        f"readers expect; see audits.schema_versions: {'; '.join(named)}{more}"
        if found
        else None,
        metadata={"findings": len(found), "incompatible": breaking},
    )
