"""The best products of everybody: exact search for the largest inner products.

Method: products are sorted by the norm of their factors and cut into blocks that fit into the
processor's cache. Each block is multiplied with a group of customers at once, and a customer is
done as soon as |customer| x |longest product of the block| is less than the last score of the list
(Cauchy-Schwarz), as in LEMP (Teflioudi, Gemulla and Mykytiuk, SIGMOD 2015). These scores are rough,
of 32 bits or of codes of 8, with a known bound on their error; the products a list could still need
are scored once more in 64 bits, in one fixed order. So lists do not depend on threads, on blocks,
on the processor, or on who else is asked for.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from personalization_assets.recommendations.matrix import Codes, Floats

SMALL = 50_000_000
"""Up to so many multiplications plain numpy is done before numba is even loaded"""

BLOCK = 64 * 1024
"""Bytes of products that a group of customers goes through at a time: they stay in the cache"""

GROUP = 512
"""Customers that go through a block together"""

TASK = 8 * GROUP
"""Customers that a thread takes at a time"""


def best(
    product_factors: Floats,
    customer_factors: Floats,
    n: int,
    skip: Any = None,
    skip_products: Codes | None = None,
    threads: int = 0,
) -> tuple[Codes, Floats]:
    """The n products with the largest inner product for each customer: ids and scores, best first.

    Both are (customers, n). Of equal scores the smaller id comes first. `skip` is a CSR whose
    stored pairs must not appear, `skip_products` are products that must not appear for anyone.
    Where candidates run out ids are -1 and scores minus infinity; customers whose factors are all
    zero have nothing else. Scores that are NaN or minus infinity are no candidates. `threads` 0
    means one per processor.

    Raises:
        ValueError: the arrays do not fit each other, or n is below 1.
    """
    customers = np.ascontiguousarray(customer_factors, dtype=np.float32)
    products = np.ascontiguousarray(product_factors, dtype=np.float32)
    if customers.ndim != 2 or products.ndim != 2 or customers.shape[1] != products.shape[1]:
        raise ValueError(
            f"factors of customers {customers.shape} and products {products.shape} do not fit"
        )
    shape = (len(customers), len(products))
    if skip is not None and skip.shape != shape:
        raise ValueError(f"pairs to skip are {skip.shape}, customers and products {shape}")
    if n < 1:
        raise ValueError(f"a list needs at least one place, not {n}")
    ids = np.full((shape[0], n), -1, dtype=np.int32)
    scores = np.full((shape[0], n), -np.inf, dtype=np.float32)
    names = np.arange(shape[1], dtype=np.int32)
    if skip_products is not None and len(skip_products):
        names = np.setdiff1d(names, skip_products).astype(np.int32)
    if not (shape[0] and len(names) and customers.shape[1]):
        return ids, scores
    if shape[0] * len(names) * customers.shape[1] <= SMALL:
        _small(customers, products, names, skip, ids, scores)
    else:
        _large(customers, products, names, skip, ids, scores, threads)
    return ids, scores


def dots(customers: Floats, products: Floats) -> Floats:
    """All inner products: 64-bit sums of every fourth term, added to each other, then 32 bits.

    Products of 32-bit numbers are exact in 64 bits, so this order is all that rounding depends on.
    """
    lanes = np.zeros((4, len(customers), len(products)))
    left, right = customers.astype(np.float64), products.astype(np.float64)
    with np.errstate(all="ignore"):
        for k in range(left.shape[1]):
            lanes[k % 4] += left[:, k, None] * right[None, :, k]
        total: Floats = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])).astype(np.float32)
    return total


def _small(
    customers: Floats, products: Floats, names: Codes, skip: Any, ids: Codes, scores: Floats
) -> None:
    allowed = products[names]
    places = min(ids.shape[1], len(names))
    at_once = max(1, 500_000 // len(names))
    for start in range(0, len(customers), at_once):
        part = slice(start, start + at_once)
        found = dots(customers[part], allowed)
        found[np.isnan(found)] = -np.inf
        found[np.count_nonzero(customers[part], axis=1) == 0] = -np.inf
        if skip is not None:
            pairs = skip[part].tocoo()
            whole = np.full((len(found), len(products)), -np.inf, dtype=np.float32)
            whole[:, names] = found
            whole[pairs.row, pairs.col] = -np.inf
            found = whole[:, names]
        order = np.argsort(-found, axis=1, kind="stable")[:, :places]
        scores[part, :places] = np.take_along_axis(found, order, axis=1)
        ids[part, :places] = names[order]
    ids[scores == -np.inf] = -1


def _large(
    customers: Floats,
    products: Floats,
    names: Codes,
    skip: Any,
    ids: Codes,
    scores: Floats,
    threads: int,
) -> None:
    from personalization_assets.recommendations import topk_kernel as kernel

    names, norms = _by_norm(products, names)
    ordered = products[names]
    skip_start, skip_column = _sorted_pairs(skip, len(customers))
    block = max(1, BLOCK // (kernel.WIDE * products.shape[1] * np.dtype(kernel.CODE).itemsize))
    panels, units, sums = kernel.coded(ordered, block)

    def task(start: int) -> None:
        kernel.search(
            customers, start, min(start + TASK, len(customers)), GROUP,
            ordered, panels, block, units, sums, norms, names,
            skip_start, skip_column, ids, scores,
        )  # fmt: skip

    workers = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(task, range(0, len(customers), TASK)))


def _by_norm(products: Floats, names: Codes) -> tuple[Codes, npt.NDArray[np.float64]]:
    """Products and their norms, longest first; what is not a number may be anything."""
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", products, products, dtype=np.float64))[names]
    norms[np.isnan(norms)] = np.inf
    order = np.argsort(-norms, kind="stable")
    return names[order], norms[order]


def _sorted_pairs(skip: Any, rows: int) -> tuple[npt.NDArray[np.int64], Codes]:
    """Row starts and columns of the pairs, sorted within each row."""
    if skip is None:
        return np.zeros(rows + 1, dtype=np.int64), np.zeros(0, dtype=np.int32)
    ordered = skip if skip.has_sorted_indices else skip.sorted_indices()
    return ordered.indptr.astype(np.int64), ordered.indices.astype(np.int32, copy=False)
