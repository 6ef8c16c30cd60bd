"""The shop's own list of addresses that get no mail: `data/suppressions.csv`."""

import csv
from datetime import datetime
from pathlib import Path

import polars as pl

from personalization_assets.errors import UserError

SCHEMA: dict[str, pl.DataType] = {"email": pl.String(), "since": pl.Datetime("us")}


def read_list(path: Path) -> pl.DataFrame:
    """The list with columns email (in small letters) and since; an absent file is an empty list.

    The file is a CSV with a column `email` and, if known, `since` (a date).

    Raises:
        UserError: no column `email`, or a line that can't be read. Lines are named by number only.
    """
    if not path.is_file():
        return pl.DataFrame(schema=SCHEMA)
    emails: list[str] = []
    dates: list[datetime | None] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if "email" not in (rows.fieldnames or []):
                raise UserError(
                    f"{path} needs a first line that names its columns, one of them email."
                )
            for row in rows:
                address = (row["email"] or "").strip().lower()
                if not address:
                    continue
                if "@" not in address:
                    raise UserError(
                        f"{path} line {rows.line_num}: this is not an e-mail address; correct or "
                        f"remove the line."
                    )
                emails.append(address)
                dates.append(_date(path, rows.line_num, row.get("since")))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    return pl.DataFrame({"email": emails, "since": dates}, schema=SCHEMA)


def _date(path: Path, line: int, text: str | None) -> datetime | None:
    if not text or not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError as error:
        raise UserError(
            f"{path} line {line}: since must be a date such as 2026-03-31; correct it or leave it "
            f"empty."
        ) from error


def suppressions_sql() -> str:
    """One row per address with its strongest reason, from the signals and the list `listed`."""
    return """
        SELECT email, arg_min(reason, place) AS reason, arg_min(since, place) AS since
        FROM (
            SELECT email, reason, since,
                   CASE reason WHEN 'hard_bounce' THEN 1 WHEN 'complaint' THEN 2 ELSE 4 END AS place
            FROM emails.suppression_signals
            UNION ALL
            SELECT email, 'list', min(since), 3 FROM listed GROUP BY email
        )
        GROUP BY email ORDER BY email
    """
