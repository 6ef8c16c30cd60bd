"""Survivors by rank and recency, with their origins; addresses stay whole; mistakes in the file."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from personalization_assets.contracts import contract_of
from personalization_assets.errors import UserError
from personalization_assets.profiles.contracts import Attributes
from personalization_assets.profiles.survivorship import ATTRIBUTES, read_rules

from .shop import RULES, Shop, ago


def shipped() -> dict[str, Any]:
    return dict(yaml.safe_load(RULES.read_text(encoding="utf-8")))


def written(folder: Path, **changes: Any) -> Path:
    content = shipped()
    content["attributes"].update(changes)
    file = folder / "survivorship.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def test_rank_before_recency_and_origin_kept() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", given_name="Anna", updated_at=ago(900))
    shop.add("loyalty_members", "club", record_id="b", given_name="A.", updated_at=ago(1))
    shop.link("c_1", "crm/a", "club/b")
    row = shop.build().one("attributes")
    assert (row["given_name"], row["given_name_origin"]) == ("Anna", "crm/a")


def test_newest_of_equal_rank_then_record_id() -> None:
    shop = Shop()
    for record, name, days in (
        ("b", "Bea", 5),
        ("a", "Ada", 5),
        ("c", "Cleo", 9),
        ("d", "Di", None),
    ):
        when = ago(days) if days else None
        shop.add("crm_contacts", "crm", record_id=record, given_name=name, updated_at=when)
    shop.link("c_1", "crm/a", "crm/b", "crm/c", "crm/d")
    assert shop.build().one("attributes")["given_name"] == "Ada"


def test_recency_across_tables() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", phone="+491", updated_at=ago(30))
    shop.add("loyalty_members", "club", record_id="b", phone="+492", updated_at=ago(3))
    shop.link("c_1", "crm/a", "club/b")
    row = shop.build().one("attributes")
    assert (row["phone"], row["phone_origin"]) == ("+492", "club/b")
    assert row["updated_at"] == ago(3)


def test_an_address_is_never_put_together_from_two() -> None:
    shop = Shop()
    shop.add(
        "crm_contacts", "crm", record_id="a", street="Old 1", postcode="1", city="Oldham",
        region="Old", country="GB", updated_at=ago(400),
    )  # fmt: skip
    shop.add(
        "orders", "shop", record_id="k", order_id="1", postcode="2", city="Newton",
        ordered_at=ago(2), status="completed",
    )  # fmt: skip
    shop.link("c_1", "crm/a", "shop/k")
    row = shop.build().one("attributes")
    assert (row["postcode"], row["city"]) == ("2", "Newton")
    assert row["street"] is row["region"] is row["street_origin"] is None
    # A country may be filled in (fill_gaps), and says from where.
    assert (row["country"], row["country_origin"]) == ("GB", "crm/a")


def test_without_a_postcode_the_own_rule_serves() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", street="Only 1", updated_at=ago(1))
    shop.link("c_1", "crm/a")
    assert shop.build().one("attributes")["street"] == "Only 1"


def test_a_bounced_address_only_where_there_is_no_other() -> None:
    shop = Shop()
    for n, email in ((1, "dead@x.org"), (2, "gone@x.org")):
        shop.add("crm_contacts", "crm", record_id=f"{n}", email=email, updated_at=ago(1))
        shop.add(
            "email_events", "esp", email=email, event_type="bounce", bounce_type="hard",
            occurred_at=ago(9),
        )  # fmt: skip
        shop.link(f"c_{n}", f"crm/{n}", f"esp/{email}")
    shop.add("loyalty_members", "club", record_id="m", email="alive@x.org", updated_at=ago(99))
    shop.link("c_1", "club/m")
    shop.build()
    assert shop.one("attributes")["email_origin"] == "club/m"
    assert not shop.one("engagement")["hard_bounced"]
    assert shop.one("attributes", "c_2")["email"] == "gone@x.org"
    assert shop.one("engagement", "c_2")["hard_bounced"]


def test_an_address_that_took_mail_since_is_not_bounced() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org")
    event = {"email": "a@x.org", "source": "esp"}
    shop.add("email_events", event_type="bounce", bounce_type="hard", occurred_at=ago(9), **event)
    shop.add("email_events", event_type="delivered", occurred_at=ago(8), **event)
    shop.link("c_1", "crm/1", "esp/a@x.org")
    assert not shop.build().one("engagement")["hard_bounced"]


def test_sources_and_completeness(tmp_path: Path) -> None:
    table = [["crm_contacts", "given_name"]]
    rules = written(
        tmp_path,
        given_name={"from": table, "wins": "rank", "sources": ["best", "good"]},
        family_name={"from": [["crm_contacts", "family_name"]], "wins": "completeness"},
    )
    shop = Shop()
    for source, given, family, days in (
        ("good", "G", "Longest name", 1),
        ("best", "B", "Name", 90),
        ("other", "O", "N.", 0),
    ):
        shop.add(
            "crm_contacts", source, record_id="r", given_name=given, family_name=family,
            updated_at=ago(days),
        )  # fmt: skip
        shop.link("c_1", f"{source}/r")
    row = shop.build(rules).one("attributes")
    assert (row["given_name"], row["family_name"]) == ("B", "Longest name")


def test_all_rules_empty_gives_empty_profiles(tmp_path: Path) -> None:
    rules = written(tmp_path, **{name: {"from": []} for name in ATTRIBUTES})
    shop = Shop()
    shop.link("c_1", "crm/a")
    row = shop.build(rules).one("attributes")
    assert set(row.values()) == {"c_1", None}


def test_orders_of_the_future_are_not_known() -> None:
    shop = Shop()
    shop.order("k", "1", days=-1, total=5, phone="+499")
    shop.link("c_1", "shop/k")
    assert shop.build().one("attributes")["phone"] is None


def test_types_are_those_of_the_contract() -> None:
    shop = Shop()
    shop.add(
        "loyalty_members", "club", record_id="m", tier="gold", points=7, enrolled_at=ago(9),
        birth_date=dt.date(1990, 1, 2),
    )  # fmt: skip
    shop.link("c_1", "club/m")
    shop.build()
    types = dict(shop.con.execute("SELECT column_name, data_type FROM information_schema.columns"
                                  " WHERE table_name = 'attributes'").fetchall())  # fmt: skip
    assert types == {c.name: c.duckdb_type for c in contract_of(Attributes).columns}
    assert shop.one("attributes")["loyalty_points"] == 7


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"email": {"from": [["crm", "email"]]}}, "the table 'crm'"),
        ({"email": {"from": [["crm_contacts", "mail"]]}}, "the column 'mail'"),
        ({"email": {"from": [["crm_contacts", "birth_date"]]}}, "birth_date is DATE"),
        ({"email": {"from": [["orders", "email"]], "sources": ["erp"]}}, "the source 'erp'"),
        ({"shoe_size": {"from": []}}, "no attribute 'shoe_size'"),
        ({"city": {"with": "town"}}, "goes with 'town'"),
        ({"phone": {"from": [], "fill_gaps": True}}, "without `with`"),
        ({"phone": {"from": [["orders", "phone"]], "avoid": ["hard_bounced"]}}, "'email' only"),
        ({"email": {"from": [["orders", "email"], ["orders", "phone"]]}}, "names orders twice"),
        ({"email": {"from": [], "wins": "luck"}}, "`attributes.email.wins` is not valid"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=r"survivorship\.yaml") as error:
        read_rules(written(tmp_path, **changes), {"crm"})
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "survivorship.yaml"
    with pytest.raises(UserError, match="There is no survivorship file"):
        read_rules(file, set())
    file.write_text("version: 1\nattributes: [", encoding="utf-8")
    with pytest.raises(UserError, match="not readable YAML"):
        read_rules(file, set())
    file.write_text("version: 1\nattributes: {email: {from: []}}", encoding="utf-8")
    with pytest.raises(UserError, match="'given_name' has no rule"):
        read_rules(file, set())


def test_one_system_that_swapped_the_names_is_outvoted() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", given_name="Dreyer", family_name="Zoë")
    shop.add("loyalty_members", "club", record_id="b", given_name="ZOE", family_name="Dreyer")
    shop.order("shop:1", "o1", 3, 10, given_name="Zoë", family_name="Dreyer")
    shop.link("c_1", "crm/a", "club/b", "shop/shop:1")
    row = shop.build().one("attributes")
    assert (row["given_name"], row["family_name"]) == ("ZOE", "Dreyer")
    assert row["given_name_origin"] == row["family_name_origin"] == "club/b"
