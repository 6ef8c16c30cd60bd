"""Decisions of people about pairs of records, as a CSV file that they or a page write."""

from pathlib import Path

import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.kept_by_hand import unguarded

COLUMNS = [
    "decision_id",
    "source_l",
    "record_id_l",
    "source_r",
    "record_id_r",
    "verdict",
    "author",
    "decided_at",
    "reason",
    "withdrawn_at",
]
REQUIRED = COLUMNS[:6]
TIMES = ["decided_at", "withdrawn_at"]


def read_decisions(path: Path) -> pl.DataFrame:
    """Rows of `identity.decisions`; no row when the file is absent. Times are naive UTC.

    Raises:
        UserError: a column is missing, an id is there twice, or a verdict or time is not readable.
    """
    empty = pl.DataFrame(
        schema={c: pl.Datetime("us") if c in TIMES else pl.String for c in COLUMNS}
    )
    if not path.exists() or not path.read_text(encoding="utf-8-sig").strip():
        return empty
    try:
        raw = pl.read_csv(path, infer_schema_length=0, encoding="utf8")
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} is not a readable CSV file: save it as UTF-8 CSV.") from error
    missing = [c for c in REQUIRED if c not in raw.columns]
    if missing:
        raise UserError(f"{path.name} lacks the column(s) {', '.join(missing)}: add them.")
    frame = raw.with_columns(
        pl.lit(None, pl.String).alias(c) for c in COLUMNS if c not in raw.columns
    ).select(unguarded(pl.col(COLUMNS).str.strip_chars()).replace("", None))
    frame = frame.with_columns(pl.col("verdict").str.to_lowercase())
    _refuse(path, frame, pl.any_horizontal(pl.col(REQUIRED).is_null()), "an empty required field")
    _refuse(path, frame, ~pl.col("verdict").is_in(["same", "different"]), "an unknown verdict")
    _refuse(path, frame, pl.col("decision_id").is_duplicated(), "a decision_id that is used twice")
    for column in TIMES:
        read = frame[column].str.replace("Z$", "").str.replace("T", " ")
        parsed = pl.coalesce(
            pl.col(column).str.to_datetime(f, strict=False, time_unit="us")
            for f in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
        )
        times = pl.DataFrame({column: read}).select(parsed)[column]
        _refuse(
            path, frame, pl.lit(times.is_null() & read.is_not_null()), f"a {column} that is no time"
        )
        frame = frame.with_columns(times.alias(column))
    return frame.sort("decision_id")


def _refuse(path: Path, frame: pl.DataFrame, bad: pl.Expr, what: str) -> None:
    rows = frame.with_row_index("_row", offset=2).filter(bad)["_row"]
    if len(rows):
        raise UserError(f"{path.name}, line {rows[0]}, has {what}: correct it and run again.")
