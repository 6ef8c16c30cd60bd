"""What people decided about rows in quarantine, as a CSV file that they or a command write.

A decision is about a row as it was received, not about the place where it lay: its key is table,
source and a digest of the row's values. So it holds in a warehouse that is built anew, and for the
same row when the next export delivers it again. A row in which any value differs is another row,
and waits for a decision of its own.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.kept_by_hand import (
    locked,
    now,
    read_frame,
    read_rows,
    refuse,
    write_rows,
)
from personalization_assets.sources import platform
from personalization_assets.sources.readers import ident
from personalization_assets.sql_text import quoted
from personalization_assets.warehouse import Query

FILE = "quarantine_decisions.csv"
COLUMNS = (
    "decision_id",
    "table_name",
    "source",
    "row_digest",
    "decision",
    "rules",
    "author",
    "decided_at",
    "reason",
    "withdrawn_at",
)
REQUIRED = COLUMNS[:6]
TIMES = ("decided_at", "withdrawn_at")
SEPARATOR = "."
"""Between the name that decisions of one command share and the number of each."""

Kind = Literal["release", "discard"]


@dataclass(frozen=True)
class Decided:
    """A row that somebody decides about, and the rules it broke when they did."""

    table: str
    source: str
    digest: str
    rules: tuple[str, ...]


def read_decisions(path: Path) -> pl.DataFrame:
    """All decisions, also those withdrawn; none when the file is absent. Times are naive UTC.

    `rules` is a list; `binds` marks the latest decision about a row that nobody has withdrawn.

    Raises:
        UserError: a column is missing, an id is there twice, or a decision or time is not readable.
    """
    frame = read_frame(path, COLUMNS, REQUIRED, TIMES)
    known = pl.col("decision").is_in(["release", "discard"])
    refuse(path, frame, ~known, "a decision that is neither release nor discard")
    refuse(path, frame, pl.col("decision_id").is_duplicated(), "a decision_id that is used twice")
    row = ("table_name", "source", "row_digest")
    ordered = frame.sort("decided_at", "decision_id", nulls_last=False)
    last = (
        ordered.filter(pl.col("withdrawn_at").is_null())
        .unique(row, keep="last", maintain_order=True)["decision_id"]
        .implode()
    )
    return ordered.with_columns(
        rules=pl.col("rules").str.split(" "), binds=pl.col("decision_id").is_in(last)
    )


def record(
    path: Path, kind: Kind, rows: Sequence[Decided], author: str, reason: str | None
) -> list[str]:
    """Append a decision for each row and return the ids; one that a row had before is withdrawn.

    Raises:
        UserError: the file is not readable as decisions, or cannot be written.
    """
    stem = f"{kind}-{secrets.token_hex(4)}"
    ids = [f"{stem}{SEPARATOR}{i}" for i in range(1, len(rows) + 1)] if len(rows) > 1 else [stem]
    with locked(path):
        read_decisions(path)  # a file with a mistake is not written over
        columns, there = read_rows(path, COLUMNS)
        at = now()
        again = {(r.table, r.source, r.digest) for r in rows}
        for row in there:
            about = (row["table_name"], row["source"], row["row_digest"])
            if about in again and not row.get("withdrawn_at", "").strip():
                row["withdrawn_at"] = at
        for name, r in zip(ids, rows, strict=True):
            rules = " ".join(sorted(r.rules))
            values = (name, r.table, r.source, r.digest, kind, rules, author, at, reason or "", "")
            there.append(dict(zip(COLUMNS, values, strict=True)))
        write_rows(path, columns, there)
    return ids


def binding(path: Path, decision_id: str) -> list[str]:
    """A decision that binds, or those of one command by the part of their ids before the dot.

    Raises:
        UserError: there is none, or the file is not readable as decisions.
    """
    named = pl.col("decision_id")
    mine = (named == decision_id) | named.str.starts_with(decision_id + SEPARATOR)
    ids: list[str] = read_decisions(path).filter(mine & pl.col("binds"))["decision_id"].to_list()
    if not ids:
        raise UserError(
            f"No decision {decision_id} binds: `personalize quarantine decisions` lists those that "
            "do."
        )
    return ids


def withdraw(path: Path, ids: Sequence[str]) -> None:
    """Withdraw decisions.

    Raises:
        UserError: the file is not readable as decisions, or cannot be written.
    """
    with locked(path):
        read_decisions(path)
        columns, rows = read_rows(path, COLUMNS)
        gone, at = set(ids), now()
        for row in rows:
            if row["decision_id"].strip() in gone:
                row["withdrawn_at"] = at
        write_rows(path, columns, rows)


def digests(con: duckdb.DuckDBPyConnection, source: str, only: str | None = None) -> Query:
    """`_row_key` and `row_digest` of a source's rows, or of those in `only` (source, _row_key).

    The digest is of names and values of the filled columns, by name: 32 hex digits of SHA-256. A
    column that the source gets later is empty in earlier rows and leaves their digests alone.
    """
    columns = sorted(
        row[0]
        for row in con.execute(f"DESCRIBE sources.{ident(source)}").fetchall()
        if row[0] not in platform.LINEAGE or row[0] == "_bad_line"
    )
    # The length keeps two values that only touch apart.
    parts = ", ".join(
        f"{quoted(c)} || ':' || length({ident(c)}::VARCHAR) || ':' || {ident(c)}::VARCHAR"
        for c in columns
    )
    chosen = (
        f" WHERE EXISTS (SELECT 1 FROM {only} o WHERE o.source = {quoted(source)}"
        " AND o._row_key = r._row_key)"
        if only
        else ""
    )
    return Query(
        f"SELECT _row_key, sha256(concat_ws(',', {parts}))[:32] AS row_digest"
        f" FROM sources.{ident(source)} r{chosen}"
    )


def decided_rows(
    con: duckdb.DuckDBPyConnection, table: str, decisions: pl.DataFrame, only: str | None = None
) -> pl.DataFrame:
    """The received rows of a table, or of the relation `only` (source, _row_key), that are bound.

    Columns: source, _row_key, decision_id, decision, rules, author, decided_at, reason.
    """
    binding = decisions.filter(pl.col("binds") & (pl.col("table_name") == table))
    wanted = ["decision_id", "decision", "rules", "author", "decided_at", "reason"]
    found = [binding.clear().select("source", pl.col("row_digest").alias("_row_key"), *wanted)]
    for (source,), part in binding.group_by("source", maintain_order=True):
        if not con.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_catalog = current_database()"
            " AND table_schema = 'sources' AND table_name = ?",
            [source],
        ).fetchall():
            continue
        con.register("decided_digests", part.select("row_digest").to_arrow())
        try:
            rows: pl.DataFrame = con.sql(
                f"SELECT _row_key, row_digest FROM ({digests(con, str(source), only)})"
                " SEMI JOIN decided_digests USING (row_digest) ORDER BY _row_key"
            ).pl()
        finally:
            con.unregister("decided_digests")
        found.append(
            rows.join(part, on="row_digest", how="left", maintain_order="left").select(
                "source", "_row_key", *wanted
            )
        )
    return pl.concat(found)
