"""From a model to lists that may be shown: rules of the shop, products to buy again, fallbacks.

Everything works on whole tables. `build` needs a connection on which
`recommendations.interactions`, `recommendations.catalogue`, `identity.links`,
`profiles.preferences` and `profiles.transactions` exist; it writes nothing but temporary tables.
"""

import datetime as dt
from typing import Any

import duckdb
import numpy as np
import polars as pl

from personalization_assets.recommendations import reasons
from personalization_assets.recommendations.matrix import codes_of, to_matrix
from personalization_assets.recommendations.models import Model
from personalization_assets.recommendations.settings import RecommendationsSettings
from personalization_assets.warehouse import Query

NO_MODEL = "none"


def build(
    con: duckdb.DuckDBPyConnection,
    as_of: dt.datetime,
    settings: RecommendationsSettings,
    model: Model | None,
    version: str,
    pairs: pl.DataFrame,
    fresh: bool,
    threads: int,
) -> Query:
    """The rows of top_products, as a query over temporary tables of the connection.

    Args:
        con: connection with the tables named above
        as_of: purchases are recent or not at this time
        settings: of this room
        model: the current model; None lists best sellers only
        version: its name, or `NO_MODEL`
        pairs: customer_id, product_id, weight, by the model's half-life
        fresh: whether the model was trained on these very pairs; otherwise customers are folded in
        threads: of scoring; results do not depend on it
    """
    con.execute("CREATE OR REPLACE TEMP TABLE barred AS " + _barred(as_of, settings))
    con.execute("CREATE OR REPLACE TEMP TABLE again AS " + _again(settings))
    scored = _scored(con, settings, model, pairs, fresh, threads)
    con.register("scored_frame", scored.to_arrow())
    con.execute("CREATE OR REPLACE TEMP TABLE scored AS SELECT * FROM scored_frame")
    con.unregister("scored_frame")
    con.execute("CREATE OR REPLACE TEMP TABLE chosen AS " + _chosen(settings.list_length))
    con.execute("CREATE OR REPLACE TEMP TABLE filled AS " + _filled(settings.list_length))
    return Query(reasons.in_words(version))


def _barred(as_of: dt.datetime, settings: RecommendationsSettings) -> str:
    """Pairs that may not be listed: bought too recently, sooner again if consumable."""
    return f"""
        SELECT i.customer_id, i.product_id
        FROM recommendations.interactions AS i
        LEFT JOIN recommendations.catalogue AS c ON i.product_id = c.product_id
        WHERE i.last_purchase_at > TIMESTAMP '{as_of}' - to_days(
            CASE WHEN coalesce(c.repeatable, FALSE)
                THEN {settings.repeat_after_days} ELSE {settings.not_bought_days} END)
    """


def _again(settings: RecommendationsSettings) -> str:
    """Consumables to buy again, by weight: customer_id, product_id, score, place (1 first)."""
    return f"""
        SELECT
            i.customer_id, i.product_id, i.weight AS score,
            row_number() OVER (
                PARTITION BY i.customer_id ORDER BY i.weight DESC, i.product_id
            ) AS place
        FROM recommendations.interactions AS i
        INNER JOIN recommendations.catalogue AS c ON i.product_id = c.product_id
        ANTI JOIN barred AS b ON i.customer_id = b.customer_id AND i.product_id = b.product_id
        WHERE c.repeatable AND c.is_sellable AND i.purchases > 0
        QUALIFY place <= {settings.repeat_slots}
    """


def _scored(
    con: duckdb.DuckDBPyConnection,
    settings: RecommendationsSettings,
    model: Model | None,
    pairs: pl.DataFrame,
    fresh: bool,
    threads: int,
) -> pl.DataFrame:
    """The model's lists: customer_id, product_id, score, place, because_product_id."""
    if model is None or pairs.is_empty():
        return pl.DataFrame(schema=SCORED)
    known = to_matrix(pairs, products=model.products)
    barred = con.sql("SELECT customer_id, product_id, 1.0 AS weight FROM barred").pl()
    sellable = con.sql(
        "SELECT product_id FROM recommendations.catalogue WHERE is_sellable ORDER BY product_id"
    ).pl()["product_id"]
    unsellable = np.nonzero(codes_of(model.products, sellable).to_numpy() < 0)[0]
    found = model.best(
        known.weights,
        settings.list_length,
        customers=known.customers if fresh else None,
        skip=to_matrix(barred, known.customers, model.products).weights,
        skip_products=unsellable.astype(np.int32),
        threads=threads,
    )
    because = reasons.because(model, known.weights, found)
    return found.select(
        customer_id=known.customers.gather(found["row"]),
        product_id=model.products.gather(found["column"]),
        score=pl.col("score").cast(pl.Float64),
        place=(pl.int_range(pl.len()).over("row") + 1).cast(pl.Int64),
        because_product_id=model.products.gather(because),
    )


