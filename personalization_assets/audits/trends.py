"""What every column was like run by run: few numbers each, for trends and for what is usual."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

USUAL_SHARE = 0.9
"""Data is late beyond the lag that this share of earlier runs stayed within."""

KEPT = (
    "table_name",
    "column_name",
    "as_of",
    "rows",
    "nulls",
    "distinct_values",
    "median",
    "lag_hours",
)


def merge_history(
    history: pl.DataFrame,
    profiles: Sequence[Mapping[str, Any]],
    as_of: dt.datetime,
    keep: int,
    schema: Mapping[str, Any],
) -> pl.DataFrame:
    """The history with tonight's profiles; a repeated run (same `as_of`) replaces its own.

    The newest `keep` runs stay.
    """
    fresh = pl.DataFrame([{n: p[n] for n in KEPT} for p in profiles], schema=dict(schema))
    merged = pl.concat([history.filter(pl.col("as_of") != as_of), fresh])
    runs = merged["as_of"].unique().sort().tail(keep)
    return merged.filter(pl.col("as_of").is_in(runs.implode())).sort(
        "table_name", "column_name", "as_of"
    )


def usual_lags(
    history: pl.DataFrame, as_of: dt.datetime, runs: int
) -> dict[tuple[str, str], float]:
    """(table, column) -> the lag in hours that nine in ten of the `runs` before stayed within."""
    before = history.filter(pl.col("as_of") < as_of, pl.col("lag_hours").is_not_null())
    usual = (
        before.sort("as_of")
        .group_by("table_name", "column_name")
        .agg(pl.col("lag_hours").tail(runs).quantile(USUAL_SHARE, "lower"))
    )
    return {(table, column): lag for table, column, lag in usual.iter_rows()}
