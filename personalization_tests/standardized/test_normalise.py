"""Tables of cases for each normaliser: good, bad, odd."""

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.standardized.normalise import dates, labels, money, places, rates, text
from personalization_assets.standardized.normalise.distinct import map_distinct, settle
from personalization_assets.standardized.normalise.email import email
from personalization_assets.standardized.normalise.flags import boolean
from personalization_assets.standardized.normalise.phone import phone

AS_OF = dt.datetime(2026, 10, 20)


def check(function: Callable[[pl.Series], pl.Series], cases: dict[str, object]) -> None:
    received = pl.Series("x", [*cases, None], dtype=pl.String)
    assert dict(zip(received.to_list(), function(received).to_list(), strict=True)) == {
        **cases,
        None: None,
    }


def test_placeholders_and_white_space() -> None:
    check(
        text.clean,
        {
            "n/a": None,
            "N/A": None,
            "NULL": None,
            "-": None,
            "unknown": None,
            "(not set)": None,
            "": None,
            "   ": None,
            "\u00a0\u200b": None,
            " a \t b\u00a0c ": "a b c",
            "Ame\u0301lie": "Amélie",
            "NA": "NA",
            "nullable": "nullable",
        },
    )


def test_names_get_capitals_only_where_they_have_none_or_only() -> None:
    check(
        text.name,
        {
            "JINNI": "Jinni",
            "o'brien": "O'Brien",
            "JEAN-LUC": "Jean-Luc",
            "VON NEUMANN": "von Neumann",
            "DE LA CRUZ": "de la Cruz",
            "ludwig van beethoven": "Ludwig van Beethoven",
            "van": "Van",
            "mcdonald": "McDonald",
            "MÜLLER": "Müller",
            "JOHN SMITH III": "John Smith III",
            "LaToya": "LaToya",
            "DeShawn McKay": "DeShawn McKay",
            "Null": "Null",
            "NULL": None,
            "null": None,
            "na": None,
            "Na": "Na",
        },
    )


def test_whole_names_come_apart() -> None:
    cases = {
        "Anna van Dyk": ("Anna", "van Dyk"),
        "van Dyk, Anna": ("Anna", "van Dyk"),
        "Dr. Anna Maria Schmidt": ("Anna Maria", "Schmidt"),
        "Prof. Dr. Max von der Heide": ("Max", "von der Heide"),
        "John Smith Jr.": ("John", "Smith"),
        "Cher": ("Cher", None),
    }
    given_names, family = text.split_full_name(pl.Series(list(cases)))
    assert list(zip(given_names, family, strict=True)) == list(cases.values())


def test_identifiers_and_postcodes() -> None:
    check(text.identifier, {"12346.0": "12346", "0012": "0012", "A-1.0": "A-1.0", "n/a": None})
    check(text.postcode, {"D-10115": "10115", "sw1a 1aa": "SW1A 1AA", "2257.0": "2257"})


def test_emails() -> None:
    check(
        email,
        {
            "Bob.Smith@Example.COM": "bob.smith@example.com",
            "bob+news@example.co.uk": "bob+news@example.co.uk",
            "mailto:a@b.de": "a@b.de",
            "Bob <bob@example.org>": "bob@example.org",
            "'a@b.de'": "a@b.de",
            "a@b.de.": "a@b.de",
            "a @ b.de": "a@b.de",
            "a@Müller.de": "a@xn--mller-kva.de",
            "ünï@b.de": "ünï@b.de",
            "a@b": None,
            "a b@c.de": None,
            "a..b@c.de": None,
            ".a@b.de": None,
            "a@b@c.de": None,
            "a,b@c.de": None,
            "a@-b.de": None,
            "a@b.de;c@d.de": None,
            "x@1.2.3.4": None,
            "no address": None,
            "x" * 65 + "@example.com": None,
        },
    )


