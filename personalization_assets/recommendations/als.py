"""Implicit alternating least squares: train, fold in, score in batches.

Method: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008), as
`implicit` solves it. Factors start from a hash of each customer's and product's key and not from
one stream of random numbers: ten customers more do not reshuffle everybody else's list.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from personalization_assets.recommendations.matrix import (
    Codes,
    Floats,
    Matrix,
    confidence,
    row_pairs,
    stored,
)


@dataclass(frozen=True)
class Params:
    """What a model is trained with. `regularization` is a multiple of `alpha`."""

    factors: int = 64
    iterations: int = 6
    alpha: float = 10.0
    regularization: float = 1.0
    damping: float = 0.3
    half_life_days: float = 60.0
    history: float = 0.3

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for tables and hashes."""
        return asdict(self)


@dataclass(frozen=True)
class Model:
    """Factors of customers and products, in the order of their sorted keys."""

    params: Params
    customers: pl.Series
    products: pl.Series
    customer_factors: Floats
    product_factors: Floats


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS on one thread: its own threads fight with implicit's and cost a factor of four."""
    # Loaded first: scipy brings a BLAS of its own, and a limit set earlier would not reach it.
    import implicit.cpu.als  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


def start_factors(keys: pl.Series, width: int, seed: int) -> Floats:
    """Starting factors in [0, 0.01) that depend on nothing but the key and the seed.

    64 bits of BLAKE2b per key, spread over the vector by splitmix64 (Steele, Lea and Flood 2014).
    """
    salt = str(seed).encode()
    digest = b"".join(
        hashlib.blake2b(key.encode(), digest_size=8, key=salt).digest() for key in keys.to_list()
    )
    state = np.frombuffer(digest, dtype="<u8")[:, None]
    step = np.arange(1, width + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = state + step[None, :]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    start: Floats = (z >> np.uint64(40)).astype(np.float32) * np.float32(0.01 / 2**24)
    return start


def train(matrix: Matrix, params: Params, seed: int, threads: int = 0) -> Model:
    """Fit on every pair of the matrix.

    The result does not depend on `threads`: each row is solved by itself.

    Raises:
        ValueError: the matrix has no pairs.
    """
    if not matrix.pairs:
        raise ValueError("a model needs at least one interaction")
    with one_blas_thread():
        solver = _solver(params, threads)
        solver.user_factors = start_factors(matrix.customers, params.factors, seed)
        solver.item_factors = start_factors(matrix.products, params.factors, seed + 1)
        solver.fit(confidence(matrix.weights, params.alpha, params.damping), show_progress=False)
    return Model(
        params, matrix.customers, matrix.products, solver.user_factors, solver.item_factors
    )


def fold_in(model: Model, matrix: Matrix, threads: int = 0) -> Floats:
    """Factors for the customers of a matrix from their interactions alone, products held fixed.

    The matrix's products must be the model's; customers without interactions get zeros.
    """
    with one_blas_thread():
        solver = _solver(model.params, threads)
        solver.item_factors = model.product_factors
        weighed = confidence(matrix.weights, model.params.alpha, model.params.damping)
        factors: Floats = solver.recalculate_user(np.arange(weighed.shape[0]), weighed)
    factors[np.diff(weighed.indptr) == 0] = 0
    return factors


def best(
    product_factors: Floats,
    customer_factors: Floats,
    n: int,
    history: Any = None,
    skip: Any = None,
    skip_products: Codes | None = None,
    threads: int = 0,
) -> pl.DataFrame:
    """The n best products of each customer: `row`, `column`, `score`, best first within a row.

    `history` is a CSR of what is added to the model's score for products the customer knows (in
    row-normalised weights), `skip` a CSR of pairs that must not appear, `skip_products` columns
    that must not appear for anyone. Rows of zeros (nothing known) give no products, and rows where
    candidates run out give fewer than n.
    """
    rows, columns = customer_factors.shape[0], product_factors.shape[0]
    gone = 0 if skip_products is None else len(skip_products)
    if not rows or columns <= gone:
        return _no_products()
    # implicit filters pairs row by row in Python. Asking for as many more as a row may lose is
    # exact too and stays vectorised; rows are asked in classes by how many that is.
    losses = np.zeros(rows, dtype=np.int64) if skip is None else np.diff(skip.indptr)
    known = np.any(customer_factors != 0, axis=1)
    parts = [_no_products()]
    at_least = 0
    for at_most in (0, 16, 128, columns):
        chosen = np.nonzero(known & (losses >= at_least) & (losses <= at_most))[0]
        at_least = at_most + 1
        if len(chosen):
            wanted = n + int(losses[chosen].max())
            asked = customer_factors[chosen]
            parts.append(_top(product_factors, asked, chosen, wanted, skip_products, threads))
    found = pl.concat(parts)
    if skip is not None and skip.nnz:
        banned = stored(skip, found["row"].to_numpy(), found["column"].to_numpy())
        found = found.filter(~pl.Series(banned))
    if history is not None and history.nnz:
        found = _with_history(
            found, product_factors, customer_factors, history, skip, skip_products
        )
    return (
        found.sort("row", "score", "column", descending=[False, True, False])
        .group_by("row", maintain_order=True)
        .head(n)
    )


def _top(
    product_factors: Floats,
    asked: Floats,
    rows: Any,
    n: int,
    skip_products: Codes | None,
    threads: int,
) -> pl.DataFrame:
    from implicit.cpu.topk import topk

    with one_blas_thread():
        ids, scores = topk(
            product_factors,
            asked,
            min(n, product_factors.shape[0]),
            filter_items=skip_products,
            num_threads=threads,
        )
    # Where candidates run out, topk hands back filtered products at the lowest float there is.
    real = scores > -1e30
    return pl.DataFrame(
        {
            "row": rows[np.nonzero(real)[0]].astype(np.int32),
            "column": ids[real].astype(np.int32),
            "score": scores[real],
        }
    )


def _with_history(
    found: pl.DataFrame,
    product_factors: Floats,
    customer_factors: Floats,
    history: Any,
    skip: Any,
    skip_products: Codes | None,
) -> pl.DataFrame:
    """Exact, without a dense score matrix: what is not history ranks by the model alone, so the
    best n of the sum lie within the model's best n and the history itself.
    """
    rows, items, bonus = row_pairs(history)
    keep = bonus > 0
    if skip is not None and skip.nnz:
        keep &= ~stored(skip, rows, items)
    if skip_products is not None and len(skip_products):
        keep &= ~np.isin(items, skip_products)
    rows, items, bonus = rows[keep], items[keep], bonus[keep]
    score = pair_scores(customer_factors, product_factors, rows, items) + bonus
    own = pl.DataFrame({"row": rows, "column": items, "score": score})
    return pl.concat([own, found.join(own, on=["row", "column"], how="anti")])


def pair_scores(left: Floats, right: Floats, rows: Codes, columns: Codes) -> Floats:
    """Dot products of chosen pairs of rows, in pieces that stay small in memory."""
    out = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), 200_000):
        part = slice(start, start + 200_000)
        out[part] = np.einsum("ij,ij->i", left[rows[part]], right[columns[part]])
    return out


def own_history(weights: Any, share: float) -> Any:
    """Each customer's weights divided by their largest, times `share`: comparable with scores."""
    if not share or not weights.nnz:
        return None
    rows = np.diff(weights.indptr)
    largest = np.zeros(weights.shape[0], dtype=np.float32)
    filled = rows > 0
    largest[filled] = np.maximum.reduceat(weights.data, weights.indptr[:-1][filled])
    scaled = weights.copy()
    scaled.data = (share * weights.data / np.repeat(largest, rows)).astype(np.float32)
    return scaled


def _solver(params: Params, threads: int) -> Any:
    from implicit.cpu.als import AlternatingLeastSquares

    return AlternatingLeastSquares(
        factors=params.factors,
        regularization=params.regularization * params.alpha,
        alpha=1.0,
        iterations=params.iterations,
        num_threads=threads,
        dtype=np.float32,
        random_state=0,
    )


def _no_products() -> pl.DataFrame:
    return pl.DataFrame(schema={"row": pl.Int32, "column": pl.Int32, "score": pl.Float32})
