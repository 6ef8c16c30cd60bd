"""Publishes `serving.duckdb` at the end of a run."""

import dagster as dg

from personalization_assets.settings import Settings
from personalization_assets.tables import POOL, Clock, open_run, user_errors
from personalization_assets.warehouse import Warehouse, copy_to, tables

ROOMS = ("identity", "profiles", "recommendations", "feedback", "audits")
ALSO = ("standardized.products", "emails.audience", "emails.deliveries", "emails.suppressions")


@dg.asset(
    key=["serving", "published_copy"],
    group_name="serving",
    deps=[
        dg.AssetKey(["identity", "redirects"]),
        dg.AssetKey(["profiles", "golden_profiles"]),
        dg.AssetKey(["profiles", "maturity"]),
        dg.AssetKey(["recommendations", "top_products"]),
        dg.AssetKey(["emails", "deliveries"]),
        dg.AssetKey(["feedback", "performance"]),
    ],
    owners=["team:data"],
    kinds={"duckdb", "file"},
    tags={"pii": "true"},
    pool=POOL,
    description=(
        "The published copy of the results, a DuckDB file that readers open instead of the "
        "warehouse: profiles, identity, recommendations, feedback, audits, products and the "
        "decisions on e-mails (not their bodies, not the sources).\n\n"
        "Grain: one file, replaced at once at the end of a run. Key: none."
    ),
)
def published_copy(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    clock: Clock,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    """Copies the chosen tables to a new file and renames it over the old one."""
    with user_errors(), open_run(context, warehouse, clock, settings) as run:
        chosen = [t for t in tables(run.con) if t.split(".")[0] in ROOMS or t in ALSO]
        copy_to(run.con, settings.serving_file, chosen)
        size = settings.serving_file.stat().st_size
    return dg.MaterializeResult(metadata={"tables": len(chosen), "megabytes": round(size / 1e6, 1)})


ASSETS = [published_copy]
