"""What it costs to send mails: `mails send` from spooled mails to a mail server on loopback.

The server is a process of its own that takes everything at once and whose CPU is not counted. The
mails are those of `mails.py`. Baselines in the same run, both without a journal: `smtplib` with the
standard library's `EmailMessage` over one connection, and with a connection a mail. What our part
spends is split by doing each piece alone: reading the spool and making messages, SMTP with messages
that are made, the journal. With `--delay` the server answers so many milliseconds later, as one
elsewhere does. The rate is judged by when the server had each mail.
"""

import argparse
import asyncio
import bisect
import json
import multiprocessing
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personalization_tests.benchmarks.measure import COST, Cost, measured, scratch, show, times

AS_OF = datetime(2026, 11, 1, 8)
SECONDS = 5.0
"""How long mails go out at each rate."""
HEADERS = {
    "From": '"Wren & Hart" <hello@shop.example.com>',
    "List-Unsubscribe": "<https://shop.example.com/unsubscribe?m=0123456789abcdef&s=0123456789abc>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}
TEXT = "Good morning,\n\nthese are new this week, and your basket waits for you.\n\n" * 20


# --- the server ----------------------------------------------------------------------------------


class Sink(asyncio.Protocol):
    """Takes every mail, and remembers when."""

    def __init__(self, taken: list[float], delay: float) -> None:
        self._taken, self._delay = taken, delay
        self._waiting, self._in_mail = b"", False

    def connection_made(self, transport: Any) -> None:
        self._out = transport
        self._say(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        answers = b""
        while True:
            mark = b"\r\n.\r\n" if self._in_mail else b"\r\n"
            # A mark cannot begin before what was looked through already.
            line, found, rest = self._waiting.partition(mark)
            if not found:
                break
            self._waiting = rest
            answers += self._answer(line[:4].upper())
        if answers:
            self._say(answers)

    def _answer(self, word: bytes) -> bytes:
        if self._in_mail:
            self._taken.append(time.monotonic())
            self._in_mail = False
            return b"250 taken\r\n"
        if word == b"DATA":
            self._in_mail = True
            return b"354 go on\r\n"
        if word == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        return b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n"

    def _say(self, answer: bytes) -> None:
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._out.write, answer)
        else:
            self._out.write(answer)


def _serve(pipe: Any, delay: float) -> None:
    taken: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Sink(taken, delay), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while await loop.run_in_executor(None, pipe.recv):
            pipe.send(list(taken))
            taken.clear()

    asyncio.run(run())


class Server:
    """The server's port, and what it took since last asked."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self.port: int = pipe.recv()

    def taken(self) -> list[float]:
        self._pipe.send(True)
        found: list[float] = self._pipe.recv()
        return found


@contextmanager
def server(delay: float) -> Iterator[Server]:
    """A server in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, delay))
    process.start()
    try:
        yield Server(ours)
    finally:
        ours.send(False)
        process.join()


# --- the mails -----------------------------------------------------------------------------------


def write_spool(path: Path, count: int) -> float:
    """Write mails as `mails send` spools them; gives their mean size in KB."""
    from personalization_assets.emails import liquid_batch
    from personalization_tests.benchmarks import mails

    template = mails.environment().from_string(mails.html())
    compiled = liquid_batch.compile(template, mails.contract(), mails.CONSTANTS)
    made = (compiled.render(b).column("text").to_pylist() for b in mails.batches(256, 64))
    texts = [text for some in made for text in some]
    ids = [f"{i:032x}" for i in range(count)]
    size = 0
    names = ["send_id", "campaign", "customer_id", "variant", "kind", "to_email", "content_hash"]
    writer: pq.ParquetWriter | None = None
    for start in range(0, count, 256):
        rows = [
            dict.fromkeys(names, "news")
            | {
                "send_id": i,
                "to_email": f"person{i[-6:]}@example.com",
                "send_at": AS_OF,
                "as_of": AS_OF,
                "from_email": "hello@shop.example.com",
                "subject": f"New this week, {i[-4:]}: tents and headphones",
                "html": texts[n % len(texts)],
                "text": TEXT,
                "headers": json.dumps(HEADERS | {"Message-ID": f"<{i}@shop.example.com>"}),
            }
            for n, i in enumerate(ids[start : start + 256])
        ]
        size += sum(len(row["html"].encode()) for row in rows)
        table = pa.Table.from_pylist(rows)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return size / count / 1024


def _settings(port: int, connections: int, rate: float = 10_000) -> Any:
    from personalization_assets.emails.delivery.settings import DeliverySettings

    return DeliverySettings(
        host="127.0.0.1",
        port=port,
        security="none",
        connections=connections,
        mails_per_connection=1_000,
        mails_per_second=rate,
    )


# --- what is measured ----------------------------------------------------------------------------


def ours(
    path: Path, port: int, connections: int, rate: float = 10_000, count: int | None = None
) -> Callable[[], int]:
    """Work that sends the spool as the command does."""
    from personalization_assets.emails.delivery.journal import Journal
    from personalization_assets.emails.delivery.sending import Sender, messages

    def work() -> int:
        with scratch() as folder:
            journal = Journal(folder)
            sender = Sender(_settings(port, connections, rate), None, journal, lambda _: None)
            sender.send(islice(messages((path,), None), count))
            journal.close()
            return sender.summary.counts["sent"]

    return work


