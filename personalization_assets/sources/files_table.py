"""`sources.files`: every version of every file that was loaded or refused."""

from collections.abc import Mapping
from typing import Any

import duckdb

FILES = {
    "source": ("VARCHAR", "Name of the source"),
    "path": ("VARCHAR", "File, relative to the folder that the sources' paths start from"),
    "batch_id": ("VARCHAR", "Fingerprint of this version: first 16 digits of a sha256"),
    "bytes": ("BIGINT", "Size of the file as it lay there (bytes)"),
    "rows": ("BIGINT", "Rows that it gave, unreadable lines included; null if refused"),
    "bad_lines": ("BIGINT", "Lines among them that are no row of the table, kept as received"),
    "loaded_as_of": ("TIMESTAMP", "Time of the run that loaded or refused it (UTC)"),
    "status": ("VARCHAR", "current, superseded or refused"),
    "reason": ("VARCHAR", "Why it was refused, and what to do; null otherwise"),
    "read_as": ("VARCHAR", "Format and dialect that it was read with"),
    "columns": ("VARCHAR[]", "Columns that it has"),
    "column_changes": ("VARCHAR", "Columns that came or went since the version before"),
}
"""Columns of `sources.files`: type and meaning. Key: source, path, batch_id."""


def write_version(con: duckdb.DuckDBPyConnection, version: Mapping[str, Any]) -> None:
    """Write down one version of a file in place of what was known of it; the rest is null."""
    con.execute(
        "DELETE FROM sources.files WHERE source = ? AND path = ? AND batch_id = ?",
        [version["source"], version["path"], version["batch_id"]],
    )
    con.execute(
        f"INSERT INTO sources.files ({', '.join(FILES)}) VALUES ({', '.join('?' for _ in FILES)})",
        [version.get(column) for column in FILES],
    )


def create_files_table(con: duckdb.DuckDBPyConnection) -> None:
    """Make `sources.files` if it is not there."""
    con.execute("CREATE SCHEMA IF NOT EXISTS sources")
    ddl = ", ".join(f"{c} {t}" for c, (t, _) in FILES.items())
    con.execute(f"CREATE TABLE IF NOT EXISTS sources.files ({ddl})")
