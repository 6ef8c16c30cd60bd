"""What is particular to single tables."""

import dataclasses
import datetime as dt

import polars as pl
import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.sources import platform
from personalization_assets.standardized.contracts import WebEvents
from personalization_assets.standardized.entities import (
    READERS,
    Lookups,
    SourceContext,
    standardise,
)
from personalization_assets.standardized.in_force import MODELS

AS_OF = dt.datetime(2026, 10, 20)
SHOP = SourceContext("shop", currency="USD", country="DE")


def read(
    table: str,
    rows: list[dict[str, str | None]],
    lookups: Lookups | None = None,
    source: SourceContext = SHOP,
) -> pl.DataFrame:
    names = dict.fromkeys(name for row in rows for name in row)
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String)).with_columns(
        _batch_id=pl.lit("b"),
        _row_key=pl.format("b:{}", pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(9)),
    )
    return standardise(table, frame, source, AS_OF, "EUR", lookups)


@pytest.mark.parametrize("table", READERS)
def test_every_table_has_exactly_the_columns_of_its_contract(table: str) -> None:
    contract = next(c for c in map(contract_of, MODELS) if c.table == table)
    nothing = dict.fromkeys(platform.COLUMNS[table])
    frame = read(table, [dict(nothing)])
    assert set(frame.columns) == {*contract.schema, "_failed_casts"}
    assert contract.conform(frame).height == 1
    assert set(read(table, [dict(nothing)]).clear().columns) == set(frame.columns)


def test_orders_name_an_account_a_guest_or_nobody() -> None:
    orders = read(
        "orders",
        [
            {"order_id": "1", "account_key": "7.0", "email": "a@b.de"},
            {"order_id": "2", "account_key": None, "email": "a@b.de"},
            {"order_id": "3", "account_key": None, "email": "nonsense"},
        ],
    )
    assert orders["record_id"].to_list() == ["shop:7", "order:2", None]
    assert orders["status"].to_list() == ["completed"] * 3
    assert orders["_failed_casts"].to_list()[2] == ["email"]


def test_amounts_go_to_the_base_currency_at_the_rate_of_their_day() -> None:
    orders = read(
        "orders",
        [
            {"order_id": "1", "ordered_at": "2024-01-28", "total_amount": "108.71"},
            {"order_id": "2", "ordered_at": "2024-01-28", "total_amount": "10,00 €"},
            {"order_id": "3", "ordered_at": "2024-01-28", "total_amount": "1", "currency": "ZZZ"},
            {"order_id": "4", "ordered_at": "2024-01-28", "total_amount": "1", "currency": "AED"},
            {"order_id": "5", "ordered_at": "2030-01-28", "discount_amount": "-5"},
        ],
    )
    assert orders["total_base"].to_list() == [pytest.approx(100), 10.0, None, None, None]
    assert orders["_flags"].to_list()[:4] == [[], [], ["currency.unknown"], ["currency.no_rate"]]
    assert orders["currency"].to_list() == ["USD", "EUR", None, "AED", "USD"]
    assert orders["discount_base"][4] > 0
    assert "ordered_at.future" in orders["_flags"][4]


def test_lines_are_numbered_in_file_order_and_take_the_time_of_their_order() -> None:
    times = pl.DataFrame(
        {
            "source": ["other", "shop"],
            "order_id": ["A", "A"],
            "ordered_at": [dt.datetime(2020, 1, 1), dt.datetime(2024, 1, 2)],
        }
    )
    lines = read(
        "order_lines",
        [
            {"order_id": "A", "product_id": "p", "quantity": "2", "unit_price": "3"},
            {"order_id": "B", "product_id": "p", "quantity": "-1", "unit_price": "3"},
            {"order_id": "A", "product_id": "q", "quantity": "1.5", "unit_price": "3"},
        ],
        Lookups(order_times=times),
    )
    assert lines["line_number"].to_list() == [1, 1, 2]
    assert lines["ordered_at"].to_list() == [dt.datetime(2024, 1, 2), None, dt.datetime(2024, 1, 2)]
    assert lines["line_base"][0] == pytest.approx(2 * 3 / 1.0956)
    assert lines["_failed_casts"].to_list() == [[], [], ["quantity"]]


