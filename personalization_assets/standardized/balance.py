"""Whether every row that the sources gave is in exactly one place."""

import duckdb
import polars as pl

from personalization_assets.sources.config import SourcesConfig
from personalization_assets.sources.feeds import feed_rows
from personalization_assets.sql_text import quoted
from personalization_assets.standardized.quarantine import TABLE
from personalization_assets.warehouse import exists

COUNTS = ("received", "accepted", "waiting", "discarded")


def balance(con: duckdb.DuckDBPyConnection, config: SourcesConfig, table: str) -> pl.DataFrame:
    """Rows of a table by source and batch: table_name, source, batch_id and the counts.

    `received` counts again what the sources give now; a row that a replay or a person admitted is
    among `accepted`, because that counts the rows of the table itself.
    """
    received = [
        f"SELECT {quoted(name)} AS source, _batch_id FROM ({feed_rows(con, config, name, table)})"
        for name, _, _ in config.feeds_of(table)
    ] or ["SELECT NULL::VARCHAR AS source, NULL::VARCHAR AS _batch_id WHERE false"]
    accepted = (
        f"SELECT source, _batch_id, 'accepted' AS place FROM standardized.{table} UNION ALL"
        if exists(con, f"standardized.{table}")
        else ""
    )
    counted = ", ".join(f"count(*) FILTER (WHERE place = '{c}') AS {c}" for c in COUNTS)
    found: pl.DataFrame = con.sql(
        f"SELECT {quoted(table)} AS table_name, source, _batch_id AS batch_id, {counted} FROM ("
        f"SELECT *, 'received' AS place FROM ({' UNION ALL '.join(received)}) UNION ALL {accepted}"
        f" SELECT source, batch_id, status FROM {TABLE} WHERE table_name = {quoted(table)}"
        " AND status IN ('waiting', 'discarded'))"
        " GROUP BY ALL ORDER BY ALL"
    ).pl()
    return found


def misplaced(con: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int]:
    """Rows that are in the table and out of it at once; rows said to be in it that are not."""
    if not exists(con, f"standardized.{table}"):
        accepted = "SELECT NULL::VARCHAR AS source, NULL::VARCHAR AS _row_key WHERE false"
    else:
        accepted = f"SELECT source, _row_key FROM standardized.{table}"
    twice, missing = con.execute(
        "SELECT count(*) FILTER (WHERE is_in AND status IN ('waiting', 'discarded')),"
        " count(*) FILTER (WHERE NOT is_in AND status IN ('released', 'replayed')) FROM ("
        f" SELECT status, EXISTS (SELECT 1 FROM ({accepted}) t WHERE t.source = q.source"
        f" AND t._row_key = q.row_key) AS is_in FROM {TABLE} q WHERE table_name = ?)",
        [table],
    ).fetchall()[0]
    return int(twice), int(missing)
