-- How a customer reacts to our mail. Only people count: an open or click that the mail service
-- marks as a machine's, or that comes sooner after delivery than a person can react, is left out.
-- @grain: one row per customer, zeros for those who never got mail
-- @key: customer_id
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column delivered_90d: Mails delivered in the last 90 days (count)
-- @column opens_90d: Mails opened by a person in the last 90 days (count, each mail once)
-- @column machine_opens_90d: Opens by machines in the last 90 days (count of events)
-- @column clicks_90d: Mails clicked by a person in the last 90 days (count, each mail once)
-- @column open_rate: opens_90d / delivered_90d, at most 1; empty without deliveries
-- @column click_rate: clicks_90d / delivered_90d, at most 1; empty without deliveries
-- @column response_minutes: Median time from delivery to the first open or click by a person
-- (minutes), mails of the last 365 days
-- @column best_hour: Hour of the day with most opens and clicks by the person in the last 365 days
-- (0-23, local time)
-- @column first_delivered_at: First delivery ever (UTC)
-- @column last_delivered_at: Latest delivery (UTC)
-- @column last_open_at: Latest open by a person (UTC)
-- @column last_click_at: Latest click by a person (UTC)
-- @column last_bounce_type: Type of the latest bounce of the address that is mailed (hard, soft)
-- @column hard_bounced: The address that is mailed refused mail for good, and accepted none since
-- @column complained: Somebody reported our mail as spam from one of the customer's addresses
-- @column complained_at: Latest such report (UTC)
-- @column complained_origin: Event behind it, as source/record_id
-- @column unsubscribed: An unsubscription from one of the customer's addresses stands: no opt-in in
-- the preference centre came later, from a record whose yes counts (profiles.consent_records)
-- @column unsubscribed_at: The unsubscription that stands (UTC)
-- @column unsubscribed_origin: Event behind it, as source/record_id
-- @column engagement_level: high, medium, low, dormant or new: by the time since the person last
-- opened or clicked; new means that there was little time to react yet
-- @rule rates_between_0_and_1: coalesce(open_rate, 0) BETWEEN 0 AND 1 AND coalesce(click_rate, 0) BETWEEN 0 AND 1
-- @rule level_known: engagement_level IN ('high', 'medium', 'low', 'dormant', 'new')
WITH events AS MATERIALIZED (
    SELECT
        l.customer_id,
        e.occurred_at,
        e.event_type,
        coalesce(e.is_machine, false) AS is_machine,
        -- One mail to one mailbox. Services that give no send id are told apart by campaign, and
        -- without that every event stands for itself.
        e.source || '|' || e.record_id || '|'
            || coalesce('s:' || e.send_id, 'c:' || e.campaign, 'e:' || e.event_id) AS mail
    FROM standardized.email_events AS e
    INNER JOIN identity.links AS l ON l.source = e.source AND l.record_id = e.record_id
    WHERE e.event_type IN ('delivered', 'open', 'click')
        AND e.occurred_at <= getvariable('as_of')::TIMESTAMP
),
deliveries AS (
    SELECT customer_id, mail, min(occurred_at) AS delivered_at, max(occurred_at) AS last_at
    FROM events
    WHERE event_type = 'delivered'
    GROUP BY customer_id, mail
),
delivered AS (
    SELECT
        customer_id,
        count(*) FILTER (
            WHERE last_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        ) AS delivered_90d,
        min(delivered_at) AS first_delivered_at,
        max(last_at) AS last_delivered_at
    FROM deliveries
    GROUP BY customer_id
),
reactions AS MATERIALIZED (
    SELECT
        e.customer_id,
        e.mail,
        e.occurred_at,
        e.event_type,
        d.delivered_at,
        NOT e.is_machine AND (
            d.delivered_at IS NULL
            OR e.occurred_at >= d.delivered_at
                + getvariable('profiles__human_seconds') * INTERVAL 1 SECOND
        ) AS by_person
    FROM events AS e
    LEFT JOIN deliveries AS d ON d.customer_id = e.customer_id AND d.mail = e.mail
    WHERE e.event_type IN ('open', 'click')
),
mails AS (
    SELECT
        customer_id,
        mail,
        min(delivered_at) AS delivered_at,
        min(occurred_at) FILTER (WHERE by_person) AS first_reaction_at,
        max(occurred_at) FILTER (WHERE by_person AND event_type = 'open') AS last_open_at,
        max(occurred_at) FILTER (WHERE by_person AND event_type = 'click') AS last_click_at,
        count(*) FILTER (
            WHERE NOT by_person
                AND event_type = 'open'
                AND occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        ) AS machine_opens_90d
    FROM reactions
    GROUP BY customer_id, mail
),
reacted AS (
    SELECT
        customer_id,
        count(*) FILTER (
            WHERE last_open_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        ) AS opens_90d,
        count(*) FILTER (
            WHERE last_click_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        ) AS clicks_90d,
        sum(machine_opens_90d)::BIGINT AS machine_opens_90d,
        max(last_open_at) AS last_open_at,
        max(last_click_at) AS last_click_at,
        median(date_diff('second', delivered_at, first_reaction_at) / 60.0) FILTER (
            WHERE delivered_at > getvariable('as_of')::TIMESTAMP - INTERVAL 365 DAY
        ) AS response_minutes
    FROM mails
    GROUP BY customer_id
),
hours AS (
    SELECT customer_id, max_by(local_hour, (reactions, -local_hour)) AS best_hour
    FROM (
        SELECT
            r.customer_id,
            hour((r.occurred_at AT TIME ZONE 'UTC') AT TIME ZONE p.time_zone) AS local_hour,
            count(*) AS reactions
        FROM reactions AS r
        INNER JOIN profiles.places AS p ON p.customer_id = r.customer_id
        WHERE r.by_person
            AND r.occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 365 DAY
        GROUP BY 1, 2
    ) AS by_hour
    GROUP BY customer_id
),
customer_addresses AS (
    -- Every address that events show for the person, and the one that is mailed.
    SELECT DISTINCT l.customer_id, e.email
    FROM standardized.email_events AS e
    INNER JOIN identity.links AS l ON l.source = e.source AND l.record_id = e.record_id
    UNION
    SELECT customer_id, email
    FROM profiles.attributes
    WHERE email IS NOT NULL
),
refusals AS (
    SELECT
        c.customer_id,
        max(a.complained_at) AS complained_at,
        max_by(a.complained_origin, (a.complained_at, a.email))
            FILTER (WHERE a.complained_at IS NOT NULL) AS complained_origin,
        max(a.unsubscribed_at) AS unsubscribed_at,
        max_by(a.unsubscribed_origin, (a.unsubscribed_at, a.email))
            FILTER (WHERE a.unsubscribed_at IS NOT NULL) AS unsubscribed_origin
    FROM customer_addresses AS c
    INNER JOIN profiles.email_addresses AS a ON a.email = c.email
    WHERE a.complained_at IS NOT NULL OR a.unsubscribed_at IS NOT NULL
    GROUP BY c.customer_id
),
opt_ins AS (
    SELECT y.customer_id, max(p.updated_at) AS opted_in_at
    FROM standardized.preferences AS p
    INNER JOIN profiles.consent_records AS y
        ON y.source = p.source AND y.record_id = p.record_id AND y.by_email
    WHERE p.email_marketing AND p.updated_at <= getvariable('as_of')::TIMESTAMP
    GROUP BY y.customer_id
),
together AS (
    SELECT
        a.customer_id,
        coalesce(d.delivered_90d, 0) AS delivered_90d,
        coalesce(r.opens_90d, 0) AS opens_90d,
        coalesce(r.machine_opens_90d, 0) AS machine_opens_90d,
        coalesce(r.clicks_90d, 0) AS clicks_90d,
        r.response_minutes,
        h.best_hour,
        d.first_delivered_at,
        d.last_delivered_at,
        r.last_open_at,
        r.last_click_at,
        e.last_bounce_type,
        coalesce(e.is_hard_bounced, false) AS hard_bounced,
        f.complained_at IS NOT NULL AS complained,
        f.complained_at,
        f.complained_origin,
        f.unsubscribed_at IS NOT NULL
            AND coalesce(f.unsubscribed_at >= o.opted_in_at, true) AS unsubscribed,
        f.unsubscribed_at,
        f.unsubscribed_origin,
        date_diff(
            'day', greatest(r.last_open_at, r.last_click_at), getvariable('as_of')::TIMESTAMP
        ) AS days_since_reaction,
        date_diff('day', d.first_delivered_at, getvariable('as_of')::TIMESTAMP) AS days_known
    FROM profiles.attributes AS a
    LEFT JOIN delivered AS d ON d.customer_id = a.customer_id
    LEFT JOIN reacted AS r ON r.customer_id = a.customer_id
    LEFT JOIN hours AS h ON h.customer_id = a.customer_id
    LEFT JOIN profiles.email_addresses AS e ON e.email = a.email
    LEFT JOIN refusals AS f ON f.customer_id = a.customer_id
    LEFT JOIN opt_ins AS o ON o.customer_id = a.customer_id
)
SELECT
    customer_id,
    delivered_90d,
    opens_90d,
    machine_opens_90d,
    clicks_90d,
    CASE WHEN delivered_90d > 0 THEN least(1.0, opens_90d / delivered_90d) END::DOUBLE AS open_rate,
    CASE WHEN delivered_90d > 0 THEN least(1.0, clicks_90d / delivered_90d) END::DOUBLE
        AS click_rate,
    response_minutes,
    best_hour,
    first_delivered_at,
    last_delivered_at,
    last_open_at,
    last_click_at,
    last_bounce_type,
    hard_bounced,
    complained,
    complained_at,
    complained_origin,
    unsubscribed,
    CASE WHEN unsubscribed THEN unsubscribed_at END AS unsubscribed_at,
    CASE WHEN unsubscribed THEN unsubscribed_origin END AS unsubscribed_origin,
    CASE
        WHEN days_since_reaction IS NULL
            AND coalesce(days_known, 0) <= getvariable('profiles__new_days') THEN 'new'
        WHEN days_since_reaction <= getvariable('profiles__engaged_days')
            AND last_click_at > getvariable('as_of')::TIMESTAMP
                - getvariable('profiles__interested_days') * INTERVAL 1 DAY THEN 'high'
        WHEN days_since_reaction <= getvariable('profiles__interested_days') THEN 'medium'
        WHEN least(days_since_reaction, days_known) <= getvariable('profiles__dormant_days')
            THEN 'low'
        ELSE 'dormant'
    END AS engagement_level
FROM together
