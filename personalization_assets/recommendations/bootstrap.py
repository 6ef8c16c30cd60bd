"""How far a mean over customers could have come out otherwise."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
"""One value per customer"""

AT_ONCE = 5_000_000
"""Draws that are in memory together."""


def bounds(values: Sequence[Values], samples: int, seed: int) -> list[tuple[float, float]]:
    """Bootstrap bounds (2.5 % and 97.5 %) of means over customers; the same resamples for all.

    Customers whose value is nan are left out of that mean.
    """
    if not values or not len(values[0]):
        return [(0.0, 0.0) for _ in values]
    low, high = np.nanquantile(resampled(values, samples, seed), [0.025, 0.975], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def resampled(values: Sequence[Values], samples: int, seed: int) -> Values:
    """Means of bootstrap resamples of the customers: one row per sample, one column per series."""
    stacked = np.column_stack(values)
    customers = len(stacked)
    there = ~np.isnan(stacked)
    both = np.vstack([np.where(there, stacked, 0.0).T, there.T.astype(np.float64)])
    chance = np.random.default_rng(seed)
    means = []
    for size in _pieces(samples, max(1, AT_ONCE // customers)):
        drawn = chance.integers(customers, size=(size, customers))
        drawn += customers * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * customers).reshape(size, customers)
        # Not a matrix product: a BLAS adds in another order where there are other numbers of rows.
        sums, counts = np.hsplit(np.einsum("sc,kc->sk", times.astype(np.float64), both), 2)
        means.append(np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0))
    found: Values = np.vstack(means)
    return found


def _pieces(total: int, most: int) -> list[int]:
    """`total` in parts of at most `most`: resamples of many customers have to fit in memory."""
    return [min(most, total - done) for done in range(0, total, most)]
