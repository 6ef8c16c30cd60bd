"""What was stated wins over what was inferred; consents are read as strictly as they can be."""

from pathlib import Path

import pytest

from .shop import RULES, Shop, ago


@pytest.fixture
def by_rank(tmp_path: Path) -> Path:
    """The rules of survivorship, but an address is chosen whether it agreed or not."""
    text = RULES.read_text(encoding="utf-8")
    assert ", no_opt_in]" in text
    file = tmp_path / "survivorship.yaml"
    file.write_text(text.replace(", no_opt_in]", "]"), encoding="utf-8")
    return file


def taste(shop: Shop) -> None:
    for product, category in (("s", "Shoes"), ("b", "Bags"), ("h", "Hats")):
        shop.add("products", product_id=product, category=category)


def viewed(shop: Shop, product: str, days: float, times: int = 1) -> None:
    for _ in range(times):
        shop.add(
            "web_events", "web", event_name="view_item", product_id=product, account_key="k",
            occurred_at=ago(days),
        )  # fmt: skip


def test_stated_wins_and_the_latest_statement_counts() -> None:
    shop = Shop()
    taste(shop)
    shop.link("c_1", "pc/a", "pc/b", "pc/c", "web/k")
    shop.add("preferences", "pc", record_id="a", categories=["Hats"], updated_at=ago(9))
    shop.add(
        "preferences", "pc", record_id="b", categories=["Bags", "Hats"], frequency="weekly",
        updated_at=ago(5),
    )  # fmt: skip
    shop.add("preferences", "pc", record_id="c", categories=[], language="fr", updated_at=ago(1))
    viewed(shop, "s", 1, 5)
    viewed(shop, "h", 1)
    row = shop.build().one("preferences")
    assert row["stated_categories"] == row["categories"] == ["Bags", "Hats"]
    assert row["inferred_categories"] == ["Shoes", "Hats"]
    assert row["favourite_category"] == "Hats"  # of the stated ones, what behaviour favours
    assert (row["origin"], row["stated_origin"]) == ("stated", "pc/b")
    assert (row["frequency"], row["language"], row["stated_at"]) == ("weekly", "fr", ago(1))
    assert shop.one("golden_profiles")["language_origin"] == "profiles.preferences"


def test_inferred_weighs_kind_and_age() -> None:
    shop = Shop()
    taste(shop)
    shop.link("c_1", "web/k", "shop/k")
    viewed(shop, "s", 0.1, 3)  # 3
    viewed(shop, "b", 60, 4)  # 4 views a half-life ago: 2
    shop.order("k", "1", 120, 10)
    shop.line("1", "h")  # 10 two half-lives ago: 2.5
    row = shop.build().one("preferences")
    assert row["categories"] == ["Shoes", "Hats", "Bags"]
    assert (row["favourite_category"], row["origin"]) == ("Shoes", "inferred")


def test_nothing_known() -> None:
    shop = Shop()
    shop.link("c_1", "crm/a")
    shop.build()
    assert shop.one("preferences")["categories"] == []
    row = shop.one("consents")
    assert not row["email_marketing"]
    assert (row["email_marketing_origin"], row["email_marketing_basis"]) == (None, "silent")


def consent(*statements: tuple[str, bool | None, float | None]) -> tuple[bool, str | None, str]:
    """Statements for one address (crm/x or pc/x, verdict, days ago) -> decision, origin, basis."""
    shop = Shop()
    for record, verdict, days in statements:
        source, record_id = record.split("/")
        when = ago(days) if days is not None else None
        if source == "crm":
            shop.add(
                "crm_contacts", "crm", record_id=record_id, email="a@x.org", email_opt_in=verdict,
                updated_at=when,
            )  # fmt: skip
        else:
            shop.add(
                "preferences", "pc", record_id=record_id, email="a@x.org",
                email_marketing=verdict, updated_at=when,
            )  # fmt: skip
        shop.link("c_1", record)
    row = shop.build().one("consents")
    return row["email_marketing"], row["email_marketing_origin"], row["email_marketing_basis"]


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([("pc/a", True, 5)], (True, "pc/a", "preference_centre")),
        ([("pc/a", True, 5), ("pc/b", True, 3)], (True, "pc/b", "preference_centre")),
        ([("pc/a", True, 1), ("pc/b", False, 99)], (False, "pc/b", "preference_centre")),
        ([("pc/a", True, 1), ("pc/b", None, 0)], (True, "pc/a", "preference_centre")),
        ([("crm/a", True, 5)], (True, "crm/a", "crm")),
        ([("crm/a", True, 5), ("crm/b", False, 9)], (False, "crm/b", "crm")),
        ([("crm/a", True, 1), ("pc/a", False, 9)], (False, "pc/a", "preference_centre")),
        ([("crm/a", False, 9), ("pc/a", True, 5)], (True, "pc/a", "preference_centre")),
        ([("crm/a", False, 2), ("pc/a", True, 5)], (False, "crm/a", "crm")),
        ([("crm/a", False, None), ("pc/a", True, 5)], (True, "pc/a", "preference_centre")),
        ([("pc/a", True, -1)], (False, None, "silent")),  # a yes of the future
        ([("pc/a", False, -1)], (False, "pc/a", "preference_centre")),  # a no of the future
    ],
)
def test_email_consent_is_strict(
    statements: list[tuple[str, bool | None, float | None]],
    expected: tuple[bool, str | None, str],
) -> None:
    assert consent(*statements) == expected


