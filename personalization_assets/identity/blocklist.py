"""Identifiers that a user wants ignored, as a CSV file: the shop's own phone, a test device."""

import datetime as dt
from pathlib import Path

import polars as pl

from personalization_assets.errors import UserError

COLUMNS = ["kind", "value", "reason"]
KINDS = ("email", "phone", "device", "dob")


def read_blocklist(path: Path) -> pl.DataFrame:
    """Rows of `identity.blocklist`; none when the file is absent.

    Values stay as they are written, without blanks around them and e-mail addresses in small
    letters: they are spelt like the records' own values before they are compared.

    Raises:
        UserError: a column or a value is missing, a kind is unknown, a date of birth is no date, or
            an entry is there twice.
    """
    if not path.exists() or not path.read_text(encoding="utf-8-sig").strip():
        return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String))
    try:
        raw = pl.read_csv(path, infer_schema_length=0, encoding="utf8")
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        # Their text may quote a line, and this file holds addresses.
        raise UserError(f"{path.name} is not a readable CSV file: save it as UTF-8 CSV.") from None
    missing = [c for c in COLUMNS[:2] if c not in raw.columns]
    if missing:
        raise UserError(f"{path.name} lacks the column(s) {', '.join(missing)}: add them.")
    frame = raw.with_columns(
        pl.lit(None, pl.String).alias(c) for c in COLUMNS if c not in raw.columns
    ).select(pl.col(COLUMNS).str.strip_chars().replace("", None))
    frame = frame.with_columns(pl.col("kind").str.to_lowercase()).with_columns(
        value=pl.when(kind="email").then(pl.col("value").str.to_lowercase()).otherwise("value")
    )
    kind, value = pl.col("kind"), pl.col("value")
    dates = [k == "dob" and not _is_date(v or "") for k, v in frame.select(kind, value).iter_rows()]
    digits = value.str.replace_all(r"\D", "").str.len_chars()
    _refuse(path, frame, kind.is_null() | value.is_null(), "has an empty kind or value: fill it in")
    _refuse(path, frame, ~kind.is_in(KINDS), f"has an unknown kind: use one of {', '.join(KINDS)}")
    _refuse(
        path,
        frame,
        (kind == "email") & ~value.str.contains("@", literal=True),
        "has an email without an @: write the whole address",
    )
    _refuse(
        path,
        frame,
        (kind == "phone") & (digits < 7),
        "has a phone of fewer than seven digits: write the whole number",
    )
    no_date = pl.lit(pl.Series(dates, dtype=pl.Boolean))
    _refuse(path, frame, no_date, "has a dob that is no date like 1970-01-01")
    _refuse(
        path,
        frame,
        ~pl.struct(kind, value).is_first_distinct(),
        "repeats an earlier line: delete one of them",
    )
    return frame.sort("kind", "value")


def _is_date(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _refuse(path: Path, frame: pl.DataFrame, bad: pl.Expr, what: str) -> None:
    rows = frame.with_row_index("_row", offset=2).filter(bad)["_row"]
    if len(rows):
        raise UserError(f"{path.name}, line {rows[0]}, {what}.")
