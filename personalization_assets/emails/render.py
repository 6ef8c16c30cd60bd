"""Rendering: Arrow batches of mail contexts in, Arrow batches of mails out.

`MailRenderer` is the one place where a mail comes into being. It knows nothing of Dagster or the
warehouse, keeps no row longer than its batch, and a row that fails becomes a row with status
`error`. The same contexts give the same mails, whatever the size of the batches and whichever
process renders them.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.links import Signer
from personalization_assets.emails.mail_context import constants
from personalization_assets.emails.templates import MailTemplates, utm_tags
from personalization_assets.errors import UserError

MAIL_COLUMNS = pa.schema(
    [
        ("send_id", pa.string()),
        ("campaign", pa.string()),
        ("customer_id", pa.string()),
        ("variant", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("to_email", pa.string()),
        ("from_email", pa.string()),
        ("subject", pa.string()),
        ("preheader", pa.string()),
        ("html", pa.string()),
        ("text", pa.string()),
        ("headers", pa.string()),
        ("bytes", pa.int64()),
        ("holes", pa.int64()),
        ("products", pa.int64()),
        ("content_hash", pa.string()),
        ("template_version", pa.string()),
        ("profile_version", pa.string()),
        ("model_version", pa.string()),
        ("as_of", pa.timestamp("us")),
    ]
)
ROW_FIELDS = ("send_id", "customer_id", "to_email", "profile_version")
"""Columns of a context that are no root of a template."""
PARTS = ("subject", "preheader", "text", "html")
"""In the order of rendering: `html` may print what subject and preheader came to."""
FAILURES = {
    "FilterArgumentError": "a filter has a value that it can't take",
    "LiquidTypeError": "two values of different types are compared",
    "ContextDepthError": "too many loops or shared parts lie in each other",
    "LoopIterationLimitError": "loops turn more often than the setting emails.loop_limit allows",
    "OutputStreamLimitError": "the text is longer than the setting emails.output_limit allows",
    "LocalNamespaceLimitError": "variables are larger than the setting emails.output_limit allows",
}
"""What python-liquid calls failures of a mail, and what they are."""
CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
SPACES = re.compile(r"(?<=\S)[ \t]{2,}")
SAMPLE_ID, SAMPLE_LINK = "0" * 32, "https://sample.invalid/"


def render(
    templates: MailTemplates,
    batches: Iterable[pa.RecordBatch],
    signer: Signer,
    as_of: datetime,
    model_version: str | None = None,
) -> Iterator[pa.RecordBatch]:
    """Mails of one campaign variant, batch by batch, in the order of the contexts."""
    renderer = MailRenderer(templates, signer, as_of, model_version)
    for batch in batches:
        yield renderer.render(batch)


class MailRenderer:
    """Renders batches of one campaign variant.

    Templates are compiled for the types of the first batch; later ones must have the same.
    """

    def __init__(
        self,
        templates: MailTemplates,
        signer: Signer,
        as_of: datetime,
        model_version: str | None = None,
        seconds: float | None = None,
    ) -> None:
        self.templates = templates
        self._signer, self._as_of, self._model = signer, as_of, model_version
        self._seconds = seconds
        self._constants = {
            **constants(templates.brand, templates.campaign),
            "links": shop_links(templates),
        }
        self._dictionaries = liquid_batch.Dictionaries()
        self._compiled: dict[str, liquid_batch.CompiledTemplate] = {}
        sample = mail_headers(templates, SAMPLE_ID, SAMPLE_LINK)
        self._headers = json.dumps(sample, ensure_ascii=False, sort_keys=True)

    @property
    def reports(self) -> dict[str, liquid_batch.Report]:
        """What became of each part's template."""
        return {part: compiled.report for part, compiled in self._compiled.items()}

    def render(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """One batch of contexts (`mail_context.contexts`) as one batch of mails (`MAIL_COLUMNS`).

        Raises:
            UserError: the batch took more processor time than it may.
        """
        send_ids: list[str] = batch.column("send_id").to_pylist()
        brand = self.templates.brand
        links_to = self._signer.links
        one_click = links_to(brand.unsubscribe_url, send_ids)
        signed = {
            "unsubscribe": links_to(brand.preferences_url, send_ids, a="unsubscribe"),
            "preferences": links_to(brand.preferences_url, send_ids),
            "one_click": one_click,
        }
        links = pa.StructArray.from_arrays(
            [pa.array(values, pa.string()) for values in signed.values()], list(signed)
        )
        batch = batch.append_column("links", links)
        failed: dict[int, tuple[str, str]] = {}
        columns = liquid_batch.Columns(batch, self._dictionaries)
        done = {part: self._part(part, columns, failed) for part in PARTS[:3]}
        subject = [one_line(s) for s in done["subject"].column("text").to_pylist()]
        preheader = [one_line(s) for s in done["preheader"].column("text").to_pylist()]
        text = [tidy(s) for s in done["text"].column("text").to_pylist()]
        shown = columns.with_fields("mail", {"subject": subject, "preheader": preheader})
        done["html"] = self._part("html", shown, failed)
        html = done["html"].column("text")
        places = _places(html)
        self._refuse_empty(failed, subject, text, places)
        headers = [self._headers_of(*ids) for ids in zip(send_ids, one_click, strict=True)]
        hashes = _hashes(subject, preheader, places, text, headers)
        whole: dict[str, Any] = {
            "subject": pa.array(subject, pa.string()),
            "preheader": pa.array(preheader, pa.string()),
            "html": html,
            "text": pa.array(text, pa.string()),
            "headers": pa.array(headers, pa.string()),
            "content_hash": pa.array(hashes, pa.string()),
            "bytes": pc.binary_length(html).cast(pa.int64()).fill_null(0),
            "holes": _sum_of(done[part].column("holes") for part in PARTS),
        }
        return self._mails(batch, whole, failed)

    def _mails(
        self, batch: pa.RecordBatch, whole: dict[str, Any], failed: dict[int, tuple[str, str]]
    ) -> pa.RecordBatch:
        count = batch.num_rows
        status: Any = pa.repeat(pa.scalar("rendered", pa.string()), count)
        reason: Any = pa.nulls(count, pa.string())
        if failed:
            fine = pa.array([row not in failed for row in range(count)])
            reasons = [failed.get(row, ("rendered", None)) for row in range(count)]
            status = pa.array([s for s, _ in reasons], pa.string())
            reason = pa.array([r for _, r in reasons], pa.string())
            for name, values in whole.items():
                nothing = pa.scalar(0 if name in ("bytes", "holes") else None, values.type)
                whole[name] = pc.if_else(fine, values, nothing)
        shared = {
            "campaign": self.templates.campaign.name,
            "variant": self.templates.variant.name,
            "from_email": sender(self.templates),
            "template_version": self.templates.version,
            "model_version": self._model,
            "as_of": self._as_of,
        }
        products = pc.list_value_length(batch.column("recommendations"))
        mails = whole | {
            "send_id": batch.column("send_id"),
            "customer_id": batch.column("customer_id"),
            "profile_version": batch.column("profile_version"),
            "to_email": pa.array(
                [one_line(a) for a in batch.column("to_email").to_pylist()], pa.string()
            ),
            "status": status,
            "reason": reason,
            "products": products.cast(pa.int64()),
        }
        for name, value in shared.items():
            mails[name] = pa.repeat(pa.scalar(value, MAIL_COLUMNS.field(name).type), count)
        return pa.RecordBatch.from_arrays(
            [mails[name] for name in MAIL_COLUMNS.names], schema=MAIL_COLUMNS
        )

    def _part(
        self, part: str, columns: liquid_batch.Columns, failed: dict[int, tuple[str, str]]
    ) -> pa.RecordBatch:
        if part not in self._compiled:
            contract = {f.name: f.type for f in columns.batch.schema if f.name not in ROW_FIELDS}
            parsed, where = self.templates.parsed[part], self.templates.where(part)
            self._compiled[part] = liquid_batch.compile(parsed, contract, self._constants, where)
        try:
            done = self._compiled[part].render(columns, self._seconds)
        except liquid_batch.TooSlowError as error:
            folder = self.templates.campaign.folder
            raise UserError(
                f"{folder}: the {part} part of {len(columns):,} mails took more than "
                f"{self._seconds:g} seconds (setting emails.chunk_seconds): simplify its loops."
            ) from error
        if done.column("reason").null_count < len(columns):
            statuses = done.column("status").to_pylist()
            for row, reason in enumerate(done.column("reason").to_pylist()):
                if reason is not None:
                    if statuses[row] == "error":
                        name, _, place = reason.partition(" in ")
                        reason = f"{FAILURES.get(name, name)}{place and ': '}{place}"
                    failed.setdefault(row, (statuses[row], one_line(reason)))
        return done

    def _refuse_empty(
        self,
        failed: dict[int, tuple[str, str]],
        subject: list[str],
        text: list[str],
        html: tuple[list[int], memoryview],
    ) -> None:
        places, data = html
        for row, (line, words) in enumerate(zip(subject, text, strict=True)):
            start, end = places[row], places[row + 1]
            if not line:
                failed.setdefault(row, ("aborted", "the subject came out empty"))
            elif not words.strip():
                failed.setdefault(row, ("aborted", "the text came out empty"))
            elif not data[start : start + 64].tobytes().strip() and (
                not data[start:end].tobytes().strip()
            ):
                failed.setdefault(row, ("aborted", "the HTML came out empty"))

    def _headers_of(self, send_id: str, one_click: str) -> str:
        escaped = json.dumps(one_click, ensure_ascii=False)[1:-1]
        return self._headers.replace(SAMPLE_ID, send_id).replace(SAMPLE_LINK, escaped)


def _places(strings: Any) -> tuple[list[int], memoryview]:
    """Offsets of a string array's texts, and the memory that they lie in."""
    _, offsets, data = strings.buffers()
    places = memoryview(offsets).cast("i")[strings.offset : strings.offset + len(strings) + 1]
    return places.tolist(), memoryview(data or b"").cast("B")


def _hashes(
    subject: list[str],
    preheader: list[str],
    html: tuple[list[int], memoryview],
    text: list[str],
    headers: list[str],
) -> list[str]:
    """sha256 over all parts of each mail, each followed by a zero byte."""
    places, data = html
    out = []
    for row, parts in enumerate(zip(subject, preheader, text, headers, strict=True)):
        first, second, words, head = parts
        digest = hashlib.sha256(f"{first}\0{second}\0".encode())
        digest.update(data[places[row] : places[row + 1]])
        digest.update(f"\0{words}\0{head}\0".encode())
        out.append(digest.hexdigest())
    return out


def _sum_of(columns: Iterable[Any]) -> Any:
    total = None
    for column in columns:
        total = column if total is None else pc.add(total, column)
    return total.cast(pa.int64())  # type: ignore[union-attr]


def one_line(value: str | None) -> str:
    """Text for a header: no line breaks or control characters, single spaces."""
    if not value:
        return ""
    if value.isprintable() and "  " not in value:
        return value.strip()
    return SPACES.sub(" ", CONTROL.sub(" ", value)).strip()


def tidy(text: str | None) -> str:
    """Plain text without the gaps that conditions leave behind: single spaces between words, none
    at the end of a line, and at most one empty line."""
    lines = [line.rstrip(" \t") for line in (text or "").replace("\r", "").split("\n")]
    for number, line in enumerate(lines):
        words = line.lstrip(" \t")
        if "  " in words or "\t" in words:
            lines[number] = SPACES.sub(" ", line)
    whole = "\n".join(lines).strip()
    while "\n\n\n" in whole:
        whole = whole.replace("\n\n\n", "\n\n")
    return whole + "\n"


def sender(templates: MailTemplates) -> str:
    """The address that the mail comes from."""
    return (templates.campaign.file.sender or templates.brand.sender).email


def mail_headers(templates: MailTemplates, send_id: str, one_click: str) -> dict[str, str]:
    """Headers beside To and Subject: who sends, one-click unsubscribe (RFC 8058), a stable id."""
    campaign, brand = templates.campaign, templates.brand
    from_ = campaign.file.sender or brand.sender
    name = one_line(from_.name).replace("\\", "").replace('"', "")
    domain = from_.email.rpartition("@")[2]
    headers = {
        "From": f'"{name}" <{from_.email}>',
        "Message-ID": f"<{send_id}@{domain}>",
        "X-Campaign": f"{campaign.name}/{templates.variant.name}",
        "Feedback-ID": f"{campaign.name}:{templates.variant.name}:{campaign.file.kind}:mail",
    }
    reply_to = campaign.file.reply_to or brand.reply_to
    if reply_to:
        headers["Reply-To"] = reply_to
    if campaign.file.kind == "promotional":
        headers["List-Unsubscribe"] = f"<{one_click}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        headers["Precedence"] = "bulk"
    return headers


def shop_links(templates: MailTemplates) -> dict[str, str]:
    """Links to the shop, tagged for this variant; the same in each of its mails."""
    utm = templates.environments[False].filters["utm"]
    brand = templates.brand
    pages = {
        "home": brand.site_url,
        "bestsellers": brand.bestsellers_url,
        "cart": brand.cart_url,
    }
    return {name: utm(url, name) for name, url in pages.items()}


def utm_query(templates: MailTemplates) -> str:
    """The tags of a variant as a query string, for links that SQL builds."""
    return "&".join(f"{k}={v}" for k, v in utm_tags(templates.campaign, templates.variant).items())
