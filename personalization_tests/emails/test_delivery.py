"""`personalize mails send` against real mail servers on loopback: each person gets a mail once."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from personalization_assets.emails.delivery.journal import Claim, Journal, Outcome
from personalization_assets.emails.handover import hand_over

AS_OF = datetime(2026, 6, 15, 6)
HEADERS = json.dumps(
    {"From": '"Shop" <shop@example.com>', "Message-ID": "<x@example.com>"}, sort_keys=True
)
PASSWORD = "correct horse battery"


class Handler:
    """Keeps what it takes; `judge` may answer otherwise."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.judge: Callable[[str], str] = lambda address: "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        answer = self.judge(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        elif answer == "drop":
            server.transport.close()
        return answer

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append((envelope.rcpt_tos[0], envelope.content))
        await asyncio.sleep(0.02)
        return "250 taken"

    def times(self) -> Counter[str]:
        return Counter(address for address, _ in self.taken)


class Shop:
    """A data folder with rendered mails, and the command."""

    def __init__(self, folder: Path, mails: int) -> None:
        self.folder = folder
        self.mails_dir = folder / "mails"
        with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
            con.execute("CREATE SCHEMA emails")
            con.execute(
                """CREATE TABLE emails.batches AS SELECT lpad(to_hex(i), 32, '0') AS send_id,
                   'news' AS campaign, 'c_' || i AS customer_id, 'a' AS variant,
                   'rendered' AS status, 'p' || i || '@example.com' AS to_email,
                   'shop@example.com' AS from_email, 'Hello ' || i AS subject,
                   '<p>Hello</p>' AS html, E'Hello\\n.dot\\n' AS text, ? AS headers,
                   'hash' AS content_hash, ?::TIMESTAMP AS as_of FROM range(?) t(i)""",
                [HEADERS, AS_OF, mails],
            )
            con.execute(
                """CREATE TABLE emails.audience AS SELECT send_id, 'promotional' AS kind,
                   'send' AS decision, as_of AS send_at, 'news' AS mailing_list
                   FROM emails.batches"""
            )
            con.execute(
                """CREATE TABLE emails.suppressions (email VARCHAR, stops VARCHAR,
                   lists VARCHAR[])"""
            )

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as con:
            con.execute(sql)

    def configure(self, port: int, **delivery: object) -> None:
        values = {
            "channel": "smtp",
            "host": "localhost",
            "port": port,
            "security": "none",
            "backoff_seconds": 0.1,
            "mails_per_second": 500,
            "timeout_seconds": 10,
        }
        text = yaml.safe_dump({"emails": {"delivery": values | delivery}})
        (self.folder / "settings.yaml").write_text(text)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "personalization_assets.cli", "mails", *arguments],
            env={**os.environ, "PERSONALIZE_DATA_DIR": str(self.folder), "COLUMNS": "200"}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, ok: bool = True, **environment: str) -> str:
        process = self.start(*arguments, **environment)
        said, _ = process.communicate(timeout=60)
        assert (process.returncode == 0) is ok, said
        return said

    def send(self, *arguments: str, ok: bool = True, **environment: str) -> str:
        as_of = (AS_OF + timedelta(hours=1)).isoformat()
        return self.run("send", "--as-of", as_of, *arguments, ok=ok, **environment)

    def statuses(self) -> Counter[str]:
        journal = Journal(self.mails_dir)
        return Counter({state: number for _, state, number in journal.counts()})


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, 40)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def server(handler: Handler) -> Iterator[Controller]:
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_killed_send_goes_on_and_nobody_gets_two(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port, mails_per_second=30, connections=3)
    for stop_at in (8, 22):
        process = shop.start("send", "--as-of", "2026-06-15T07:00")
        deadline = time.monotonic() + 30
        while len(handler.taken) < stop_at and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    time.sleep(0.2)
    assert 22 <= len(handler.taken) < 40
    said = shop.send()
    sent = handler.times()
    assert set(sent.values()) == {1}
    uncertain = Journal(shop.mails_dir).uncertain()
    assert len(uncertain) <= 2 * 3
    # Each of the others got it, and who did not is named.
    missing = {f"p{i}@example.com" for i in range(40)} - set(sent)
    assert missing <= {f"p{int(send_id, 16)}@example.com" for send_id in uncertain}
    assert shop.statuses() == Counter(sent=40 - len(uncertain), uncertain=len(uncertain))
    assert all(send_id in said for send_id in uncertain)
    assert "Of 0 mails" in shop.send()
    assert handler.times() == sent


