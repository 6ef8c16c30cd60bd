"""Implicit alternating least squares: train, fold in, score.

Method: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008), as
`implicit` solves it. Factors start from a hash of each customer's and product's key and not from
one stream of random numbers: ten customers more do not reshuffle everybody else's list.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from personalization_assets.recommendations.matrix import Codes, Floats, Matrix, codes_of, csr
from personalization_assets.recommendations.models import ranking
from personalization_assets.recommendations.models.recipe import Recipe

DEFAULTS: Mapping[str, float] = {
    "factors": 64,
    "iterations": 5,
    "alpha": 10.0,
    "regularization": 1.0,
    "damping": 0.5,
    "popularity": 0.0,
}
"""factors: length of a vector; iterations: rounds of alternating fits; alpha: confidence of an
interaction of mean weight, minus 1; regularization: penalty on the size of factors, as a multiple
of alpha; damping: weights are divided by (customer's degree x product's degree) to this power, so
that neither a best seller nor a customer who looks at everything drowns the rest; popularity:
scores are multiplied by the product's number of customers to this power (the trade-off of Steck
2011, "Item popularity and recommendation accuracy")."""


@dataclass(frozen=True)
class FactorModel:
    """Factors of customers and products, in the order of their sorted keys.

    `scale` is what a customer's damped weight for a product is multiplied by to have mean 1 over
    the training data: with it a customer folded in later, alone or among others, is weighed as the
    customers of the training were. `boost` is what scores of a product are multiplied by.
    """

    recipe: Recipe
    customers: pl.Series
    products: pl.Series
    customer_factors: Floats
    product_factors: Floats
    scale: Floats
    boost: Floats

    @cached_property
    def ranked(self) -> Floats:
        """Product factors as scores are made of them."""
        boosted: Floats = self.product_factors * self.boost[:, None]
        return boosted

    def scores(self, weights: Any) -> Floats:
        """Scores of all products for customers folded in, see `Model`."""
        one = weights.shape[0] == 1
        factors = self._fold_in_one(weights) if one else self.fold_in(weights, threads=1)
        scored: Floats = factors @ self.ranked.T
        return scored

    def best(
        self,
        weights: Any,
        n: int,
        customers: pl.Series | None = None,
        skip: Any = None,
        skip_products: Codes | None = None,
        history: float | None = None,
        threads: int = 0,
    ) -> pl.DataFrame:
        """The n best products of each row, see `Model`.

        Rows whose `customers` the model was trained on take their trained factors: their weights
        must be those of the training. Everybody else is folded in.
        """
        from personalization_assets.recommendations.topk import best as topk

        factors = self.factors_of(weights, customers, threads)
        share = self.recipe.history if history is None else history

        def top(wanted: int) -> tuple[Codes, Floats]:
            return topk(self.ranked, factors, wanted, skip, skip_products, threads)

        def pairs(rows: Codes, columns: Codes) -> Floats:
            return pair_scores(factors, self.ranked, rows, columns)

        own = ranking.own_history(weights, share)
        return ranking.best(top, pairs, n, own, skip, skip_products)

    def similar(self, n: int) -> pl.DataFrame:
        """The nearest products by the cosine of their factors, see `Model`."""
        return ranking.similar_by_cosine(self.product_factors, n)

    def fold_in(self, weights: Any, threads: int = 0) -> Floats:
        """Factors of customers from their interactions alone, products held fixed.

        Customers without interactions get zeros.
        """
        with one_blas_thread():
            solver = _solver(self.recipe, threads)
            solver.item_factors = self.product_factors
            weighed = confidence(weights, self.recipe["alpha"], self.recipe["damping"], self.scale)
            factors: Floats = solver.recalculate_user(np.arange(weighed.shape[0]), weighed)
        factors[np.diff(weighed.indptr) == 0] = 0
        return factors

    def _fold_in_one(self, weights: Any) -> Floats:
        """What `fold_in` gives for one customer, but for rounding, some twenty times as fast: a
        service asks for one at a time, and most of the work is the same for all of them.
        """
        weighed = confidence(weights, self.recipe["alpha"], self.recipe["damping"], self.scale)
        known = self.product_factors[weighed.indices]
        if not len(known):
            return np.zeros((1, known.shape[1]), dtype=np.float32)
        left = self._gram + (known.T * (weighed.data - 1)) @ known
        factors: Floats = np.linalg.solve(left, known.T @ weighed.data)[None, :]
        return factors.astype(np.float32)

    @cached_property
    def _gram(self) -> Floats:
        """What every customer's equations have in common: products' factors and the penalty."""
        penalty = self.recipe["regularization"] * self.recipe["alpha"]
        with one_blas_thread():
            gram: Floats = self.product_factors.T @ self.product_factors
        gram[np.diag_indices(len(gram))] += np.float32(penalty)
        return gram

    def rows(self) -> pl.DataFrame:
        """`side, key, factors, neighbours, scale, boost`, a row per customer and product."""
        nothing = [None] * len(self.customers)
        sides: list[tuple[str, pl.Series, Floats, Any, Any]] = [
            ("customer", self.customers, self.customer_factors, nothing, nothing),
            ("product", self.products, self.product_factors, self.scale, self.boost),
        ]
        return pl.concat(
            pl.DataFrame(
                {
                    "side": pl.repeat(side, len(keys), eager=True),
                    "key": keys,
                    "factors": pl.Series(np.ascontiguousarray(factors)).cast(pl.List(pl.Float32)),
                    "neighbours": pl.Series([None] * len(keys), dtype=pl.List(pl.Int32)),
                    "scale": pl.Series(scale, dtype=pl.Float32),
                    "boost": pl.Series(boost, dtype=pl.Float32),
                }
            )
            for side, keys, factors, scale, boost in sides
        )

    @classmethod
    def from_rows(cls, recipe: Recipe, rows: pl.DataFrame) -> "FactorModel":
        """The model that `rows` came from."""

        def side(name: str) -> tuple[pl.DataFrame, Floats]:
            part = rows.filter(pl.col("side") == name).sort("key")
            flat = part["factors"].explode().to_numpy().astype(np.float32)
            shape = (part.height, int(recipe["factors"]))
            return part, np.ascontiguousarray(flat.reshape(shape))

        customers, customer_factors = side("customer")
        products, product_factors = side("product")
        return cls(
            recipe,
            customers["key"],
            products["key"],
            customer_factors,
            product_factors,
            products["scale"].to_numpy().astype(np.float32),
            products["boost"].to_numpy().astype(np.float32),
        )

    def factors_of(self, weights: Any, customers: pl.Series | None, threads: int) -> Floats:
        """Factors of each row: trained where `customers` were, folded in for others."""
        if customers is None:
            return self.fold_in(weights, threads)
        places = codes_of(customers, self.customers).to_numpy()
        late = np.nonzero(places < 0)[0]
        if not len(late):
            known: Floats = self.customer_factors[places]
            return known
        factors = np.empty((len(places), self.product_factors.shape[1]), dtype=np.float32)
        trained = places >= 0
        factors[trained] = self.customer_factors[places[trained]]
        factors[late] = self.fold_in(weights[late], threads)
        return factors


def fit(matrix: Matrix, recipe: Recipe, seed: int, threads: int = 0) -> FactorModel:
    """Fit on every pair of the matrix.

    The result does not depend on `threads`: each row is solved by itself.

    Raises:
        ValueError: the matrix has no pairs.
    """
    if not matrix.pairs:
        raise ValueError("a model needs at least one interaction")
    width = int(recipe["factors"])
    scale = scale_of(matrix.weights, recipe["damping"])
    with one_blas_thread():
        solver = _solver(recipe, threads)
        solver.user_factors = start_factors(matrix.customers, width, seed)
        solver.item_factors = start_factors(matrix.products, width, seed + 1)
        weighed = confidence(matrix.weights, recipe["alpha"], recipe["damping"], scale)
        solver.fit(weighed, show_progress=False)
    degrees = np.maximum(np.bincount(matrix.weights.indices, minlength=len(matrix.products)), 1)
    boost = np.power(degrees / degrees.max(), recipe["popularity"]).astype(np.float32)
    return FactorModel(
        recipe,
        matrix.customers,
        matrix.products,
        solver.user_factors,
        solver.item_factors,
        scale,
        boost,
    )


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


def scale_of(weights: Any, damping: float) -> Floats:
    """For each product its degree ^ -damping, over the mean of all damped weights."""
    columns = np.bincount(weights.indices, minlength=weights.shape[1])
    by_column = np.power(np.maximum(columns, 1), -damping, dtype=np.float64)
    damped = _by_customer(weights, damping) * by_column[weights.indices]
    scale: Floats = (by_column / (damped.mean() if len(damped) else 1.0)).astype(np.float32)
    return scale


def confidence(weights: Any, alpha: float, damping: float, scale: Floats) -> Any:
    """Confidences for implicit ALS: 1 + alpha x weight x customer's degree ^ -damping x scale.

    As only ratios of weights count, a uniform fading of all of them changes nothing.
    """
    damped = _by_customer(weights, damping) * scale[weights.indices]
    values = (1.0 + alpha * damped).astype(np.float32)
    return csr((values, weights.indices, weights.indptr), shape=weights.shape)


def pair_scores(left: Floats, right: Floats, rows: Codes, columns: Codes) -> Floats:
    """Dot products of chosen pairs of rows, in pieces that stay small in memory."""
    out = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), 200_000):
        part = slice(start, start + 200_000)
        out[part] = np.einsum("ij,ij->i", left[rows[part]], right[columns[part]])
    return out


def _by_customer(weights: Any, damping: float) -> Any:
    """Weights damped by the number of products of each row."""
    rows = np.diff(weights.indptr)
    by_row = np.power(np.maximum(rows, 1), -damping, dtype=np.float64)
    return weights.data.astype(np.float64) * np.repeat(by_row, rows)


def _solver(recipe: Recipe, threads: int) -> Any:
    from implicit.cpu.als import AlternatingLeastSquares

    return AlternatingLeastSquares(
        factors=int(recipe["factors"]),
        regularization=recipe["regularization"] * recipe["alpha"],
        alpha=1.0,
        iterations=int(recipe["iterations"]),
        num_threads=threads,
        dtype=np.float32,
        random_state=0,
    )
