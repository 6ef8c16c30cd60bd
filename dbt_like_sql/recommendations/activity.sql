-- What customers did with products, per day: the common ground of interactions, popularity and
-- evaluation. Only records that identity knows count; machine clicks, returns and orders that were
-- not completed don't.
-- @grain: one row per customer, product, kind and day
-- @key: customer_id, product_id, kind, day
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column product_id: Product, as the shop names it
-- @column kind: view, cart, purchase or click (in a mail)
-- @column day: Day of the interactions (UTC)
-- @column events: Interactions that day; a purchase counts once per order (count)
-- @column last_at: Last of them (UTC)
-- @rule kind_known: kind IN ('view', 'cart', 'purchase', 'click')
-- @rule events_positive: events > 0
WITH web AS (
    SELECT
        e.product_id,
        CASE e.event_name WHEN 'view_item' THEN 'view' ELSE 'cart' END AS kind,
        e.occurred_at,
        -- Without a login the device names the person, if it belongs to exactly one.
        CASE WHEN e.record_id IS NULL THEN d.customer_id ELSE k.customer_id END AS customer_id,
        count(*) OVER (
            PARTITION BY e.source, coalesce(e.record_id, e.device_id), CAST(e.occurred_at AS DATE)
        ) AS events_that_day
    FROM standardized.web_events AS e
    LEFT JOIN identity.links AS k
        ON e.source = k.source AND e.record_id = k.record_id
    LEFT JOIN profiles.device_owners AS d
        ON e.device_id = d.device_id
    WHERE
        e.event_name IN ('view_item', 'add_to_cart')
        AND e.product_id IS NOT NULL
        AND e.occurred_at <= CAST(getvariable('as_of') AS TIMESTAMP)
),

bought AS (
    SELECT
        k.customer_id,
        l.product_id,
        max(o.ordered_at) AS occurred_at
    FROM standardized.order_lines AS l
    INNER JOIN standardized.orders AS o
        ON l.order_source = o.source AND l.order_id = o.order_id
    INNER JOIN identity.links AS k
        ON o.source = k.source AND o.record_id = k.record_id
    WHERE
        o.status = 'completed'
        AND l.quantity > 0
        AND l.product_id IS NOT NULL
        AND o.ordered_at <= CAST(getvariable('as_of') AS TIMESTAMP)
    GROUP BY k.customer_id, l.product_id, l.order_source, l.order_id
),

clicked AS (
    SELECT
        k.customer_id,
        e.product_id,
        e.occurred_at
    FROM standardized.email_events AS e
    INNER JOIN identity.links AS k
        ON e.source = k.source AND e.record_id = k.record_id
    WHERE
        e.event_type = 'click'
        AND NOT coalesce(e.is_machine, FALSE)
        AND e.product_id IS NOT NULL
        AND e.occurred_at <= CAST(getvariable('as_of') AS TIMESTAMP)
),

happened AS (
    SELECT customer_id, product_id, kind, occurred_at
    FROM web
    WHERE
        customer_id IS NOT NULL
        AND events_that_day <= CAST(getvariable('recommendations__bot_events_per_day') AS BIGINT)
    UNION ALL
    SELECT customer_id, product_id, 'purchase' AS kind, occurred_at
    FROM bought
    UNION ALL
    SELECT customer_id, product_id, 'click' AS kind, occurred_at
    FROM clicked
)

SELECT
    customer_id,
    product_id,
    kind,
    CAST(occurred_at AS DATE) AS day,
    count(*) AS events,
    max(occurred_at) AS last_at
FROM happened
GROUP BY customer_id, product_id, kind, CAST(occurred_at AS DATE)
