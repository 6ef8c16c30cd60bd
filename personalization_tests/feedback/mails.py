"""A shop whose mails recommended something: the tables that feedback on recommendations reads."""

import datetime as dt
from typing import Any

import polars as pl

from personalization_assets.feedback.examination import counts_of, examine
from personalization_assets.settings import Settings
from personalization_tests.recommendations import shop

SENT = dt.datetime(2026, 5, 10, 8)
HOUR = dt.timedelta(hours=1)

DDL = """
CREATE SCHEMA IF NOT EXISTS emails;
ALTER TABLE standardized.email_events ADD COLUMN IF NOT EXISTS url VARCHAR;
CREATE OR REPLACE TABLE identity.redirects (retired_id VARCHAR, customer_id VARCHAR);
CREATE OR REPLACE TABLE emails.deliveries (send_id VARCHAR, channel VARCHAR, status VARCHAR);
CREATE OR REPLACE TABLE emails.shown_products (
    send_id VARCHAR, position BIGINT, product_id VARCHAR, customer_id VARCHAR, campaign VARCHAR,
    variant VARCHAR, rank BIGINT, recommendation_id VARCHAR, model_version VARCHAR, source VARCHAR,
    reason_code VARCHAR, propensity DOUBLE, explored BOOLEAN, send_at TIMESTAMP, as_of TIMESTAMP);
"""


def connect(as_of: dt.datetime = shop.AS_OF, **values: Any) -> Any:
    """An empty shop with the variables of a run; `values` are settings of the room."""
    settings = Settings.model_validate({"feedback": values})
    con = shop.connect(settings, as_of)
    con.execute(DDL)
    return con


def mail(con: Any, number: int, products: list[str], customer: str = "c_a", status: str = "sent",
         sent: dt.datetime = SENT, **columns: Any) -> str:  # fmt: skip
    """A mail that recommends these products, in their order, and was handed over; its send_id."""
    send_id = f"{number:032x}"
    shop.add(con, "emails.shown_products", [
        {"send_id": send_id, "position": i, "product_id": product, "customer_id": customer,
         "campaign": "weekly", "variant": "a", "rank": i,
         "recommendation_id": f"{number * 100 + i:032x}", "model_version": "m1", "source": "als",
         "reason_code": "picked", "propensity": 1.0, "explored": False, "send_at": sent,
         "as_of": sent - HOUR, **columns}
        for i, product in enumerate(products, 1)
    ])  # fmt: skip
    if status:
        shop.add(con, "emails.deliveries", [
            {"send_id": send_id, "channel": "smtp", "status": status}
        ])  # fmt: skip
    return send_id


def event(con: Any, kind: str, hours: float, send_id: str, **columns: Any) -> None:
    """What the mail provider reports, so many hours after the mail was sent."""
    number = con.execute("SELECT count(*) FROM standardized.email_events").fetchall()[0][0]
    shop.add(con, "standardized.email_events", [
        {"source": "esp", "event_id": f"e{number}", "event_type": kind, "send_id": send_id,
         "occurred_at": SENT + hours * HOUR, "record_id": "a@example.com", "campaign": "weekly",
         "is_machine": False, **columns}
    ])  # fmt: skip


def order(con: Any, hours: float, product: str, record: str = "a") -> None:
    """An order of one piece for 20."""
    number = con.execute("SELECT count(*) FROM standardized.orders").fetchall()[0][0]
    head = {"source": "shop", "order_id": f"o{number}"}
    shop.add(con, "standardized.orders", [
        {**head, "record_id": record, "ordered_at": SENT + hours * HOUR, "status": "completed"}
    ])  # fmt: skip
    shop.add(con, "standardized.order_lines", [
        {**head, "order_source": "shop", "line_number": 1, "product_id": product, "quantity": 1,
         "line_base": 20.0}
    ])  # fmt: skip


def examined(con: Any, settings: Settings | None = None) -> None:
    """Publish feedback.examination."""
    frame = examine(counts_of(con), (settings or Settings()).feedback)
    con.register("examined", frame.to_arrow())
    con.execute("CREATE OR REPLACE TABLE feedback.examination AS FROM examined")
    con.unregister("examined")


def outcomes(con: Any) -> pl.DataFrame:
    """feedback.recommendation_outcomes, built."""
    shop.build(con, "feedback/attribution", "feedback/recommendation_outcomes")
    frame: pl.DataFrame = con.sql(
        "FROM feedback.recommendation_outcomes ORDER BY send_id, position"
    ).pl()
    return frame
