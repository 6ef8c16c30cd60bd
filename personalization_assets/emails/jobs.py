"""Parts of a batch: what a process needs to render one, and what it answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from personalization_assets.emails.links import Signer
from personalization_assets.emails.liquid_batch import Report
from personalization_assets.emails.render import MAIL_COLUMNS, MailRenderer
from personalization_assets.emails.storage import write_parquet
from personalization_assets.emails.templates import MailTemplates


@dataclass(frozen=True)
class Recipe:
    """What one variant's mails are made with."""

    templates: MailTemplates
    signer: Signer
    model_version: str | None

    @property
    def key(self) -> tuple[str, str]:
        """Campaign and variant."""
        return self.templates.campaign.name, self.templates.variant.name


@dataclass(frozen=True)
class Job:
    """A part to render: batches of a file of contexts, and where the mails go."""

    recipe: Recipe
    contexts: Path
    first: int
    last: int
    part: Path


@dataclass
class Answer:
    """What came of a job: rows, the counts of its templates since the last answer, or a refusal."""

    job: Job
    rows: int = 0
    reports: dict[str, Report] = field(default_factory=dict)
    refusal: str = ""
    failure: str = ""


class Bench:
    """Renders jobs one after the other; templates of a variant are parsed and compiled once."""

    def __init__(self) -> None:
        self._renderers: dict[tuple[str, str], MailRenderer] = {}

    def render(self, job: Job) -> Answer:
        """Render a part and write it.

        Raises:
            UserError: a chunk took longer than it may.
        """
        renderer = self._renderer(job.recipe)
        rows = write_parquet(job.part, self._mails(job, renderer), MAIL_COLUMNS)
        return Answer(job, rows, renderer.reports)

    def _renderer(self, recipe: Recipe) -> MailRenderer:
        if recipe.key not in self._renderers:
            templates = recipe.templates
            self._renderers[recipe.key] = MailRenderer(
                templates,
                recipe.signer,
                templates.as_of,
                recipe.model_version,
                seconds=templates.settings.chunk_seconds,
            )
        return self._renderers[recipe.key]

    def _mails(self, job: Job, renderer: MailRenderer) -> Iterator[pa.RecordBatch]:
        chunk = job.recipe.templates.settings.chunk_rows
        with pa.memory_map(str(job.contexts)) as source, pa.ipc.open_file(source) as reader:
            for number in range(job.first, job.last):
                batch = reader.get_batch(number)
                for start in range(0, batch.num_rows, chunk):
                    yield renderer.render(batch.slice(start, chunk))
