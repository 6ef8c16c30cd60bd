"""Windows of local calendar days: far zones, changes of the clock, mails that wait, and echoes."""

from datetime import datetime, timedelta

import duckdb
import pytest

from personalization_assets.emails.audience import decide
from personalization_assets.emails.settings import EmailsSettings
from personalization_tests.emails.oracle import next_moment
from personalization_tests.emails.worlds import Person, Sent, World, campaign, decisions, load

CON = duckdb.connect(config={"threads": 1})
ONE = EmailsSettings(cap_high=1, window_days=7)


def outcome(
    as_of: str, *sent: Sent, zone: str | None = "UTC", hour: int = 10, **settings: int
) -> tuple[str, datetime | None]:
    """Rule and time of a mail to one person with room for one mail in seven days."""
    world = World(
        datetime.fromisoformat(as_of),
        [Person("c_1", "a@x.example", best_hour=hour, zone=zone)],
        list(sent),
        [campaign("news"), campaign("old_news", schedule="sunday", audience="false")],
        ONE.model_copy(update=settings),
    )
    row = decisions(CON, world).filter(campaign="news").row(0, named=True)
    return row["rule"], row["send_at"]


def mail(at: str, email: str = "a@x.example") -> Sent:
    return Sent(email, datetime.fromisoformat(at), "old")


@pytest.mark.parametrize(
    ("at", "rule"),
    [
        ("2026-06-08T23:59", "all_rules_passed"),  # Monday a week ago
        ("2026-06-09T00:00", "cap"),
        ("2026-06-15T05:59", "cap"),
    ],
)
def test_a_window_of_seven_days_lets_a_mail_go_out_on_the_same_weekday(at: str, rule: str) -> None:
    assert outcome("2026-06-15T06:00", mail(at))[0] == rule


def test_a_mail_of_late_yesterday_counts_to_the_readers_yesterday() -> None:
    """23:30 in New York on Monday is Tuesday in UTC; a window of one day ends on Tuesday."""
    late = mail("2026-06-16T03:30")
    assert outcome("2026-06-16T06:00", late, zone="America/New_York", window_days=1)[0] == (
        "all_rules_passed"
    )
    assert outcome("2026-06-16T06:00", late, zone="UTC", window_days=1)[0] == "cap"


def test_the_window_ends_on_the_day_of_sending_and_not_of_deciding() -> None:
    """At 22:00 the best hour of today is over: the mail is for tomorrow, and so is its window."""
    rule, at = outcome("2026-06-15T22:00", mail("2026-06-09T12:00"))
    assert (rule, at) == ("all_rules_passed", datetime(2026, 6, 16, 10))
    assert outcome("2026-06-15T08:00", mail("2026-06-09T12:00"))[0] == "cap"


@pytest.mark.parametrize(
    ("zone", "as_of", "hour", "send_at"),
    [
        ("Pacific/Kiritimati", "2026-06-15T06:00", 10, "2026-06-15T20:00"),  # there the 16th
        ("Pacific/Pago_Pago", "2026-06-15T06:00", 10, "2026-06-15T21:00"),  # there the 14th, 19:00
        ("Asia/Kolkata", "2026-06-15T06:00", 12, "2026-06-15T06:30"),
        ("Europe/London", "2026-03-28T20:00", 10, "2026-03-29T09:00"),  # a day of 23 hours
        ("Europe/London", "2026-10-24T20:00", 10, "2026-10-25T10:00"),  # a day of 25 hours
    ],
)
def test_the_best_hour_is_the_readers_own(zone: str, as_of: str, hour: int, send_at: str) -> None:
    assert outcome(as_of, zone=zone, hour=hour)[1] == datetime.fromisoformat(send_at)


def test_where_midnight_comes_twice_the_day_begins_with_the_first() -> None:
    """Havana, 1 November 2026: 0:30 comes at 4:30 UTC and again at 5:30 UTC."""
    hours = {"zone": "America/Havana", "hour": 12, "window_days": 1}
    assert outcome("2026-11-01T06:00", mail("2026-11-01T04:30"), **hours)[0] == "cap"
    assert outcome("2026-11-01T06:00", mail("2026-11-01T03:59"), **hours)[0] == "all_rules_passed"


def test_an_hour_that_the_clock_leaves_out_is_taken_on_another_day() -> None:
    """Havana, 8 March 2026, has no hour from 0:00; nothing may leave after that hour."""
    person = Person("c_1", "a@x.example", best_hour=0, zone="America/Havana")
    hours = ONE.model_copy(update={"earliest_hour": 0, "latest_hour": 0})
    at = next_moment(person, hours, datetime(2026, 3, 8, 4))
    found = outcome(
        "2026-03-08T04:00", zone="America/Havana", hour=0, earliest_hour=0, latest_hour=0
    )
    assert found[1] == at == datetime(2026, 3, 9, 4)


