"""Invariants of the decisions in small random shops, against rules worked out a second time."""

import random
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta

import duckdb
from hypothesis import HealthCheck, given, settings
from polars.testing import assert_frame_equal

from personalization_assets.emails.audience import decide
from personalization_assets.emails.settings import EmailsSettings
from personalization_tests.emails import oracle
from personalization_tests.emails import worlds as w

CON = duckdb.connect(config={"threads": 1})
worlds = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
many, some, few = (settings(worlds, max_examples=n) for n in (50, 20, 6))


@many
@given(w.worlds())
def test_every_decision_is_what_the_rules_say(world: w.World) -> None:
    table = w.decisions(CON, world)
    found = {
        (row["campaign"], row["customer_id"]): (row["rule"], row["mails_before"])
        for row in table.iter_rows(named=True)
    }
    assert len(found) == table.height == len(world.campaigns) * len(world.people)
    assert found == oracle.expected(world)


@some
@given(w.worlds())
def test_mails_leave_in_the_hours_allowed_and_not_before_the_run(world: w.World) -> None:
    people = {p.customer_id: p for p in world.people}
    for row in w.decisions(CON, world).iter_rows(named=True):
        person = people[row["customer_id"]]
        if row["decision"] != "send":
            assert row["send_at"] is None
        elif row["kind"] == "transactional":
            assert row["send_at"] == world.as_of
        else:
            assert row["send_at"] == oracle.next_moment(person, world.settings, world.as_of)
            assert world.as_of <= row["send_at"] <= world.as_of + timedelta(days=2)
            there = oracle.local(row["send_at"], oracle.zone_of(person, world.settings))
            assert world.settings.earliest_hour <= there.hour <= world.settings.latest_hour


@some
@given(w.worlds())
def test_no_window_ever_holds_more_than_the_cap(world: w.World) -> None:
    """Whatever window of local days one lays over past and planned mails, unless the past alone
    already broke it (caps were lowered, another system sent more)."""
    table = w.decisions(CON, world)
    capped = {c.name for c in world.campaigns if c.capped}
    by_id = {p.customer_id: p for p in world.people}
    past = [
        s
        for s in world.sent
        if s.status != "refused"
        and (s.decided_at is not None or s.at <= world.as_of)
        and (s.campaign in capped or s.campaign == "old")
    ]
    sends = [
        row
        for row in table.iter_rows(named=True)
        if row["decision"] == "send" and row["campaign"] in capped
    ]
    standing = {(row["campaign"], row["customer_id"]) for row in sends}
    planned = Counter(by_id[row["customer_id"]].email for row in sends)
    for row in sends:
        person = by_id[row["customer_id"]]
        last = oracle.day_of(row["send_at"], person, world.settings)
        inside = [
            s
            for s in past
            if (s.email == person.email or s.customer_id == person.customer_id)
            and oracle.day_of(s.at, person, world.settings) > last - timedelta(row["window_days"])
            # What an earlier run of the day handed over is one of the sends, not two.
            and not (
                s.decided_at is not None
                and s.decided_at.date() == world.as_of.date()
                and (s.campaign, s.customer_id) in standing
            )
        ]
        assert len(inside) + row["place"] <= row["mails_allowed"]
    for email, total in planned.items():
        assert total <= max(
            row["mails_allowed"] - row["mails_before"]
            for row in sends
            if by_id[row["customer_id"]].email == email
        )


@some
@given(w.worlds())
def test_a_higher_priority_wins_the_place(world: w.World) -> None:
    table = w.decisions(CON, world)
    handed_over = {(s.campaign, s.customer_id) for s in world.sent if s.decided_at is not None}
    for person in world.people:
        rows = [
            r
            for r in table.iter_rows(named=True)
            if r["customer_id"] == person.customer_id
            and r["place"] is not None
            and (r["campaign"], r["customer_id"]) not in handed_over
        ]
        for row in rows:
            for other in rows:
                if row["priority"] > other["priority"] and other["decision"] == "send":
                    assert row["decision"] == "send"


