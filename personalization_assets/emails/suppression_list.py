"""Who is not written to, whatever they agreed to: the shop's list, lists left, refusing mailboxes.

The shop's list is `data/suppressions.csv`, optional: addresses that get no mail.
"""

import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.mailboxes import csv_rows

if TYPE_CHECKING:
    from personalization_assets.emails.campaigns import Campaign

SCHEMA: dict[str, pl.DataType] = {"email": pl.String(), "since": pl.Datetime("us")}

REASONS = (
    # reason, what it stops; the strongest first
    ("hard_bounce", "everything"),
    ("list", "everything"),
    ("complaint", "promotional"),
    ("unsubscribe", "promotional"),
    ("soft_bounce", "promotional"),
    # A service's word, not the mailbox's own: a confirmation of an order is still tried.
    ("undeliverable", "promotional"),
    ("risky", "promotional"),
    ("unsubscribe_list", "lists"),
)


def suppression_of(kind: str, mailing_list: str) -> str:
    """What a suppression stops: SQL of the reason why a mail must not go, null if it may.

    Takes SQL of the mail's kind and of its list, beside a row `s` of emails.suppressions for its
    address. The audience decides by it, and `mails send` again just before a mail goes.
    """
    return f"""CASE
        WHEN s.stops = 'everything' OR (s.stops = 'promotional' AND {kind} = 'promotional')
            THEN s.reason
        WHEN {kind} = 'promotional' AND list_contains(s.lists, {mailing_list})
            THEN 'unsubscribe_list'
    END"""


def read_list(path: Path) -> pl.DataFrame:
    """The list with columns email (in small letters) and since; an absent file is an empty list.

    The file is a CSV with a column `email` and, if known, `since` (a date).

    Raises:
        UserError: no column `email`, or a line that can't be read. Lines are named by number only.
    """
    emails: list[str] = []
    dates: list[datetime | None] = []
    for line, row in csv_rows(path, "email"):
        address = row["email"].lower()
        if "@" not in address:
            raise UserError(
                f"{path} line {line}: this is not an e-mail address; correct or remove the line."
            )
        emails.append(address)
        dates.append(_date(path, line, row.get("since", "")))
    return pl.DataFrame({"email": emails, "since": dates}, schema=SCHEMA)


class StopList:
    """The addresses of the list as it is now: a send that takes hours obeys what is added to it.

    The file is looked at once a second at most and read again when it has changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked = -math.inf
        self._stamp: tuple[int, int] | None = None
        self._emails: frozenset[str] = frozenset()

    def emails(self) -> frozenset[str]:
        """The addresses, in small letters.

        Raises:
            UserError: the file cannot be read.
        """
        now = time.monotonic()
        if now - self._looked >= 1:
            self._looked = now
            try:
                found = self._path.stat()
                stamp = (found.st_mtime_ns, found.st_size)
            except FileNotFoundError:
                stamp = None
            if stamp != self._stamp:
                self._emails = frozenset(read_list(self._path)["email"])
                self._stamp = stamp
        return self._emails


def register_tables(con: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame]) -> None:
    """Make small frames temporary tables of the connection."""
    for name, frame in frames.items():
        con.register(f"{name}_rows", frame.to_arrow())
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {name}_rows")
        con.unregister(f"{name}_rows")


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
