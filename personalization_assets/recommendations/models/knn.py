"""Item-kNN: products are alike that the same customers had to do with.

Method: Sarwar et al., "Item-Based Collaborative Filtering Recommendation Algorithms" (2001), with
the BM25 weighting of interactions (Robertson and Zaragoza 2009), as `implicit` does it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from personalization_assets.recommendations.matrix import Matrix, csr
from personalization_assets.recommendations.models.items import ItemModel, strengths
from personalization_assets.recommendations.models.recipe import Recipe

DEFAULTS: Mapping[str, float] = {"neighbours": 100, "k1": 1.2, "b": 0.75, "power": 0.5}
"""neighbours: kept per product; k1, b: of BM25, how soon repeats stop to count and how much best
sellers are held back; power: how much the strength of an interaction counts"""


def fit(matrix: Matrix, recipe: Recipe, seed: int, threads: int = 0) -> ItemModel:
    """Keep each product's nearest. There is no chance in it (`seed` is not used)."""
    from implicit.nearest_neighbours import all_pairs_knn, bm25_weight

    known = strengths(matrix.weights, recipe["power"])
    weighed = bm25_weight(known, K1=recipe["k1"], B=recipe["b"]).tocsr()
    nearest = all_pairs_knn(
        weighed, int(recipe["neighbours"]) + 1, num_threads=threads, show_progress=False
    ).tocsr()
    return ItemModel(recipe, matrix.products, _normalised(nearest))


def _normalised(nearest: Any) -> Any:
    """Without self-likeness, and scaled so that what speaks most for a product has the weight 1."""
    nearest = nearest.tocoo()
    apart = nearest.row != nearest.col
    rows, columns, values = nearest.row[apart], nearest.col[apart], nearest.data[apart]
    order = np.lexsort((columns, rows))
    lengths = np.bincount(rows, minlength=nearest.shape[0])
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    highest = values.max(initial=0.0) or 1.0
    scaled = (values[order] / highest).astype(np.float32)
    return csr((scaled, columns[order].astype(np.int32), starts), shape=nearest.shape)
