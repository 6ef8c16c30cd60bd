"""Checks of lists that span more than one row."""

import dagster as dg

from personalization_assets.recommendations.checks import warning
from personalization_assets.warehouse import Warehouse

LISTS = dg.AssetKey(["recommendations", "top_products"])
SIMILAR = dg.AssetKey(["recommendations", "similar_products"])
CATALOGUE = dg.AssetKey(["recommendations", "catalogue"])


@dg.asset_check(
    asset=LISTS,
    additional_deps=[
        CATALOGUE,
        dg.AssetKey(["identity", "links"]),
    ],
    description="Everybody has a list, and as long a one as the products on sale allow.",
)
def everybody_has_a_full_list(
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """Recent purchases may shorten a list when there are hardly more products than places."""
    with warehouse.connect() as con:
        customers, short, longest, products = con.execute(
            """
            WITH sizes AS (
                SELECT k.customer_id, count(t.product_id) AS n
                FROM (SELECT DISTINCT customer_id FROM identity.links) AS k
                LEFT JOIN recommendations.top_products AS t ON k.customer_id = t.customer_id
                GROUP BY k.customer_id
            )
            SELECT
                count(*),
                count(*) FILTER (WHERE n < (SELECT max(n) FROM sizes)),
                coalesce(max(n), 0),
                (SELECT count(*) FROM recommendations.catalogue WHERE is_sellable)
            FROM sizes
            """
        ).fetchall()[0]
    return warning(
        short == 0 and (longest > 0 or not customers or not products),
        f"{short:,} of {customers:,} customers have fewer than {longest} products on their list; "
        f"{products:,} products are on sale.",
    )


@dg.asset_check(
    asset=LISTS,
    additional_deps=[CATALOGUE],
    blocking=True,
    description="No list shows a product that is out of stock or off sale, or the same one twice.",
)
def lists_show_what_can_be_bought(
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """Blocking: mails must not be rendered from such lists."""
    with warehouse.connect() as con:
        unsellable, twice = con.execute(
            """
            SELECT
                (SELECT count(*) FROM recommendations.top_products AS t
                 LEFT JOIN recommendations.catalogue AS c ON t.product_id = c.product_id
                 WHERE NOT coalesce(c.is_sellable, FALSE)),
                (SELECT count(*) - count(DISTINCT (customer_id, product_id))
                 FROM recommendations.top_products)
            """
        ).fetchall()[0]
    return dg.AssetCheckResult(
        passed=not unsellable and not twice,
        description=f"{unsellable:,} places show what is not on sale, {twice:,} repeat a product.",
        metadata={"unsellable": unsellable, "twice": twice},
    )


@dg.asset_check(
    asset=SIMILAR,
    additional_deps=[CATALOGUE],
    description="Every product has as many similar ones as there are, and none that is off sale.",
)
def products_have_full_lists(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """A warning: a block of similar products may be shorter, or show what is sold out."""
    with warehouse.connect() as con:
        products, short, longest, unsellable = con.execute(
            """
            WITH sizes AS (
                SELECT c.product_id, count(s.product_id) AS n
                FROM recommendations.catalogue AS c
                LEFT JOIN recommendations.similar_products AS s ON c.product_id = s.product_id
                GROUP BY c.product_id
            ), sellable AS (
                SELECT product_id FROM recommendations.catalogue WHERE is_sellable
            )
            SELECT
                count(*),
                count(*) FILTER (
                    WHERE n < least(
                        (SELECT max(n) FROM sizes),
                        (SELECT count(*) FROM sellable AS s WHERE s.product_id <> z.product_id)
                    )
                ),
                coalesce(max(n), 0),
                (SELECT count(*) FROM recommendations.similar_products AS l
                 ANTI JOIN sellable AS s ON l.similar_product_id = s.product_id)
            FROM sizes AS z
            """
        ).fetchall()[0]
    return warning(
        not short and not unsellable,
        f"{short:,} of {products:,} products have fewer than {longest} similar ones, "
        f"{unsellable:,} places show what is not on sale.",
    )


@dg.asset_check(
    asset=CATALOGUE,
    additional_deps=[dg.AssetKey(["recommendations", "exclusions"])],
    description="Every rule of the setting `exclude` names at least one product.",
)
def exclusions_name_something(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """A warning: a rule that names nothing is misspelt, and what it means is still shown."""
    with warehouse.connect() as con:
        idle = con.execute(
            """
            SELECT e.rule
            FROM recommendations.exclusions AS e
            LEFT JOIN recommendations.catalogue AS c
                ON (e.product IS NULL OR regexp_matches(c.product_id, e.product))
                AND (e.category IS NULL OR c.category = e.category)
                AND (e.brand IS NULL OR c.brand = e.brand)
            GROUP BY e.rule
            HAVING count(c.product_id) = 0
            ORDER BY e.rule
            """
        ).fetchall()
    numbers = ", ".join(str(rule) for (rule,) in idle)
    return warning(
        not idle,
        f"Rule {numbers} of `recommendations: exclude` names no product: correct it or remove it."
        if idle
        else "Every rule names a product.",
    )


CHECKS: list[dg.AssetChecksDefinition] = [
    everybody_has_a_full_list,
    lists_show_what_can_be_bought,
    products_have_full_lists,
    exclusions_name_something,
]
