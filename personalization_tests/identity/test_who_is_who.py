"""What must come together, and what must stay apart."""

import datetime as dt

import polars as pl
import pytest

from personalization_assets.identity.evaluation import evaluate
from personalization_assets.identity.model import Model
from personalization_tests.identity.people import Result, learn, records, resolve

ANNA = {
    "given_name": "Annabel",
    "family_name": "Kowalewski",
    "email": "annabel.k77@mail.example",
    "phone": "+4917155501234",
    "birth_date": dt.date(1984, 3, 12),
    "street": "Lindenstraße 5",
    "postcode": "10115",
}


DESCRIPTION = ("given_name", "family_name", "email", "phone", "birth_date", "street", "postcode")


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
    # The web record says nothing beyond the contact, the order has an address of its own.
    assert set(found.links["linked_by"]) == {"account", "exact"}


def test_orders_that_hold_only_the_account_change_nothing(
    townsfolk: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    crm = townsfolk[0].with_columns(
        account_key=pl.when(source="shop").then("shop:" + pl.col("record_id"))
    )
    accounts = crm.filter(pl.col("account_key").is_not_null())
    empty = [pl.lit(None, t).alias(c) for c, t in crm.schema.items() if c in DESCRIPTION]
    orders = accounts.with_columns(*empty, source=pl.lit("web"))
    alone, both = resolve(crm), resolve(pl.concat([crm, orders]))
    assert alone.model.m == both.model.m
    scores = [dict(evaluate(f.links, townsfolk[1]).iter_rows()) for f in (alone, both)]
    assert scores[0] == scores[1]
    bought = both.links.filter(source="web").join(
        both.links.filter(source="shop"), on="record_id", suffix="_shop"
    )
    assert (bought["customer_id"] == bought["customer_id_shop"]).all()


def test_a_mailbox_goes_to_its_user_who_has_another_one_too(model: Model) -> None:
    found = resolve(
        records(
            {"id": "crm", **ANNA, "account_key": "shop:1"},
            {"id": "work", **ANNA, "email": "ak@firm.example", "account_key": "shop:1"},
            {"id": "mails", "email": ANNA["email"]},
        ),
        model,
    )
    assert found.links["customer_id"].n_unique() == 1
    assert found.links.filter(record_id="mails")["linked_by"].to_list() == ["owner"]


def test_a_family_mailbox_goes_to_whose_name_it_bears_or_to_nobody(model: Model) -> None:
    home = {k: ANNA[k] for k in ("family_name", "street", "postcode")}
    names = ["Annabel", "Viktor"]

    def owner(address: str) -> tuple[Result, str]:
        rows = [{"id": n, **home, "given_name": n, "email": address} for n in names]
        found = resolve(records(*rows, {"id": "mails", "email": address}), model)
        assert not found.together("Annabel", "Viktor")
        return found, found.customer("mails")

    found, customer = owner("viktor.kowalewski@mail.example")
    assert customer == found.customer("Viktor")
    found, customer = owner("sunny1234@mail.example")
    assert customer not in {found.customer(n) for n in names}
    assert "several people could be meant" in found.review["reason"].to_list()


def test_a_mere_name_joins_no_namesakes(model: Model) -> None:
    name = {"given_name": "Annabel", "family_name": "Kowalewski"}
    found = resolve(
        records(
            {"id": "north", **ANNA},
            {"id": "south", **name, "email": "ak@post.example", "birth_date": dt.date(1951, 7, 30)},
            {"id": "handle", **name},
        ),
        model,
    )
    assert not found.together("north", "south")
    assert not found.together("handle", "north")
    assert not found.together("handle", "south")


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


def test_housemates_stay_apart_where_names_and_addresses_are_all_there_is(
    townsfolk: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    empty = [pl.lit(None, pl.String).alias(c) for c in ("email", "phone")]
    model = learn(townsfolk[0].with_columns(*empty))
    assert model.household is not None
    # Nothing shows how housemates write one address: as differently as one person does.
    assert model.household.levels["address"] == model.m["address"]
    at_home = {k: ANNA[k] for k in ("family_name", "street", "postcode")}
    typed = {**at_home, "street": "Lindnestr. 5"}
    found = resolve(
        records(
            {"id": "anna", **at_home, "given_name": "Annabel"},
            {"id": "again", **typed, "given_name": "Annabell"},
            {"id": "viktor", **typed, "given_name": "Viktor"},
        ),
        model,
    )
    assert found.together("anna", "again")
    assert not found.together("anna", "viktor")
