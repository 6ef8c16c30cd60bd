"""Choosing rows of the quarantine, counting them and showing them."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from personalization_assets.contracts import Contract
from personalization_assets.errors import UserError
from personalization_assets.sql_text import quoted
from personalization_assets.standardized.intake import DUPLICATE, OTHER_SOURCE, SUPERSEDED
from personalization_assets.standardized.quarantine import TABLE
from personalization_assets.warehouse import exists

REPEATS = {
    DUPLICATE: "the same row was received before",
    SUPERSEDED: "a newer version of the record was received",
    OTHER_SOURCE: "an earlier source in sources.yaml describes the product",
}
"""What is said of rows that no rule of a contract rejected."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


@dataclass(frozen=True)
class Choice:
    """Rows of the quarantine; what is empty does not narrow the choice."""

    tables: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether nothing narrows it but the status."""
        return not (self.tables or self.sources or self.reasons or self.batches or self.rows)

    def where(self) -> str:
        """The condition on columns of the quarantine."""
        parts = [
            f"{column} IN ({', '.join(map(quoted, values))})"
            for column, values in (
                ("table_name", self.tables),
                ("source", self.sources),
                ("batch_id", self.batches),
                ("status", self.statuses),
                ("row_key", self.rows),
            )
            if values
        ]
        if self.reasons:
            parts.append(f"list_has_any(reasons, [{', '.join(map(quoted, self.reasons))}])")
        return " AND ".join(parts) or "true"


def require(con: duckdb.DuckDBPyConnection, choice: Choice) -> None:
    """Refuse a name that is not in the quarantine, rather than find nothing.

    Raises:
        UserError: there is no quarantine yet, or a table, source, reason or batch is not in it.
    """
    if not exists(con, TABLE):
        raise UserError("There is no quarantine yet: run `personalize run` first.")
    columns = {row[0] for row in con.execute(f"DESCRIBE {TABLE}").fetchall()}
    if "record_key" not in columns:
        raise UserError(
            "The quarantine was written by an earlier version: `personalize run` brings it up to "
            "date."
        )
    for option, column, asked in (
        ("--table", "table_name", choice.tables),
        ("--source", "source", choice.sources),
        ("--reason", "unnest(reasons)", choice.reasons),
        ("--batch", "batch_id", choice.batches),
        ("--row", "row_key", choice.rows),
    ):
        if not asked:
            continue
        there = {r[0] for r in con.execute(f"SELECT DISTINCT {column} FROM {TABLE}").fetchall()}
        for name in asked:
            if name not in there:
                close = difflib.get_close_matches(name, there, n=1, cutoff=0.6)
                hint = f"did you mean {close[0]}" if close else "see `personalize quarantine list`"
                raise UserError(f"No row in quarantine has {option} {name}: {hint}.")


def counts(con: duckdb.DuckDBPyConnection, choice: Choice) -> pl.DataFrame:
    """Rows by table_name, source, reason, batch_id (with its file) and status.

    A row that broke two rules counts under both. `since` is the run that first rejected one.
    """
    with_files = exists(con, "sources.files")
    file = (
        "(SELECT max(path) FROM sources.files f WHERE f.source = q.source"
        " AND f.batch_id = q.batch_id)"
        if with_files
        else "NULL::VARCHAR"
    )
    narrowed = (
        f" WHERE reason IN ({', '.join(map(quoted, choice.reasons))})" if choice.reasons else ""
    )
    found: pl.DataFrame = con.sql(
        "WITH q AS (SELECT table_name, source, reason, batch_id, status, count(*) AS rows,"
        " min(first_seen_as_of) AS since FROM (SELECT *, unnest(reasons) AS reason FROM"
        f" {TABLE} WHERE {choice.where()}){narrowed} GROUP BY ALL)"
        f" SELECT *, {file} AS file FROM q"
        " ORDER BY table_name, rows DESC, source, reason, batch_id, status"
    ).pl()
    return found


def chosen(
    con: duckdb.DuckDBPyConnection, choice: Choice, limit: int | None = None
) -> pl.DataFrame:
    """The chosen rows, all columns of the quarantine, in the order of table, source and row."""
    found: pl.DataFrame = con.sql(
        f"SELECT * FROM {TABLE} WHERE {choice.where()} ORDER BY table_name, source, row_key"
        + (f" LIMIT {limit}" if limit is not None else "")
    ).pl()
    return found


def how_many(con: duckdb.DuckDBPyConnection, choice: Choice) -> int:
    """Rows of the choice."""
    return int(con.execute(f"SELECT count(*) FROM {TABLE} WHERE {choice.where()}").fetchall()[0][0])


def in_words(contracts: Mapping[str, Contract], table: str, reason: str) -> str:
    """What a reason means, from the rule's description."""
    contract = contracts.get(table)
    for rule in contract.rules if contract else ():
        if rule.name == reason:
            return f"broken: {rule.description}"
    return REPEATS.get(reason, "a rule that the contract no longer has")


def export(rows: pl.DataFrame, contracts: Mapping[str, Contract], path: Path) -> bool:
    """Write rows to a .csv, .ndjson or .parquet file, with `reasons_in_words`.

    Returns whether cells were made safe: in CSV, one that a spreadsheet would take for a formula
    gets an apostrophe in front.

    Raises:
        UserError: another kind of file, or it cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".ndjson", ".parquet"):
        raise UserError(f"--out {path.name}: name a file that ends in .csv, .ndjson or .parquet.")
    words = [
        [in_words(contracts, table, reason) for reason in reasons]
        for table, reasons in rows.select("table_name", "reasons").iter_rows()
    ]
    rows = rows.with_columns(pl.Series("reasons_in_words", words, dtype=pl.List(pl.String)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == ".parquet":
            rows.write_parquet(path)
            return False
        if kind == ".ndjson":
            rows.write_ndjson(path)
            return False
        flat = rows.with_columns(
            pl.col("reasons").list.join(" "), pl.col("reasons_in_words").list.join("; ")
        )
        safe = flat.with_columns(pl.col(pl.String).map_batches(_without_formulas, pl.String))
        safe.write_csv(path)
        return not safe.equals(flat)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None


def _without_formulas(cells: pl.Series) -> pl.Series:
    risky = pl.any_horizontal(pl.col("cell").str.starts_with(sign) for sign in FORMULA)
    return (
        pl.DataFrame({"cell": cells})
        .select(pl.when(risky).then("'" + pl.col("cell")).otherwise("cell"))
        .to_series()
    )


def fields(payload: str) -> dict[str, Any]:
    """A payload as the source's columns that have a value; a line that is no row as one."""
    try:
        read = json.loads(payload)
    except ValueError:
        return {"line": payload}
    if not isinstance(read, dict):
        return {"line": payload}
    return {k: v for k, v in read.items() if v is not None}
