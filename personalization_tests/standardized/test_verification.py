"""The table of verdicts: what is known for nothing, who is asked, what it costs, what survives."""

import datetime as dt
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from personalization_assets.cli import main
from personalization_assets.contracts import contract_of
from personalization_assets.settings import Settings
from personalization_assets.standardized.verification.assets import (
    READS,
    email_verifications,
    verify_addresses,
)
from personalization_assets.tables import Clock, Run, publish
from personalization_assets.warehouse import Warehouse
from personalization_tests.standardized.verification_servers import (
    ANSWER,
    HOLD,
    KEY,
    LOSE,
    NeverBounceService,
    Service,
    Trouble,
    ZeroBounceService,
    running,
)

AS_OF = dt.datetime(2026, 10, 20)
ZERO, NEVER = "zerobounce", "neverbounce"

CREATE = """
CREATE SCHEMA standardized;
CREATE TABLE standardized.crm_contacts (email VARCHAR, email_opt_in BOOLEAN);
CREATE TABLE standardized.loyalty_members (email VARCHAR);
CREATE TABLE standardized.orders (email VARCHAR);
CREATE TABLE standardized.social_activity (email VARCHAR);
CREATE TABLE standardized.preferences (email VARCHAR, email_marketing BOOLEAN);
CREATE TABLE standardized.email_events (
    email VARCHAR, event_type VARCHAR, bounce_type VARCHAR, occurred_at TIMESTAMP
);
INSERT INTO standardized.crm_contacts VALUES
    ('yes@a.example', true), ('yes@a.example', NULL), (NULL, true), ('info@a.example', true),
    ('x@mailinator.com', true), ('bounced@a.example', true), ('got@a.example', true),
    ('got_long_ago@a.example', true), ('left@a.example', true);
INSERT INTO standardized.preferences VALUES ('also@a.example', true), ('no@a.example', false);
INSERT INTO standardized.orders VALUES ('guest@a.example');
INSERT INTO standardized.email_events VALUES
    ('bounced@a.example', 'delivered', NULL, '2026-10-01'),
    ('bounced@a.example', 'bounce', 'hard', '2026-10-02'),
    ('got@a.example', 'delivered', NULL, '2026-10-01'),
    ('got@a.example', 'bounce', 'soft', '2026-10-02'),
    ('got_long_ago@a.example', 'delivered', NULL, '2025-01-01'),
    ('left@a.example', 'unsubscribe', NULL, '2025-01-01');
"""
ASKED = ["also@a.example", "got_long_ago@a.example", "yes@a.example"]
AUDIENCE = """
CREATE SCHEMA emails; CREATE SCHEMA profiles;
CREATE TABLE emails.audience AS SELECT * FROM (VALUES
    ('1', 'send'), ('2', 'no_consent')) AS a(customer_id, decision);
CREATE TABLE profiles.golden_profiles AS SELECT * FROM (VALUES
    ('1', 'Guest@a.example'), ('2', 'no@a.example')) AS p(customer_id, email);
"""


class Shop:
    """A warehouse with addresses, and settings that name a service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = Warehouse(database=str(folder / "warehouse.duckdb"))
        if not (folder / "warehouse.duckdb").exists():
            self.query(CREATE)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as con:
            return con.execute(sql).fetchall()

    def run(
        self, service: Service | None = None, as_of: dt.datetime = AS_OF, **verification: Any
    ) -> dict[str, Any]:
        """Refresh the tables; gives the run's metadata."""
        settings = self.settings(service, **verification)
        with self.warehouse.connect(settings.sql_variables(as_of)) as con:
            run = Run(con, as_of, settings, logging.getLogger("test"))
            built = verify_addresses(run)
            publish(run, [(contract_of(model), rows) for model, rows in built.items()])
            return run._metadata

    def settings(self, service: Service | None = None, **verification: Any) -> Settings:
        if service:
            kind = ZERO if isinstance(service, ZeroBounceService) else NEVER
            verification = {"provider": kind, "base_url": service.address, **verification}
        verification = {"backoff_seconds": 0.01, "attempts": 2, **verification}
        values = {"data_dir": self.folder, "standardized": {"verification": verification}}
        return Settings.model_validate(values)

    def verdicts(self) -> dict[str, tuple[str, str, str]]:
        rows = self.query(
            "SELECT email, verdict, reason, provider FROM standardized.email_verifications"
        )
        return {row[0]: row[1:] for row in rows}

    def batches(self) -> list[tuple[Any, ...]]:
        return self.query(
            "SELECT status, addresses, credits, answers"
            " FROM standardized.email_verification_batches ORDER BY batch_id"
        )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def zero(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZeroBounceService]:
    monkeypatch.setenv("PERSONALIZE_ZEROBOUNCE_KEY", KEY)
    monkeypatch.setattr(
        "personalization_assets.standardized.verification.zerobounce.PAUSE_SECONDS", 0.0
    )
    found = dict.fromkeys(ASKED, ("valid", ""))
    found["also@a.example"] = ("invalid", "mailbox_not_found")
    found["got_long_ago@a.example"] = ("unknown", "greylisted")
    service = ZeroBounceService(found)
    with running(service, "v2"):
        yield service


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> Iterator[NeverBounceService]:
    monkeypatch.setenv("PERSONALIZE_NEVERBOUNCE_KEY", KEY)
    service = NeverBounceService({address: ("valid", []) for address in ASKED})
    with running(service, "v4.2"):
        yield service


