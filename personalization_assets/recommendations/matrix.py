"""Interactions as a sparse matrix whose rows and columns are sorted keys.

Sorting keys first is what makes everything after it independent of the order of the input.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Matrix:
    """Weights of customers (rows) for products (columns), in the order of the two key columns."""

    customers: pl.Series
    products: pl.Series
    weights: Any
    """scipy CSR, float32, indices sorted within a row"""

    @property
    def pairs(self) -> int:
        """Number of stored customer-product pairs."""
        return int(self.weights.nnz)


def to_matrix(
    pairs: pl.DataFrame,
    customers: pl.Series | None = None,
    products: pl.Series | None = None,
    value: str = "weight",
) -> Matrix:
    """Build a matrix from `customer_id`, `product_id` and a value column.

    With `customers` or `products` given (sorted, unique), rows and columns are exactly these and
    pairs outside them are left out. Pairs with a value that is not positive are left out.
    """
    pairs = pairs.filter(pl.col(value) > 0)
    users = pairs["customer_id"].unique().sort() if customers is None else customers
    items = pairs["product_id"].unique().sort() if products is None else products
    coded = pairs.select(
        codes_of(pairs["customer_id"], users).alias("row"),
        codes_of(pairs["product_id"], items).alias("column"),
        pl.col(value).cast(pl.Float32).alias("value"),
    )
    coded = coded.filter((pl.col("row") >= 0) & (pl.col("column") >= 0)).sort("row", "column")
    starts = np.zeros(len(users) + 1, dtype=np.int32)
    np.cumsum(np.bincount(coded["row"].to_numpy(), minlength=len(users)), out=starts[1:])
    weights = csr(
        (coded["value"].to_numpy().copy(), coded["column"].to_numpy().copy(), starts),
        shape=(len(users), len(items)),
    )
    return Matrix(users, items, weights)


def codes_of(keys: pl.Series, known: pl.Series) -> pl.Series:
    """The position of each key in `known` (sorted, unique), -1 where it is not there."""
    lookup = pl.DataFrame({"key": known.cast(pl.String)}).with_row_index("code")
    found = pl.DataFrame({"key": keys.cast(pl.String)}).join(
        lookup, on="key", how="left", maintain_order="left"
    )
    return found["code"].cast(pl.Int32).fill_null(-1)


def confidence(weights: Any, alpha: float, damping: float) -> Any:
    """Confidences for implicit ALS: 1 + alpha x damped weight, where damped weights have mean 1.

    Weights are divided by (customer's degree x product's degree) ^ damping, so that neither a
    best seller nor a customer who looks at everything drowns the rest. As only ratios count, a
    uniform fading of all weights changes nothing. Same function for training and for fold-in.
    """
    if not weights.nnz:
        return weights.astype(np.float32)
    rows = np.diff(weights.indptr)
    columns = np.bincount(weights.indices, minlength=weights.shape[1])
    damped = weights.data.astype(np.float64)
    if damping:
        by_row = np.power(np.maximum(rows, 1), -damping, dtype=np.float64)
        by_column = np.power(np.maximum(columns, 1), -damping, dtype=np.float64)
        damped = damped * np.repeat(by_row, rows) * by_column[weights.indices]
    values = (1.0 + alpha * damped / damped.mean()).astype(np.float32)
    return csr((values, weights.indices, weights.indptr), shape=weights.shape)


def csr(parts: tuple[Any, Any, Any], shape: tuple[int, int]) -> Any:
    """A scipy CSR matrix of values, columns and row starts."""
    from scipy import sparse

    return sparse.csr_matrix(parts, shape=shape)


def stored(weights: Any, rows: Any, columns: Any) -> Any:
    """Whether each (row, column) is a stored pair of the matrix, whose indices must be sorted."""
    width = np.int64(weights.shape[1])
    kept_rows, kept_columns, _ = row_pairs(weights)
    kept = kept_rows.astype(np.int64) * width + kept_columns
    asked = rows.astype(np.int64) * width + columns
    if not len(kept):
        return np.zeros(len(asked), dtype=bool)
    place = np.minimum(np.searchsorted(kept, asked), len(kept) - 1)
    return kept[place] == asked


def row_pairs(weights: Any) -> tuple[Codes, Codes, Floats]:
    """Row, column and value of every stored pair, in row order."""
    rows = np.repeat(np.arange(weights.shape[0], dtype=np.int32), np.diff(weights.indptr))
    return rows, weights.indices.astype(np.int32), weights.data.astype(np.float32)
