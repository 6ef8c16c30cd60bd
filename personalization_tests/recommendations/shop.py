"""A small made-up shop: the tables that this room reads, in a warehouse of a test's own."""

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from personalization_assets.settings import Settings

AS_OF = dt.datetime(2026, 6, 1)

DDL = """
CREATE SCHEMA IF NOT EXISTS standardized; CREATE SCHEMA IF NOT EXISTS identity;
CREATE SCHEMA IF NOT EXISTS profiles; CREATE SCHEMA IF NOT EXISTS recommendations;
CREATE SCHEMA IF NOT EXISTS feedback;
CREATE OR REPLACE TABLE standardized.web_events (
    source VARCHAR, event_id VARCHAR, occurred_at TIMESTAMP, event_name VARCHAR,
    device_id VARCHAR, record_id VARCHAR, product_id VARCHAR);
CREATE OR REPLACE TABLE standardized.orders (
    source VARCHAR, order_id VARCHAR, record_id VARCHAR, ordered_at TIMESTAMP, status VARCHAR);
CREATE OR REPLACE TABLE standardized.order_lines (
    source VARCHAR, order_source VARCHAR, order_id VARCHAR, line_number BIGINT,
    product_id VARCHAR, description VARCHAR, quantity BIGINT, line_base DOUBLE,
    ordered_at TIMESTAMP);
CREATE OR REPLACE TABLE standardized.products (
    source VARCHAR, product_id VARCHAR, name VARCHAR, category VARCHAR, brand VARCHAR,
    price_base DOUBLE, stock BIGINT, is_consumable BOOLEAN, launched_at TIMESTAMP,
    is_active BOOLEAN);
CREATE OR REPLACE TABLE standardized.email_events (
    source VARCHAR, event_id VARCHAR, occurred_at TIMESTAMP, event_type VARCHAR, email VARCHAR,
    record_id VARCHAR, campaign VARCHAR, send_id VARCHAR, product_id VARCHAR, is_machine BOOLEAN);
CREATE OR REPLACE TABLE identity.links (source VARCHAR, record_id VARCHAR, customer_id VARCHAR);
CREATE OR REPLACE TABLE profiles.device_owners (device_id VARCHAR, customer_id VARCHAR);
CREATE OR REPLACE TABLE profiles.preferences (
    customer_id VARCHAR, favourite_category VARCHAR, categories VARCHAR[],
    stated_categories VARCHAR[]);
CREATE OR REPLACE TABLE profiles.transactions (
    customer_id VARCHAR, top_category VARCHAR, top_brand VARCHAR);
CREATE OR REPLACE TABLE profiles.attributes (customer_id VARCHAR, country VARCHAR);
CREATE OR REPLACE TABLE profiles.places (customer_id VARCHAR, region_name VARCHAR);
CREATE OR REPLACE TABLE recommendations.exclusions (
    rule BIGINT, product VARCHAR, category VARCHAR, brand VARCHAR);
"""

SQL_MODELS = Path(__file__).resolve().parents[2] / "dbt_like_sql"


def connect(settings: Settings | None = None, as_of: dt.datetime = AS_OF, **config: Any) -> Any:
    """An empty shop in memory, with the variables of a run set."""
    con = duckdb.connect(config=config)
    con.execute(DDL)
    for name, value in (settings or Settings()).sql_variables(as_of).items():
        con.execute(f"SET VARIABLE {name} = ?", [value])
    return con


def add(con: Any, table: str, rows: list[dict[str, Any]] | pl.DataFrame) -> None:
    """Insert rows by column name."""
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows)
    con.register("rows_to_add", frame.to_arrow())
    con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows_to_add")
    con.unregister("rows_to_add")


def build(con: Any, *models: str) -> None:
    """Run SQL models into their tables."""
    for model in models:
        sql = (SQL_MODELS / f"{model}.sql").read_text()
        con.execute(f"CREATE OR REPLACE TABLE {model.replace('/', '.')} AS {sql}")


def products(number: int, groups: int, **columns: Any) -> pl.DataFrame:
    """Products p000.. of categories c0.., in stock."""
    ids = np.arange(number)
    return pl.DataFrame(
        {
            "source": "shop",
            "product_id": [f"p{i:03d}" for i in ids],
            "name": [f"Product {i}" for i in ids],
            "category": [f"c{i % groups}" for i in ids],
            "stock": 5,
            "is_consumable": False,
            "is_active": True,
        }
    ).with_columns(**{k: pl.lit(v) for k, v in columns.items()})


def with_tastes(
    con: Any, people: int = 400, number: int = 120, groups: int = 6, seed: int = 1
) -> None:
    """Customers who mostly buy and view within a hidden group that cuts across the categories."""
    chance = np.random.default_rng(seed)
    add(con, "standardized.products", products(number, 4))
    ids = [f"u{i:04d}" for i in range(people)]
    links = pl.DataFrame(
        {"source": "shop", "record_id": ids, "customer_id": ["c_" + i for i in ids]}
    )
    add(con, "identity.links", links)
    taste = chance.integers(0, groups, people)
    size = number // groups
    each = 14
    who = np.repeat(np.arange(people), each)
    inside = chance.random(who.size) < 0.85
    within = np.minimum(chance.geometric(0.12, who.size) - 1, size - 1)
    what = np.where(inside, taste[who] * size + within, chance.integers(0, number, who.size))
    when = [AS_OF - dt.timedelta(days=float(d)) for d in chance.uniform(1, 150, who.size)]
    bought = chance.random(who.size) < 0.6
    events = pl.DataFrame(
        {
            "n": np.arange(who.size),
            "source": "shop",
            "record_id": np.array(ids)[who],
            "product_id": [f"p{i:03d}" for i in what],
            "at": when,
        }
    ).with_columns(pl.col("at").dt.truncate("1s"), order_id=pl.format("o{}", "n"))
    orders = events.filter(bought)
    add(
        con,
        "standardized.orders",
        orders.select(
            "source", "order_id", "record_id", ordered_at="at", status=pl.lit("completed")
        ),
    )
    add(
        con,
        "standardized.order_lines",
        orders.select(
            "source", "order_id", "product_id", line_number=pl.lit(1), quantity=pl.lit(1),
            line_base=pl.lit(10.0), ordered_at="at", order_source="source",
        ),
    )  # fmt: skip
    add(
        con,
        "standardized.web_events",
        events.filter(~bought).select(
            "source", "record_id", "product_id", event_id="order_id", occurred_at="at",
            event_name=pl.lit("view_item"),
        ),
    )  # fmt: skip


ROOM = (
    "recommendations/activity",
    "recommendations/interactions",
    "recommendations/catalogue",
    "recommendations/regional_popularity",
    "recommendations/bought_together",
)
