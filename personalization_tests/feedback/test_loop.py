"""A shop where tastes change: the loop notices and recovers, and without it nothing does."""

import pytest

from personalization_tests.benchmarks.feedback_loop import CHANGE, DAYS, Day, level, simulate


@pytest.fixture(scope="module")
def loop() -> list[Day]:
    return simulate(loop=True)


def test_clicks_fall_and_the_loop_notices_within_three_days(loop: list[Day]) -> None:
    before = level(loop, CHANGE - 6, CHANGE)
    assert level(loop, CHANGE, CHANGE + 2) < 0.7 * before
    noticed = [day.number for day in loop if "clicks" in day.due]
    assert CHANGE < noticed[0] <= CHANGE + 3


def test_with_the_loop_nine_tenths_of_the_clicks_come_back_and_without_it_they_do_not(
    loop: list[Day],
) -> None:
    before = level(loop, CHANGE - 6, CHANGE)
    assert level(loop, DAYS - 6, DAYS) >= 0.9 * before
    without = simulate(loop=False)
    assert [day.rate for day in without[:6]] == [day.rate for day in loop[:6]]
    assert level(without, DAYS - 6, DAYS) < 0.6 * before


def test_where_nothing_changes_clicks_ask_for_nothing() -> None:
    steady = simulate(loop=True, change=False, days=CHANGE + 6)
    assert not [day.number for day in steady if "clicks" in day.due]
