"""The shop's activity as it stood at an earlier day: what training and judging by time read.

The weights come from `dbt_like_sql/recommendations/interactions.sql` itself, run with another
`as_of`: there is no second statement that could weigh things differently.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl


@dataclass(frozen=True)
class Windows:
    """Days that cut the data by time; the test window is [test, end), validation [valid, test)."""

    first: dt.date
    valid: dt.date
    test: dt.date
    end: dt.date

    @property
    def days(self) -> int:
        """Length of the test window."""
        return (self.end - self.test).days


def windows(con: duckdb.DuckDBPyConnection, test_days: int) -> Windows | None:
    """The windows that the purchases allow, at most `test_days` and a quarter of their span each.

    They end with the newest purchase and not with the run's time: a shop whose extract is a month
    old can still judge its model. None when there are less than four days of purchases.
    """
    first, last = con.execute(
        "SELECT min(day), max(day) FROM recommendations.activity"
        " WHERE kind = 'purchase' AND day <= getvariable('as_of')::DATE"
    ).fetchall()[0]
    if first is None:
        return None
    days = min(test_days, ((last - first).days + 1) // 4)
    if days < 1:
        return None
    end = last + dt.timedelta(days=1)
    test = end - dt.timedelta(days=days)
    return Windows(first, test - dt.timedelta(days=days), test, end)


def interactions(
    con: duckdb.DuckDBPyConnection,
    statement: str,
    half_life_days: float,
    before: dt.date | None = None,
) -> pl.DataFrame:
    """`customer_id, product_id, weight, purchases` before a day (all up to as_of without one).

    In no promised order: whoever makes a matrix of them sorts them anyway.
    """
    changed: dict[str, Any] = {"recommendations__half_life_days": half_life_days}
    if before:
        changed["as_of"] = dt.datetime.combine(before, dt.time()) - dt.timedelta(microseconds=1)
    with variables(con, changed):
        return frame(
            con,
            f"SELECT customer_id, product_id, weight, purchases FROM ({statement})",
        )


def purchases(con: duckdb.DuckDBPyConnection, start: dt.date, end: dt.date) -> pl.DataFrame:
    """Distinct `customer_id, product_id` bought in [start, end)."""
    return frame(
        con,
        "SELECT DISTINCT customer_id, product_id FROM recommendations.activity"
        f" WHERE kind = 'purchase' AND day >= DATE '{start}' AND day < DATE '{end}'"
        " ORDER BY customer_id, product_id",
    )


def demand(con: duckdb.DuckDBPyConnection, before: dt.date, days: int) -> pl.DataFrame:
    """Buyers per product before a day: `product_id`, `recent` (of the last days), `latest` (of the
    last quarter of these) and `ever`.
    """
    start = before - dt.timedelta(days=days)
    late = before - dt.timedelta(days=max(days // 4, 1))
    return frame(
        con,
        "SELECT product_id, count(DISTINCT customer_id) AS ever,"
        f" count(DISTINCT customer_id) FILTER (WHERE day >= DATE '{start}') AS recent,"
        f" count(DISTINCT customer_id) FILTER (WHERE day >= DATE '{late}') AS latest"
        f" FROM recommendations.activity WHERE kind = 'purchase' AND day < DATE '{before}'"
        " GROUP BY product_id ORDER BY product_id",
    )


def categories(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """`product_id, category` of products whose category is known."""
    return frame(
        con,
        "SELECT product_id, category FROM recommendations.catalogue"
        " WHERE category IS NOT NULL ORDER BY product_id",
    )


def fingerprint(con: duckdb.DuckDBPyConnection) -> str:
    """A hash of the activity up to as_of, whatever the order of its rows."""
    count, upper, lower = con.execute(
        "SELECT count(*), coalesce(bit_xor(md5_number_upper(k)), 0),"
        " coalesce(bit_xor(md5_number_lower(k)), 0) FROM ("
        "SELECT concat_ws(chr(31), customer_id, product_id, kind, day, events) AS k"
        " FROM recommendations.activity WHERE day <= getvariable('as_of')::DATE)"
    ).fetchall()[0]
    return f"{count}-{upper:016x}{lower:016x}"


def snapshot(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """What there is to train on up to as_of, a row per kind of activity.

    `kind`, `pairs` (customers x products), `events`, `customers`, `products`, `first_day`,
    `last_day`, and `fingerprint`, which is the same for the same activity in whatever order.
    """
    return frame(
        con,
        """
        SELECT
            kind,
            count(DISTINCT (customer_id, product_id)) AS pairs,
            CAST(sum(events) AS BIGINT) AS events,
            count(DISTINCT customer_id) AS customers,
            count(DISTINCT product_id) AS products,
            min(day) AS first_day,
            max(day) AS last_day,
            format('{}-{:016x}{:016x}', count(*), bit_xor(md5_number_upper(k)),
                bit_xor(md5_number_lower(k))) AS fingerprint
        FROM (
            SELECT *, concat_ws(chr(31), customer_id, product_id, day, events) AS k
            FROM recommendations.activity
            WHERE day <= CAST(getvariable('as_of') AS DATE)
        )
        GROUP BY kind
        ORDER BY kind
        """,
    )


def frame(con: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    """The rows of a query."""
    rows: pl.DataFrame = con.sql(query).pl()
    return rows


@contextmanager
def variables(con: duckdb.DuckDBPyConnection, values: Mapping[str, Any]) -> Iterator[None]:
    """Set variables that SQL models read, and put the former values back."""
    former = {
        name: con.execute(f"SELECT getvariable('{name}')").fetchall()[0][0] for name in values
    }
    try:
        for name, value in values.items():
            con.execute(f"SET VARIABLE {name} = ?", [value])
        yield
    finally:
        for name, value in former.items():
            con.execute(f"SET VARIABLE {name} = ?", [value])
