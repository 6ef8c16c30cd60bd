"""CSV files that people and commands write together: whole or not at all, one writer at a time.

What people decide is kept beside the data and not in the warehouse: it can be read, corrected and
put under version control, and it outlives a warehouse that is built anew. Rows are never deleted.

People open these files in a spreadsheet, and ids come from foreign systems: a cell that would be
run as a formula is written with an apostrophe in front, and read without it (OWASP, CSV injection).
"""

import csv
import datetime as dt
import fcntl
import getpass
import io
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from personalization_assets.errors import UserError

FORMULA = re.compile(r"^[=@\t\r]|^[+-](?![0-9.,]+$)|^'+[=+@\t\r-]")
"""What a spreadsheet runs, or what reading would take an apostrophe from; no signed number."""
_GUARDED = r"^'('*[=+@\t\r-])"
TIMES = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")


def os_user() -> str:
    """Who is logged in; `unknown` where the system does not say."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def now() -> str:
    """UTC to the microsecond, so that of two rows it is clear which is later.

    What people decide does not belong to a run, so this is the clock and not `as_of`.
    """
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside the file: a second writer waits, so that no row is lost.

    Raises:
        UserError: the file or its folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(path.name + ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}): make it and its folder writable."
        ) from error


def read_rows(path: Path, columns: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows as they are, also columns of the user's own; none where there is no file."""
    text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = [
        {k: re.sub(_GUARDED, r"\1", v or "") for k, v in row.items() if k is not None}
        for row in reader
    ]
    found = list(reader.fieldnames or ())
    return found + [c for c in columns if c not in found], rows


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    """Put the rows in the place of the file at once; call it while holding its lock."""
    fresh = path.with_name(path.name + ".tmp")
    with fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: _guarded(v) for k, v in row.items()} for row in rows)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        shutil.copymode(path, fresh)
    fresh.replace(path)


def _guarded(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) else cell


def unguarded(cells: pl.Expr) -> pl.Expr:
    """Cells of such a file as they were before `write_rows` guarded them."""
    return cells.str.replace(_GUARDED, "${1}")


def read_frame(
    path: Path, columns: Sequence[str], required: Sequence[str], times: Sequence[str]
) -> pl.DataFrame:
    """The rows as a frame with exactly these columns: text, and naive UTC for `times`.

    An empty cell is null. A file that is absent or empty has no rows.

    Raises:
        UserError: a column or a value that is required is missing, or a time is not readable.
    """
    schema = {c: pl.Datetime("us") if c in times else pl.String for c in columns}
    if not path.exists() or not path.read_text(encoding="utf-8-sig").strip():
        return pl.DataFrame(schema=schema)
    try:
        raw = pl.read_csv(path, infer_schema_length=0, encoding="utf8")
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} is not a readable CSV file: save it as UTF-8 CSV.") from error
    missing = [c for c in required if c not in raw.columns]
    if missing:
        raise UserError(f"{path.name} lacks the column(s) {', '.join(missing)}: add them.")
    frame = raw.with_columns(
        pl.lit(None, pl.String).alias(c) for c in columns if c not in raw.columns
    ).select(unguarded(pl.col(columns).str.strip_chars()).replace("", None))
    for column in required:
        refuse(path, frame, pl.col(column).is_null(), f"an empty {column}")
    for column in times:
        text = pl.col(column).str.replace("Z$", "").str.replace("T", " ")
        parsed = pl.coalesce(text.str.to_datetime(f, strict=False, time_unit="us") for f in TIMES)
        refuse(path, frame, parsed.is_null() & text.is_not_null(), f"a {column} that is no time")
        frame = frame.with_columns(parsed.alias(column))
    return frame


def refuse(path: Path, frame: pl.DataFrame, bad: pl.Expr, what: str) -> None:
    """Name the first line where a condition holds.

    Raises:
        UserError: there is such a line.
    """
    rows = frame.with_row_index("_row", offset=2).filter(bad)["_row"]
    if len(rows):
        raise UserError(f"{path.name}, line {rows[0]}, has {what}: correct it and run again.")
