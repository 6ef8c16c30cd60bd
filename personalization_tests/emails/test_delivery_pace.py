"""The rate is never exceeded, whatever wakes up late, and is reached where nothing does."""

import random

import pytest

from personalization_assets.emails.delivery.pace import Pace


@pytest.mark.parametrize("rate", [0.3, 1.0, 2.5, 20.0, 333.3, 1_000.0])
@pytest.mark.parametrize("late", [0.0, 0.002, 0.05, 3.0])
def test_no_second_has_more_mails_than_the_rate(rate: float, late: float) -> None:
    pace, draw = Pace(rate), random.Random(5)
    now, given = 1_000.0, []
    while len(given) < 3_000:
        now = max(now, pace.next(now)) + draw.random() ** 8 * late
        chosen = 0
        while now >= pace.next(now) and chosen < 4:
            pace.take(now)
            chosen += 1
        now += draw.random() ** 8 * late
        pace.gone(chosen, now)
        given += [now] * chosen
    most = max(1, int(rate))
    spans = [later - first for first, later in zip(given, given[most:], strict=False)]
    assert min(spans) >= most / rate * (1 - 1e-9)
    # Short delays are made up for.
    mean = (len(given) - 1) / (given[-1] - given[0])
    assert mean <= rate * (1 + 1e-9) * (1 + most / len(given))
    if late <= 0.05 and rate <= 20:
        assert mean >= rate * 0.97
