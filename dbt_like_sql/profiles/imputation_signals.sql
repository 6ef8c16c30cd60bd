-- What missing attributes may be predicted from. Only customers who agreed to personalisation are
-- here: nobody else is predicted for, learned from, or used as a hint about somebody they live with.
-- Gender is left out on purpose. Numbers come in coarse steps, as words.
-- @grain: one row per customer who agreed to personalisation
-- @key: customer_id
-- @owner: team:data
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column household_id: Household of the person, by identity
-- @column age_band: Known age band (fact)
-- @column favourite_category: Known favourite category (fact)
-- @column given_name: First word of the first name, small letters: names have fashions
-- @column birth_year_hint: Number in the e-mail address that looks like a birth year: yNNNN (start
-- of five years) for four digits, tNN (start of five years) for two digits at the end
-- @column country: ISO 3166-1 alpha-2 code
-- @column region_name: Full name of the region
-- @column language: ISO 639-1 code
-- @column loyalty_tier: Level in the loyalty programme
-- @column loyalty_years: Whole years in the loyalty programme, at most 5
-- @column device_type: Kind of device used most
-- @column web_hours: Part of the day with most visits, in four hours
-- @column engagement_level: How the customer reacts to mail
-- @column order_count: Completed orders: 0, 1, 2, 3-5 or 6+
-- @column basket: Value of the mean order: power of two (base currency)
-- @column channel: Channel of most orders
-- @column categories_bought: Categories with something kept
-- @column clicked_category: Category clicked most in mails
-- @column social_category: Category of most activity on social networks
-- @column household_members: Customers in the household who agreed to personalisation: 1, 2, 3 or 4+
-- @column household_age_band: Known age band of another of them (the oldest)
-- @column household_category: Known favourite category of another of them
WITH people AS MATERIALIZED (
    SELECT
        c.customer_id,
        h.household_id,
        a.age_band,
        p.favourite_category
    FROM profiles.consents AS c
    INNER JOIN (
        SELECT customer_id, min(household_id) AS household_id
        FROM identity.links
        GROUP BY customer_id
    ) AS h ON h.customer_id = c.customer_id
    LEFT JOIN profiles.age_bands AS a ON a.customer_id = c.customer_id
    LEFT JOIN profiles.preferences AS p ON p.customer_id = c.customer_id
    WHERE c.personalisation
),
companions AS (
    SELECT
        i.customer_id,
        count(*) + 1 AS members,
        max_by(
            o.age_band,
            (CASE WHEN o.age_band = 'under_18' THEN '0' ELSE o.age_band END, o.customer_id)
        ) FILTER (WHERE o.age_band IS NOT NULL) AS age_band,
        min_by(o.favourite_category, o.customer_id)
            FILTER (WHERE o.favourite_category IS NOT NULL) AS favourite_category
    FROM people AS i
    INNER JOIN people AS o
        ON o.household_id = i.household_id AND o.customer_id <> i.customer_id
    GROUP BY i.customer_id
),
catalogue AS (
    SELECT product_id, category
    FROM standardized.products
    WHERE category IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY source) = 1
),
clicks AS (
    SELECT customer_id, max_by(category, (times, category)) AS category
    FROM (
        SELECT l.customer_id, c.category, count(*) AS times
        FROM standardized.email_events AS e
        INNER JOIN identity.links AS l ON l.source = e.source AND l.record_id = e.record_id
        INNER JOIN catalogue AS c ON c.product_id = e.product_id
        WHERE e.event_type = 'click'
            AND NOT coalesce(e.is_machine, false)
            AND e.occurred_at <= getvariable('as_of')::TIMESTAMP
        GROUP BY l.customer_id, c.category
    ) AS counted
    GROUP BY customer_id
),
social AS (
    SELECT customer_id, max_by(category, (times, category)) AS category
    FROM (
        SELECT l.customer_id, s.category, count(*) AS times
        FROM standardized.social_activity AS s
        INNER JOIN identity.links AS l ON l.source = s.source AND l.record_id = s.record_id
        WHERE s.category IS NOT NULL AND s.occurred_at <= getvariable('as_of')::TIMESTAMP
        GROUP BY l.customer_id, s.category
    ) AS counted
    GROUP BY customer_id
),
channels AS (
    SELECT customer_id, max_by(channel, (times, channel)) AS channel
    FROM (
        SELECT l.customer_id, o.channel, count(*) AS times
        FROM standardized.orders AS o
        INNER JOIN identity.links AS l ON l.source = o.source AND l.record_id = o.record_id
        WHERE o.channel IS NOT NULL AND o.ordered_at <= getvariable('as_of')::TIMESTAMP
        GROUP BY l.customer_id, o.channel
    ) AS counted
    GROUP BY customer_id
),
addresses AS (
    SELECT
        customer_id,
        lower(regexp_extract(given_name, '^[^ -]+')) AS given_name,
        regexp_extract(split_part(email, '@', 1), '(19[3-9][0-9]|20[01][0-9])', 1) AS year_of_four,
        regexp_extract(split_part(email, '@', 1), '[^0-9]([0-9][0-9])$', 1) AS year_of_two
    FROM profiles.attributes
)
SELECT
    p.customer_id,
    p.household_id,
    p.age_band,
    p.favourite_category,
    nullif(n.given_name, '') AS given_name,
    CASE
        WHEN n.year_of_four <> '' THEN 'y' || (n.year_of_four::BIGINT // 5 * 5)::VARCHAR
        WHEN n.year_of_two <> '' THEN 't' || (n.year_of_two::BIGINT // 5 * 5)::VARCHAR
    END AS birth_year_hint,
    a.country,
    w.region_name,
    a.language,
    a.loyalty_tier,
    least(
        date_diff('day', a.loyalty_since, getvariable('as_of')::TIMESTAMP) // 365, 5
    )::VARCHAR AS loyalty_years,
    b.device_type,
    (b.best_hour_web // 4 * 4)::VARCHAR AS web_hours,
    e.engagement_level,
    CASE
        WHEN t.orders <= 2 THEN t.orders::VARCHAR
        WHEN t.orders <= 5 THEN '3-5'
        ELSE '6+'
    END AS order_count,
    CASE WHEN t.average_order_base > 0 THEN floor(log2(t.average_order_base))::BIGINT::VARCHAR END
        AS basket,
    ch.channel,
    t.categories_bought,
    k.category AS clicked_category,
    s.category AS social_category,
    CASE
        WHEN o.members IS NULL THEN '1' WHEN o.members <= 3 THEN o.members::VARCHAR ELSE '4+'
    END AS household_members,
    o.age_band AS household_age_band,
    o.favourite_category AS household_category
FROM people AS p
LEFT JOIN profiles.attributes AS a ON a.customer_id = p.customer_id
LEFT JOIN addresses AS n ON n.customer_id = p.customer_id
LEFT JOIN profiles.places AS w ON w.customer_id = p.customer_id
LEFT JOIN profiles.behaviour AS b ON b.customer_id = p.customer_id
LEFT JOIN profiles.engagement AS e ON e.customer_id = p.customer_id
LEFT JOIN profiles.transactions AS t ON t.customer_id = p.customer_id
LEFT JOIN channels AS ch ON ch.customer_id = p.customer_id
LEFT JOIN clicks AS k ON k.customer_id = p.customer_id
LEFT JOIN social AS s ON s.customer_id = p.customer_id
LEFT JOIN companions AS o ON o.customer_id = p.customer_id
