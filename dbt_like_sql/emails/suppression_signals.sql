-- Addresses that told us, or whose mailbox told us, not to send: from the mail provider's events.
-- A hard bounce and a complaint stand for good. An unsubscribe stands until the same address agrees
-- to e-mail marketing again in the preference centre, later than it unsubscribed.
-- @grain: one row per address and reason
-- @key: email, reason
-- @owner: team:crm
-- @pii: true
-- @column email: The address, in small letters
-- @column reason: hard_bounce, complaint or unsubscribe
-- @column since: When it was first reported (hard bounce, complaint) or last (unsubscribe), UTC
-- @column reports: Number of events that say so
-- @rule reason_known: reason IN ('hard_bounce', 'complaint', 'unsubscribe')
-- @rule in_small_letters: email = lower(email)
WITH events AS (
    SELECT
        lower(trim(e.email)) AS address,
        CASE
            WHEN e.event_type = 'bounce' AND e.bounce_type = 'hard' THEN 'hard_bounce'
            WHEN e.event_type = 'spam_report' THEN 'complaint'
            WHEN e.event_type = 'unsubscribe' THEN 'unsubscribe'
        END AS reason,
        e.occurred_at
    FROM standardized.email_events AS e
    WHERE e.email IS NOT NULL
      AND trim(e.email) <> ''
      AND e.occurred_at <= getvariable('as_of')::TIMESTAMP
),
signals AS (
    SELECT
        events.address,
        events.reason,
        CASE
            WHEN events.reason = 'unsubscribe' THEN max(events.occurred_at)
            ELSE min(events.occurred_at)
        END AS since,
        count(*) AS reports
    FROM events
    WHERE events.reason IS NOT NULL
    GROUP BY events.address, events.reason
),
opt_ins AS (
    SELECT lower(trim(p.email)) AS address, max(p.updated_at) AS agreed_at
    FROM standardized.preferences AS p
    WHERE p.email_marketing
      AND p.updated_at <= getvariable('as_of')::TIMESTAMP
    GROUP BY lower(trim(p.email))
)
SELECT
    signals.address AS email,
    signals.reason,
    signals.since,
    signals.reports
FROM signals
LEFT JOIN opt_ins ON opt_ins.address = signals.address
WHERE signals.reason <> 'unsubscribe'
   OR opt_ins.agreed_at IS NULL
   OR opt_ins.agreed_at <= signals.since
