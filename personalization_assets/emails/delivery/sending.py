"""What goes out when: the mails of the latest run that are due, over a pool of connections.

One thread, the caller's, decides and writes the journal; each connection has a thread that only
speaks with the server. At most as many mails as there are connections are under way at a time.
"""

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from personalization_assets.emails.delivery.journal import Claim, Journal, Outcome
from personalization_assets.emails.delivery.message import Mail, MessageError, address_of, build
from personalization_assets.emails.delivery.settings import DeliverySettings
from personalization_assets.emails.delivery.smtp import Connection, Message, NoServerError
from personalization_assets.errors import UserError

DUE_SQL = """
    SELECT b.send_id, b.campaign, b.customer_id, b.variant, a.kind, b.to_email, b.content_hash,
           a.send_at, b.as_of, b.from_email, b.subject, b.html, b.text, b.headers
    FROM emails.batches b JOIN emails.audience a USING (send_id)
    LEFT JOIN emails.suppressions s ON s.email = lower(trim(b.to_email))
    WHERE b.status = 'rendered' AND a.decision = 'send' AND b.html IS NOT NULL
      AND coalesce(a.send_at, b.as_of) <= $now AND ($campaign IS NULL OR b.campaign = $campaign)
      AND NOT (coalesce(s.stops, '') = 'everything'
               OR (a.kind = 'promotional' AND coalesce(s.stops = 'promotional'
                   OR list_contains(s.lists, a.mailing_list), false)))
      AND b.send_id NOT IN (SELECT send_id FROM finished_mails)
    ORDER BY coalesce(a.send_at, b.as_of), b.send_id
"""
SPOOL = ".sending.parquet"
ROWS = 256
WAITING = 1_000
"""Mails that wait for another attempt are kept in memory; of more, the next command takes care."""


@dataclass
class Due:
    """A mail to send, and when it may be tried (again)."""

    claim: Claim
    message: Message
    attempts: int = 0
    not_before: float = 0.0


@dataclass
class Summary:
    """What became of the mails of a command."""

    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)


def spool_due(
    con: duckdb.DuckDBPyConnection,
    journal: Journal,
    now: datetime,
    campaign: str | None,
    limit: int | None,
) -> tuple[Path, int]:
    """Copy the mails that are due and not sent into a file, so that a run may have the warehouse
    while they go out. Returns the file and the number of mails."""
    import pyarrow as pa

    done = journal.finished()
    if _exists(con, "deliveries"):
        # What another tool was given is not sent a second time.
        done |= {
            row[0]
            for row in con.execute(
                "SELECT send_id FROM emails.deliveries WHERE channel <> 'smtp'"
            ).fetchall()
        }
    con.register("finished_mails", pa.table({"send_id": pa.array(sorted(done), pa.string())}))
    path = journal.folder / SPOOL
    quoted = str(path).replace("'", "''")
    sql = DUE_SQL + (f"LIMIT {int(limit)}" if limit is not None else "")
    try:
        rows = con.execute(
            f"COPY ({sql}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)",
            {"now": now, "campaign": campaign},
        ).fetchall()
    finally:
        con.unregister("finished_mails")
    path.chmod(0o600)
    return path, int(rows[0][0])


def messages(path: Path, envelope_from: str | None) -> Iterator[Due | tuple[Claim, str]]:
    """The mails of the spool as messages; one that cannot be written comes with the reason."""
    with duckdb.connect() as con:
        reader = con.sql("FROM read_parquet(?)", params=[str(path)]).to_arrow_reader(ROWS)
        for batch in reader:
            for row in batch.to_pylist():
                claim = Claim(*(row[name] for name in Claim._fields))
                try:
                    yield Due(claim, _message(row, claim, envelope_from))
                except MessageError as error:
                    yield claim, str(error)


def _message(row: dict[str, Any], claim: Claim, envelope_from: str | None) -> Message:
    data = build(
        Mail(
            claim.send_id,
            claim.to_email,
            row["subject"],
            row["html"],
            row["text"],
            row["headers"],
            claim.send_at or claim.as_of,
        )
    )
    sender = address_of(envelope_from or row["from_email"])
    return Message(sender.text, address_of(claim.to_email), data)


