"""`personalize run`: materialize the asset graph in this process and show how it goes."""

import datetime as dt
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console

from personalization_assets.definitions import build_definitions
from personalization_assets.errors import UserError
from personalization_assets.settings import PROJECT, Settings
from personalization_assets.warehouse import Warehouse

JOB = "refresh"


def run_all(
    settings: Settings,
    console: Console,
    as_of: dt.datetime | None = None,
    select: Sequence[str] = (),
    progress: bool = True,
) -> bool:
    """Refresh every table (or those that `select`, a list of Dagster selections, names).

    Returns whether all of it succeeded; what failed is printed as one sentence each.

    Raises:
        UserError: another process holds the warehouse, or a file the settings name is wrong.
    """
    definitions = build_definitions(settings)
    job = definitions.resolve_job_def(JOB)
    _refuse_if_held(settings)
    keys: set[dg.AssetKey] | None = None
    if select:
        graph = definitions.resolve_asset_graph()
        keys = set()
        for selection in select:
            keys |= dg.AssetSelection.from_string(selection).resolve(graph)
    with _instance(settings) as instance:
        watcher = _Watcher(console, _count(definitions, keys), progress)
        run_id = dg.DagsterRun(job_name=JOB).run_id
        instance.add_event_listener(run_id, watcher.see)
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            asset_selection=sorted(keys) if keys is not None else None,
            run_config=_run_config(as_of),
            raise_on_error=False,
            tags={"personalize/started_by": "command line"},
        )
    watcher.finish(result.success)
    return result.success


def _run_config(as_of: dt.datetime | None) -> dict[str, Any]:
    # The event log keeps everything; the terminal shows what `_Watcher` prints.
    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if as_of:
        config["resources"] = {"clock": {"config": {"as_of": as_of.isoformat()}}}
    return config


def _refuse_if_held(settings: Settings) -> None:
    with Warehouse(database=str(settings.warehouse_file), wait_seconds=2).connect():
        pass


def _count(definitions: dg.Definitions, keys: set[dg.AssetKey] | None) -> int:
    graph = definitions.resolve_asset_graph()
    return len(keys if keys is not None else graph.materializable_asset_keys)


def _instance(settings: Settings) -> dg.DagsterInstance:
    """The instance whose history `make dev` shows; another warehouse gets none of its own."""
    if settings.warehouse is not None and "DAGSTER_HOME" not in os.environ:
        return dg.DagsterInstance.ephemeral()
    return dg.DagsterInstance.from_config(str(dagster_home(settings)))


def dagster_home(settings: Settings) -> Path:
    """Where Dagster keeps its history: DAGSTER_HOME, else `data/.dagster`, made on first use."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.data_dir / ".dagster").resolve()
    home.mkdir(parents=True, exist_ok=True)
    config = PROJECT / "dagster.yaml"
    if config.exists() and not (home / "dagster.yaml").exists():
        shutil.copyfile(config, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


class _Watcher:
    """Prints a line per table as it is published, and a sentence per failure."""

    def __init__(self, console: Console, total: int, progress: bool) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._progress = progress
        self._started = time.monotonic()
        self._failures: list[str] = []
        self._skipped: list[str] = []

    def see(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if event.is_step_materialization:
            self._done += 1
            materialization = event.step_materialization_data.materialization
            rows = materialization.metadata.get("dagster/row_count")
            seconds = materialization.metadata.get("seconds")
            self._line(
                "/".join(materialization.asset_key.path) if materialization.asset_key else "",
                f"{rows.value:,} rows" if rows and isinstance(rows.value, int) else "",
                f"{seconds.value} s" if seconds else "",
            )
        elif event.is_step_failure:
            error = event.step_failure_data.error
            self._failures.append(f"{event.step_key}: {_sentence(error)}")
        elif event.is_step_skipped or event.event_type_value == "STEP_UP_FOR_RETRY":
            self._skipped.append(str(event.step_key))

    def _line(self, name: str, rows: str, seconds: str) -> None:
        if self._progress:
            self._console.print(
                f"[dim]{self._done:>3}/{self._total}[/dim] {name:<38} {rows:>16} {seconds:>9}",
                highlight=False,
            )

    def finish(self, success: bool) -> None:
        seconds = time.monotonic() - self._started
        if success:
            self._console.print(f"[green]{self._done} tables published[/green] in {seconds:.0f} s")
            return
        for failure in self._failures:
            self._console.print(f"[red]failed[/red] {failure}", highlight=False)
        if self._skipped:
            self._console.print(f"[yellow]not run[/yellow] {', '.join(sorted(self._skipped))}")
        self._console.print(
            "What failed left its table as it was; run again when the cause is mended.",
        )


def _sentence(error: object) -> str:
    """The innermost message of a failure; a `dg.Failure` carries a sentence of ours."""
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    message = str(getattr(error, "message", error)).strip()
    first = message.removeprefix("dagster._core.definitions.events.Failure: ")
    return first.splitlines()[0] if first else "no message"


def require(path: Path, what: str, remedy: str) -> None:
    """Raise a `UserError` when a file that a command needs is not there."""
    if not path.exists():
        raise UserError(f"There is no {what} at {path}: {remedy}")
