"""`personalize run`: materialize the asset graph in this process and show how it goes."""

import datetime as dt
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console

from personalization_assets.commands.watcher import Watcher
from personalization_assets.definitions import build_definitions, warehouse_of
from personalization_assets.errors import UserError
from personalization_assets.settings import PROJECT, Settings
from personalization_assets.sources.config import load_sources
from personalization_assets.sources.feeds import try_out

JOB = "refresh"
STARTED_BY = "personalize/started_by"
WAREHOUSE_TAG = "personalize/warehouse"
UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]


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
        UserError: another run or process holds the warehouse, or a file that the settings name is
            wrong; no table has been touched then.
        KeyboardInterrupt: somebody stopped it; the tables are whole, and this has been said.
    """
    definitions = build_definitions(settings)
    try_out(load_sources(settings.sources_file))
    job = definitions.resolve_job_def(JOB)
    keys = _chosen(definitions, select)
    # Held from here to the end, so that no other run works between the tables of this one.
    warehouse = warehouse_of(settings).model_copy(update={"wait_seconds": 2.0})
    with warehouse.connect(), _instance(settings) as instance:
        tags = {
            STARTED_BY: "command line",
            WAREHOUSE_TAG: str(settings.warehouse_file.resolve()),
        }
        _end_what_was_killed(instance, tags)
        watcher = Watcher(console, sorted(k.to_user_string() for k in keys), progress)
        run_id = dg.DagsterRun(job_name=JOB).run_id
        instance.add_event_listener(run_id, watcher.see)
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            asset_selection=sorted(keys) if select else None,
            run_config=_run_config(as_of),
            raise_on_error=False,
            tags=tags,
        )
    watcher.finish(result.success)
    if watcher.interrupted:
        raise KeyboardInterrupt
    return result.success


def _chosen(definitions: dg.Definitions, select: Sequence[str]) -> set[dg.AssetKey]:
    graph = definitions.resolve_asset_graph()
    if not select:
        return set(graph.materializable_asset_keys)
    keys: set[dg.AssetKey] = set()
    for selection in select:
        try:
            # Tables that one step publishes together can only be chosen together.
            chosen = dg.AssetSelection.from_string(selection).required_multi_asset_neighbors()
            found = chosen.resolve(graph)
        except dg.DagsterError:
            found = set()
        if not found:
            raise UserError(
                f"--select '{selection}' names no table: write it like profiles/golden_profiles, "
                "+key:emails/batches (with all that it needs) or group:standardized."
            )
        keys |= found
    return keys


def _run_config(as_of: dt.datetime | None) -> dict[str, Any]:
    # The event log keeps everything; the terminal shows what the watcher prints.
    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if as_of:
        config["resources"] = {"clock": {"config": {"as_of": as_of.isoformat()}}}
    return config


def _end_what_was_killed(instance: dg.DagsterInstance, tags: dict[str, str]) -> None:
    """Close runs of ours that never said that they ended; Dagster's queue would wait for them.

    This process holds the warehouse, so none of them can be alive.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags=tags)):
        instance.report_run_failed(run, "The process was killed; its finished tables stand.")


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