def test_a_no_for_the_mailed_address_counts_whoever_said_it() -> None:
    shop = Shop()
    for number, verdict in ((1, True), (2, False), (3, None)):
        shop.add(
            "crm_contacts", "crm", record_id=f"{number}", email="family@x.org",
            email_opt_in=verdict,
        )  # fmt: skip
        shop.link(f"c_{number}", f"crm/{number}")
    shop.add("preferences", "pc", record_id="r", email="family@x.org", email_marketing=False)
    shop.link("c_2", "pc/r")
    shop.build()
    decided = {n: shop.one("consents", f"c_{n}") for n in (1, 2, 3)}
    assert not any(row["email_marketing"] for row in decided.values())
    assert decided[1]["email_marketing_origin"] == "pc/r"


def test_somebody_elses_yes_does_not_count() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="family@x.org")
    shop.add("preferences", "pc", record_id="r", email="family@x.org", email_marketing=True)
    shop.link("c_1", "crm/1")
    shop.link("c_2", "pc/r")
    shop.build()
    assert not shop.one("consents", "c_1")["email_marketing"]
    assert shop.one("consents", "c_2")["email_marketing"]


@pytest.mark.parametrize(
    ("address", "certain", "expected"),
    [
        ("a@x.org", False, (True, "pc/p", "preference_centre")),
        ("b@x.org", True, (True, "pc/p", "preference_centre")),
        (None, True, (True, "pc/p", "preference_centre")),
        ("b@x.org", False, (False, None, "elsewhere")),
        (None, False, (False, None, "elsewhere")),
    ],
)
def test_a_yes_does_not_travel_by_probability(
    address: str | None, certain: bool, expected: tuple[bool, str | None, str], by_rank: Path
) -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org")
    shop.add("preferences", "pc", record_id="p", email=address, email_marketing=True,
             personalisation=True, third_party=True)  # fmt: skip
    shop.link("c_1", "crm/1", "pc/p", certain=certain)
    row = shop.build(by_rank).one("consents")
    assert shop.one("attributes")["email"] == "a@x.org"
    decided = row["email_marketing"], row["email_marketing_origin"], row["email_marketing_basis"]
    assert decided == expected
    assert (row["personalisation"], row["third_party"]) == (expected[0], expected[0])


def test_a_yes_of_the_crm_does_not_travel_by_probability_either(by_rank: Path) -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", updated_at=ago(1))
    shop.add("crm_contacts", "crm", record_id="2", email="b@x.org", email_opt_in=True,
             updated_at=ago(9))  # fmt: skip
    shop.link("c_1", "crm/1", "crm/2", certain=False)
    assert shop.build(by_rank).one("attributes")["email"] == "a@x.org"
    assert shop.one("consents")["email_marketing_basis"] == "elsewhere"


