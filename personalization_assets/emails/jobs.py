"""Parts of a batch: what a process needs to render one, and what it answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign, Variant
from personalization_assets.emails.links import Signer
from personalization_assets.emails.liquid_batch import Report
from personalization_assets.emails.render import MAIL_COLUMNS, MailRenderer
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.storage import write_parquet
from personalization_assets.emails.templates import MailTemplates, compile_variant


@dataclass(frozen=True)
class Recipe:
    """What one variant's mails are made with."""

    campaign: Campaign
    variant: Variant
    brand: Brand
    contract: dict[str, pa.DataType]
    settings: EmailsSettings
    as_of: datetime
    signer: Signer
    model_version: str | None

    @property
    def key(self) -> tuple[str, str]:
        """Campaign and variant."""
        return self.campaign.name, self.variant.name


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
    """Renders jobs one after the other; templates of a variant are compiled once."""

    def __init__(self) -> None:
        self._renderers: dict[tuple[str, str], MailRenderer] = {}

    def render(self, job: Job, templates: MailTemplates | None = None) -> Answer:
        """Render a part and write it. `templates` spares compiling them anew.

        Raises:
            UserError: a chunk took longer than it may.
        """
        renderer = self._renderer(job.recipe, templates)
        rows = write_parquet(job.part, self._mails(job, renderer), MAIL_COLUMNS)
        return Answer(job, rows, renderer.reports)

    def _renderer(self, recipe: Recipe, templates: MailTemplates | None) -> MailRenderer:
        if recipe.key not in self._renderers:
            made = templates or compile_variant(
                recipe.campaign,
                recipe.variant,
                recipe.brand,
                recipe.contract,
                recipe.settings,
                recipe.as_of,
            )
            self._renderers[recipe.key] = MailRenderer(
                made,
                recipe.signer,
                recipe.as_of,
                recipe.model_version,
                seconds=recipe.settings.chunk_seconds,
            )
        return self._renderers[recipe.key]

    def _mails(self, job: Job, renderer: MailRenderer) -> Iterator[pa.RecordBatch]:
        chunk = job.recipe.settings.chunk_rows
        with pa.memory_map(str(job.contexts)) as source, pa.ipc.open_file(source) as reader:
            for number in range(job.first, job.last):
                batch = reader.get_batch(number)
                for start in range(0, batch.num_rows, chunk):
                    yield renderer.render(batch.slice(start, chunk))
