"""Amounts are written as decimals are, though most never become one."""

import math
from decimal import ROUND_HALF_UP, Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from personalization_assets.emails.liquid_batch import filters

CENTS = st.integers(-(10**14), 10**14).map(lambda cents: cents / 100)
NUMBERS = st.one_of(
    CENTS,
    CENTS.map(lambda amount: math.nextafter(amount, math.inf)),
    CENTS.map(lambda amount: round(amount + 0.005, 3)),
    st.floats(-1e13, 1e13),
    st.integers(-(10**13), 10**13),
)


@given(NUMBERS, st.sampled_from([0, 1, 2, 3, -2]))
@example(-0.0, 2)
@example(-0.004, 2)
@example(2.675, 2)
@example(999_999_999_999.995, 2)
def test_numbers_are_rounded_half_up_as_they_are_written(value: float, places: int) -> None:
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    assert filters.number("en")(value, places) == f"{exact:,.{max(places, 0)}f}"
    cents = Decimal(str(value)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    sign = "-" if cents < 0 else ""
    assert filters.money("EUR", "en")(value) == f"{sign}€{abs(cents):,.2f}"
