"""Rendering: Arrow batches of mail contexts in, Arrow batches of mails out.

`render_batch` is the one place where a mail comes into being. It knows nothing of Dagster or the
warehouse, keeps no row longer than its batch, and a row that fails becomes a row with status
`error`; another renderer can take its place as long as the columns stay.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
from liquid.exceptions import LiquidError

from personalization_assets.emails.links import Signer
from personalization_assets.emails.liquid_env import AbortMail
from personalization_assets.emails.mail_context import constants
from personalization_assets.emails.templates import MailTemplates, utm_tags

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
        ("model_version", pa.string()),
        ("as_of", pa.timestamp("us")),
    ]
)
CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
SPACES = re.compile(r"(?<=\S)[ \t]{2,}")
TRAILING = re.compile(r"[ \t]+\n")
BLANK_LINES = re.compile(r"\n{3,}")
LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")


def render(
    templates: MailTemplates,
    batches: Iterable[pa.RecordBatch],
    signer: Signer,
    as_of: datetime,
    model_version: str | None = None,
) -> Iterator[pa.RecordBatch]:
    """Mails of one campaign variant, batch by batch, in the order of the contexts."""
    fixed = constants(templates.brand, templates.campaign)
    links = shop_links(templates)
    for batch in batches:
        yield render_batch(templates, batch, signer, as_of, model_version, fixed, links)


def render_batch(
    templates: MailTemplates,
    batch: pa.RecordBatch,
    signer: Signer,
    as_of: datetime,
    model_version: str | None,
    fixed: Mapping[str, Any],
    links: Mapping[str, str],
) -> pa.RecordBatch:
    """One batch of contexts (`context_sql`) as one batch of mails (`MAIL_COLUMNS`)."""
    out: dict[str, list[Any]] = {name: [] for name in MAIL_COLUMNS.names}
    shared = {
        "campaign": templates.campaign.name,
        "variant": templates.variant.name,
        "from_email": sender(templates),
        "template_version": templates.version,
        "model_version": model_version,
        "as_of": as_of,
    }
    for row in batch.to_pylist():
        send_id: str = row["send_id"]
        signed = {
            "unsubscribe": signer.link(templates.brand.preferences_url, m=send_id, a="unsubscribe"),
            "preferences": signer.link(templates.brand.preferences_url, m=send_id),
            "one_click": signer.link(templates.brand.unsubscribe_url, m=send_id),
        }
        context = {**fixed, **row, "links": {**links, **signed}}
        mail = shared | {
            "send_id": send_id,
            "customer_id": row["customer_id"],
            "to_email": one_line(row["to_email"]),
            "products": len(row["recommendations"]),
        }
        mail |= _parts(templates, context, signed["one_click"])
        for name, values in out.items():
            values.append(mail[name])
    return pa.RecordBatch.from_pydict(out, schema=MAIL_COLUMNS)


def _parts(templates: MailTemplates, context: dict[str, Any], one_click: str) -> dict[str, Any]:
    templates.take_holes()
    try:
        mail = context["mail"]
        subject = mail["subject"] = one_line(templates.subject.render(context))
        preheader = mail["preheader"] = one_line(templates.preheader.render(context))
        text = tidy(templates.text.render(context))
        html = templates.html.render(context)
    except AbortMail as stop:
        return _failed("aborted", one_line(str(stop)))
    except (LiquidError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        return _failed("error", _without_values(error))
    empty = [
        name
        for name, part in (("subject", subject), ("text", text), ("HTML", html))
        if not part.strip()
    ]
    if empty:
        return _failed("aborted", f"the {empty[0]} came out empty")
    if len(html) + len(text) > templates.environments[0].output_limit:
        return _failed("error", "the mail is larger than the setting emails.output_limit")
    subject, preheader, html, text = map(_encodable, (subject, preheader, html, text))
    headers = json.dumps(
        mail_headers(templates, mail["send_id"], one_click), ensure_ascii=False, sort_keys=True
    )
    digest = hashlib.sha256()
    for part in (subject, preheader, html, text, headers):
        digest.update(part.encode() + b"\0")
    return {
        "status": "rendered",
        "reason": None,
        "subject": subject,
        "preheader": preheader,
        "html": html,
        "text": text,
        "headers": headers,
        "bytes": len(html.encode()),
        "holes": templates.take_holes(),
        "content_hash": digest.hexdigest(),
    }


def _encodable(text: str) -> str:
    """The text, a half of a character replaced; looking for one costs more than to encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return LONE_SURROGATES.sub("\ufffd", text)
    return text


def _failed(status: str, reason: str) -> dict[str, Any]:
    empty = ("subject", "preheader", "html", "text", "headers", "content_hash")
    return {"status": status, "reason": reason, "bytes": 0, "holes": 0} | dict.fromkeys(empty)


def _without_values(error: Exception) -> str:
    """What failed and where, without any value of the row."""
    if isinstance(error, LiquidError) and (place := _line(error)):
        return f"{type(error).__name__} in {error.template_name or 'the template'} line {place}"
    return type(error).__name__


def _line(error: LiquidError) -> int | None:
    try:
        found = error.context()
    except ValueError:
        return None
    return found[0] if found else None


def one_line(value: str | None) -> str:
    """Text for a header: no line breaks or control characters, single spaces."""
    return SPACES.sub(" ", CONTROL.sub(" ", value or "")).strip()


def tidy(text: str) -> str:
    """Plain text without the gaps that conditions leave behind."""
    text = TRAILING.sub("\n", SPACES.sub(" ", text.replace("\r", "")))
    return BLANK_LINES.sub("\n\n", text).strip() + "\n"


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
    utm = templates.environments[0].filters["utm"]
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