def test_an_uncertain_mail_is_decided_by_hand(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port)
    journal = Journal(shop.mails_dir)
    ids = [f"{n:032x}" for n in range(3)]
    journal.write(
        [], [Claim(i, "news", "c", "a", "promotional", "x@e.com", "h", None, AS_OF) for i in ids]
    )
    assert "3 mails are uncertain" in shop.send()
    assert len(handler.taken) == 37
    shop.run("resolve", ids[0], "--sent")
    shop.run("resolve", ids[1], "--not-sent")
    assert "is sent, not uncertain" in shop.run("resolve", ids[0], "--not-sent", ok=False)
    assert "not in the journal" in shop.run("resolve", "f" * 32, "--sent", ok=False)
    shop.send()
    times = handler.times()
    assert (times["p0@example.com"], times["p1@example.com"]) == (0, 1)
    said = shop.run("status")
    assert re.search(r"news +sent +39", said)
    assert ids[2] in said


def test_answers_of_the_server_decide(shop: Shop, handler: Handler, server: Controller) -> None:
    shop.configure(server.port, connections=2, mails_per_connection=7)
    asked: Counter[str] = Counter()

    def judge(address: str) -> str:
        asked[address] += 1
        if address == "p1@example.com":
            return "550 no such user"
        if address == "p2@example.com" and asked[address] == 1:
            return "451 later"
        if address == "p3@example.com" and asked[address] == 1:
            return "drop"
        return "451 never" if address == "p4@example.com" else "250 OK"

    handler.judge = judge
    shop.execute("INSERT INTO emails.suppressions VALUES ('p5@example.com', 'everything', [])")
    shop.execute(
        """UPDATE emails.audience SET send_at = '2026-06-15 09:00'
           WHERE send_id = lpad(to_hex(6), 32, '0');
           UPDATE emails.batches SET to_email = 'no address'
           WHERE send_id = lpad(to_hex(7), 32, '0');
           UPDATE emails.batches SET to_email = 'P1@example.com '
           WHERE send_id = lpad(to_hex(39), 32, '0')"""
    )
    said = shop.send()
    assert shop.statuses() == Counter(sent=34, refused=2, deferred=1), said
    assert "1 with the answer 550" in said
    assert "example.com" not in said
    assert set(handler.times().values()) == {1}
    assert (asked["p1@example.com"], asked["p2@example.com"], asked["p4@example.com"]) == (1, 2, 4)
    assert asked["p3@example.com"] == 2
    assert not {"p5@example.com", "p6@example.com"} & set(asked)
    # Later: what was put off and what is due now, and never again who was refused.
    handler.judge = lambda address: "250 OK"
    shop.run("send", "--as-of", "2026-06-15T10:00")
    assert shop.statuses() == Counter(sent=36, refused=2)
    assert "P1@example.com" not in handler.times()
    message = dict(handler.taken)["p4@example.com"]
    assert message.startswith(b"Date: Mon, 15 Jun 2026 06:00:00 +0000\r\n")
    assert b"\r\n.dot\r\n" in message


