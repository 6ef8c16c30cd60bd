"""Raw rows under the platform's names: mappings, labels, groups, and what happens to odd ones."""

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from personalization_assets.errors import UserError
from personalization_assets.sources.feeds import feed_errors, feed_rows, payload_query
from personalization_tests.sources.conftest import CRM, WEB

Con = duckdb.DuckDBPyConnection
Shop = Callable[..., Any]
Load = Callable[..., Any]

INVOICES = """
version: 1
sources:
  inv:
    path: inv.csv
    format: csv
    feeds:
      orders:
        one_row_per: Invoice
        labels: {status: {"c ": cancelled, X: refunded}}
        columns:
          order_id: Invoice
          account_key: Customer ID
          status: State
          total_amount: {sql: "sum(Price::DECIMAL(9,2))"}
          channel: {constant: web}
      order_lines:
        where: Price <> '0'
        columns: {order_id: Invoice, unit_price: Price}
"""
LINES = (
    "Invoice,Customer ID,State,Price\n"
    "A1,,C,1.10\n"
    "A1,77,x,2.20\n"
    "A2,78, X ,0\n"
    ",79,,3\n"
    ",80,odd,4\n"
    "broken\n"
)


def rows(con: Con, config: Any, name: str, table: str, columns: str) -> list[Any]:
    query = feed_rows(con, config, name, table)
    return con.execute(f"SELECT {columns} FROM ({query}) ORDER BY _row_key").fetchall()


def test_rows_of_one_key_become_one(con: Con, shop: Shop, load: Load) -> None:
    config = shop(INVOICES, inv_csv=LINES)
    load(config, "inv")
    columns = "order_id, account_key, status, total_amount, channel, right(_row_key, 2), _bad_line"
    assert rows(con, config, "inv", "orders", columns) == [
        ("A1", "77", "cancelled", "3.30", "web", "01", None),
        ("A2", "78", "refunded", "0.00", "web", "03", None),
        (None, "79", None, "3.00", "web", "04", None),
        (None, "80", "odd", "4.00", "web", "05", None),
        (None, None, None, None, None, "06", "broken"),
    ]
    lines = rows(con, config, "inv", "order_lines", "order_id, unit_price, line_number")
    assert lines == [
        ("A1", "1.10", None),
        ("A1", "2.20", None),
        (None, "3", None),
        (None, "4", None),
    ]


def test_the_row_as_received(con: Con, shop: Shop, load: Load) -> None:
    config = shop(INVOICES, inv_csv=LINES)
    load(config, "inv")
    con.execute("CREATE TEMP TABLE k AS SELECT _row_key FROM sources.inv ORDER BY ALL LIMIT 1")
    con.execute("INSERT INTO k SELECT _row_key FROM sources.inv WHERE _bad_line IS NOT NULL")
    query = payload_query(con, "inv", "k")
    assert con.execute(f"SELECT payload FROM ({query}) ORDER BY _row_key").fetchall() == [
        ('{"Invoice":"A1","Customer ID":null,"State":"C","Price":"1.10"}',),
        ("broken",),
    ]


def test_parameters_of_ga4_events(con: Con, shop: Shop, load: Load) -> None:
    yaml = WEB.replace(
        "columns: {",
        "columns: {page_url: {sql: \"event_param(params, 'page')\"}, value: "
        "{sql: \"event_param(params, 'n')\"}, ",
    )
    event = (
        '{"event": "view", "device": {"id": "d"}, "params": ['
        '{"key": "n", "value": {"int_value": 7}},'
        '{"key": "page", "value": {"string_value": "/x"}}]}\n{"event": "view"}\n'
    )
    config = shop(yaml, web__a_ndjson=event)
    load(config, "web")
    assert rows(con, config, "web", "web_events", "event_name, page_url, value, device_id") == [
        ("view", "/x", "7", "d"),
        ("view", None, None, None),
    ]


def test_an_expression_that_does_not_fit_names_its_place(con: Con, shop: Shop, load: Load) -> None:
    config = shop(CRM.replace("email: Mail", 'email: {sql: "lowre(Mail)"}'))
    load(config)
    with pytest.raises(UserError, match=r"feeds.crm_contacts.columns.email` cannot be computed"):
        feed_rows(con, config, "crm", "crm_contacts")


def test_a_column_that_was_mapped_after_the_last_load(con: Con, shop: Shop, load: Load) -> None:
    load(shop(crm__a_csv="ID,First,Mail\n1,Ann,a@x.org\n"))
    config = shop(CRM.replace("email: Mail", "email: Mail, phone: Tel"))
    with pytest.raises(UserError, match=r"columns.phone` needs the column `Tel`, which crm had no"):
        feed_rows(con, config, "crm", "crm_contacts")


def test_an_expression_that_fails_on_a_value_does_not_tell_it(
    con: Con, shop: Shop, load: Load
) -> None:
    config = shop(
        CRM.replace("email: Mail", 'email: {sql: "Mail::INTEGER"}'),
        crm__a_csv="ID,First,Mail\n1,Ann,secret@x.org\n",
    )
    load(config)
    query = feed_rows(con, config, "crm", "crm_contacts")
    with pytest.raises(UserError) as error, feed_errors(con, config, "crm", "crm_contacts"):
        con.execute(query).fetchall()
    assert "columns.email` cannot be computed: fails on a value" in str(error.value)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_source_that_was_never_loaded(con: Con, shop: Shop) -> None:
    with pytest.raises(UserError, match="was never loaded: materialize sources/crm first"):
        feed_rows(con, shop(), "crm", "crm_contacts")
