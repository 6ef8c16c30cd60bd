"""From scores to the best products of each customer, exactly and without dense score matrices."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from personalization_assets.recommendations.matrix import Codes, Floats, row_pairs, stored

Top = Callable[[int], tuple[Codes, Floats]]
"""Gives ids and scores (rows x n, best first, id -1 where candidates run out) by the model alone"""

PairScores = Callable[[Codes, Codes], Floats]
"""Gives the model's scores of chosen (row, column) pairs"""


def best(
    top: Top,
    pair_scores: PairScores,
    n: int,
    history: Any = None,
    skip: Any = None,
    skip_products: Codes | None = None,
) -> pl.DataFrame:
    """The n best of model plus own history: `row`, `column`, `score`, best first within a row.

    `top` must leave out what `skip` and `skip_products` name. What is not history ranks by the
    model alone, so the best n of the sum lie within the model's best n and the history itself.
    """
    ids, scores = top(n)
    found_rows, places = np.nonzero(ids >= 0)
    found = pl.DataFrame(
        {
            "row": found_rows.astype(np.int32),
            "column": ids[found_rows, places].astype(np.int32),
            "score": scores[found_rows, places].astype(np.float32),
        }
    )
    if history is None or not history.nnz:
        return found
    rows, items, bonus = row_pairs(history)
    keep = bonus > 0
    if skip is not None and skip.nnz:
        keep &= ~stored(skip, rows, items)
    if skip_products is not None and len(skip_products):
        keep &= ~np.isin(items, skip_products)
    rows, items, bonus = rows[keep], items[keep], bonus[keep]
    score = (pair_scores(rows, items) + bonus).astype(np.float32)
    own = pl.DataFrame({"row": rows, "column": items, "score": score})
    return (
        pl.concat([own, found.join(own, on=["row", "column"], how="anti")])
        .sort("row", "score", "column", descending=[False, True, False])
        .group_by("row", maintain_order=True)
        .head(n)
    )


def nothing() -> pl.DataFrame:
    """No products for anybody."""
    return pl.DataFrame(schema={"row": pl.Int32, "column": pl.Int32, "score": pl.Float32})


def own_history(weights: Any, share: float) -> Any:
    """Each customer's weights divided by their largest, times `share`: comparable with scores.

    The scores of ALS and EASE are about 1 for what a customer surely takes.
    """
    if not share or not weights.nnz:
        return None
    rows = np.diff(weights.indptr)
    largest = np.zeros(weights.shape[0], dtype=np.float32)
    filled = rows > 0
    largest[filled] = np.maximum.reduceat(weights.data, weights.indptr[:-1][filled])
    scaled = weights.copy()
    scaled.data = (share * weights.data / np.repeat(largest, rows)).astype(np.float32)
    return scaled


def similar_by_cosine(vectors: Floats, n: int, threads: int = 0) -> pl.DataFrame:
    """The n vectors nearest to each by cosine: `column`, `other`, `score`, never itself."""
    from personalization_assets.recommendations.topk import best as topk

    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(norms, np.float32(1e-12))
    size = len(unit)
    itself = _identity(size)
    ids, scores = topk(unit, unit, min(n, size), skip=itself, threads=threads)
    rows, places = np.nonzero(ids >= 0)
    return pl.DataFrame(
        {
            "column": rows.astype(np.int32),
            "other": ids[rows, places].astype(np.int32),
            "score": scores[rows, places],
        }
    ).filter(pl.col("score") > 0)


def _identity(size: int) -> Any:
    from scipy import sparse

    return sparse.identity(size, dtype=np.float32, format="csr")
