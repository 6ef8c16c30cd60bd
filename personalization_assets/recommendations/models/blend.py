"""ALS and item-kNN together: what a customer's taste says, plus what their own products say.

Factors see what customers have in common over the whole shop, neighbours what goes with a single
product; lists by the sum of both beat either on most data. The sum is taken over the products that
one of the two has among its best `WIDE` for a customer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from personalization_assets.recommendations.matrix import Codes, Floats, Matrix
from personalization_assets.recommendations.models import als, items, knn, ranking
from personalization_assets.recommendations.models.recipe import Recipe

DEFAULTS: Mapping[str, float] = {**als.DEFAULTS, **knn.DEFAULTS, "share": 1.0}
"""The values of both, and share: what the score by neighbours, over the square root of how many
products a customer had to do with, is multiplied by before it is added"""

WIDE = 100
"""So many of the best of either are looked at, and at least twice the length of a list"""

ROWS = 20_000
"""Customers looked at together: bounds memory"""

NEIGHBOURS = "neighbours"
"""The side of als_factors where the item model's rows are"""


@dataclass(frozen=True)
class BlendModel:
    """A factor model and an item model over the same products."""

    recipe: Recipe
    factors: als.FactorModel
    items: items.ItemModel

    @property
    def products(self) -> pl.Series:
        """Product ids, see `Model`."""
        return self.factors.products

    def scores(self, weights: Any) -> Floats:
        """Scores of all products, see `Model`."""
        by_items = self.items.scores(weights) * self._shares(weights)[:, None]
        scored: Floats = self.factors.scores(weights) + by_items
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
        """The n best products of each row, see `Model` and `WIDE`."""
        share = self.recipe.history if history is None else history
        parts = []
        for start in range(0, weights.shape[0], ROWS):
            part = slice(start, start + ROWS)
            found = self._best_of_few(
                weights[part],
                n,
                None if customers is None else customers[part],
                None if skip is None else skip[part],
                skip_products,
                share,
                threads,
            )
            parts.append(found.with_columns(pl.col("row") + pl.lit(start, pl.Int32)))
        return pl.concat(parts) if parts else ranking.nothing()

    def _best_of_few(
        self,
        weights: Any,
        n: int,
        customers: pl.Series | None,
        skip: Any,
        skip_products: Codes | None,
        share: float,
        threads: int,
    ) -> pl.DataFrame:
        from personalization_assets.recommendations.topk import best as topk

        factors = self.factors.factors_of(weights, customers, threads)
        known = items.strengths(weights, self.recipe["power"])
        shares = self._shares(weights)

        def pairs(rows: Codes, columns: Codes) -> Floats:
            by_factors = als.pair_scores(factors, self.factors.ranked, rows, columns)
            by_items = items.pair_scores(known, self.items.weights, rows, columns, threads)
            scored: Floats = by_factors + shares[rows] * by_items
            return scored

        def top(wanted: int) -> tuple[Codes, Floats]:
            wide = max(WIDE, 2 * wanted)
            one, _ = topk(self.factors.ranked, factors, wide, skip, skip_products, threads)
            other, _ = items.best_of(known, self.items.weights, wide, skip, skip_products, threads)
            return _first(np.hstack([one, other]), pairs, wanted)

        own = ranking.own_history(weights, share)
        return ranking.best(top, pairs, n, own, skip, skip_products)

    def similar(self, n: int) -> pl.DataFrame:
        """The mean of both likenesses, each product's nearest neighbour counting 1, see `Model`."""
        pair = ["column", "other"]
        near = self.items.similar(2 * n).with_columns(
            pl.col("score") / pl.col("score").max().over("column")
        )
        both = near.join(self.factors.similar(2 * n), on=pair, how="full", coalesce=True)
        score = (pl.col("score").fill_null(0) + pl.col("score_right").fill_null(0)) / 2
        return (
            both.select(*pair, score=score)
            .sort("column", "score", "other", descending=[False, True, False])
            .group_by("column", maintain_order=True)
            .head(n)
        )

    def rows(self) -> pl.DataFrame:
        """Rows of both, the item model's on a side of their own."""
        return pl.concat(
            [self.factors.rows(), self.items.rows().with_columns(side=pl.lit(NEIGHBOURS))]
        )

    @classmethod
    def from_rows(cls, recipe: Recipe, rows: pl.DataFrame) -> "BlendModel":
        """The model that `rows` came from."""
        near = rows.filter(pl.col("side") == NEIGHBOURS).with_columns(side=pl.lit("product"))
        others = rows.filter(pl.col("side") != NEIGHBOURS)
        return cls(
            recipe,
            als.FactorModel.from_rows(recipe, others),
            items.ItemModel.from_rows(recipe, near),
        )

    def _shares(self, weights: Any) -> Floats:
        amounts = np.maximum(np.diff(weights.indptr), 1)
        share: Floats = (self.recipe["share"] / np.sqrt(amounts)).astype(np.float32)
        return share


def fit(matrix: Matrix, recipe: Recipe, seed: int, threads: int = 0) -> BlendModel:
    """Fit both on every pair of the matrix."""
    return BlendModel(
        recipe, als.fit(matrix, recipe, seed, threads), knn.fit(matrix, recipe, seed, threads)
    )


def _first(ids: Codes, pairs: ranking.PairScores, n: int) -> tuple[Codes, Floats]:
    """The n best of each row's candidates, which may be there twice; -1 is none."""
    rows, places = np.nonzero(ids >= 0)
    chosen = (
        pl.DataFrame({"row": rows.astype(np.int32), "column": ids[rows, places]})
        .unique(maintain_order=True)
        .sort("row", "column")
    )
    scored = chosen.with_columns(
        score=pl.Series(pairs(chosen["row"].to_numpy(), chosen["column"].to_numpy()))
    )
    first = (
        scored.sort("row", "score", "column", descending=[False, True, False])
        .with_columns(place=pl.int_range(pl.len()).over("row"))
        .filter(pl.col("place") < n)
    )
    best = np.full((len(ids), n), -1, dtype=np.int32)
    scores = np.full((len(ids), n), -np.inf, dtype=np.float32)
    row, place = first["row"].to_numpy(), first["place"].to_numpy()
    best[row, place] = first["column"].to_numpy()
    scores[row, place] = first["score"].to_numpy()
    return best, scores
