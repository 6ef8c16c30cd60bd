"""Decisions: each rule, the caps whatever the input, stable arms, and hand-over once."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization_assets.emails.audience import decide
from personalization_assets.emails.campaigns import Campaign, CampaignFile
from personalization_assets.emails.handover import hand_over
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.suppression_list import REASONS, SCHEMA, suppress
from personalization_assets.errors import UserError
from personalization_tests.emails.conftest import Shop
from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop, publish

SETTINGS = EmailsSettings()


def campaign(name: str, **fields: object) -> Campaign:
    values = {"description": name, "priority": 10, "audience": "true", "again_after_days": 0}
    return Campaign(name, Path(name), CampaignFile.model_validate(values | fields))


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return make_shop(40)


def decisions(
    con: duckdb.DuckDBPyConnection, *campaigns: Campaign, as_of: datetime = AS_OF, own: bool = False
) -> dict[tuple[str, int], tuple[str, str]]:
    con.execute("SET VARIABLE as_of = ?", [as_of])
    publish(con, "emails.audience", decide(con, campaigns, SETTINGS, as_of, own_deliveries=own))
    rows = con.execute(
        "SELECT campaign, customer_id, decision, rule FROM emails.audience"
    ).fetchall()
    return {(c, int(i[2:])): (d, r) for c, i, d, r in rows}


def change(con: duckdb.DuckDBPyConnection, person: int, assignment: str) -> None:
    con.execute(
        f"UPDATE profiles.golden_profiles SET {assignment} WHERE customer_id = ?",
        [f"c_{person:016d}"],
    )


def event(con: duckdb.DuckDBPyConnection, person: int, days: float, **fields: str) -> None:
    row = {
        "source": "esp",
        "event_id": f"{person}-{days}-{fields}",
        "occurred_at": AS_OF - timedelta(days=days),
        "event_type": "delivered",
        "email": f"p{person}@mail.example.com",
        "campaign": "old",
        "send_id": None,
        "bounce_type": None,
    } | fields
    con.execute(
        "INSERT INTO standardized.email_events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", list(row.values())
    )


def test_each_rule_decides(con: duckdb.DuckDBPyConnection) -> None:
    change(con, 1, "consent_email_marketing = false")
    change(con, 2, "consent_email_marketing = NULL")
    change(con, 3, "email = NULL")
    change(con, 4, "email = 'not an address'")
    for person, reason in ((5, "hard_bounce"), (6, "complaint"), (8, "unsubscribe"), (9, "list")):
        con.execute(
            "INSERT INTO emails.suppressions (email, reason, stops) VALUES (?, ?, ?)",
            [f"p{person}@mail.example.com", reason, dict(REASONS)[reason]],
        )
    change(con, 11, "email = 'P10@Mail.example.com'")
    change(con, 12, "engagement_level = 'low'")
    event(con, 12, 3)
    event(con, 13, 3, campaign="news")
    found = decisions(con, campaign("news", again_after_days=7))
    expected = {
        0: ("send", "all_rules_passed"),
        1: ("no_consent", "email_marketing"),
        2: ("no_consent", "email_marketing"),
        3: ("no_address", "address_missing"),
        4: ("no_address", "address_malformed"),
        5: ("suppressed", "hard_bounce"),
        6: ("suppressed", "complaint"),
        8: ("suppressed", "unsubscribe"),
        9: ("suppressed", "list"),
        10: ("send", "all_rules_passed"),
        11: ("capped", "same_address"),
        12: ("capped", "cap"),
        13: ("capped", "again_after_days"),
    }
    assert {person: found["news", person] for person in expected} == expected
    personal = decisions(con, campaign("cart", needs_personalisation=True))
    assert personal["cart", 7] == ("no_consent", "personalisation")
    details = con.execute("SELECT detail FROM emails.audience WHERE detail LIKE '%@%'").fetchall()
    assert not details


def test_transactional_mail_ignores_caps_and_consent_but_not_bounces(
    con: duckdb.DuckDBPyConnection,
) -> None:
    change(con, 1, "consent_email_marketing = false, engagement_level = 'low'")
    for days in (1, 2, 3):
        event(con, 1, days)
    con.execute(
        """INSERT INTO emails.suppressions (email, reason, stops) VALUES
           ('p2@mail.example.com', 'hard_bounce', 'everything'),
           ('p3@mail.example.com', 'unsubscribe', 'promotional')"""
    )
    found = decisions(con, campaign("receipt", kind="transactional"))
    assert found["receipt", 1] == ("send", "all_rules_passed")
    assert found["receipt", 2] == ("suppressed", "hard_bounce")
    assert found["receipt", 3] == ("send", "all_rules_passed")


def test_higher_priority_gets_the_last_place(con: duckdb.DuckDBPyConnection) -> None:
    change(con, 0, "engagement_level = 'low'")
    found = decisions(con, campaign("a_news"), campaign("z_cart", priority=90))
    assert found["z_cart", 0][0] == "send"
    assert found["a_news", 0] == ("capped", "cap")


def test_mails_leave_at_the_best_hour_inside_the_day(con: duckdb.DuckDBPyConnection) -> None:
    change(con, 0, "best_hour = 3, time_zone = 'America/New_York'")
    change(con, 1, "best_hour = 18, time_zone = 'Europe/Dublin'")
    decisions(con, campaign("news"))
    rows = dict(con.execute("SELECT customer_id, send_at FROM emails.audience").fetchall())
    assert rows[f"c_{0:016d}"] == datetime(2026, 6, 15, 11)  # 7:00 in New York, not 3:00
    assert rows[f"c_{1:016d}"] == datetime(2026, 6, 15, 17)
    assert all(AS_OF <= at < AS_OF + timedelta(days=1) for at in rows.values() if at)


def test_a_schedule_names_its_days(con: duckdb.DuckDBPyConnection) -> None:
    assert AS_OF.weekday() == 0
    assert not decisions(con, campaign("news", schedule="tuesday, friday"))
    assert decisions(con, campaign("news", schedule="monday"))


def test_arms_and_holdouts_are_stable_and_fair() -> None:
    con = make_shop(4000)
    news = campaign(
        "news",
        holdout=0.1,
        variants=[{"name": "a", "share": 0.3}, {"name": "b", "share": 0.7}],
    )
    sql = "SELECT customer_id, variant, decision = 'holdout' FROM emails.audience ORDER BY 1"
    decisions(con, news)
    first = con.execute(sql).fetchall()
    decisions(con, news, as_of=AS_OF + timedelta(days=90))
    assert con.execute(sql).fetchall() == first
    assert 0.08 < sum(held for *_, held in first) / len(first) < 0.12
    assert 0.27 < Counter(v for _, v, _ in first)["a"] / len(first) < 0.33
    both = Counter((v, h) for _, v, h in first)
    assert 0.2 < both["a", True] / (both["a", True] + both["b", True]) < 0.4


def test_unknown_column_in_an_audience_is_one_sentence(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UserError, match="no column 'orderz', did you mean 'orders'") as error:
        decisions(con, campaign("news", audience="orderz > 1"))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="audience: "):
        decisions(con, campaign("news", audience="len(orders) > 'x'"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    past=st.lists(
        st.tuples(
            st.integers(0, 11), st.floats(0.3, 45), st.sampled_from(["processed", "delivered"])
        ),
        max_size=40,
    ),
    priorities=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    shared=st.lists(st.integers(0, 11), max_size=4),
)
def test_nobody_is_ever_above_their_cap(
    past: list[tuple[int, float, str]], priorities: list[int], shared: list[int]
) -> None:
    con = make_shop(12)
    con.executemany(
        "INSERT INTO standardized.email_events VALUES ('esp', ?, ?, ?, ?, 'old', ?, NULL)",
        [
            [f"{n}", AS_OF - timedelta(days=days), kind, f"p{i}@mail.example.com", f"s{n}"]
            for n, (i, days, kind) in enumerate(past)
        ]
        or [["x", AS_OF, "open", "nobody@example.com", "s"]],
    )
    for person in shared:
        change(con, person, "email = 'p0@mail.example.com'")
    campaigns = [campaign(f"c{n}", priority=p) for n, p in enumerate(priorities)]
    decisions(con, *campaigns, campaign("receipt", kind="transactional"))
    today = AS_OF.replace(hour=0)
    profiles = con.execute(
        "SELECT email, engagement_level FROM profiles.golden_profiles"
    ).fetchall()
    sends = Counter(
        email
        for (email,) in con.execute(
            """SELECT p.email FROM emails.audience JOIN profiles.golden_profiles p USING
               (customer_id) WHERE decision = 'send' AND kind = 'promotional'"""
        ).fetchall()
    )
    for email, total in sends.items():
        best = 0
        for address, level in profiles:
            if address == email:
                cap = getattr(SETTINGS, f"cap_{level or 'new'}")
                days = 30 if level == "dormant" else 7
                before = sum(
                    f"p{i}@mail.example.com" == email
                    and AS_OF - timedelta(days=days) < AS_OF - timedelta(days=ago) < today
                    for i, ago, _ in past
                )
                best = max(best, cap - before)
        assert total <= best
    capped = con.execute(
        """SELECT count(*) FROM emails.audience WHERE rule = 'cap'
           AND mails_before + 1 + ? <= mails_allowed""",
        [len(priorities) * 12],
    ).fetchall()[0][0]
    assert capped == 0
    con.close()


def test_suppressions_come_from_events_and_end_with_an_opt_in(
    con: duckdb.DuckDBPyConnection,
) -> None:
    event(con, 1, 9, event_type="bounce", bounce_type="hard")
    event(con, 2, 9, event_type="bounce", bounce_type="soft")
    event(con, 3, 9, event_type="unsubscribe")
    event(con, 4, 9, event_type="unsubscribe")
    event(con, 5, 9, event_type="unsubscribe")
    event(con, 5, 8, event_type="spam_report")
    event(con, 6, -2, event_type="unsubscribe")  # after the run's time
    con.execute(
        "INSERT INTO standardized.preferences VALUES ('pc', 'r', 'p4@mail.example.com', true, ?)",
        [AS_OF - timedelta(days=1)],
    )
    sql = (PROJECT / "dbt_like_sql" / "emails" / "suppression_signals.sql").read_text()
    publish(con, "emails.suppression_signals", sql)
    listed = pl.DataFrame({"email": ["p7@mail.example.com"], "since": [None]}, schema=SCHEMA)
    rows = con.execute(suppress(con, listed, [])).fetchall()
    assert {int(email[1 : email.index("@")]): reason for email, reason, *_ in rows} == {
        1: "hard_bounce",
        3: "unsubscribe",
        5: "complaint",
        7: "list",
    }


def test_a_mail_is_handed_over_once_and_its_file_is_stable(shop: Shop, tmp_path: Path) -> None:
    con = shop.con

    def run(as_of: datetime) -> dict[str, int]:
        con.execute("SET VARIABLE as_of = ?", [as_of])
        earlier = bool(
            con.execute(
                "SELECT count(*) FROM information_schema.tables WHERE table_name = 'deliveries'"
            ).fetchall()[0][0]
        )
        sql, counts = hand_over(con, tmp_path, earlier=earlier)
        publish(con, "emails.deliveries", sql)
        return counts

    counts = run(AS_OF)
    rendered = con.execute(
        "SELECT count(*) FROM emails.batches WHERE status = 'rendered'"
    ).fetchall()[0][0]
    assert sum(counts.values()) == rendered
    files = {p: p.read_bytes() for p in tmp_path.rglob("*.parquet")}
    assert len(files) == len(counts) == 3
    assert run(AS_OF) == counts
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.parquet")} == files
    assert run(AS_OF + timedelta(hours=5)) == {}
    assert con.execute("SELECT count(*) FROM emails.deliveries").fetchall()[0][0] == rendered
    frame = pl.read_parquet(next(iter(files)))
    assert {"send_id", "to_email", "subject", "html", "text", "headers"} <= set(frame.columns)
    # The next day counts them against the caps.
    con.execute("SET VARIABLE as_of = ?", [AS_OF + timedelta(days=1)])
    later = decide(con, shop.campaigns, SETTINGS, AS_OF + timedelta(days=1), own_deliveries=True)
    rules = dict(con.execute(f"SELECT rule, count(*) FROM ({later}) GROUP BY 1").fetchall())
    assert rules["again_after_days"] >= rendered
    con.execute("SET VARIABLE as_of = ?", [AS_OF])