@few
@given(w.worlds())
def test_the_order_of_rows_and_a_second_run_change_nothing(world: w.World) -> None:
    first = w.decisions(CON, world)
    again = CON.sql(
        decide(CON, world.campaigns, world.settings, world.as_of, own_deliveries=True)
    ).pl()
    assert_frame_equal(first, again)
    # What this very run handed over is no past of its own.
    for campaign, customer_id, kind, send_id, send_at, email in (
        first.filter(decision="send")
        .join(
            CON.sql("SELECT customer_id, email FROM profiles.golden_profiles").pl(),
            on="customer_id",
        )
        .select("campaign", "customer_id", "kind", "send_id", "send_at", "email")
        .iter_rows()
    ):
        CON.execute(
            "INSERT INTO emails.deliveries VALUES (?, ?, ?, ?, ?, ?, ?, 'handed_over')",
            [send_id, campaign, customer_id, kind, email, send_at, world.as_of],
        )
    again = CON.sql(
        decide(CON, world.campaigns, world.settings, world.as_of, own_deliveries=True)
    ).pl()
    assert_frame_equal(first, again)
    mixed = replace(
        world,
        people=random.Random(1).sample(world.people, len(world.people)),
        campaigns=world.campaigns[::-1],
    )
    assert_frame_equal(first, w.decisions(CON, mixed))


@few
@given(w.worlds())
def test_runs_of_the_next_days_never_break_a_cap_that_this_run_kept(world: w.World) -> None:
    """Runs day after day, each handing over what it decides, and no one else sends anything."""
    world = replace(world, sent=[])
    by_id = {p.customer_id: p for p in world.people}
    capped = {c.name for c in world.campaigns if c.capped}
    for hours in (0, 5, 24, 47, 72):
        later = replace(world, as_of=world.as_of + timedelta(hours=hours))
        known = {
            (s.campaign, s.customer_id, s.decided_at.date()) for s in world.sent if s.decided_at
        }
        for row in w.decisions(CON, later).filter(decision="send").iter_rows(named=True):
            key = (row["campaign"], row["customer_id"], later.as_of.date())
            if row["campaign"] in capped and key not in known:
                email = by_id[row["customer_id"]].email
                assert email is not None
                world.sent.append(
                    w.Sent(email, row["send_at"], row["campaign"], row["customer_id"], later.as_of)
                )
    for email in {s.email for s in world.sent}:
        readers = [p for p in world.people if p.email == email]
        caps = [getattr(world.settings, f"cap_{p.level or 'new'}") for p in readers]
        shortest = min(world.settings.window_days, world.settings.window_days_dormant)
        for person in readers:
            days = sorted(
                oracle.day_of(s.at, person, world.settings) for s in world.sent if s.email == email
            )
            for first in days:
                inside = sum(first <= day < first + timedelta(shortest) for day in days)
                if len(readers) == 1:
                    assert inside <= caps[0]


def test_the_oracle_knows_days_of_23_and_25_hours() -> None:
    """Against dates looked up by hand: Havana goes from 0:00 to 1:00, and from 1:00 to 0:00."""
    person = w.Person("c", "a@x.example", zone="America/Havana", best_hour=0)
    hours = EmailsSettings(earliest_hour=0, latest_hour=23)
    spring, autumn = datetime(2026, 3, 8, 4), datetime(2026, 11, 1, 4)
    assert oracle.next_moment(person, hours, spring) == datetime(2026, 3, 8, 5)
    assert oracle.day_of(datetime(2026, 11, 1, 4, 30), person, hours) == date(2026, 11, 1)
    assert oracle.day_of(datetime(2026, 11, 1, 3, 30), person, hours) == date(2026, 10, 31)
    assert oracle.next_moment(person, hours, autumn) == datetime(2026, 11, 1, 5)
