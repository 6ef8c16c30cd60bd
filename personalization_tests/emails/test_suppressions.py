"""Suppressions: what the provider reported, lists that people left, and the shop's own files."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.suppression_list import SCHEMA, read_list, suppress
from personalization_assets.errors import UserError
from personalization_assets.settings import Settings
from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop, publish
from personalization_tests.emails.worlds import campaign

SIGNALS = (PROJECT / "dbt_like_sql" / "emails" / "suppression_signals.sql").read_text()
CAMPAIGNS = [
    campaign("weekly", utm={"campaign": "wk"}),
    campaign("monthly", list="digest"),
    campaign("receipt", kind="transactional"),
]


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = make_shop(1)
    for name, value in Settings().sql_variables(AS_OF).items():
        con.execute(f"SET VARIABLE {name} = ?", [value])
    return con


def event(con: duckdb.DuckDBPyConnection, person: str, days: float, kind: str, **more: str) -> None:
    row = {"campaign": None, "send_id": f"{person}{days}", "bounce_type": None} | more
    con.execute(
        "INSERT INTO standardized.email_events VALUES ('esp', ?, ?, ?, ?, ?, ?, ?)",
        [
            f"{person}{days}{kind}{more}",
            AS_OF - timedelta(days=days),
            kind,
            f"{person}@x.example",
            row["campaign"],
            row["send_id"],
            row["bounce_type"],
        ],
    )


def suppressed(
    con: duckdb.DuckDBPyConnection, campaigns: list[Campaign] = CAMPAIGNS, **listed: str | None
) -> dict[str, tuple[str, datetime | None, datetime | None, str, list[str]]]:
    publish(con, "emails.suppression_signals", SIGNALS)
    rows = {
        "email": [f"{name}@x.example" for name in listed],
        "since": [datetime.fromisoformat(day) if day else None for day in listed.values()],
    }
    sql = suppress(con, pl.DataFrame(rows, schema=SCHEMA), campaigns)
    return {email.split("@")[0]: tuple(rest) for email, *rest in con.execute(sql).fetchall()}


def test_suppressions_come_from_events_and_end_with_an_opt_in(
    con: duckdb.DuckDBPyConnection,
) -> None:
    event(con, "Hard", 9, "bounce", bounce_type="hard")
    event(con, "soft", 9, "bounce", bounce_type="soft")
    event(con, "left", 9, "unsubscribe")
    event(con, "back", 9, "unsubscribe")
    event(con, "angry", 9, "unsubscribe")
    event(con, "angry", 8, "spam_report")
    event(con, "future", -2, "unsubscribe")  # after the run's time
    event(con, "tag+news", 9, "unsubscribe")  # another address than tag@
    con.execute(
        "INSERT INTO standardized.preferences VALUES ('pc', 'r', 'Back@x.example', true, ?)",
        [AS_OF - timedelta(days=1)],
    )
    found = suppressed(con, both=None)
    assert {name: (row[0], row[3]) for name, row in found.items()} == {
        "hard": ("hard_bounce", "everything"),
        "left": ("unsubscribe", "promotional"),
        "angry": ("complaint", "promotional"),
        "tag+news": ("unsubscribe", "promotional"),
        "both": ("list", "everything"),
    }


def test_an_unsubscribe_that_names_a_list_or_its_campaign_stops_that_list(
    con: duckdb.DuckDBPyConnection,
) -> None:
    event(con, "by_list", 3, "unsubscribe", campaign="Digest")
    event(con, "by_name", 3, "unsubscribe", campaign="monthly")
    event(con, "by_utm", 3, "unsubscribe", campaign="wk")
    event(con, "two", 3, "unsubscribe", campaign="wk")
    event(con, "two", 4, "unsubscribe", campaign="monthly")
    event(con, "unknown", 3, "unsubscribe", campaign="spring_2025")
    event(con, "receipt", 3, "unsubscribe", campaign="receipt")
    event(con, "also_all", 3, "unsubscribe", campaign="monthly")
    event(con, "also_all", 5, "unsubscribe")
    found = suppressed(con)
    assert {name: (row[0], row[3], row[4]) for name, row in found.items()} == {
        "by_list": ("unsubscribe_list", "lists", ["digest"]),
        "by_name": ("unsubscribe_list", "lists", ["digest"]),
        "by_utm": ("unsubscribe_list", "lists", ["newsletter"]),
        "two": ("unsubscribe_list", "lists", ["digest", "newsletter"]),
        "unknown": ("unsubscribe", "promotional", []),
        "receipt": ("unsubscribe", "promotional", []),
        "also_all": ("unsubscribe", "promotional", ["digest"]),
    }


def test_an_address_rests_after_several_soft_bounces_in_a_row(
    con: duckdb.DuckDBPyConnection,
) -> None:
    for days in (10, 6, 2):
        for name in ("rests", "delivered", "twice"):
            event(con, name, days, "bounce", bounce_type="soft")
    event(con, "delivered", 4, "delivered")
    con.execute("DELETE FROM standardized.email_events WHERE send_id = 'twice6'")
    event(con, "twice", 9.9, "bounce", bounce_type="soft", send_id="twice10")  # tried again
    for days in (60, 50, 40):
        event(con, "rested", days, "bounce", bounce_type="soft")
    for days in (40, 20, 2):
        event(con, "seldom", days, "bounce", bounce_type="soft")
    found = suppressed(con)
    assert found == {
        "rests": (
            "soft_bounce",
            AS_OF - timedelta(days=10),
            AS_OF + timedelta(days=28),
            "promotional",
            [],
        )
    }
    con.execute("SET VARIABLE emails__soft_bounces = 0")
    assert suppressed(con) == {}


def test_the_shops_list_outranks_a_complaint_and_keeps_its_own_date(
    con: duckdb.DuckDBPyConnection,
) -> None:
    event(con, "one", 3, "spam_report")
    event(con, "two", 3, "unsubscribe")
    found = suppressed(con, one="2026-01-01", two=None)
    assert found["one"][:2] == ("list", datetime(2026, 1, 1))
    assert found["two"][:2] == ("list", None)


def test_mistakes_in_the_shops_files_are_one_sentence_without_the_address(tmp_path: Path) -> None:
    file = tmp_path / "suppressions.csv"
    assert read_list(file).is_empty()
    file.write_text("email,since\nA@X.example,2026-03-01\n,\nb@x.example\n")
    assert read_list(file)["email"].to_list() == ["a@x.example", "b@x.example"]
    for text, problem in (
        ("address\na@x.example\n", "one of them email"),
        ("email\na@x.example\nnobody\n", "line 3: this is not an e-mail address"),
        ("email,since\na@x.example,1.3.26\n", "line 2: since must be a date"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=problem) as error:
            read_list(file)
        assert "a@x" not in str(error.value)
        assert "nobody" not in str(error.value)
    file.write_bytes("email\nä@x.example\n".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_list(file)


def test_a_services_verdict_suppresses_until_it_expires(con: duckdb.DuckDBPyConnection) -> None:
    rows = [
        # person, verdict, reason, provider, days until it expires
        ("gone", "undeliverable", "mailbox_not_found", "zerobounce", 10),
        ("old", "undeliverable", "mailbox_not_found", "zerobounce", -1),
        ("fine", "deliverable", "valid", "zerobounce", 10),
        ("unclear", "unknown", "greylisted", "zerobounce", 10),
        ("all", "risky", "catchall", "neverbounce", 10),
        ("brief", "risky", "disposable", "list", None),
        ("info", "risky", "role", "list", None),  # role accounts have a rule of their own
        ("bounced", "undeliverable", "hard_bounce", "history", None),  # its event says it
        ("waits", "unknown", "waiting", "none", None),
    ]
    for person, verdict, reason, provider, days in rows:
        until = None if days is None else AS_OF + timedelta(days=days)
        con.execute(
            "INSERT INTO standardized.email_verifications VALUES (?, ?, ?, ?, ?, ?)",
            [f"{person}@x.example", verdict, reason, provider, AS_OF, until],
        )
    until = AS_OF + timedelta(days=10)
    assert suppressed(con) == {"gone": ("undeliverable", AS_OF, until, "promotional", [])}
    con.execute("SET VARIABLE emails__mail_risky_addresses = false")
    found = suppressed(con)
    assert {person: row[0] for person, row in found.items()} == {
        "gone": "undeliverable",
        "all": "risky",
        "brief": "risky",
    }
    # What the mailbox said itself is the stronger reason, and stops more.
    event(con, "gone", 3, "bounce", bounce_type="hard")
    assert suppressed(con)["gone"][0] == "hard_bounce"
