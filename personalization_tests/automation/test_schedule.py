"""The nightly schedule, the job and the freshness policies."""

import datetime as dt

import dagster as dg
import pytest

from personalization_assets.automation.freshness import FRESHNESS, with_freshness
from personalization_assets.automation.jobs import refresh
from personalization_assets.automation.schedules import nightly_schedule
from personalization_assets.errors import UserError
from personalization_assets.tables import Clock, parse_as_of


def test_a_scheduled_run_takes_the_time_it_was_scheduled_for() -> None:
    schedule = nightly_schedule("Europe/Berlin")
    night = dt.datetime(2026, 7, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    tick = schedule.evaluate_tick(
        dg.build_schedule_context(scheduled_execution_time=night),
    )
    (request,) = tick.run_requests or []
    as_of = request.run_config["resources"]["clock"]["config"]["as_of"]
    assert parse_as_of(as_of) == dt.datetime(2026, 7, 2, 1)
    assert request.run_key == as_of
    assert schedule.execution_timezone == "Europe/Berlin"


def test_a_time_zone_that_does_not_exist_is_one_clear_sentence() -> None:
    with pytest.raises(UserError, match="time_zone 'Mars/Olympus' in the settings is not known"):
        nightly_schedule("Mars/Olympus")


def test_the_job_runs_everything_in_one_process_with_the_clock_as_scheduled() -> None:
    seen: list[str | None] = []

    @dg.asset(key=["profiles", "golden_profiles"])
    def golden_profiles(clock: Clock) -> None:
        seen.append(clock.as_of)

    @dg.asset(key=["emails", "batches"], deps=[golden_profiles])
    def batches() -> None: ...

    assets = with_freshness([golden_profiles, batches])
    definitions = dg.Definitions(assets=assets, jobs=[refresh], resources={"clock": Clock()})
    job = definitions.resolve_job_def("refresh")
    assert job.executor_def.name == "in_process"
    result = job.execute_in_process(
        run_config={"resources": {"clock": {"config": {"as_of": "2026-07-02T01:00:00"}}}}
    )
    assert result.success
    assert seen == ["2026-07-02T01:00:00"]
    policies = {"/".join(spec.key.path): spec.freshness_policy for a in assets for spec in a.specs}
    assert policies == {key: FRESHNESS[key] for key in policies}