def test_phones() -> None:
    cases = [
        ("+49 (0)170 1234567", "DE", "+491701234567"),
        ("0170/1234567", "DE", "+491701234567"),
        ("0049 170 1234567", None, "+491701234567"),
        ("+1 415 555 0132", "DE", "+14155550132"),
        ("(415) 555-0132", "US", "+14155550132"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("06 698 12345", "IT", "+390669812345"),
        ("612 345 678", "ES", "+34612345678"),
        ("+49 170 1234567 ext 5", "DE", "+491701234567"),
        ("03 9555 1234", "AU", "+61395551234"),
        ("0170 1234567", None, None),
        ("12345", "DE", None),
        ("0000000", "DE", None),
        ("1111111111", "DE", None),
        ("call me", "DE", None),
        ("+999 123456789", "DE", None),
        (None, "DE", None),
    ]
    values = pl.Series([c[0] for c in cases])
    regions = pl.Series([c[1] for c in cases], dtype=pl.String)
    assert phone(values, regions).to_list() == [c[2] for c in cases]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["DE", "GB", "US", "FR", "IT", "ES", "NL", "AT", "CH", "AU", "SE", "DK", "PL"]),
    st.sampled_from(["", "0", "+", "00", "1"]),
    st.text("0123456789", min_size=5, max_size=13),
)
def test_phone_shapes_agree_with_the_library(region: str, prefix: str, digits: str) -> None:
    import phonenumbers

    found = phone(pl.Series([prefix + digits]), pl.Series([region]))[0]
    if found is None:
        return
    text_ = prefix + digits
    if text_.startswith("00"):
        text_ = "+" + text_[2:]
    parsed = phonenumbers.parse(text_, region)
    assert phonenumbers.is_possible_number(parsed)
    assert found == phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def test_countries_in_many_languages() -> None:
    check(
        places.country,
        {
            "Deutschland": "DE",
            "Allemagne": "DE",
            "DEU": "DE",
            "de": "DE",
            "276": "DE",
            "EIRE": "IE",
            "Éire": "IE",
            "UK": "GB",
            "Großbritannien": "GB",
            "U.S.A.": "US",
            "Österreich": "AT",
            "the Netherlands": "NL",
            "RSA": "ZA",
            "Czech Republic": "CZ",
            "Korea, Republic of": "KR",
            "Côte d'Ivoire": "CI",
            "日本": "JP",
            "NA": "NA",
            "Channel Islands": None,
            "European Community": None,
            "Mars": None,
        },
    )


def test_languages() -> None:
    check(
        places.language,
        {
            "de-DE": "de",
            "en_US": "en",
            "deu": "de",
            "ger": "de",
            "German": "de",
            "Deutsch": "de",
            "allemand": "de",
            "Français": "fr",
            "de-AT,de;q=0.9": "de",
            "zh-Hans-CN": "zh",
            "xx": None,
            "Klingonisch": None,
        },
    )


def moments(order: str, zone: str) -> Callable[[pl.Series], pl.Series]:
    def read(values: pl.Series) -> pl.Series:
        found = dates.timestamp(values, time_zone=zone, date_order=order, as_of=AS_OF)
        return found.dt.strftime("%Y-%m-%d %H:%M:%S%.f")

    return read


