"""Hand-over: rendered mails leave the platform, each mail once: as files, or by a mail server.

Files are written here. What a mail server was given stands in the journal (`delivery/journal.py`),
from which the table of deliveries is brought up to date.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from personalization_assets.emails.delivery.eml import write_eml
from personalization_assets.emails.delivery.journal import COLUMNS, read_rows
from personalization_assets.emails.storage import write_parquet

STAMP = "%Y%m%dT%H%M%S"

HANDOVER_SQL = """
    SELECT b.send_id, b.campaign, b.customer_id, b.variant, a.kind, b.to_email, b.from_email,
           b.subject, b.preheader, b.html, b.text, b.headers, a.send_at, b.content_hash
    FROM emails.batches b JOIN emails.audience a USING (send_id)
    WHERE b.status = 'rendered' AND b.campaign = ? AND b.send_id NOT IN (
        SELECT send_id FROM already_handed_over)
    ORDER BY b.send_id
"""

JOURNAL_SQL = """
    SELECT send_id, campaign, customer_id, variant, kind, to_email, 'smtp' AS channel,
           NULL::VARCHAR AS file, send_at, content_hash, as_of AS handed_over_as_of,
           -- A mail under way may have been taken; should it be put off, the next run sees it.
           replace(status, 'sending', 'uncertain') AS status, code, attempts
    FROM mail_journal
"""

KEPT_SQL = """
    SELECT d.* FROM emails.deliveries d SEMI JOIN kept_deliveries USING (send_id)
    UNION ALL BY NAME
"""


def hand_over(
    con: duckdb.DuckDBPyConnection,
    exports: Path,
    *,
    earlier: bool,
    channel: str = "file",
    journal: Path | None = None,
) -> tuple[str, dict[str, int]]:
    """Write this run's mails, and give the SELECT of deliveries.

    Channel `file` writes one Parquet file per campaign, `eml` one file per mail; a mail that can't
    be a message is `refused`.

    A mail that an earlier run of the same day handed over, or that a mail server was given, is left
    out; running again at the same `as_of` (the connection's variable) writes the same file. With
    channel `smtp` no file is written: mails that no server was given yet wait for `mails send`.
    `earlier` says that emails.deliveries exists; `journal` is the folder of the journal, if any.
    Returns the SQL and the number of mails per campaign.
    """
    _load_journal(con, journal)
    kept = "SELECT ''::VARCHAR AS send_id WHERE false"
    if earlier:
        # Mails in files stay as they were, but for those that this run writes again.
        again = (
            "" if channel == "smtp" else "AND handed_over_as_of <> getvariable('as_of')::TIMESTAMP"
        )
        kept = f"""SELECT send_id FROM emails.deliveries WHERE channel <> 'smtp' {again}
                   AND send_id NOT IN (SELECT send_id FROM mail_journal)"""
    con.execute(f"CREATE OR REPLACE TEMP TABLE kept_deliveries AS {kept}")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE already_handed_over AS SELECT send_id FROM kept_deliveries"
        " UNION SELECT send_id FROM mail_journal"
    )
    stamp = con.execute(f"SELECT strftime(getvariable('as_of')::TIMESTAMP, '{STAMP}')").fetchall()[
        0
    ][0]
    counts, refused = _write_files(con, exports, stamp, channel)
    file = {
        "file": f"b.campaign || '/{stamp}.parquet'",
        "eml": f"b.campaign || '/{stamp}/' || b.send_id || '.eml'",
        "smtp": "NULL::VARCHAR",
    }[channel]
    con.register("refused_rows", pa.table({"send_id": pa.array(refused, pa.string())}))
    con.execute("CREATE OR REPLACE TEMP TABLE refused_messages AS SELECT * FROM refused_rows")
    con.unregister("refused_rows")
    return (
        f"""{KEPT_SQL if earlier else ""} {JOURNAL_SQL} UNION ALL BY NAME
        SELECT b.send_id, b.campaign, b.customer_id, b.variant, a.kind, b.to_email,
               '{channel}' AS channel, CASE WHEN r.send_id IS NULL THEN {file} END AS file,
               a.send_at,
               b.content_hash, getvariable('as_of')::TIMESTAMP AS handed_over_as_of,
               CASE WHEN r.send_id IS NULL THEN 'handed_over' ELSE 'refused' END AS status,
               NULL::BIGINT AS code, NULL::BIGINT AS attempts
        FROM emails.batches b JOIN emails.audience a USING (send_id)
        LEFT JOIN refused_messages r USING (send_id)
        WHERE b.status = 'rendered'
          AND b.send_id NOT IN (SELECT send_id FROM already_handed_over)
        """,
        counts,
    )


def _write_files(
    con: duckdb.DuckDBPyConnection, exports: Path, stamp: str, channel: str
) -> tuple[dict[str, int], list[str]]:
    """Mails written per campaign, and the ids of those that can't be messages."""
    if channel == "smtp":
        return {}, []
    campaigns = con.execute("SELECT DISTINCT campaign FROM emails.batches ORDER BY 1").fetchall()
    as_of = con.execute("SELECT getvariable('as_of')::TIMESTAMP").fetchall()[0][0]
    counts: dict[str, int] = {}
    refused: list[str] = []
    for (campaign,) in campaigns:
        reader = con.sql(HANDOVER_SQL, params=[campaign]).to_arrow_reader(256)
        first = next(iter(reader), None)
        if first is None:
            continue
        if channel == "eml":
            folder = exports / campaign / stamp
            counts[campaign], wrong = write_eml(folder, _chain(first, reader), as_of)
            refused += wrong
        else:
            path = exports / campaign / f"{stamp}.parquet"
            counts[campaign] = write_parquet(path, _chain(first, reader), reader.schema)
    return counts, refused


def _load_journal(con: duckdb.DuckDBPyConnection, folder: Path | None) -> None:
    """The journal as the temporary table mail_journal; empty where nothing was sent."""
    types: dict[str, Any] = dict.fromkeys(COLUMNS, pa.string())
    types |= dict.fromkeys(("send_at", "as_of"), pa.timestamp("us"))
    types |= dict.fromkeys(("code", "about_recipient", "attempts"), pa.int64())
    rows = read_rows(folder) if folder else []
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    arrays = [
        pa.array(
            [_time(v) for v in values] if name in ("send_at", "as_of") else values, types[name]
        )
        for name, values in zip(COLUMNS, columns, strict=True)
    ]
    con.register("mail_journal_rows", pa.table(arrays, names=list(COLUMNS)))
    con.execute("CREATE OR REPLACE TEMP TABLE mail_journal AS SELECT * FROM mail_journal_rows")
    con.unregister("mail_journal_rows")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _chain(first: pa.RecordBatch, rest: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
