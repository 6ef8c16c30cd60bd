"""Asks for a training when what people do, or what they click, is no longer what the model learnt.

The refresh measures this itself (`feedback.retraining_signals`); the sensor only reads the result
in the published copy, which never waits for a writer. A signal is asked for once a day: where the
gate keeps the old version although a signal is due, the next day asks again.
"""

import json
from pathlib import Path

import dagster as dg
import duckdb

REASON_TAG = "personalize/retrain"
"""On a run: the signals that asked for it."""

retrain = dg.define_asset_job(
    name="retrain",
    selection=dg.AssetSelection.groups("recommendations", "serving")
    | dg.AssetSelection.assets("feedback/retraining_signals"),
    executor_def=dg.in_process_executor,
    description=(
        "Trains the recommender, makes new lists and publishes them. Mails are not rendered: the "
        "next refresh does that."
    ),
    tags={"personalize/job": "retrain"},
)


def retraining_sensor(
    serving_file: Path,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """The sensor `retraining`, which requests the job `retrain` when a signal is due.

    The run key is the day and the version with the signals that are new that day, so a tick that is
    repeated asks for nothing twice; the cursor holds the day that each signal was last asked for.
    """

    @dg.sensor(
        name="retraining",
        job_name=retrain.name,
        minimum_interval_seconds=300,
        default_status=default_status,
        description=(
            "Requests a training when clicks fell, activity drifted or the model is old, as "
            "feedback.retraining_signals of the published copy says; once per signal and day."
        ),
    )
    def retraining(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        due = due_signals(serving_file)
        if not due:
            return dg.SkipReason("No signal asks for a training.")
        asked: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
        fresh = {s: day for s, (day, _) in due.items() if asked.get(s, "") < day}
        if not fresh:
            return dg.SkipReason(f"Asked for already: {', '.join(sorted(due))}.")
        reasons = ",".join(sorted(fresh))
        day, version = due[min(fresh)]
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"{day}:{version}:{reasons}",
                    tags={REASON_TAG: reasons, "personalize/started_by": "sensor"},
                )
            ],
            cursor=json.dumps({**asked, **fresh}, sort_keys=True),
        )

    return retraining


def due_signals(serving_file: Path) -> dict[str, tuple[str, str]]:
    """Day of the run and version of the model, for every signal that is due; nothing where the copy
    or the table is not there yet."""
    if not serving_file.exists():
        return {}
    with duckdb.connect(str(serving_file), read_only=True) as con:
        known = con.execute(
            "SELECT count(*) FROM information_schema.tables"
            " WHERE table_schema = 'feedback' AND table_name = 'retraining_signals'"
        ).fetchall()[0][0]
        if not known:
            return {}
        rows = con.execute(
            "SELECT signal, as_of::DATE::VARCHAR, model_version FROM feedback.retraining_signals"
            " WHERE is_due ORDER BY signal"
        ).fetchall()
    return {signal: (day, version) for signal, day, version in rows}
