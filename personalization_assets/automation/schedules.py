"""When the platform refreshes itself."""

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg

from personalization_assets.automation.jobs import refresh
from personalization_assets.errors import UserError

NIGHTLY = "0 3 * * *"
"""After the source systems' exports of the day, before people come to work."""


def nightly_schedule(time_zone: str) -> dg.ScheduleDefinition:
    """A refresh at three in the night of `time_zone`.

    A run takes the time it was scheduled for as its `as_of`, not the moment it starts: a run that
    waited in the queue, or is tried again, gives the same tables.

    Raises:
        UserError: the time zone is not in the IANA database.
    """
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise UserError(
            f"time_zone '{time_zone}' in the settings is not known: write it like Europe/Berlin."
        ) from None

    @dg.schedule(
        job=refresh,
        name="nightly_refresh",
        cron_schedule=NIGHTLY,
        execution_timezone=time_zone,
        description=f"Refreshes every table at 03:00 ({time_zone})",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        scheduled = context.scheduled_execution_time.astimezone(dt.UTC).replace(tzinfo=None)
        return dg.RunRequest(
            run_key=scheduled.isoformat(),
            run_config={"resources": {"clock": {"config": {"as_of": scheduled.isoformat()}}}},
            tags={"personalize/started_by": "schedule"},
        )

    return nightly_refresh
