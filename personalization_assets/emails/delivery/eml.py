"""Mails as files that mail programs open: one .eml each, the bytes that a mail server would get."""

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from personalization_assets.emails.delivery.message import Mail, MessageError, build


def write_eml(
    folder: Path, batches: Iterable[pa.RecordBatch], as_of: datetime
) -> tuple[int, dict[str, str]]:
    """Write each mail to `<send_id>.eml` in a folder that appears whole or not at all.

    `batches` have the columns send_id, to_email, subject, html, text, headers and send_at; a mail
    without send_at is dated `as_of`. Returns how many were written, and for each that can't be a
    message why.
    """
    fresh = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    written, refused = 0, {}
    for batch in batches:
        for row in batch.to_pylist():
            mail = Mail(
                row["send_id"],
                row["to_email"],
                row["subject"],
                row["html"],
                row["text"],
                row["headers"],
                row["send_at"] or as_of,
            )
            try:
                message = build(mail)
            except MessageError as error:
                refused[mail.send_id] = str(error)
                continue
            (fresh / f"{mail.send_id}.eml").write_bytes(message)
            written += 1
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return written, refused
