-- What came of every recommendation in a mail: clicks by people within the days that settings name
-- (feedback.click_days) after the mail was sent, and the purchases that feedback.attribution
-- credits to these clicks, each bought line once, to the last touch. A click belongs to the place
-- whose product it led to; where the provider's event names no product, to the place whose number
-- its link carries (utm_content=products-3). Provider events name the mail by our send_id, or by
-- the Message-ID that begins with it.
--
-- A place counts once its window of clicks is over and its mail arrived: as the provider says, else
-- because it was handed over and did not bounce. Of a run of which the provider reported nothing at
-- all nothing counts: silence is not a verdict.
-- @grain: one row per mail and place of its recommendations
-- @key: send_id, position
-- @owner: team:crm
-- @pii: true
-- @column send_id: The mail
-- @column position: Place in the mail, 1 first
-- @column recommendation_id: The recommendation, as in top_products when the mail was made
-- @column customer_id: Stable id of the person now
-- @column product_id: Product shown
-- @column campaign: Name of the campaign
-- @column variant: Arm of the campaign's test
-- @column model_version: Version that made the list, 'none' without one
-- @column source: What put the product there
-- @column reason_code: Why, as the mail may have said
-- @column rank: Place in top_products, null for best sellers that fill
-- @column segment: new, light or heavy: no order, fewer than feedback.heavy_orders, or more, when the mail was made
-- @column propensity: Probability with which the product came to stand at its rank
-- @column explored: Whether the place was one that tries near ties
-- @column made_at: Time of the run that made the mail (UTC)
-- @column sent_at: When the mail was to be sent (UTC)
-- @column arrived: Whether the mail arrived, as far as anybody knows
-- @column counts: Whether the place is counted: arrived, reported on, and its window is over
-- @column clicks: Clicks by people within the window (count)
-- @column clicked_at: First of them (UTC)
-- @column purchased_at: First purchase of the product itself that is credited to the place (UTC)
-- @column quantity: Pieces of the product in the lines credited (count)
-- @column revenue_base: Value of these lines (base currency)
-- @column other_revenue_base: Value of lines of other products credited to clicks on the place (base currency)
-- @rule click_after_sending: clicked_at >= sent_at
-- @rule only_what_arrived_counts: arrived OR NOT counts
WITH shown AS (
    SELECT
        s.send_id,
        s.position,
        s.recommendation_id,
        coalesce(r.customer_id, s.customer_id) AS customer_id,
        s.product_id,
        s.campaign,
        s.variant,
        s.model_version,
        s.source,
        s.reason_code,
        s.rank,
        s.propensity,
        s.explored,
        s.as_of,
        coalesce(s.send_at, s.as_of) AS sent_at
    FROM emails.shown_products AS s
    LEFT JOIN identity.redirects AS r
        ON s.customer_id = r.retired_id
    WHERE s.as_of <= CAST(getvariable('as_of') AS TIMESTAMP)
),

events AS (
    SELECT
        source,
        event_id,
        event_type,
        coalesce(is_machine, FALSE) AS is_machine,
        occurred_at,
        product_id,
        coalesce(
            nullif(regexp_extract(send_id, '^<?([0-9a-f]{32})(@|>|$)', 1), ''), send_id
        ) AS send_id,
        TRY_CAST(
            nullif(regexp_extract(url, 'utm_content=products-([0-9]+)', 1), '') AS BIGINT
        ) AS position
    FROM standardized.email_events
    WHERE
        send_id IS NOT NULL
        AND occurred_at <= CAST(getvariable('as_of') AS TIMESTAMP)
),

reported AS (
    SELECT
        send_id,
        bool_or(event_type NOT IN ('processed', 'bounce', 'dropped')) AS was_delivered,
        bool_or(event_type IN ('bounce', 'dropped')) AS was_bounced
    FROM events
    GROUP BY send_id
),

handed_over AS (
    SELECT send_id
    FROM emails.deliveries
    WHERE status = 'sent' OR (status = 'handed_over' AND channel <> 'smtp')
),

