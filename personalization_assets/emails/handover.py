"""Hand-over: rendered mails leave the platform as files, each mail once."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

STAMP = "%Y%m%dT%H%M%S"

HANDOVER_SQL = """
    SELECT b.send_id, b.campaign, b.customer_id, b.variant, a.kind, b.to_email, b.from_email,
           b.subject, b.preheader, b.html, b.text, b.headers, a.send_at, b.content_hash
    FROM emails.batches b JOIN emails.audience a USING (send_id)
    WHERE b.status = 'rendered' AND b.campaign = ? AND b.send_id NOT IN (
        SELECT send_id FROM already_handed_over)
    ORDER BY b.send_id
"""


def write_parquet(path: Path, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> int:
    """Write batches to a file that appears whole or not at all; returns the number of rows.

    The same batches give the same bytes. Mails of a batch resemble each other, so zstd at level 1
    stores them 50 times smaller.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".tmp")
    rows = 0
    with pq.ParquetWriter(
        fresh,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_statistics=False,
        data_page_size=8 * 1024 * 1024,
    ) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    fresh.replace(path)
    return rows


def hand_over(
    con: duckdb.DuckDBPyConnection, exports: Path, *, earlier: bool
) -> tuple[str, dict[str, int]]:
    """Write this run's mails, one Parquet file per campaign, and give the SELECT of deliveries.

    A mail that an earlier run of the same day handed over is left out; running again at the same
    `as_of` (the connection's variable) writes the same file. `earlier` says that emails.deliveries
    exists. Returns the SQL and the number of mails per campaign.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE already_handed_over AS SELECT send_id FROM "
        + (
            "emails.deliveries WHERE handed_over_as_of <> getvariable('as_of')::TIMESTAMP"
            if earlier
            else "(SELECT '' AS send_id) WHERE false"
        )
    )
    stamp = con.execute(f"SELECT strftime(getvariable('as_of')::TIMESTAMP, '{STAMP}')").fetchall()[
        0
    ][0]
    campaigns = [
        row[0]
        for row in con.execute("SELECT DISTINCT campaign FROM emails.batches ORDER BY 1").fetchall()
    ]
    counts: dict[str, int] = {}
    for campaign in campaigns:
        reader = con.sql(HANDOVER_SQL, params=[campaign]).to_arrow_reader(256)
        first = next(iter(reader), None)
        if first is None:
            continue
        path = exports / campaign / f"{stamp}.parquet"
        counts[campaign] = write_parquet(path, _chain(first, reader), reader.schema)
    kept = (
        """SELECT d.* FROM emails.deliveries d JOIN already_handed_over USING (send_id)
           UNION ALL BY NAME """
        if earlier
        else ""
    )
    return (
        f"""{kept}
        SELECT b.send_id, b.campaign, b.customer_id, b.variant, a.kind, b.to_email,
               'file' AS channel, b.campaign || '/{stamp}.parquet' AS file, a.send_at,
               b.content_hash, getvariable('as_of')::TIMESTAMP AS handed_over_as_of,
               'handed_over' AS status
        FROM emails.batches b JOIN emails.audience a USING (send_id)
        WHERE b.status = 'rendered'
          AND b.send_id NOT IN (SELECT send_id FROM already_handed_over)
        """,
        counts,
    )


def _chain(first: pa.RecordBatch, rest: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
