"""What goes out when: due mails over a pool of connections.

One thread, the caller's, decides and writes the journal; each connection has a thread that only
speaks with the server. At most as many mails as there are connections are under way at a time.
"""

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from personalization_assets.emails.delivery.journal import Claim, Journal, Outcome
from personalization_assets.emails.delivery.message import (
    MessageError,
    address_of,
    build,
    mail_of,
    sender_of,
)
from personalization_assets.emails.delivery.pace import Pace
from personalization_assets.emails.delivery.settings import DeliverySettings
from personalization_assets.emails.delivery.smtp import Connection, Message, NoServerError
from personalization_assets.emails.delivery.streaming import CHUNK_ROWS
from personalization_assets.errors import UserError

UNTRIED = Outcome("deferred", None, "")
WAITING = 1_000
"""Mails that wait for another attempt are kept in memory; of more, the next command takes care."""
LONGEST_PAUSE = 5.0
"""Seconds before a connection is tried again grow with each time from half of this."""


@dataclass
class Due:
    """A mail to send, and when it may be tried (again)."""

    claim: Claim
    message: Message
    attempts: int = 0
    not_before: float = 0.0
    last: Outcome = UNTRIED


@dataclass
class Summary:
    """What became of the mails of a command: numbers by status, by the server's code where it did
    not take them, and by the reason why they can't be messages."""

    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


def messages(
    files: tuple[Path, ...], envelope_from: str | None
) -> Iterator[Due | tuple[Claim, str]]:
    """The mails of a spool as messages; one that cannot be written comes with the reason."""
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(CHUNK_ROWS):
                for row in batch.to_pylist():
                    claim = Claim(*(row[name] for name in Claim._fields))
                    try:
                        yield Due(claim, _message(row, claim, envelope_from))
                    except MessageError as error:
                        yield claim, str(error)


def _message(row: dict[str, Any], claim: Claim, envelope_from: str | None) -> Message:
    data = build(mail_of(row, claim.as_of))
    return Message(sender_of(envelope_from or row["from_email"]), address_of(claim.to_email), data)