def test_without_a_service_history_and_lists_speak_and_the_rest_waits(shop: Shop) -> None:
    metadata = shop.run()
    assert shop.verdicts() == {
        "also@a.example": ("unknown", "not_asked", "none"),
        "bounced@a.example": ("undeliverable", "hard_bounce", "history"),
        "got@a.example": ("deliverable", "delivered", "history"),
        "got_long_ago@a.example": ("unknown", "not_asked", "none"),
        "guest@a.example": ("unknown", "not_asked", "none"),
        "info@a.example": ("risky", "role", "list"),
        "left@a.example": ("unknown", "not_asked", "none"),
        "no@a.example": ("unknown", "not_asked", "none"),
        "x@mailinator.com": ("risky", "disposable", "list"),
        "yes@a.example": ("unknown", "not_asked", "none"),
    }
    assert metadata["addresses_waiting"] == 3
    assert metadata["not_asked_because"].startswith("no service is named")


def test_a_service_without_a_key_is_not_asked_and_the_run_says_so(shop: Shop) -> None:
    metadata = shop.run(provider=ZERO)
    assert metadata["not_asked_because"] == "PERSONALIZE_ZEROBOUNCE_KEY is not set"
    assert metadata["addresses_asked"] == 0


def test_only_who_may_be_written_to_is_asked_about_and_the_answers_count(
    shop: Shop, zero: ZeroBounceService
) -> None:
    metadata = shop.run(zero)
    assert zero.charged == ASKED
    assert (metadata["addresses_asked"], metadata["addresses_waiting"]) == (3, 0)
    assert "not_asked_because" not in metadata
    verdicts = shop.verdicts()
    assert verdicts["also@a.example"] == ("undeliverable", "mailbox_not_found", ZERO)
    assert verdicts["yes@a.example"] == ("deliverable", "valid", ZERO)
    assert shop.batches() == [("answered", 3, 3, 3)]
    assert not any("@" in str(value) for value in metadata.values() if isinstance(value, str))


def test_an_answer_counts_until_it_expires_and_stands_until_there_is_a_new_one(
    shop: Shop, zero: ZeroBounceService
) -> None:
    shop.run(zero)
    before = shop.verdicts()
    shop.run(zero, AS_OF + dt.timedelta(days=6))
    assert zero.charged == ASKED
    assert shop.verdicts() == before
    # An unknown address is tried again sooner than the others.
    later = AS_OF + dt.timedelta(days=8)
    metadata = shop.run(None, later)
    assert metadata["addresses_waiting"] == 1
    assert shop.verdicts() == before
    shop.run(zero, later)
    assert zero.charged == [*ASKED, "got_long_ago@a.example"]
    shop.run(zero, AS_OF + dt.timedelta(days=100))
    assert zero.charged[4:] == ["got_long_ago@a.example", "yes@a.example"]