def test_times_become_utc() -> None:
    check(
        moments("dmy", "Europe/Berlin"),
        {
            "2024-01-31": "2024-01-30 23:00:00",
            "2024-01-31T12:00:00Z": "2024-01-31 12:00:00",
            "2024-01-31T12:00:00+01:00": "2024-01-31 11:00:00",
            "2024-01-31 12:00 UTC": "2024-01-31 12:00:00",
            "2024-01-31 12:00:00.123456": "2024-01-31 11:00:00.123456",
            "31.01.2024": "2024-01-30 23:00:00",
            "31/01/24 14:05": "2024-01-31 13:05:00",
            "5.3.2024 7:05:06": "2024-03-05 06:05:06",
            "2024/1/5 7:05": "2024-01-05 06:05:00",
            "20240131": "2024-01-30 23:00:00",
            "20240131T101112Z": "2024-01-31 10:11:12",
            "1706700000": "2024-01-31 11:20:00",
            "1706700000000": "2024-01-31 11:20:00",
            "1706700000000123": "2024-01-31 11:20:00.000123",
            "1706700000.5": "2024-01-31 11:20:00.500",
            "31 Jan 2024": "2024-01-30 23:00:00",
            "31. Januar 2024": "2024-01-30 23:00:00",
            "Jan 31, 2024 3:05 PM": "2024-01-31 14:05:00",
            "Wed, 31 Jan 2024 10:00:00 +0100": "2024-01-31 09:00:00",
            "31.12.29": "1929-12-30 23:00:00",
            "01/31/2024": None,
            "2024-02-30": None,
            "2024-01-31 25:00": None,
            "0000-00-00": None,
            "yesterday": None,
        },
    )


def test_daylight_saving_gap_and_overlap() -> None:
    check(
        moments("ymd", "Europe/Berlin"),
        {
            "2024-03-31 02:30:00": "2024-03-31 01:30:00",
            "2024-10-27 02:30:00": "2024-10-27 00:30:00",
        },
    )


def test_the_source_says_whether_day_or_month_comes_first() -> None:
    check(moments("mdy", "UTC"), {"03/04/2024": "2024-03-04 00:00:00", "31/01/2024": None})
    check(moments("dmy", "UTC"), {"03/04/2024": "2024-04-03 00:00:00"})


def test_birth_dates_are_days_as_written() -> None:
    def read(values: pl.Series) -> pl.Series:
        return dates.date(values, date_order="dmy", as_of=AS_OF)

    check(
        read,
        {
            "19420127": dt.date(1942, 1, 27),
            "1942-01-27": dt.date(1942, 1, 27),
            "27.01.42": dt.date(1942, 1, 27),
            "27.01.26": dt.date(2026, 1, 27),
            "1979-12-31T23:00:00Z": dt.date(1979, 12, 31),
            "1980-05-05 00:00:00": dt.date(1980, 5, 5),
            "3 March 1970": dt.date(1970, 3, 3),
            "1942": None,
            "30.02.1970": None,
        },
    )


