"""What came of each recommendation, and how versions of the model do by it."""

import datetime as dt
from typing import Any

import pytest

from personalization_tests.feedback.mails import (
    SENT,
    connect,
    event,
    examined,
    mail,
    order,
    outcomes,
)
from personalization_tests.recommendations import shop


def people(con: Any) -> Any:
    shop.add(con, "identity.links", [
        {"source": "esp", "record_id": "a@example.com", "customer_id": "c_a"},
        {"source": "shop", "record_id": "a", "customer_id": "c_a"},
        {"source": "shop", "record_id": "b", "customer_id": "c_b"},
    ])  # fmt: skip
    return con


def only(con: Any, *columns: str) -> list[tuple[Any, ...]]:
    return list(outcomes(con).select(columns).iter_rows())


def test_a_click_belongs_to_the_place_of_its_product() -> None:
    con = people(connect())
    send = mail(con, 1, ["p1", "p2", "p3"])
    event(con, "click", 2, send, product_id="p2")
    event(con, "click", 5, send, product_id="p2")
    assert only(con, "product_id", "clicks", "counts") == [
        ("p1", 0, True), ("p2", 2, True), ("p3", 0, True),
    ]  # fmt: skip
    assert only(con, "clicked_at")[1] == (SENT + dt.timedelta(hours=2),)


def test_a_click_without_a_product_belongs_to_the_place_that_its_link_names() -> None:
    con = people(connect())
    send = mail(con, 1, [f"p{i}" for i in range(1, 13)])
    url = "https://shop.example.com/x?utm_source=s&utm_content=products-12#top"
    event(con, "click", 2, f"<{send}@shop.example.com>", url=url)
    event(con, "click", 3, send, url="https://shop.example.com/x?utm_content=cart-1")
    assert [row for row in only(con, "position", "clicks") if row[1]] == [(12, 1)]


def test_programs_late_clicks_and_clicks_in_other_mails_do_not_count() -> None:
    con = people(connect(click_days=2))
    send = mail(con, 1, ["p1"])
    mail(con, 2, ["p2"])
    event(con, "click", 1, send, product_id="p1", is_machine=True)
    event(con, "click", 49, send, product_id="p1")
    event(con, "click", -1, send, product_id="p1")
    event(con, "click", 1, send, product_id="p2")
    assert only(con, "clicks") == [(0,), (0,)]


def test_a_bought_line_is_credited_once_to_the_last_touch() -> None:
    con = people(connect())
    first, second = mail(con, 1, ["p1", "p2"]), mail(con, 2, ["p1"])
    event(con, "click", 1, first, product_id="p1")
    event(con, "click", 5, second, product_id="p1")
    event(con, "click", 6, first, product_id="p2")
    order(con, 9, "p1")
    order(con, 10, "p9")
    assert only(con, "product_id", "quantity", "revenue_base", "other_revenue_base") == [
        ("p1", 0, 0.0, 0.0), ("p2", 0, 0.0, 20.0), ("p1", 1, 20.0, 0.0),
    ]  # fmt: skip
    assert only(con, "purchased_at")[2] == (SENT + dt.timedelta(hours=9),)


def test_a_mail_counts_if_it_arrived_its_window_is_over_and_the_provider_reports() -> None:
    con = people(connect())
    late = shop.AS_OF - dt.timedelta(days=1)
    sent = [
        mail(con, 1, ["p1"]),                       # handed over, the run is reported on
        mail(con, 2, ["p1"], status="refused"),
        mail(con, 3, ["p1"]),                       # bounced
        mail(con, 4, ["p1"], status=""),            # the provider says that it arrived
        mail(con, 5, ["p1"], sent=late),            # its window is open
        mail(con, 6, ["p1"], sent=SENT - dt.timedelta(days=2)),  # a run that nobody reports on
    ]  # fmt: skip
    event(con, "bounce", 0, sent[2])
    event(con, "delivered", 0, sent[3])
    event(con, "delivered", 24 * 21, sent[4])
    assert only(con, "arrived", "counts") == [
        (True, True), (False, False), (False, False), (True, True), (True, False), (True, False),
    ]  # fmt: skip


def test_a_waiting_mail_of_the_mail_server_has_not_arrived_but_one_in_a_file_has() -> None:
    con = people(connect())
    mail(con, 1, ["p1"], status="handed_over")
    send = mail(con, 2, ["p1"], status="handed_over")
    con.execute(f"UPDATE emails.deliveries SET channel = 'file' WHERE send_id = '{send}'")
    assert only(con, "arrived") == [(False,), (True,)]


def test_segments_are_by_orders_before_the_mail_of_who_the_person_is_now() -> None:
    con = people(connect(heavy_orders=2))
    con.execute("INSERT INTO identity.redirects VALUES ('c_old', 'c_a'), ('c_lost', NULL)")
    order(con, -50, "p1")
    order(con, -30, "p1", record="b")
    order(con, -40, "p1", record="b")
    order(con, 5, "p1")
    for number, customer in enumerate(["c_old", "c_b", "c_new", "c_lost"]):
        mail(con, number, ["p1"], customer)
    assert only(con, "customer_id", "segment") == [
        ("c_a", "light"), ("c_b", "heavy"), ("c_new", "new"), ("c_lost", "new"),
    ]  # fmt: skip


def performance(con: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    outcomes(con)
    examined(con)
    shop.build(con, "feedback/recommendation_performance")
    rows = con.sql("FROM feedback.recommendation_performance").pl()
    return {(r["model_version"], r["dimension"], r["value"]): r for r in rows.iter_rows(named=True)}


def test_performance_counts_places_by_one_thing_at_a_time() -> None:
    con = people(connect())
    for number in range(100):
        send = mail(con, number, ["p1", "p2"], model_version="m1" if number < 60 else "m2")
        event(con, "delivered", 0, send)
        if number < 10:
            event(con, "click", 1, send, product_id="p1")
    order(con, 2, "p1")
    rows = performance(con)
    assert {k[:2] for k in rows} == {
        (v, d)
        for v in ("m1", "m2")
        for d in ("all", "campaign", "position", "segment", "source", "explored", "day")
    } | {("all", "day")}
    one = rows["m1", "position", "01"]
    counts = {k: one[k] for k in ("shown", "clicked", "purchased", "revenue_base", "examined")}
    assert counts == {
        "shown": 60, "clicked": 10, "purchased": 1, "revenue_base": 20.0, "examined": 60.0
    }  # fmt: skip
    assert rows["m1", "all", "all"]["shown"] == 120
    assert rows["all", "day", "2026-05-10"]["shown"] == 200
    assert rows["m2", "all", "all"]["click_rate"] == 0


def test_wilson_bounds_of_ten_of_a_hundred() -> None:
    con = people(connect())
    for number in range(100):
        send = mail(con, number, ["p1"])
        if number < 10:
            event(con, "click", 1, send, product_id="p1")
    row = performance(con)["m1", "all", "all"]
    for rate in ("click_rate", "corrected_click_rate"):
        assert row[rate] == pytest.approx(0.10)
        assert row[f"{rate}_low"] == pytest.approx(0.05523, abs=1e-5)
        assert row[f"{rate}_high"] == pytest.approx(0.17437, abs=1e-5)
    assert row["purchase_rate_high"] == pytest.approx(0.03699, abs=1e-5)


def test_without_mails_there_is_nothing() -> None:
    assert performance(people(connect())) == {}