def standard(path: Path, port: int, count: int, reconnect: bool) -> Callable[[], int]:
    """Work that sends a part of it as one would in a loop."""

    def mails() -> Iterator[EmailMessage]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(256):
                for row in batch.to_pylist():
                    mail = EmailMessage()
                    for name, value in json.loads(row["headers"]).items():
                        mail[name] = value
                    mail["To"], mail["Subject"] = row["to_email"], row["subject"]
                    mail.set_content(row["text"])
                    mail.add_alternative(row["html"], subtype="html")
                    yield mail

    def work() -> int:
        smtp = smtplib.SMTP("127.0.0.1", port)
        for mail in islice(mails(), count):
            if reconnect:
                smtp.quit()
                smtp = smtplib.SMTP("127.0.0.1", port)
            smtp.send_message(mail)
        smtp.quit()
        return count

    return work


def making(path: Path) -> Callable[[], int]:
    """Work that reads the spool and makes the messages."""
    from personalization_assets.emails.delivery.sending import messages

    return lambda: sum(1 for _ in messages((path,), None))


def speaking(path: Path, port: int, count: int) -> Callable[[], int]:
    """Work that gives a part of the messages, made before, to the server over one connection."""
    from personalization_assets.emails.delivery.sending import Due, messages
    from personalization_assets.emails.delivery.smtp import Connection

    made = [m.message for m in islice(messages((path,), None), count) if isinstance(m, Due)]

    def work() -> int:
        connection = Connection(_settings(port, 1), None)
        sent = sum(connection.give(message).status == "sent" for message in made)
        connection.close()
        return sent

    return work


def noting(path: Path, connections: int) -> Callable[[], int]:
    """Work that writes the journal, as often as it is when all connections answer together."""
    from personalization_assets.emails.delivery.journal import Claim, Journal, Outcome

    rows = pq.read_table(path, columns=list(Claim._fields)).to_pylist()
    claims = [Claim(**row) for row in rows]

    def work() -> int:
        with scratch() as folder:
            journal, before = Journal(folder), []
            for start in range(0, len(claims), connections):
                now = claims[start : start + connections]
                journal.write([(c.send_id, Outcome("sent", 250, "taken")) for c in before], now)
                before = now
            journal.close()
        return len(claims)

    return work


def speeds(path: Path, delay: float, connections: int, count: int) -> None:
    """The whole against the baselines, and our parts."""
    part = max(count // 10, 1)
    small = max(count // 100, 1) if delay else part
    rows: list[list[str]] = []
    first: list[float] = []

    def add(name: str, done: tuple[int, Cost]) -> None:
        number, cost = done
        each = cost.cpu / number * 1000
        first.append(each)
        ratio = "-" if name.startswith("of it") else times(first[0], each)
        cells = [f"{number / cost.seconds:,.0f}", f"{each:.3f}", ratio]
        rows.append([name, f"{number:,}", *cost.cells(), *cells])

    with server(delay) as sink:
        port = sink.port
        add("smtplib, EmailMessage, one connection", measured(standard, path, port, small, False))
        add("the same, a connection a mail", measured(standard, path, port, small, True))
        for number in (1, connections):
            sink.taken()
            done = measured(ours, path, port, number, 10_000, part if delay else None)
            assert len(sink.taken()) == done[0]
            add(f"ours, journal, {number} connections", done)
        if not delay:
            add("of it reading and making messages", measured(making, path))
            add("of it SMTP, one connection", measured(speaking, path, port, part))
            add("of it the journal", measured(noting, path, connections))
    heads = ["what", "mails", *COST, "mails/s", "CPU ms a mail", "CPU to the first"]
    show(f"A server that answers after {delay * 1000:.0f} ms", heads, rows)


def busiest(moments: list[float], seconds: float) -> int:
    """The most mails that came within any span so long."""
    ordered = sorted(moments)
    return max(
        at + 1 - bisect.bisect_right(ordered, moment - seconds) for at, moment in enumerate(ordered)
    )


def rates(path: Path, wanted: list[float], connections: int) -> None:
    """Whether the rate that is set is kept."""
    rows = []
    with server(0) as sink:
        for rate in wanted:
            count = int(rate * SECONDS)
            measured(ours, path, sink.port, connections, rate, count)
            moments = sorted(sink.taken())
            mean = (len(moments) - 1) / (moments[-1] - moments[0])
            most = f"{busiest(moments, 1.0):,}"
            rows.append([f"{rate:,.0f} a second", f"{len(moments):,}", f"{mean:,.1f}", most])
    show(f"{SECONDS:.0f} s at a rate", ["set", "mails", "a second", "most in any second"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument(
        "--delay", type=float, default=20.0, help="milliseconds, of the second part"
    )
    parser.add_argument("--rates", type=float, nargs="*", default=[20, 200, 1_000])
    asked = parser.parse_args()
    with scratch() as folder:
        path = folder / "spool.parquet"
        size = write_spool(path, asked.mails)
        print(f"{asked.mails:,} mails, {size:.1f} KB of HTML each")
        speeds(path, 0, asked.connections, asked.mails)
        speeds(path, asked.delay / 1000, asked.connections, asked.mails)
        rates(path, asked.rates, asked.connections)


if __name__ == "__main__":
    main()
