"""What must come together, and what must stay apart."""

import datetime as dt

import polars as pl
import pytest

from personalization_assets.identity.evaluation import evaluate
from personalization_assets.identity.model import Model
from personalization_tests.identity.people import Result, records, resolve

ANNA = {
    "given_name": "Annabel",
    "family_name": "Kowalewski",
    "email": "annabel.k77@mail.example",
    "phone": "+4917155501234",
    "birth_date": dt.date(1984, 3, 12),
    "street": "Lindenstraße 5",
    "postcode": "10115",
}


def test_the_town_is_sorted_out_well(
    resolved: Result, townsfolk: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    scores = dict(evaluate(resolved.links, townsfolk[1]).iter_rows())
    assert scores["pair_precision"] > 0.97
    assert scores["pair_recall"] > 0.97
    assert resolved.model.household is not None


def test_obvious_duplicates_merge(model: Model) -> None:
    found = resolve(
        records(
            {"id": "as typed", **ANNA},
            {"id": "typing error", **ANNA, "family_name": "Kowalewsky", "phone": None},
            {"id": "umlauts", **ANNA, "street": "Lindenstr. 5", "birth_date": None},
            {"id": "swapped", **ANNA, "given_name": "Kowalewski", "family_name": "Annabel"},
            {"id": "day and month", **ANNA, "birth_date": dt.date(1984, 12, 3)},
            {"id": "mailbox", "email": "ANNABEL.K77+shop@mail.example"},
        ),
        model,
    )
    assert found.links["customer_id"].n_unique() == 1


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"given_name": "Bob"}, {"given_name": "Robert"}),
        ({"given_name": "Paco"}, {"given_name": "Francisco"}),
        ({"family_name": "Müller"}, {"family_name": "Mueller"}),
        ({"given_name": "Anna Sophie"}, {"given_name": "Anna"}),
    ],
)
def test_other_forms_of_a_name_are_the_same_name(
    model: Model, one: dict[str, str], two: dict[str, str]
) -> None:
    frame = records({"id": "a", **ANNA, **one}, {"id": "b", **ANNA, **two, "email": None})
    assert resolve(frame, model).together("a", "b")


def test_twins_and_couples_stay_apart_but_share_a_household(model: Model) -> None:
    brother = {**ANNA, "given_name": "Viktor", "email": None, "phone": None}
    wife = {**brother, "given_name": "Theresa", "birth_date": dt.date(1986, 1, 30)}
    found = resolve(
        records(
            {"id": "anna", **ANNA, "phone": None}, {"id": "twin", **brother}, {"id": "wife", **wife}
        ),
        model,
    )
    assert found.links["customer_id"].n_unique() == 3
    assert found.links["household_id"].n_unique() == 1


def test_a_family_mailbox_does_not_merge_the_family(model: Model) -> None:
    shared = {k: ANNA[k] for k in ("family_name", "email", "street", "postcode")}
    names = ["Annabel", "Viktor", "Theresa"]
    rows = [{"id": n, **shared, "given_name": n} for n in names]
    found = resolve(records(*rows, {"id": "mails", "email": ANNA["email"]}), model)
    assert len({found.customer(n) for n in names}) == 3


def test_a_role_mailbox_merges_nobody(model: Model) -> None:
    rows = [
        {"id": n, "family_name": n, "email": "info@firm.example", "postcode": "10115"}
        for n in ("Kowalewski", "Bergmann")
    ]
    assert not resolve(records(*rows), model).together("Kowalewski", "Bergmann")


def test_an_identifier_under_many_names_is_junk(
    model: Model, townsfolk: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    names = townsfolk[0].unique("family_name").sort("record_id").head(12)
    rows = [
        {"id": str(i), "given_name": g, "family_name": f, "phone": "+49301112233"}
        for i, (g, f) in enumerate(names.select("given_name", "family_name").iter_rows())
    ]
    found = resolve(records(*rows), model)
    # Two of the twelve may still be one by their names.
    assert found.links["customer_id"].n_unique() >= 11


def test_records_of_an_account_are_one_person(model: Model) -> None:
    found = resolve(
        records(
            {"id": "contact", **ANNA, "account_key": "shop:1"},
            {"id": "web", "account_key": "shop:1", "device_id": "d1"},
            {"id": "order", "account_key": "shop:1", "email": "other@mail.example"},
        ),
        model,
    )
    assert found.links["customer_id"].n_unique() == 1
    assert set(found.links["linked_by"]) == {"account"}


def test_two_people_under_one_account_stay_two(model: Model) -> None:
    son = {"given_name": "Viktor", "family_name": "Kowalewski", "email": "vik@mail.example"}
    found = resolve(
        records(
            {"id": "anna", **ANNA, "account_key": "shop:1"},
            {"id": "son", **son, "account_key": "shop:1"},
            {"id": "web", "account_key": "shop:1", "device_id": "d1"},
        ),
        model,
    )
    assert not found.together("anna", "son")
    assert found.together("anna", "web") or found.together("son", "web")


def test_a_name_alone_is_not_enough(model: Model) -> None:
    same = {"given_name": "Robert", "family_name": "Bado"}
    rows = records({"id": "a", **same}, {"id": "b", **same})
    assert resolve(rows, model).matches.filter(cause="exact").is_empty()
