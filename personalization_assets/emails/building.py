"""From tables to mails: what `assets.py` and the gallery both need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.handover import write_parquet
from personalization_assets.emails.links import Signer
from personalization_assets.emails.contexts import contexts, prepare
from personalization_assets.emails.mail_context import mail_contract, profile_columns
from personalization_assets.emails.render import MAIL_COLUMNS, render, utm_query
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.templates import MailTemplates, compile_variant


@dataclass(frozen=True)
class BatchReport:
    """What a run rendered: numbers for people, no personal data."""

    rows: dict[str, int]
    """Mails by campaign, whatever their status."""

    @property
    def total(self) -> int:
        """All mails."""
        return sum(self.rows.values())


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


def render_parts(
    con: duckdb.DuckDBPyConnection,
    compiled: Sequence[MailTemplates],
    settings: EmailsSettings,
    signer: Signer,
    as_of: datetime,
    folder: Path,
) -> BatchReport:
    """Render every `send` of emails.audience, one Parquet part per campaign variant.

    Mails pass through in chunks; nothing is held whole. Parts of an earlier run in `folder` are
    removed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.parquet*"):
        old.unlink()
    rows: dict[str, int] = {}
    columns = profile_columns(con)
    model = con.execute("SELECT max(model_version) FROM recommendations.top_products").fetchall()[
        0
    ][0]
    if compiled:
        prepare(con, compiled[0].brand, settings.bestseller_days)
    for templates in compiled:
        name = templates.campaign.name
        reader = _contexts(con, templates, columns, settings.chunk_rows)
        part = folder / f"{name}-{templates.variant.name}.parquet"
        mails = render(templates, reader, signer, as_of, model)
        rows[name] = rows.get(name, 0) + write_parquet(part, mails, MAIL_COLUMNS)
    return BatchReport(rows)


def _contexts(
    con: duckdb.DuckDBPyConnection,
    templates: MailTemplates,
    columns: dict[str, pa.DataType],
    chunk: int,
) -> Iterator[pa.RecordBatch]:
    yield from contexts(
        con,
        templates.campaign,
        templates.variant.name,
        templates.brand,
        utm_query(templates),
        templates.customer_fields,
        columns,
        chunk,
    )
