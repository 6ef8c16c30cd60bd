"""The journal: what is known about each mail that was given to a mail server, on the disk.

Grain: one row per mail (`send_id`), of all runs. Status `sending` is written before the server sees
the mail, its answer after; whatever is killed between leaves `sending`, which nobody sends again.
A SQLite file of its own, for a run may hold the warehouse while mails go out.

Rows of runs before a midnight may be forgotten (`pruning.py`). The journal remembers that midnight,
and no mail of a run before it is sent any more: the send id of a mail is made of the day of its
run, so whatever is rendered for such a day again may have gone out already.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from personalization_assets.errors import UserError

FILE, LOCK = "journal.sqlite", "sending.lock"
COLUMNS = (
    "send_id",
    "campaign",
    "customer_id",
    "variant",
    "kind",
    "to_email",
    "content_hash",
    "send_at",
    "as_of",
    "status",
    "code",
    "answer",
    "about_recipient",
    "attempts",
)
NUMBERS = ("code", "about_recipient", "attempts")
ROWS = 10_000
TABLE = """
CREATE TABLE IF NOT EXISTS mails (
    send_id TEXT PRIMARY KEY, campaign TEXT NOT NULL, customer_id TEXT NOT NULL,
    variant TEXT NOT NULL, kind TEXT NOT NULL, to_email TEXT NOT NULL, content_hash TEXT NOT NULL,
    send_at TEXT, as_of TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('sending', 'sent', 'refused', 'deferred', 'uncertain')),
    code INTEGER, answer TEXT, about_recipient INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL)