def test_a_mail_without_an_answer_is_uncertain(shop: Shop) -> None:
    def serve(listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as lines:
                peer.sendall(b"220 hello\r\n")
                for line in lines:
                    if line == b".\r\n":
                        break  # taken or not: it never says
                    if line[:4] in (b"ehlo", b"mail", b"rcpt", b"quit", b"rset"):
                        peer.sendall(b"250 fine\r\n")
                    elif line[:4] == b"DATA" or line[:4] == b"data":
                        peer.sendall(b"354 go on\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        shop.configure(listener.getsockname()[1], connections=1)
        said = shop.send("--limit", "3")
        assert "3 mails are uncertain" in said
        assert shop.statuses() == Counter(uncertain=3)


def test_a_second_send_is_refused_and_a_dry_run_sends_nothing(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port)
    assert "40 mails would be sent, 0 cannot" in shop.send("--dry-run")
    with Journal(shop.mails_dir).alone():
        assert "wait for it to finish" in shop.send(ok=False)
    assert not handler.taken
    shop.configure(server.port, channel="file")
    assert "emails.delivery.channel is file" in shop.send(ok=False)
    shop.configure(free_port(), attempts=1)
    assert "cannot be used" in shop.send(ok=False)
    assert shop.statuses() == Counter()


def test_encrypted_and_logged_in_or_not_at_all(
    shop: Shop, handler: Handler, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def authenticate(server: Any, session: Any, envelope: Any, how: str, data: Any) -> AuthResult:
        good = (data.login, data.password) == (b"shop", PASSWORD.encode())
        return AuthResult(success=good, handled=good)

    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    controller.start()
    try:
        safe: dict[str, object] = {"security": "starttls", "username": "shop", "attempts": 1}
        shop.configure(controller.port, **safe)
        said = shop.send(ok=False, PERSONALIZE_SMTP_PASSWORD=PASSWORD)
        assert "is not trusted" in said
        shop.configure(controller.port, ca_file=str(certificate), **safe)
        assert "PERSONALIZE_SMTP_PASSWORD is not" in shop.send(ok=False)
        said = shop.send(ok=False, PERSONALIZE_SMTP_PASSWORD="wrong horse")
        assert "refuses the username or password" in said
        assert "horse" not in said
        assert not handler.taken
        shop.send(PERSONALIZE_SMTP_PASSWORD=PASSWORD)
        assert len(handler.taken) == 40
        for file in shop.folder.rglob("*"):
            assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()
    finally:
        controller.stop()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def test_the_journal_is_private_and_remembers_attempts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "mails")
    claim = Claim("1", "news", "c", "a", "promotional", "x@e.com", "h", AS_OF, AS_OF)
    journal.write([], [claim])
    journal.write([("1", Outcome("deferred", 451, "later"))])
    assert journal.finished() == set()
    journal.write([], [claim])
    assert Journal(tmp_path / "mails").finished() == {"1"}
    assert journal.rows()[0][-1] == 2
    assert (tmp_path / "mails" / "journal.sqlite").stat().st_mode & 0o777 == 0o600


def deliveries(shop: Shop, channel: str, as_of: datetime = AS_OF) -> Counter[tuple[str, str]]:
    """Bring emails.deliveries up to date as the asset does; mails by channel and status."""
    with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as con:
        con.execute("SET VARIABLE as_of = ?", [as_of])
        con.execute("UPDATE emails.batches SET as_of = ?", [as_of])
        found = con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'deliveries'")
        earlier = bool(found.fetchall())
        con.execute("ALTER TABLE emails.batches ADD COLUMN IF NOT EXISTS preheader VARCHAR")
        sql, _ = hand_over(
            con,
            shop.folder / "exports",
            earlier=earlier,
            channel=channel,
            journal=shop.mails_dir,
        )
        con.execute(f"CREATE OR REPLACE TABLE emails.deliveries AS {sql}")
        rows = con.execute("SELECT channel, status, send_id FROM emails.deliveries").fetchall()
        assert len({send_id for _, _, send_id in rows}) == len(rows)
        return Counter((channel, status) for channel, status, _ in rows)


def test_the_table_of_deliveries_learns_what_the_server_said(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port)
    assert deliveries(shop, "smtp") == {("smtp", "handed_over"): 40}
    assert not (shop.folder / "exports").exists()
    handler.judge = lambda address: "550 no" if address == "p1@example.com" else "250 OK"
    shop.send("--limit", "10")
    told = {("smtp", "sent"): 9, ("smtp", "refused"): 1}
    assert deliveries(shop, "smtp") == told | {("smtp", "handed_over"): 30}
    # The next day's run renders other mails: what nobody was given is no delivery.
    shop.execute("UPDATE emails.batches SET send_id = 'f' || send_id[2:]")
    shop.execute("UPDATE emails.audience SET send_id = 'f' || send_id[2:]")
    later = AS_OF + timedelta(days=1)
    assert deliveries(shop, "smtp", later) == told | {("smtp", "handed_over"): 40}
    # Who changes to files and back is given no mail twice.
    assert deliveries(shop, "file", later) == told | {("file", "handed_over"): 40}
    assert deliveries(shop, "smtp", later) == told | {("file", "handed_over"): 40}
    assert "Of 0 mails" in shop.run("send", "--as-of", "2026-06-17")
    assert len(handler.taken) == 9


def test_a_mail_is_a_file_that_mail_programs_open_or_refused(shop: Shop) -> None:
    shop.execute(
        "UPDATE emails.batches SET to_email = 'nobody' WHERE send_id = ("
        "SELECT min(send_id) FROM emails.batches)"
    )
    assert deliveries(shop, "eml") == {("eml", "handed_over"): 39, ("eml", "refused"): 1}
    with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as con:
        files = con.execute(
            "SELECT d.file, b.subject, b.text, b.to_email FROM emails.deliveries d"
            " JOIN emails.batches b USING (send_id) WHERE d.file IS NOT NULL"
        ).fetchall()
    exports = shop.folder / "exports"
    assert {str(p.relative_to(exports)) for p in exports.rglob("*.eml")} == {f[0] for f in files}
    for file, subject, text, to in files:
        message = message_from_bytes((exports / file).read_bytes(), policy=policy.default)
        body = message.get_body(("plain",))
        assert body is not None
        assert (message["Subject"], message["To"]) == (subject, to)
        assert body.get_content().split("\r\n") == text.split("\n")
    before = {p: p.read_bytes() for p in exports.rglob("*.eml")}
    assert deliveries(shop, "eml") == {("eml", "handed_over"): 39, ("eml", "refused"): 1}
    assert {p: p.read_bytes() for p in exports.rglob("*.eml")} == before
