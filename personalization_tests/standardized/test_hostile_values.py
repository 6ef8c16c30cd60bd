"""A value is read as what it says or not at all: an amount a hundred times too high is worse."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.standardized.normalise import dates, money, text


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


@settings(max_examples=30, deadline=None)
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


AS_OF = dt.datetime(2026, 11, 1)


@pytest.mark.parametrize(
    ("received", "day", "moment"),
    [
        ("24-01-05", "2005-01-24", "2005-01-23 23:00:00"),
        ("24-01-05 10:00:00", "2005-01-24", "2005-01-24 09:00:00"),
        ("0001-01-01", "0001-01-01", None),  # in Berlin that began in the year before
        ("9999-12-31T23:59:59-12:00", "9999-12-31", None),
        ("9999-12-31", "9999-12-31", "9999-12-30 23:00:00"),
        ("2024-01-31T23:59:60Z", "2024-01-31", "2024-02-01 00:00:00"),
        ("2024-03-31T02:30:00", "2024-03-31", "2024-03-31 01:30:00"),
        ("2024-10-27T02:30:00", "2024-10-27", "2024-10-27 00:30:00"),
        ("2024-01-01T00:00:00+14:00", "2024-01-01", "2023-12-31 10:00:00"),
    ],
)
def test_days_at_the_edges(received: str, day: str, moment: str | None) -> None:
    values = pl.Series([received])
    found = dates.date(values, date_order="dmy", as_of=AS_OF).cast(pl.String)
    at = dates.timestamp(values, time_zone="Europe/Berlin", date_order="dmy", as_of=AS_OF)
    assert found.to_list() == [day]
    assert [t and f"{t:%Y-%m-%d %H:%M:%S}" for t in at.to_list()] == [moment]


@pytest.mark.parametrize(
    "received",
    [
        *("0000-00-00", "0000-01-01", "-2024-01-01", "10000-01-01", "2024-02-30", "31 Feb 2024"),
        *("2024-01-01T00:00:00+25:00", "2024-01-01T00:00:00-99:99", "2024-01-01T00:00:00+05:75"),
        *("2024-01-31T24:00:00", "1.2.24 10:00 +15:00", "45292", "2024", "99999999999999999999"),
        *("2024-W05-1", "2024-01-01 12:00 America/New_York", "-62135596800", "２０２４-01-01"),
    ],
)
def test_a_time_that_is_none(received: str) -> None:
    at = dates.timestamp(
        pl.Series([received]), time_zone="Europe/Berlin", date_order="dmy", as_of=AS_OF
    )
    assert at.to_list() == [None]


@settings(max_examples=25, deadline=None)
@given(st.text(st.sampled_from("0123456789-:T.+Z/ "), min_size=6, max_size=26))
def test_every_time_that_is_read_has_a_date_in_python(received: str) -> None:
    for order in ("dmy", "ymd"):
        found = dates.timestamp(
            pl.Series([received]), time_zone="Pacific/Apia", date_order=order, as_of=AS_OF
        ).to_list()
        assert found == [None] or isinstance(found[0], dt.datetime)