"""
# One row at most.
FORGOTTEN_TABLE = "CREATE TABLE IF NOT EXISTS forgotten (before TEXT NOT NULL)"


class Claim(NamedTuple):
    """A mail that is about to be given to the server; times in UTC."""

    send_id: str
    campaign: str
    customer_id: str
    variant: str
    kind: str
    to_email: str
    content_hash: str
    send_at: datetime | None
    as_of: datetime


class Outcome(NamedTuple):
    """What became of an attempt. `about_recipient` says that a refusal is of the address."""

    status: str
    code: int | None
    answer: str
    about_recipient: bool = False


class Journal:
    """The journal in a folder; it is made on first use, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        file = folder / FILE
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        # DuckDB may read `reader` in a thread of its own.
        self._con = sqlite3.connect(file, isolation_level=None, timeout=30, check_same_thread=False)
        self._con.execute("PRAGMA journal_mode = WAL")
        # Each commit is on the disk before it returns.
        self._con.execute("PRAGMA synchronous = FULL")
        self._con.execute(TABLE)
        self._con.execute(FORGOTTEN_TABLE)

    def close(self) -> None:
        """Close the file."""
        self._con.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The right to send; only one process has it.

        Mails that a killed process left as `sending` become `uncertain` first.

        Raises:
            UserError: another process is sending.
        """
        with self.alone_or_not() as alone:
            if not alone:
                raise UserError(
                    f"Another `personalize mails` command is sending from {self.folder}: wait for "
                    "it to finish."
                )
            yield

    def settle(self) -> None:
        """Mails that a killed process left as `sending` become `uncertain`, unless one is sending
        now."""
        with self.alone_or_not():
            pass

    @contextmanager
    def alone_or_not(self) -> Iterator[bool]:
        """Whether no other process is sending; if so, none does before the end, and mails that a
        killed one left as `sending` are `uncertain`."""
        handle = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            self._give_up()
            yield True
        finally:
            os.close(handle)

    def _give_up(self) -> None:
        self._con.execute(
            "UPDATE mails SET status = 'uncertain', code = NULL, answer = "
            "'the command ended before the server answered' WHERE status = 'sending'"
        )

    def write(self, outcomes: Sequence[tuple[str, Outcome]], claims: Sequence[Claim] = ()) -> None:
        """Record answers and claim the next mails, together and durably."""
        if not outcomes and not claims:
            return
        with self._transaction():
            self._con.executemany(
                "UPDATE mails SET status = ?, code = ?, answer = ?, about_recipient = ?"
                " WHERE send_id = ?",
                [(*outcome[:3], int(outcome.about_recipient), i) for i, outcome in outcomes],
            )
            self._con.executemany(
                "INSERT INTO mails VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'sending', NULL, NULL, 0, 1)"
                " ON CONFLICT (send_id) DO UPDATE SET status = 'sending', code = NULL,"
                " answer = NULL, to_email = excluded.to_email,"
                " content_hash = excluded.content_hash, attempts = attempts + 1",
                [
                    (*c[:7], c.send_at.isoformat() if c.send_at else None, c.as_of.isoformat())
                    for c in claims
                ],
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._con.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._con.execute("ROLLBACK")
            raise
        self._con.execute("COMMIT")

    def forgotten_before(self) -> datetime | None:
        """Midnight before which no run's mails are sent any more, if rows were ever forgotten."""
        rows = self._con.execute("SELECT before FROM forgotten").fetchall()
        return datetime.fromisoformat(rows[0][0]) if rows else None

    def forget(self, send_ids: Iterable[str], before: datetime) -> int:
        """Take out mails of runs before that midnight, and remember it: all or nothing.

        The caller sees to it that no process is sending (`alone`). Returns how many rows went.
        """
        self._con.execute("PRAGMA secure_delete = ON")  # addresses are not left in free pages
        with self._transaction():
            went = self._con.executemany(
                "DELETE FROM mails WHERE send_id = ?", ((i,) for i in send_ids)
            ).rowcount
            if went > 0:
                before = max(before, self.forgotten_before() or before)
                self._con.execute("DELETE FROM forgotten")
                self._con.execute("INSERT INTO forgotten VALUES (?)", [before.isoformat()])
        # Also where nothing went: whoever did it before may have been killed in between.
        self._shrink()
        return max(went, 0)

    def _shrink(self) -> None:
        """Give the file's free pages back, should they be many; the next mails use a few."""
        ((free,),) = self._con.execute("PRAGMA freelist_count").fetchall()
        ((pages,),) = self._con.execute("PRAGMA page_count").fetchall()
        if free * 4 > pages:
            self._con.execute("VACUUM")
        self._con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def refused_addresses(self) -> set[str]:
        """Addresses that a server refused for good, in small letters."""
        rows = self._con.execute(
            "SELECT DISTINCT lower(trim(to_email)) FROM mails"
            " WHERE status = 'refused' AND about_recipient"
        )
        return {row[0] for row in rows}

    def resolve(self, send_id: str, *, sent: bool) -> None:
        """Say what became of an uncertain mail; one that was not sent is tried again.

        Raises:
            UserError: the mail is not uncertain, or not in the journal.
        """
        found = self._con.execute("SELECT status FROM mails WHERE send_id = ?", [send_id])
        status = next(iter(found.fetchall()), ("not in the journal",))[0]
        if status != "uncertain":
            raise UserError(
                f"The mail {send_id} is {status}, not uncertain: `personalize mails status` lists "
                "those that are."
            )
        outcome = Outcome("sent" if sent else "deferred", None, "decided by hand")
        self.write([(send_id, outcome)])

    def counts(self) -> list[tuple[str, str, int]]:
        """Number of mails per campaign and status."""
        return self._con.execute(
            "SELECT campaign, status, count(*) FROM mails GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()

    def uncertain(self) -> list[str]:
        """Send ids whose fate nobody knows."""
        rows = self._con.execute(
            "SELECT send_id FROM mails WHERE status = 'uncertain' ORDER BY send_id"
        )
        return [row[0] for row in rows]

    def reader(self, columns: Sequence[str] = COLUMNS, where: str = "true") -> pa.RecordBatchReader:
        """The journal's rows as Arrow, a few at a time; times are ISO text."""
        schema = _schema(columns)
        cursor = self._con.execute(
            f"SELECT {', '.join(columns)} FROM mails WHERE {where} ORDER BY send_id"
        )

        def batches() -> Iterator[pa.RecordBatch]:
            while rows := cursor.fetchmany(ROWS):
                values = zip(*rows, strict=True)
                yield pa.RecordBatch.from_arrays(
                    [pa.array(v, f.type) for v, f in zip(values, schema, strict=True)],
                    schema=schema,
                )

        return pa.RecordBatchReader.from_batches(schema, batches())


@contextmanager
def reading_journal(folder: Path | None) -> Iterator[Journal | None]:
    """The journal in a folder, if there is one, and closed in the end."""
    if folder is None or not (folder / FILE).is_file():
        yield None
        return
    journal = Journal(folder)
    try:
        yield journal
    finally:
        journal.close()


def no_rows() -> pa.RecordBatchReader:
    """What `Journal.reader` gives of an empty journal."""
    return pa.RecordBatchReader.from_batches(_schema(COLUMNS), [])


def _schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([(c, pa.int64() if c in NUMBERS else pa.string()) for c in columns])
