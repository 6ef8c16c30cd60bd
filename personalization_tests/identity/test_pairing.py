"""Pairs by sorting are those that comparing everybody with everybody finds."""

from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from personalization_assets.identity.matching import components
from personalization_assets.identity.pairing import (
    Words,
    distinct,
    packed,
    pairs_sharing,
    unpacked,
    without,
)


def as_set(words: Words) -> set[tuple[int, int]]:
    left, right = unpacked(words)
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    assert len(pairs) == len(words), "a pair is there twice"
    return pairs


@pytest.mark.parametrize("seed", range(20))
def test_pairs_share_a_key_that_is_not_shared_too_often(seed: int) -> None:
    random = np.random.default_rng(seed)
    numbers = random.permutation(400)[: random.integers(1, 300)]
    # Half of the keys differ in their lowest bits only: sorting by the upper ones mixes them.
    keys = random.integers(0, 60, len(numbers)).astype(np.uint64)
    keys += random.integers(0, 2, len(numbers)).astype(np.uint64) << np.uint64(60)
    largest = int(random.integers(2, 8))
    sharing: dict[int, list[int]] = {}
    for number, key in zip(numbers.tolist(), keys.tolist(), strict=True):
        sharing.setdefault(key, []).append(number)
    expected = {
        pair
        for group in sharing.values()
        if len(group) <= largest
        for pair in combinations(sorted(group), 2)
    }
    assert as_set(pairs_sharing(numbers, keys, largest)) == expected


def test_nobody_and_somebody_alone_make_no_pairs() -> None:
    nobody = np.empty(0, np.int64)
    assert not len(pairs_sharing(nobody, nobody.astype(np.uint64), 100))
    assert not len(pairs_sharing(np.array([7]), np.array([0], np.uint64), 100))


def test_sets_of_pairs() -> None:
    some = packed(np.array([5, 1, 5, 2**31 - 2]), np.array([9, 2, 9, 2**31 - 1]))
    assert as_set(distinct(some)) == {(1, 2), (5, 9), (2**31 - 2, 2**31 - 1)}
    others = packed(np.array([5, 3]), np.array([9, 4]))
    assert as_set(without(distinct(some), others)) == {(1, 2), (2**31 - 2, 2**31 - 1)}
    assert as_set(without(others, distinct(some))) == {(3, 4)}
    assert not len(without(others, others))
    assert as_set(without(others, others[:0])) == {(5, 9), (3, 4)}


@pytest.mark.parametrize("seed", range(20))
def test_components_are_those_that_scipy_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 300))
    left, right = random.integers(0, size, (2, random.integers(0, 2 * size)))
    if seed % 4 == 0:  # one long chain, numbered at random
        order = random.permutation(size)
        left, right = order[:-1], order[1:]
    graph = coo_matrix((np.ones(len(left)), (left, right)), shape=(size, size))
    expected = connected_components(graph, directed=False)[1]
    smallest = [int(np.flatnonzero(expected == label)[0]) for label in expected]
    assert components(left, right, size).tolist() == smallest


def test_nobody_is_in_no_component() -> None:
    nobody = np.empty(0, np.int64)
    assert not len(components(nobody, nobody, 0))
