"""Pairs of whoever shares a value, in numpy: millions of them, by sorting instead of joining.

A pair (l, r) of numbers below 2**31 with l < r is kept as one word, l in its upper half, so that
sets of pairs are sorted arrays of words.
"""

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from personalization_assets.identity.workspace import create

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_HALF = np.uint64(32)
_LOWER = np.uint64(2**32 - 1)


def pairs_sharing(numbers: Ints, keys: Words, largest: int) -> Words:
    """All pairs of `numbers` with equal `keys`, but of keys that more than `largest` share.

    Every number is there once, in any order; so is every pair.
    """
    order, first = _sorted_by_key(numbers, keys)
    starts = np.flatnonzero(first)
    sizes = np.diff(starts, append=len(order))
    usable = (sizes > 1) & (sizes <= largest)
    starts, sizes = starts[usable], sizes[usable]
    found = []
    # Members of a group with their next, then with the one after that, as far as the group goes.
    for step in range(1, int(sizes.max(initial=1))):
        longer = sizes > step
        starts, sizes = starts[longer], sizes[longer]
        left = _runs(starts, sizes - step)
        found.append((order[left] << _HALF) | order[left + step])
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def sharing(numbers: Ints, keys: Words) -> Ints:
    """The numbers whose key another has. Every number is there once, in any order."""
    order, alone = _sorted_by_key(numbers, keys)
    alone[:-1] &= alone[1:]
    return order[~alone].astype(np.int64)


def distinct(words: Words) -> Words:
    """Each of the words once, in order."""
    words = _in_order(words)
    return words[_first_of_run(words)]


def without(words: Words, others: Words) -> Words:
    """Those of the words that are not among the others; each of both is there once."""
    both = np.concatenate([words << np.uint64(1), (others << np.uint64(1)) | np.uint64(1)])
    both = _in_order(both)
    word: Words = both >> np.uint64(1)
    alone = _first_of_run(word)
    alone[:-1] &= alone[1:]
    found: Words = word[alone & (both & np.uint64(1) == 0)]
    return found


def packed(left: Ints, right: Ints) -> Words:
    """Words of the pairs (left, right)."""
    return (left.astype(np.uint64) << _HALF) | right.astype(np.uint64)


def unpacked(words: Words) -> tuple[Ints, Ints]:
    """Left and right of each word."""
    return (words >> _HALF).astype(np.int64), (words & _LOWER).astype(np.int64)


def put_pairs(work: duckdb.DuckDBPyConnection, name: str, words: Words) -> None:
    """Create or replace a table (l, r) of the pairs."""
    left, right = unpacked(words)
    create(work, name, pa.table({"l": left, "r": right}))


def _sorted_by_key(numbers: Ints, keys: Words) -> tuple[Words, NDArray[np.bool_]]:
    """The numbers in order of their keys, then of themselves; and where each key begins.

    Sorting words of a key's upper bits and the number takes half the time of sorting places by
    keys; the few runs in which different keys have equal upper bits are put in order afterwards.
    """
    key_of = np.zeros(int(numbers.max(initial=0)) + 1, np.uint64)
    key_of[numbers] = keys
    below = np.uint64((1 << len(key_of).bit_length()) - 1)
    words = _in_order((keys & ~below) | numbers.astype(np.uint64))
    order = words & below
    upper = words & ~below
    close = np.flatnonzero(upper[1:] == upper[:-1])
    differing = close[key_of[order[close]] != key_of[order[close + 1]]]
    if len(differing):
        runs = np.unique(upper[differing])
        begins = np.searchsorted(upper, runs)
        mixed = _runs(begins, np.searchsorted(upper, runs, side="right") - begins)
        order[mixed] = order[mixed][np.argsort(key_of[order[mixed]], kind="stable")]
    return order, _first_of_run(key_of[order])


def _in_order(words: Words) -> Words:
    """Sorted by polars, which takes half of numpy's time."""
    ordered: Words = pl.Series(words).sort().to_numpy()
    return ordered


def _first_of_run(words: Words) -> NDArray[np.bool_]:
    """Where a word differs from the one before."""
    first = np.ones(len(words), bool)
    np.not_equal(words[1:], words[:-1], out=first[1:])
    return first


def _runs(starts: Ints, lengths: Ints) -> Ints:
    """start, start + 1, ... of each start, as many as its length says, one after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - ends + lengths, lengths)
