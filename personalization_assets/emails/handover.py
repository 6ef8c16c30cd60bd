"""Hand-over: rendered mails leave the platform, each mail once: as files, or by a mail server.

Files are written here. What a mail server was given stands in the journal (`delivery/journal.py`),
from which the table of deliveries is brought up to date.
"""

from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from personalization_assets.emails.delivery.eml import write_eml
from personalization_assets.emails.delivery.journal import no_rows, reading_journal
from personalization_assets.emails.delivery.streaming import CHUNK_ROWS, streaming
from personalization_assets.emails.storage import STAMP, write_parquet

CAMPAIGNS_SQL = """
    SELECT DISTINCT b.campaign
    FROM emails.batches b JOIN emails.audience a USING (send_id)
    WHERE b.status = 'rendered' AND b.send_id NOT IN (SELECT send_id FROM already_handed_over)
    ORDER BY 1
"""
HANDOVER_SQL = """
    SELECT b.send_id, b.campaign, b.customer_id, b.variant, a.kind, b.to_email, b.from_email,
           b.subject, b.preheader, b.html, b.text, b.headers, a.send_at, b.content_hash
    FROM emails.batches b JOIN emails.audience a USING (send_id)
    WHERE b.status = 'rendered' AND b.campaign = ? AND b.send_id NOT IN (
        SELECT send_id FROM already_handed_over)
"""

DELIVERIES_SQL = """
    SELECT * REPLACE (CASE WHEN channel = 'smtp' AND status IN ('handed_over', 'deferred')
            AND coalesce(send_at, handed_over_as_of)
                < getvariable('as_of')::TIMESTAMP - to_hours({expire_hours})
        THEN 'expired' ELSE status END AS status)
    FROM (
        SELECT send_id, campaign, customer_id, variant, kind, to_email, 'smtp' AS channel,
               NULL::VARCHAR AS file, send_at, content_hash, as_of AS handed_over_as_of,
               -- A mail under way may have been taken; should it be put off, the next run sees it.
               replace(status, 'sending', 'uncertain') AS status, code, answer AS reason, attempts
        FROM mail_journal
        UNION ALL BY NAME
        SELECT b.send_id, b.campaign, b.customer_id, b.variant, a.kind, b.to_email,
               '{channel}' AS channel,
               CASE WHEN r.send_id IS NULL AND NOT {forgotten} THEN {file} END AS file,
               a.send_at, b.content_hash, getvariable('as_of')::TIMESTAMP AS handed_over_as_of,
               CASE WHEN {forgotten} THEN 'expired'
                    WHEN r.send_id IS NULL THEN 'handed_over' ELSE 'refused' END AS status,
               NULL::BIGINT AS code, r.reason, NULL::BIGINT AS attempts
        FROM emails.batches b JOIN emails.audience a USING (send_id)
        LEFT JOIN refused_messages r USING (send_id)
        WHERE b.status = 'rendered'
          AND b.send_id NOT IN (SELECT send_id FROM already_handed_over)
        {kept}
    )
"""

# Written anew: what this run hands over again, and what still waited at the same time.
KEPT_SQL = """
    SELECT send_id FROM emails.deliveries
    WHERE send_id NOT IN (SELECT send_id FROM mail_journal)
      AND NOT (handed_over_as_of = getvariable('as_of')::TIMESTAMP AND CASE
          WHEN channel = 'smtp' THEN status IN ('handed_over', 'expired')
          ELSE '{channel}' <> 'smtp' END)
"""


def hand_over(
    con: duckdb.DuckDBPyConnection,
    exports: Path,
    *,
    earlier: bool,
    channel: str = "file",
    journal: Path | None = None,
    expire_hours: int = 48,
) -> tuple[str, dict[str, int]]:
    """Write this run's mails, and give the SELECT of deliveries.

    Channel `file` writes one Parquet file per campaign, `eml` one file per mail; a mail that can't
    be a message is `refused`. With channel `smtp` no file is written: the mails wait for `mails
    send`, until they expire.

    A mail that an earlier run of the same day handed over, or that a mail server was given, is left
    out; running again at the same `as_of` (the connection's variable) writes the same files. Of a
    day that the journal has forgotten nothing is written, and what is not known is `expired`.
    `earlier` says that emails.deliveries exists; `journal` is the folder of the journal, if any.
    Returns the SQL and the number of mails per campaign.
    """
    with reading_journal(journal) as found:
        forgotten_before = found.forgotten_before() if found else None
        con.register("mail_journal_rows", found.reader() if found else no_rows())
        con.execute(
            "CREATE OR REPLACE TEMP TABLE mail_journal AS SELECT * REPLACE (send_at::TIMESTAMP AS"
            " send_at, as_of::TIMESTAMP AS as_of) FROM mail_journal_rows"
        )
        con.unregister("mail_journal_rows")
    kept = KEPT_SQL.format(channel=channel) if earlier else "SELECT '' AS send_id WHERE false"
    con.execute(f"CREATE OR REPLACE TEMP TABLE kept_deliveries AS {kept}")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE already_handed_over AS SELECT send_id FROM kept_deliveries"
        " UNION SELECT send_id FROM mail_journal"
    )
    times = con.execute("SELECT getvariable('as_of')::TIMESTAMP").fetchall()
    as_of: datetime = times[0][0]
    stamp = as_of.strftime(STAMP)
    forgotten = forgotten_before is not None and as_of < forgotten_before
    counts, refused = ({}, {}) if forgotten else _write_files(con, exports, as_of, channel)
    file = {
        "file": f"b.campaign || '/{stamp}.parquet'",
        "eml": f"b.campaign || '/{stamp}/' || b.send_id || '.eml'",
        "smtp": "NULL::VARCHAR",
    }[channel]
    columns = [pa.array(values, pa.string()) for values in (refused.keys(), refused.values())]
    con.register("refused_rows", pa.table(columns, names=["send_id", "reason"]))
    con.execute("CREATE OR REPLACE TEMP TABLE refused_messages AS SELECT * FROM refused_rows")
    con.unregister("refused_rows")
    before = "UNION ALL BY NAME SELECT d.* FROM emails.deliveries d SEMI JOIN kept_deliveries"
    return (
        DELIVERIES_SQL.format(
            channel=channel,
            file=file,
            expire_hours=int(expire_hours),
            kept=f"{before} USING (send_id)" if earlier else "",
            forgotten="true" if forgotten else "false",
        ),
        counts,
    )


def _write_files(
    con: duckdb.DuckDBPyConnection, exports: Path, as_of: datetime, channel: str
) -> tuple[dict[str, int], dict[str, str]]:
    """Mails written per campaign, and why others can't be messages, by send id."""
    counts: dict[str, int] = {}
    refused: dict[str, str] = {}
    if channel == "smtp":
        return counts, refused
    campaigns = con.execute(CAMPAIGNS_SQL).fetchall()
    with streaming(con):
        for (campaign,) in campaigns:
            reader = con.sql(HANDOVER_SQL, params=[campaign]).to_arrow_reader(CHUNK_ROWS)
            if channel == "eml":
                folder = exports / campaign / as_of.strftime(STAMP)
                counts[campaign], wrong = write_eml(folder, reader, as_of)
                refused |= wrong
            else:
                path = exports / campaign / f"{as_of.strftime(STAMP)}.parquet"
                counts[campaign] = write_parquet(path, reader, reader.schema)
    return counts, refused
