-- How campaigns do: mails, opens and clicks by people, purchases credited to them, and rates with
-- Wilson intervals (Wilson 1927), which stay honest for small numbers. A mail that was opened or
-- clicked counts as delivered even where the provider's delivery event is missing, and one that
-- was clicked as opened. Opens are a weak sign: programs that load pictures are taken out as far
-- as the provider marks them.
-- @grain: one row per campaign, variant and source of events
-- @key: campaign, variant, source
-- @owner: team:crm
-- @pii: false
-- @column campaign: Campaign as the provider names it, '(none)' where it names none
-- @column variant: 'all': the providers' events do not tell variants apart
-- @column source: Source of the mail events
-- @column sent: Mails handed over (count)
-- @column delivered: Mails that arrived (count)
-- @column opened: Mails that a person opened (count)
-- @column machine_opened: Mails that only programs opened (count)
-- @column clicked: Mails that a person clicked in (count)
-- @column converted: Mails with a click that a purchase is credited to (count)
-- @column bounced: Mails that bounced (count)
-- @column complained: Mails reported as spam (count)
-- @column unsubscribed: Mails that led to an unsubscription (count)
-- @column orders: Orders credited to the campaign (count)
-- @column items: Pieces in the lines credited (count)
-- @column revenue_base: Value of the lines credited (base currency)
-- @column revenue_per_mail_base: The same per delivered mail (base currency)
-- @column first_event_at: First event of the campaign (UTC)
-- @column last_event_at: Last event of the campaign (UTC)
-- @column open_rate: opened / delivered
-- @column open_rate_low: Lower bound of open_rate
-- @column open_rate_high: Upper bound of open_rate
-- @column click_rate: clicked / delivered
-- @column click_rate_low: Lower bound of click_rate
-- @column click_rate_high: Upper bound of click_rate
-- @column conversion_rate: converted / delivered
-- @column conversion_rate_low: Lower bound of conversion_rate
-- @column conversion_rate_high: Upper bound of conversion_rate
-- @column unsubscribe_rate: unsubscribed / delivered
-- @column unsubscribe_rate_low: Lower bound of unsubscribe_rate
-- @column unsubscribe_rate_high: Upper bound of unsubscribe_rate
-- @rule funnel_narrows: clicked <= opened AND opened <= delivered AND delivered <= sent AND converted <= clicked
WITH events AS (
    SELECT
        source,
        coalesce(campaign, '(none)') AS campaign,
        -- A provider that names no mail: one mail per campaign and recipient.
        coalesce(send_id, '') || '|' || coalesce(record_id, email, event_id) AS mail,
        event_id,
        event_type,
        coalesce(is_machine, FALSE) AS is_machine,
        occurred_at
    FROM standardized.email_events
    WHERE occurred_at <= CAST(getvariable('as_of') AS TIMESTAMP)
),

credited AS (
    SELECT DISTINCT click_source AS source, click_event_id AS event_id
    FROM feedback.attribution
),

mails AS (
    SELECT
        e.source,
        e.campaign,
        e.mail,
        bool_or(e.event_type = 'delivered') AS was_delivered,
        bool_or(e.event_type = 'open' AND NOT e.is_machine) AS was_opened,
        bool_or(e.event_type IN ('open', 'click') AND e.is_machine) AS had_machine,
        bool_or(e.event_type = 'click' AND NOT e.is_machine) AS was_clicked,
        bool_or(c.event_id IS NOT NULL) AS was_converted,
        bool_or(e.event_type IN ('bounce', 'dropped')) AS was_bounced,
        bool_or(e.event_type = 'spam_report') AS was_complained,
        bool_or(e.event_type = 'unsubscribe') AS was_unsubscribed,
        min(e.occurred_at) AS first_at,
        max(e.occurred_at) AS last_at
    FROM events AS e
    LEFT JOIN credited AS c
        ON e.source = c.source AND e.event_id = c.event_id
    GROUP BY e.source, e.campaign, e.mail
),

