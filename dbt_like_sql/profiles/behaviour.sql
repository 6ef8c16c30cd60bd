-- What a customer did on the web site: visits, products looked at, and the cart that was left.
-- Events without a login count for the owner of the device (profiles.device_owners).
-- @grain: one row per customer, zeros and empty lists for those who were never seen
-- @key: customer_id
-- @owner: team:crm
-- @pii: false
-- @column customer_id: Stable id of the person
-- @column sessions_30d: Visits in the last 30 days (count); without a session id, days on a device
-- @column page_views_30d: Pages viewed in the last 30 days (count)
-- @column product_views_90d: Product pages viewed in the last 90 days (count)
-- @column carts_90d: Visits in the last 90 days in which something was put into the cart (count)
-- @column searches_90d: Searches in the last 90 days (count)
-- @column first_seen_at: First event ever (UTC)
-- @column last_seen_at: Latest event (UTC)
-- @column days_since_seen: Days from last_seen_at to as_of (calendar days, UTC)
-- @column last_viewed_products: Product ids viewed last, newest first, each once
-- @column last_search_term: What was searched for last
-- @column open_cart: Products in the cart that no purchase or order has emptied yet, newest first
-- @column cart_items: Pieces in the open cart (count)
-- @column cart_value_base: Value of the open cart at today's prices (base currency); products
-- without a price count nothing
-- @column cart_updated_at: When something was last put into the open cart (UTC)
-- @column viewed_category: Category viewed most in the last 90 days
-- @column device_type: Kind of device used most in the last 90 days (desktop, mobile, tablet)
-- @column best_hour_web: Hour of the day with most events in the last 90 days (0-23, local time)
-- @rule counts_not_negative: least(sessions_30d, page_views_30d, product_views_90d, carts_90d, searches_90d) >= 0
-- @rule cart_quantities_positive: cart_items >= len(open_cart)
WITH customers AS (
    SELECT DISTINCT customer_id FROM identity.links
),
events AS MATERIALIZED (
    SELECT
        coalesce(l.customer_id, d.customer_id) AS customer_id,
        e.source,
        e.event_id,
        e.occurred_at,
        e.event_name,
        e.product_id,
        e.quantity,
        e.search_term,
        e.device_type,
        coalesce(e.device_id, e.record_id) AS device,
        e.session_id
    FROM standardized.web_events AS e
    LEFT JOIN identity.links AS l ON l.source = e.source AND l.record_id = e.record_id
    LEFT JOIN profiles.device_owners AS d
        ON d.device_id = CASE WHEN e.record_id IS NULL THEN e.device_id END
    WHERE e.occurred_at <= getvariable('as_of')::TIMESTAMP
        AND coalesce(l.customer_id, d.customer_id) IS NOT NULL
),
counts AS (
    SELECT
        customer_id,
        count(*) FILTER (
            WHERE event_name = 'page_view'
                AND occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 30 DAY
        ) AS page_views_30d,
        count(*) FILTER (
            WHERE event_name = 'view_item'
                AND occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        ) AS product_views_90d,
        count(*) FILTER (
            WHERE event_name = 'search'
                AND occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        ) AS searches_90d,
        min(occurred_at) AS first_seen_at,
        max(occurred_at) AS last_seen_at,
        max_by(search_term, (occurred_at, source, event_id))
            FILTER (WHERE event_name = 'search' AND search_term IS NOT NULL) AS last_search_term
    FROM events
    GROUP BY customer_id
),
visits AS (
    SELECT
        customer_id,
        count(*) FILTER (
            WHERE last_at > getvariable('as_of')::TIMESTAMP - INTERVAL 30 DAY
        ) AS sessions_30d,
        count(*) FILTER (WHERE carts > 0) AS carts_90d
    FROM (
        SELECT
            customer_id,
            max(occurred_at) AS last_at,
            count(*) FILTER (WHERE event_name = 'add_to_cart') AS carts
        FROM events
        WHERE occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        GROUP BY
            customer_id,
            source,
            device,
            session_id,
            CASE WHEN session_id IS NULL THEN date_trunc('day', occurred_at) END
    ) AS by_visit
    GROUP BY customer_id
),
viewed AS (
    SELECT customer_id, array_agg(product_id ORDER BY place) AS last_viewed_products
    FROM (
        SELECT
            customer_id,
            product_id,
            row_number() OVER (
                PARTITION BY customer_id ORDER BY max(occurred_at) DESC, product_id
            ) AS place
        FROM events
        WHERE event_name = 'view_item' AND product_id IS NOT NULL
        GROUP BY customer_id, product_id
    ) AS ranked
    WHERE place <= getvariable('profiles__last_viewed')
    GROUP BY customer_id
),
catalogue AS (
    SELECT product_id, category, price_base
    FROM standardized.products
    QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY source) = 1
),
categories AS (
    SELECT e.customer_id, p.category, count(*) AS views
    FROM events AS e
    INNER JOIN catalogue AS p ON p.product_id = e.product_id
    WHERE e.event_name = 'view_item'
        AND p.category IS NOT NULL
        AND e.occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
    GROUP BY e.customer_id, p.category
),
favourite_category AS (
    SELECT customer_id, max_by(category, (views, category)) AS viewed_category
    FROM categories
    GROUP BY customer_id
),
favourite_device AS (
    SELECT customer_id, max_by(device_type, (events, device_type)) AS device_type
    FROM (
        SELECT customer_id, device_type, count(*) AS events
        FROM events
        WHERE device_type IS NOT NULL
            AND occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        GROUP BY customer_id, device_type
    ) AS by_device
    GROUP BY customer_id
),
favourite_hour AS (
    SELECT customer_id, max_by(local_hour, (events, -local_hour)) AS best_hour_web
    FROM (
        SELECT
            e.customer_id,
            hour((e.occurred_at AT TIME ZONE 'UTC') AT TIME ZONE p.time_zone) AS local_hour,
            count(*) AS events
        FROM events AS e
        INNER JOIN profiles.places AS p ON p.customer_id = e.customer_id
        WHERE e.occurred_at > getvariable('as_of')::TIMESTAMP - INTERVAL 90 DAY
        GROUP BY 1, 2
    ) AS by_hour
    GROUP BY customer_id
),
purchases AS (
    -- What empties a cart: a purchase on the site, or an order in any state.
    SELECT customer_id, max(bought_at) AS bought_at
    FROM (
        SELECT customer_id, occurred_at AS bought_at
        FROM events
        WHERE event_name = 'purchase'
        UNION ALL
        SELECT
            l.customer_id,
            -- An order that has a day but no time may have been placed at any time of that day.
            CASE
                WHEN o.ordered_at = date_trunc('day', o.ordered_at)
                    THEN o.ordered_at + INTERVAL 1 DAY
                ELSE o.ordered_at
            END AS bought_at
        FROM standardized.orders AS o
        INNER JOIN identity.links AS l ON l.source = o.source AND l.record_id = o.record_id
        WHERE o.ordered_at <= getvariable('as_of')::TIMESTAMP
    ) AS both_kinds
    GROUP BY customer_id
),
cart_moves AS (
    SELECT
        e.customer_id,
        e.product_id,
        e.occurred_at,
        e.source,
        e.event_id,
        CASE
            WHEN e.event_name = 'add_to_cart' THEN coalesce(e.quantity, 1)
            -- A removal that names no quantity takes the product out altogether.
            ELSE -coalesce(e.quantity, 1000000)
        END AS moved
    FROM events AS e
    LEFT JOIN purchases AS p ON p.customer_id = e.customer_id
    WHERE e.event_name IN ('add_to_cart', 'remove_from_cart')
        AND e.product_id IS NOT NULL
        AND e.occurred_at > getvariable('as_of')::TIMESTAMP
            - getvariable('profiles__cart_days') * INTERVAL 1 DAY
        AND (p.bought_at IS NULL OR e.occurred_at > p.bought_at)
),
cart_lines AS (
    -- A cart never holds less than nothing: what was removed beyond that does not count against
    -- what is added later, hence the lowest point of the running sum.
    SELECT
        customer_id,
        product_id,
        (sum(moved) - least(min(running), 0))::BIGINT AS quantity,
        max(occurred_at) FILTER (WHERE moved > 0) AS added_at
    FROM (
        SELECT
            customer_id,
            product_id,
            occurred_at,
            moved,
            sum(moved) OVER (
                PARTITION BY customer_id, product_id
                ORDER BY occurred_at, moved DESC, source, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS running
        FROM cart_moves
    ) AS walked
    GROUP BY customer_id, product_id
),
carts AS (
    SELECT
        c.customer_id,
        array_agg(
            {'product_id': c.product_id, 'quantity': c.quantity}
            ORDER BY c.added_at DESC, c.product_id
        ) AS open_cart,
        sum(c.quantity)::BIGINT AS cart_items,
        -- Decimals add up to the same whatever the order in which threads add.
        round(sum((c.quantity * p.price_base)::DECIMAL(18, 4))::DOUBLE, 2) AS cart_value_base,
        max(c.added_at) AS cart_updated_at
    FROM cart_lines AS c
    LEFT JOIN catalogue AS p ON p.product_id = c.product_id
    WHERE c.quantity > 0
    GROUP BY c.customer_id
)
SELECT
    b.customer_id,
    coalesce(s.sessions_30d, 0) AS sessions_30d,
    coalesce(n.page_views_30d, 0) AS page_views_30d,
    coalesce(n.product_views_90d, 0) AS product_views_90d,
    coalesce(s.carts_90d, 0) AS carts_90d,
    coalesce(n.searches_90d, 0) AS searches_90d,
    n.first_seen_at,
    n.last_seen_at,
    date_diff('day', n.last_seen_at, getvariable('as_of')::TIMESTAMP) AS days_since_seen,
    coalesce(v.last_viewed_products, []::VARCHAR[]) AS last_viewed_products,
    n.last_search_term,
    coalesce(c.open_cart, []::STRUCT(product_id VARCHAR, quantity BIGINT)[]) AS open_cart,
    coalesce(c.cart_items, 0) AS cart_items,
    coalesce(c.cart_value_base, 0.0) AS cart_value_base,
    c.cart_updated_at,
    f.viewed_category,
    d.device_type,
    h.best_hour_web
FROM customers AS b
LEFT JOIN counts AS n ON n.customer_id = b.customer_id
LEFT JOIN visits AS s ON s.customer_id = b.customer_id
LEFT JOIN viewed AS v ON v.customer_id = b.customer_id
LEFT JOIN carts AS c ON c.customer_id = b.customer_id
LEFT JOIN favourite_category AS f ON f.customer_id = b.customer_id
LEFT JOIN favourite_device AS d ON d.customer_id = b.customer_id
LEFT JOIN favourite_hour AS h ON h.customer_id = b.customer_id
