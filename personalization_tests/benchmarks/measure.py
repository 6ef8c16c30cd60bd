"""What a piece of work costs, and tables of figures as text.

Every measurement runs in a fresh process: caches, loaded libraries and peaks of one do not help or
hurt the next.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds of the timed part, and the process's peak memory during it (MB)."""

    seconds: float
    cpu: float
    peak_mb: float

    def cells(self) -> list[str]:
        """The three numbers as cells of a table, see `COST`."""
        return [f"{self.seconds:.2f}", f"{self.cpu:.2f}", f"{self.peak_mb:,.0f}"]


COST = ["seconds", "CPU s", "peak MB"]


def measured(prepare: Callable[..., Callable[[], T]], *args: Any) -> tuple[T, Cost]:
    """Run `prepare(*args)()` in a fresh process; only the second call is timed.

    Both have to be picklable: `prepare` a function of a module, the result small. Peak memory is
    that of the process, so libraries and what `prepare` holds are in it.

    Raises:
        RuntimeError: the process ended without a result; it has printed why.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_measure, args=(theirs, prepare, args))
    process.start()
    theirs.close()
    try:
        result, cost = ours.recv()
    except EOFError:
        raise RuntimeError(f"{prepare.__name__} ended without a result") from None
    finally:
        process.join()
    return result, cost


def _measure(out: Connection, prepare: Callable[..., Callable[[], Any]], args: Any) -> None:
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    os.dup2(2, 1)  # what libraries say on the way goes to standard error; figures stay alone
    work = prepare(*args)
    _forget_peak()
    cpu, started = _cpu(), time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    out.send((result, Cost(seconds, _cpu() - cpu, _peak_mb())))


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _forget_peak() -> None:
    """Start the peak anew where the system can (Linux); elsewhere it is of the whole process."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _peak_mb() -> float:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        unit = 1024**2 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def show(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table: the first column to the left, figures to the right."""
    widths = [max(len(r[i]) for r in [headers, *rows]) for i in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        padded = [c.rjust(w) for c, w in zip(others, widths[1:], strict=True)]
        return "| " + " | ".join([first.ljust(widths[0]), *padded]) + " |"

    print(f"\n{title}\n")
    print(line(headers))
    print("|" + "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])]) + "|")
    for row in rows:
        print(line(row))
    sys.stdout.flush()


def times(value: float, baseline: float) -> str:
    """How many times the baseline; below 1 is worse where more is better."""
    return f"{value / baseline:.2f} x" if baseline else "-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        yield Path(folder)


def shared_data() -> Path | None:
    """Public data sets beside the repository, or where PERSONALIZE_SHARED_DATA says."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("PERSONALIZE_SHARED_DATA", default))
    return folder if folder.is_dir() else None


NO_SHARED_DATA = "skipped: no shared data here; set PERSONALIZE_SHARED_DATA to the folder."
