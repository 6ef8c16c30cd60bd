"""When the current model should be trained anew, and why."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

from personalization_tests.feedback.mails import connect
from personalization_tests.recommendations import shop

TRAINED = dt.date(2026, 5, 20)


def model(con: Any, trained: dt.date = TRAINED) -> None:
    con.execute("""
        CREATE OR REPLACE TABLE recommendations.als_model (
            model_version VARCHAR, trained_as_of TIMESTAMP, window_end DATE, is_current BOOLEAN);
        CREATE OR REPLACE TABLE recommendations.als_factors (
            model_version VARCHAR, side VARCHAR, key VARCHAR);
        CREATE OR REPLACE TABLE recommendations.activity (
            customer_id VARCHAR, product_id VARCHAR, kind VARCHAR, day DATE, events BIGINT);
        CREATE OR REPLACE TABLE recommendations.catalogue (product_id VARCHAR, category VARCHAR);
        CREATE OR REPLACE TABLE feedback.recommendation_performance (
            model_version VARCHAR, dimension VARCHAR, value VARCHAR, shown BIGINT, clicked BIGINT,
            examined DOUBLE);
        INSERT INTO recommendations.catalogue
        SELECT 'p' || i, 'c' || i % 4 FROM range(40) AS r (i);
        INSERT INTO recommendations.als_factors
        SELECT 'm1', 'product', 'p' || i FROM range(40) AS r (i);
    """)
    con.execute(
        "INSERT INTO recommendations.als_model VALUES ('m1', ?, ?, TRUE), ('m0', ?, ?, FALSE)",
        [trained, trained, trained, trained],
    )


def clicks(con: Any, *rates: float, shown: int = 1000, version: str = "m1") -> None:
    """Days from the twelfth of May on, each with this share of 1,000 places clicked."""
    shop.add(con, "feedback.recommendation_performance", [
        {"model_version": version, "dimension": "day",
         "value": str(dt.date(2026, 5, 12) + dt.timedelta(days=i)), "shown": shown,
         "clicked": round(rate * shown), "examined": 0.6 * shown}
        for i, rate in enumerate(rates)
    ])  # fmt: skip


def activity(con: Any, products: list[str], first: dt.date, days: int, customer: str = "c_{}",
             each: int = 10) -> None:  # fmt: skip
    shop.add(con, "recommendations.activity", pl.DataFrame([
        {"customer_id": customer.format(i), "product_id": products[(i + d) % len(products)],
         "kind": "view", "day": first + dt.timedelta(days=d), "events": each}
        for d in range(days) for i in range(20)
    ]))  # fmt: skip


def signals(con: Any) -> dict[str, dict[str, Any]]:
    shop.build(con, "feedback/retraining_signals")
    rows = con.sql("FROM feedback.retraining_signals").pl()
    return {row["signal"]: row for row in rows.iter_rows(named=True)}


def due(con: Any) -> list[str]:
    return sorted(name for name, row in signals(con).items() if row["is_due"])


ALL = [f"p{i}" for i in range(40)]


def usual(con: Any) -> None:
    """The same people do the same before and after the training."""
    activity(con, ALL, TRAINED - dt.timedelta(days=27), 28)
    activity(con, ALL, TRAINED + dt.timedelta(days=1), 10)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([0.1] * 7 + [0.1] * 7, []),
        ([0.1] * 7 + [0.06] * 7, ["clicks"]),
        ([0.1] * 7 + [0.085] * 7, []),  # significant, but a fall by 15 % only
        ([0.06] * 7 + [0.1] * 7, []),
    ],
)
def test_a_clear_fall_of_the_click_rate_is_a_signal(
    rates: list[float], expected: list[str]
) -> None:
    con = connect()
    model(con)
    usual(con)
    clicks(con, *rates)
    clicks(con, *[0.3] * 14, version="none")
    clicks(con, *[0.3] * 14, version="all")
    assert due(con) == expected


def test_a_new_version_that_does_not_bring_clicks_back_goes_on_asking() -> None:
    con = connect(recent_days=2)
    model(con)
    usual(con)
    clicks(con, *[0.1] * 7, *[0.06] * 2, version="m0")
    assert due(con) == []  # nothing is known of the current version
    clicks(con, *[0] * 9, 0.07, 0.07)
    con.execute("DELETE FROM feedback.recommendation_performance WHERE clicked = 0")
    assert due(con) == ["clicks"]
    con.execute("SET VARIABLE feedback__level_days = 2")
    assert due(con) == []


def test_a_fall_that_chance_explains_or_on_few_places_is_none() -> None:
    con = connect(drop_shown=100)
    model(con)
    usual(con)
    clicks(con, *[0.1] * 7, *[0.06] * 7, shown=50)
    found = signals(con)["clicks"]
    assert found["value"] == pytest.approx(0.4, abs=0.1)
    assert found["z"] < 3
    assert not found["is_due"]
    con.execute("SET VARIABLE feedback__drop_shown = 1000")
    assert signals(con)["clicks"]["value"] is None


def test_other_categories_than_before_are_a_signal() -> None:
    con = connect()
    model(con)
    activity(con, ALL, TRAINED - dt.timedelta(days=27), 28)
    activity(con, ["p0", "p4", "p8", "p1"], TRAINED + dt.timedelta(days=1), 10)
    assert due(con) == ["taste"]
    # the index by hand: shares 3/4, 1/4 and nearly 0 of c0, c1 and the others, from 1/4 each
    assert signals(con)["taste"]["value"] > 0.5 * 1.1


def test_unknown_products_and_customers_are_signals() -> None:
    con = connect()
    model(con)
    usual(con)
    con.execute(
        "INSERT INTO recommendations.catalogue SELECT 'n' || i, 'c' || i % 4 FROM range(4) AS r (i)"
    )
    activity(con, ["n0", "n1", "n2", "n3"], TRAINED + dt.timedelta(days=1), 5)
    assert due(con) == ["new_products"]
    assert signals(con)["new_products"]["value"] == pytest.approx(1 / 3)
    activity(con, ALL, TRAINED + dt.timedelta(days=1), 11, customer="n_{}")
    assert due(con) == ["new_customers"]


def test_age_is_a_signal_only_with_new_activity() -> None:
    con = connect(model_days=10)
    model(con)
    activity(con, ALL, TRAINED - dt.timedelta(days=27), 28)
    assert due(con) == []
    activity(con, ["p0"], TRAINED + dt.timedelta(days=1), 1, each=1)
    assert due(con) == ["age"]
    assert signals(con)["age"]["value"] == 12


def test_little_activity_since_the_training_says_nothing() -> None:
    con = connect()
    model(con)
    activity(con, ALL, TRAINED - dt.timedelta(days=27), 28)
    activity(con, ["n0"], TRAINED + dt.timedelta(days=1), 4)
    assert due(con) == []
    assert signals(con)["taste"]["value"] is None


def test_without_a_current_version_there_is_no_signal() -> None:
    con = connect()
    model(con)
    con.execute("UPDATE recommendations.als_model SET is_current = FALSE")
    assert signals(con) == {}
