"""Seeded chance: a stream of random numbers per topic, so that topics don't disturb each other."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LETTERS = np.array(list("ABDEFGHJLNPQRSTUWXYZ"))


class Draw:
    """A stream of chance. The same seed and topic always give the same stream."""

    def __init__(self, seed: int, topic: str) -> None:
        self.rng = np.random.Generator(np.random.PCG64([seed, zlib.crc32(topic.encode())]))

    def chance(self, n: int, probability: float | Array) -> Array:
        """True for about `probability` of n rows."""
        result: Array = self.rng.random(n) < probability
        return result

    def pick(
        self, values: Sequence[Any] | Array, n: int, weights: Sequence[float] | None = None
    ) -> Array:
        """Draw n of `values` with replacement, evenly or by weights that need not sum to one."""
        pool = np.array(values, dtype=object) if not isinstance(values, np.ndarray) else values
        if weights is None:
            drawn: Array = pool[self.rng.integers(0, len(pool), n)]
            return drawn
        steps = np.cumsum(np.asarray(weights, dtype=float))
        spots = np.searchsorted(steps, self.rng.random(n) * steps[-1], side="right")
        drawn = pool[np.minimum(spots, len(pool) - 1)]
        return drawn

    def ranked(self, values: Sequence[Any] | Array, n: int, shift: float = 6.0) -> Array:
        """Draw n of `values`, commonest first, with a frequency that falls with the rank."""
        return self.pick(values, n, [1 / (rank + shift) for rank in range(len(values))])

    def between(self, low: float | Array, high: float | Array, n: int) -> Array:
        """Draw n floats evenly between two bounds."""
        spread: Array = low + (np.asarray(high) - low) * self.rng.random(n)
        return spread

    def numbers(self, n: int, low: int, spread: int = 3) -> Array:
        """Draw n distinct whole numbers from `low` on, in random order, one of `spread` used."""
        drawn: Array = low + self.rng.permutation(n * spread)[:n]
        return drawn

    def filled(self, templates: Array) -> Array:
        """Fill `#` with 0-9, `^` with 2-9 and `@` with a capital letter in each template."""
        result = np.empty(len(templates), dtype=object)
        kinds, which = np.unique(templates.astype(str), return_inverse=True)
        for kind, template in enumerate(kinds):
            rows = np.flatnonzero(which == kind)
            letters = np.tile(np.array(list(template)), (len(rows), 1))
            for column, letter in enumerate(template):
                if letter == "#":
                    letters[:, column] = self.rng.integers(0, 10, len(rows)).astype(str)
                elif letter == "^":
                    letters[:, column] = self.rng.integers(2, 10, len(rows)).astype(str)
                elif letter == "@":
                    letters[:, column] = self.pick(_LETTERS, len(rows))
            joined = np.ascontiguousarray(letters).view(f"<U{len(template)}").ravel()
            result[rows] = joined.astype(object)
        return result


def runs(lengths: Array) -> Array:
    """Count 0, 1, 2, ... inside each run of the given lengths."""
    starts = np.cumsum(lengths) - lengths
    counted: Array = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
    return counted
