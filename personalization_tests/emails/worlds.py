"""Small random shops: people, past mails, campaigns, settings, and moments that are hard."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
from hypothesis import strategies as st

from personalization_assets.emails.audience import decide
from personalization_assets.emails.campaigns import Campaign, CampaignFile
from personalization_assets.emails.settings import EmailsSettings

ZONES = [
    "Europe/London",
    "America/New_York",
    "America/Havana",  # clocks change at midnight
    "Africa/Cairo",
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kolkata",
    "Pacific/Kiritimati",  # UTC+14
    "Pacific/Pago_Pago",  # UTC-11
    "Mars/Base",
    None,
]
MOMENTS = [
    datetime(2026, 6, 15, 6),
    datetime(2026, 3, 29, 0, 30),  # half an hour before London's clocks go forward
    datetime(2026, 10, 25, 1, 0),  # London's second one o'clock
    datetime(2026, 3, 8, 4, 59),  # New York and Havana go forward this day
    datetime(2026, 11, 1, 4, 30),  # Havana's first half past midnight; New York goes back
    datetime(2026, 4, 23, 22, 0),  # Cairo goes forward at midnight
    datetime(2026, 10, 30, 23, 59),
    datetime(2026, 12, 31, 23, 30),
]
TABLES = """
CREATE SCHEMA IF NOT EXISTS profiles; CREATE SCHEMA IF NOT EXISTS standardized;
CREATE SCHEMA IF NOT EXISTS emails;
CREATE OR REPLACE TABLE profiles.golden_profiles (customer_id VARCHAR, email VARCHAR,
    consent_email_marketing BOOLEAN, consent_personalisation BOOLEAN, engagement_level VARCHAR,
    best_hour BIGINT, time_zone VARCHAR, orders BIGINT);
CREATE OR REPLACE TABLE standardized.email_events (source VARCHAR, event_id VARCHAR,
    occurred_at TIMESTAMP, event_type VARCHAR, email VARCHAR, campaign VARCHAR, send_id VARCHAR);
CREATE OR REPLACE TABLE standardized.preferences (email VARCHAR, email_marketing BOOLEAN,
    updated_at TIMESTAMP);
CREATE OR REPLACE TABLE emails.suppressions (email VARCHAR, reason VARCHAR, since TIMESTAMP,
    until TIMESTAMP, stops VARCHAR, lists VARCHAR[]);
CREATE OR REPLACE TABLE emails.deliveries (send_id VARCHAR, campaign VARCHAR, customer_id VARCHAR,
    kind VARCHAR, to_email VARCHAR, send_at TIMESTAMP, handed_over_as_of TIMESTAMP,
    status VARCHAR);
