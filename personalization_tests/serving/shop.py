"""A small shop's publications, made as the platform makes them, with a model that was trained."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from personalization_assets.recommendations import models
from personalization_assets.recommendations.matrix import to_matrix
from personalization_assets.recommendations.models import Recipe
from personalization_assets.warehouse import copy_to, tables

CUSTOMERS = 200
PRODUCTS = 60
LISTED = 12
AS_OF = dt.datetime(2026, 6, 1)

NO_CONSENT = "c_0003"
"""Agreed to nothing"""
NEWCOMER = "c_0199"
"""Never did anything; has a list of best sellers"""
RETIRED, HEIR = "c_9001", "c_0010"
GONE = "c_9002"
"""Retired, and nobody stands for it"""

SHOP = """
CREATE SCHEMA profiles; CREATE SCHEMA recommendations; CREATE SCHEMA identity;
CREATE SCHEMA serving; CREATE SCHEMA standardized;
CREATE TABLE standardized.products AS
SELECT 'shop' AS source, format('P{{:03d}}', i) AS product_id, 'Product ' || i AS name,
    ['Kitchen', 'Garden', 'Textiles'][1 + i % 3] AS category, 'Alder' AS brand,
    CASE WHEN i <> 7 THEN 5.0 + i END AS price_base,
    'https://shop.example.com/p/' || i AS url, NULL::VARCHAR AS image_url
FROM range({products}) t(i);
CREATE TABLE recommendations.catalogue AS
SELECT product_id, name, category, product_id <> 'P005' AS is_sellable, false AS repeatable,
    CASE WHEN product_id <> 'P005' THEN row_number() OVER (ORDER BY product_id) END
        AS popularity_rank
FROM standardized.products;
CREATE TABLE profiles.golden_profiles AS
SELECT format('c_{{:04d}}', i) AS customer_id, 'Aoife' AS given_name,
    'Byrne' || i AS family_name, 'p' || i || '@mail.example.com' AS email, 'en' AS language,
    'IE' AS country, 'gold' AS loyalty_tier, i::BIGINT AS loyalty_points,
    i <> 3 AS consent_personalisation, ['Kitchen', 'Garden', 'Textiles'][1 + i % 3]
        AS favourite_category,
    ['Kitchen'] AS categories, 'Alder' AS top_brand, ['P001'] AS last_products,
    ['P002'] AS last_viewed_products,
    [{{'product_id': 'P003', 'quantity': 1::BIGINT}}] AS open_cart, 'loyal' AS segment,
    'active' AS lifecycle, 'high' AS engagement_level, false AS is_vip,
    CASE WHEN i % 2 = 0 THEN ['Garden', 'Kitchen'] END AS stated_categories,
    CASE WHEN i % 2 = 0 THEN 'weekly' END AS frequency,
    CASE WHEN i % 2 = 0 THEN TIMESTAMP '2026-05-01 10:00:00' END AS preferences_stated_at
