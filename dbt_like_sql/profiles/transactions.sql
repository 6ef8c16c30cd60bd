-- What a customer bought: orders, money, recency/frequency/monetary scores and what was in the
-- baskets. Completed orders count; refunded orders and negative amounts or quantities are returns.
-- Scores come from percent ranks among buyers, so equal customers always score equal.
-- @grain: one row per customer, zeros for those who never ordered
-- @key: customer_id
-- @owner: team:crm
-- @pii: false
-- @column customer_id: Stable id of the person
-- @column orders: Completed orders ever (count)
-- @column cancelled_orders: Orders cancelled or refunded, and returns booked as orders (count)
-- @column gross_revenue_base: Value of completed orders (base currency)
-- @column returned_base: Value given back: negative totals, whatever their status, and refunded
-- orders (base currency, positive)
-- @column revenue_base: gross_revenue_base less negative totals (base currency); a refunded order
-- was never in it
-- @column average_order_base: gross_revenue_base / orders (base currency); empty without orders
-- @column first_order_at: First completed order (UTC)
-- @column last_order_at: Latest completed order (UTC)
-- @column days_since_order: Days from last_order_at to as_of (calendar days, UTC)
-- @column days_between_orders: Mean days between completed orders; empty with fewer than two
-- @column orders_365d: Completed orders of the last 365 days (count)
-- @column revenue_365d_base: revenue_base of the last 365 days (base currency)
-- @column returned_items: Pieces sent back (count)
-- @column recency_score: 1 (longest ago) to 5 (most recent), among buyers; empty without orders
-- @column frequency_score: 1 (fewest orders) to 5 (most), among buyers; empty without orders
-- @column monetary_score: 1 (least revenue) to 5 (most), among buyers; empty without orders
-- @column segment: champion, loyal, promising, at_risk, lapsed, one_time or prospect
-- @column categories_bought: Categories with something kept, most orders first
-- @column top_category: First of categories_bought
-- @column top_brand: Brand bought in most orders
-- @column last_products: Product ids bought last and kept, newest first, each once
-- @rule scores_1_to_5: coalesce(recency_score, 1) BETWEEN 1 AND 5 AND coalesce(frequency_score, 1) BETWEEN 1 AND 5 AND coalesce(monetary_score, 1) BETWEEN 1 AND 5
-- @rule orders_in_order: first_order_at IS NULL OR first_order_at <= last_order_at
-- @rule not_in_the_future: last_order_at IS NULL OR days_since_order >= 0
-- @rule buyers_have_scores: (orders > 0) = (recency_score IS NOT NULL)
WITH customers AS (
    SELECT DISTINCT customer_id FROM identity.links
),
line_totals AS (
    SELECT order_source, order_id, sum(line_base::DECIMAL(18, 4)) AS lines_base
    FROM standardized.order_lines
    GROUP BY order_source, order_id
),
customer_orders AS MATERIALIZED (
    SELECT
        l.customer_id,
        o.source,
        o.order_id,
        o.ordered_at,
        o.status,
        coalesce(o.total_base::DECIMAL(18, 4), t.lines_base, 0) AS total,
        o.status = 'completed' AND coalesce(o.total_base, t.lines_base, 0) >= 0 AS counts
    FROM standardized.orders AS o
    INNER JOIN identity.links AS l ON l.source = o.source AND l.record_id = o.record_id
    LEFT JOIN line_totals AS t ON t.order_source = o.source AND t.order_id = o.order_id
    WHERE o.ordered_at <= getvariable('as_of')::TIMESTAMP
),
totals AS (
    SELECT
        customer_id,
        count(*) FILTER (WHERE counts) AS orders,
        count(*) FILTER (
            WHERE status IN ('cancelled', 'refunded') OR (status = 'completed' AND NOT counts)
        ) AS cancelled_orders,
        sum(CASE WHEN counts THEN total ELSE 0 END)::DOUBLE AS gross_revenue_base,
        sum(CASE WHEN total < 0 THEN -total WHEN status = 'refunded' THEN total ELSE 0 END)::DOUBLE
            AS returned_base,
        sum(CASE WHEN counts OR total < 0 THEN total ELSE 0 END)::DOUBLE AS revenue_base,
        min(ordered_at) FILTER (WHERE counts) AS first_order_at,
        max(ordered_at) FILTER (WHERE counts) AS last_order_at,
        count(*) FILTER (
            WHERE counts AND ordered_at > getvariable('as_of')::TIMESTAMP - INTERVAL 365 DAY
        ) AS orders_365d,
        sum(
            CASE
                WHEN (counts OR total < 0)
                    AND ordered_at > getvariable('as_of')::TIMESTAMP - INTERVAL 365 DAY
                    THEN total
                ELSE 0
            END
        )::DOUBLE AS revenue_365d_base
    FROM customer_orders
    GROUP BY customer_id
),
buyers AS (
    SELECT
        customer_id,
        date_diff('day', last_order_at, getvariable('as_of')::TIMESTAMP) AS days_since_order,
        1 + least(4, floor(5 * percent_rank() OVER (
            ORDER BY date_diff('day', last_order_at, getvariable('as_of')::TIMESTAMP) DESC
        )))::BIGINT AS recency_score,
        1 + least(4, floor(5 * percent_rank() OVER (ORDER BY orders)))::BIGINT AS frequency_score,
        1 + least(4, floor(5 * percent_rank() OVER (ORDER BY revenue_base)))::BIGINT
            AS monetary_score
    FROM totals
    WHERE orders > 0
),
catalogue AS (
    SELECT product_id, category, brand
    FROM standardized.products
    QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY source) = 1
),
order_lines AS MATERIALIZED (
    SELECT o.customer_id, o.source, o.order_id, o.ordered_at, i.product_id, i.quantity
    FROM standardized.order_lines AS i
    INNER JOIN customer_orders AS o ON o.source = i.order_source AND o.order_id = i.order_id
    WHERE i.product_id IS NOT NULL
        -- Pieces that never left the shop are neither bought nor returned.
        AND ((o.status = 'completed' AND i.quantity > 0) OR i.quantity < 0)
),
bought AS MATERIALIZED (
    SELECT
        customer_id,
        product_id,
        sum(CASE WHEN quantity < 0 THEN -quantity ELSE 0 END)::BIGINT AS returned,
        sum(quantity)::BIGINT AS kept,
        max(ordered_at) FILTER (WHERE quantity > 0) AS bought_at
    FROM order_lines
    GROUP BY customer_id, product_id
),
kept_lines AS MATERIALIZED (
    SELECT i.customer_id, i.source, i.order_id, p.category, p.brand
    FROM order_lines AS i
    INNER JOIN bought AS b ON b.customer_id = i.customer_id AND b.product_id = i.product_id
    INNER JOIN catalogue AS p ON p.product_id = i.product_id
    WHERE i.quantity > 0 AND b.kept > 0
),
categories AS (
    SELECT
        customer_id,
        array_agg(category ORDER BY orders DESC, category) AS categories_bought
    FROM (
        SELECT customer_id, category, count(*) AS orders
        FROM (
            SELECT DISTINCT customer_id, category, source, order_id
            FROM kept_lines
            WHERE category IS NOT NULL
        ) AS order_categories
        GROUP BY customer_id, category
    ) AS by_category
    GROUP BY customer_id
),
brands AS (
    SELECT customer_id, max_by(brand, (orders, brand)) AS top_brand
    FROM (
        SELECT customer_id, brand, count(*) AS orders
        FROM (
            SELECT DISTINCT customer_id, brand, source, order_id
            FROM kept_lines
            WHERE brand IS NOT NULL
        ) AS order_brands
        GROUP BY customer_id, brand
    ) AS by_brand
    GROUP BY customer_id
),
newest AS (
    SELECT customer_id, array_agg(product_id ORDER BY place) AS last_products
    FROM (
        SELECT
            customer_id,
            product_id,
            row_number() OVER (
                PARTITION BY customer_id ORDER BY bought_at DESC, product_id
            ) AS place
        FROM bought
        WHERE kept > 0
    ) AS ranked
    WHERE place <= getvariable('profiles__last_bought')
    GROUP BY customer_id
),
returns AS (
    SELECT customer_id, sum(returned)::BIGINT AS returned_items
    FROM bought
    GROUP BY customer_id
)
SELECT
    c.customer_id,
    coalesce(t.orders, 0) AS orders,
    coalesce(t.cancelled_orders, 0) AS cancelled_orders,
    round(coalesce(t.gross_revenue_base, 0), 2) AS gross_revenue_base,
    round(coalesce(t.returned_base, 0), 2) AS returned_base,
    round(coalesce(t.revenue_base, 0), 2) AS revenue_base,
    CASE WHEN t.orders > 0 THEN round(t.gross_revenue_base / t.orders, 2) END
        AS average_order_base,
    t.first_order_at,
    t.last_order_at,
    b.days_since_order,
    CASE
        WHEN t.orders > 1
            THEN round(date_diff('day', t.first_order_at, t.last_order_at) / (t.orders - 1), 1)
    END AS days_between_orders,
    coalesce(t.orders_365d, 0) AS orders_365d,
    round(coalesce(t.revenue_365d_base, 0), 2) AS revenue_365d_base,
    coalesce(r.returned_items, 0) AS returned_items,
    b.recency_score,
    b.frequency_score,
    b.monetary_score,
    CASE
        WHEN coalesce(t.orders, 0) = 0 THEN 'prospect'
        WHEN b.recency_score >= 4 AND b.frequency_score >= 4 AND b.monetary_score >= 4
            THEN 'champion'
        WHEN t.orders > 1 AND b.recency_score >= 3 AND b.frequency_score >= 3 THEN 'loyal'
        WHEN t.orders > 1 AND b.recency_score <= 2 AND b.frequency_score >= 3 THEN 'at_risk'
        WHEN b.recency_score >= 4 THEN 'promising'
        WHEN t.orders = 1 THEN 'one_time'
        WHEN b.recency_score >= 3 THEN 'promising'
        ELSE 'lapsed'
    END AS segment,
    coalesce(g.categories_bought, []::VARCHAR[]) AS categories_bought,
    g.categories_bought[1] AS top_category,
    d.top_brand,
    coalesce(n.last_products, []::VARCHAR[]) AS last_products
FROM customers AS c
LEFT JOIN totals AS t ON t.customer_id = c.customer_id
LEFT JOIN buyers AS b ON b.customer_id = c.customer_id
LEFT JOIN categories AS g ON g.customer_id = c.customer_id
LEFT JOIN brands AS d ON d.customer_id = c.customer_id
LEFT JOIN newest AS n ON n.customer_id = c.customer_id
LEFT JOIN returns AS r ON r.customer_id = c.customer_id
