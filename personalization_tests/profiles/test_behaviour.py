"""Visits, products, open carts and devices, on events that can be counted by hand."""

from personalization_assets.profiles.settings import ProfilesSettings

from .shop import Shop, ago


def seen(shop: Shop, name: str, days: float, product: str | None = None, **values: object) -> None:
    shop.add(
        "web_events",
        "web",
        event_name=name,
        occurred_at=ago(days),
        product_id=product,
        **{"account_key": "k1", **values},
    )


def customer(shop: Shop) -> Shop:
    shop.link("c_1", "web/k1", "shop/k1")
    return shop


def test_counts_and_windows() -> None:
    shop = customer(Shop())
    for days in (1, 29, 31):
        seen(shop, "page_view", days, session_id=f"s{days}")
    seen(shop, "view_item", 80, "p1", session_id="s80", device_type="mobile")
    seen(shop, "view_item", 100, "p2", session_id="s100")
    seen(shop, "search", 2, search_term="red", session_id="s1")
    seen(shop, "add_to_cart", 60, "p1", session_id="s60")
    seen(shop, "add_to_cart", 60, "p2", session_id="s60")
    seen(shop, "page_view", -1, session_id="future")
    row = shop.build().one("behaviour")
    assert row["page_views_30d"] == 2
    assert row["sessions_30d"] == 2
    assert row["product_views_90d"] == 1
    assert row["carts_90d"] == 1
    assert row["searches_90d"] == 1
    assert row["last_search_term"] == "red"
    assert row["device_type"] == "mobile"
    assert row["last_seen_at"] == ago(1)
    assert row["days_since_seen"] == 1


def test_last_viewed_newest_first_each_once() -> None:
    shop = customer(Shop(ProfilesSettings(last_viewed=3)))
    for days, product in ((9, "a"), (8, "b"), (7, "c"), (6, "d"), (5, "b")):
        seen(shop, "view_item", days, product)
    assert shop.build().one("behaviour")["last_viewed_products"] == ["b", "d", "c"]


def test_viewed_category_needs_a_catalogue() -> None:
    shop = customer(Shop())
    shop.add("products", product_id="a", category="Shoes")
    for product in ("a", "unknown", "unknown"):
        seen(shop, "view_item", 1, product)
    assert shop.build().one("behaviour")["viewed_category"] == "Shoes"


def test_best_hour_is_local() -> None:
    shop = customer(Shop())
    shop.add("crm_contacts", "crm", record_id="a", country="AU", region="nsw", postcode="1")
    shop.link("c_1", "crm/a")
    seen(shop, "page_view", 1)  # 06:00 UTC
    row = shop.build().one("behaviour")
    assert row["best_hour_web"] == 16
    assert shop.one("enrichment")["region_name"] == "New South Wales"


def test_open_cart_is_added_less_removed() -> None:
    shop = customer(Shop())
    shop.add("products", product_id="a", price_base=2.5)
    seen(shop, "add_to_cart", 3.0, "a", quantity=3)
    seen(shop, "remove_from_cart", 2.9, "a", quantity=1)
    seen(shop, "add_to_cart", 2.0, "b")
    seen(shop, "add_to_cart", 1.9, "c", quantity=2)
    seen(shop, "remove_from_cart", 1.8, "c")  # without a quantity: out altogether
    seen(shop, "add_to_cart", 15, "too old")
    row = shop.build().one("behaviour")
    assert row["open_cart"] == [
        {"product_id": "b", "quantity": 1},
        {"product_id": "a", "quantity": 2},
    ]
    assert (row["cart_items"], row["cart_value_base"]) == (3, 5.0)
    assert row["cart_updated_at"] == ago(2.0)


def test_a_cart_never_holds_less_than_nothing() -> None:
    shop = customer(Shop())
    seen(shop, "remove_from_cart", 3, "a", quantity=5)
    seen(shop, "add_to_cart", 2, "a", quantity=1)
    assert shop.build().one("behaviour")["cart_items"] == 1


def test_a_purchase_or_an_order_empties_the_cart() -> None:
    for bought in ("purchase", "order", "order by day"):
        shop = customer(Shop())
        seen(shop, "add_to_cart", 5, "before")
        if bought == "purchase":
            seen(shop, "purchase", 4)
        elif bought == "order":
            shop.order("k1", "1", days=4, total=1, status="cancelled")
        else:  # 2026-05-27 00:00 stands for the whole of that day; the cart was left at 06:00
            shop.order("k1", "1", days=5.25, total=1)
        seen(shop, "add_to_cart", 3, "after")
        cart = shop.build().one("behaviour")["open_cart"]
        assert [line["product_id"] for line in cart] == ["after"], bought


def test_a_device_of_one_person_names_its_owner() -> None:
    shop = Shop()
    shop.link("c_1", "web/k1", "web/k1b")
    shop.link("c_2", "web/k2")
    anonymous = {"account_key": None, "record_id": None}
    for account in ("k1", "k1b"):  # two accounts of one person
        seen(shop, "login", 9, account_key=account, device_id="mine")
    for account in ("k1", "k2"):
        seen(shop, "login", 9, account_key=account, device_id="shared")
    seen(shop, "login", 9, account_key="k1", device_id="unknown guest")
    seen(shop, "login", 9, account_key="nobody", device_id="unknown guest")
    for device in ("mine", "shared", "unknown guest", "never seen"):
        seen(shop, "page_view", 1, device_id=device, **anonymous)
    shop.build()
    assert shop.frame("device_owners").select("device_id", "customer_id", "logins").rows() == [
        ("mine", "c_1", 2)
    ]
    assert shop.one("behaviour")["page_views_30d"] == 1
    assert shop.one("behaviour", "c_2")["page_views_30d"] == 0


def test_a_device_that_the_crm_knows() -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", device_id="d")
    shop.link("c_1", "crm/a")
    seen(shop, "page_view", 1, account_key=None, record_id=None, device_id="d")
    assert shop.build().one("behaviour")["page_views_30d"] == 1


def test_somebody_never_seen_has_zeros() -> None:
    shop = Shop()
    shop.link("c_1", "crm/a")
    row = shop.build().one("behaviour")
    assert row["sessions_30d"] == row["cart_items"] == 0
    assert row["open_cart"] == row["last_viewed_products"] == []
    assert row["last_seen_at"] is None
