"""Rejected and repeated rows, written beside the table that did not take them."""

import datetime as dt

import duckdb
import polars as pl

from personalization_assets.contracts import Contract, contract_of
from personalization_assets.sql_text import quoted
from personalization_assets.standardized.contracts import Quarantine
from personalization_assets.standardized.entities import UNREADABLE
from personalization_assets.standardized.intake import Intake, payloads, record_key
from personalization_assets.standardized.normalise.distinct import map_python
from personalization_assets.standardized.releasing import FLAG

TABLE = "standardized.quarantine"
ROW = ["source", "_row_key"]
OUTCOME = {"release": "released", "discard": "discarded"}
_SEPARATOR = "\n"


def create_table(con: duckdb.DuckDBPyConnection) -> None:
    """Make the empty table where there is none yet, and give an older one the newer columns."""
    columns = contract_of(Quarantine).columns
    listed = ", ".join(f'"{c.name}" {c.duckdb_type}' for c in columns)
    con.execute("CREATE SCHEMA IF NOT EXISTS standardized")
    con.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} ({listed})")
    have = {row[0] for row in con.execute(f"DESCRIBE {TABLE}").fetchall()}
    for c in columns:
        if c.name not in have:
            con.execute(f'ALTER TABLE {TABLE} ADD COLUMN "{c.name}" {c.duckdb_type}')


def write(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    rejected: pl.DataFrame,
    intake: Intake,
    as_of: dt.datetime,
    accepted: str,
    scope: str | None = None,
) -> None:
    """Replace a table's rows in the quarantine; call it in the transaction that publishes it.

    `accepted` is the relation with the table's new rows. `scope` is a relation (source, _row_key)
    of the only rows that were judged, when not all were. A row that was there before keeps the time
    it was first seen; one that waited and is accepted now stays, as `replayed`.
    """
    create_table(con)
    mine = f"table_name = {quoted(contract.table)}"
    if scope:
        mine += (
            f" AND EXISTS (SELECT 1 FROM {scope} s"
            " WHERE s.source = quarantine.source AND s._row_key = quarantine.row_key)"
        )
    before: pl.DataFrame = con.sql(
        f"SELECT * RENAME (batch_id AS _batch_id, row_key AS _row_key) FROM {TABLE}"
        f" WHERE {mine} ORDER BY ALL"
    ).pl()
    out = _rejected(contract, rejected, intake)
    asked = intake.decided.filter(pl.col("decision") == "release")
    released = _in_table(con, contract, asked, accepted)
    released = released.filter(pl.col("_flags").list.contains(pl.lit(FLAG)))
    fresh = pl.concat([out, _released(released)])
    fresh = payloads(con, fresh).join(
        before.select(*ROW, seen="first_seen_as_of"), on=ROW, how="left", maintain_order="left"
    )
    others = _waited(before).join(fresh, on=ROW, how="anti", maintain_order="left")
    again = _in_table(con, contract, others, accepted)
    rows = pl.concat(
        [
            _with_decisions(fresh, intake.decided).with_columns(
                first_seen_as_of=pl.col("seen").fill_null(pl.lit(as_of)).cast(pl.Datetime("us")),
                replayed_as_of=pl.lit(None, dtype=pl.Datetime("us")),
            ),
            again.with_columns(
                status=pl.lit("replayed"),
                replayed_as_of=pl.col("replayed_as_of")
                .fill_null(pl.lit(as_of))
                .cast(pl.Datetime("us")),
                decision_id=pl.lit(None, dtype=pl.String),
                decided_by=pl.lit(None, dtype=pl.String),
                decided_at=pl.lit(None, dtype=pl.Datetime("us")),
                decision_reason=pl.lit(None, dtype=pl.String),
            ),
        ],
        how="diagonal",
    ).with_columns(
        table_name=pl.lit(contract.table),
        batch_id=pl.col("_batch_id"),
        row_key=pl.col("_row_key"),
        contract_version=pl.lit(contract.version, dtype=pl.Int64),
    )
    con.execute(f"DELETE FROM {TABLE} WHERE {mine}").fetchall()
    con.register("fresh_quarantine", contract_of(Quarantine).conform(rows).to_arrow())
    try:
        con.execute(f"INSERT INTO {TABLE} BY NAME SELECT * FROM fresh_quarantine").fetchall()
    finally:
        con.unregister("fresh_quarantine")


def _rejected(contract: Contract, rejected: pl.DataFrame, intake: Intake) -> pl.DataFrame:
    return pl.concat(
        [
            rejected.select(
                "source",
                "_batch_id",
                "_row_key",
                record_key=record_key(contract),
                reasons=plain_reasons(rejected["reasons"]),
                status=pl.lit("waiting"),
            ),
            intake.discarded.with_columns(status=pl.lit("discarded")),
        ]
    )


def _released(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        "source",
        "_batch_id",
        "_row_key",
        "record_key",
        reasons=pl.col("rules").list.sort(),
        status=pl.lit("released"),
    )


def _waited(before: pl.DataFrame) -> pl.DataFrame:
    """Rows that somebody waited for: repeats that come back never did."""
    return before.filter((pl.col("status") != "discarded") | pl.col("decision_id").is_not_null())


def _in_table(
    con: duckdb.DuckDBPyConnection, contract: Contract, rows: pl.DataFrame, accepted: str
) -> pl.DataFrame:
    """Those of the rows that the table took, with what it says about them."""
    con.register("asked_rows", rows.select(ROW).to_arrow())
    key = contract.key[1]
    try:
        found: pl.DataFrame = con.sql(
            f'SELECT source, _row_key, _batch_id, "{key}" AS record_key, _flags FROM {accepted} t'
            " SEMI JOIN asked_rows a ON t.source = a.source AND t._row_key = a._row_key"
        ).pl()
    finally:
        con.unregister("asked_rows")
    return rows.drop("_batch_id", "record_key", strict=False).join(
        found, on=ROW, how="inner", maintain_order="left"
    )


def _with_decisions(rows: pl.DataFrame, decided: pl.DataFrame) -> pl.DataFrame:
    """With the decision that made a row what it is; a release that was of no use is left out."""
    obeyed = decided.select(
        *ROW,
        "decision_id",
        "decided_at",
        decided_by="author",
        decision_reason="reason",
        status=pl.col("decision").replace_strict(OUTCOME, return_dtype=pl.String),
    )
    return rows.join(obeyed, on=[*ROW, "status"], how="left", maintain_order="left")


def plain_reasons(reasons: pl.Series) -> pl.Series:
    """The reasons that a person can act on, without those that only follow from another.

    A value that could not be read is not missing as well; a line that is no row has no columns.
    """

    def plain(joined: str) -> str:
        names = sorted(set(joined.split(_SEPARATOR)))
        if UNREADABLE in names:
            return UNREADABLE
        causes = {n.split(".")[0] for n in names if not n.endswith(".required")}
        kept = [n for n in names if not (n.endswith(".required") and n.split(".")[0] in causes)]
        own = [n for n in kept if n != "record_id.required"]
        return _SEPARATOR.join(own or kept)

    joined = reasons.list.join(_SEPARATOR)
    return map_python(joined, plain).str.split(_SEPARATOR).alias("reasons")