class Sender:
    """Sends due mails; `seen` is told each final outcome as it comes.

    `stopped_now` gives the addresses, in small letters, that must get nothing from now on.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        password: str | None,
        journal: Journal,
        seen: Callable[[str], None],
        stopped_now: Callable[[], Container[str]] = frozenset,
    ) -> None:
        self._stopped_now = stopped_now
        self._settings, self._password = settings, password
        self._journal, self._seen = journal, seen
        # Simple queues: a signal's handler may put something in while the same thread waits.
        self._events: queue.SimpleQueue[tuple[int, str, Any]] = queue.SimpleQueue()
        self._inboxes: list[queue.SimpleQueue[Due | None]] = []
        self._mails: Iterator[Due | tuple[Claim, str]] = iter(())
        self._upcoming: Due | None = None
        self._idle: deque[int] = deque()
        self._under_way: dict[int, Due] = {}
        self._waiting: list[Due] = []
        self._refused = journal.refused_addresses()
        self._pace = Pace(settings.mails_per_second)
        self._alive, self._lost = 0, ""
        self.stopped = self.stopped_early = False
        self.summary = Summary()

    def stop(self) -> None:
        """Give no further mail to the server; `send` returns when what is under way has its
        answer. May be called from a signal's handler."""
        self.stopped = self.stopped_early = True
        self._events.put((-1, "stop", None))

    def send(self, mails: Iterator[Due | tuple[Claim, str]]) -> None:
        """Give each mail to the server at most once; `summary` tells what came of them.

        Raises:
            UserError: no connection could be made; what was not sent is left for the next command.
        """
        self._mails = mails
        threads = self._connections()
        try:
            while self._more():
                if not self._alive and not self._under_way:
                    raise UserError(self._lost)
                self._turn()
        finally:
            self.stopped = True
            # What is under way gets its answer written, whatever ended the loop.
            while self._under_way and self._alive:
                self._turn()
            for due in self._waiting:
                self._count(due.last, due.claim)
            for inbox in self._inboxes:
                inbox.put(None)
            for thread in threads:
                thread.join(self._settings.timeout_seconds)

    def _connections(self) -> list[threading.Thread]:
        threads = []
        for number in range(self._settings.connections):
            self._inboxes.append(queue.SimpleQueue())
            thread = threading.Thread(target=self._work, args=(number,), daemon=True)
            thread.start()
            threads.append(thread)
        self._alive = len(threads)
        return threads

    def _more(self) -> bool:
        """Whether there is something to wait for or to send."""
        if self._under_way:
            return True
        if self.stopped:
            return False
        self._upcoming = self._upcoming or self._next()
        return bool(self._upcoming or self._waiting)

    def _next(self) -> Due | None:
        """The next mail of the spool that is a message."""
        for mail in self._mails:
            if isinstance(mail, Due):
                return mail
            claim, why = mail
            outcome = Outcome("refused", None, why)
            self._journal.write([], [claim])
            self._journal.write([(claim.send_id, outcome)])
            self._count(outcome, claim)
        return None

    def _turn(self) -> None:
        """Take what the connections say, choose mails for those that are free; both are on the
        disk before the mails go out."""
        if not self.stopped:
            # Made while the server has others.
            self._upcoming = self._upcoming or self._next()
        answers = self._listen()
        for due, outcome in answers:
            self._take(due, outcome)
        chosen = self._choose()
        self._journal.write(
            [(due.claim.send_id, outcome) for due, outcome in answers],
            [due.claim for _, due in chosen],
        )
        self._pace.gone(len(chosen), time.monotonic())
        for number, due in chosen:
            self._under_way[number] = due
            self._inboxes[number].put(due)

    def _choose(self) -> list[tuple[int, Due]]:
        """Mails for connections that are free, as many as the rate allows now."""
        chosen: list[tuple[int, Due]] = []
        now = time.monotonic()
        while self._idle and now >= self._pace.next(now) and not self.stopped:
            due = next((due for due in self._waiting if due.not_before <= now), None)
            if due is not None:
                self._waiting.remove(due)
            else:
                due, self._upcoming = self._upcoming or self._next(), None
            if due is None:
                break
            address = due.claim.to_email.strip().lower()
            if address in self._refused or address in self._stopped_now():
                self._count(Outcome("suppressed", None, ""), due.claim)
                continue
            due.attempts += 1
            chosen.append((self._idle.popleft(), due))
            self._pace.take(now)
        return chosen

    def _listen(self) -> list[tuple[Due, Outcome]]:
        """Wait until something can be done; returns the answers that came."""
        timeout = None
        if self._idle and not self.stopped and (self._upcoming or self._waiting):
            now = time.monotonic()
            soonest = now if self._upcoming else min(due.not_before for due in self._waiting)
            timeout = max(0.0, max(self._pace.next(now), soonest) - now)
        try:
            events = [self._events.get(timeout=timeout)]
        except queue.Empty:
            return []
        while not self._events.empty():
            events.append(self._events.get())
        answers, failure = [], None
        for number, what, value in events:
            if what == "ready":
                self._idle.append(number)
            elif what == "answer":
                outcome, free = value
                answers.append((self._under_way.pop(number), outcome))
                if free:
                    self._idle.append(number)
            elif what in ("lost", "failed"):
                self._alive -= 1
                self._under_way.pop(number, None)
                self._lost = value if what == "lost" else self._lost
                failure = value if what == "failed" else failure
        if failure is not None:
            self._journal.write([(due.claim.send_id, outcome) for due, outcome in answers])
            raise failure
        return answers

    def _take(self, due: Due, outcome: Outcome) -> None:
        settings = self._settings
        due.last = outcome
        if outcome.status == "refused" and outcome.about_recipient:
            self._refused.add(due.claim.to_email.strip().lower())
        again = due.attempts < settings.attempts and len(self._waiting) < WAITING
        if outcome.status == "deferred" and again:
            due.not_before = time.monotonic() + settings.backoff_seconds * 2 ** (due.attempts - 1)
            self._waiting.append(due)
        else:
            self._count(outcome, due.claim)

    def _count(self, outcome: Outcome, claim: Claim) -> None:
        self.summary.counts[outcome.status] += 1
        if outcome.status != "sent" and outcome.code is not None:
            self.summary.codes[outcome.code] += 1
        elif outcome.status == "refused":
            self.summary.reasons[outcome.answer] += 1
        self._seen(claim.send_id)

    def _work(self, number: int) -> None:
        """A connection's thread. Whatever ends it early, the caller hears of it."""
        try:
            self._serve(number)
        except NoServerError as error:
            self._events.put((number, "lost", str(error)))
        except BaseException as error:
            self._events.put((number, "failed", error))

    def _serve(self, number: int) -> None:
        """Connect, say so, send what comes, say what became of it."""
        connection: Connection | None = None
        while True:
            if connection is None:
                connection = self._connect()
                self._events.put((number, "ready", None))
            due = self._inboxes[number].get()
            if due is None:
                connection.close()
                return
            outcome = connection.give(due.message)
            free = connection.open and connection.given < self._settings.mails_per_connection
            self._events.put((number, "answer", (outcome, free)))
            if not free:
                connection.close()
                connection = None

    def _connect(self) -> Connection:
        for attempt in range(self._settings.attempts - 1):
            try:
                return Connection(self._settings, self._password)
            except NoServerError as error:
                if not error.passing or self.stopped:
                    raise
                time.sleep(min(self._settings.backoff_seconds, LONGEST_PAUSE) * (attempt + 1) / 2)
        return Connection(self._settings, self._password)
