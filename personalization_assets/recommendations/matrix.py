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
    values = pairs[value].cast(pl.Float32).to_numpy()
    users, rows = _coded(pairs["customer_id"], pairs[value], customers)
    items, columns = _coded(pairs["product_id"], pairs[value], products)
    used = (pairs[value] > 0).fill_null(False).to_numpy() & (rows >= 0) & (columns >= 0)
    if not used.all():
        rows, columns, values = rows[used], columns[used], values[used]
    return Matrix(users, items, csr((values, (rows, columns)), shape=(len(users), len(items))))


def _coded(keys: pl.Series, values: pl.Series, known: pl.Series | None) -> tuple[pl.Series, Codes]:
    """The sorted distinct keys that have a value, or those known, and where each key is there."""
    if known is None:
        if not (values > 0).all():
            keys = keys.zip_with(values > 0, pl.Series([None], dtype=keys.dtype))
        # Sorted keys, as DuckDB hands them over, stand together.
        if keys.is_sorted() and not keys.null_count():
            known, codes = keys.unique(maintain_order=True), keys.rle_id()
            return known, codes.to_numpy().astype(np.int32)
        known = keys.drop_nulls().unique().sort()
    return known, codes_of(keys, known).to_numpy()


def codes_of(keys: pl.Series, known: pl.Series) -> pl.Series:
    """The position of each key in `known` (sorted, unique), -1 where it is not there."""
    codes = keys.cast(pl.Enum(known.cast(pl.String)), strict=False).to_physical()
    return codes.cast(pl.Int32).fill_null(-1)


def csr(parts: tuple[Any, ...], shape: tuple[int, int]) -> Any:
    """A scipy CSR matrix of values, columns and row starts, or of values and (rows, columns).

    The latter need no order; within a row the columns come out sorted.
    """
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
