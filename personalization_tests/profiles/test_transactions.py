"""Orders, returns, money and scores, on orders that can be added up by hand."""

import pytest

from personalization_assets.profiles.settings import ProfilesSettings

from .shop import Shop, ago


def test_completed_orders_count_and_returns_are_taken_off() -> None:
    shop = Shop()
    shop.link("c_1", "shop/k")
    shop.order("k", "1", 400, 100)
    shop.order("k", "2", 100, 50)
    shop.order("k", "3", 10, 30)
    shop.order("k", "4", 9, 70, status="cancelled")
    shop.order("k", "5", 8, 40, status="refunded")
    shop.order("k", "C3", 7, -20, status="cancelled")  # a return booked as an order
    shop.order("k", "6", 1, 60, status="pending")
    shop.order("k", "7", -1, 60)  # not placed yet
    row = shop.build().one("transactions")
    assert (row["orders"], row["cancelled_orders"], row["orders_365d"]) == (3, 3, 2)
    assert row["gross_revenue_base"] == 180
    assert row["returned_base"] == 60
    assert row["revenue_base"] == 160
    assert row["revenue_365d_base"] == 60
    assert row["average_order_base"] == 60
    assert (row["first_order_at"], row["last_order_at"]) == (ago(400), ago(10))
    assert row["days_since_order"] == 10
    assert row["days_between_orders"] == 195


def test_a_missing_total_comes_from_the_lines() -> None:
    shop = Shop()
    shop.link("c_1", "shop/k")
    shop.order("k", "1", 5, None)
    shop.line("1", "a", 2, 7.25)
    assert shop.build().one("transactions")["revenue_base"] == 14.5


def test_lines_may_come_from_another_source_than_orders() -> None:
    shop = Shop()
    shop.link("c_1", "shop/k")
    shop.add("products", product_id="a", category="Shoes", brand="X")
    shop.order("k", "1", 5, None)
    shop.line("1", "a", 2, 7.25, source="lines")
    shop.build()
    row = shop.one("transactions")
    assert (row["revenue_base"], row["categories_bought"]) == (14.5, ["Shoes"])
    assert shop.one("preferences")["inferred_categories"] == ["Shoes"]


def test_what_was_bought_and_kept() -> None:
    shop = Shop()
    shop.link("c_1", "shop/k")
    for product, category, brand in (("a", "Shoes", "X"), ("b", "Bags", "Y"), ("c", "Hats", "Y")):
        shop.add("products", product_id=product, category=category, brand=brand)
    shop.order("k", "1", 50, 1)
    shop.line("1", "b")
    shop.line("1", "c", 2)
    shop.order("k", "2", 20, 1)
    shop.line("2", "a")
    shop.line("2", "b")
    shop.order("k", "3", 10, -1, status="cancelled")
    shop.line("3", "c", -2)
    shop.order("k", "4", 5, 1, status="cancelled")
    shop.line("4", "d")
    row = shop.build().one("transactions")
    assert row["categories_bought"] == ["Bags", "Shoes"]
    assert (row["top_category"], row["top_brand"]) == ("Bags", "Y")
    assert row["last_products"] == ["a", "b"]
    assert row["returned_items"] == 2


def test_guest_orders_belong_to_the_person() -> None:
    shop = Shop()
    shop.link("c_1", "shop/k", "shop/order:9")
    shop.order("k", "1", 5, 10)
    shop.order("order:9", "9", 4, 20)
    assert shop.build().one("transactions")["revenue_base"] == 30


def rfm() -> Shop:
    """Six buyers; c_1 to c_6 from best to worst, c_4 and c_5 alike, c_7 without orders."""
    shop = Shop()
    plan = {1: (1, 6), 2: (20, 4), 3: (50, 3), 4: (200, 1), 5: (200, 1), 6: (700, 1)}
    for number, (days, orders) in plan.items():
        for n in range(orders):
            shop.order(f"k{number}", f"{number}-{n}", days + n, 10)
        shop.link(f"c_{number}", f"shop/k{number}")
    shop.link("c_7", "crm/x")
    return shop.build()


def test_scores_are_equal_for_equal_customers() -> None:
    shop = rfm()
    scores = {
        n: tuple(
            shop.one("transactions", f"c_{n}")[f"{what}_score"]
            for what in ("recency", "frequency", "monetary")
        )
        for n in range(1, 8)
    }
    # Percent ranks of six buyers are 0, .2, .4, .6, .8, 1; those who tie share the lowest.
    assert scores == {
        1: (5, 5, 5),
        2: (5, 5, 5),
        3: (4, 4, 4),
        4: (2, 1, 1),
        5: (2, 1, 1),
        6: (1, 1, 1),
        7: (None, None, None),
    }


@pytest.mark.parametrize(
    ("customer", "segment", "lifecycle"),
    [
        ("c_1", "champion", "new"),
        ("c_2", "champion", "new"),
        ("c_3", "champion", "active"),
        ("c_4", "one_time", "cooling"),
        ("c_6", "one_time", "lapsed"),
        ("c_7", "prospect", "prospect"),
    ],
)
def test_segments_and_life_cycle(customer: str, segment: str, lifecycle: str) -> None:
    shop = rfm()
    assert shop.one("transactions", customer)["segment"] == segment
    assert shop.one("enrichment", customer)["lifecycle"] == lifecycle


def test_vips_are_the_top_share_with_enough_orders() -> None:
    shop = Shop(ProfilesSettings(vip_share=0.5, vip_min_orders=2))
    for number, totals in enumerate(([500], [100, 100], [90, 90], [5, 5]), start=1):
        for n, total in enumerate(totals):
            shop.order(f"k{number}", f"{number}-{n}", 30 + n, total)
        shop.link(f"c_{number}", f"shop/k{number}")
    shop.build()
    vips = [shop.one("enrichment", f"c_{n}")["is_vip"] for n in range(1, 5)]
    assert vips == [False, True, False, False]
