"""Rejected and repeated rows, written beside the table that did not take them."""

import datetime as dt

import duckdb
import polars as pl

from personalization_assets.contracts import Contract, contract_of
from personalization_assets.standardized.contracts import Quarantine
from personalization_assets.standardized.entities import UNREADABLE
from personalization_assets.standardized.intake import payloads
from personalization_assets.standardized.normalise.distinct import map_python

TABLE = "standardized.quarantine"
_SEPARATOR = "\n"


def create_table(con: duckdb.DuckDBPyConnection) -> None:
    """Make the empty table where there is none yet."""
    columns = ", ".join(f'"{c.name}" {c.duckdb_type}' for c in contract_of(Quarantine).columns)
    con.execute("CREATE SCHEMA IF NOT EXISTS standardized")
    con.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} ({columns})")


def write(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    rejected: pl.DataFrame,
    discarded: pl.DataFrame,
    as_of: dt.datetime,
) -> None:
    """Replace a table's rows in the quarantine; call it in the transaction that publishes it.

    A row that was there before keeps the time it was first seen, and its status where a person or
    a replay has dealt with it.
    """
    create_table(con)
    rows = payloads(
        con,
        pl.concat(
            [
                rejected.select(
                    "source",
                    "_batch_id",
                    "_row_key",
                    reasons=plain_reasons(rejected["reasons"]),
                    status=pl.lit("waiting"),
                ),
                discarded.select(
                    "source",
                    "_batch_id",
                    "_row_key",
                    reasons=pl.concat_list("reason"),
                    status=pl.lit("discarded"),
                ),
            ]
        ),
    )
    before: pl.DataFrame = con.sql(
        "SELECT source, row_key AS _row_key, status AS old_status, first_seen_as_of AS seen"
        f" FROM {TABLE} WHERE table_name = $name ORDER BY ALL",
        params={"name": contract.table},
    ).pl()
    settled = pl.col("old_status") != "waiting"
    fresh = rows.join(before, on=["source", "_row_key"], how="left", maintain_order="left").select(
        table_name=pl.lit(contract.table),
        source="source",
        batch_id="_batch_id",
        row_key="_row_key",
        payload="payload",
        reasons="reasons",
        contract_version=pl.lit(contract.version, dtype=pl.Int64),
        status=pl.when(settled).then("old_status").otherwise("status"),
        first_seen_as_of=pl.col("seen").fill_null(pl.lit(as_of)).cast(pl.Datetime("us")),
    )
    con.execute(f"DELETE FROM {TABLE} WHERE table_name = ?", [contract.table])
    con.register("fresh_quarantine", fresh.to_arrow())
    try:
        con.execute(f"INSERT INTO {TABLE} BY NAME SELECT * FROM fresh_quarantine")
    finally:
        con.unregister("fresh_quarantine")


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
