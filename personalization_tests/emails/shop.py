"""A small shop in a DuckDB connection: the tables that the e-mail room reads, in their shapes."""

from datetime import datetime
from pathlib import Path

import duckdb

AS_OF = datetime(2026, 6, 15, 6, 0)
PROJECT = Path(__file__).resolve().parents[2]

TABLES = """
CREATE SCHEMA standardized; CREATE SCHEMA profiles; CREATE SCHEMA recommendations;
CREATE SCHEMA emails;
CREATE TABLE standardized.products AS
SELECT 'shop' AS source, 'P' || i AS product_id,
       ['Oak serving board', 'Linen apron', 'Stoneware mug, speckled', 'Wool throw',
        'Terracotta planter', 'Beeswax candle', 'Enamel kettle', 'Merino socks',
        'Hand-blown carafe', 'Garden twine in a tin'][1 + i % 10]
           || CASE WHEN i >= 10 THEN ' no. ' || i ELSE '' END AS name,
       ['Kitchen', 'Textiles', 'Tableware', 'Garden', 'Lighting'][1 + i % 5] AS category,
       NULL::VARCHAR AS subcategory, 'Alder' AS brand, 9.5 + i * 1.37 AS price,
       'EUR' AS currency, 9.5 + i * 1.37 AS price_base,
       CASE WHEN i % 17 = 0 THEN 0 WHEN i % 11 = 0 THEN 3 ELSE 100 END::BIGINT AS stock,
       false AS is_consumable,
       CASE WHEN i % 4 <> 0 THEN 'https://cdn.example.com/p/' || i || '.jpg' END AS image_url,
       CASE WHEN i % 3 = 0 THEN 'https://shop.example.com/p/' || i || '?ref=x#top' END AS url,
       NULL::VARCHAR AS description,
       TIMESTAMP '2026-05-20' - to_days((i * 7)::INT) AS launched_at, true AS is_active
FROM range(60) t(i);
CREATE TABLE standardized.orders AS
SELECT 'shop' AS source, 'O' || i AS order_id, 'completed' AS status,
       TIMESTAMP '2026-06-01' AS ordered_at FROM range(400) t(i);
CREATE TABLE standardized.order_lines AS
SELECT 'shop' AS source, 'shop' AS order_source, 'O' || i AS order_id, 1::BIGINT AS line_number,
       'P' || (i * i % 37) AS product_id, 1::BIGINT AS quantity, NULL::TIMESTAMP AS ordered_at
FROM range(400) t(i);
CREATE TABLE standardized.email_events (
    source VARCHAR, event_id VARCHAR, occurred_at TIMESTAMP, event_type VARCHAR, email VARCHAR,
    campaign VARCHAR, send_id VARCHAR, bounce_type VARCHAR);
CREATE TABLE standardized.email_verifications (
    email VARCHAR, verdict VARCHAR, reason VARCHAR, provider VARCHAR, checked_as_of TIMESTAMP,
    expires_at TIMESTAMP);
CREATE TABLE standardized.preferences (
    source VARCHAR, record_id VARCHAR, email VARCHAR, email_marketing BOOLEAN,
    updated_at TIMESTAMP);
CREATE TABLE profiles.golden_profiles AS
SELECT 'c_' || lpad(i::VARCHAR, 16, '0') AS customer_id,
       CASE WHEN i % 9 = 0 THEN NULL ELSE
           ['Aoife', 'SEÁN', 'marie-claire', 'Günther', 'Chloë', 'Bjørn', 'Anna Maria',
            'José'][1 + i % 8] END AS given_name,
       'Byrne' AS family_name, 'p' || i || '@mail.example.com' AS email,
       ['IE', 'DE', 'US', 'GB'][1 + i % 4] AS country,
       CASE WHEN i % 3 = 0 THEN 'Galway' END AS city, 'en' AS language,
       CASE WHEN i % 4 = 0 THEN 'gold' END AS loyalty_tier,
       CASE WHEN i % 4 = 0 THEN 1240 + i END::BIGINT AS loyalty_points,
       true AS consent_email_marketing, i % 7 <> 0 AS consent_personalisation,
       i % 10 = 0 AS is_vip,
       ['high', 'medium', 'low', 'dormant', 'new', NULL][1 + i % 6] AS engagement_level,
       CASE WHEN i % 2 = 0 THEN 8 + i % 12 END::BIGINT AS best_hour,
       ['Europe/Dublin', 'America/New_York', 'Mars/Base', NULL][1 + i % 4] AS time_zone,
       'weekly' AS frequency,
       CASE WHEN i % 3 = 0 THEN ['Kitchen', 'Garden'] ELSE []::VARCHAR[] END AS stated_categories,
       CASE WHEN i % 5 <> 0 THEN 'Tableware' END AS favourite_category,
       (i % 5)::BIGINT AS orders,
       CASE WHEN i % 5 > 0 THEN 20 + (i * 13) % 400 END::BIGINT AS days_since_order,
       CASE WHEN i % 3 = 1 THEN [
           {product_id: 'P' || (i % 60), quantity: 1::BIGINT},
           {product_id: 'P' || ((i + 7) % 60), quantity: 2::BIGINT}][:1 + i % 2] END AS open_cart,
       CASE WHEN i % 3 = 1 THEN TIMESTAMP '2026-06-13 10:00:00' END AS cart_updated_at,
       CASE WHEN i % 2 = 0 THEN ['P' || (i % 60), 'P' || ((i + 3) % 60)] END
           AS last_viewed_products
FROM range($people) t(i);
CREATE TABLE recommendations.top_products AS
SELECT customer_id, r.rank::BIGINT AS rank, 'P' || ((p.i * 7 + r.rank * 3) % 60) AS product_id,
       ['als', 'repeat', 'category'][1 + r.rank % 3] AS source, NULL::VARCHAR AS reason,
       CASE WHEN r.rank % 3 = 0 THEN 'P' || (p.i % 60) END AS because_product_id,
       'm1' AS model_version, md5(customer_id || r.rank) AS recommendation_id,
       'picked' AS reason_code, 1 - r.rank / 100 AS propensity, r.rank % 4 = 0 AS explored
FROM (SELECT *, row_number() OVER (ORDER BY customer_id) - 1 AS i FROM profiles.golden_profiles) p,
     range(1, 11) r(rank)
WHERE p.i % 6 <> 0;
CREATE TABLE emails.suppressions (
    email VARCHAR, reason VARCHAR, since TIMESTAMP, until TIMESTAMP,
    stops VARCHAR DEFAULT 'everything', lists VARCHAR[] DEFAULT []);
"""


def make_shop(people: int = 120, database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """A connection with the shop in it, its variable `as_of` set."""
    con = duckdb.connect(database, config={"threads": 2})
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET VARIABLE as_of = ?", [AS_OF])
    con.execute("SET VARIABLE base_currency = 'EUR'")
    for statement in TABLES.split(";\n"):
        text = statement.replace("$people", str(people)).strip()
        if text:
            con.execute(text)
    return con


def publish(con: duckdb.DuckDBPyConnection, table: str, sql: str) -> None:
    """What the asset decorator does, without contract and Dagster."""
    con.execute(f"CREATE OR REPLACE TABLE {table} AS {sql}")
