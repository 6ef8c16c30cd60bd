"""The journal forgets old mails: nobody gets two for it, and a killed pruning loses nothing."""

import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from aiosmtpd.controller import Controller

from personalization_assets.emails.delivery.due import spool_due
from personalization_assets.emails.delivery.journal import FILE, Claim, Journal, Outcome
from personalization_assets.emails.delivery.pruning import midnight_before, prune_journal
from personalization_assets.emails.delivery.sending import Sender, messages
from personalization_assets.emails.delivery.settings import DeliverySettings
from personalization_assets.errors import UserError
from personalization_tests.emails.delivery_shop import AS_OF, Handler, Shop, deliveries
from personalization_tests.emails.shop import PROJECT

DAY = timedelta(days=1)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, 40)


def prune(shop: Shop, before: datetime) -> int | None:
    with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as con:
        return prune_journal(con, shop.mails_dir, before)


def test_an_old_batch_is_not_sent_again_after_the_journal_forgot_it(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port, attempts=1)
    answers = {"p0@example.com": "550 no such user", "p1@example.com": "451 later"}
    handler.judge = lambda address: answers.get(address, "250 OK")
    shop.send()
    tomorrow = datetime(2026, 6, 16)
    # The table does not know of it yet, so nothing is forgotten.
    assert prune(shop, tomorrow) == 0
    deliveries(shop, "smtp")
    with Journal(shop.mails_dir).alone():
        assert prune(shop, tomorrow) is None
    assert prune(shop, datetime(2026, 6, 15)) == 0
    table = deliveries(shop, "smtp")
    assert prune(shop, tomorrow) == 39
    # Whose address was refused for good is not asked again.
    assert Journal(shop.mails_dir).refused_addresses() == {"p0@example.com"}
    assert deliveries(shop, "smtp", AS_OF + DAY) == table
    handler.judge = lambda address: "250 OK"
    # Asked for again as of then, and by a warehouse that was made anew.
    assert "Mails of before 2026-06-16 are not sent any more" in shop.send(ok=False)
    shop.execute("DROP TABLE emails.deliveries")
    shop.execute(f"UPDATE emails.audience SET send_at = '{AS_OF + DAY}'")
    said = shop.run("send", "--as-of", (AS_OF + DAY).isoformat())
    assert "Mails due: 39. Kept back: 39 older than the journal. Given to the server: none" in said
    assert set(handler.times().values()) == {1}
    assert len(handler.taken) == 38
    # Nor is it handed to another tool.
    assert deliveries(shop, "file") == {("file", "expired"): 39, ("smtp", "refused"): 1}
    assert not list(shop.folder.rglob("exports/**/*.parquet"))
    # What comes later goes out as ever.
    shop.next_run(AS_OF + DAY)
    shop.run("send", "--as-of", (AS_OF + DAY).isoformat())
    assert len(handler.taken) == 38 + 39


