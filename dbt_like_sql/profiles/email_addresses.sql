-- What happened to mail sent to an address: whether it can be delivered, and whether its reader
-- complained or unsubscribed. Kept by address, because that is what a mailbox provider sees.
-- @grain: one row per e-mail address that an e-mail event names
-- @key: email
-- @owner: team:crm
-- @pii: true
-- @column email: Canonical e-mail address
-- @column is_hard_bounced: The address refused mail for good and has accepted none since
-- @column hard_bounced_at: Latest hard bounce
-- @column last_delivered_at: Latest delivery
-- @column last_bounce_type: Type of the latest bounce (hard, soft)
-- @column complained_at: Latest report as spam
-- @column unsubscribed_at: Latest unsubscription from everything; one that only stops some lists is
-- not a no to all mail, emails.suppressions keeps it
-- @column unsubscribed_origin: Event behind the latest unsubscription, as source/record_id
-- @column complained_origin: Event behind the latest complaint, as source/record_id
WITH events AS (
    SELECT
        e.* EXCLUDE (event_type),
        CASE
            WHEN e.event_type = 'unsubscribe' AND s.stops = 'lists' THEN 'list_unsubscribe'
            ELSE e.event_type
        END AS event_type
    FROM standardized.email_events AS e
    LEFT JOIN emails.suppressions AS s ON s.email = lower(trim(e.email))
)
SELECT
    email,
    coalesce(max(occurred_at) FILTER (WHERE event_type = 'bounce' AND bounce_type = 'hard')
        > coalesce(
            max(occurred_at) FILTER (WHERE event_type = 'delivered'), TIMESTAMP '1970-01-01'
        ), false) AS is_hard_bounced,
    max(occurred_at) FILTER (WHERE event_type = 'bounce' AND bounce_type = 'hard')
        AS hard_bounced_at,
    max(occurred_at) FILTER (WHERE event_type = 'delivered') AS last_delivered_at,
    max_by(bounce_type, (occurred_at, bounce_type)) FILTER (WHERE event_type = 'bounce')
        AS last_bounce_type,
    max(occurred_at) FILTER (WHERE event_type = 'spam_report') AS complained_at,
    max(occurred_at) FILTER (WHERE event_type = 'unsubscribe') AS unsubscribed_at,
    max_by(source || '/' || record_id, (occurred_at, source, record_id))
        FILTER (WHERE event_type = 'unsubscribe') AS unsubscribed_origin,
    max_by(source || '/' || record_id, (occurred_at, source, record_id))
        FILTER (WHERE event_type = 'spam_report') AS complained_origin
FROM events
WHERE email IS NOT NULL AND occurred_at <= getvariable('as_of')::TIMESTAMP
GROUP BY email
