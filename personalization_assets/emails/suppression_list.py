"""Who is not written to, whatever they agreed to: the shop's list, lists left, role accounts.

Two files of the shop, both optional: `data/suppressions.csv`, addresses that get no mail, and
`data/role_accounts.csv`, what the shop thinks of mailboxes that belong to a task (info@, sales@).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from personalization_assets.errors import UserError

if TYPE_CHECKING:
    from personalization_assets.emails.campaigns import Campaign

SCHEMA: dict[str, pl.DataType] = {"email": pl.String(), "since": pl.Datetime("us")}

ROLE_ACCOUNTS = Path(__file__).with_name("role_accounts.csv")
"""Names of RFC 2142 and what shops use in a few languages."""

YES, NO = ("yes", "true", "1", ""), ("no", "false", "0")

REASONS = (
    # reason, what it stops; the strongest first
    ("hard_bounce", "everything"),
    ("list", "everything"),
    ("complaint", "promotional"),
    ("unsubscribe", "promotional"),
    ("soft_bounce", "promotional"),
    ("unsubscribe_list", "lists"),
)


def read_list(path: Path) -> pl.DataFrame:
    """The list with columns email (in small letters) and since; an absent file is an empty list.

    The file is a CSV with a column `email` and, if known, `since` (a date).

    Raises:
        UserError: no column `email`, or a line that can't be read. Lines are named by number only.
    """
    emails: list[str] = []
    dates: list[datetime | None] = []
    for line, row in _rows(path, "email"):
        address = row["email"].lower()
        if "@" not in address:
            raise UserError(
                f"{path} line {line}: this is not an e-mail address; correct or remove the line."
            )
        emails.append(address)
        dates.append(_date(path, line, row.get("since", "")))
    return pl.DataFrame({"email": emails, "since": dates}, schema=SCHEMA)


def read_role_accounts(path: Path) -> list[str]:
    """Mailbox names (the part before @ and +) that belong to a task and not to a person, sorted.

    The packaged list, changed by the shop's file: a CSV with a column `name` and, if a name is to
    be taken out of the list, a column `role` that says no.

    Raises:
        UserError: no column `name`, or a `role` that is neither yes nor no.
    """
    names = {row["name"] for _, row in _rows(ROLE_ACCOUNTS, "name")}
    for line, row in _rows(path, "name"):
        name, said = row["name"].lower(), row.get("role", "").lower()
        if "@" in name or said not in (*YES, *NO):
            raise UserError(
                f"{path} line {line}: write the name before the @, such as info, and yes or no as "
                f"its role."
            )
        if said in NO:
            names.discard(name)
        else:
            names.add(name)
    return sorted(names)


def register_tables(con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]) -> None:
    """Make small frames temporary tables of the connection."""
    for name, frame in frames.items():
        con.register(f"{name}_rows", frame.to_arrow())
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {name}_rows")
        con.unregister(f"{name}_rows")


def _rows(path: Path, needed: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines of a CSV whose column `needed` is not empty, by number; none if there is no file."""
    if not path.is_file():
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if needed not in (rows.fieldnames or []):
                raise UserError(
                    f"{path} needs a first line that names its columns, one of them {needed}."
                )
            for row in rows:
                if (row[needed] or "").strip():
                    # A line with too many cells holds the rest under None, as a list.
                    yield (
                        rows.line_num,
                        {k: (v or "").strip() for k, v in row.items() if k is not None},
                    )
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from error


def _date(path: Path, line: int, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise UserError(
            f"{path} line {line}: since must be a date such as 2026-03-31; correct it or leave it "
            f"empty."
        ) from error


def mailing_lists(campaigns: Sequence["Campaign"]) -> pl.DataFrame:
    """What an unsubscribe may name, and the list that it means: columns label and mailing_list.

    A provider names the list, a campaign of it, or the campaign's UTM tag. An unsubscribe that
    names anything else counts for all promotional mail.
    """
    pairs = {
        (label, c.file.mailing_list)
        for c in campaigns
        if c.file.kind == "promotional"
        for label in (c.file.mailing_list, c.name, c.file.utm.campaign or c.name)
    }
    schema: dict[str, pl.DataType] = {"label": pl.String(), "mailing_list": pl.String()}
    return pl.DataFrame(sorted(pairs), schema=schema, orient="row")


def suppress(
    con: duckdb.DuckDBPyConnection, listed: pl.DataFrame, campaigns: Sequence["Campaign"]
) -> str:
    """The SELECT of emails.suppressions, from emails.suppression_signals and the shop's list.

    `listed` is what `read_list` gives. Registers it and the campaigns' lists on the connection.
    """
    register_tables(con, {"listed": listed, "mailing_lists": mailing_lists(campaigns)})
    reasons = ", ".join(f"('{r}', {n}, '{stops}')" for n, (r, stops) in enumerate(REASONS))
    return f"""
        WITH reasons(reason, place, stops) AS (VALUES {reasons}),
        said AS (
            SELECT s.email, s.since, s.until, l.mailing_list,
                   CASE WHEN l.mailing_list IS NULL THEN s.reason ELSE 'unsubscribe_list' END
                       AS reason
            FROM emails.suppression_signals s
            LEFT JOIN mailing_lists l ON s.reason = 'unsubscribe' AND l.label = s.campaign
            UNION ALL
            SELECT email, min(since), NULL, NULL, 'list' FROM listed GROUP BY email
        ),
        strongest AS (
            SELECT email,
                -- A struct: arg_min would pass over an empty date and take a weaker reason's.
                arg_min(
                    {{reason: reason, since: since, until: until, stops: stops}},
                    (place, coalesce(since, TIMESTAMP '1970-01-01'), coalesce(mailing_list, ''))
                ) AS s,
                coalesce(
                    list(DISTINCT mailing_list ORDER BY mailing_list)
                        FILTER (WHERE mailing_list IS NOT NULL), []
                ) AS lists
            FROM said JOIN reasons USING (reason) GROUP BY email
        )
        SELECT email, s.reason AS reason, s.since AS since, s.until AS until, s.stops AS stops,
            lists
        FROM strongest ORDER BY email
    """
