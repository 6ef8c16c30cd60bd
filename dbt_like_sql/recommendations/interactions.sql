-- How much each customer has had to do with each product: counts by kind, and one weight that
-- fades with age. Age is counted from the newest day of activity up to the run's time, so a shop
-- without news keeps its weights; only ratios of weights mean something. Evaluation runs this same
-- statement with an earlier `as_of`: nothing after that moment is seen.
-- @grain: one row per customer and product they had to do with
-- @key: customer_id, product_id
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column product_id: Product, as the shop names it
-- @column weight: Sum over kinds and days of the kind's weight x count (capped per day) x 0.5 ^ (age / half life)
-- @column views: Product views (count, capped per day)
-- @column carts: Additions to a cart (count, capped per day)
-- @column purchases: Orders that hold the product (count, capped per day)
-- @column clicks: Clicks on the product in a mail, by people (count, capped per day)
-- @column last_at: Last interaction (UTC)
-- @column last_purchase_at: Last purchase, null if never bought (UTC)
-- @rule weight_positive: weight > 0
WITH days AS (
    SELECT
        customer_id,
        product_id,
        kind,
        day,
        last_at,
        least(events, CAST(getvariable('recommendations__max_per_day') AS BIGINT)) AS events
    FROM recommendations.activity
    WHERE day <= CAST(CAST(getvariable('as_of') AS TIMESTAMP) AS DATE)
),

newest AS (
    SELECT max(day) AS day
    FROM days
),

weighed AS (
    SELECT
        d.*,
        CASE d.kind
            WHEN 'view' THEN CAST(getvariable('recommendations__weight_view') AS DOUBLE)
            WHEN 'click' THEN CAST(getvariable('recommendations__weight_click') AS DOUBLE)
            WHEN 'cart' THEN CAST(getvariable('recommendations__weight_cart') AS DOUBLE)
            ELSE CAST(getvariable('recommendations__weight_purchase') AS DOUBLE)
        END * d.events * power(
            0.5,
            date_diff('day', d.day, n.day)
            / CAST(getvariable('recommendations__half_life_days') AS DOUBLE)
        ) AS weight
    FROM days AS d
    CROSS JOIN newest AS n
)

-- Summed as whole millionths: a sum of doubles would depend on the order threads deliver them in.
SELECT
    customer_id,
    product_id,
    sum(CAST(greatest(round(weight * 1e6), 1) AS BIGINT)) / 1e6 AS weight,
    CAST(coalesce(sum(events) FILTER (WHERE kind = 'view'), 0) AS BIGINT) AS views,
    CAST(coalesce(sum(events) FILTER (WHERE kind = 'cart'), 0) AS BIGINT) AS carts,
    CAST(coalesce(sum(events) FILTER (WHERE kind = 'purchase'), 0) AS BIGINT) AS purchases,
    CAST(coalesce(sum(events) FILTER (WHERE kind = 'click'), 0) AS BIGINT) AS clicks,
    max(last_at) AS last_at,
    max(last_at) FILTER (WHERE kind = 'purchase') AS last_purchase_at
FROM weighed
GROUP BY customer_id, product_id