def test_who_gets_mail_next_is_asked_about_first_and_the_budget_is_the_days(
    shop: Shop, zero: ZeroBounceService
) -> None:
    shop.query(AUDIENCE)
    zero.verdicts["guest@a.example"] = ("valid", "")
    metadata = shop.run(zero, daily_budget=2)
    assert zero.charged == ["guest@a.example", "also@a.example"]
    assert metadata["not_asked_because"].startswith("the budget of 2 addresses a day is used up")
    assert metadata["addresses_waiting"] == 2
    shop.run(zero, AS_OF + dt.timedelta(hours=5), daily_budget=3)
    assert zero.charged[2:] == ["got_long_ago@a.example"]
    shop.run(zero, AS_OF + dt.timedelta(days=1), daily_budget=3)
    assert zero.charged[3:] == ["yes@a.example"]


def test_batches_are_of_the_size_that_the_service_takes(
    shop: Shop, zero: ZeroBounceService
) -> None:
    shop.query(
        "INSERT INTO standardized.crm_contacts"
        " SELECT 'p' || i || '@b.example', true FROM range(150) AS r(i)"
    )
    metadata = shop.run(zero)
    assert [row[1] for row in shop.batches()] == [100, 53]
    assert metadata["addresses_answered"] == 153
    assert shop.verdicts()["p7@b.example"] == ("unknown", "no_answer", ZERO)


def test_trouble_of_the_service_stops_the_asking_and_not_the_run(
    shop: Shop, zero: ZeroBounceService
) -> None:
    zero.next = [Trouble(503), Trouble(503)]
    metadata = shop.run(zero)
    assert metadata["not_asked_because"] == "ZeroBounce is not available (503)"
    assert shop.verdicts()["yes@a.example"] == ("unknown", "not_asked", "none")
    # The first try may have arrived: the budget counts both.
    assert shop.batches() == [("failed", 3, 6, 0)]