def waiting(as_of: str, at: str, **fields: str) -> Sent:
    values = {"email": "a@x.example", "campaign": "old_news", "customer_id": "c_1"} | fields
    return Sent(at=datetime.fromisoformat(at), decided_at=datetime.fromisoformat(as_of), **values)


def test_a_mail_that_waits_counts_and_a_refused_one_does_not() -> None:
    """Decided yesterday, to be sent this evening, after what this run would send in the morning."""
    mail = waiting("2026-06-14T06:00", "2026-06-15T18:00")
    assert outcome("2026-06-15T06:00", mail)[0] == "cap"
    refused = waiting("2026-06-14T06:00", "2026-06-15T18:00", status="refused")
    assert outcome("2026-06-15T06:00", refused)[0] == "all_rules_passed"
    other = waiting("2026-06-14T06:00", "2026-06-15T18:00", customer_id="c_2", email="b@x.example")
    assert outcome("2026-06-15T06:00", other)[0] == "all_rules_passed"


def test_a_mail_to_an_address_that_the_person_had_before_counts() -> None:
    before = waiting("2026-06-13T06:00", "2026-06-13T10:00", email="maiden-name@x.example")
    assert outcome("2026-06-15T06:00", before)[0] == "cap"


def test_what_an_earlier_run_of_the_day_handed_over_stands() -> None:
    """A later run of the day decides the same mail again, and nothing beside it."""
    mine = waiting("2026-06-15T06:00", "2026-06-15T18:00", campaign="news")
    assert outcome("2026-06-15T09:00", mine)[0] == "all_rules_passed"
    other = waiting("2026-06-15T06:00", "2026-06-15T18:00")
    assert outcome("2026-06-15T09:00", other)[0] == "cap"


@pytest.mark.parametrize("echoed", [True, False])
def test_a_mail_of_ours_and_the_providers_report_of_it_count_once(echoed: bool) -> None:
    """Whether the provider echoes our id, or only the campaign's UTM tag under an id of its own."""
    news = campaign("news", utm={"campaign": "weekly_tag"})
    world = World(
        datetime(2026, 6, 15, 6),
        [Person("c_1", "a@x.example")],
        [waiting("2026-06-12T06:00", "2026-06-12T10:00", campaign="news")],
        [news],
    )
    load(CON, world)
    CON.execute(
        """INSERT INTO standardized.email_events
           SELECT 'esp', 'e', send_at + INTERVAL 1 MINUTE, 'delivered', to_email, 'weekly_tag',
                  CASE WHEN ? THEN send_id ELSE 'other' END FROM emails.deliveries""",
        [echoed],
    )
    sql = decide(CON, world.campaigns, world.settings, world.as_of, own_deliveries=True)
    assert CON.execute(f"SELECT mails_before FROM ({sql})").fetchall() == [(1,)]
    CON.execute("UPDATE standardized.email_events SET occurred_at = '2026-06-14 20:00'")
    twice = 1 if echoed else 2  # far from the time we planned it is another mail
    assert CON.execute(f"SELECT mails_before FROM ({sql})").fetchall() == [(twice,)]


def test_transactional_mails_of_other_systems_do_not_count() -> None:
    order = [
        Sent("a@x.example", datetime(2026, 6, 14), name)
        for name in ("order_confirmation", "bill_7")
    ]
    assert outcome("2026-06-15T06:00", order[0])[0] == "all_rules_passed"
    assert outcome("2026-06-15T06:00", order[1])[0] == "cap"
    assert outcome("2026-06-15T06:00", order[1], uncapped_mails=("bill_*",))[0] == (
        "all_rules_passed"
    )


def test_the_same_campaign_waits_for_local_days_too() -> None:
    world = World(
        datetime(2026, 6, 15, 6),
        [Person("c_1", "a@x.example", best_hour=10, zone="UTC")],
        [Sent("a@x.example", datetime(2026, 6, 8, 18), "news")],
        [campaign("news", again_after_days=7)],
        ONE,
    )
    assert decisions(CON, world)["rule"].to_list() == ["all_rules_passed"]
    world.as_of -= timedelta(days=1)
    row = decisions(CON, world).row(0, named=True)
    assert (row["rule"], row["since"]) == ("again_after_days", datetime(2026, 6, 8, 18))
