"""The SQL behind `audience.py`, in three parts that follow each other in one WITH.

PEOPLE: everybody who may be a candidate, when a mail would leave for them, and when the windows
begin that end on that day. MAILS: what was sent to them already. DECISIONS: the rules.

Rows of golden_profiles are joined by `rowid`, which is quicker than by their ids and lives as long
as the query. What differs between people only by time zone and hour is worked out once for each
zone and hour.
"""

PEOPLE = """
run AS (
    SELECT as_of, strftime(as_of, '%Y-%m-%d') AS day, date_trunc('day', as_of) AS today
    FROM (SELECT getvariable('as_of')::TIMESTAMP AS as_of)
),
zones AS (SELECT DISTINCT name FROM pg_timezone_names()),
persons AS MATERIALIZED (
    SELECT
        p.rowid AS person, p.customer_id, nullif(lower(trim(p.email)), '') AS email,
        coalesce(p.consent_email_marketing, false) AS may_market,
        coalesce(p.consent_personalisation, false) AS personalised,
        coalesce(l.level, 'new') AS level, coalesce(l.cap, n.cap) AS cap,
        coalesce(l.days, n.days) AS days, coalesce(z.name, '{zone}') AS zone,
        least(greatest(coalesce(p.best_hour, {default_hour}), {earliest}), {latest})::INTEGER
            AS hour
    FROM profiles.golden_profiles p
    JOIN mail_caps n ON n.level = 'new'
    LEFT JOIN mail_caps l ON l.level = p.engagement_level
    LEFT JOIN zones z ON z.name = p.time_zone
    WHERE {who}
),
moments AS (
    -- The hour on the local day of the run and the days after it. An hour that the clock leaves out
    -- comes back an hour later; should that be after the last hour allowed, another day is taken.
    SELECT zone, hour,
        ((date_trunc('day', (as_of AT TIME ZONE 'UTC') AT TIME ZONE zone)
          + to_days(d::INTEGER) + to_hours(hour)) AT TIME ZONE zone) AT TIME ZONE 'UTC' AS moment
    FROM (SELECT DISTINCT zone, hour FROM persons) CROSS JOIN run CROSS JOIN range(4) t(d)
),
clocks AS MATERIALIZED (
    SELECT zone, hour, row_number() OVER () AS id, min(moment) AS send_at
    FROM moments CROSS JOIN run
    WHERE moment >= as_of AND hour((moment AT TIME ZONE 'UTC') AT TIME ZONE zone) <= {latest}
    GROUP BY zone, hour
),
people AS MATERIALIZED (
    SELECT p.* EXCLUDE (zone, hour), c.id AS clock, c.send_at
    FROM persons p JOIN clocks c USING (zone, hour)
),
midnights AS (
    SELECT id, zone, days, day, (day AT TIME ZONE zone) AT TIME ZONE 'UTC' AS begins
    FROM (
        SELECT id, zone, days,
            date_trunc('day', (send_at AT TIME ZONE 'UTC') AT TIME ZONE zone)
                - to_days((days - 1)::INTEGER) AS day
        FROM clocks CROSS JOIN mail_days
    )
),
starts AS MATERIALIZED (
    -- Where clocks are put back at midnight, midnight comes twice: the day begins with the first.
    SELECT id AS clock, days,
        CASE WHEN ((begins - INTERVAL 1 HOUR) AT TIME ZONE 'UTC') AT TIME ZONE zone >= day
            THEN begins - INTERVAL 1 HOUR ELSE begins END AS begins
    FROM midnights
)"""

OWN = """
    SELECT send_id, lower(trim(to_email)) AS email, customer_id, campaign, kind,
           coalesce(send_at, handed_over_as_of) AS planned_at,
           handed_over_as_of >= today AS of_today
    FROM emails.deliveries CROSS JOIN run
    WHERE handed_over_as_of < as_of AND coalesce(status, '') NOT IN ('refused', 'expired')
      AND coalesce(send_at, handed_over_as_of) >= as_of - INTERVAL {horizon} DAY"""