def test_a_refused_batch_costs_nothing(
    shop: Shop, zero: ZeroBounceService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONALIZE_ZEROBOUNCE_KEY", "wrong_key")
    metadata = shop.run(zero)
    assert "the key is wrong or the account has no credits left" in metadata["not_asked_because"]
    assert "wrong_key" not in str(metadata)
    assert shop.batches() == [("failed", 3, 0, 0)]
    assert "wrong_key" not in str(
        shop.query("SELECT * FROM standardized.email_verification_batches")
    )


def test_a_job_that_outlives_its_run_is_collected_by_the_next_one(
    shop: Shop, never: NeverBounceService
) -> None:
    never.polls_until_done = 1
    metadata = shop.run(never, wait_seconds=0)
    assert metadata["not_asked_because"] == "NeverBounce is not done with the batch"
    assert shop.batches() == [("asked", 3, 3, 0)]
    metadata = shop.run(never, AS_OF + dt.timedelta(days=1))
    assert shop.batches() == [("answered", 3, 3, 3)]
    assert shop.verdicts()["yes@a.example"] == ("deliverable", "valid", NEVER)
    assert never.charged == ASKED


def test_an_outage_while_a_job_runs_loses_no_answer(shop: Shop, never: NeverBounceService) -> None:
    never.next = [ANSWER, Trouble(503), Trouble(503)]
    metadata = shop.run(never)
    assert metadata["not_asked_because"] == "NeverBounce is not available (503)"
    assert shop.batches() == [("asked", 3, 3, 0)]
    shop.run(never, AS_OF + dt.timedelta(days=1))
    assert shop.batches() == [("answered", 3, 3, 3)]
    assert never.charged == ASKED


def test_no_second_try_goes_above_the_budget(shop: Shop, zero: ZeroBounceService) -> None:
    zero.next = [LOSE]
    metadata = shop.run(zero, daily_budget=5)
    assert metadata["not_asked_because"].startswith("an answer was lost, and to ask again might")
    assert zero.charged == ASKED
    assert shop.batches() == [("failed", 3, 3, 0)]


def test_who_is_suppressed_is_not_shown_to_the_service(shop: Shop, zero: ZeroBounceService) -> None:
    shop.query(
        "CREATE SCHEMA emails; CREATE TABLE emails.suppressions AS SELECT * FROM (VALUES"
        " ('yes@a.example', 'list', 'everything'), ('also@a.example', 'unsubscribe_list', 'lists'),"
        " ('got_long_ago@a.example', 'undeliverable', 'promotional')) AS s(email, reason, stops)"
    )
    shop.run(zero)
    assert zero.charged == ["also@a.example", "got_long_ago@a.example"]


def test_an_address_that_no_source_has_any_more_is_forgotten(
    shop: Shop, zero: ZeroBounceService
) -> None:
    shop.run(zero)
    shop.query("DELETE FROM standardized.crm_contacts WHERE email = 'yes@a.example'")
    shop.run(zero)
    assert "yes@a.example" not in shop.verdicts()


def test_the_same_run_again_gives_the_same_rows_and_asks_nothing(
    shop: Shop, zero: ZeroBounceService
) -> None:
    shop.run(zero)
    table = "SELECT * FROM standardized.email_verifications ORDER BY email"
    first, asked = shop.query(table), len(zero.requests)
    shop.run(zero)
    assert shop.query(table) == first
    assert len(zero.requests) == asked


def test_answers_of_a_killed_run_are_kept(shop: Shop, zero: ZeroBounceService) -> None:
    """The process dies while the second batch is asked; the first one is not paid for again."""
    shop.query(
        "INSERT INTO standardized.crm_contacts"
        " SELECT 'a' || i || '@b.example', true FROM range(110) AS r(i)"
    )
    zero.verdicts |= {f"a{i}@b.example": ("valid", "") for i in range(110)}
    zero.next = [ANSWER, HOLD]
    script = (
        "from pathlib import Path\n"
        "from personalization_assets.standardized.verification import zerobounce\n"
        "from personalization_tests.standardized.test_verification import Shop\n"
        "from personalization_tests.standardized.verification_servers import ZeroBounceService\n"
        "zerobounce.PAUSE_SECONDS = 0.0\n"
        f"shop = Shop(Path({str(shop.folder)!r}))\n"
        f"shop.run(ZeroBounceService({{}}, address={zero.address!r}))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        assert zero.held.wait(60)
        process.kill()
    zero.let_go.set()
    assert len(zero.charged) == 100
    shop.run(zero)
    assert len(zero.charged) == len(set(zero.charged)) == 113
    assert shop.batches() == [
        ("answered", 100, 100, 100),
        ("failed", 13, 13, 0),
        ("answered", 13, 13, 13),
    ]


def test_the_asset_publishes_both_tables_and_names_no_address(
    shop: Shop, zero: ZeroBounceService
) -> None:
    result = dg.materialize(
        [email_verifications],
        resources={
            "warehouse": shop.warehouse,
            "clock": Clock(as_of=AS_OF.isoformat()),
            "settings": shop.settings(zero),
        },
    )
    assert shop.batches() == [("answered", 3, 3, 3)]
    assert len(shop.verdicts()) == 10
    events = str([e.event_specific_data for e in result.all_events])
    assert "addresses_answered" in events
    assert "@a.example" not in events
    assert KEY not in events


def test_every_table_that_is_read_is_upstream() -> None:
    keys = {f"standardized/{table}" for table in READS}
    assert {"/".join(key.path) for key in email_verifications.dependency_keys} == keys


def test_the_command_shows_budget_verdicts_and_who_is_next(
    shop: Shop, zero: ZeroBounceService
) -> None:
    shop.run(zero, daily_budget=1)
    shop.query(AUDIENCE)
    settings = shop.folder / "settings.yaml"
    settings.write_text(
        "standardized: {verification: {provider: zerobounce, daily_budget: 1}}\n"
        f"data_dir: {shop.folder}\n"
    )
    runner = CliRunner()
    status = ["--settings", str(settings), "verify", "status", "--as-of", AS_OF.isoformat()]
    done = runner.invoke(main, [*status, "--next", "2"])
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert "zerobounce: up to 1 addresses a day" in lines
    assert "2026-10-20 zerobounce 1 1 1 0 0" in lines
    assert "undeliverable zerobounce mailbox_not_found 1 2027-04-18" in lines
    assert "Addresses to be asked about: 1 that get mail next, then 2 that agreed to mail." in lines
    assert lines[-2:] == ["guest@a.example", "got_long_ago@a.example"]
    shop.query("DROP TABLE standardized.email_verifications")
    done = runner.invoke(main, status)
    assert done.exit_code == 1
    assert "No address has been looked at yet" in done.output
