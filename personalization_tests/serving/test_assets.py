"""What a run publishes for the service, in a real Dagster run on a warehouse file."""

import datetime as dt
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from personalization_assets.recommendations.settings import RecommendationsSettings
from personalization_assets.serving.assets import customer_products, published_copy
from personalization_assets.settings import Settings
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse

AS_OF = dt.datetime(2026, 6, 1)
SHOP = """
CREATE SCHEMA recommendations; CREATE SCHEMA standardized; CREATE SCHEMA sources;
CREATE TABLE recommendations.activity AS
SELECT 'c_1' AS customer_id, product_id, kind, day, 1::BIGINT AS events, day::TIMESTAMP AS last_at
FROM (VALUES ('old', 'purchase', DATE '2026-03-03'), ('late', 'purchase', DATE '2026-05-25'),
    ('soap', 'purchase', DATE '2026-05-10'), ('seen', 'view', DATE '2026-06-01'))
    t(product_id, kind, day);
CREATE TABLE recommendations.interactions AS SELECT 1 AS unread;
CREATE TABLE recommendations.catalogue AS
SELECT product_id, product_id = 'soap' AS repeatable FROM recommendations.activity;
CREATE TABLE recommendations.als_model AS
SELECT 'v1' AS model_version, 30.0::DOUBLE AS half_life_days, {current} AS is_current;
CREATE TABLE standardized.products AS SELECT 'old' AS product_id;
CREATE TABLE standardized.orders AS SELECT 'o1' AS order_id;
CREATE TABLE sources.crm AS SELECT 'a@example.com' AS email;
"""


def publish(folder: Path, current: bool) -> Path:
    settings = Settings(
        data_dir=folder,
        recommendations=RecommendationsSettings(
            half_life_days=90, not_bought_days=60, repeat_after_days=14
        ),
    )
    with duckdb.connect(str(settings.warehouse_file)) as con:
        con.execute(SHOP.format(current=current))
    result = dg.materialize(
        [customer_products, published_copy],
        resources={
            "warehouse": Warehouse(database=str(settings.warehouse_file)),
            "clock": Clock(as_of=AS_OF.isoformat()),
            "settings": settings,
        },
    )
    assert result.success
    return settings.serving_file


@pytest.mark.parametrize(
    ("current", "half_life"), [(True, 30), (False, 90)], ids=["a model", "none"]
)
def test_weights_fade_by_the_half_life_of_the_current_model(
    tmp_path: Path, current: bool, half_life: int
) -> None:
    with duckdb.connect(str(publish(tmp_path, current)), read_only=True) as con:
        found = con.execute(
            "SELECT product_id, weight FROM serving.serving.customer_products"
        ).fetchall()
    assert dict(found)["seen"] == 1.0
    assert dict(found)["old"] == pytest.approx(10 * 0.5 ** (90 / half_life), abs=1e-6)


def test_what_was_bought_lately_is_barred_and_consumables_sooner_free_again(
    tmp_path: Path,
) -> None:
    with duckdb.connect(str(publish(tmp_path, True)), read_only=True) as con:
        found = con.execute(
            "SELECT product_id, barred FROM serving.serving.customer_products"
        ).fetchall()
    assert dict(found) == {"old": False, "late": True, "soap": False, "seen": False}


def test_readers_get_results_and_no_sources(tmp_path: Path) -> None:
    file = publish(tmp_path, True)
    with duckdb.connect(str(file), read_only=True) as con:
        tables = {
            f"{schema}.{name}"
            for schema, name in con.execute(
                "SELECT schema_name, table_name FROM duckdb_tables()"
            ).fetchall()
        }
    assert tables == {
        "recommendations.activity",
        "recommendations.interactions",
        "recommendations.catalogue",
        "recommendations.als_model",
        "serving.customer_products",
        "standardized.products",
    }
    assert not file.with_name("serving.duckdb.tmp").exists()
