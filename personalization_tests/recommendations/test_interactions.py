"""What people did with products: what counts, what doesn't, and how it fades."""

import datetime as dt
from typing import Any

import pytest

from personalization_assets.recommendations import past
from personalization_tests.recommendations import shop

DAY = dt.timedelta(days=1)


@pytest.fixture
def con() -> Any:
    con = shop.connect()
    links = [("shop", "a", "c_a"), ("web", "a", "c_a"), ("esp", "a@example.com", "c_a")]
    shop.add(con, "identity.links", [
        {"source": s, "record_id": r, "customer_id": c} for s, r, c in links
    ])  # fmt: skip
    shop.add(con, "profiles.device_owners", [{"device_id": "d1", "customer_id": "c_a"}])
    return con


def order(con: Any, number: int, days_ago: float, status: str = "completed", quantity: int = 1,
          product: str = "p1", lines: str = "shop") -> None:  # fmt: skip
    head = {"source": "shop", "order_id": f"o{number}"}
    at = shop.AS_OF - days_ago * DAY
    shop.add(con, "standardized.orders",
             [{**head, "record_id": "a", "ordered_at": at, "status": status}])  # fmt: skip
    shop.add(con, "standardized.order_lines",
             [{**head, "source": lines, "order_source": "shop", "line_number": 1,
               "product_id": product, "quantity": quantity}])  # fmt: skip


def view(con: Any, event: str, days_ago: float, name: str = "view_item", **columns: Any) -> None:
    row = {"source": "web", "event_id": event, "occurred_at": shop.AS_OF - days_ago * DAY,
           "event_name": name, "product_id": "p1", "record_id": "a", **columns}  # fmt: skip
    shop.add(con, "standardized.web_events", [row])


def interactions(con: Any, columns: str) -> list[tuple[Any, ...]]:
    shop.build(con, *shop.ROOM[:2])
    return con.execute(
        f"SELECT {columns} FROM recommendations.interactions ORDER BY customer_id, product_id"
    ).fetchall()


def test_lines_may_come_from_another_source_than_orders(con: Any) -> None:
    order(con, 1, 0, lines="shop_lines")
    assert interactions(con, "product_id, purchases") == [("p1", 1)]


def test_kinds_are_counted_and_weighed(con: Any) -> None:
    order(con, 1, 0)
    view(con, "e1", 0)
    view(con, "e2", 0, name="add_to_cart")
    view(con, "e3", 0, name="page_view")
    shop.add(con, "standardized.email_events", [
        {"source": "esp", "event_id": str(machine), "event_type": "click", "product_id": "p1",
         "record_id": "a@example.com", "occurred_at": shop.AS_OF, "is_machine": machine}
        for machine in (True, False)
    ])  # fmt: skip
    assert interactions(con, "views, carts, purchases, clicks, weight") == [(1, 1, 1, 1, 17.0)]


def test_returns_cancelled_orders_and_the_future_do_not_count(con: Any) -> None:
    order(con, 1, 1, quantity=-1)
    order(con, 2, 1, status="cancelled")
    order(con, 3, -1)
    view(con, "e1", -1)
    assert interactions(con, "*") == []


def test_weights_halve_with_the_half_life_counted_from_the_newest_day(con: Any) -> None:
    order(con, 1, 100, product="old")
    order(con, 2, 40, product="new")
    assert interactions(con, "product_id, weight") == [("new", 10.0), ("old", 5.0)]


def test_devices_name_people_only_where_nobody_is_logged_in(con: Any) -> None:
    view(con, "e1", 1, record_id=None, device_id="d1")
    view(con, "e2", 1, record_id="somebody else", device_id="d1")
    view(con, "e3", 1, record_id=None, device_id="unknown")
    assert interactions(con, "customer_id, views") == [("c_a", 1)]


def test_reloads_are_capped_and_bots_left_out(con: Any) -> None:
    for i in range(9):
        view(con, f"e{i}", 1)
    con.execute("""
        INSERT INTO standardized.web_events BY NAME
        SELECT 'web' AS source, 'bot' || i AS event_id, TIMESTAMP '2026-05-20' AS occurred_at,
            'view_item' AS event_name, 'a' AS record_id, 'p' || i AS product_id
        FROM range(1001) AS r (i)
    """)
    assert interactions(con, "product_id, views") == [("p1", 5)]


def test_an_earlier_as_of_sees_nothing_later_and_is_put_back(con: Any) -> None:
    order(con, 1, 40)
    order(con, 2, 3, product="p2")
    shop.build(con, shop.ROOM[0])
    statement = (shop.SQL_MODELS / "recommendations/interactions.sql").read_text()
    cut = (shop.AS_OF - 10 * DAY).date()
    seen = past.interactions(con, statement, 60.0, before=cut)
    assert seen["product_id"].to_list() == ["p1"]
    assert seen["weight"].to_list() == [10.0]
    assert past.interactions(con, statement, 60.0).height == 2


def test_windows_shrink_when_data_are_short(con: Any) -> None:
    order(con, 1, 40)
    order(con, 2, 1)
    shop.build(con, shop.ROOM[0])
    windows = past.windows(con, 28)
    assert windows is not None
    assert windows.days == 10
    assert windows.end == shop.AS_OF.date()


def test_the_fingerprint_ignores_the_order_of_rows(con: Any) -> None:
    order(con, 1, 40)
    order(con, 2, 1)
    shop.build(con, shop.ROOM[0])
    first = past.fingerprint(con)
    con.execute("CREATE OR REPLACE TABLE recommendations.activity AS"
                " FROM recommendations.activity ORDER BY day DESC")  # fmt: skip
    assert past.fingerprint(con) == first
    con.execute("UPDATE recommendations.activity SET events = events + 1")
    assert past.fingerprint(con) != first


def test_a_snapshot_says_what_there_is_to_train_on_by_kind(con: Any) -> None:
    order(con, 1, 40)
    order(con, 2, 1)
    order(con, 3, 1, product="p2")
    view(con, "e1", 3)
    shop.build(con, shop.ROOM[0])
    rows = past.snapshot(con)
    assert rows.drop("first_day", "last_day", "fingerprint").rows() == [
        ("purchase", 2, 3, 1, 2), ("view", 1, 1, 1, 1)
    ]  # fmt: skip
    assert rows["last_day"][0] == (shop.AS_OF - DAY).date()
    con.execute("CREATE OR REPLACE TABLE recommendations.activity AS"
                " FROM recommendations.activity ORDER BY ALL DESC")  # fmt: skip
    assert past.snapshot(con).equals(rows)
    con.execute("UPDATE recommendations.activity SET events = 2 WHERE kind = 'view'")
    changed = past.snapshot(con)["fingerprint"] == rows["fingerprint"]
    assert changed.to_list() == [True, False]
