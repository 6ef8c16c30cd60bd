"""The table of deliveries: what was handed over as files, and what the mail server said."""

import csv
from collections import Counter
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from aiosmtpd.controller import Controller

from personalization_assets.emails.delivery.due import decide_due, spool_due
from personalization_assets.emails.delivery.journal import Journal
from personalization_assets.emails.handover import hand_over
from personalization_tests.emails.delivery_shop import AS_OF, Handler, Shop, deliveries


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, 40)


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
    # Who changes to files and back is given no mail twice.
    assert deliveries(shop, "file") == told | {("file", "handed_over"): 30}
    assert deliveries(shop, "smtp") == told | {("file", "handed_over"): 30}
    assert "Mails due: 0" in shop.send()
    assert len(handler.taken) == 9
    # A journal that was lost makes nobody get a second one.
    for file in shop.mails_dir.glob("journal.sqlite*"):
        file.unlink()
    assert deliveries(shop, "smtp") == told | {("file", "handed_over"): 30}
    assert "Mails due: 0" in shop.send()


def test_mails_of_an_earlier_run_go_out_as_they_were_until_they_expire(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port)
    handler.judge = lambda address: "451 later" if address == "p0@example.com" else "250 OK"
    shop.execute(
        "UPDATE emails.audience SET send_at = '2026-06-16 09:00' WHERE send_id > '0' || repeat('0',"
        " 29) || '20'; CREATE SCHEMA profiles;"
        " CREATE TABLE profiles.golden_profiles AS SELECT customer_id, true AS"
        " consent_email_marketing FROM emails.batches"
    )
    deliveries(shop, "smtp")
    shop.send("--limit", "10")
    later = AS_OF + timedelta(days=1)
    shop.next_run(later)
    shop.execute(
        "UPDATE profiles.golden_profiles SET consent_email_marketing = false"
        " WHERE customer_id = 'c_20'"
    )
    smtp = {("smtp", "sent"): 9, ("smtp", "deferred"): 1, ("smtp", "handed_over"): 30 + 40}
    assert deliveries(shop, "smtp", later) == smtp
    handler.judge = lambda address: "250 OK"
    said = shop.run("send", "--as-of", "2026-06-16T08:00")
    # One of each run withdrew consent, and seven of the first run are not due.
    assert "2 without consent" in said
    bodies = Counter((to, b"later" in message) for to, message in handler.taken)
    assert set(bodies.values()) == {1}
    assert {to for to, of_later in bodies if of_later} == everyone(40) - {"p20@example.com"}
    assert {to for to, of_later in bodies if not of_later} == everyone(33) - {"p20@example.com"}
    # What had its time 48 hours ago stays.
    assert "expired" in shop.run("send", "--as-of", "2026-06-19")
    assert len(handler.taken) == len(bodies)
    end = deliveries(shop, "smtp", AS_OF + timedelta(days=9))
    assert end == {("smtp", "sent"): len(bodies), ("smtp", "expired"): 80 - len(bodies)}


def everyone(number: int) -> set[str]:
    return {f"p{i}@example.com" for i in range(number)}


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
        refused = con.execute(
            "SELECT reason FROM emails.deliveries WHERE status = 'refused'"
        ).fetchall()
    assert refused == [("the address is malformed",)]
    exports = shop.folder / "exports"
    with next(exports.rglob("manifest.csv")).open() as out:
        listed = {row["send_id"]: row["file"] for row in csv.DictReader(out)}
    assert Counter(bool(name) for name in listed.values()) == {True: 39, False: 1}
    assert {str(p.relative_to(exports)) for p in exports.rglob("*.eml")} == {f[0] for f in files}
    for file, subject, text, to in files:
        assert listed[Path(file).stem] == Path(file).name
        message = message_from_bytes((exports / file).read_bytes(), policy=policy.default)
        body = message.get_body(("plain",))
        assert body is not None
        assert (message["Subject"], message["To"]) == (subject, to)
        assert body.get_content().split("\r\n") == text.split("\n")
    before = {p: p.read_bytes() for p in exports.rglob("*.eml")}
    assert deliveries(shop, "eml") == {("eml", "handed_over"): 39, ("eml", "refused"): 1}
    assert {p: p.read_bytes() for p in exports.rglob("*.eml")} == before


def test_mails_leave_in_their_order_and_a_few_at_a_time(tmp_path: Path) -> None:
    Shop(tmp_path, 4_000)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        mails = con.sql(
            "SELECT * REPLACE (repeat(md5(send_id), 1_000) AS html), '' AS preheader"
            " FROM emails.batches ORDER BY md5(send_id)"
        ).to_arrow_table()
        pq.write_table(mails, tmp_path / "mails.parquet", row_group_size=100)
        con.execute(
            "DROP TABLE emails.batches;"
            f"CREATE VIEW emails.batches AS FROM read_parquet('{tmp_path / 'mails.parquet'}')"
        )
        # Their HTML is 128 MB; a join that keeps it, or a sort, has no room.
        con.execute("SET memory_limit = '90MB'; SET temp_directory = ''; SET threads = 2")
        con.execute("SET VARIABLE as_of = ?", [AS_OF])
        _, counts = hand_over(con, tmp_path / "exports", earlier=False)
        assert counts == {"news": 4_000}
        (file,) = (tmp_path / "exports").rglob("*.parquet")
        order = con.execute("SELECT send_id FROM read_parquet(?)", [str(file)]).fetchall()
        assert [row[0] for row in order] == mails["send_id"].to_pylist()
        spool = spool_due(con, Journal(tmp_path / "mails"), AS_OF, 48)
        assert spool.mails == 4_000
        assert con.execute("SELECT current_setting('threads')").fetchall() == [(2,)]


def test_who_left_a_list_meanwhile_gets_none_of_its_mails(shop: Shop) -> None:
    """Of a campaign that is gone, whose list nobody knows, who left any list gets none."""
    deliveries(shop, "smtp")
    shop.execute(
        """UPDATE emails.audience SET kind = 'transactional' WHERE send_id = repeat('0', 32);
        INSERT INTO emails.suppressions VALUES
            ('p0@example.com', 'complaint', 'promotional', []),
            ('p1@example.com', 'complaint', 'promotional', ['other']),
            ('p2@example.com', 'unsubscribe_list', 'lists', ['news']),
            ('p3@example.com', 'unsubscribe_list', 'lists', ['other']),
            ('p4@example.com', 'hard_bounce', 'everything', []),
            ('p5@example.com', 'unsubscribe_list', 'lists', [])"""
    )
    assert kept_back(shop) == {"p1@example.com", "p2@example.com", "p4@example.com"}
    shop.next_run(AS_OF + timedelta(hours=1))
    shop.execute("DELETE FROM emails.batches; DELETE FROM emails.audience")
    assert kept_back(shop) == {f"p{i}@example.com" for i in range(5)}


def kept_back(shop: Shop) -> set[str]:
    with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as con:
        decide_due(con, Journal(shop.mails_dir), AS_OF + timedelta(hours=2), 48)
        decided = con.execute("SELECT to_email, decision FROM due_mails").fetchall()
    assert len(decided) == 40
    assert {decision for _, decision in decided} == {"send", "suppressed"}
    return {to for to, decision in decided if decision == "suppressed"}
