"""What could be on whose list: temporary tables of small numbers that the rest works on.

list_products   product_id and its number `code`, with what rules look at
list_people     customer_id and its number `person`
list_pairs      what a customer had to do with a product, weighed as the model weighs it
list_barred     pairs that must not be listed: bought too recently
list_tired      pairs that mails have shown often enough
list_again      consumables to buy again, best first
list_ladders    best sellers and new products, by category, brand, region, country, shop
list_steps      which ladders a customer goes down, in which order
list_limits     the most that a product may cost, for those who have a limit
"""

import datetime as dt

import duckdb
import polars as pl

from personalization_assets.recommendations.list_settings import ListSettings
from personalization_assets.recommendations.lists.choosing import STEPS
from personalization_assets.warehouse import exists

FAVOURITES = 3
"""So many of a customer's categories are looked at."""

MOST_AGAIN = 50
"""So many products that a customer may buy again are looked at, by weight."""


def prepare(
    con: duckdb.DuckDBPyConnection,
    statement: str,
    as_of: dt.datetime,
    settings: ListSettings,
    products: pl.Series | None,
) -> None:
    """Make the tables.

    Args:
        con: connection with the tables of this room, identity.links and profiles
        statement: the SELECT of interactions.sql; its variables are set as the model was trained
        as_of: purchases are recent or not at this time
        settings: of lists
        products: ids that the model knows; None leaves list_pairs empty
    """
    known = pl.Series([], dtype=pl.String) if products is None else products
    con.register("model_products", known.to_frame("product_id").to_arrow())
    try:
        tables = {
            "list_products": _PRODUCTS,
            "list_people": _PEOPLE,
            "list_pairs": _PAIRS.format(
                statement=statement, some="TRUE" if products is not None else "FALSE"
            ),
            "list_barred": _BARRED.format(
                as_of=as_of, days=settings.not_bought_days, again=settings.repeat_after_days
            ),
            "list_tired": _tired(con, as_of, settings),
            "list_again": _AGAIN.format(most=MOST_AGAIN),
            "list_ladders": _LADDERS,
            "list_steps": _STEPS.format(
                names=", ".join(_STEP_NAMES[what] for _, what in STEPS),
                kinds=", ".join(f"'{kind}'" for kind, _ in STEPS),
            ),
            "list_limits": _LIMITS.format(ratio=settings.max_price_ratio),
        }
        for name, query in tables.items():
            con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
    finally:
        con.unregister("model_products")


_PRODUCTS = """
    SELECT
        CAST(row_number() OVER (ORDER BY p.product_id) - 1 AS INTEGER) AS code,
        p.product_id,
        c.name,
        c.category,
        c.brand,
        CAST(coalesce(k.number, -1) AS INTEGER) AS category_code,
        CAST(coalesce(b.number, -1) AS INTEGER) AS brand_code,
        CAST(coalesce(c.price_base, 0) AS FLOAT) AS price,
        coalesce(c.is_sellable, FALSE) AS is_sellable,
        coalesce(c.is_new, FALSE) AS is_new,
        coalesce(c.repeatable, FALSE) AS repeatable,
        c.recent_buyers,
        c.popularity_rank,
        m.product_id IS NOT NULL AS is_modelled
    FROM (
        SELECT product_id FROM recommendations.catalogue
        UNION
        SELECT product_id FROM model_products
    ) AS p
    LEFT JOIN recommendations.catalogue AS c ON p.product_id = c.product_id
    LEFT JOIN model_products AS m ON p.product_id = m.product_id
    LEFT JOIN (
        SELECT category, row_number() OVER (ORDER BY category) - 1 AS number
        FROM (SELECT DISTINCT category FROM recommendations.catalogue WHERE category IS NOT NULL)
    ) AS k ON c.category = k.category
    LEFT JOIN (
        SELECT brand, row_number() OVER (ORDER BY brand) - 1 AS number
        FROM (SELECT DISTINCT brand FROM recommendations.catalogue WHERE brand IS NOT NULL)
    ) AS b ON c.brand = b.brand
    ORDER BY code
"""

# The spread is where a customer starts on a ladder of new products: everybody elsewhere, so that
# each of them is shown to some; the same place every time, so that lists hold still.
_PEOPLE = f"""
    SELECT
        CAST(row_number() OVER (ORDER BY k.customer_id) - 1 AS INTEGER) AS person,
        k.customer_id,
        list_filter(
            p.liked, lambda x, i: x IS NOT NULL AND list_position(p.liked, x) = i
        )[1:{FAVOURITES}] AS categories,
        coalesce(p.stated_categories, []) AS stated,
        p.top_brand AS brand,
        a.country,
        a.country || '/' || w.region_name AS region,
        CAST(md5_number_lower(k.customer_id) % 1000003 AS INTEGER) AS spread
    FROM (SELECT DISTINCT customer_id FROM identity.links) AS k
    LEFT JOIN (
        SELECT
            p.customer_id,
            list_concat([p.favourite_category], p.categories, [t.top_category]) AS liked,
            p.stated_categories,
            t.top_brand
        FROM profiles.preferences AS p
        LEFT JOIN profiles.transactions AS t ON p.customer_id = t.customer_id
    ) AS p ON k.customer_id = p.customer_id
    LEFT JOIN profiles.attributes AS a ON k.customer_id = a.customer_id
    LEFT JOIN profiles.places AS w ON k.customer_id = w.customer_id
    ORDER BY person
"""