def test_lines_of_a_source_of_their_own_belong_to_the_orders_of_another() -> None:
    times = pl.DataFrame(
        {
            "source": ["till", "web"],
            "order_id": ["A", "A"],
            "ordered_at": [dt.datetime(2020, 1, 1), dt.datetime(2024, 1, 2)],
        }
    )
    line: dict[str, str | None] = {"order_id": "A", "product_id": "p", "quantity": "1"}
    keys = ["source", "order_source"]
    assert read("order_lines", [line]).select(keys).row(0) == ("shop", "shop")
    of_web = dataclasses.replace(SHOP, orders_of="web")
    lines = read("order_lines", [line], Lookups(order_times=times), of_web)
    assert lines.select(keys).row(0) == ("shop", "web")
    assert lines["ordered_at"][0] == dt.datetime(2024, 1, 2)


def test_preferences_without_an_id_are_the_address() -> None:
    found = read(
        "preferences",
        [
            {"record_id": None, "email": "A@b.de", "categories": "garden; Toys|toys"},
            {"record_id": "A@B.de", "email": "a@b.de", "categories": '["Garden","Books"]'},
            {"record_id": "17", "email": "a@b.de", "categories": None},
        ],
        Lookups(spellings={"garden": "Garden", "toys": "Toys"}),
    )
    assert found["record_id"].to_list() == ["a@b.de", "a@b.de", "17"]
    assert found["categories"].to_list() == [["Garden", "Toys"], ["Garden", "Books"], None]


def test_events_without_an_id_get_the_fingerprint_of_their_row() -> None:
    rows = [
        {"event_id": None, "occurred_at": "1706700000000000", "event_name": "scroll"},
        {"event_id": None, "occurred_at": "1706700000000000", "event_name": "Page View"},
        {"event_id": "e1", "occurred_at": "1706700000000000", "event_name": "click"},
    ]
    events = read("web_events", rows)
    again = read("web_events", list(reversed(rows)))
    assert events["event_id"].to_list() == again["event_id"].to_list()[::-1]
    assert events["event_id"][2] == "e1"
    assert events["event_id"].n_unique() == 3
    audit = contract_of(WebEvents).audit(events)
    assert audit.failures["event_name.known"] == 2  # kept, and flagged
    assert audit.accepted["event_name"].to_list() == ["scroll", "page_view", "click"]


def test_mail_events_tell_machines_from_people() -> None:
    rows = [
        {"event_type": "open", "is_machine": "true", "user_agent": None},
        {"event_type": "open", "is_machine": None, "user_agent": "Mozilla/5.0"},
        {"event_type": "clicked", "is_machine": None, "user_agent": "Barracuda Sentinel (EE)"},
        {"event_type": "open", "is_machine": None, "user_agent": "Mozilla/5.0 (iPhone) Safari"},
        {"event_type": "bounce", "is_machine": None, "user_agent": None, "bounce_type": "blocked"},
        {"event_type": "spamreport", "bounce_type": "bounce"},
    ]
    events = read(
        "email_events", [{"email": "a@b.de", "occurred_at": "1706700000"} | r for r in rows]
    )
    assert events["is_machine"].to_list() == [True, True, True, False, False, False]
    assert events["bounce_type"].to_list() == [None] * 4 + ["soft", None]
    assert events["event_type"].to_list()[-1] == "spam_report"
    assert events["record_id"].unique().to_list() == ["a@b.de"]


def test_products_have_one_spelling_per_category() -> None:
    products = read(
        "products",
        [
            {"product_id": str(i), "category": c, "price": "1.00"}
            for i, c in enumerate(["Toys", "toys", "Toys", "TOYS", None])
        ],
    )
    assert products["category"].to_list() == ["Toys"] * 4 + [None]
    assert products["is_active"].to_list() == [True] * 5
    assert products["stock"].null_count() == 5


def test_social_records_are_a_network_and_a_handle() -> None:
    rows = [{"network": "Instagram", "handle": "@Anna.K", "occurred_at": "1706700000"}]
    social = read("social_activity", [{**rows[0], "activity_type": "Liked"}])
    assert social["record_id"].to_list() == ["instagram:anna.k"]
    assert social["activity_type"].to_list() == ["like"]
