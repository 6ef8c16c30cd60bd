"""Which addresses there are, what is known of them without asking, and who is asked next.

The cheapest knowledge first: a hard bounce or a delivered mail, then lists of task and throw-away
mailboxes, then an answer that was paid for. Only addresses that mail may go to are asked about:
those that the last run's audience writes to, then those that agreed to mail. The service learns of
nobody else.
"""

import datetime as dt

import duckdb
import polars as pl

from personalization_assets.mailboxes import Mailboxes
from personalization_assets.standardized.normalise import plausible
from personalization_assets.standardized.verification.journal import ADDRESSES
from personalization_assets.warehouse import exists

NEXT_MAIL, AGREED = 1, 2
"""Priorities: the address gets a mail next; the person agreed to mail."""

PAID = ("neverbounce", "zerobounce")

_SQL = """
WITH named AS (
    SELECT email, coalesce(email_opt_in, false) AS agreed FROM standardized.crm_contacts
    UNION ALL SELECT email, false FROM standardized.loyalty_members
    UNION ALL SELECT email, false FROM standardized.orders
    UNION ALL SELECT email, false FROM standardized.social_activity
    UNION ALL SELECT email, coalesce(email_marketing, false) FROM standardized.preferences
),
addresses AS (
    SELECT email, bool_or(agreed) AS agreed FROM named WHERE email IS NOT NULL GROUP BY email
),
history AS (
    SELECT
        email,
        min(occurred_at) FILTER (event_type = 'bounce' AND bounce_type = 'hard') AS bounced_at,
        max(occurred_at) FILTER (event_type IN ('delivered', 'open', 'click')) AS delivered_at,
        max(occurred_at) FILTER (event_type IN ('spam_report', 'unsubscribe')) AS left_at
    FROM standardized.email_events
    WHERE occurred_at <= $as_of
    GROUP BY email
),
next_mail AS ({next_mail}),
suppressed AS ({suppressed})
SELECT
    a.email,
    CASE
        WHEN n.email IS NOT NULL THEN $next_mail
        WHEN a.agreed AND h.left_at IS NULL AND s.email IS NULL THEN $agreed
    END AS priority,
    h.bounced_at,
    h.delivered_at,
    v.verdict AS paid_verdict,
    v.reason AS paid_reason,
    v.provider AS paid_provider,
    v.checked_as_of AS paid_as_of,
    v.expires_at AS paid_until
FROM addresses AS a
LEFT JOIN history AS h ON h.email = a.email
LEFT JOIN next_mail AS n ON n.email = a.email
LEFT JOIN suppressed AS s ON s.email = a.email
LEFT JOIN standardized.email_verifications AS v
    ON v.email = a.email AND v.provider IN ('neverbounce', 'zerobounce')
ORDER BY a.email
"""

_NEXT_MAIL = """
    SELECT DISTINCT lower(trim(p.email)) AS email
    FROM emails.audience AS d INNER JOIN profiles.golden_profiles AS p USING (customer_id)
    WHERE d.decision = 'send' AND p.email IS NOT NULL
"""

_SUPPRESSED = """
    SELECT email FROM emails.suppressions
    WHERE stops <> 'lists' AND reason NOT IN ('undeliverable', 'risky')
"""

_NOBODY = "SELECT NULL::VARCHAR AS email WHERE false"


def judge_addresses(
    con: duckdb.DuckDBPyConnection,
    as_of: dt.datetime,
    delivered_days: int,
    mailboxes: Mailboxes,
) -> pl.DataFrame:
    """Rows of `standardized.email_verifications`, from what is known now, and `ask_priority`.

    The priority is set where the service should be asked. It depends on the last run's audience and
    suppressions, so it is no part of the table: the same inputs give the same rows. An answer that
    has expired stands until there is a new one.
    """
    mailed = exists(con, "emails.audience") and exists(con, "profiles.golden_profiles")
    found: pl.DataFrame = con.sql(
        _SQL.format(
            next_mail=_NEXT_MAIL if mailed else _NOBODY,
            suppressed=_SUPPRESSED if exists(con, "emails.suppressions") else _NOBODY,
        ),
        params={"as_of": as_of, "next_mail": NEXT_MAIL, "agreed": AGREED},
    ).pl()
    disposable = plausible.throw_away(found["email"], mailboxes.disposable)
    role = plausible.of_a_task(found["email"], mailboxes.roles)
    recent = pl.col("delivered_at") > as_of - dt.timedelta(days=delivered_days)
    fresh = pl.col("paid_until") > as_of
    cases = [
        # when it is known, verdict, reason, provider; the first that holds
        (pl.col("bounced_at").is_not_null(), "undeliverable", "hard_bounce", "history"),
        (recent, "deliverable", "delivered", "history"),
        (pl.lit(disposable), "risky", "disposable", "list"),
        (pl.lit(role), "risky", "role", "list"),
    ]
    known = pl.any_horizontal(case[0].fill_null(value=False) for case in cases)
    asked = ~known & ~fresh.fill_null(value=False) & pl.col("priority").is_not_null()

    def first(place: int, otherwise: pl.Expr) -> pl.Expr:
        chain = pl.coalesce(pl.when(case[0]).then(pl.lit(case[place])) for case in cases)
        return pl.when(known).then(chain).otherwise(otherwise)

    checked = (
        pl.when(pl.col("bounced_at").is_not_null())
        .then("bounced_at")
        .when(recent)
        .then("delivered_at")
        .when(known)
        .then(pl.lit(as_of))
        .otherwise("paid_as_of")
    )
    expires = (
        pl.when(pl.col("bounced_at").is_null() & recent)
        .then(pl.col("delivered_at") + dt.timedelta(days=delivered_days))
        .when(~known)
        .then("paid_until")
    )
    return found.select(
        "email",
        verdict=first(1, pl.col("paid_verdict").fill_null("unknown")),
        reason=first(2, pl.col("paid_reason").fill_null("not_asked")),
        provider=first(3, pl.col("paid_provider").fill_null("none")),
        checked_as_of=checked,
        expires_at=expires,
        ask_priority=pl.when(asked).then(pl.col("priority").cast(pl.Int64)),
    ).select(*ADDRESSES.schema, "ask_priority")


def due_addresses(
    con: duckdb.DuckDBPyConnection,
    as_of: dt.datetime,
    delivered_days: int,
    mailboxes: Mailboxes,
) -> pl.DataFrame:
    """Addresses that the service should be asked about, with `ask_priority`, in this order."""
    rows = judge_addresses(con, as_of, delivered_days, mailboxes)
    due = rows.select("email", "ask_priority").drop_nulls()
    return due.sort("ask_priority", "email")
