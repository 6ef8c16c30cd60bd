"""Distances of histograms: known values, properties, and what chance alone brings."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_assets.audits import distances as far
from personalization_assets.audits.distances import js_distance, ks_distance, psi


def test_distances_have_their_textbook_values() -> None:
    assert js_distance([10, 0], [0, 10]) == pytest.approx(1.0)
    assert ks_distance([10, 0, 10], [0, 20, 0]) == pytest.approx(0.5)
    # (0.6-0.5) ln(0.6/0.5) + (0.4-0.5) ln(0.4/0.5); half a row is nothing among so many
    expected = 0.1 * math.log(1.2) - 0.1 * math.log(0.8)
    assert psi([5_000_000, 5_000_000], [6_000_000, 4_000_000]) == pytest.approx(expected, rel=1e-5)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=30).filter(any))
def test_a_histogram_is_at_no_distance_from_itself_and_its_double(bins: list[int]) -> None:
    twice = [2 * n for n in bins]
    assert psi(bins, bins) == 0
    assert js_distance(bins, twice) == pytest.approx(0, abs=1e-7)
    assert ks_distance(bins, twice) == pytest.approx(0, abs=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=30
    ).filter(lambda pairs: any(a for a, _ in pairs) and any(b for _, b in pairs))
)
def test_distances_stay_in_their_bounds(pairs: list[tuple[int, int]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    assert psi(one, other) >= 0
    assert 0 <= js_distance(one, other) <= 1 + 1e-9
    assert js_distance(one, other) == pytest.approx(js_distance(other, one))
    assert 0 <= ks_distance(one, other) <= 1


@pytest.mark.parametrize(("rows", "others"), [(300, 300), (500, 20_000), (20_000, 500)])
def test_bounds_by_chance_hold_as_often_as_they_say(rows: int, others: int) -> None:
    """Draws of one skewed distribution: a bound for 2 % is passed about 2 % of the time or less."""
    rng = np.random.default_rng(7)
    shares = 0.75 ** np.arange(25)
    draws = [rng.multinomial(n, shares / shares.sum(), 2000).tolist() for n in (rows, others)]
    passed = {"psi": 0, "js": 0, "ks": 0, "h": 0, "labels": 0}
    for then, now in zip(*draws, strict=True):
        for ordered in (True, False):
            pair = far.Histograms(then, now, ordered)
            found, spread_out = far.psi_of(pair), far.js_of(pair)
            passed["psi"] += found.value > far.psi_by_chance(found, 0.02)
            passed["js"] += spread_out.value > far.js_by_chance(spread_out, 0.02)
        passed["ks"] += far.ks_of(pair).value > far.ks_by_chance(far.ks_of(pair), 0.02)
        h = far.cohens_h(now[0], others, then[0], rows)
        passed["h"] += h > far.h_by_chance(others, rows, 0.02)
        only = max((c for r, c in zip(then, now, strict=True) if not r), default=0)
        passed["labels"] += only >= far.one_sided_rows(others, rows, 0.02 / len(now))
    assert passed["psi"] / 4000 <= 0.025
    assert passed["js"] / 4000 <= 0.035
    assert max(passed["ks"], passed["h"], passed["labels"]) / 2000 <= 0.03


def test_an_alarm_needs_as_many_one_sided_rows_as_coins_would_fall_alike() -> None:
    assert far.one_sided_rows(100, 100, 0.5**17) == 17
    assert far.one_sided_rows(300, 100, 0.01) > far.one_sided_rows(100, 300, 0.01)