NO_OWN = """
    SELECT '' AS send_id, '' AS email, '' AS customer_id, '' AS campaign, '' AS kind,
           as_of AS planned_at, false AS of_today
    FROM run WHERE false"""

MAILS = """
own AS MATERIALIZED ({own}
),
reported AS MATERIALIZED (
    SELECT lower(trim(email)) AS email, send_id, max(campaign) AS campaign,
        max(occurred_at) AS sent_at
    FROM standardized.email_events CROSS JOIN run
    WHERE event_type IN ('processed', 'delivered') AND email IS NOT NULL
      AND occurred_at <= as_of AND occurred_at >= as_of - INTERVAL {horizon} DAY
    GROUP BY lower(trim(email)), send_id,
        CASE WHEN send_id IS NULL
            THEN source || '|' || coalesce(campaign, '') || '|' || occurred_at::DATE END
),
others AS (
    -- Reported mails that are none of our own: neither by the id that the provider echoes nor,
    -- where it echoes none that we know, by address, campaign and time.
    SELECT r.* FROM reported r
    ANTI JOIN own o ON o.send_id = r.send_id
    ANTI JOIN (
        SELECT o.email, l.label, o.planned_at FROM own o JOIN mail_labels l USING (campaign)
    ) x ON x.email = r.email AND x.label = r.campaign
        AND r.sent_at >= x.planned_at - INTERVAL 1 DAY AND r.sent_at < x.planned_at + INTERVAL 2 DAY
),
mails AS (
    SELECT o.send_id, o.email, o.customer_id, o.campaign, o.of_today,
        coalesce(r.sent_at, o.planned_at) AS sent_at,
        coalesce(k.capped, o.kind = 'promotional') AS capped
    FROM own o
    LEFT JOIN (
        SELECT send_id, max(sent_at) AS sent_at FROM reported WHERE send_id IS NOT NULL GROUP BY 1
    ) r ON r.send_id = o.send_id
    LEFT JOIN (SELECT DISTINCT campaign, capped FROM mail_labels) k ON k.campaign = o.campaign
    UNION ALL
    SELECT NULL, o.email, NULL, o.campaign, false, o.sent_at,
        coalesce(k.capped, u.label IS NULL)
    FROM others o
    LEFT JOIN (SELECT label, bool_or(capped) AS capped FROM mail_labels GROUP BY 1) k
        ON k.label = o.campaign
    LEFT JOIN (
        SELECT DISTINCT r.campaign AS label
        FROM (SELECT DISTINCT campaign FROM reported) r
        JOIN mail_uncapped u ON r.campaign GLOB u.pattern
    ) u ON u.label = o.campaign
),
seen AS MATERIALIZED (
    -- A mail concerns whoever has its address, and whom it was for, should they have another now.
    SELECT p.person, p.days, p.clock, m.* EXCLUDE (email, customer_id),
        m.of_today AND m.customer_id = p.customer_id AS own_today
    FROM people p JOIN mails m ON m.email = p.email
    UNION ALL
    SELECT p.person, p.days, p.clock, m.* EXCLUDE (email, customer_id), m.of_today
    FROM mails m JOIN people p ON p.customer_id = m.customer_id
    WHERE m.email IS DISTINCT FROM p.email
)"""