def test_of_several_addresses_the_one_that_agreed_is_mailed() -> None:
    shop = Shop()
    for customer, verdict in ((1, True), (2, False), (3, None)):
        shop.add("crm_contacts", "crm", record_id=f"{customer}", email=f"crm{customer}@x.org")
        shop.add("preferences", "pc", record_id=f"p{customer}", email=f"pc{customer}@x.org",
                 email_marketing=verdict)  # fmt: skip
        shop.link(f"c_{customer}", f"crm/{customer}", f"pc/p{customer}", certain=False)
    # Somebody else's yes for the address of the third does not make it the better one.
    shop.add("preferences", "pc", record_id="other", email="pc3@x.org", email_marketing=True)
    shop.link("c_4", "pc/other")
    shop.build()
    mailed = {n: shop.one("attributes", f"c_{n}")["email"] for n in (1, 2, 3)}
    assert mailed == {1: "pc1@x.org", 2: "crm2@x.org", 3: "crm3@x.org"}
    allowed = [shop.one("consents", f"c_{n}")["email_marketing"] for n in (1, 2, 3)]
    assert allowed == [True, False, False]


def test_a_no_travels() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", email_opt_in=True)
    shop.add("preferences", "pc", record_id="p", email="b@x.org", email_marketing=False)
    shop.link("c_1", "crm/1", "pc/p", certain=False)
    row = shop.build().one("consents")
    assert (row["email_marketing"], row["email_marketing_origin"]) == (False, "pc/p")


def test_a_yes_that_does_not_count_silences_no_other() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", email_opt_in=True,
             updated_at=ago(9))  # fmt: skip
    shop.add("crm_contacts", "crm", record_id="2", email_opt_in=False, updated_at=ago(8))
    shop.add("preferences", "pc", record_id="p", email="b@x.org", email_marketing=True,
             updated_at=ago(1))  # fmt: skip
    shop.link("c_1", "crm/1", "crm/2", "pc/p", certain=False)
    # A newer yes of the preference centre would outdate the CRM's no; this one is not said.
    row = shop.build().one("consents")
    assert (row["email_marketing"], row["email_marketing_origin"]) == (False, "crm/2")


@pytest.mark.parametrize(("certain", "expected"), [(True, True), (False, False)])
def test_text_messages_go_to_the_number_of_who_agreed(certain: bool, expected: bool) -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", phone="+491701234567")
    shop.add("preferences", "pc", record_id="p", email="a@x.org", sms_marketing=True)
    shop.link("c_1", "crm/1", "pc/p", certain=certain)
    assert shop.build().one("consents")["sms_marketing"] == expected


@pytest.mark.parametrize("event", ["spam_report", "unsubscribe"])
@pytest.mark.parametrize("certain", [True, False])
def test_only_a_yes_that_counts_takes_back_a_refusal(event: str, certain: bool) -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", email_opt_in=True)
    shop.add("email_events", "esp", email="a@x.org", event_type=event, occurred_at=ago(9))
    shop.add("preferences", "pc", record_id="p", email="b@x.org", email_marketing=True,
             updated_at=ago(1))  # fmt: skip
    shop.link("c_1", "crm/1", "esp/a@x.org", "pc/p", certain=certain)
    assert shop.build().one("consents")["email_marketing"] == certain


def test_other_consents_have_origins_too() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", phone="+491701234567")
    shop.add(
        "preferences", "pc", record_id="a", personalisation=True, sms_marketing=True,
        updated_at=ago(1),
    )  # fmt: skip
    shop.add("preferences", "pc", record_id="b", sms_marketing=False, updated_at=ago(9))
    shop.link("c_1", "crm/1", "pc/a", "pc/b")
    row = shop.build().one("consents")
    assert (row["personalisation"], row["personalisation_origin"]) == (True, "pc/a")
    assert (row["sms_marketing"], row["sms_marketing_origin"]) == (False, "pc/b")
    assert (row["third_party"], row["third_party_origin"]) == (False, None)


@pytest.mark.parametrize(("stops", "expected"), [("lists", True), ("promotional", False)])
def test_leaving_one_list_is_no_refusal_of_all_mail(stops: str, expected: bool) -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", email_opt_in=True)
    shop.add("email_events", "esp", email="a@x.org", event_type="unsubscribe", occurred_at=ago(3))
    shop.con.execute("INSERT INTO emails.suppressions VALUES ('a@x.org', ?)", [stops])
    shop.link("c_1", "crm/1", "esp/a@x.org")
    assert shop.build().one("consents")["email_marketing"] == expected


def test_a_complaint_revokes() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", email_opt_in=True)
    shop.add("email_events", "esp", email="a@x.org", event_type="spam_report", occurred_at=ago(3))
    shop.link("c_1", "crm/1", "esp/a@x.org")
    row = shop.build().one("consents")
    assert (row["email_marketing"], row["email_marketing_basis"]) == (False, "complained")
    assert row["stated_at"] == ago(3)
