"""A Dagster sensor that looks at the sources' folders and requests a run when files have come."""

import hashlib
import json
import time
from collections.abc import Callable

import dagster as dg

from personalization_assets.sources import files
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.sources.settings import SourcesSettings


def new_files_sensor(
    config: SourcesConfig,
    reading: SourcesSettings | None = None,
    job_name: str = "refresh",
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
    now: Callable[[], float] = time.time,
) -> dg.SensorDefinition:
    """The sensor `new_files`, which requests the job that refreshes all.

    It looks at names, sizes and times of change only; whether the content is new is for the run to
    find out. A file that changed within `settle_seconds` waits for the next tick. The cursor holds
    what runs were requested for, and the run key is the state of all files, so that no state is
    run twice.
    """
    reading = reading or SourcesSettings()

    @dg.sensor(
        name="new_files",
        job_name=job_name,
        minimum_interval_seconds=60,
        default_status=default_status,
        description="Requests a refresh when a source has a new or changed file that is complete.",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        seen = set(json.loads(context.cursor)) if context.cursor else set()
        here: set[str] = set()
        fresh: dict[str, int] = {}
        writing = 0
        for name, source in config.sources.items():
            for file in files.discover(config.pattern(name), config.base, source.format):
                mark = _mark(name, file)
                if mark in seen:
                    here.add(mark)
                elif file.name.endswith(files.UNFINISHED) or _young(file, reading, now()):
                    writing += 1
                else:
                    here.add(mark)
                    fresh[name] = fresh.get(name, 0) + 1
        left = f", {_files(writing)} still being written" if writing else ""
        if not fresh:
            return dg.SkipReason(f"No new or changed file among {_files(len(here))}{left}.")
        where = ", ".join(f"{name} ({count})" for name, count in fresh.items())
        context.log.info(f"New or changed files in {where}{left}.")
        state = hashlib.sha256("\n".join(sorted(here)).encode()).hexdigest()[:16]
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=state, tags={"new_files": str(sum(fresh.values()))})
            ],
            cursor=json.dumps(sorted(here)),
        )

    return new_files


def _mark(source: str, file: files.Found) -> str:
    """A file's state in twelve digits: the cursor has one for every file."""
    state = f"{source}\0{file.name}\0{file.size}\0{file.modified_ns}"
    return hashlib.sha256(state.encode()).hexdigest()[:12]


def _young(file: files.Found, reading: SourcesSettings, now: float) -> bool:
    """A time of change in the future says nothing: such a file does not wait for ever."""
    return 0 <= now - file.modified_ns / 1e9 < reading.settle_seconds


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"
