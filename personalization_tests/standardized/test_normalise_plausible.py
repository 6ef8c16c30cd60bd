"""What is odd but readable is found in whole columns, and nothing else is."""

import random
from collections.abc import Callable

import phonenumbers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.mailboxes import packaged_mailboxes
from personalization_assets.standardized.normalise import plausible

MAILBOXES = packaged_mailboxes()


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("Anna van Dyk", False),
        ("Zoë O'Neil-Kaas", False),
        ("李小龙", False),
        ("Testa Rossi", False),
        ("Ann Guest", False),
        ("John Smith III", False),
        ("Anna Tester", True),
        ("asdf", True),
        ("Xxx Yyy", True),
        ("anna@example.com", True),
        ("Anna 2", True),
        ("...", True),
        (None, None),
    ],
)
def test_names_that_are_none(name: str | None, odd: bool | None) -> None:
    assert plausible.no_name(pl.Series([name], dtype=pl.String)).to_list() == [odd]


def test_addresses_of_tasks_and_of_throw_away_services() -> None:
    emails = pl.Series(
        ["info@a.example", "info+x@a.example", "informal@a.example", "anna@info.example", None]
    )
    assert plausible.of_a_task(emails, MAILBOXES.roles).to_list() == [
        True,
        True,
        False,
        False,
        None,
    ]
    emails = pl.Series(["a@mailinator.com", "a@x.y.mailinator.com", "a@gmail.com", "a@com", None])
    found = plausible.throw_away(emails, MAILBOXES.disposable)
    assert found.to_list() == [True, True, False, False, None]
    assert plausible.throw_away(pl.Series([None], dtype=pl.String), {"x.example"}).to_list() == [
        None
    ]


@pytest.mark.parametrize(
    ("country", "postcode", "odd"),
    [
        ("DE", "10115", False),
        ("DE", "1011", True),
        ("GB", "SW1A 1AA", False),
        ("GB", "SW1A1AA", False),
        ("GB", "12345", True),
        ("IE", "D02 AF30", False),
        ("US", "90210-1234", False),
        ("NL", "1234 AB", False),
        ("PL", "00-950", False),
        ("NL", "10115", True),
        ("XK", "anything", None),
        (None, "10115", None),
        ("DE", None, None),
    ],
)
def test_postcodes_have_the_shape_of_their_country(
    country: str | None, postcode: str | None, odd: bool | None
) -> None:
    codes, countries = (pl.Series([value], dtype=pl.String) for value in (postcode, country))
    assert plausible.odd_postcode(codes, countries).to_list() == [odd]


def test_phones_are_valid_where_the_library_says_so() -> None:
    draw = random.Random(20)
    codes = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    numbers: list[str] = []
    while len(numbers) < 1_500:
        code = draw.choice(codes)
        region = draw.choice(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code])
        known = phonenumbers.example_number_for_type(region, draw.choice([0, 1, 3]))
        start = str(known.national_number) if known and draw.random() < 0.7 else ""
        start = start[: draw.randrange(len(start) + 1)]
        rest = "".join(draw.choice("0123456789") for _ in range(draw.choice([8, 9, 10])))
        number = f"+{code}{start}{rest[len(start) :]}"
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            continue
        e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        if e164 == number and phonenumbers.is_possible_number(parsed):
            numbers.append(number)
    expected = [not phonenumbers.is_valid_number(phonenumbers.parse(n)) for n in numbers]
    assert plausible.outside_numbering_plan(pl.Series(numbers)).to_list() == expected
    assert 0.1 < sum(expected) / len(expected) < 0.9


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), min_size=5, max_size=40))
def test_any_text_is_judged_by_itself(received: list[str | None]) -> None:
    values = pl.Series(received, dtype=pl.String)
    germany = pl.Series(["DE"]).new_from_index(0, values.len())
    judges: list[Callable[[pl.Series], pl.Series]] = [
        plausible.no_name,
        plausible.outside_numbering_plan,
        lambda v: plausible.of_a_task(v, MAILBOXES.roles),
        lambda v: plausible.throw_away("a@" + v, MAILBOXES.disposable),
        lambda v: plausible.odd_postcode(v, germany.head(v.len())),
    ]
    for judge in judges:
        verdicts = judge(values)
        assert verdicts.is_null().to_list() == values.is_null().to_list()
        for value, verdict in list(zip(values, verdicts, strict=True))[:5]:
            assert judge(pl.Series([value], dtype=pl.String)).to_list() == [verdict]