FROM range({customers}) t(i) ORDER BY hash(i);
CREATE TABLE identity.redirects AS
SELECT * FROM (VALUES ('c_9001', 'c_0010'), ('c_9002', NULL)) t(retired_id, customer_id);
CREATE TABLE serving.customer_products AS
SELECT format('c_{{:04d}}', c) AS customer_id,
    format('P{{:03d}}', (c % 3) + 3 * ((c * 7 + k * k) % ({products} // 3))) AS product_id,
    sum(1.0 + k) AS weight, bool_or(k = 0) AS barred
FROM range({customers} - 1) a(c), range(6) b(k) GROUP BY ALL ORDER BY ALL;
"""


def train(con: duckdb.DuckDBPyConnection, algorithm: str = "als") -> models.Model:
    """A real model of the shop's interactions."""
    pairs = con.sql("SELECT * FROM serving.customer_products ORDER BY ALL").pl()
    values = dict(models.ALGORITHMS[algorithm].defaults)
    if algorithm == "als":
        values["factors"] = 16.0
    recipe = Recipe.of(algorithm, 60.0, 0.3, values)
    return models.fit(to_matrix(pairs), recipe, seed=1, threads=1)


def publish(
    path: Path,
    version: str = "0123456789ab",
    customers: int = CUSTOMERS,
    products: int = PRODUCTS,
    algorithm: str | None = "als",
    without: str | None = None,
) -> None:
    """Put a publication in place. Lists are the model's; `algorithm` None lists best sellers only.

    Every score of the lists, and nothing else, differs between versions.
    """
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(SHOP.format(customers=customers, products=products))
        model = train(con, algorithm) if algorithm else None
        _model_tables(con, version, model)
        _lists(con, version, model)
        if without:
            con.execute(f"DROP TABLE {without}")
        copy_to(con, path, tables(con))


def _model_tables(con: duckdb.DuckDBPyConnection, version: str, model: models.Model | None) -> None:
    con.execute(
        "CREATE TABLE recommendations.als_model (model_version VARCHAR, is_current BOOLEAN,"
        " algorithm VARCHAR, recipe VARCHAR)"
    )
    if model is None:
        con.execute(
            "CREATE TABLE recommendations.als_factors (model_version VARCHAR, side VARCHAR)"
        )
        return
    recipe = model.recipe
    con.execute(
        "INSERT INTO recommendations.als_model VALUES (?, true, ?, ?)",
        [version, recipe.algorithm, recipe.to_json()],
    )
    rows = model.rows().with_columns(model_version=pl.lit(version))
    add(con, "recommendations.als_factors", rows)
    similar = model.similar(8)
    ids = model.products
    frame = similar.select(
        product_id=ids.gather(similar["column"]),
        rank=pl.int_range(pl.len()).over("column") + 1,
        similar_product_id=ids.gather(similar["other"]),
        score="score",
        source=pl.lit("model"),
    )
    add(con, "recommendations.similar_products", frame)


def _lists(con: duckdb.DuckDBPyConnection, version: str, model: models.Model | None) -> None:
    """Twelve products for everybody, the barred ones left out."""
    listed = "NULL::VARCHAR AS customer_id, NULL::VARCHAR AS product_id, 0.0 AS score LIMIT 0"
    if model is not None:
        pairs = con.sql("SELECT * FROM serving.customer_products ORDER BY ALL").pl()
        known = to_matrix(pairs, products=model.products)
        barred = to_matrix(pairs.filter("barred"), known.customers, model.products)
        found = model.best(known.weights, LISTED, skip=barred.weights, threads=1)
        con.register(
            "found_frame",
            found.select(
                customer_id=known.customers.gather(found["row"]),
                product_id=model.products.gather(found["column"]),
                score=pl.col("score").cast(pl.Float64),
            ).to_arrow(),
        )
        listed = "* FROM found_frame"
    con.execute(
        f"""
        CREATE TABLE recommendations.top_products AS
        WITH offered AS (
            SELECT customer_id, product_id, score, 'als' AS source, 'Picked for you' AS reason,
                1 AS block
            FROM (SELECT {listed}) JOIN recommendations.catalogue USING (product_id)
            WHERE is_sellable
            UNION ALL
            SELECT customer_id, product_id, 1.0 / popularity_rank, 'popular', 'Popular right now', 2
            FROM profiles.golden_profiles, recommendations.catalogue
            WHERE popularity_rank <= {PRODUCTS}
        ),
        once AS (
            FROM offered
            ANTI JOIN (FROM serving.customer_products WHERE barred)
                USING (customer_id, product_id)
            QUALIFY row_number() OVER (PARTITION BY customer_id, product_id ORDER BY block) = 1
        )
        SELECT customer_id, product_id, score, source, reason,
            row_number() OVER (PARTITION BY customer_id ORDER BY block, score DESC, product_id)
                AS rank,
            '{version}' AS model_version,
            md5(customer_id || '|' || product_id || '|{version}') AS recommendation_id
        FROM once QUALIFY rank <= {LISTED} ORDER BY hash(customer_id), rank
        """
    )


def add(con: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> None:
    """A table of the frame's rows."""
    con.register("rows_to_add", frame.to_arrow())
    con.execute(f"CREATE TABLE {table} AS FROM rows_to_add")
    con.unregister("rows_to_add")


def listed(path: Path, customer_id: str) -> list[dict[str, Any]]:
    """A customer's published list, best first."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{path}' AS p (READ_ONLY)")
        rows: list[dict[str, Any]] = (
            con.sql(
                "SELECT * FROM p.recommendations.top_products WHERE customer_id = $c ORDER BY rank",
                params={"c": customer_id},
            )
            .pl()
            .to_dicts()
        )
    return rows


def recipe_of(path: Path) -> dict[str, Any]:
    """The current model's recipe."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{path}' AS p (READ_ONLY)")
        found = con.execute("SELECT recipe FROM p.recommendations.als_model").fetchall()
    recipe: dict[str, Any] = json.loads(found[0][0])
    return recipe
