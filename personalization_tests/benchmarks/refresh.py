"""What a refresh of the whole graph costs on the sample shop, room by room.

Baselines: a graph of 15 assets that do nothing, in the same Dagster; and for the code location's
load time, `import dagster` alone.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personalization_tests.benchmarks.measure import COST, Cost, measured, scratch, show, times
from personalization_tests.benchmarks.shops import END, sample_data

EMPTY_ASSETS = 15
LOADS = 3
LOCATION = (
    "from personalization_assets.definitions import definitions;"
    " definitions().resolve_asset_graph()"
)


@dataclass
class Watcher:
    """CPU and wall seconds between start and end of each step, summed by room (steps run singly).

    What Dagster does between steps belongs to no room.
    """

    rooms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    begun: tuple[float, float] = (0.0, 0.0)

    def see(self, entry: Any) -> None:
        """Called by Dagster for each event, in the process that runs the steps."""
        event = entry.dagster_event
        if event is None:
            return
        if event.event_type_value == "STEP_START":
            self.begun = (time.process_time(), time.perf_counter())
        elif event.event_type_value in ("STEP_SUCCESS", "STEP_FAILURE"):
            room = self.rooms[str(event.step_key).split("__")[0]]
            room[0] += 1
            room[1] += time.process_time() - self.begun[0]
            room[2] += time.perf_counter() - self.begun[1]


def graph(folder: Path, people: int) -> Callable[[], dict[str, list[float]]]:
    """Work that loads the platform and refreshes it; gives steps, CPU and wall by room."""
    sample_data(folder, people)
    return lambda: _refresh(folder)


def again(folder: Path) -> Callable[[], dict[str, list[float]]]:
    """Work that refreshes it once more, nothing having changed."""
    return lambda: _refresh(folder)


def _refresh(folder: Path) -> dict[str, list[float]]:
    import dagster as dg

    from personalization_assets.commands.run import JOB
    from personalization_assets.definitions import build_definitions
    from personalization_assets.settings import Settings

    settings = Settings(data_dir=folder, warehouse=folder / "warehouse.duckdb")
    job = build_definitions(settings).resolve_job_def(JOB)
    return _execute(
        dg, job, {"resources": {"clock": {"config": {"as_of": END.isoformat()}}}, **_quiet()}
    )


def floor() -> Callable[[], dict[str, list[float]]]:
    """Work that imports Dagster and runs a chain of empty assets."""

    def work() -> dict[str, list[float]]:
        import dagster as dg

        def empty(number: int) -> Any:
            deps = [f"asset_{number - 1}"] if number else []

            @dg.asset(name=f"asset_{number}", deps=deps)
            def nothing() -> None:
                return None

            return nothing

        definitions = dg.Definitions(
            assets=[empty(i) for i in range(EMPTY_ASSETS)],
            jobs=[dg.define_asset_job("all", executor_def=dg.in_process_executor)],
        )
        return _execute(dg, definitions.resolve_job_def("all"), _quiet())

    return work


def _quiet() -> dict[str, Any]:
    return {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def _execute(dg: Any, job: Any, config: dict[str, Any]) -> dict[str, list[float]]:
    watcher = Watcher()
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = dg.DagsterRun(job_name=job.name).run_id
        instance.add_event_listener(run_id, watcher.see)
        job.execute_in_process(instance=instance, run_id=run_id, run_config=config)
    return dict(watcher.rooms)


def load_seconds(code: str) -> tuple[float, float]:
    """Wall and CPU seconds of a Python that runs `code`: the best of a few."""
    seen = []
    for _ in range(LOADS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        environment = {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "yes"}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seen.append((time.perf_counter() - started, cpu))
    return min(s for s, _ in seen), min(c for _, c in seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5_000)
    people = parser.parse_args().people
    plain, ours = load_seconds("import dagster"), load_seconds(LOCATION)
    loads = [("import dagster", plain), ("the code location", ours)]
    rows = [[n, f"{s:.2f}", f"{c:.2f}", times(c, plain[1])] for n, (s, c) in loads]
    show(f"Load time, best of {LOADS}", ["what", "seconds", "CPU s", "to import"], rows)

    with scratch() as folder:
        _, empty = measured(floor)
        rooms, first = measured(graph, folder / "data", people)
        _, second = measured(again, folder / "data")

    def line(name: str, cost: Cost) -> list[str]:
        return [name, *cost.cells(), times(cost.cpu, empty.cpu)]

    runs = [
        line(f"import dagster, {EMPTY_ASSETS} empty assets", empty),
        line("refresh", first),
        line("refresh again, nothing new", second),
    ]
    show(f"The whole graph on {people:,} people", ["what", *COST, "to empty"], runs)
    spent = sum(cpu for _, cpu, _ in rooms.values())
    by_room = [
        [room, f"{steps:.0f}", f"{wall:.2f}", f"{cpu:.2f}", f"{cpu / first.cpu:.0%}"]
        for room, (steps, cpu, wall) in sorted(rooms.items(), key=lambda r: -r[1][1])
    ]
    between = first.cpu - spent
    by_room.append(
        ["loading, and between steps", "", "", f"{between:.2f}", f"{between / first.cpu:.0%}"]
    )
    show("By room", ["room", "steps", "seconds", "CPU s", "share"], by_room)


if __name__ == "__main__":
    main()
