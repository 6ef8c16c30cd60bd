"""What is published at the end of a run: `serving.duckdb`, and what its readers need beside it."""

import dagster as dg

from personalization_assets.serving.contracts import CustomerProducts
from personalization_assets.settings import Settings
from personalization_assets.sql_models import read_sql_model
from personalization_assets.tables import POOL, Clock, Run, open_run, table_asset, user_errors
from personalization_assets.warehouse import Query, Warehouse, copy_to, tables

ROOMS = ("identity", "profiles", "recommendations", "feedback", "audits", "serving")
ALSO = ("standardized.products", "emails.audience", "emails.deliveries", "emails.suppressions")


@table_asset(
    contract=CustomerProducts,
    deps=[
        "recommendations/activity",
        "recommendations/interactions",
        "recommendations/catalogue",
        "recommendations/als_model",
    ],
    kinds={"duckdb"},
)
def customer_products(run: Run) -> Query:
    """The weights come from the statement of recommendations.interactions itself, run with the
    half-life of the current model: there is no second one that could weigh differently."""
    settings = run.settings.recommendations
    statement = read_sql_model(run.settings.sql_models / "recommendations" / "interactions.sql").sql
    name = "recommendations__half_life_days"
    current = run.con.execute(
        "SELECT half_life_days FROM recommendations.als_model WHERE is_current"
    ).fetchall()
    half_life = current[0][0] if current else settings.half_life_days
    run.con.execute(f"SET VARIABLE {name} = ?", [half_life])
    try:
        run.con.execute(f"CREATE OR REPLACE TEMP TABLE weighed AS {statement}")
    finally:
        run.con.execute(f"SET VARIABLE {name} = ?", [settings.half_life_days])
    run.metadata(half_life_days=half_life)
    return Query(
        f"""
        SELECT
            w.customer_id,
            w.product_id,
            w.weight,
            coalesce(
                w.last_purchase_at > getvariable('as_of')::TIMESTAMP - to_days(
                    CASE WHEN coalesce(c.repeatable, FALSE)
                        THEN {settings.repeat_after_days} ELSE {settings.not_bought_days} END),
                FALSE
            ) AS barred
        FROM weighed AS w
        LEFT JOIN recommendations.catalogue AS c ON w.product_id = c.product_id
        ORDER BY w.customer_id, w.product_id
        """
    )


@dg.asset(
    key=["serving", "published_copy"],
    group_name="serving",
    deps=[
        dg.AssetKey(["identity", "redirects"]),
        dg.AssetKey(["profiles", "golden_profiles"]),
        dg.AssetKey(["profiles", "maturity"]),
        dg.AssetKey(["recommendations", "top_products"]),
        dg.AssetKey(["recommendations", "similar_products"]),
        dg.AssetKey(["serving", "customer_products"]),
        dg.AssetKey(["emails", "deliveries"]),
        dg.AssetKey(["feedback", "performance"]),
        dg.AssetKey(["feedback", "retraining_signals"]),
    ],
    owners=["team:data"],
    kinds={"duckdb", "file"},
    tags={"pii": "true"},
    pool=POOL,
    description=(
        "The published copy of the results, a DuckDB file that readers open instead of the "
        "warehouse: profiles, identity, recommendations, feedback, audits, products, what the "
        "service scores by, and the decisions on e-mails (not their bodies, not the sources).\n\n"
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


ASSETS: list[dg.AssetsDefinition] = [customer_products, published_copy]
