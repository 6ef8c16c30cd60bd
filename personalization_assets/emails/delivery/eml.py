"""Mails as files that mail programs open: one .eml each, the bytes that a mail server would get."""

import csv
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from personalization_assets.emails.delivery.message import MessageError, build, mail_of

MANIFEST = "manifest.csv"


def write_eml(
    folder: Path, batches: Iterable[pa.RecordBatch], as_of: datetime
) -> tuple[int, dict[str, str]]:
    """Write each mail to `<send_id>.eml` in a folder that appears whole or not at all, and beside
    them `manifest.csv`: send_id, file (none for a mail that can't be a message), to_email, send_at
    (UTC), content_hash.

    `batches` have these columns and subject, html, text and headers; a mail without send_at is
    dated `as_of`. Returns how many were written, and for each that can't be a message why.
    """
    fresh = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    written, refused = 0, {}
    with (fresh / MANIFEST).open("w", encoding="utf-8", newline="") as out:
        manifest = csv.writer(out)
        manifest.writerow(["send_id", "file", "to_email", "send_at", "content_hash"])
        for batch in batches:
            for row in batch.to_pylist():
                name = f"{row['send_id']}.eml"
                try:
                    (fresh / name).write_bytes(build(mail_of(row, as_of)))
                    written += 1
                except MessageError as error:
                    refused[row["send_id"]] = str(error)
                    name = ""
                when = (row["send_at"] or as_of).isoformat()
                manifest.writerow(
                    [row["send_id"], name, row["to_email"], when, row["content_hash"]]
                )
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return written, refused
