"""Why a product is on a list, in words that a mail can show."""

from typing import Any

import numpy as np
import polars as pl

from personalization_assets.recommendations.matrix import Codes, stored
from personalization_assets.recommendations.models import Model

LOOK_BACK = 6
"""So many of a customer's products, by weight, can be named as the reason."""

ALIKE = 0.2
"""Likeness (see `Model.alike`) from which a product may be named as the reason for another."""


def because(model: Model, weights: Any, found: pl.DataFrame) -> pl.Series:
    """For each found product, the code of the customer's product that speaks most for it.

    The product itself where the customer already had to do with it; null where nothing does.
    `weights` is the CSR of interactions that `found` (row, column) was scored from.
    """
    rows, columns = found["row"].to_numpy(), found["column"].to_numpy()
    table = _heaviest(weights)
    answer = np.full(len(rows), -1, dtype=np.int64)
    for start in range(0, len(rows), 50_000):
        part = slice(start, start + 50_000)
        theirs = table[rows[part]]
        shown = np.broadcast_to(columns[part][:, None], theirs.shape)
        likeness = model.alike(theirs.ravel(), shown.ravel()).reshape(theirs.shape)
        likeness[theirs < 0] = -1
        nearest = likeness.argmax(axis=1)
        spot = np.arange(len(nearest))
        named = theirs[spot, nearest]
        answer[part] = np.where(likeness[spot, nearest] >= ALIKE, named, -1)
    answer = np.where(stored(weights, rows, columns), columns, answer)
    codes = pl.Series("because", answer)
    return codes.set(codes < 0, None)


def _heaviest(weights: Any) -> Codes:
    """Columns of the largest weights of each row, largest first, -1 where a row has fewer."""
    rows = np.repeat(np.arange(weights.shape[0], dtype=np.int64), np.diff(weights.indptr))
    order = np.lexsort((weights.indices, -weights.data, rows))
    place = np.arange(len(rows)) - weights.indptr[rows]
    top = place < LOOK_BACK
    table = np.full((weights.shape[0], LOOK_BACK), -1, dtype=np.int32)
    table[rows[top], place[top]] = weights.indices[order][top]
    return table


def in_words(version: str) -> str:
    """The SELECT that turns the temporary table `filled` into rows of top_products."""
    return f"""
        WITH coded AS (
            SELECT
                f.*,
                CASE
                    WHEN f.source = 'repeat' THEN 'again'
                    WHEN f.source <> 'als' THEN f.source
                    WHEN i.product_id IS NULL THEN 'picked'
                    WHEN n.name IS NULL AND f.because_product_id <> f.product_id THEN 'picked'
                    ELSE
                        CASE WHEN f.because_product_id = f.product_id THEN 'own_' ELSE '' END
                        || CASE
                            WHEN i.purchases > 0 THEN 'bought'
                            WHEN i.carts > 0 THEN 'cart'
                            ELSE 'viewed'
                        END
                END AS reason_code,
                n.name AS because_name,
                c.category
            FROM filled AS f
            LEFT JOIN recommendations.interactions AS i
                ON f.customer_id = i.customer_id AND f.because_product_id = i.product_id
            LEFT JOIN recommendations.catalogue AS n ON f.because_product_id = n.product_id
            LEFT JOIN recommendations.catalogue AS c ON f.product_id = c.product_id
        )
        SELECT
            customer_id,
            rank,
            product_id,
            score,
            source,
            CASE reason_code
                WHEN 'bought' THEN 'Because you bought ' || because_name
                WHEN 'cart' THEN 'Because you put ' || because_name || ' in your cart'
                WHEN 'viewed' THEN 'Because you looked at ' || because_name
                WHEN 'own_bought' THEN 'You have bought this before'
                WHEN 'own_cart' THEN 'You put this in your cart'
                WHEN 'own_viewed' THEN 'You looked at this'
                WHEN 'again' THEN 'Time to buy it again?'
                WHEN 'category' THEN 'Popular in ' || category
                WHEN 'popular' THEN 'Popular right now'
                ELSE 'Picked for you'
            END AS reason,
            reason_code,
            CASE WHEN reason_code = 'picked' THEN NULL ELSE because_product_id END
                AS because_product_id,
            '{version}' AS model_version,
            md5(customer_id || '|' || product_id || '|{version}') AS recommendation_id
        FROM coded
        ORDER BY customer_id, rank
    """
