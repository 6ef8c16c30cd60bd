"""Rows that are odd but valid are taken, and say in `_flags` what was odd about them."""

import datetime as dt

import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.mailboxes import Mailboxes
from personalization_assets.standardized.entities import Lookups
from personalization_assets.standardized.in_force import MODELS
from personalization_tests.standardized.test_entities import AS_OF, read

CONTACT: dict[str, str | None] = {
    "contact_id": "1",
    "given_name": "Anna",
    "family_name": "Berg",
    "email": "anna@shop.example",
    "phone": "030 2345678",
    "birth_date": "1980-02-01",
    "postcode": "10115",
    "country": "DE",
    "created_at": "2020-01-01",
    "updated_at": "2021-01-01",
}
MEMBER: dict[str, str | None] = {
    "member_id": "1",
    "birth_date": "1980-02-01",
    "enrolled_at": "2020-01-01",
    "updated_at": "2021-01-01",
}


def flags_of(table: str, row: dict[str, str | None], lookups: Lookups | None = None) -> list[str]:
    """Flags of a row after its contract has judged it; the row must have been taken."""
    contract = next(c for c in map(contract_of, MODELS) if c.table == table)
    audit = contract.audit(read(table, [row], lookups))
    assert audit.accepted.height == 1, audit.rejected["reasons"].to_list()
    flags: list[str] = audit.accepted["_flags"].to_list()[0]
    known = {rule.name for rule in contract.rules if rule.severity == "warning"}
    assert set(flags) <= known
    return flags


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({}, None),
        ({"family_name": "Asdf"}, "name.implausible"),
        ({"email": "Info@shop.example"}, "email.role"),
        ({"email": "anna@mailinator.com"}, "email.disposable"),
        ({"phone": "+49 130 12345678"}, "phone.invalid"),
        ({"postcode": "1011"}, "postcode.shape"),
        ({"birth_date": "2015-02-01", "created_at": None}, "birth_date.age"),
        ({"birth_date": "1910-02-01"}, "birth_date.age"),
        ({"created_at": "1979-01-01"}, "created_at.before_birth"),
        ({"updated_at": "2019-01-01"}, "updated_at.order"),
    ],
)
def test_an_odd_contact_is_taken_and_flagged(
    change: dict[str, str | None], flag: str | None
) -> None:
    assert flags_of("crm_contacts", CONTACT | change) == ([flag] if flag else [])


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({}, None),
        ({"enrolled_at": "1979-01-01"}, "enrolled_at.before_birth"),
        ({"updated_at": "2019-01-01"}, "updated_at.order"),
    ],
)
def test_an_odd_member_is_taken_and_flagged(
    change: dict[str, str | None], flag: str | None
) -> None:
    assert flags_of("loyalty_members", MEMBER | change) == ([flag] if flag else [])


@pytest.mark.parametrize(
    ("quantity", "price", "amount", "flags"),
    [
        ("3", "3.33", "9.99", []),
        ("3", "3.33", "10.00", []),  # rounded
        ("-3", "3.33", "9.99", []),  # a return without its sign
        ("3", "3.33", "9.90", ["line_amount.mismatch"]),
        ("1", "3.33", None, []),
    ],
)
def test_the_amount_of_a_line_is_quantity_times_price(
    quantity: str, price: str, amount: str | None, flags: list[str]
) -> None:
    line = {"order_id": "A", "product_id": "p", "quantity": quantity, "unit_price": price}
    assert flags_of("order_lines", line | {"line_amount": amount, "currency": "EUR"}) == flags


def test_a_bounce_that_is_neither_hard_nor_soft_and_a_product_without_a_name_are_flagged() -> None:
    event: dict[str, str | None] = {"email": "a@b.example", "occurred_at": "2026-01-01"}
    assert flags_of("email_events", event | {"event_type": "bounce"}) == ["bounce_type.missing"]
    assert flags_of("email_events", event | {"event_type": "open"}) == []
    assert flags_of("products", {"product_id": "p"}) == ["product.named"]


def test_the_shops_own_lists_count() -> None:
    own = Lookups(mailboxes=Mailboxes(frozenset({"kasse"}), frozenset({"burner.example"})))
    assert flags_of("crm_contacts", CONTACT | {"email": "kasse@a.example"}, own) == ["email.role"]
    burner = CONTACT | {"email": "anna@x.burner.example"}
    assert flags_of("crm_contacts", burner, own) == ["email.disposable"]
    assert flags_of("crm_contacts", CONTACT | {"email": "info@mailinator.com"}, own) == []


def test_an_age_is_counted_to_the_day() -> None:
    leap = dt.datetime(2024, 2, 29)
    from personalization_assets.standardized.entities.reading import _years_before

    assert _years_before(leap.date(), 13) == dt.date(2011, 2, 28)
    born = AS_OF.date().replace(year=AS_OF.year - 13)
    assert flags_of("loyalty_members", {"member_id": "1", "birth_date": born.isoformat()}) == []
    day_later = (born + dt.timedelta(days=1)).isoformat()
    young = flags_of("loyalty_members", {"member_id": "1", "birth_date": day_later})
    assert young == ["birth_date.age"]
