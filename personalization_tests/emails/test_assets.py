"""The room on Dagster: materialize, check, run again, and stop on a broken template."""

import shutil
from datetime import timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from personalization_assets.emails.assets import ASSETS
from personalization_assets.emails.checks import CHECKS
from personalization_assets.emails.delivery.journal import Claim, Journal, Outcome
from personalization_assets.settings import Settings
from personalization_assets.sql_models import read_sql_model, sql_model_assets
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse
from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop

MODEL = PROJECT / "dbt_like_sql" / "emails" / "suppression_signals.sql"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    shutil.copytree(PROJECT / "data" / "campaigns", folder / "campaigns")
    shutil.copy(PROJECT / "data" / "brand.yaml", folder)
    con = make_shop(80, str(folder / "warehouse.duckdb"))
    con.execute("DROP TABLE emails.suppressions")
    con.execute(
        """INSERT INTO standardized.email_events VALUES
           ('esp', 'e1', '2026-06-01', 'bounce', 'p1@mail.example.com', 'x', 's', 'hard')"""
    )
    con.close()
    (folder / "suppressions.csv").write_text("email\np2@mail.example.com\n")
    return folder


def materialize(data: Path, *selection: str) -> dg.ExecuteInProcessResult:
    settings = Settings(data_dir=data)
    return dg.materialize(
        [*sql_model_assets([read_sql_model(MODEL)]), *ASSETS, *CHECKS],
        resources={
            "warehouse": Warehouse(database=str(settings.warehouse_file)),
            "clock": Clock(as_of=AS_OF.isoformat()),
            "settings": settings,
        },
        raise_on_error=False,
        selection=(
            dg.AssetSelection.assets(*selection).required_multi_asset_neighbors()
            if selection
            else None
        ),
    )


def contents(data: Path) -> dict[str, list[tuple]]:
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
        names = ("suppressions", "audience", "batches", "shown_products", "deliveries")
        return {n: con.execute(f"SELECT * FROM emails.{n} ORDER BY ALL").fetchall() for n in names}


def test_runs_repeat_exactly_and_a_typo_changes_nothing(data: Path) -> None:
    result = materialize(data)
    assert result.success
    failed = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]
    assert not failed
    first = contents(data)
    assert [row[:2] for row in first["suppressions"]] == [
        ("p1@mail.example.com", "hard_bounce"),
        ("p2@mail.example.com", "list"),
    ]
    assert len(first["batches"]) > 60
    assert len(first["deliveries"]) > 50
    secret = data / ".secret" / "link_key"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert not (data / "exports" / ".rendered").exists()
    files = {p: p.read_bytes() for p in data.rglob("*.parquet")}
    assert materialize(data).success
    assert contents(data) == first
    assert {p: p.read_bytes() for p in data.rglob("*.parquet")} == files

    # A typo stops the run with a sentence, and the old mails stand.
    text = data / "campaigns" / "win_back" / "text.liquid"
    text.write_text("{{ customer.frst_name }}")
    result = materialize(data, "emails/batches")
    assert not result.success
    failure = result.failure_data_for_node("emails__batches")
    assert failure is not None
    assert (
        "win_back/text.liquid line 1: there is no variable 'customer.frst_name', did you mean "
        "'customer.first_name'?" in str(failure.user_failure_data)
    )
    assert contents(data)["batches"] == first["batches"]


def test_a_shop_without_campaigns_has_empty_tables(data: Path) -> None:
    shutil.rmtree(data / "campaigns")
    assert materialize(data).success
    assert contents(data)["batches"] == []
    assert contents(data)["audience"] == []


def test_a_run_takes_old_mails_out_of_the_journal_once_the_table_has_them(data: Path) -> None:
    journal = Journal(data / "mails")
    for name, days in {"old": 200, "new": 20}.items():
        then = AS_OF - timedelta(days=days)
        to = f"{name}@mail.example.com"
        journal.write([], [Claim(name, "x", "c", "a", "promotional", to, "h", None, then)])
        journal.write([(name, Outcome("sent", 250, "taken"))])
    for left in (["new", "old"], ["new"], ["new"]):
        assert materialize(data).success
        assert journal.reader(("send_id",)).read_all()["send_id"].to_pylist() == left
        with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
            sent = con.execute("SELECT send_id FROM emails.deliveries WHERE channel = 'smtp'")
            assert sorted(sent.fetchall()) == [("new",), ("old",)]
