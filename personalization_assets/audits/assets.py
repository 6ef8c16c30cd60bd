"""Wiring of the audits: each asset looks at the tables of other rooms and writes one of its own."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import polars as pl

from personalization_assets import warehouse as wh
from personalization_assets.audits.contracts import ColumnHistory, Drift, Runs, TableProfiles
from personalization_assets.audits.drift import check_places, findings, with_reference
from personalization_assets.audits.history import About, merge_runs
from personalization_assets.audits.profiling import profile_table, table_columns
from personalization_assets.audits.report import read_report
from personalization_assets.audits.report_page import REPORT, write
from personalization_assets.audits.schema_assets import UNWATCHED, about_tables, schema_asset
from personalization_assets.audits.settings import PROFILED
from personalization_assets.audits.trends import merge_history, usual_lags
from personalization_assets.contracts import contract_of
from personalization_assets.settings import Settings
from personalization_assets.tables import POOL, Clock, Run, open_run, table_asset, user_errors
from personalization_assets.warehouse import Warehouse


def watch(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The assets of this room for these tables of the others, with what the catalog knows."""
    specs = [s for a in assets for s in a.specs if "dagster/table_name" in s.metadata]
    return audit_assets(["/".join(spec.key.path) for spec in specs], about_tables(specs))


def audit_assets(
    watched: Sequence[str], about: Mapping[str, About] | None = None
) -> list[dg.AssetsDefinition]:
    """The assets of the room, downstream of `watched` (asset keys as `room/table`).

    `about` is by `room.table`. What is audited is what the warehouse holds; `watched` only makes
    the audits run last.
    """
    profiled = [key for key in watched if key.split("/")[0] in PROFILED]

    @table_asset(contract=Runs, deps=watched, kinds={"python"})
    def runs(run: Run) -> pl.DataFrame:
        seen = []
        for table in _watched_tables(run):
            rows = run.con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            seen.append(
                {
                    "table_name": table,
                    "rows": rows,
                    "column_count": len(table_columns(run.con, table)),
                    "content_hash": wh.content_hash(run.con, table),
                }
            )
        history = _before(run, "audits.runs")
        merged = merge_runs(history, seen, run.as_of, run.settings.audits.keep_runs)
        now = [row for row in merged if row["as_of"] == run.as_of]
        run.metadata(tables=len(now), tables_changed=sum(row["changed"] for row in now))
        return pl.DataFrame(merged, schema=contract_of(Runs).schema)

    @table_asset(contract=[TableProfiles, ColumnHistory], deps=profiled, kinds={"python"})
    def table_profiles(run: Run) -> dict[type, pl.DataFrame]:
        settings = run.settings.audits
        current = [
            profile
            for table in _watched_tables(run)
            if table.split(".")[0] in settings.profiled_rooms
            for profile in profile_table(run.con, table, run.as_of, settings)
        ]
        schema = contract_of(ColumnHistory).schema
        history = pl.DataFrame(schema=schema)
        if run.exists("audits.column_history"):
            history = run.read("audits.column_history").select(*schema)
        usual = usual_lags(history, run.as_of, settings.usual_runs)
        for profile in current:
            place = profile["table_name"], profile["column_name"]
            profile["usual_lag_hours"] = usual.get(place)
        renamed = {table: known.renamed_from for table, known in (about or {}).items()}
        rows = with_reference(current, _before(run, "audits.table_profiles"), settings, renamed)
        return {
            TableProfiles: pl.DataFrame(rows, schema=contract_of(TableProfiles).schema),
            ColumnHistory: merge_history(history, current, run.as_of, settings.keep_runs, schema),
        }

    @table_asset(contract=Drift, deps=["audits/table_profiles"], kinds={"python"})
    def drift(run: Run) -> pl.DataFrame:
        profiles = run.read("audits.table_profiles").sort("table_name", "position")
        check_places(profiles.to_dicts(), run.settings.audits)
        rows = findings(profiles.to_dicts(), run.settings.audits)
        run.metadata(
            measured=len(rows),
            to_watch=sum(row["level"] == "warn" for row in rows),
            to_act_on=sum(row["level"] == "fail" for row in rows),
        )
        return pl.DataFrame(rows, schema=contract_of(Drift).schema)

    return [runs, table_profiles, drift, schema_asset(watched, about or {}), _report(watched)]


def _report(watched: Sequence[str]) -> dg.AssetsDefinition:
    upstream = ["audits/drift", "audits/schema_versions"]
    upstream += [key for key in watched if key == "standardized/quarantine"]

    @dg.asset(
        key=["audits", "report"],
        group_name="audits",
        deps=[dg.AssetKey(key.split("/")) for key in upstream],
        owners=["team:data"],
        kinds={"file"},
        pool=POOL,
        description=(
            "The page of the night, audits.html in the exports folder: what changed, and by table "
            "trends, histograms, new shapes and the quarantine. Counts and labels, no rows.\n\n"
            "Grain: one file, replaced at once. Key: none."
        ),
    )
    def report(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        clock: Clock,
        settings: dg.ResourceParam[Settings],
    ) -> dg.MaterializeResult[None]:
        with user_errors(), open_run(context, warehouse, clock, settings) as run:
            night = read_report(run.con)
            write(night, settings.exports_dir / REPORT)
        return dg.MaterializeResult(
            metadata={"file": REPORT, "findings": len(night.findings), "tables": len(night.history)}
        )

    return report


def _watched_tables(run: Run) -> list[str]:
    unwatched = (*UNWATCHED, "identity.descriptions", "identity.link_runs")  # a run's own notes
    return [table for table in wh.tables(run.con) if not table.startswith(unwatched)]


def _before(run: Run, table: str) -> list[dict[str, object]]:
    return run.read(table).to_dicts() if run.exists(table) else []


WATCHED = tuple(
    f"{room}/{table}"
    for room, names in {
        "sources": ["files"],
        "standardized": [
            "crm_contacts",
            "web_events",
            "orders",
            "order_lines",
            "products",
            "email_events",
            "preferences",
            "loyalty_members",
            "social_activity",
            "quarantine",
            "email_verifications",
            "email_verification_batches",
        ],
        "identity": [
            "records",
            "model",
            "matches",
            "links",
            "links_strict",
            "ledger",
            "former_ids",
            "redirects",
            "review_queue",
            "decisions",
            "blocklist",
            "evaluation",
        ],
        "profiles": [
            "attributes",
            "behaviour",
            "engagement",
            "transactions",
            "preferences",
            "consent_records",
            "consents",
            "third_party",
            "imputations",
            "imputation_quality",
            "enrichment",
            "golden_profiles",
            "maturity",
        ],
        "recommendations": [
            "interactions",
            "als_model",
            "als_factors",
            "top_products",
            "similar_products",
            "training_data",
            "evaluation",
        ],
        "emails": ["suppressions", "audience", "batches", "deliveries", "shown_products"],
        "feedback": [
            "attribution",
            "performance",
            "recommendation_outcomes",
            "recommendation_performance",
        ],
    }.items()
    for table in names
)
"""The tables that every other room has; `watch` takes those that there really are."""

ASSETS: list[dg.AssetsDefinition] = audit_assets(WATCHED)