def rendered(shop: Shop, as_of: datetime, people: int) -> None:
    """What a run at this time leaves; an address names its person and day."""
    day = f"{as_of:%m%d}"
    shop.execute(
        f"""DELETE FROM emails.batches; DELETE FROM emails.audience;
        INSERT INTO emails.batches BY NAME SELECT md5(i || '{day}') AS send_id,
            'news' AS campaign, 'c_' || i AS customer_id, 'a' AS variant, 'rendered' AS status,
            'p' || i || '.{day}@example.com' AS to_email, 'shop@example.com' AS from_email,
            'x' AS subject, 'h' AS html, 't' AS text,
            '{{"From": "shop@example.com", "Message-ID": "<x@example.com>"}}' AS headers,
            'hash' AS content_hash, TIMESTAMP '{as_of}' AS as_of FROM range({people}) t(i);
        INSERT INTO emails.audience BY NAME SELECT send_id, campaign, 'promotional' AS kind,
            'send' AS decision, as_of + to_hours((hash(send_id) % 24)::INTEGER) AS send_at,
            'news' AS mailing_list FROM emails.batches"""
    )


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_run_sent_forgotten_and_lost_nobody_gets_two(
    seed: int, tmp_path: Path, handler: Handler, server: Controller
) -> None:
    shop, draw = Shop(tmp_path, 0), random.Random(seed)
    settings = DeliverySettings(
        host="127.0.0.1", port=server.port, security="none", mails_per_second=10_000, attempts=1
    )
    handler.judge = lambda address: draw.choice(["250 OK", "250 OK", "250 OK", "451 later"])
    sent, forgotten, refused = 0, 0, 0
    for step in range(40):
        day = AS_OF + DAY * (step // 5)
        back = DAY * draw.choice([0, 0, 1, 1, 2])
        rendered(shop, day - back + timedelta(hours=draw.randint(0, 12)), 8)
        if draw.random() < 0.4:
            shop.execute("DROP TABLE IF EXISTS emails.deliveries")
        if draw.random() < 0.5:
            deliveries(shop, "smtp", day - back)
        if draw.random() < 0.4:
            forgotten += prune(shop, midnight_before(day, draw.randint(0, 1))) or 0
        journal = Journal(shop.mails_dir)
        sender = Sender(settings, None, journal, lambda _: None)
        now = day - back * draw.randint(0, 1) + DAY / 2
        with journal.alone(), duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
            try:
                spool = spool_due(con, journal, now, 48)
            except UserError:
                refused += 1
            else:
                sender.send(messages(spool.files, None))
                sent += sender.summary.counts["sent"]
        journal.close()
    assert set(handler.times().values()) == {1}
    assert len(handler.taken) == sent
    assert min(sent, forgotten, refused) > 0, (sent, forgotten, refused)


PRUNE = """
import sys
from datetime import datetime
from pathlib import Path
import duckdb
from personalization_assets.emails.delivery.pruning import prune_journal
con = duckdb.connect(sys.argv[1], read_only=True)
print("ready", flush=True)
sys.stdin.readline()
prune_journal(con, Path(sys.argv[2]), datetime(2026, 6, 16))
print("done", flush=True)
"""


def filled(folder: Path, mails: int) -> tuple[Path, Path]:
    """A journal of old mails, of which one in eight is newer, and a warehouse that knows them."""
    journal = Journal(folder / "mails")
    times = [AS_OF + DAY * 7 * (i % 8 == 0) for i in range(mails)]
    claims = [
        Claim(f"{i:032x}", "news", "c", "a", "promotional", f"secret{i}@example.com", "h", None, t)
        for i, t in enumerate(times)
    ]
    journal.write([], claims)
    journal.write([(c.send_id, Outcome("sent", 250, "taken")) for c in claims])
    warehouse = folder / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as con:
        con.register("rows", journal.reader())
        con.execute(
            "CREATE SCHEMA emails; CREATE TABLE emails.deliveries AS"
            " SELECT *, 'smtp' AS channel FROM rows"
        )
    journal.close()
    return warehouse, folder / "mails"


def test_a_killed_pruning_forgets_all_or_nothing(tmp_path: Path) -> None:
    mails = 40_000
    warehouse, folder = filled(tmp_path, mails)
    whole = (folder / FILE).stat().st_size
    seen, moments = Counter[bool](), [0.02, 0.08, 0.15, 0.25, 0.4, 30.0]
    for moment in moments:
        process = subprocess.Popen(
            [sys.executable, "-c", PRUNE, str(warehouse), str(folder)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        if moment < 1:
            time.sleep(moment)
            process.kill()
        process.communicate(timeout=60)
        with sqlite3.connect(folder / FILE) as con:
            assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        journal = Journal(folder)
        rows = journal.reader(("send_id",)).read_all().num_rows
        forgotten = journal.forgotten_before()
        journal.close()
        assert (rows, forgotten) in [(mails, None), (mails // 8, datetime(2026, 6, 16))]
        seen[forgotten is None] += 1
    assert seen[False] >= 1
    assert (folder / FILE).stat().st_size < whole / 4
    for file in folder.iterdir():
        assert b"secret1@" not in file.read_bytes()


def test_a_run_of_the_future_does_not_make_the_mails_of_today_too_old() -> None:
    assert midnight_before(AS_OF, 120) == datetime(2026, 2, 15)
    assert midnight_before(datetime(2999, 1, 1), 1) < datetime(2999, 1, 1) - 365 * DAY


def test_the_journal_goes_back_as_long_as_mails_may_go_out() -> None:
    DeliverySettings(expire_hours=24 * 90)
    with pytest.raises(ValueError, match="make it 9 or more"):
        DeliverySettings(expire_hours=80, keep_journal_days=8)
