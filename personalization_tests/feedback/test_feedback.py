"""Which click is credited with a purchase, and what the counts of a campaign say."""

import datetime as dt
from typing import Any

import pytest

from personalization_assets.settings import Settings
from personalization_tests.recommendations import shop

HOUR = dt.timedelta(hours=1)
NOON = dt.datetime(2026, 5, 10, 12)


def connect(**values: Any) -> Any:
    con = shop.connect(Settings.model_validate({"feedback": values}))
    shop.add(con, "identity.links", [
        {"source": "esp", "record_id": "a@example.com", "customer_id": "c_a"},
        {"source": "shop", "record_id": "a", "customer_id": "c_a"},
        {"source": "shop", "record_id": "b", "customer_id": "c_b"},
    ])  # fmt: skip
    return con


def event(con: Any, kind: str, hours: float, campaign: str | None = "weekly",
          send_id: str | None = "s1", **columns: Any) -> None:  # fmt: skip
    number = con.execute("SELECT count(*) FROM standardized.email_events").fetchall()[0][0]
    shop.add(con, "standardized.email_events", [
        {"source": "esp", "event_id": f"e{number}", "event_type": kind, "send_id": send_id,
         "occurred_at": NOON + hours * HOUR, "campaign": campaign,
         "record_id": "a@example.com", "is_machine": False, **columns}
    ])  # fmt: skip


def order(con: Any, hours: float, product: str = "p1", record: str = "a",
          status: str = "completed", quantity: int = 1,
          lines: str = "shop") -> None:  # fmt: skip
    number = con.execute("SELECT count(*) FROM standardized.orders").fetchall()[0][0]
    head = {"source": "shop", "order_id": f"o{number}"}
    shop.add(con, "standardized.orders", [
        {**head, "record_id": record, "ordered_at": NOON + hours * HOUR, "status": status}
    ])  # fmt: skip
    shop.add(con, "standardized.order_lines", [
        {**head, "source": lines, "order_source": "shop", "line_number": 1, "product_id": product,
         "quantity": quantity, "line_base": 20.0}
    ])  # fmt: skip


def credited(con: Any, columns: str = "click_event_id") -> list[tuple[Any, ...]]:
    shop.build(con, "feedback/attribution")
    return con.execute(
        f"SELECT {columns} FROM feedback.attribution ORDER BY order_id, line_number"
    ).fetchall()


def test_the_last_click_of_a_person_before_the_purchase_is_credited() -> None:
    con = connect()
    event(con, "click", 0)
    event(con, "click", 1)
    event(con, "click", 2, is_machine=True)
    event(con, "open", 2)
    event(con, "click", 4)
    order(con, 3)
    assert credited(con, "click_event_id, hours_to_purchase, matched_by") == [("e1", 2.0, "any")]


def test_lines_may_come_from_another_source_than_orders() -> None:
    con = connect()
    event(con, "click", 0)
    order(con, 1, lines="shop_lines")
    assert credited(con, "order_source, line_source, order_id") == [("shop", "shop_lines", "o0")]


@pytest.mark.parametrize(("prefer", "event_id"), [(True, "e0"), (False, "e1")])
def test_a_click_on_the_product_itself_wins_if_the_settings_say_so(
    prefer: bool, event_id: str
) -> None:
    con = connect(prefer_same_product=prefer)
    event(con, "click", 0, product_id="p1")
    event(con, "click", 1, product_id="p2")
    order(con, 3)
    assert credited(con) == [(event_id,)]


def test_the_window_ends_where_the_settings_say() -> None:
    con = connect(attribution_days=1)
    event(con, "click", 0)
    order(con, 24)
    order(con, 24.01)
    assert credited(con, "order_id") == [("o0",)]


def test_other_people_returns_and_cancelled_orders_are_not_credited() -> None:
    con = connect()
    event(con, "click", 0)
    order(con, 1, record="b")
    order(con, 1, status="cancelled")
    order(con, 1, quantity=-1)
    order(con, -1)
    assert credited(con) == []


def performance(con: Any) -> dict[str, Any]:
    shop.build(con, "feedback/attribution", "feedback/performance")
    rows = con.sql("SELECT * FROM feedback.performance ORDER BY campaign").pl()
    return {row["campaign"]: row for row in rows.iter_rows(named=True)}


def test_a_mail_counts_once_and_machines_apart() -> None:
    con = connect()
    for kind in ("processed", "delivered", "open", "open", "click", "click"):
        event(con, kind, 0)
    event(con, "delivered", 0, send_id="s2")
    event(con, "open", 1, send_id="s2", is_machine=True)
    event(con, "bounce", 1, send_id="s3")
    order(con, 5)
    order(con, 6)
    row = performance(con)["weekly"]
    counts = {k: row[k] for k in ("sent", "delivered", "opened", "machine_opened", "clicked",
                                  "converted", "bounced", "orders", "revenue_base")}  # fmt: skip
    assert counts == {"sent": 3, "delivered": 2, "opened": 1, "machine_opened": 1, "clicked": 1,
                      "converted": 1, "bounced": 1, "orders": 2, "revenue_base": 40.0}  # fmt: skip
    assert row["revenue_per_mail_base"] == 20.0


def test_providers_without_send_ids_and_campaigns_are_counted_too() -> None:
    con = connect()
    event(con, "click", 0, campaign=None, send_id=None)
    event(con, "click", 1, campaign=None, send_id=None)
    row = performance(con)["(none)"]
    assert (row["sent"], row["delivered"], row["opened"], row["clicked"]) == (1, 1, 1, 1)


def test_wilson_bounds() -> None:
    """Against the worked values of Wilson's interval for 10 of 100, and its ends for 0 and all."""
    con = connect()
    for i in range(100):
        event(con, "delivered", 0, send_id=f"s{i}")
        if i < 10:
            event(con, "click", 1, send_id=f"s{i}")
    row = performance(con)["weekly"]
    assert row["click_rate"] == pytest.approx(0.10)
    assert row["click_rate_low"] == pytest.approx(0.05523, abs=1e-5)
    assert row["click_rate_high"] == pytest.approx(0.17437, abs=1e-5)
    assert row["unsubscribe_rate_low"] == 0
    assert row["unsubscribe_rate_high"] == pytest.approx(0.03699, abs=1e-5)


def test_nothing_delivered_gives_no_rate() -> None:
    con = connect()
    event(con, "bounce", 0)
    row = performance(con)["weekly"]
    assert (row["delivered"], row["open_rate"], row["open_rate_low"]) == (0, None, None)


def test_without_mails_there_is_nothing() -> None:
    assert performance(connect()) == {}
