"""The room inside Dagster: keys, catalog, checks, and the sensor's ticks."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from personalization_assets.settings import Settings
from personalization_assets.sources.assets import build_source_assets
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.sources.sensor import new_files_sensor
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse
from personalization_tests.sources.conftest import AT_ONCE, CRM, put

Shop = Callable[..., SourcesConfig]
HEAD = "ID,First,Mail\n"


def run(config: SourcesConfig, folder: Path) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        build_source_assets(config, AT_ONCE),
        resources={
            "warehouse": Warehouse(database=str(folder / "w.duckdb")),
            "clock": Clock(as_of="2026-11-01"),
            "settings": Settings(data_dir=folder),
        },
    )


def metadata(result: dg.ExecuteInProcessResult, name: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(f"sources__{name}")
    return {key: value.value for key, value in event.metadata.items()}


def test_a_run_tells_what_it_did(shop: Shop, tmp_path: Path) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,secret@x.org\n2\n", crm__b_csv="", crm__c_csv_part="x")
    (tmp_path / "sources.yaml").touch()
    result = run(config, tmp_path)
    got = metadata(result, "crm")
    assert (got["dagster/row_count"], got["files_loaded"], got["files_refused"]) == (2, 1, 1)
    assert got["unreadable_lines"] == 1
    assert got["refused"] == "crm/b.csv is empty: export it again, or delete it."
    assert metadata(result, "files")["files_current"] == 1
    check, columns = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("every_file_was_read", False)
    assert (columns.check_name, columns.passed) == ("mapped_columns_are_there", True)
    assert check.severity == dg.AssetCheckSeverity.WARN
    events = " ".join(str(event) for event in result.all_events)
    assert "secret" not in events

    again = metadata(run(config, tmp_path), "crm")
    assert (again["files_unchanged"], again["changed"]) == (1, False)


def test_sql_that_may_not_be_there_fails_with_its_sentence(shop: Shop, tmp_path: Path) -> None:
    config = shop(CRM.replace("email: Mail", 'email: {sql: "now()"}'))
    with pytest.raises(dg.Failure) as failure:
        run(config, tmp_path)
    assert "must not call now()" in str(failure.value.description)


def test_the_catalog_knows_every_source(shop: Shop) -> None:
    source, files = build_source_assets(shop())
    (spec,) = source.specs
    assert spec.key == dg.AssetKey(["sources", "crm"])
    assert (spec.group_name, spec.kinds, spec.tags["pii"]) == ("sources", {"duckdb", "csv"}, "true")
    assert "Grain: one row per record" in (spec.description or "")
    columns = [c.name for c in spec.metadata["dagster/column_schema"].columns]
    assert columns == ["_batch_id", "_extracted_at", "_row_key", "_bad_line", "ID", "First", "Mail"]
    (spec,) = files.specs
    assert [d.asset_key for d in spec.deps] == [dg.AssetKey(["sources", "crm"])]


def test_the_sensor_requests_each_state_once(shop: Shop, tmp_path: Path) -> None:
    config = shop()
    sensor = new_files_sensor(config)

    def tick(cursor: str | None) -> Any:
        with dg.build_sensor_context(cursor=cursor) as context:
            return sensor(context)

    nothing = tick(None)
    assert nothing.skip_message == "No new or changed file among 0 files."

    file = put(tmp_path, "crm__a_csv", HEAD)
    young = tick(None)
    assert young.skip_message == "No new or changed file among 0 files, 1 file still being written."

    os.utime(file, (1_700_000_000, 1_700_000_000))
    first = tick(None)
    (request,) = first.run_requests
    assert request.tags["new_files"] == "1"
    assert tick(first.cursor).skip_message == "No new or changed file among 1 file."

    put(tmp_path, "crm__a_csv", HEAD + "1,Ann,\n")
    put(tmp_path, "crm__b_csv_part", HEAD)
    os.utime(file, (time.time() - 60, time.time() - 60))
    second = tick(first.cursor)
    assert [r.run_key for r in second.run_requests] != [request.run_key]
    assert len(json.loads(second.cursor)) == 1

    file.unlink()
    gone = tick(second.cursor)
    assert gone.skip_message.startswith("No new or changed file among 0 files")