_PAIRS = """
    SELECT p.person, c.code, CAST(i.weight AS FLOAT) AS weight, i.purchases, i.carts
    FROM ({statement}) AS i
    INNER JOIN list_people AS p ON i.customer_id = p.customer_id
    INNER JOIN list_products AS c ON i.product_id = c.product_id
    WHERE {some}
    ORDER BY p.person, c.code
"""

_BARRED = """
    SELECT p.person, c.code
    FROM recommendations.interactions AS i
    INNER JOIN list_people AS p ON i.customer_id = p.customer_id
    INNER JOIN list_products AS c ON i.product_id = c.product_id
    WHERE i.last_purchase_at > TIMESTAMP '{as_of}'
        - to_days(CASE WHEN c.repeatable THEN {again} ELSE {days} END)
    ORDER BY p.person, c.code
"""


def _tired(con: duckdb.DuckDBPyConnection, as_of: dt.datetime, settings: ListSettings) -> str:
    """Mails of earlier days count, and only places nobody clicked. What mails showed is a table of
    theirs, which the runs before this one left: lists come first in a run.
    """
    if not settings.max_shown or not exists(con, "emails.shown_products"):
        return "SELECT 0::INTEGER AS person, 0::INTEGER AS code LIMIT 0"
    return f"""
        SELECT p.person, c.code
        FROM emails.shown_products AS s
        INNER JOIN list_people AS p ON s.customer_id = p.customer_id
        INNER JOIN list_products AS c ON s.product_id = c.product_id
        ANTI JOIN (
            SELECT customer_id, product_id
            FROM recommendations.activity
            WHERE kind = 'click' AND day >= DATE '{as_of.date()}' - {settings.shown_days}
        ) AS a ON s.customer_id = a.customer_id AND s.product_id = a.product_id
        WHERE CAST(s.as_of AS DATE) < DATE '{as_of.date()}'
            AND CAST(s.as_of AS DATE) >= DATE '{as_of.date()}' - {settings.shown_days}
        GROUP BY p.person, c.code
        HAVING count(DISTINCT s.send_id) >= {settings.max_shown}
        ORDER BY p.person, c.code
    """


_AGAIN = """
    SELECT p.person, c.code, i.weight AS score
    FROM recommendations.interactions AS i
    INNER JOIN list_people AS p ON i.customer_id = p.customer_id
    INNER JOIN list_products AS c ON i.product_id = c.product_id
    ANTI JOIN list_barred AS b ON p.person = b.person AND c.code = b.code
    WHERE c.repeatable AND c.is_sellable AND i.purchases > 0
    QUALIFY row_number() OVER (PARTITION BY p.person ORDER BY i.weight DESC, c.code) <= {most}
    ORDER BY p.person, i.weight DESC, c.code
"""

_LADDERS = """
    WITH rungs AS (
        SELECT 'new' AS kind, category AS key, code, recent_buyers AS score, popularity_rank
        FROM list_products
        WHERE is_new AND category IS NOT NULL
        UNION ALL
        SELECT 'new_of_brand' AS kind, brand AS key, code, recent_buyers, popularity_rank
        FROM list_products
        WHERE is_new AND brand IS NOT NULL
        UNION ALL
        SELECT 'category' AS kind, category AS key, code, recent_buyers, popularity_rank
        FROM list_products
        WHERE is_sellable AND category IS NOT NULL
        UNION ALL
        SELECT
            CASE WHEN contains(r.place, '/') THEN 'region' ELSE 'country' END AS kind,
            r.place AS key, p.code, r.recent_buyers, r.popularity_rank
        FROM recommendations.regional_popularity AS r
        INNER JOIN list_products AS p ON r.product_id = p.product_id
        WHERE p.is_sellable
        UNION ALL
        SELECT 'popular' AS kind, '' AS key, code, recent_buyers, popularity_rank
        FROM list_products
        WHERE is_sellable
    )
    SELECT
        CAST(dense_rank() OVER (ORDER BY kind, key) - 1 AS INTEGER) AS ladder,
        kind,
        key,
        code,
        CAST(score AS DOUBLE) AS score
    FROM rungs
    ORDER BY ladder, popularity_rank
"""

_STEP_NAMES = {
    "category 1": "categories[1]",
    "category 2": "categories[2]",
    "category 3": "categories[3]",
    "brand": "brand",
    "region": "region",
    "country": "country",
    "": "''",
}

_STEPS = """
    SELECT s.person, s.step, l.ladder
    FROM (
        SELECT
            person,
            unnest([{kinds}]) AS kind,
            unnest([{names}]) AS key,
            unnest(range({count})) AS step
        FROM list_people
    ) AS s
    INNER JOIN (SELECT DISTINCT ladder, kind, key FROM list_ladders) AS l
        ON s.kind = l.kind AND s.key = l.key
    ORDER BY s.person, s.step
""".replace("{count}", str(len(STEPS)))

_LIMITS = """
    SELECT p.person, CAST({ratio} * median(c.price) AS FLOAT) AS price
    FROM recommendations.interactions AS i
    INNER JOIN list_people AS p ON i.customer_id = p.customer_id
    INNER JOIN list_products AS c ON i.product_id = c.product_id
    WHERE {ratio} > 0 AND i.purchases > 0 AND c.price > 0
    GROUP BY p.person
    ORDER BY p.person
"""
