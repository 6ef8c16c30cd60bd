"""The tables that mails and the service show products from, and the rules behind them."""

import dagster as dg
import polars as pl

from personalization_assets.contracts import contract_of
from personalization_assets.recommendations.list_contracts import (
    Exclusions,
    SimilarProducts,
    TopProducts,
)
from personalization_assets.sql_models import read_sql_model
from personalization_assets.tables import Run, table_asset
from personalization_assets.warehouse import Query


@table_asset(contract=Exclusions)
def exclusions(run: Run) -> pl.DataFrame:
    """What the settings say is never shown."""
    rules = [
        {"rule": number, **rule.model_dump()}
        for number, rule in enumerate(run.settings.recommendations.exclude, start=1)
    ]
    contract = contract_of(Exclusions)
    return contract.conform(pl.DataFrame(rules)) if rules else contract.empty()


@table_asset(
    contract=TopProducts,
    deps=[
        "recommendations/als_model",
        "recommendations/als_factors",
        "recommendations/activity",
        "recommendations/interactions",
        "recommendations/catalogue",
        "recommendations/regional_popularity",
        "identity/links",
        "profiles/attributes",
        "profiles/places",
        "profiles/preferences",
        "profiles/transactions",
    ],
)
def top_products(run: Run) -> Query:
    """A list for everybody: by the current model, else by what sells."""
    from personalization_assets.recommendations import exploring, lists, models, training

    settings = run.settings.recommendations
    version = _current(run)
    fresh = version == training.version_of(run.con, settings, run.settings.seed)
    run.metadata(model_version=version or lists.NO_MODEL, model_is_fresh=fresh)
    outcomes = pl.DataFrame(
        schema={"product_id": pl.String, "shown": pl.Float64, "clicked": pl.Float64}
    )
    if run.exists("feedback.recommendation_outcomes") and run.exists("feedback.examination"):
        outcomes = exploring.outcomes_of(run.con)
    path = run.settings.sql_models / "recommendations" / "interactions.sql"
    return lists.build(
        run.con,
        read_sql_model(path).sql,
        run.as_of,
        settings,
        models.load(run.con, version) if version else None,
        version or lists.NO_MODEL,
        fresh,
        outcomes,
        run.settings.seed,
        run.settings.threads,
    )


@table_asset(
    contract=SimilarProducts,
    deps=[
        "recommendations/als_model",
        "recommendations/als_factors",
        "recommendations/catalogue",
        "recommendations/bought_together",
    ],
)
def similar_products(run: Run) -> Query:
    """What goes with each product: by the current model, else by baskets."""
    from personalization_assets.recommendations import models, similar

    version = _current(run)
    model = models.load(run.con, version) if version else None
    return similar.build(run.con, model, run.settings.recommendations.similar_length)


def _current(run: Run) -> str | None:
    """The version that lists are made with, if there is one."""
    found = run.con.sql(
        "SELECT model_version FROM recommendations.als_model WHERE is_current"
    ).fetchall()
    return found[0][0] if found else None


ASSETS: list[dg.AssetsDefinition] = [exclusions, top_products, similar_products]