DECISIONS = """
shared AS (
    SELECT email, min(person) AS mailbox
    FROM people WHERE email IS NOT NULL GROUP BY email HAVING count(*) > 1
),
facts AS (
    SELECT
        c.campaign, k.kind, k.priority, k.capped, k.again, k.holdout, k.personal, k.mailing_list,
        p.*, coalesce(m.mailbox, p.person) AS mailbox,
        {suppression} AS suppression,
        s.since, s.until,
        k.kind = 'promotional' AND o.name IS NOT NULL AND y.email IS NULL AS is_role,
        CASE WHEN k.kind = 'promotional' AND {global_holdout} > 0 THEN {global_hash} END
            AS global_hash,
        CASE WHEN k.holdout > 0 THEN {holdout_hash} END AS holdout_hash,
        coalesce(v.only_variant, {variant}) AS variant,
        md5(c.campaign || '|' || p.customer_id || '|' || run.day) AS send_id,
        CASE WHEN k.capped THEN p.send_at ELSE as_of END AS planned_at
    FROM candidates c
    CROSS JOIN run
    JOIN mail_campaigns k USING (campaign)
    JOIN mail_variants v USING (campaign)
    JOIN people p USING (person)
    LEFT JOIN shared m ON m.email = p.email
    LEFT JOIN emails.suppressions s ON s.email = p.email
    LEFT JOIN mail_roles o ON o.name = split_part(split_part(p.email, '@', 1), '+', 1)
    LEFT JOIN (
        SELECT DISTINCT lower(trim(email)) AS email
        FROM standardized.preferences CROSS JOIN run
        WHERE email_marketing AND coalesce(updated_at <= as_of, true)
          AND lower(trim(split_part(split_part(email, '@', 1), '+', 1)))
              IN (SELECT name FROM mail_roles)
    ) y ON y.email = p.email
),
latest AS (
    SELECT person, l.campaign, max(s.sent_at) AS last_at
    FROM seen s JOIN mail_labels l ON l.label = s.campaign
    -- Not the very mail that an earlier run of this day decided: it stands.
    WHERE l.again > 0 AND NOT (coalesce(s.own_today, false) AND s.campaign = l.campaign)
    GROUP BY ALL
),
first_rules AS (
    SELECT f.*, t.last_at, own.send_id IS NOT NULL AS already,
        CASE
            WHEN f.kind = 'promotional' AND NOT f.may_market THEN 'email_marketing'
            WHEN f.personal AND NOT f.personalised THEN 'personalisation'
            WHEN f.email IS NULL THEN 'address_missing'
            WHEN NOT regexp_full_match(f.email, '{email_shape}') THEN 'address_malformed'
            WHEN f.suppression IS NOT NULL THEN f.suppression
            WHEN f.is_role THEN 'role_account'
            WHEN f.global_hash < {global_holdout} THEN 'global_holdout'
            WHEN t.last_at >= b.begins THEN 'again_after_days'
        END AS first_rule
    FROM facts f
    LEFT JOIN latest t ON t.person = f.person AND t.campaign = f.campaign
    LEFT JOIN starts b ON b.clock = f.clock AND b.days = f.again
    LEFT JOIN own ON own.of_today AND own.send_id = f.send_id
),
standing AS (SELECT send_id FROM first_rules WHERE already AND first_rule IS NULL),
windows AS (
    SELECT s.person, count(*) AS mails
    FROM seen s
    JOIN starts b ON b.clock = s.clock AND b.days = s.days
    WHERE s.capped AND s.sent_at >= b.begins
      -- Mails of an earlier run of this day that this run decides again take a place below instead.
      AND (NOT s.of_today OR s.send_id NOT IN (SELECT send_id FROM standing))
    GROUP BY s.person
),
chosen AS (
    -- Of several people at one address the one who gets the campaign.
    SELECT campaign, mailbox, arg_min(person, (NOT already, customer_id)) AS person
    FROM first_rules
    WHERE first_rule IS NULL AND mailbox IN (SELECT mailbox FROM shared)
    GROUP BY campaign, mailbox
),
one_per_address AS (
    SELECT f.*, coalesce(w.mails, 0) AS past_mails,
        NOT f.already AND coalesce(f.holdout_hash < f.holdout, false) AS held_out,
        CASE WHEN c.person <> f.person THEN coalesce(f.first_rule, 'same_address')
             ELSE f.first_rule END AS second_rule
    FROM first_rules f
    LEFT JOIN windows w ON w.person = f.person
    LEFT JOIN chosen c ON c.campaign = f.campaign AND c.mailbox = f.mailbox
),
places AS (
    -- Who is held out counts for nobody but themselves: their place goes to the next campaign.
    SELECT campaign, person,
        held_out::BIGINT + count(*) FILTER (WHERE NOT held_out) OVER (
            PARTITION BY mailbox ORDER BY already DESC, priority DESC, campaign, customer_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS place
    FROM one_per_address WHERE capped AND second_rule IS NULL
),
ruled AS (
    SELECT o.*, p.place,
        coalesce(o.second_rule,
            CASE WHEN o.past_mails + p.place > o.cap THEN 'cap'
                 WHEN o.held_out THEN 'holdout'
                 ELSE 'all_rules_passed' END) AS rule
    FROM one_per_address o
    LEFT JOIN places p ON p.person = o.person AND p.campaign = o.campaign
),
decided AS (
    SELECT *,
        CASE
            WHEN rule IN ('email_marketing', 'personalisation') THEN 'no_consent'
            WHEN rule IN ('address_missing', 'address_malformed') THEN 'no_address'
            WHEN rule IN ('again_after_days', 'same_address', 'cap') THEN 'capped'
            WHEN rule IN ('holdout', 'global_holdout') THEN 'holdout'
            WHEN rule = 'all_rules_passed' THEN 'send'
            ELSE 'suppressed'
        END AS decision
    FROM ruled
)
SELECT
    campaign, customer_id, decision, rule,
    CASE
        WHEN rule = 'email_marketing' THEN 'no consent to e-mail marketing on record'
        WHEN rule = 'personalisation' THEN 'no consent to personalisation on record'
        WHEN rule = 'address_missing' THEN 'the profile has no e-mail address'
        WHEN rule = 'address_malformed' THEN 'the e-mail address has no valid form'
        WHEN rule = 'role_account'
            THEN 'the mailbox belongs to a task, not to a person, and has not agreed itself'
        WHEN rule = 'global_holdout'
            THEN printf('hash %.4f below the holdout of all promotional mail %.4f', global_hash,
                        {global_holdout})
        WHEN decision = 'suppressed'
            THEN CASE WHEN rule = 'unsubscribe_list'
                    THEN 'unsubscribed from the list ' || mailing_list || ', ' ELSE '' END
                 || coalesce('since ' || strftime(since, '%Y-%m-%d'), 'no date given')
                 || coalesce(' until ' || strftime(until, '%Y-%m-%d'), '')
        WHEN rule = 'again_after_days'
            THEN 'last sent ' || strftime(last_at, '%Y-%m-%d') || ', again after '
                 || again || ' days'
        WHEN rule = 'same_address' THEN 'another person with this address gets this campaign'
        WHEN place IS NOT NULL
            THEN (past_mails + place)
                 || CASE rule WHEN 'cap' THEN ' would be above ' ELSE ' of ' END
                 || cap || ' in ' || days || ' days (engagement ' || level || ', '
                 || past_mails || ' before this run)'
                 || CASE WHEN rule = 'holdout'
                    THEN printf('; hash %.4f below the holdout share %.4f', holdout_hash, holdout)
                    ELSE '' END
        WHEN rule = 'holdout'
            THEN printf('hash %.4f below the holdout share %.4f', holdout_hash, holdout)
        ELSE 'exempt from caps'
    END AS detail,
    CASE WHEN decision = 'suppressed' AND rule <> 'role_account' THEN since
         WHEN rule = 'again_after_days' THEN last_at END AS since,
    variant, send_id,
    CASE WHEN decision = 'send' THEN planned_at END AS send_at,
    priority, kind, mailing_list, personalised,
    CASE WHEN capped THEN past_mails END AS mails_before,
    place,
    CASE WHEN capped THEN cap END AS mails_allowed,
    CASE WHEN capped THEN days END AS window_days,
    as_of
FROM decided CROSS JOIN run
ORDER BY campaign, customer_id
"""
