"""EASE: the closed-form linear autoencoder over products.

Method: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019). Memory and time grow
with the square and the cube of the number of products, so `MOST_PRODUCTS` is the limit.
"""

from collections.abc import Mapping

import numpy as np

from personalization_assets.recommendations.matrix import Matrix
from personalization_assets.recommendations.models.als import one_blas_thread
from personalization_assets.recommendations.models.items import ItemModel, pruned, strengths
from personalization_assets.recommendations.models.recipe import Recipe

DEFAULTS: Mapping[str, float] = {"regularization": 200.0, "power": 0.5}
"""regularization: added to the diagonal of the co-occurrences; power: how much the strength of an
interaction counts, see `items.strengths`"""

MOST_PRODUCTS = 10_000


def fit(matrix: Matrix, recipe: Recipe, seed: int, threads: int = 0) -> ItemModel:
    """Solve for the weights that predict each product from the others, none from itself.

    There is no chance in it (`seed` is not used). The linear algebra runs on one thread whatever
    `threads` says: with more its sums differ in the last digits.
    """
    from scipy.linalg import lapack

    known = strengths(matrix.weights, recipe["power"])
    size = len(matrix.products)
    with one_blas_thread():
        gram = (known.T @ known).toarray().astype(np.float32)
        gram[np.diag_indices(size)] += np.float32(recipe["regularization"])
        # in place: one dense table of products by products is all that is held
        factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
        inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ValueError("EASE has no solution for these interactions: raise its regularization")
    low = np.tril(inverse, -1)
    inverse = low + low.T + np.diag(np.diag(inverse))
    weights = inverse / -np.diag(inverse)[None, :]
    weights[np.diag_indices(size)] = 0
    return ItemModel(recipe, matrix.products, pruned(weights))
