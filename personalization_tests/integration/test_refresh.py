"""The whole graph on a small shop: it finishes, does it again without a change, survives a kill."""

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from personalization_assets.commands.account import print_account
from personalization_tests.integration.conftest import END, Shop

LATER = END + dt.timedelta(days=3)


def test_every_room_has_rows(shop: Shop) -> None:
    counts = {
        str(table): shop.query(f"SELECT count(*) FROM {table}")[0][0] for table in shop.hashes()
    }
    # An empty review queue, drift without a former night, and no decisions yet are right.
    may_be_empty = {"identity.decisions", "identity.review_queue", "audits.drift"}
    assert not [t for t, n in counts.items() if not n and t not in may_be_empty]


def test_everybody_with_a_send_decision_has_a_mail(shop: Shop) -> None:
    missing = shop.query(
        "SELECT count(*) FROM emails.audience AS a LEFT JOIN emails.batches AS b USING (send_id)"
        " WHERE a.decision = 'send' AND b.status IS DISTINCT FROM 'rendered'"
    )
    assert missing == [(0,)]
    assert shop.query("SELECT count(*) > 0 FROM emails.batches") == [(True,)]


def test_nobody_without_consent_gets_a_promotion(shop: Shop) -> None:
    wrong = shop.query(
        "SELECT count(*) FROM emails.audience JOIN profiles.consents USING (customer_id)"
        " WHERE decision = 'send' AND NOT email_marketing"
    )
    assert wrong == [(0,)]


def test_the_account_speaks_of_all_rooms(shop: Shop, tmp_path: Path) -> None:
    with (tmp_path / "account.txt").open("w+", encoding="utf-8") as out:
        print_account(shop.settings, Console(file=out, width=160))
        out.seek(0)
        text = out.read()
    for word in ("standardized", "quarantine", "People:", "Recommender:", "weekly_recommendations"):
        assert word in text


def test_a_second_run_changes_no_table(shop: Shop, tmp_path: Path) -> None:
    again = shop.copy(tmp_path / "data")
    before = again.hashes()
    assert again.run()
    after = again.hashes()
    assert {t for t in before if before[t] != after.get(t)} == set()
    assert before.keys() == after.keys()


KILLER = """
import os, signal, sys
from pathlib import Path
from personalization_assets import tables, warehouse
from personalization_tests.integration.conftest import Shop
from personalization_tests.integration.test_refresh import LATER

left = int(sys.argv[2])
swap = warehouse.swap

def swap_or_die(*args, **kwargs):
    global left
    left -= 1
    if left == 0:  # staged and audited, not yet committed
        os.kill(os.getpid(), signal.SIGKILL)
    swap(*args, **kwargs)

warehouse.swap = swap_or_die
Shop(Path(sys.argv[1])).run(LATER)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_whole_tables_and_the_next_finishes(shop: Shop, tmp_path: Path) -> None:
    before = shop.hashes()
    undisturbed = shop.copy(tmp_path / "undisturbed")
    assert undisturbed.run(LATER)
    after = undisturbed.hashes()
    assert after != before

    victim = shop.copy(tmp_path / "victim")
    for published in (3, 14, 30):
        killed = subprocess.run(
            [sys.executable, "-c", KILLER, str(victim.folder), str(published)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
        found = victim.hashes()
        torn = {t for t, h in found.items() if h not in (before.get(t), after.get(t))}
        assert torn == set()
    assert victim.run(LATER)
    assert victim.hashes() == after
