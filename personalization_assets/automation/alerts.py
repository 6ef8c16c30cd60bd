"""Tells people that a run failed: in the log, and at a web address that takes a JSON message.

Each failed run is reported once. Dagster's own run-failure sensor moves on when its function
raises, so a report that could not be delivered would be lost; this one keeps its own place in the
event log and stays there until the report is delivered or has been tried often enough.

A report names the steps that failed and the classes of their errors. It never carries an error's
message: messages quote values, and values can be personal data.
"""

import json
import logging
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, RunsFilter, RunStatusChangeRecordsFilter

LOG = logging.getLogger("personalization_assets.alerts")

WEBHOOK = "PERSONALIZE_ALERT_WEBHOOK"
UI_URL = "PERSONALIZE_UI_URL"

SENT_TAG = "personalize/alert"
"""On a run: `sent`, `logged` (no address is set) or `undelivered`. A run with it is done with."""

STARTED_BY_TAG = "personalize/started_by"
BY_HAND = "command line"
WILL_RETRY_TAG = "dagster/will_retry"

TIMEOUT_SECONDS = 10.0
MAX_ATTEMPTS = 20
RUNS_PER_TICK = 20
STEPS_NAMED = 10


@dataclass(frozen=True)
class Cursor:
    """Where the sensor is: the last event it is done with, and how often it tried the next one."""

    after: int
    attempts: int = 0

    @classmethod
    def parse(cls, text: str | None) -> "Cursor | None":
        """The cursor that `dump` wrote; None where there is none yet."""
        return cls(**json.loads(text)) if text else None

    def dump(self) -> str:
        """As Dagster stores it."""
        return json.dumps(asdict(self))


class DeliveryError(Exception):
    """The report did not reach the address. The text names no address: it is a secret."""


@dg.sensor(
    name="run_failure_alert",
    description=(
        "Reports each failed run once: in the log and, if PERSONALIZE_ALERT_WEBHOOK is set, as a "
        "JSON message there. Runs that will be tried again, and runs that somebody started on the "
        "command line and watched, are not reported."
    ),
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def run_failure_alert(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report the runs that failed since the last tick."""
    instance = context.instance
    cursor = Cursor.parse(context.cursor)
    if cursor is None:
        newest = _failures(instance, limit=1)
        start = max((event_id for event_id, _ in newest), default=-1)
        context.update_cursor(Cursor(start).dump())
        return dg.SkipReason("Reports runs that fail from now on.")

    reported = 0
    for event_id, run_id in _failures(instance, limit=RUNS_PER_TICK, after=cursor.after):
        run = instance.get_run_by_id(run_id)
        if run is not None and not _is_settled(run):
            try:
                _report(instance, run)
            except DeliveryError as reason:
                attempts = cursor.attempts + 1
                LOG.error("Alert for run %s not delivered (try %d): %s", run_id, attempts, reason)
                if attempts < MAX_ATTEMPTS:
                    context.update_cursor(Cursor(cursor.after, attempts).dump())
                    return dg.SkipReason(f"Not delivered, will be tried again: {reason}.")
                instance.add_run_tags(run_id, {SENT_TAG: "undelivered"})
            else:
                reported += 1
        cursor = Cursor(event_id)
        context.update_cursor(cursor.dump())
    return dg.SkipReason(f"{reported} failed runs reported." if reported else "No run failed.")


def _failures(
    instance: DagsterInstance, limit: int, after: int | None = None
) -> list[tuple[int, str]]:
    """Id of the event and of the run: the oldest after `after`, else the newest of all."""
    records = instance.fetch_run_status_changes(
        RunStatusChangeRecordsFilter(
            event_type=DagsterEventType.RUN_FAILURE, after_storage_id=after
        ),
        limit=limit,
        ascending=after is not None,
    ).records
    return [(record.storage_id, record.event_log_entry.run_id) for record in records]


def _is_settled(run: dg.DagsterRun) -> bool:
    return (
        run.tags.get(WILL_RETRY_TAG) == "true"
        or run.tags.get(STARTED_BY_TAG) == BY_HAND
        or SENT_TAG in run.tags
    )


def _report(instance: DagsterInstance, run: dg.DagsterRun) -> None:
    message = describe_failure(instance, run)
    url = os.environ.get(WEBHOOK, "").strip()
    LOG.error("%s", message["text"])
    if url:
        post(url, message)
    instance.add_run_tags(run.run_id, {SENT_TAG: "sent" if url else "logged"})


def describe_failure(instance: DagsterInstance, run: dg.DagsterRun) -> dict[str, Any]:
    """The report as JSON: `text` for people (Slack and others show it), the rest for programs."""
    failed = list(_failed_steps(instance, run.run_id))
    named = ", ".join(f"{step} ({error})" for step, error in failed[:STEPS_NAMED])
    more = f" and {len(failed) - STEPS_NAMED} more" if len(failed) > STEPS_NAMED else ""
    where = f" at {named}{more}" if failed else " before or between its steps"
    ui = os.environ.get(UI_URL, "").strip().rstrip("/")
    link = f" {ui}/runs/{run.run_id}" if ui else ""
    record = instance.get_run_records(RunsFilter(run_ids=[run.run_id]), limit=1)
    ended = record[0].end_time if record else None
    return {
        "text": f"Run {run.run_id[:8]} of {run.job_name} failed{where}. "
        f"The tables of these steps stand as they were before the run.{link}",
        "job": run.job_name,
        "run_id": run.run_id,
        "failed_steps": [step for step, _ in failed],
        "errors": sorted({error for _, error in failed}),
        "ended_at": ended,
    }


def _failed_steps(instance: DagsterInstance, run_id: str) -> Iterator[tuple[str, str]]:
    records = instance.get_records_for_run(
        run_id, of_type={DagsterEventType.STEP_FAILURE}, limit=1000
    ).records
    for record in records:
        event = record.event_log_entry.dagster_event
        if event is None or event.step_key is None:
            continue
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        yield event.step_key, (error.cls_name if error else None) or "unknown error"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected becomes a GET without the message; treat it as not delivered."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def post(url: str, message: dict[str, Any], timeout: float = TIMEOUT_SECONDS) -> None:
    """Send a JSON message.

    Raises:
        DeliveryError: there was no answer in time, or one other than 2xx.
    """
    try:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise DeliveryError(f"{WEBHOOK} must be an http or https address")
        request = urllib.request.Request(
            url,
            data=json.dumps(message).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "personalization-assets"},
            method="POST",
        )
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout):
            return
    except urllib.error.HTTPError as error:
        error.close()
        raise DeliveryError(f"the address of {WEBHOOK} answered {error.code}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        kind = type(reason if isinstance(reason, BaseException) else error).__name__
        raise DeliveryError(f"the address of {WEBHOOK} did not take it: {kind}") from None
