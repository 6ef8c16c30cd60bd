"""Products that go with a product: by the model, by baskets, by category, by what sells at all."""

import duckdb
import polars as pl

from personalization_assets.recommendations.models import Model
from personalization_assets.warehouse import Query

ASKED = 4
"""The model is asked for so many times the length of a list: some of what it says is off sale."""


def build(con: duckdb.DuckDBPyConnection, model: Model | None, length: int) -> Query:
    """The rows of similar_products, as a query over tables of the connection.

    Reads recommendations.catalogue and .bought_together. Without a model, and for products that
    it does not know, lists start with what is bought together.
    """
    nearest = pl.DataFrame(
        schema={"product_id": pl.String, "other_id": pl.String, "score": pl.Float64}
    )
    if model is not None:
        found = model.similar(ASKED * length)
        nearest = pl.DataFrame(
            {
                "product_id": model.products.gather(found["column"]),
                "other_id": model.products.gather(found["other"]),
                "score": found["score"].cast(pl.Float64),
            }
        )
    con.register("nearest_frame", nearest.to_arrow())
    con.execute("CREATE OR REPLACE TEMP TABLE similar_by_model AS SELECT * FROM nearest_frame")
    con.unregister("nearest_frame")
    con.execute(f"CREATE OR REPLACE TEMP TABLE similar_listed AS {_LISTED.format(length=length)}")
    return Query(_FILLED.format(length=length))


# Blocks follow each other; a product that is in several stands in the first.
_LISTED = """
    WITH offered AS (
        SELECT product_id, other_id, score, 1 AS block FROM similar_by_model
        UNION ALL
        SELECT product_id, other_product_id AS other_id, score, 2 AS block
        FROM recommendations.bought_together
    )
    SELECT
        o.product_id,
        o.other_id,
        o.score,
        o.block,
        row_number() OVER (
            PARTITION BY o.product_id ORDER BY o.block, o.score DESC, o.other_id
        ) AS rank
    FROM (
        SELECT * FROM offered
        QUALIFY row_number() OVER (PARTITION BY product_id, other_id ORDER BY block) = 1
    ) AS o
    INNER JOIN recommendations.catalogue AS c ON o.product_id = c.product_id
    INNER JOIN recommendations.catalogue AS s ON o.other_id = s.product_id
    WHERE s.is_sellable
    QUALIFY rank <= {length}
"""

# Who is short of any number finds it among the first `length` + 1 plus as many as are listed.
_FILLED = """
    WITH short AS (
        SELECT
            c.product_id,
            c.category,
            coalesce(n.size, 0) AS size,
            {length} + 1 + coalesce(n.size, 0) AS look_at
        FROM recommendations.catalogue AS c
        LEFT JOIN (
            SELECT product_id, count(*) AS size FROM similar_listed GROUP BY product_id
        ) AS n ON c.product_id = n.product_id
        WHERE coalesce(n.size, 0) < {length}
    ),
    best_sellers AS (
        SELECT s.product_id, c.product_id AS other_id, c.recent_buyers AS score, 3 AS block,
            c.category_rank AS spot
        FROM short AS s
        INNER JOIN recommendations.catalogue AS c
            ON s.category = c.category AND c.category_rank <= s.look_at
        UNION ALL
        SELECT s.product_id, c.product_id AS other_id, c.recent_buyers AS score, 4 AS block,
            c.popularity_rank AS spot
        FROM short AS s
        INNER JOIN recommendations.catalogue AS c
            ON c.popularity_rank <= s.look_at + {length}
    ),
    fill AS (
        SELECT b.product_id, b.other_id, b.score, b.block, b.spot
        FROM best_sellers AS b
        ANTI JOIN similar_listed AS l ON b.product_id = l.product_id AND b.other_id = l.other_id
        WHERE b.product_id <> b.other_id
        QUALIFY row_number() OVER (PARTITION BY b.product_id, b.other_id ORDER BY b.block) = 1
    ),
    everything AS (
        SELECT product_id, other_id, score, block, rank AS spot FROM similar_listed
        UNION ALL
        SELECT product_id, other_id, score, block, spot FROM fill
    )
    SELECT
        product_id,
        row_number() OVER (PARTITION BY product_id ORDER BY block, spot, other_id) AS rank,
        other_id AS similar_product_id,
        CAST(score AS DOUBLE) AS score,
        ['model', 'bought_together', 'category', 'popular'][block] AS source
    FROM everything
    QUALIFY rank <= {length}
    ORDER BY product_id, rank
"""