@settings(max_examples=100, deadline=None)
@given(st.datetimes(dt.datetime(1973, 3, 4), dt.datetime(2100, 1, 1)))
def test_iso_and_epoch_come_back_unchanged(moment: dt.datetime) -> None:
    micros = (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
    values = pl.Series([moment.isoformat(), moment.isoformat() + "Z", f"{micros:d}"])
    found = dates.timestamp(values, time_zone="UTC", date_order="ymd", as_of=AS_OF)
    assert found[0] == found[1] == moment
    if micros >= 10**14:
        assert found[2] == moment


def test_numbers() -> None:
    check(
        money.number,
        {
            "12.50": 12.5,
            "-3": -3.0,
            "−3": -3.0,
            "1,234.50": 1234.5,
            "1.234,50": 1234.5,
            "12,5": 12.5,
            "1,234": 1234.0,
            "1.234": 1.234,
            "1 000": 1000.0,
            "1'000.50": 1000.5,
            "1.234.567": 1234567.0,
            "(12.00)": -12.0,
            "12.00-": -12.0,
            "€ 12.50": 12.5,
            "12,50 €": 12.5,
            "$-5": -5.0,
            "1e3": 1000.0,
            "nan": None,
            "inf": None,
            "12.5.3": None,
            "10-20": None,
            "12abc34": None,
            "free": None,
        },
    )
    check(
        lambda v: money.number(v, decimal=","),
        {"1.234": 1234.0, "1,234": 1.234, "12.50": 12.5, "1.234.567,8": 1234567.8},
    )
    check(
        money.whole_number,
        {"3": 3, "3.0": 3, "-2": -2, "3.5": None, "x": None, "3 pcs": 3, "1,200 pts": 1200},
    )


def test_currencies() -> None:
    check(
        money.currency,
        {"eur": "EUR", "€": "EUR", "US$": "USD", "978": "EUR", "HRK": "HRK", "XYZ": None},
    )
    check(money.currency_in, {"12 €": "EUR", "GBP 3": "GBP", "-5,0 zł": "PLN", "12": None})


def test_rates_of_the_day_and_when_they_are_stale() -> None:
    currencies = pl.Series(["EUR", "USD", "USD", "USD", "AED"])
    days = pl.Series(
        [
            dt.date(1990, 1, 1),
            dt.date(2024, 1, 26),
            dt.date(2024, 1, 28),
            dt.date(2100, 1, 1),
            dt.date(2024, 1, 1),
        ]
    )
    factor, stale = rates.factors(currencies, days, "EUR")
    assert factor[0] == 1.0
    assert factor[1] == factor[2] == pytest.approx(1 / 1.0871)  # a Friday and its Sunday
    assert factor[4] is None
    assert stale.to_list() == [False, False, False, True, False]
    back, _ = rates.factors(pl.Series(["EUR"]), pl.Series([dt.date(2024, 1, 26)]), "USD")
    assert back[0] == pytest.approx(1 / factor[1])


def test_words_for_yes_and_no() -> None:
    check(
        boolean,
        {
            "Yes": True,
            "JA": True,
            "oui": True,
            "1": True,
            "opt-in": True,
            "0": False,
            "Nein": False,
            "pending": False,
            "maybe": None,
        },
    )


def test_labels_keep_what_they_do_not_know() -> None:
    check(
        lambda v: labels.label(v, labels.WEB_EVENT),
        {"Page View": "page_view", "AddToCart": "add_to_cart", "Scroll-Depth": "scroll_depth"},
    )
    check(lambda v: labels.only_known(v, labels.GENDER), {"W": "female", "Herr": "male", "?": None})


def test_the_most_frequent_spelling_of_a_category_wins() -> None:
    received = pl.Series(
        ["Home & Garden", "HOME AND GARDEN", "home-garden", "Home & Garden", "toys", "Toys", None]
    )
    assert labels.one_spelling(received, {}).to_list() == [
        *["Home & Garden"] * 4,
        "Toys",
        "Toys",
        None,
    ]
    assert labels.one_spelling(received, {"toys": "Spielzeug"})[4] == "Spielzeug"


def test_settle_asks_the_next_step_only_for_what_is_open() -> None:
    asked: list[list[str]] = []

    def library(left: pl.Series) -> pl.Series:
        asked.append(left.to_list())
        return left.str.to_uppercase()

    values = pl.Series(["1", "a", None])
    found = settle(values, lambda v: v.set(v != "1", None), library)
    assert found.to_list() == ["1", "A", None]
    assert asked == [["a"]]
    assert map_distinct(pl.Series(["b", "a", "b", None]), library).to_list() == [
        "B",
        "A",
        "B",
        None,
    ]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), min_size=5, max_size=40))
def test_no_text_breaks_a_normaliser(received: list[str | None]) -> None:
    values = text.clean(pl.Series(received, dtype=pl.String))
    functions: list[Callable[[pl.Series], pl.Series]] = [
        email,
        boolean,
        places.country,
        places.language,
        money.number,
        money.whole_number,
        money.currency,
        money.currency_in,
        text.name,
        text.postcode,
        labels.spelling_key,
        moments("dmy", "Europe/Berlin"),
        lambda v: dates.date(v, date_order="mdy", as_of=AS_OF),
        lambda v: phone(v, pl.Series(["DE"]).new_from_index(0, v.len())),
    ]
    for function in functions:
        assert function(values).len() == values.len()
