"""The whole graph on a small shop: it finishes, does it again without a change, survives a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from personalization_assets.commands.account import print_account
from personalization_tests.integration.conftest import END, Shop

CRM = "landing/crm/contacts.csv"


def test_every_room_has_rows(shop: Shop) -> None:
    counts = {
        str(table): shop.query(f"SELECT count(*) FROM {table}")[0][0] for table in shop.hashes()
    }
    # An empty review queue, drift without a former night, and no decisions yet are right.
    may_be_empty = {"identity.decisions", "identity.review_queue", "audits.drift"}
    may_be_empty |= {"identity.blocklist", "identity.former_ids", "identity.redirects"}
    may_be_empty |= {"recommendations.trials"}  # nothing was tuned
    may_be_empty |= {"recommendations.exclusions", "recommendations.promotions"}  # nobody set any
    may_be_empty |= {"recommendations.regional_popularity"}  # places have few buyers
    may_be_empty |= {"standardized.email_verification_batches"}  # no service is asked
    # No vendor's file is named, and no model beats the commonest value among so few people.
    may_be_empty |= {"profiles.imputations", "profiles.third_party", "profiles.third_party_refused"}
    # No mail of ours is out, and no version of the model is current.
    may_be_empty |= {"feedback.examination", "feedback.recommendation_performance"}
    may_be_empty |= {"feedback.retraining_signals"}
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


@pytest.fixture(scope="module")
def changed(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop after a person's language was corrected in the CRM, and a run."""
    other = shop.copy(tmp_path_factory.mktemp("changed") / "data")
    speak_finnish(other)
    assert other.run()
    return other


def speak_finnish(shop: Shop) -> None:
    """Change one cell of the CRM's file."""
    lines = (shop.folder / CRM).read_text(encoding="utf-8").splitlines(keepends=True)
    spot = next(n for n, line in enumerate(lines[1:], 1) if ",de," in line)
    lines[spot] = lines[spot].replace(",de,", ",fi,", 1)
    (shop.folder / CRM).write_text("".join(lines), encoding="utf-8")


def test_one_changed_row_changes_only_what_depends_on_it(shop: Shop, changed: Shop) -> None:
    before, after = shop.hashes(), changed.hashes()
    different = {t for t in before if before[t] != after[t]}
    assert {"sources.crm_contacts", "standardized.crm_contacts"} <= different
    rooms = ("identity.", "recommendations.", "feedback.")
    assert not {t for t in different if t.startswith(rooms)}
    assert not different & {"sources.web_events", "standardized.orders", "profiles.transactions"}
    customers = "SELECT source, record_id, customer_id FROM identity.links ORDER BY ALL"
    assert shop.query(customers) == changed.query(customers)
    profiles = "SELECT md5(p::VARCHAR) FROM profiles.golden_profiles p ORDER BY customer_id"
    pairs = zip(shop.query(profiles), changed.query(profiles), strict=True)
    assert sum(was != now for was, now in pairs) <= 1


KILLER = """
import os, signal, sys
from pathlib import Path
from personalization_assets import warehouse
from personalization_tests.integration.conftest import Shop

left = int(sys.argv[2])
swap = warehouse.swap

def swap_or_die(*args, **kwargs):
    global left
    left -= 1
    if left == 0:  # staged and audited, not yet committed
        os.kill(os.getpid(), signal.SIGKILL)
    swap(*args, **kwargs)

warehouse.swap = swap_or_die
Shop(Path(sys.argv[1])).run()
"""


@pytest.mark.slow
def test_a_killed_run_leaves_whole_tables_and_the_next_finishes(
    shop: Shop, changed: Shop, tmp_path: Path
) -> None:
    before, after = shop.hashes(), changed.hashes()
    victim = shop.copy(tmp_path / "victim")
    speak_finnish(victim)
    for published in (3, 24):
        killed = subprocess.run(
            [sys.executable, "-c", KILLER, str(victim.folder), str(published)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
        torn = {t for t, h in victim.hashes().items() if h not in (before[t], after[t])}
        assert torn == set()
    assert victim.run()
    assert victim.hashes() == after


def test_dagster_keeps_nothing_personal(shop: Shop) -> None:
    people = shop.query(
        "SELECT DISTINCT lower(email) FROM standardized.crm_contacts WHERE email IS NOT NULL"
        " UNION SELECT DISTINCT full_name FROM standardized.orders WHERE full_name LIKE '% %'"
    )
    assert len(people) > 50
    history = [p for p in (shop.folder / ".dagster").rglob("*") if p.is_file()]
    assert any(p.suffix == ".db" for p in history)
    for path in [*history, shop.folder / "run.log"]:
        text = path.read_bytes().decode("utf-8", errors="replace")
        assert not [n for n, (who,) in enumerate(people) if str(who) in text], path.name


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_control_c_is_said_and_loses_nothing(fresh_shop: Shop, tmp_path: Path) -> None:
    mine = fresh_shop.copy(tmp_path / "data")
    command = [sys.executable, "-m", "personalization_assets.cli", "run"]
    command += ["--sources", str(mine.folder / "sources.yaml"), "--as-of", END.isoformat()]
    command += ["--warehouse", str(mine.settings.warehouse_file)]
    process = subprocess.Popen(
        [*command, "--select", "group:sources", "--select", "group:standardized"],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    said, text = [], ""
    for line in process.stdout:
        said.append(line)
        if "sources/shop_orders" in line and "wait for" not in text:
            process.send_signal(signal.SIGSTOP)  # or a quick machine is done before the other asks
            code, text = mine.personalize("--select", "group:sources")
            assert code == 1
            assert "wait for" in text
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGCONT)
    assert process.wait() == 130
    text = "".join(said)
    assert "the run was interrupted" in text
    assert "Traceback" not in text
    code, text = mine.personalize("--select", "group:sources", "--select", "group:standardized")
    assert (code, "22 tables are up to date" in text) == (0, True)
