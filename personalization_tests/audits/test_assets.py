"""The room's assets and checks in a real Dagster run on a warehouse file."""

import datetime as dt
from pathlib import Path
from typing import ClassVar

import dagster as dg
import duckdb
import pandera.polars as pa
import polars as pl
import pytest
from click.testing import CliRunner, Result

from personalization_assets.audits.assets import ASSETS, audit_assets, watch
from personalization_assets.audits.checks import CHECKS, drift_checks
from personalization_assets.cli import main
from personalization_assets.settings import Settings
from personalization_assets.tables import Clock, Run, table_asset
from personalization_assets.warehouse import Warehouse, content_hash


class Orders(pa.DataFrameModel):
    """A table of another room."""

    order_id: str = pa.Field(description="Order")

    class Config:
        name = "orders"
        metadata: ClassVar[dict[str, object]] = {"room": "standardized", "version": 3}


MONDAY = dt.datetime(2026, 3, 2)
TABLES = ("runs", "table_profiles", "column_history", "drift", "schema_versions", "schema_use")

SHOP = """
CREATE SCHEMA standardized; CREATE SCHEMA profiles; CREATE SCHEMA emails;
CREATE TABLE standardized.orders AS
SELECT 'o' || i AS order_id, i % 7 AS quantity, if(i % 4 = 0, 'cancelled', 'completed') AS status
FROM range(1000) t(i);
CREATE TABLE profiles.golden_profiles AS SELECT i AS customer_id FROM range(800) t(i);
CREATE TABLE emails.batches AS SELECT i AS send_id FROM range(20) t(i);
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(SHOP)
    return path


@dg.asset(key=["standardized", "orders"], metadata={"dagster/table_name": "standardized.orders"})
def shop_orders() -> None:
    """What the checks on drift are attached to; never run."""


@dg.asset(
    key=["profiles", "golden_profiles"],
    metadata={"dagster/table_name": "profiles.golden_profiles"},
)
def shop_profiles() -> None:
    """The same in another room."""


def audit(shop: Path, as_of: dt.datetime) -> dict[str, dg.AssetCheckEvaluation]:
    tables = [shop_orders, shop_profiles]
    audits = dg.AssetSelection.groups("audits")
    result = dg.materialize(
        [*audit_assets([]), *tables, *CHECKS, *drift_checks(tables)],
        selection=audits | dg.AssetSelection.checks_for_assets(*tables),
        resources={
            "warehouse": Warehouse(database=str(shop)),
            "clock": Clock(as_of=as_of.isoformat()),
            "settings": Settings(warehouse=shop),
        },
    )
    return {
        f"{'.'.join(check.asset_key.path)}: {check.check_name}"
        if check.check_name == "no_drift"
        else check.check_name: check
        for check in result.get_asset_check_evaluations()
    }


def rows(shop: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(shop)) as con:
        return con.execute(sql).fetchall()


def hashes(shop: Path) -> dict[str, str]:
    with duckdb.connect(str(shop)) as con:
        return {name: content_hash(con, f"audits.{name}") for name in TABLES}


def test_the_first_run_finds_nothing_and_a_repeated_run_changes_nothing(shop: Path) -> None:
    checks = audit(shop, MONDAY)
    assert all(check.passed for check in checks.values())
    assert rows(shop, "SELECT count(*) FROM audits.drift") == [(0,)]
    assert rows(shop, "SELECT table_name, rows, changed FROM audits.runs ORDER BY 1") == [
        ("emails.batches", 20, True),
        ("profiles.golden_profiles", 800, True),
        ("standardized.orders", 1000, True),
    ]
    before = hashes(shop)
    audit(shop, MONDAY)
    assert hashes(shop) == before


def test_what_changed_between_two_runs_is_found_and_warned_of(shop: Path) -> None:
    audit(shop, MONDAY)
    rows(shop, "UPDATE standardized.orders SET status = '<b>secret</b>'")
    rows(shop, "ALTER TABLE profiles.golden_profiles ADD COLUMN tier VARCHAR")
    rows(shop, "DELETE FROM emails.batches")
    checks = audit(shop, MONDAY + dt.timedelta(days=1))

    red = {name: check for name, check in checks.items() if not check.passed}
    orders = "standardized.orders: no_drift"
    assert set(red) == {orders, "no_table_emptied", "no_schema_change"}
    assert red[orders].severity == dg.AssetCheckSeverity.ERROR
    assert "status: new_labels 1" in (red[orders].description or "")
    assert "secret" not in str(red[orders])
    assert rows(shop, "SELECT words FROM audits.drift WHERE measure = 'new_labels'") == [
        ("new: '<b>secret</b>' (1,000 rows)",)
    ]
    assert checks["profiles.golden_profiles: no_drift"].passed
    assert "emails.batches (20 rows before)" in (red["no_table_emptied"].description or "")
    assert "added nullable tier VARCHAR" in (red["no_schema_change"].description or "")
    assert rows(
        shop, "SELECT table_name, version FROM audits.schema_versions WHERE version > 1"
    ) == [("profiles.golden_profiles", 2)]
    assert rows(shop, "SELECT count(DISTINCT as_of) FROM audits.runs") == [(2,)]


def test_the_night_is_told_on_a_page_and_in_a_shell(shop: Path) -> None:
    audit(shop, MONDAY)
    rows(shop, "UPDATE standardized.orders SET status = '<b>held</b>', quantity = 3")
    rows(shop, "CREATE TABLE standardized.quarantine AS SELECT * FROM (VALUES"
               " ('orders', ['status.isin'], 'waiting', TIMESTAMP '2026-03-02', 'ada@example.com'))"
               " t(table_name, reasons, status, first_seen_as_of, payload)")  # fmt: skip
    audit(shop, MONDAY + dt.timedelta(days=1))

    page = (shop.with_name("warehouse-exports") / "audits.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;held&lt;/b&gt;" in page
    assert "<b>held" not in page
    assert "ada@example.com" not in page
    assert "status.isin" in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is loaded

    def personalize(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["audit", *arguments, "--warehouse", str(shop)])

    found = personalize("findings", "--table", "standardized.orders", "--level", "fail")
    assert found.exit_code == 0
    assert "new_labels" in found.output
    assert personalize("findings", "--table", "profiles.golden_profiles").output == "No findings.\n"
    assert (
        "no table standardized.order:"
        in personalize("findings", "--table", "standardized.order").output
    )
    copy = shop.with_name("copy.html")
    assert personalize("report", "--out", str(copy)).exit_code == 0
    assert copy.read_text(encoding="utf-8") == page


def test_a_run_without_audits_has_nothing_to_tell_of_drift(shop: Path) -> None:
    result = dg.materialize(
        [shop_orders, *drift_checks([shop_orders])],
        resources={"warehouse": Warehouse(database=str(shop))},
        raise_on_error=False,
    )
    assert result.success
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]


def test_every_asset_carries_its_contract_version_and_watches_others_only() -> None:
    keys = {key for asset in ASSETS for key in asset.keys}
    assert {"/".join(key.path) for key in keys} == {f"audits/{n}" for n in (*TABLES, "report")}
    upstream = {dep.asset_key for asset in ASSETS for spec in asset.specs for dep in spec.deps}
    assert {key.path[0] for key in upstream - keys} >= {"standardized", "emails", "feedback"}


def test_contract_versions_are_recorded_for_every_table_that_is_watched(shop: Path) -> None:
    @table_asset(contract=Orders)
    def orders(run: Run) -> pl.DataFrame:
        return pl.DataFrame({"order_id": ["o1"]})

    watchers = watch([orders])
    upstream = {dep.asset_key for asset in watchers for spec in asset.specs for dep in spec.deps}
    assert dg.AssetKey(["standardized", "orders"]) in upstream
    result = dg.materialize(
        watchers,
        resources={
            "warehouse": Warehouse(database=str(shop)),
            "clock": Clock(as_of=MONDAY.isoformat()),
            "settings": Settings(warehouse=shop),
        },
        selection=[dg.AssetKey(["audits", name]) for name in ("schema_versions", "schema_use")],
    )
    assert result.success
    assert rows(
        shop,
        "SELECT table_name, contract_version FROM audits.schema_versions"
        " WHERE contract_version IS NOT NULL",
    ) == [("standardized.orders", 3)]
