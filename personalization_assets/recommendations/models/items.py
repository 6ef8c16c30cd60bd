"""Models that are a table of weights from product to product: EASE and item-kNN.

A customer's score for a product is the sum, over the products they had to do with, of how strongly
they had to do with it times how strongly it speaks for the other. There is nothing to fold in: who
came after training is scored like everybody else.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from personalization_assets.recommendations.matrix import Codes, Floats, csr
from personalization_assets.recommendations.models import ranking
from personalization_assets.recommendations.models.recipe import Recipe

MOST_NEIGHBOURS = 512
"""So many weights of a product are kept, the largest by size: what is judged is what is stored."""


BLOCK = 1024
"""Rows that a thread takes at a time"""


@dataclass(frozen=True)
class ItemModel:
    """Weights from product (row) to product (column), a CSR over `products` with sorted indices."""

    recipe: Recipe
    products: pl.Series
    weights: Any

    def scores(self, weights: Any) -> Floats:
        """Scores of all products, see `Model`."""
        scored: Floats = (strengths(weights, self.recipe["power"]) @ self.weights).toarray()
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
        """The n best products of each row, see `Model`. Products nothing speaks for are left out.

        `customers` makes no difference here.
        """
        known = strengths(weights, self.recipe["power"])
        share = self.recipe.history if history is None else history

        def top(wanted: int) -> tuple[Codes, Floats]:
            return best_of(known, self.weights, wanted, skip, skip_products, threads)

        def pairs(rows: Codes, columns: Codes) -> Floats:
            return pair_scores(known, self.weights, rows, columns, threads)

        own = ranking.own_history(weights, share)
        return ranking.best(top, pairs, n, own, skip, skip_products)

    def similar(self, n: int) -> pl.DataFrame:
        """The products each speaks for most, see `Model`."""
        rows = np.repeat(np.arange(len(self.products)), np.diff(self.weights.indptr))
        pairs = pl.DataFrame(
            {
                "column": rows.astype(np.int32),
                "other": self.weights.indices.astype(np.int32),
                "score": self.weights.data.astype(np.float32),
            }
        )
        return (
            pairs.filter((pl.col("column") != pl.col("other")) & (pl.col("score") > 0))
            .sort("column", "score", "other", descending=[False, True, False])
            .group_by("column", maintain_order=True)
            .head(n)
        )

    def rows(self) -> pl.DataFrame:
        """`side, key, factors, neighbours, scale, boost`, a row per product.

        `factors` are the weights of its `neighbours`, positions in the sorted products.
        """
        bounds = self.weights.indptr
        lengths = pl.DataFrame(
            {
                "key": np.repeat(np.arange(len(self.products)), np.diff(bounds)).astype(np.int32),
                "factors": self.weights.data.astype(np.float32),
                "neighbours": self.weights.indices.astype(np.int32),
            }
        )
        lists = lengths.group_by("key", maintain_order=True).agg("factors", "neighbours")
        every = pl.DataFrame({"key": np.arange(len(self.products), dtype=np.int32)})
        table = every.join(lists, on="key", how="left", maintain_order="left")
        nothing = pl.lit([])
        return table.select(
            side=pl.lit("product"),
            key=self.products,
            factors=pl.col("factors").fill_null(nothing.cast(pl.List(pl.Float32))),
            neighbours=pl.col("neighbours").fill_null(nothing.cast(pl.List(pl.Int32))),
            scale=pl.lit(None, dtype=pl.Float32),
            boost=pl.lit(None, dtype=pl.Float32),
        )

    @classmethod
    def from_rows(cls, recipe: Recipe, rows: pl.DataFrame) -> "ItemModel":
        """The model that `rows` came from."""
        part = rows.filter(pl.col("side") == "product").sort("key")
        lengths = part["factors"].list.len().to_numpy().astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        filled = part.filter(pl.col("factors").list.len() > 0)
        values = filled["factors"].explode().to_numpy().astype(np.float32)
        columns = filled["neighbours"].explode().to_numpy().astype(np.int32)
        weights = csr((values, columns, starts), shape=(part.height, part.height))
        return cls(recipe, part["key"], weights)


def strengths(weights: Any, power: float) -> Any:
    """How strongly each customer had to do with each product: (weight / their largest) ^ power.

    Power 0 asks only whether they had, 1 takes the weights as they are.
    """
    if not weights.nnz:
        return weights.astype(np.float32)
    rows = np.diff(weights.indptr)
    filled = rows > 0
    largest = np.ones(weights.shape[0], dtype=np.float64)
    largest[filled] = np.maximum.reduceat(weights.data, weights.indptr[:-1][filled])
    share = weights.data / np.repeat(largest, rows)
    values = np.power(share, power).astype(np.float32)
    return csr((values, weights.indices, weights.indptr), shape=weights.shape)


def pruned(dense: Floats) -> Any:
    """A CSR of the `MOST_NEIGHBOURS` largest weights of each row by size, without zeros."""
    size = dense.shape[1]
    keep = min(MOST_NEIGHBOURS, size)
    lengths = np.zeros(len(dense) + 1, dtype=np.int32)
    columns: list[Codes] = []
    values: list[Floats] = []
    for start in range(0, len(dense), 1024):
        part = dense[start : start + 1024]
        if keep < size:
            kept = np.sort(np.argpartition(-np.abs(part), keep - 1, axis=1)[:, :keep], axis=1)
        else:
            kept = np.broadcast_to(np.arange(size), part.shape)
        chosen = np.take_along_axis(part, kept, axis=1)
        real = chosen != 0
        lengths[start + 1 : start + 1 + len(part)] = real.sum(axis=1)
        columns.append(kept[real].astype(np.int32))
        values.append(chosen[real].astype(np.float32))
    parts = (np.concatenate(values), np.concatenate(columns), np.cumsum(lengths, dtype=np.int32))
    return csr(parts, shape=dense.shape)


def best_of(
    known: Any, weights: Any, n: int, skip: Any, skip_products: Codes | None, threads: int
) -> tuple[Codes, Floats]:
    """Ids and scores of the exact best n, equal scores by the smaller column.

    Only scores above zero count; where they run out ids are -1.
    """
    from scipy import sparse

    rows, products = known.shape[0], weights.shape[0]
    allowed = np.ones(products, dtype=bool)
    if skip_products is not None:
        allowed[skip_products] = False
    left_out = sparse.csr_matrix(known.shape, dtype=np.float32) if skip is None else skip
    ids = np.full((rows, n), -1, dtype=np.int32)
    scores = np.full((rows, n), -np.inf, dtype=np.float32)
    if products and n:
        kernel = _kernels().best_of_rows
        arrays = (
            *(known.indptr, known.indices, known.data),
            *(weights.indptr, weights.indices, weights.data),
            *(left_out.indptr, left_out.indices, allowed, ids, scores),
        )
        _in_threads(lambda start, stop: kernel(start, stop, *arrays), rows, threads)
    return ids, scores


def pair_scores(known: Any, weights: Any, rows: Codes, columns: Codes, threads: int = 0) -> Floats:
    """Scores of chosen pairs."""
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=known.shape[0]))])
    out = np.zeros(len(rows), dtype=np.float32)
    kernel = _kernels().scores_of_pairs
    arrays = (
        *(known.indptr, known.indices, known.data),
        *(weights.indptr, weights.indices, weights.data, weights.shape[0]),
        *(starts, columns[order].astype(np.int32), out),
    )
    _in_threads(lambda start, stop: kernel(start, stop, *arrays), known.shape[0], threads)
    scores = np.empty_like(out)
    scores[order] = out
    return scores


def _in_threads(work: Callable[[int, int], None], rows: int, threads: int) -> None:
    """Run `work(start, stop)` over all rows, a block at a time."""
    workers = threads or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda start: work(start, min(start + BLOCK, rows)), range(0, rows, BLOCK)))


def _kernels() -> Any:
    """The compiled loops, loaded when they are first used: numba takes longer than a small shop."""
    from personalization_assets.recommendations.models import items_kernel

    return items_kernel
