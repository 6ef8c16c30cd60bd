-- What a customer likes: what they told the preference centre, and what their purchases and visits
-- say. What was stated wins; what was inferred only fills in where nothing was stated.
-- @grain: one row per customer, empty lists where nothing is known
-- @key: customer_id
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column stated_categories: Categories of the latest statement that names any, in its order
-- @column inferred_categories: Categories by purchases, carts and views, newer ones counting more
-- (half-life: setting half_life_days), strongest first
-- @column categories: stated_categories, else inferred_categories
-- @column favourite_category: Of categories the one that behaviour favours most; of stated ones
-- without behaviour the first
-- @column frequency: How often the customer wants mail (daily, weekly, monthly), as stated last
-- @column language: Language stated last in the preference centre (ISO 639-1)
-- @column origin: Where categories come from: stated, inferred or none
-- @column stated_origin: Record of the categories' statement, as source/record_id
-- @column stated_at: Latest statement of anything in the preference centre (UTC)
-- @rule stated_wins: len(stated_categories) = 0 OR categories = stated_categories
-- @rule origin_known: origin IN ('stated', 'inferred', 'none')
WITH customers AS (
    SELECT DISTINCT customer_id FROM identity.links
),
statements AS MATERIALIZED (
    SELECT
        l.customer_id,
        p.source || '/' || p.record_id AS origin,
        p.categories,
        p.frequency,
        p.language,
        p.updated_at,
        -- Undated statements are older than dated ones; the origin makes the order total.
        (coalesce(p.updated_at, TIMESTAMP '1970-01-01'), p.source, p.record_id) AS age
    FROM standardized.preferences AS p
    INNER JOIN identity.links AS l ON l.source = p.source AND l.record_id = p.record_id
    WHERE p.updated_at IS NULL OR p.updated_at <= getvariable('as_of')::TIMESTAMP
),
stated AS (
    SELECT
        customer_id,
        max_by(categories, age) FILTER (WHERE len(categories) > 0) AS stated_categories,
        max_by(origin, age) FILTER (WHERE len(categories) > 0) AS stated_origin,
        max_by(frequency, age) FILTER (WHERE frequency IS NOT NULL) AS frequency,
        max_by(language, age) FILTER (WHERE language IS NOT NULL) AS language,
        max(updated_at) AS stated_at
    FROM statements
    GROUP BY customer_id
),
signals AS (
    SELECT
        coalesce(l.customer_id, d.customer_id) AS customer_id,
        e.product_id,
        CASE
            WHEN e.event_name = 'add_to_cart' THEN getvariable('profiles__cart_weight')
            ELSE getvariable('profiles__view_weight')
        END AS weight,
        date_diff('day', e.occurred_at, getvariable('as_of')::TIMESTAMP) AS age_days,
        count(*) AS times
    FROM standardized.web_events AS e
    LEFT JOIN identity.links AS l ON l.source = e.source AND l.record_id = e.record_id
    LEFT JOIN profiles.device_owners AS d
        ON d.device_id = CASE WHEN e.record_id IS NULL THEN e.device_id END
    WHERE e.event_name IN ('view_item', 'add_to_cart')
        AND e.product_id IS NOT NULL
        AND e.occurred_at <= getvariable('as_of')::TIMESTAMP
        AND coalesce(l.customer_id, d.customer_id) IS NOT NULL
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT
        l.customer_id,
        i.product_id,
        getvariable('profiles__purchase_weight') AS weight,
        date_diff('day', o.ordered_at, getvariable('as_of')::TIMESTAMP) AS age_days,
        count(*) AS times
    FROM standardized.orders AS o
    INNER JOIN identity.links AS l ON l.source = o.source AND l.record_id = o.record_id
    INNER JOIN standardized.order_lines AS i
        ON i.order_source = o.source AND i.order_id = o.order_id
    WHERE o.status = 'completed'
        AND i.quantity > 0
        AND i.product_id IS NOT NULL
        AND o.ordered_at <= getvariable('as_of')::TIMESTAMP
    GROUP BY 1, 2, 3, 4
),
catalogue AS (
    SELECT product_id, category
    FROM standardized.products
    QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY source) = 1
),
category_weights AS MATERIALIZED (
    SELECT
        s.customer_id,
        p.category,
        -- Decimals add up to the same whatever the order in which threads add.
        sum((s.times * s.weight * pow(
            0.5, s.age_days / getvariable('profiles__half_life_days')
        ))::DECIMAL(18, 6)) AS weight
    FROM signals AS s
    INNER JOIN catalogue AS p ON p.product_id = s.product_id
    WHERE p.category IS NOT NULL
    GROUP BY s.customer_id, p.category
),
inferred AS (
    SELECT customer_id, array_agg(category ORDER BY place) AS inferred_categories
    FROM (
        SELECT
            customer_id,
            category,
            row_number() OVER (
                PARTITION BY customer_id ORDER BY weight DESC, category
            ) AS place
        FROM category_weights
    ) AS ranked
    WHERE place <= getvariable('profiles__top_categories')
    GROUP BY customer_id
),
favourite_stated AS (
    SELECT s.customer_id, max_by(w.category, (w.weight, w.category)) AS favourite_category
    FROM stated AS s
    INNER JOIN category_weights AS w ON w.customer_id = s.customer_id
    WHERE list_contains(s.stated_categories, w.category)
    GROUP BY s.customer_id
)
SELECT
    c.customer_id,
    coalesce(s.stated_categories, []::VARCHAR[]) AS stated_categories,
    coalesce(i.inferred_categories, []::VARCHAR[]) AS inferred_categories,
    coalesce(s.stated_categories, i.inferred_categories, []::VARCHAR[]) AS categories,
    coalesce(
        f.favourite_category, s.stated_categories[1], i.inferred_categories[1]
    ) AS favourite_category,
    s.frequency,
    s.language,
    CASE
        WHEN s.stated_categories IS NOT NULL THEN 'stated'
        WHEN i.inferred_categories IS NOT NULL THEN 'inferred'
        ELSE 'none'
    END AS origin,
    s.stated_origin,
    s.stated_at
FROM customers AS c
LEFT JOIN stated AS s ON s.customer_id = c.customer_id
LEFT JOIN inferred AS i ON i.customer_id = c.customer_id
LEFT JOIN favourite_stated AS f ON f.customer_id = c.customer_id
