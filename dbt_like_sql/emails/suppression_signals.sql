-- Addresses that told us, or whose mailbox told us, not to send: from the mail provider's events, and
-- from a verification service where one is asked.
-- A hard bounce and a complaint stand for good. An unsubscribe stands until the same address agrees
-- to e-mail marketing again in the preference centre, later than it unsubscribed. Soft bounces let an
-- address rest for a while: so many mails in a row (setting soft_bounces), none of them delivered,
-- within soft_bounce_days before the last of them; the rest ends soft_bounce_rest_days after it, or
-- with the next delivery. An address that the service calls undeliverable rests until the answer
-- expires, one that is risky only with setting mail_risky_addresses off; nothing is suppressed because
-- a service gave no answer.
-- @grain: one row per address, reason and campaign that an unsubscribe names
-- @key: email, reason, campaign
-- @version: 3
-- @owner: team:crm
-- @pii: true
-- @column email: The address, in small letters
-- @column reason: hard_bounce, complaint, unsubscribe, soft_bounce, undeliverable or risky
-- @column campaign: Campaign or list that the unsubscribe names, as the provider spells it, in small
-- letters; empty where it names none and for other reasons
-- @column since: When it was first reported (hard bounce, complaint, soft bounce) or last
-- (unsubscribe), or verified, UTC
-- @column until: When the rest after soft bounces, or the service's answer, ends (UTC); empty for
-- other reasons
-- @column reports: Number of events that say so; of soft bounces the mails
-- @rule reason_known: reason IN ('hard_bounce', 'complaint', 'unsubscribe', 'soft_bounce', 'undeliverable', 'risky')
-- @rule in_small_letters: email = lower(email)
WITH events AS (
    SELECT
        lower(trim(e.email)) AS address,
        CASE
            WHEN e.event_type = 'bounce' AND e.bounce_type = 'hard' THEN 'hard_bounce'
            WHEN e.event_type = 'bounce' AND e.bounce_type = 'soft' THEN 'soft_bounce'
            WHEN e.event_type = 'spam_report' THEN 'complaint'
            WHEN e.event_type = 'unsubscribe' THEN 'unsubscribe'
            WHEN e.event_type = 'delivered' THEN 'delivered'
        END AS reason,
        CASE
            WHEN e.event_type = 'unsubscribe' THEN coalesce(lower(trim(e.campaign)), '')
            ELSE ''
        END AS campaign,
        -- A mail that is tried again and again bounces softly once.
        coalesce(
            e.send_id,
            e.source || '|' || coalesce(e.campaign, '') || '|' || strftime(e.occurred_at, '%Y-%m-%d')
        ) AS mail,
        e.occurred_at
    FROM standardized.email_events AS e
    WHERE e.email IS NOT NULL
      AND trim(e.email) <> ''
      AND e.event_type IN ('bounce', 'spam_report', 'unsubscribe', 'delivered')
      AND e.occurred_at <= getvariable('as_of')::TIMESTAMP
),
signals AS (
    SELECT
        events.address,
        events.reason,
        events.campaign,
        CASE
            WHEN events.reason = 'unsubscribe' THEN max(events.occurred_at)
            ELSE min(events.occurred_at)
        END AS since,
        count(*) AS reports
    FROM events
    WHERE events.reason IN ('hard_bounce', 'complaint', 'unsubscribe')
    GROUP BY events.address, events.reason, events.campaign
),
opt_ins AS (
    SELECT lower(trim(p.email)) AS address, max(p.updated_at) AS agreed_at
    FROM standardized.preferences AS p
    WHERE p.email_marketing
      AND p.updated_at <= getvariable('as_of')::TIMESTAMP
    GROUP BY lower(trim(p.email))
),
soft_bounced AS (
    SELECT DISTINCT events.address FROM events WHERE events.reason = 'soft_bounce'
),
arrived AS (
    SELECT events.address, max(events.occurred_at) AS arrived_at
    FROM events
    INNER JOIN soft_bounced ON soft_bounced.address = events.address
    WHERE events.reason = 'delivered'
    GROUP BY events.address
),
soft AS (
    -- Mails in a row: those since the last one that arrived.
    SELECT events.address, events.mail, max(events.occurred_at) AS bounced_at
    FROM events
    LEFT JOIN arrived ON arrived.address = events.address
    WHERE events.reason = 'soft_bounce'
      AND (arrived.arrived_at IS NULL OR events.occurred_at > arrived.arrived_at)
    GROUP BY events.address, events.mail
),
last_soft AS (
    SELECT soft.address, max(soft.bounced_at) AS last_at FROM soft GROUP BY soft.address
),
resting AS (
    SELECT
        soft.address,
        min(soft.bounced_at) AS since,
        max(soft.bounced_at)
            + getvariable('emails__soft_bounce_rest_days') * INTERVAL 1 DAY AS until,
        count(*) AS mails
    FROM soft
    INNER JOIN last_soft ON last_soft.address = soft.address
    WHERE soft.bounced_at
        > last_soft.last_at - getvariable('emails__soft_bounce_days') * INTERVAL 1 DAY
    GROUP BY soft.address
)
SELECT
    signals.address AS email,
    signals.reason,
    signals.campaign,
    signals.since,
    NULL::TIMESTAMP AS until,
    signals.reports
FROM signals
LEFT JOIN opt_ins ON opt_ins.address = signals.address
WHERE signals.reason <> 'unsubscribe'
   OR opt_ins.agreed_at IS NULL
   OR opt_ins.agreed_at <= signals.since
UNION ALL
SELECT
    resting.address AS email,
    'soft_bounce' AS reason,
    '' AS campaign,
    resting.since,
    resting.until,
    resting.mails AS reports
FROM resting
WHERE getvariable('emails__soft_bounces') > 0
  AND resting.mails >= getvariable('emails__soft_bounces')
  AND resting.until > getvariable('as_of')::TIMESTAMP
UNION ALL
SELECT
    verified.email,
    verified.verdict AS reason,
    '' AS campaign,
    verified.checked_as_of AS since,
    verified.expires_at AS until,
    1 AS reports
FROM standardized.email_verifications AS verified
-- What our own events and lists say is told by the parts above, and by the rule of role accounts.
WHERE verified.provider NOT IN ('history', 'none')
  AND verified.reason <> 'role'
  AND coalesce(verified.expires_at > getvariable('as_of')::TIMESTAMP, true)
  AND (
      verified.verdict = 'undeliverable'
      OR (verified.verdict = 'risky' AND NOT getvariable('emails__mail_risky_addresses'))
  )
