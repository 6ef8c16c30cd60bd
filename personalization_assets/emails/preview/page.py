"""The page of a preview: one static file with mails at phone and desktop width, in light and dark,
what stands beside them in an inbox, and the branches of the templates."""

import html
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.checking.findings import short_path
from personalization_assets.emails.gallery_page import FRAME_SCRIPT
from personalization_assets.emails.preview.coverage import Coverage
from personalization_assets.emails.preview.mails import Mail

TEMPLATE = Path(__file__).with_name("page.html")
GROUPS = {
    "general": "Scenarios",
    "own": "Scenarios of this campaign",
    "branch": "Branches that no other scenario reaches",
    "customer": "Real customers",
}


def write_page(
    path: Path,
    campaign: Campaign,
    mails: Sequence[Mail],
    coverage: Coverage | None,
    clip_bytes: int,
) -> None:
    """Write the page, whole or not at all. Only its owner may read it if it shows a customer."""
    private = any(mail.origin == "customer" for mail in mails)
    values = {
        "title": html.escape(campaign.name.replace("_", " ").capitalize()),
        "lead": html.escape(campaign.file.description),
        "frames": FRAME_SCRIPT,
        "data": _json(_data(mails, coverage, campaign.folder, clip_bytes)),
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    text = re.sub(r"%%(\w+)%%", lambda found: values[found[1]], page)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".tmp")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    fresh.replace(path)


def _json(data: dict[str, Any]) -> str:
    """JSON that can stand in a script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _data(
    mails: Sequence[Mail], coverage: Coverage | None, folder: Path, clip_bytes: int
) -> dict[str, Any]:
    entries: dict[str, dict[str, Any]] = {}
    order = list(GROUPS)
    for mail in sorted(mails, key=lambda m: order.index(m.origin)):
        entry = entries.setdefault(
            mail.key,
            {
                "key": mail.key,
                "title": mail.title,
                "group": GROUPS[mail.origin],
                "differs": mail.differs,
                "mails": {},
            },
        )
        entry["mails"][mail.row["variant"]] = _shown(mail)
    rows = coverage.rows if coverage else ()
    return {
        "entries": list(entries.values()),
        "variants": list(dict.fromkeys(mail.row["variant"] for mail in mails)),
        "clip": clip_bytes,
        "real": bool(coverage and coverage.mails),
        "reached": sum(row.reached for row in rows),
        "summary": summary(coverage) if coverage else "",
        "rows": [
            {
                "file": short_path(row.branch.file, folder.parent),
                "line": row.branch.line,
                "words": row.branch.words,
                "first": row.scenarios[0] if row.scenarios else None,
                "scenarios": len(row.scenarios),
                "mails": row.mails,
                "share": "" if row.share is None else f"{row.share:.1%}",
                "never": not row.reached,
            }
            for row in rows
        ],
    }


def _shown(mail: Mail) -> dict[str, Any]:
    row = mail.row
    headers: dict[str, str] = json.loads(row["headers"]) if row["headers"] else {}
    sender = headers.get("From", "").split('"')
    return {
        "variant": row["variant"],
        "status": row["status"],
        "reason": row["reason"] or "",
        "sender": sender[1] if len(sender) > 1 else str(row["from_email"]),
        "subject": row["subject"] or "",
        "preheader": row["preheader"] or "",
        "html": row["html"] or "",
        "text": row["text"] or "",
        "headers": "\n".join(f"{name}: {value}" for name, value in headers.items()),
        "bytes": row["bytes"],
        "holes": row["holes"],
        "products": row["products"],
    }


def summary(coverage: Coverage) -> str:
    """The report in one sentence or two."""
    count, never = len(coverage.rows), len(coverage.unreached)
    reached = sum(bool(row.scenarios) for row in coverage.rows)
    text = f"Scenarios reach {reached} of {count} branches."
    if coverage.mails:
        mails = sum(bool(row.mails) for row in coverage.rows)
        text += f" {coverage.mails:,} mails of real customers reach {mails}."
    if never:
        left = f"Nobody reaches {never}" if coverage.mails else f"{never} are left"
        text += f" {left}: they can be taken out, or a condition is wrong."
    return text
