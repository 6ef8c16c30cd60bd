"""The local event log: Dagster's SQLite tables, read and written on lasting connections."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage

from personalization_assets.automation.event_log import PooledSqliteEventLogStorage


@dg.asset
def table() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": 3})


@dg.asset_check(asset=table)
def is_full() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    (tmp_path / "dagster.yaml").write_text(
        "event_log_storage:\n"
        "  module: personalization_assets.automation.event_log\n"
        "  class: PooledSqliteEventLogStorage\n"
        f"  config: {{base_dir: {tmp_path}}}\n"
        "telemetry: {enabled: false}\n",
        encoding="utf-8",
    )
    return dg.DagsterInstance.from_config(str(tmp_path))


def test_a_run_is_stored_as_dagster_stores_it(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    result = dg.materialize([table, is_full], instance=instance)
    kept = [e.event_type_value for e in result.all_events]
    stored = [
        r.dagster_event.event_type_value
        for r in instance.all_logs(result.run_id)
        if r.dagster_event
    ]
    assert set(kept) <= set(stored)
    assert instance.get_latest_materialization_event(table.key) is not None
    checks = instance.event_log_storage.get_latest_asset_check_execution_by_key([is_full.check_key])
    assert [c.status.value for c in checks.values()] == ["SUCCEEDED"]
    instance.dispose()
    # What was written can be read by Dagster's own class, in another process too.
    other = ConsolidatedSqliteEventLogStorage(str(tmp_path))
    assert len(other.get_logs_for_run(result.run_id)) >= len(kept)
    with sqlite3.connect(tmp_path / "event_log.db") as con:
        assert con.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_many_threads_read_and_see_what_others_wrote(tmp_path: Path) -> None:
    storage = PooledSqliteEventLogStorage(str(tmp_path))
    with ThreadPoolExecutor(24) as threads:
        found = list(threads.map(lambda _: storage.get_logs_for_run("none"), range(200)))
    assert found == [[]] * 200
    other = sqlite3.connect(tmp_path / "event_log.db")
    with other:
        other.execute(
            "INSERT INTO event_logs (run_id, event, timestamp) VALUES ('x', '{}', '2026-11-01')"
        )
    with storage.run_connection("x") as con:
        counted = con.exec_driver_sql("SELECT count(*) FROM event_logs").scalar()
    assert counted == 1
    other.close()
    storage.dispose()