counts AS (
    SELECT
        campaign,
        source,
        count(*) AS sent,
        count(*) FILTER (
            WHERE was_delivered OR was_opened OR was_clicked OR had_machine
            OR was_complained OR was_unsubscribed
        ) AS delivered,
        count(*) FILTER (WHERE was_opened OR was_clicked) AS opened,
        count(*) FILTER (WHERE had_machine AND NOT was_opened AND NOT was_clicked) AS machine_opened,
        count(*) FILTER (WHERE was_clicked) AS clicked,
        count(*) FILTER (WHERE was_converted) AS converted,
        count(*) FILTER (WHERE was_bounced) AS bounced,
        count(*) FILTER (WHERE was_complained) AS complained,
        count(*) FILTER (WHERE was_unsubscribed) AS unsubscribed,
        min(first_at) AS first_event_at,
        max(last_at) AS last_event_at
    FROM mails
    GROUP BY campaign, source
),

money AS (
    SELECT
        coalesce(a.campaign, '(none)') AS campaign,
        a.click_source AS source,
        count(DISTINCT a.order_source || '|' || a.order_id) AS orders,
        CAST(sum(a.quantity) AS BIGINT) AS items,
        -- Summed exactly: a sum of doubles would depend on the order threads deliver them in.
        CAST(sum(CAST(a.revenue_base AS DECIMAL(18, 4))) AS DOUBLE) AS revenue_base
    FROM feedback.attribution AS a
    GROUP BY coalesce(a.campaign, '(none)'), a.click_source
),

-- n, z and z squared over n once, so that the bounds below stay readable.
measured AS (
    SELECT
        c.*,
        coalesce(m.orders, 0) AS orders,
        coalesce(m.items, 0) AS items,
        coalesce(m.revenue_base, 0) AS revenue_base,
        CAST(getvariable('feedback__z') AS DOUBLE) AS z,
        CAST(nullif(c.delivered, 0) AS DOUBLE) AS n,
        power(CAST(getvariable('feedback__z') AS DOUBLE), 2) / nullif(c.delivered, 0) AS zz,
        c.opened / nullif(c.delivered, 0) AS p_open,
        c.clicked / nullif(c.delivered, 0) AS p_click,
        c.converted / nullif(c.delivered, 0) AS p_conversion,
        c.unsubscribed / nullif(c.delivered, 0) AS p_unsubscribe
    FROM counts AS c
    LEFT JOIN money AS m
        ON c.campaign = m.campaign AND c.source = m.source
)

SELECT
    campaign,
    'all' AS variant,
    source,
    sent,
    delivered,
    opened,
    machine_opened,
    clicked,
    converted,
    bounced,
    complained,
    unsubscribed,
    orders,
    items,
    revenue_base,
    revenue_base / n AS revenue_per_mail_base,
    first_event_at,
    last_event_at,
    p_open AS open_rate,
    CASE WHEN n > 0 THEN
        greatest(0, (p_open + zz / 2 - z * sqrt((p_open * (1 - p_open) + zz / 4) / n)) / (1 + zz))
    END AS open_rate_low,
    CASE WHEN n > 0 THEN
        least(1, (p_open + zz / 2 + z * sqrt((p_open * (1 - p_open) + zz / 4) / n)) / (1 + zz))
    END AS open_rate_high,
    p_click AS click_rate,
    CASE WHEN n > 0 THEN
        greatest(0, (p_click + zz / 2 - z * sqrt((p_click * (1 - p_click) + zz / 4) / n)) / (1 + zz))
    END AS click_rate_low,
    CASE WHEN n > 0 THEN
        least(1, (p_click + zz / 2 + z * sqrt((p_click * (1 - p_click) + zz / 4) / n)) / (1 + zz))
    END AS click_rate_high,
    p_conversion AS conversion_rate,
    CASE WHEN n > 0 THEN
        greatest(0, (p_conversion + zz / 2 - z * sqrt((p_conversion * (1 - p_conversion) + zz / 4) / n)) / (1 + zz))
    END AS conversion_rate_low,
    CASE WHEN n > 0 THEN
        least(1, (p_conversion + zz / 2 + z * sqrt((p_conversion * (1 - p_conversion) + zz / 4) / n)) / (1 + zz))
    END AS conversion_rate_high,
    p_unsubscribe AS unsubscribe_rate,
    CASE WHEN n > 0 THEN
        greatest(0, (p_unsubscribe + zz / 2 - z * sqrt((p_unsubscribe * (1 - p_unsubscribe) + zz / 4) / n)) / (1 + zz))
    END AS unsubscribe_rate_low,
    CASE WHEN n > 0 THEN
        least(1, (p_unsubscribe + zz / 2 + z * sqrt((p_unsubscribe * (1 - p_unsubscribe) + zz / 4) / n)) / (1 + zz))
    END AS unsubscribe_rate_high
FROM measured