"""


@dataclass(frozen=True)
class Person:
    customer_id: str
    email: str | None
    may_market: bool | None = True
    personal: bool | None = True
    level: str | None = "high"
    best_hour: int | None = None
    zone: str | None = None
    orders: int = 1


@dataclass(frozen=True)
class Sent:
    """A mail of the past: reported by the provider, or one of ours that may still wait."""

    email: str
    at: datetime
    campaign: str
    customer_id: str | None = None  # of our own mails
    decided_at: datetime | None = None
    status: str = "handed_over"


@dataclass
class World:
    as_of: datetime
    people: list[Person]
    sent: list[Sent]
    campaigns: list[Campaign]
    settings: EmailsSettings = field(default_factory=EmailsSettings)
    suppressed: dict[str, tuple[str, str, list[str]]] = field(default_factory=dict)


def campaign(name: str, **fields: object) -> Campaign:
    values = {"description": name, "priority": 10, "audience": "true", "again_after_days": 0}
    return Campaign(name, Path(name), CampaignFile.model_validate(values | fields))


def send_id(campaign: str, customer_id: str, as_of: datetime) -> str:
    return hashlib.md5(f"{campaign}|{customer_id}|{as_of:%Y-%m-%d}".encode()).hexdigest()


def load(con: duckdb.DuckDBPyConnection, world: World) -> None:
    con.execute("SET TimeZone = 'UTC'")
    for statement in TABLES.split(";\n"):
        con.execute(statement)
    con.execute("SET VARIABLE as_of = ?", [world.as_of])

    def fill(table: str, rows: Sequence[tuple]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            con.executemany(f"INSERT INTO {table} VALUES ({marks})", [list(r) for r in rows])

    fill(
        "profiles.golden_profiles",
        [
            (
                p.customer_id,
                p.email,
                p.may_market,
                p.personal,
                p.level,
                p.best_hour,
                p.zone,
                p.orders,
            )
            for p in world.people
        ],
    )
    fill(
        "standardized.email_events",
        [
            ("esp", f"e{n}", s.at, ("processed", "delivered")[n % 2], s.email, s.campaign, f"m{n}")
            for n, s in enumerate(world.sent)
            if s.decided_at is None
        ],
    )
    fill(
        "emails.deliveries",
        [
            (
                send_id(s.campaign, s.customer_id or "", s.decided_at),
                s.campaign,
                s.customer_id,
                "promotional",
                s.email,
                s.at,
                s.decided_at,
                s.status,
            )
            for s in world.sent
            if s.decided_at is not None
        ],
    )
    fill(
        "emails.suppressions",
        [
            (e, reason, None, None, stops, lists)
            for e, (reason, stops, lists) in world.suppressed.items()
        ],
    )


def decisions(con: duckdb.DuckDBPyConnection, world: World) -> pl.DataFrame:
    """The table that the platform makes of a world."""
    load(con, world)
    return con.sql(
        decide(con, world.campaigns, world.settings, world.as_of, own_deliveries=True)
    ).pl()


EMAILS = ["a@x.example", "b@x.example", "B+tag@x.example", "info@x.example", "c@x.example", None]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    as_of = draw(st.sampled_from(MOMENTS))
    earliest = draw(st.integers(0, 23))
    settings = EmailsSettings(
        cap_high=draw(st.integers(0, 4)),
        cap_low=draw(st.integers(0, 2)),
        window_days=draw(st.integers(1, 8)),
        earliest_hour=earliest,
        latest_hour=draw(st.integers(earliest, 23)),
        default_time_zone=draw(st.sampled_from(["UTC", "Europe/London"])),
    )
    people = [
        Person(
            f"c_{n}",
            email.lower() if email else None,
            draw(st.sampled_from([True, True, True, False, None])),
            draw(st.sampled_from([True, False, None])),
            draw(st.sampled_from(["high", "medium", "low", "dormant", "new", None])),
            draw(st.none() | st.integers(0, 23)),
            draw(st.sampled_from(ZONES)),
        )
        for n, email in enumerate(draw(st.lists(st.sampled_from(EMAILS), min_size=1, max_size=6)))
    ]
    campaigns = [
        campaign(
            f"k{n}",
            priority=draw(st.integers(0, 2)),
            again_after_days=draw(st.sampled_from([0, 1, 7])),
            needs_personalisation=draw(st.booleans()),
            list=draw(st.sampled_from(["newsletter", "digest"])),
        )
        for n in range(draw(st.integers(1, 4)))
    ]
    campaigns.append(campaign("receipt", kind="transactional"))
    names = [c.name for c in campaigns]
    emails = [e.lower() for e in EMAILS if e]
    ago = st.integers(-30, 35 * 24 * 4).map(lambda quarters: timedelta(minutes=15 * quarters))
    reported = st.builds(
        Sent,
        st.sampled_from(emails),
        ago.map(lambda d: as_of - d),
        st.sampled_from(["old", "order_confirmation", *names]),
    )
    own = st.builds(
        lambda email, name, who, days, wait, status: Sent(
            email,
            as_of - timedelta(days) + wait,
            name,
            f"c_{who}",
            as_of - timedelta(days),
            status,
        ),
        st.sampled_from(emails),
        st.sampled_from([n for n in names if n != "receipt"]),
        st.integers(0, 6),
        # Days and hours, so that some are of an earlier run of the same day.
        st.sampled_from([1 / 48, 0.25, 1, 2, 5.5, 7]),
        st.integers(0, 36).map(lambda hours: timedelta(hours=hours)),
        st.sampled_from(["handed_over", "handed_over", "sent", "refused", "expired"]),
    )
    sent = draw(st.lists(reported, max_size=8)) + draw(
        st.lists(own, max_size=6, unique_by=lambda s: (s.campaign, s.customer_id, s.decided_at))
    )
    # A mail of ours is handed over once a day; what the provider reports is another mail.
    seen: set[tuple] = set()
    kept = []
    for s in sent:
        if s.decided_at is not None:
            key = (s.campaign, s.customer_id, s.decided_at.date())
            if key in seen:
                continue
            seen.add(key)
        kept.append(s)
    return World(
        as_of,
        people,
        [s for s in kept if s.decided_at is not None or not _echo(s, kept)],
        campaigns,
        settings,
        draw(
            st.dictionaries(
                st.sampled_from(emails),
                st.sampled_from(
                    [
                        ("hard_bounce", "everything", []),
                        ("complaint", "promotional", ["digest"]),
                        ("unsubscribe_list", "lists", ["digest"]),
                    ]
                ),
                max_size=2,
            )
        ),
    )


def _echo(reported: Sent, sent: Sequence[Sent]) -> bool:
    """Whether a report may be about one of our own mails, which another test looks at."""
    return any(
        s.decided_at is not None
        and (s.email, s.campaign) == (reported.email, reported.campaign)
        and abs(s.at - reported.at) < timedelta(days=3)
        for s in sent
    )
