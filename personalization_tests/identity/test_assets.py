"""The room's assets on a warehouse: twice the same input is twice the same tables."""

import datetime as dt
from pathlib import Path

import dagster as dg
import polars as pl

from personalization_assets.identity.assets import ASSETS
from personalization_assets.identity.checks import CHECKS
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.settings import PROJECT, Settings
from personalization_assets.sql_models import read_sql_model, sql_model_assets
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse

TABLES = [
    "decisions",
    "blocklist",
    "model",
    "matches",
    "links",
    "links_strict",
    "ledger",
    "former_ids",
    "review_queue",
    "descriptions",
    "redirects",
    "evaluation",
]


def test_the_room_runs_twice_and_reports_what_it_found(
    tmp_path: Path, townsfolk: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    frame, truth = townsfolk
    truth.write_csv(tmp_path / "truth.csv")
    settings = Settings(
        data_dir=tmp_path,
        truth=tmp_path / "truth.csv",
        identity=IdentitySettings(sample_records=500),
    )
    warehouse = Warehouse(database=str(settings.warehouse_file))
    with warehouse.connect() as con:
        con.execute("CREATE SCHEMA identity")
        con.register("incoming", frame.to_arrow())
        con.execute("CREATE TABLE identity.records AS SELECT * FROM incoming")

    redirects = read_sql_model(PROJECT / "dbt_like_sql" / "identity" / "redirects.sql")
    assets = [*ASSETS, *sql_model_assets([redirects], ASSETS)]

    def run(as_of: dt.datetime) -> tuple[dict[str, pl.DataFrame], dg.ExecuteInProcessResult]:
        result = dg.materialize(
            [*assets, *CHECKS],
            resources={
                "warehouse": warehouse,
                "settings": settings,
                "clock": Clock(as_of=as_of.isoformat()),
            },
        )
        with warehouse.connect() as con:
            tables = {t: con.sql(f"SELECT * FROM identity.{t} ORDER BY ALL").pl() for t in TABLES}
        return tables, result

    first, result = run(dt.datetime(2026, 11, 1))
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert all(e.passed for e in evaluations.values())
    assert dict(first["evaluation"].iter_rows())["pair_f1"] > 0.97
    assert first["links"].height == frame.height
    second, result = run(dt.datetime(2026, 11, 2))
    (event, *_) = result.asset_materializations_for_node("identity__links")
    assert event.metadata["gate_ids_kept"].value == 1.0
    assert event.metadata["gate_merges"].value == 0.0
    assert event.metadata["linked"].value == "incremental"
    assert event.metadata["relinked_records"].value == 0
    for name in TABLES:
        assert first[name].equals(second[name]), name

    def last_run() -> dict[str, object]:
        with warehouse.connect() as con:
            log = con.sql("FROM identity.link_runs ORDER BY run DESC LIMIT 1").pl()
        return log.row(0, named=True)

    assert (last_run()["mode"], last_run()["changed"]) == ("incremental", 0)
    # Whoever writes into the tables by hand gets them written anew.
    with warehouse.connect() as con:
        con.execute(
            "UPDATE identity.links SET customer_id = (SELECT min(customer_id) FROM identity.links)"
            " WHERE record_id IN (SELECT record_id FROM identity.links ORDER BY ALL LIMIT 1)"
        )
    run(dt.datetime(2026, 11, 3))
    assert last_run()["mode"] == "full"
    assert "not those that the last run left" in str(last_run()["reason"])
    settings = Settings(
        data_dir=tmp_path,
        truth=tmp_path / "truth.csv",
        identity=IdentitySettings(sample_records=500, review_threshold=0.2),
    )
    run(dt.datetime(2026, 11, 4))
    assert "settings" in str(last_run()["reason"])