SCORED: dict[str, Any] = {
    "customer_id": pl.String,
    "product_id": pl.String,
    "score": pl.Float64,
    "place": pl.Int64,
    "because_product_id": pl.String,
}


def _chosen(length: int) -> str:
    """The model's list with the products to buy again at every third place, at most `length`."""
    return f"""
        WITH both_kinds AS (
            SELECT customer_id, product_id, score, 'repeat' AS source,
                product_id AS because_product_id, 3 * place - 0.5 AS spot
            FROM again
            UNION ALL
            SELECT s.customer_id, s.product_id, s.score, 'als' AS source,
                s.because_product_id, s.place AS spot
            FROM scored AS s
            ANTI JOIN again AS g ON s.customer_id = g.customer_id AND s.product_id = g.product_id
        )
        SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY spot, product_id) AS rank
        FROM both_kinds
        QUALIFY rank <= {length}
    """


def _filled(length: int) -> str:
    """Every customer's list, topped up with best sellers of their category and of the shop.

    A customer whose list is short by any number finds enough among the first `length` plus as many
    as are barred for them or already listed, so no more than these are looked at.
    """
    return f"""
        WITH customers AS (
            SELECT DISTINCT customer_id FROM identity.links
        ),
        listed AS (SELECT customer_id, count(*) AS n FROM chosen GROUP BY customer_id),
        held AS (SELECT customer_id, count(*) AS n FROM barred GROUP BY customer_id),
        short AS (
            SELECT
                c.customer_id,
                coalesce(p.favourite_category, t.top_category) AS category,
                {length} + coalesce(l.n, 0) + coalesce(h.n, 0) AS look_at
            FROM customers AS c
            LEFT JOIN listed AS l ON c.customer_id = l.customer_id
            LEFT JOIN held AS h ON c.customer_id = h.customer_id
            LEFT JOIN profiles.preferences AS p ON c.customer_id = p.customer_id
            LEFT JOIN profiles.transactions AS t ON c.customer_id = t.customer_id
            WHERE coalesce(l.n, 0) < {length}
        ),
        offered AS (
            SELECT s.customer_id, c.product_id, c.recent_buyers, 'category' AS source,
                c.category_rank AS spot
            FROM short AS s
            INNER JOIN recommendations.catalogue AS c
                ON s.category = c.category AND c.category_rank <= s.look_at
            UNION ALL
            SELECT s.customer_id, c.product_id, c.recent_buyers, 'popular' AS source,
                c.popularity_rank AS spot
            FROM short AS s
            INNER JOIN recommendations.catalogue AS c
                ON c.popularity_rank <= s.look_at + {length}
        ),
        usable AS (
            SELECT o.*
            FROM offered AS o
            ANTI JOIN barred AS b
                ON o.customer_id = b.customer_id AND o.product_id = b.product_id
            ANTI JOIN chosen AS c
                ON o.customer_id = c.customer_id AND o.product_id = c.product_id
            QUALIFY row_number() OVER (
                PARTITION BY o.customer_id, o.product_id ORDER BY o.source
            ) = 1
        ),
        everything AS (
            SELECT customer_id, product_id, score, source, because_product_id,
                0 AS block, rank AS spot
            FROM chosen
            UNION ALL
            SELECT customer_id, product_id, CAST(recent_buyers AS DOUBLE) AS score, source,
                NULL AS because_product_id,
                CASE source WHEN 'category' THEN 1 ELSE 2 END AS block, spot
            FROM usable
        )
        SELECT
            customer_id, product_id, score, source, because_product_id,
            row_number() OVER (PARTITION BY customer_id ORDER BY block, spot, product_id) AS rank
        FROM everything
        QUALIFY rank <= {length}
    """
