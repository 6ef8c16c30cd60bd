"""From tables to mails: what `assets.py`, the gallery and the preview need."""

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from personalization_assets.emails import shown
from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.contexts import contexts, prepare
from personalization_assets.emails.jobs import Answer, Bench, Job, Recipe
from personalization_assets.emails.links import Signer
from personalization_assets.emails.liquid_batch import Report
from personalization_assets.emails.mail_context import mail_contract, profile_columns
from personalization_assets.emails.render import utm_query
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.templates import MailTemplates, compile_variant
from personalization_assets.errors import UserError

CONTEXT_ROWS = 8_192
"""Contexts in a batch of the file that workers read."""
PART_BATCHES = 6
"""Batches in a part. Parts don't depend on how many workers there are."""
WAITING = "contexts.arrow"


@dataclass
class BatchReport:
    """What a run rendered: numbers for people, no personal data."""

    rows: dict[str, int] = field(default_factory=dict)
    """Mails by campaign, whatever their status."""
    templates: dict[tuple[str, str, str], Report] = field(default_factory=dict)
    """By campaign, variant and part of the mail."""
    parts: list[Path] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All mails."""
        return sum(self.rows.values())

    def take(self, answer: Answer) -> None:
        """Note a rendered part."""
        campaign = answer.job.recipe.key[0]
        self.rows[campaign] = self.rows.get(campaign, 0) + answer.rows


def compile_all(
    con: duckdb.DuckDBPyConnection,
    campaigns: Sequence[Campaign],
    brand: Brand,
    settings: EmailsSettings,
    as_of: datetime,
) -> list[MailTemplates]:
    """The templates of all variants of all campaigns, checked against the warehouse's profiles.

    Raises:
        UserError: the first mistake in any template.
    """
    contract = mail_contract(profile_columns(con))
    return [
        compile_variant(campaign, variant, brand, contract, settings, as_of)
        for campaign in campaigns
        for variant in campaign.file.variants
    ]


def contexts_of(
    con: duckdb.DuckDBPyConnection,
    templates: MailTemplates,
    rows: int,
    customers: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Contexts of a variant's mails, after `contexts.prepare`."""
    return contexts(
        con,
        templates.campaign,
        templates.variant.name,
        templates.brand,
        utm_query(templates),
        templates.customer_fields,
        profile_columns(con),
        rows,
        customers,
    )


def render_parts(
    con: duckdb.DuckDBPyConnection,
    compiled: Sequence[MailTemplates],
    signer: Signer,
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> BatchReport:
    """Render every `send` of emails.audience into Parquet parts in `folder`, `<campaign>-<variant>-
    <number>.parquet`.

    The temporary table mail_places then holds what they recommend (`shown`). Nothing else is held
    whole. A large batch is shared out to `settings.workers` processes; which of
    them renders a part changes nothing about it.

    Raises:
        UserError: a chunk of mails took longer than it may.
    """
    report = BatchReport()
    folder.mkdir(parents=True, exist_ok=True)
    if not compiled:
        return report
    settings = compiled[0].settings
    prepare(con, compiled[0].brand, settings.bestseller_days)
    shown.prepare(con)
    model = con.execute("SELECT max(model_version) FROM recommendations.top_products").fetchall()
    sends = con.execute("SELECT count(*) FROM emails.audience WHERE decision = 'send'").fetchall()
    workers = settings.workers or min(os.cpu_count() or 1, 8)
    alone = workers == 1 or sends[0][0] < settings.parallel_from
    with _Crew(0 if alone else workers, report, progress) as crew:
        for templates in compiled:
            recipe = Recipe(templates, signer, model[0][0])
            name = f"{templates.campaign.name}-{templates.variant.name}"
            waiting = folder / f"{name}-{WAITING}"
            batches = _write_contexts(waiting, contexts_of(con, templates, CONTEXT_ROWS))
            jobs = [
                Job(
                    recipe,
                    waiting,
                    first,
                    min(first + PART_BATCHES, batches),
                    folder / f"{name}-{first // PART_BATCHES:05d}.parquet",
                )
                for first in range(0, batches, PART_BATCHES)
            ]
            crew.work(jobs)
            shown.note(con, templates, [job.part for job in jobs])
            report.parts += [job.part for job in jobs]
            waiting.unlink()
    return report


def _write_contexts(path: Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Write contexts to a file that workers map into memory; returns the number of batches."""
    first = next(batches)
    count = 1
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)
            count += 1
    return count


class _Crew:
    """Worker processes, or this one alone."""

    def __init__(self, workers: int, report: BatchReport, progress: Callable[[str], None]) -> None:
        self._report, self._progress = report, progress
        self._bench = Bench()
        self._workers = [_start() for _ in range(workers)]
        self._counts: dict[tuple[int, str, str, str], Report] = {}

    def __enter__(self) -> "_Crew":
        return self

    def __exit__(self, *_raised: object) -> None:
        for worker in self._workers:
            # Not `terminate`: what is started behind a shell's `&` ignores SIGINT, Dagster then has
            # SIGTERM ignored too, and the workers inherit that.
            worker.kill()
            worker.wait()
        for (_, campaign, variant, part), counts in self._counts.items():
            whole = self._report.templates.setdefault((campaign, variant, part), counts)
            if whole is not counts:
                whole.add(counts)

    def work(self, jobs: Sequence[Job]) -> None:
        """Render all parts of a variant.

        Raises:
            UserError: what a worker refused, in its words.
        """
        if not self._workers:
            for job in jobs:
                self._take(0, self._bench.render(job))
            return
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        answers: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        for place, worker in enumerate(self._workers):
            threading.Thread(
                target=_drive, args=(place, worker, waiting, answers), daemon=True
            ).start()
        for _ in jobs:
            self._take(*answers.get())

    def _take(self, number: int, answer: Answer) -> None:
        if answer.refusal:
            raise UserError(answer.refusal)
        if answer.failure:
            raise RuntimeError(f"A worker that rendered mails failed: {answer.failure}")
        self._report.take(answer)
        for part, counts in answer.reports.items():
            self._counts[(number, *answer.job.recipe.key, part)] = counts
        self._progress(f"{self._report.total:,} e-mails rendered")


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "personalization_assets.emails.worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _drive(
    number: int,
    worker: subprocess.Popen[bytes],
    waiting: "queue.SimpleQueue[Job]",
    answers: "queue.SimpleQueue[tuple[int, Answer]]",
) -> None:
    """Hand jobs to a worker one after the other, until none waits."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            pickle.dump(job, worker.stdin)
            worker.stdin.flush()
            answer: Answer = pickle.load(worker.stdout)
        except Exception as error:
            # Whatever it is, whoever waits for the answer has to hear of it.
            answer = Answer(job, failure=f"{type(error).__name__}, exit code {worker.poll()}")
        answers.put((number, answer))
