"""Bounds of means by resampling customers."""

import math

import numpy as np
import pytest

from personalization_assets.recommendations import bootstrap


def test_bounds_hold_the_mean_and_shrink_with_more_customers() -> None:
    chance = np.random.default_rng(5)
    few, many = chance.normal(1, 1, 50), chance.normal(1, 1, 5000)
    [(low, high)] = bootstrap.bounds([few], 500, seed=1)
    [(low_many, high_many)] = bootstrap.bounds([many], 500, seed=1)
    assert low < few.mean() < high
    assert high - low == pytest.approx(4 * few.std() / math.sqrt(50), rel=0.15)
    assert high_many - low_many == pytest.approx(4 * many.std() / math.sqrt(5000), rel=0.15)


def test_what_is_not_measured_stays_out_of_the_mean_and_its_bounds() -> None:
    values = np.array([2.0] * 50 + [np.nan] * 50)
    assert bootstrap.bounds([values, np.arange(100.0)], 100, seed=1)[0] == (2.0, 2.0)


def test_resamples_are_the_same_whatever_fits_into_memory_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = [np.random.default_rng(1).normal(size=100)]
    whole = bootstrap.resampled(values, 40, seed=9)
    monkeypatch.setattr(bootstrap, "AT_ONCE", 700)
    assert np.array_equal(bootstrap.resampled(values, 40, seed=9), whole)
