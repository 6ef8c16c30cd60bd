"""Opens and clicks by people, response times, levels, and what an address went through."""

import datetime as dt

import pytest

from .shop import Shop, ago

MAIL = "p@x.org"


def shop_with_mail() -> Shop:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", email=MAIL, country="DE", postcode="1")
    shop.link("c_1", "crm/a", f"esp/{MAIL}")
    return shop


def event(shop: Shop, kind: str, at: dt.datetime, send: str | None, **values: object) -> None:
    shop.add(
        "email_events",
        "esp",
        event_type=kind,
        occurred_at=at,
        send_id=send,
        **{"email": MAIL, "is_machine": False, **values},
    )


def minutes(number: float) -> dt.timedelta:
    return dt.timedelta(minutes=number)


def test_machines_do_not_count() -> None:
    shop = shop_with_mail()
    for send, days in (("1", 10), ("2", 20), ("3", 30), ("4", 100)):
        event(shop, "delivered", ago(days), send)
    event(shop, "open", ago(10) + minutes(5), "1", is_machine=True)
    event(shop, "open", ago(20) + minutes(10), "2")
    event(shop, "open", ago(20) + minutes(50), "2")  # the same mail again
    event(shop, "click", ago(20) + minutes(11), "2")
    event(shop, "click", ago(30) + dt.timedelta(seconds=1), "3")  # a link scanner
    event(shop, "open", ago(100) + minutes(30), "4")
    row = shop.build().one("engagement")
    assert (row["delivered_90d"], row["opens_90d"], row["clicks_90d"]) == (3, 1, 1)
    assert row["machine_opens_90d"] == 1
    assert row["open_rate"] == row["click_rate"] == pytest.approx(1 / 3)
    assert row["response_minutes"] == 20  # median of 10 and 30
    assert row["last_open_at"] == ago(20) + minutes(50)
    assert row["last_click_at"] == ago(20) + minutes(11)
    assert row["engagement_level"] == "high"


def test_best_hour_is_local() -> None:
    shop = shop_with_mail()
    event(shop, "open", ago(3), "1")  # 06:00 UTC, 08:00 in Berlin in May
    event(shop, "open", ago(4, hours=2), "2")
    event(shop, "click", ago(4, hours=2), "2")
    assert shop.build().one("engagement")["best_hour"] == 6


@pytest.mark.parametrize(
    ("delivered", "reacted", "level"),
    [
        (None, None, "new"),
        (5, None, "new"),
        (40, 20, "medium"),
        (100, 60, "medium"),
        (100, None, "low"),
        (200, 120, "low"),
        (400, 300, "dormant"),
        (400, None, "dormant"),
    ],
)
def test_levels(delivered: float | None, reacted: float | None, level: str) -> None:
    shop = shop_with_mail()
    if delivered:
        event(shop, "delivered", ago(delivered), "1")
    if reacted:
        event(shop, "open", ago(reacted), "1")
    assert shop.build().one("engagement")["engagement_level"] == level


def test_a_service_without_send_ids() -> None:
    shop = shop_with_mail()
    for days in (3, 2):
        event(shop, "delivered", ago(days), None)
        event(shop, "open", ago(days) + minutes(9), None)
    row = shop.build().one("engagement")
    assert (row["delivered_90d"], row["opens_90d"], row["open_rate"]) == (2, 2, 1.0)
    assert row["response_minutes"] is None


def test_complaints_count_for_everybody_at_the_address() -> None:
    shop = shop_with_mail()
    shop.add("loyalty_members", "club", record_id="m", email=MAIL)
    shop.link("c_2", "club/m")
    event(shop, "spam_report", ago(5), "1")
    shop.build()
    for customer in ("c_1", "c_2"):
        row = shop.one("engagement", customer)
        assert row["complained"]
        assert row["complained_origin"] == f"esp/{MAIL}"


def test_an_unsubscription_stands_until_a_later_opt_in() -> None:
    for opted_in, stands in ((4, False), (6, True)):
        shop = shop_with_mail()
        event(shop, "unsubscribe", ago(5), "1")
        shop.add("preferences", "pc", record_id="r", email_marketing=True, updated_at=ago(opted_in))
        shop.link("c_1", "pc/r")
        row = shop.build().one("engagement")
        assert row["unsubscribed"] is stands
        assert (row["unsubscribed_at"] is not None) is stands
        assert shop.one("consents")["email_marketing"] is not stands


def test_soft_bounces_are_told_apart() -> None:
    shop = shop_with_mail()
    event(shop, "bounce", ago(5), "1", bounce_type="soft")
    row = shop.build().one("engagement")
    assert (row["last_bounce_type"], row["hard_bounced"]) == ("soft", False)
