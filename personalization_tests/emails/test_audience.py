"""Decisions: each rule on its own, stable and fair arms, and hand-over once."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from personalization_assets.emails.audience import decide
from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.handover import hand_over
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.suppression_list import REASONS
from personalization_assets.errors import UserError
from personalization_tests.emails.conftest import Shop
from personalization_tests.emails.shop import AS_OF, make_shop, publish
from personalization_tests.emails.worlds import campaign

SETTINGS = EmailsSettings()


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return make_shop(40)


def decisions(
    con: duckdb.DuckDBPyConnection,
    *campaigns: Campaign,
    as_of: datetime = AS_OF,
    settings: EmailsSettings = SETTINGS,
) -> dict[tuple[str, int], tuple[str, str]]:
    con.execute("SET VARIABLE as_of = ?", [as_of])
    publish(con, "emails.audience", decide(con, campaigns, settings, as_of))
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


def arms(con: duckdb.DuckDBPyConnection, **fields: object) -> dict[str, tuple[str, bool]]:
    """Of every customer the variant, and whether they are held out."""
    as_of = fields.pop("as_of", AS_OF)
    assert isinstance(as_of, datetime)
    decisions(con, campaign("news", **fields), as_of=as_of)
    return {
        who: (variant, rule == "holdout")
        for who, variant, rule in con.execute(
            "SELECT customer_id, variant, rule FROM emails.audience"
        ).fetchall()
    }


def moved(before: dict[str, tuple[str, bool]], after: dict[str, tuple[str, bool]]) -> float:
    return sum(before[who][0] != after[who][0] for who in before) / len(before)


def test_arms_and_holdouts_are_stable_and_fair() -> None:
    con = make_shop(4000)
    fields = {
        "holdout": 0.1,
        "variants": [{"name": "a", "share": 0.3}, {"name": "b", "share": 0.7}],
    }
    first = arms(con, **fields)
    assert arms(con, **fields, as_of=AS_OF + timedelta(days=90)) == first
    both = Counter(first.values())
    held = both["a", True] + both["b", True]
    assert 0.08 < held / 4000 < 0.12
    assert 0.27 < (both["a", True] + both["a", False]) / 4000 < 0.33
    assert 0.2 < both["a", True] / held < 0.4
    more = arms(con, **fields | {"holdout": 0.2})
    assert all(more[who][1] for who, (_, out) in first.items() if out)
    again = arms(con, **fields, experiment="second")
    assert 0.35 < moved(first, again) < 0.49  # as by chance: 2 x 0.3 x 0.7
    # A customer's arm does not depend on who else is there.
    con.execute("DELETE FROM profiles.golden_profiles WHERE customer_id LIKE '%3'")
    assert arms(con, **fields).items() <= first.items()


def test_a_new_variant_takes_only_its_own_people() -> None:
    con = make_shop(4000)
    two = arms(con, variants=[{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}])
    three = arms(
        con,
        variants=[
            {"name": "c", "share": 0.2},
            {"name": "b", "share": 0.4},
            {"name": "a", "share": 0.4},
        ],
    )
    assert {three[who][0] for who in two if two[who] != three[who]} == {"c"}
    assert 0.18 < moved(two, three) < 0.22


def test_who_is_held_out_leaves_the_place_to_the_next_campaign() -> None:
    con = make_shop(200)
    con.execute("UPDATE profiles.golden_profiles SET engagement_level = 'low'")
    found = decisions(
        con, campaign("cart", priority=90, holdout=0.5), campaign("news", priority=10)
    )
    for person in range(200):
        cart, news = found["cart", person], found["news", person]
        assert (cart[0], news[0]) in {("holdout", "send"), ("send", "capped")}
    assert {d for d, _ in found.values()} == {"holdout", "send", "capped"}


def test_a_holdout_of_all_promotional_mail_gets_receipts_only() -> None:
    con = make_shop(2000)
    both = (campaign("news"), campaign("digest"), campaign("receipt", kind="transactional"))
    with_it = EmailsSettings(global_holdout=0.1)
    found = decisions(con, *both, settings=with_it)
    held = {who for (_, who), (_, rule) in found.items() if rule == "global_holdout"}
    assert 0.08 < len(held) / 2000 < 0.12
    for who in held:
        assert found["news", who][0] == found["digest", who][0] == "holdout"
        assert found["receipt", who][0] == "send"
    later = decisions(con, *both, settings=with_it, as_of=AS_OF + timedelta(days=400))
    assert {who for (_, who), (_, rule) in later.items() if rule == "global_holdout"} == held
    plain = decisions(con, *both)
    assert not [rule for _, rule in plain.values() if rule == "global_holdout"]


def test_role_accounts_get_promotional_mail_only_when_they_agreed_themselves(
    con: duckdb.DuckDBPyConnection,
) -> None:
    change(con, 1, "email = 'Info+shop@firm.example'")
    change(con, 2, "email = 'sales@firm.example'")
    change(con, 3, "email = 'noreply@firm.example'")
    change(con, 4, "email = 'infos.miller@firm.example'")
    con.execute(
        """INSERT INTO standardized.preferences VALUES
           ('pc', 'r', 'sales@firm.example', true, '2026-01-01'),
           ('pc', 's', 'noreply@firm.example', true, '2027-01-01')"""
    )
    both = (campaign("news"), campaign("receipt", kind="transactional"))
    found = decisions(con, *both)
    assert found["news", 1] == found["news", 3] == ("suppressed", "role_account")
    assert found["news", 2] == found["news", 4] == ("send", "all_rules_passed")
    assert {found["receipt", n][0] for n in (1, 2, 3, 4)} == {"send"}
    allowed = decisions(con, *both, settings=EmailsSettings(mail_role_accounts=True))
    assert {allowed["news", n][0] for n in (1, 2, 3, 4)} == {"send"}


def test_leaving_a_list_stops_the_campaigns_of_that_list(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """INSERT INTO emails.suppressions (email, reason, since, stops, lists) VALUES
           ('p1@mail.example.com', 'unsubscribe_list', '2026-05-02', 'lists', ['digest'])"""
    )
    found = decisions(
        con,
        campaign("monthly", list="digest"),
        campaign("news"),
        campaign("receipt", kind="transactional", list="digest"),
    )
    assert found["monthly", 1] == ("suppressed", "unsubscribe_list")
    assert found["news", 1][0] == found["receipt", 1][0] == "send"
    detail, since = con.execute(
        "SELECT detail, since FROM emails.audience WHERE rule = 'unsubscribe_list'"
    ).fetchall()[0]
    assert detail == "unsubscribed from the list digest, since 2026-05-02"
    assert since == datetime(2026, 5, 2)


def test_an_unknown_time_zone_in_the_settings_is_one_sentence(
    con: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(UserError, match="'Europe/Dublim' is not a time zone, did you mean"):
        decisions(con, campaign("news"), settings=EmailsSettings(default_time_zone="Europe/Dublim"))
    with pytest.raises(ValueError, match=r"earliest_hour .9. is after latest_hour .8."):
        EmailsSettings(earliest_hour=9, latest_hour=8)


def test_unknown_column_in_an_audience_is_one_sentence(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UserError, match="no column 'orderz', did you mean 'orders'") as error:
        decisions(con, campaign("news", audience="orderz > 1"))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="audience: "):
        decisions(con, campaign("news", audience="len(orders) > 'x'"))


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
