"""A value is read as what it says or not at all: an amount a hundred times too high is worse."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.standardized.normalise import money, text


def number(received: str, decimal: str = ".") -> float | None:
    values = text.clean(pl.Series([received]))
    return money.number(values, decimal=decimal).to_list()[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("12,-", 12.0),
        ("CHF 12.-", 12.0),
        ("12.– €", 12.0),
        ("–12", -12.0),
        ("$.99", 0.99),
        (",50 €", 0.5),
        ("0.500", 0.5),
        ("0,500", 0.5),
        ("Fr.12.50", 12.5),
        ("$(12.50)", -12.5),
        ("1\u00a0234,56 €", 1234.56),
        ("1\u202f234.56", 1234.56),
        ("1’234.56", 1234.56),
        ("12,34,567.89", 1234567.89),
        ("12,34,567", 1234567.0),
        ("1.234.567,89", 1234567.89),
        ("$12 USD", 12.0),
        ("-0", 0.0),
    ],
)
def test_amounts_of_every_country(received: str, expected: float) -> None:
    assert [number(received, decimal) for decimal in ".,"] == [expected, expected]


@pytest.mark.parametrize(
    "received",
    [
        *("12 50", "10 20", "1 00", "1234 567", "1,23.45", "12.34,5", "1,2,3.4", "1.,2"),
        *("0.001.000", "1'23", "1.234.56", "1.5k", "2.3M", "3 Mio", "99 cents", "99¢", "12 ct"),
        *("50%", "<5", "~12", "ca. 12", "5-10", "(12", "12)", "--5", "+-5", "(-5)", "-5-"),
        *("EUR 12 USD", "EUR.50", "1e400", "0x10", "NaN", "Infinity", "1_000", "½", "1٫500"),
    ],
)
def test_an_amount_that_may_be_another_is_none(received: str) -> None:
    assert [number(received, decimal) for decimal in ".,"] == [None, None]


def test_a_single_mark_before_three_digits_is_what_the_source_declares() -> None:
    assert (number("1,234"), number("1.234")) == (1234.0, 1.234)
    assert (number("1,234", ","), number("1.234", ",")) == (1.234, 1234.0)


STYLES: tuple[tuple[str, str], ...] = (
    (",", "."),
    (".", ","),
    (" ", ","),
    ("\u202f", ","),
    ("'", "."),
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**12),
    st.integers(0, 99),
    st.sampled_from(STYLES),
    st.sampled_from(["{}", "-{}", "{}-", "€ {}", "{} EUR", "(-)"]),
    st.sampled_from(".,"),
)
def test_amounts_with_cents_come_back(
    whole: int, cents: int, style: tuple[str, str], around: str, declared: str
) -> None:
    group, mark = style
    written = f"{whole:,}".replace(",", group) + f"{mark}{cents:02d}"
    shown = f"({written})" if around == "(-)" else around.format(written)
    expected = float(f"{whole}.{cents:02d}") * (-1 if "-" in around else 1)
    assert number(shown, declared) == pytest.approx(expected, rel=1e-12)