class Sender:
    """Sends due mails; `seen` is told each final outcome as it comes."""

    def __init__(
        self,
        settings: DeliverySettings,
        password: str | None,
        journal: Journal,
        seen: Callable[[str], None],
    ) -> None:
        self._settings, self._password = settings, password
        self._journal, self._seen = journal, seen
        self._events: queue.Queue[tuple[int, str, Any]] = queue.Queue()
        self._inboxes: list[queue.Queue[Due | None]] = []
        self._idle: deque[int] = deque()
        self._under_way: dict[int, Due] = {}
        self._waiting: list[Due] = []
        self._refused = journal.refused_addresses()
        self._lost = ""
        self._slot = 0.0
        self.summary = Summary()

    def send(self, mails: Iterator[Due | tuple[Claim, str]]) -> Summary:
        """Give each mail to the server at most once.

        Raises:
            UserError: no connection could be made; what was not sent is left for the next command.
        """
        threads = []
        for number in range(self._settings.connections):
            self._inboxes.append(queue.Queue())
            thread = threading.Thread(target=self._work, args=(number,), daemon=True)
            thread.start()
            threads.append(thread)
        alive = len(threads)
        upcoming: Due | None = None
        try:
            while True:
                upcoming = upcoming or self._next(mails)
                if upcoming is None and not self._waiting and not self._under_way:
                    break
                upcoming = self._hand_out(upcoming)
                alive -= self._listen(upcoming)
                if not alive and not self._under_way:
                    raise UserError(self._lost)
        finally:
            # What is under way gets its answer written, whatever ends this loop.
            while self._under_way and alive:
                alive -= self._listen(None)
            for inbox in self._inboxes:
                inbox.put(None)
            for thread in threads:
                thread.join(self._settings.timeout_seconds)
        return self.summary

    def _next(self, mails: Iterator[Due | tuple[Claim, str]]) -> Due | None:
        """The next mail of the spool that may be sent."""
        for mail in mails:
            if isinstance(mail, Due):
                if mail.claim.to_email.strip().lower() in self._refused:
                    self._count("suppressed")
                    continue
                return mail
            claim, why = mail
            self._journal.write([], [claim])
            self._journal.write([(claim.send_id, Outcome("refused", None, why))])
            self._count("refused")
        return None

    def _hand_out(self, upcoming: Due | None) -> Due | None:
        """Claim mails for connections that are free, as fast as the limit allows."""
        now = time.monotonic()
        while self._idle and now >= self._slot:
            ready = [due for due in self._waiting if due.not_before <= now]
            due = ready[0] if ready else upcoming
            if due is None:
                return None
            if ready:
                self._waiting.remove(due)
            else:
                upcoming = None
            due.attempts += 1
            number = self._idle.popleft()
            self._journal.write([], [due.claim])
            self._under_way[number] = due
            self._inboxes[number].put(due)
            # A late wake-up is made up for, a tenth of a second at most.
            self._slot = max(self._slot, now - 0.1) + 1 / self._settings.mails_per_second
            if upcoming is None:
                break
        return upcoming

    def _listen(self, upcoming: Due | None) -> int:
        """Wait until something can be done; record what the server said. Returns the number of
        connections that were given up."""
        now, timeout = time.monotonic(), None
        if self._idle and (upcoming is not None or self._waiting):
            soonest = now if upcoming else min(due.not_before for due in self._waiting)
            timeout = max(0.0, max(self._slot, soonest) - now)
        try:
            events = [self._events.get(timeout=timeout)]
        except queue.Empty:
            return 0
        while not self._events.empty():
            events.append(self._events.get())
        answers = [(self._under_way[n], value) for n, what, value in events if what == "answer"]
        self._journal.write([(due.claim.send_id, outcome) for due, outcome in answers])
        lost = 0
        for number, what, value in events:
            if what == "ready":
                self._idle.append(number)
            elif what == "lost":
                lost, self._lost = lost + 1, value
            else:
                self._record(self._under_way.pop(number), value)
        return lost

    def _record(self, due: Due, outcome: Outcome) -> None:
        settings = self._settings
        if outcome.status == "refused" and outcome.about_recipient:
            self._refused.add(due.claim.to_email.strip().lower())
        again = due.attempts < settings.attempts and len(self._waiting) < WAITING
        if outcome.status == "deferred" and again:
            due.not_before = time.monotonic() + settings.backoff_seconds * 2 ** (due.attempts - 1)
            self._waiting.append(due)
            return
        if outcome.code and outcome.status != "sent":
            self.summary.codes[outcome.code] += 1
        self._count(outcome.status)

    def _count(self, status: str) -> None:
        self.summary.counts[status] += 1
        self._seen(status)

    def _work(self, number: int) -> None:
        """A connection's thread: connect, say so, send what comes, say what became of it."""
        connection: Connection | None = None
        while True:
            if connection is None:
                try:
                    connection = self._connect()
                except NoServerError as error:
                    self._events.put((number, "lost", str(error)))
                    return
            self._events.put((number, "ready", None))
            due = self._inboxes[number].get()
            if due is None:
                connection.close()
                return
            self._events.put((number, "answer", connection.give(due.message)))
            if not connection.open or connection.given >= self._settings.mails_per_connection:
                connection.close()
                connection = None

    def _connect(self) -> Connection:
        for attempt in range(self._settings.attempts - 1):
            try:
                return Connection(self._settings, self._password)
            except NoServerError as error:
                if not error.passing:
                    raise
                time.sleep(min(self._settings.backoff_seconds, 5.0) * (attempt + 1) / 2)
        return Connection(self._settings, self._password)


def _exists(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    from personalization_assets.warehouse import exists

    return exists(con, f"emails.{name}")
