"""`personalize mails send` against a real mail server on loopback: each person gets a mail once."""

import random
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from personalization_assets.emails.delivery.journal import Claim, Journal, Outcome
from personalization_tests.emails.delivery_shop import AS_OF, Handler, Shop, free_port


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, 40)


def test_a_send_that_is_killed_again_and_again_mails_everybody_once(
    tmp_path: Path, handler: Handler, server: Controller
) -> None:
    mails, connections, draw = 150, 3, random.Random(11)
    shop = Shop(tmp_path, mails)
    shop.configure(server.port, mails_per_second=100, connections=connections)
    kills = 0
    while len(handler.taken) < mails - 30:
        before = len(handler.taken)
        process = shop.start("send", "--as-of", "2026-06-15T07:00")
        deadline = time.monotonic() + 30
        while len(handler.taken) == before and time.monotonic() < deadline:
            time.sleep(0.001)
        # At any moment: while a mail is noted, on its way, or its answer is.
        time.sleep(draw.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    assert kills >= 4
    time.sleep(0.2)
    said = shop.run("status", "--as-of", "2026-06-15T07:00")
    assert re.search(r"news +waiting +\d+", said)
    assert not re.search(r"news +sending", said)
    said = shop.send()
    sent = handler.times()
    assert set(sent.values()) == {1}
    uncertain = Journal(shop.mails_dir).uncertain()
    assert len(uncertain) <= kills * connections
    # Each of the others got it, and who did not is named.
    missing = {f"p{i}@example.com" for i in range(mails)} - set(sent)
    assert missing <= {f"p{int(send_id, 16)}@example.com" for send_id in uncertain}
    assert shop.statuses() == Counter(sent=mails - len(uncertain), uncertain=len(uncertain))
    assert all(send_id in said for send_id in uncertain[:20])
    assert "Mails due: 0" in shop.send()
    assert handler.times() == sent


def test_a_stopped_send_waits_for_the_answers_and_goes_on(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port, mails_per_second=30)
    process = shop.start("send", "--as-of", "2026-06-15T07:00")
    while len(handler.taken) < 8:
        time.sleep(0.005)
    process.terminate()
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped" in said
    assert shop.statuses() == Counter(sent=len(handler.taken))
    assert len(handler.taken) < 40
    shop.send()
    assert set(handler.times().values()) == {1}
    assert shop.statuses() == Counter(sent=40)
    assert not list(shop.mails_dir.glob(".sending*"))


def test_whoever_is_listed_while_mails_go_out_gets_none(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port, mails_per_second=10, connections=1)
    process = shop.start("send", "--as-of", "2026-06-15T07:00")
    while len(handler.taken) < 3:
        time.sleep(0.005)
    listed = {f"p{i}@example.com" for i in range(40)} - set(handler.times())
    late = sorted(listed, key=lambda address: int(address[1:-12]))[-10:]
    (shop.folder / "suppressions.csv").write_text("email\n" + "\n".join(late).upper() + "\n")
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert not set(late) & set(handler.times())
    assert len(handler.taken) == 30
    assert shop.statuses() == Counter(sent=30)


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
    shop.execute(
        "INSERT INTO emails.suppressions VALUES ('p5@example.com', 'list', 'everything', [])"
    )
    shop.execute(
        """UPDATE emails.audience SET send_at = '2026-06-15 09:00'
           WHERE send_id = lpad(to_hex(6), 32, '0');
           UPDATE emails.batches SET to_email = 'no address'
           WHERE send_id = lpad(to_hex(7), 32, '0');
           UPDATE emails.batches SET to_email = 'P1@example.com '
           WHERE send_id = lpad(to_hex(39), 32, '0')"""
    )
    # The shop's own list counts from the moment that somebody adds a line to it.
    (shop.folder / "suppressions.csv").write_text("email\nP8@example.com\n")
    said = shop.send()
    assert shop.statuses() == Counter(sent=33, refused=2, deferred=1), said
    assert "1 with the answer 550" in said
    assert "example.com" not in said
    assert set(handler.times().values()) == {1}
    assert (asked["p1@example.com"], asked["p2@example.com"], asked["p4@example.com"]) == (1, 2, 4)
    assert asked["p3@example.com"] == 2
    assert not {"p5@example.com", "p6@example.com", "p8@example.com"} & set(asked)
    assert "Mails due: 39. Kept back: 2 suppressed." in said
    assert "1 refused: the address is malformed" in said
    # Later: what was put off and what is due now, and never again who was refused.
    handler.judge = lambda address: "250 OK"
    shop.run("send", "--as-of", "2026-06-15T10:00")
    assert shop.statuses() == Counter(sent=35, refused=2)
    assert "P1@example.com" not in handler.times()
    message = dict(handler.taken)["p4@example.com"]
    assert message.startswith(b"Date: Mon, 15 Jun 2026 06:00:00 +0000\r\n")
    assert b"\r\n.dot\r\n" in message


def test_a_second_send_is_refused_and_a_dry_run_sends_nothing(
    shop: Shop, handler: Handler, server: Controller
) -> None:
    shop.configure(server.port)
    assert "40 would be sent, 0 cannot" in shop.send("--dry-run")
    with Journal(shop.mails_dir).alone():
        assert "wait for it to finish" in shop.send(ok=False)
    assert not handler.taken
    shop.configure(server.port, channel="eml")
    assert "emails.delivery.channel is eml" in shop.send(ok=False)
    shop.configure(free_port(), attempts=1)
    assert "has no campaign nwes: it has news" in shop.send("--campaign", "nwes", ok=False)
    assert "cannot be used" in shop.send(ok=False)
    assert shop.statuses() == Counter()


def test_the_journal_is_private_and_remembers_attempts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "mails")
    claim = Claim("1", "news", "c", "a", "promotional", "x@e.com", "h", AS_OF, AS_OF)
    journal.write([], [claim])
    journal.write([("1", Outcome("deferred", 451, "later"))])
    assert finished(journal) == []
    journal.write([], [claim])
    assert finished(Journal(tmp_path / "mails")) == ["1"]
    assert journal.reader().read_all()["attempts"].to_pylist() == [2]
    assert (tmp_path / "mails" / "journal.sqlite").stat().st_mode & 0o777 == 0o600


def finished(journal: Journal) -> list[str]:
    return journal.reader(("send_id",), "status <> 'deferred'").read_all()["send_id"].to_pylist()
