"""The sensor that asks for a training: what it reads, how often it asks, and what it asks for."""

import json
from pathlib import Path

import dagster as dg
import duckdb

from personalization_assets.automation.retraining import REASON_TAG, retraining_sensor
from personalization_assets.definitions import build_definitions
from personalization_assets.settings import Settings


def publish(file: Path, *signals: tuple[str, bool], day: str = "2026-06-01") -> None:
    """A published copy with these signals, in place at once."""
    fresh = file.with_name("fresh.duckdb")
    with duckdb.connect(str(fresh)) as con:
        con.execute("""
            CREATE SCHEMA feedback;
            CREATE TABLE feedback.retraining_signals (
                signal VARCHAR, model_version VARCHAR, as_of TIMESTAMP, is_due BOOLEAN)
        """)
        for signal, is_due in signals:
            con.execute(
                "INSERT INTO feedback.retraining_signals VALUES (?, 'abc', ?, ?)",
                [signal, f"{day} 03:00:00", is_due],
            )
    fresh.replace(file)


def tick(file: Path, cursor: str | None = None) -> tuple[list[dg.RunRequest], str | None, str]:
    context = dg.build_sensor_context(cursor=cursor)
    result = retraining_sensor(file).evaluate_tick(context)
    return list(result.run_requests or []), result.cursor, result.skip_message or ""


def test_a_due_signal_is_asked_for_once_a_day_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "serving.duckdb"
    publish(file, ("clicks", True), ("age", False))
    (request,), cursor, _ = tick(file)
    assert request.tags[REASON_TAG] == "clicks"
    assert request.run_key == "2026-06-01:abc:clicks"

    requests, same, words = tick(file, cursor)
    assert (requests, same) == ([], cursor)
    assert words == "Asked for already: clicks."

    # another reason the same day, and the same reason another day
    publish(file, ("clicks", True), ("age", True))
    (request,), cursor, _ = tick(file, cursor)
    assert request.tags[REASON_TAG] == "age"
    publish(file, ("clicks", True), ("age", True), day="2026-06-02")
    (request,), cursor, _ = tick(file, cursor)
    assert request.tags[REASON_TAG] == "age,clicks"
    assert json.loads(cursor or "") == {"age": "2026-06-02", "clicks": "2026-06-02"}


def test_nothing_is_asked_for_without_a_copy_a_table_or_a_due_signal(tmp_path: Path) -> None:
    file = tmp_path / "serving.duckdb"
    assert tick(file)[0] == []
    duckdb.connect(str(file)).close()
    assert tick(file)[0] == []
    publish(file, ("clicks", False))
    assert tick(file)[0] == []


def test_a_tick_does_not_wait_for_whoever_writes_the_warehouse(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    publish(settings.serving_file, ("taste", True))
    with duckdb.connect(str(settings.warehouse_file)):
        assert len(tick(settings.serving_file)[0]) == 1


def test_the_job_trains_lists_and_publishes_but_renders_no_mail() -> None:
    definitions = build_definitions(Settings())
    sensor = definitions.resolve_sensor_def("retraining")
    job = definitions.resolve_job_def(sensor.job_name)
    keys = {k.to_user_string() for k in job.asset_layer.selected_asset_keys}
    assert {
        "recommendations/als_model", "recommendations/top_products",
        "feedback/retraining_signals", "serving/published_copy",
    } <= keys  # fmt: skip
    assert not any(key.startswith(("emails/", "sources/", "standardized/")) for key in keys)