mails AS (
    SELECT
        m.send_id,
        m.customer_id,
        m.as_of,
        m.sent_at,
        coalesce(
            r.was_delivered OR (h.send_id IS NOT NULL AND NOT coalesce(r.was_bounced, FALSE)), FALSE
        ) AS arrived,
        bool_or(r.send_id IS NOT NULL) OVER (PARTITION BY m.as_of) AS run_is_reported
    FROM (SELECT DISTINCT send_id, customer_id, as_of, sent_at FROM shown) AS m
    LEFT JOIN reported AS r
        ON m.send_id = r.send_id
    LEFT JOIN handed_over AS h
        ON m.send_id = h.send_id
),

ordered AS (
    SELECT
        k.customer_id,
        o.ordered_at
    FROM standardized.orders AS o
    INNER JOIN identity.links AS k
        ON o.source = k.source AND o.record_id = k.record_id
    WHERE o.status = 'completed'
),

orders_before AS (
    SELECT
        m.send_id,
        count(*) AS orders
    FROM mails AS m
    INNER JOIN ordered AS o
        ON m.customer_id = o.customer_id AND m.as_of > o.ordered_at
    GROUP BY m.send_id
),

clicks AS (
    SELECT
        s.send_id,
        s.position,
        s.product_id,
        e.source,
        e.event_id,
        e.occurred_at
    FROM shown AS s
    INNER JOIN events AS e
        ON
            s.send_id = e.send_id
            AND (
                s.product_id = e.product_id
                OR (e.product_id IS NULL AND s.position = e.position)
            )
    WHERE
        e.event_type = 'click'
        AND NOT e.is_machine
        AND e.occurred_at >= s.sent_at
        AND e.occurred_at <= s.sent_at
        + to_seconds(86400 * CAST(getvariable('feedback__click_days') AS DOUBLE))
),

clicked AS (
    SELECT
        send_id,
        position,
        count(*) AS clicks,
        min(occurred_at) AS clicked_at
    FROM clicks
    GROUP BY send_id, position
),

bought AS (
    SELECT
        c.send_id,
        c.position,
        min(a.ordered_at) FILTER (WHERE a.product_id = c.product_id) AS purchased_at,
        CAST(
            coalesce(sum(a.quantity) FILTER (WHERE a.product_id = c.product_id), 0) AS BIGINT
        ) AS quantity,
        -- Summed exactly: a sum of doubles would depend on the order threads deliver them in.
        coalesce(
            sum(CAST(a.revenue_base AS DECIMAL(18, 4))) FILTER (WHERE a.product_id = c.product_id),
            0
        ) AS revenue_base,
        coalesce(
            sum(CAST(a.revenue_base AS DECIMAL(18, 4)))
                FILTER (WHERE a.product_id IS DISTINCT FROM c.product_id),
            0
        ) AS other_revenue_base
    FROM clicks AS c
    INNER JOIN feedback.attribution AS a
        ON c.source = a.click_source AND c.event_id = a.click_event_id
    GROUP BY c.send_id, c.position
)

SELECT
    s.send_id,
    s.position,
    s.recommendation_id,
    s.customer_id,
    s.product_id,
    s.campaign,
    s.variant,
    s.model_version,
    s.source,
    s.reason_code,
    s.rank,
    CASE
        WHEN coalesce(o.orders, 0) = 0 THEN 'new'
        WHEN o.orders < CAST(getvariable('feedback__heavy_orders') AS BIGINT) THEN 'light'
        ELSE 'heavy'
    END AS segment,
    s.propensity,
    s.explored,
    s.as_of AS made_at,
    s.sent_at,
    m.arrived,
    (
        m.arrived
        AND m.run_is_reported
        AND s.sent_at + to_seconds(86400 * CAST(getvariable('feedback__click_days') AS DOUBLE))
        <= CAST(getvariable('as_of') AS TIMESTAMP)
    ) AS counts,
    coalesce(c.clicks, 0) AS clicks,
    c.clicked_at,
    b.purchased_at,
    coalesce(b.quantity, 0) AS quantity,
    CAST(coalesce(b.revenue_base, 0) AS DOUBLE) AS revenue_base,
    CAST(coalesce(b.other_revenue_base, 0) AS DOUBLE) AS other_revenue_base
FROM shown AS s
INNER JOIN mails AS m
    ON s.send_id = m.send_id
LEFT JOIN orders_before AS o
    ON s.send_id = o.send_id
LEFT JOIN clicked AS c
    ON s.send_id = c.send_id AND s.position = c.position
LEFT JOIN bought AS b
    ON s.send_id = b.send_id AND s.position = b.position
