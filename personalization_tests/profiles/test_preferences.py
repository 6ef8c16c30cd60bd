"""What was stated wins over what was inferred; consents are read as strictly as they can be."""

import pytest

from .shop import Shop, ago


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
    """Statements (crm/x or pc/x, verdict, days ago) -> decision, origin, basis."""
    shop = Shop()
    for record, verdict, days in statements:
        source, record_id = record.split("/")
        when = ago(days) if days is not None else None
        if source == "crm":
            shop.add(
                "crm_contacts", "crm", record_id=record_id, email_opt_in=verdict, updated_at=when
            )
        else:
            shop.add(
                "preferences", "pc", record_id=record_id, email_marketing=verdict, updated_at=when
            )
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


def test_other_consents_have_origins_too() -> None:
    shop = Shop()
    shop.add(
        "preferences", "pc", record_id="a", personalisation=True, sms_marketing=True,
        updated_at=ago(1),
    )  # fmt: skip
    shop.add("preferences", "pc", record_id="b", sms_marketing=False, updated_at=ago(9))
    shop.link("c_1", "pc/a", "pc/b")
    row = shop.build().one("consents")
    assert (row["personalisation"], row["personalisation_origin"]) == (True, "pc/a")
    assert (row["sms_marketing"], row["sms_marketing_origin"]) == (False, "pc/b")
    assert (row["third_party"], row["third_party_origin"]) == (False, None)


def test_a_complaint_revokes() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="1", email="a@x.org", email_opt_in=True)
    shop.add("email_events", "esp", email="a@x.org", event_type="spam_report", occurred_at=ago(3))
    shop.link("c_1", "crm/1", "esp/a@x.org")
    row = shop.build().one("consents")
    assert (row["email_marketing"], row["email_marketing_basis"]) == (False, "complained")
    assert row["stated_at"] == ago(3)
