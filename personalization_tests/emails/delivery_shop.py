"""A data folder with rendered mails, a mail server on loopback, and `personalize mails`."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml
from aiosmtpd.smtp import SMTP

from personalization_assets.emails.delivery.journal import Journal
from personalization_assets.emails.handover import hand_over
from personalization_assets.emails.render import MAIL_COLUMNS
from personalization_assets.emails.storage import STAMP

AS_OF = datetime(2026, 6, 15, 6)
HEADERS = json.dumps(
    {"From": '"Shop" <shop@example.com>', "Message-ID": "<x@example.com>"}, sort_keys=True
)


class Handler:
    """Keeps what it takes; `judge` may answer otherwise."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.judge: Callable[[str], str] = lambda address: "250 OK"

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]]

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
                """CREATE TABLE emails.audience AS SELECT send_id, campaign, 'promotional' AS kind,
                   'send' AS decision, as_of AS send_at, 'news' AS mailing_list
                   FROM emails.batches"""
            )
            con.execute(
                """CREATE TABLE emails.suppressions (email VARCHAR, reason VARCHAR,
                   stops VARCHAR, lists VARCHAR[])"""
            )

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as con:
            con.execute(sql)

    def next_run(self, as_of: datetime) -> None:
        """What a later run leaves: other mails in the table, and these in the folder of theirs."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as con:
            known = {row[0] for row in con.execute("DESCRIBE emails.batches").fetchall()}
            columns = ", ".join(n if n in known else f"NULL AS {n}" for n in MAIL_COLUMNS.names)
            stamp = con.execute("SELECT any_value(as_of) FROM emails.batches").fetchall()[0][0]
            run = self.mails_dir / stamp.strftime(STAMP)
            run.mkdir(parents=True)
            con.execute(f"COPY (SELECT {columns} FROM emails.batches) TO '{run}/news-a-0.parquet'")
            for table in ("batches", "audience"):
                con.execute(f"UPDATE emails.{table} SET send_id = md5(send_id)")
            con.execute("UPDATE emails.batches SET as_of = ?, html = 'later'", [as_of])
            con.execute("UPDATE emails.audience SET send_at = ?", [as_of])

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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def deliveries(
    shop: Shop, channel: str, as_of: datetime = AS_OF, expire_hours: int = 48
) -> Counter[tuple[str, str]]:
    """Bring emails.deliveries up to date as the asset does; mails by channel and status."""
    with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as con:
        con.execute("SET VARIABLE as_of = ?", [as_of])
        found = con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'deliveries'")
        earlier = bool(found.fetchall())
        con.execute("ALTER TABLE emails.batches ADD COLUMN IF NOT EXISTS preheader VARCHAR")
        sql, _ = hand_over(
            con,
            shop.folder / "exports",
            earlier=earlier,
            channel=channel,
            journal=shop.mails_dir,
            expire_hours=expire_hours,
        )
        con.execute(f"CREATE OR REPLACE TABLE emails.deliveries AS {sql}")
        rows = con.execute("SELECT channel, status, send_id FROM emails.deliveries").fetchall()
        assert len({send_id for _, _, send_id in rows}) == len(rows)
        return Counter((channel, status) for channel, status, _ in rows)
