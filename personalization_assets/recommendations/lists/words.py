"""Why a product is on a list, in words that a mail can show."""

from personalization_assets.recommendations.lists.choosing import STEPS

_KINDS = ("again", "model", *(kind for kind, _ in STEPS))
"""What the numbers of sources in list_rows mean."""


def in_words(version: str, model_source: str) -> str:
    """The SELECT that turns list_rows into rows of top_products.

    `model_source` is what the model's products have as their source.
    """
    kinds = ", ".join(f"'{kind}'" for kind in _KINDS)
    return f"""
        WITH rows AS (
            SELECT
                r.* EXCLUDE (source),
                [{kinds}][r.source + 1] AS kind,
                k.customer_id,
                p.product_id,
                p.category,
                p.brand,
                n.product_id AS because_product_id,
                n.name AS because_name,
                b.purchases,
                b.carts
            FROM list_rows AS r
            INNER JOIN list_people AS k ON r.person = k.person
            INNER JOIN list_products AS p ON r.code = p.code
            LEFT JOIN list_products AS n ON r.because = n.code AND r.because >= 0
            LEFT JOIN list_pairs AS b ON r.person = b.person AND r.because = b.code
        ),
        coded AS (
            SELECT
                *,
                CASE
                    WHEN kind = 'new_of_brand' THEN 'new'
                    WHEN kind <> 'model' THEN kind
                    WHEN because < 0 THEN 'picked'
                    WHEN because <> code AND because_name IS NULL THEN 'picked'
                    ELSE
                        CASE WHEN because = code THEN 'own_' ELSE '' END
                        || CASE
                            WHEN purchases > 0 THEN 'bought'
                            WHEN carts > 0 THEN 'cart'
                            ELSE 'viewed'
                        END
                END AS reason_code
            FROM rows
        )
        SELECT
            customer_id,
            CAST(rank AS BIGINT) AS rank,
            product_id,
            score,
            CASE kind
                WHEN 'model' THEN '{model_source}'
                WHEN 'again' THEN 'repeat'
                WHEN 'new_of_brand' THEN 'new'
                WHEN 'country' THEN 'region'
                ELSE kind
            END AS source,
            CASE reason_code
                WHEN 'bought' THEN 'Because you bought ' || because_name
                WHEN 'cart' THEN 'Because you put ' || because_name || ' in your cart'
                WHEN 'viewed' THEN 'Because you looked at ' || because_name
                WHEN 'own_bought' THEN 'You have bought this before'
                WHEN 'own_cart' THEN 'You put this in your cart'
                WHEN 'own_viewed' THEN 'You looked at this'
                WHEN 'again' THEN 'Time to buy it again?'
                WHEN 'new' THEN
                    CASE WHEN kind = 'new' THEN 'New in ' || category ELSE 'New from ' || brand END
                WHEN 'category' THEN 'Popular in ' || category
                WHEN 'region' THEN 'Popular in your region'
                WHEN 'country' THEN 'Popular in your country'
                WHEN 'popular' THEN 'Popular right now'
                ELSE 'Picked for you'
            END AS reason,
            reason_code,
            CASE WHEN reason_code IN ('bought', 'cart', 'viewed') THEN because_product_id END
                AS because_product_id,
            relaxed,
            explored,
            propensity,
            '{version}' AS model_version,
            md5(customer_id || '|' || product_id || '|{version}') AS recommendation_id
        FROM coded
        ORDER BY customer_id, rank
    """
