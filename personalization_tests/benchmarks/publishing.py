"""What it costs that a table is published whole or not at all, after its contract has judged it.

Baselines, on the same rows in the same kind of file: `CREATE OR REPLACE TABLE .. AS`, and what
dagster-duckdb's I/O managers do with a frame: DELETE, then INSERT. Neither judges a row.
"""

import argparse
import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandera.polars as pa
import polars as pl

from personalization_tests.benchmarks.measure import COST, measured, scratch, show, times

TABLE = "shop.sales"
ROWS = """
SELECT i AS sale_id, 'c_' || (i * 7919 % 400000) AS customer_id, 'P' || (i % 5000) AS product_id,
    1 + i % 5 AS quantity, (i % 9000) / 100.0::DOUBLE AS price_base,
    ['new', 'paid', 'sent'][1 + i % 3] AS status,
    TIMESTAMP '2026-01-01' + to_seconds(i) AS sold_at
FROM range({rows}) t(i)
"""


class Sales(pa.DataFrameModel):
    """A sale."""

    sale_id: int = pa.Field(ge=0, description="Id of the sale")
    customer_id: str = pa.Field(str_matches="^c_[0-9]+$", description="Who bought")
    product_id: str = pa.Field(description="What was bought")
    quantity: int = pa.Field(ge=1, le=1000, description="How many")
    price_base: float = pa.Field(ge=0, description="Price of one")
    status: str = pa.Field(isin=["new", "paid", "sent"], description="How far it is")
    sold_at: pl.Datetime("us") = pa.Field(description="When")  # type: ignore[valid-type]

    class Config:
        name = "sales"
        metadata = {"room": "shop", "key": ["sale_id"], "grain": "one row per sale"}  # noqa: RUF012


def _open(file: Path, rows: int) -> duckdb.DuckDBPyConnection:
    """A warehouse in which the table was published before."""
    con = duckdb.connect(str(file), config={"threads": 2, "memory_limit": "2GB"})
    con.execute(f"CREATE SCHEMA shop; CREATE TABLE {TABLE} AS {ROWS.format(rows=rows)}")
    con.execute("CHECKPOINT")
    return con


def _frame(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    frame: pl.DataFrame = con.sql(f"FROM {TABLE}").pl()
    return frame


def publish(file: Path, rows: int, framed: bool) -> Callable[[], None]:
    """Work that publishes the rows: staged, judged, swapped in."""
    from personalization_assets import tables
    from personalization_assets.contracts import contract_of
    from personalization_assets.settings import Settings
    from personalization_assets.warehouse import Query

    con = _open(file, rows)
    run = tables.Run(con, dt.datetime(2026, 11, 1), Settings(), logging.getLogger("benchmark"))
    given = _frame(con) if framed else Query(ROWS.format(rows=rows))

    def work() -> None:
        tables.publish(run, [(contract_of(Sales), given)])
        con.close()

    return work


def replace(file: Path, rows: int, framed: bool) -> Callable[[], None]:
    """Work that creates the table anew."""
    con = _open(file, rows)
    source = ROWS.format(rows=rows)
    if framed:
        con.register("given", _frame(con).to_arrow())
        source = "FROM given"

    def work() -> None:
        con.execute(f"CREATE OR REPLACE TABLE {TABLE} AS {source}")
        con.close()

    return work


def delete_insert(file: Path, rows: int, framed: bool) -> Callable[[], None]:
    """Work that empties the table and fills it again, in one transaction."""
    con = _open(file, rows)
    source = ROWS.format(rows=rows)
    if framed:
        con.register("given", _frame(con).to_arrow())
        source = "SELECT * FROM given"

    def work() -> None:
        con.execute(f"BEGIN; DELETE FROM {TABLE}; INSERT INTO {TABLE} {source}; COMMIT")
        con.close()

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    count = parser.parse_args().rows
    ways = {
        "CREATE OR REPLACE TABLE AS": replace,
        "DELETE + INSERT": delete_insert,
        "publish: stage, audit, swap": publish,
    }
    for framed in (False, True):
        rows, baseline = [], 0.0
        for name, way in ways.items():
            with scratch() as folder:
                file = folder / "warehouse.duckdb"
                _, cost = measured(way, file, count, framed)
                size = file.stat().st_size / 1024**2
            baseline = baseline or cost.cpu
            speed = f"{count / cost.cpu:,.0f}"
            rows.append([name, *cost.cells(), f"{size:,.0f}", speed, times(baseline, cost.cpu)])
        where = "a polars frame" if framed else "a query inside DuckDB"
        heads = ["what", *COST, "file MB", "rows/CPU s", "to CREATE"]
        show(f"{count:,} rows from {where}, over a table that was there", heads, rows)


if __name__ == "__main__":
    main()
