"""What a terminal shows of a run: a line per table, then what somebody has to look at."""

import time
from collections.abc import Sequence

import dagster as dg
from rich.console import Console
from rich.markup import escape

SAID_OF_FILES = {
    "refused": "",
    "missing_columns": "",
    "left_for_the_next_run": ": left for the next run.",
    "notes": ".",
}
"""Metadata of a source about its files, a line each, and how the line ends."""

LISTED = 8
"""So many tables are named; of more, only the number and the rooms."""


class Watcher:
    """Listens to Dagster's events; `see` while the run works, `finish` when it has ended.

    `tables` are the assets that the run is to publish. Sentences come from checks and failures;
    neither ever holds a value of a row.
    """

    def __init__(self, console: Console, tables: Sequence[str], progress: bool) -> None:
        self._console = console
        self._missing = dict.fromkeys(tables)
        self._total = len(tables)
        self._progress = progress
        self._started = time.monotonic()
        self._failures: dict[str, str] = {}
        self.interrupted = False
        self._attention: list[tuple[str, str]] = []
        self._warnings = 0

    def see(self, entry: dg.EventLogEntry) -> None:
        """Take in one event of the run."""
        event = entry.dagster_event
        if event is None:
            return
        if event.is_step_materialization:
            self._published(event.step_materialization_data.materialization)
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self._judged(event.asset_check_evaluation_data)
        elif event.is_step_failure:
            name = str(event.step_key).replace("__", "/", 1)
            self._failures[name] = sentence(event.step_failure_data.error)
            if _interruption(self._failures[name]):
                self.interrupted = True
                self._failures[name] = "the run was interrupted while it was at work on this table"
        elif event.is_run_failure:
            said = sentence(event.job_failure_data.error)
            if _interruption(said):  # it struck between two tables
                self.interrupted = True
                said = "the run was interrupted"
            if not self._failures:
                self._failures["the run"] = said

    def _published(self, materialization: dg.AssetMaterialization) -> None:
        name = materialization.asset_key.to_user_string()
        self._missing.pop(name, None)
        metadata = materialization.metadata
        rows, seconds = metadata.get("dagster/row_count"), metadata.get("seconds")
        if self._progress:
            done = self._total - len(self._missing)
            count = f"{rows.value:,} rows" if rows and isinstance(rows.value, int) else ""
            spent = f"{float(str(seconds.value)):.1f} s" if seconds else ""
            self._console.print(
                f"[dim]{done:>3}/{self._total}[/dim] {name:<38} {count:>16} {spent:>9}",
                highlight=False,
            )
        for key, ending in SAID_OF_FILES.items():
            if key in metadata:
                for line in str(metadata[key].value).splitlines():
                    self._attention.append((name, line + ending))

    def _judged(self, check: dg.AssetCheckEvaluation) -> None:
        if check.passed:
            return
        if check.check_name in ("every_file_was_read", "mapped_columns_are_there"):
            return  # said file by file, from the metadata
        if check.severity == dg.AssetCheckSeverity.ERROR:
            text = check.description or f"the check {check.check_name} failed"
            self._attention.append((check.asset_key.to_user_string(), text))
        else:
            self._warnings += 1

    def finish(self, success: bool) -> None:
        """Print how it ended."""
        seconds = time.monotonic() - self._started
        done = self._total - len(self._missing)
        # What a failure says already need not be said by the checks of the same table again.
        notes = [(n, text) for n, text in self._attention if n not in self._failures]
        if notes:
            self._console.print("\n[yellow]Look at this:[/yellow]")
            for name, text in notes:
                self._say(f"  {name}: {text}")
        for name, text in self._failures.items():
            self._say(f"[red]failed[/red] {name}: ", text)
        skipped = [name for name in self._missing if name not in self._failures]
        if not success and skipped:
            which = ", ".join(skipped)
            if len(skipped) > LISTED:
                rooms = ", ".join(dict.fromkeys(name.split("/")[0] for name in skipped))
                which = f"{len(skipped)} tables of {rooms}"
            why = "" if self.interrupted else ", for they need what failed"
            self._say(f"[yellow]not run[/yellow]{why}: {which}")
        warned = f"; {self._warnings} checks warn, see the Dagster UI" if self._warnings else ""
        if success:
            self._say(f"[green]{done} tables are up to date[/green] after {seconds:.0f} s{warned}")
            return
        self._say(
            f"{done} of {self._total} tables are up to date after {seconds:.0f} s, the others are "
            f"as they were: {'' if self.interrupted else 'mend what failed and '}run again."
        )

    def _say(self, markup: str, text: str = "") -> None:
        self._console.print(markup + escape(text), highlight=False, soft_wrap=True)


def _interruption(said: str) -> bool:
    return "DagsterExecutionInterruptedError" in said or "KeyboardInterrupt" in said


def sentence(error: object) -> str:
    """The innermost message of a failure; a `dg.Failure` carries a sentence of ours."""
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    message = str(getattr(error, "message", error)).strip()
    first = message.removeprefix("dagster._core.definitions.events.Failure: ")
    return first.splitlines()[0] if first else "no message"
