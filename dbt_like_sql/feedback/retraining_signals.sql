-- Whether the current model should be trained anew, and why. One row per signal:
--   clicks         people click what this version shows clearly less than they did what models
--                  showed before: the corrected click rate of its last days against that of the
--                  weeks before them, of whichever version (versions may live for a day only, and a
--                  new one that does not bring clicks back should not stop the asking)
--   taste          what people do is spread over other categories than in the days it was trained
--                  on (population stability index)
--   new_products   share of the activity since then on products that it has never seen
--   new_customers  share of the activity since then of customers that it has never seen
--   age            days since it was trained, if there has been activity since
-- Limits are settings of the room. A training under `retrain: when_needed` asks this table as the
-- run before left it; a sensor asks for a run at once when a signal is due.
-- @grain: one row per signal; none without a current version
-- @key: signal
-- @owner: team:crm
-- @pii: false
-- @column signal: clicks, taste, new_products, new_customers or age
-- @column model_version: The current version
-- @column as_of: Time of the run (UTC)
-- @column value: What was measured; null where there is too little to measure it by
-- @column threshold: The limit that the settings name
-- @column evidence: How much it was measured on: places shown, or events since the training (count)
-- @column z: For clicks: the drop in standard errors (Wald test of two proportions), null for others
-- @column is_due: Whether this asks for a training
-- @rule due_with_a_value: NOT is_due OR value IS NOT NULL
WITH model AS (
    SELECT
        model_version,
        trained_as_of,
        window_end
    FROM recommendations.als_model
    WHERE is_current
),

days AS (
    SELECT
        CAST(p.value AS DATE) AS day,
        p.model_version = m.model_version AS is_current,
        p.clicked,
        p.examined,
        p.shown
    FROM feedback.recommendation_performance AS p
    CROSS JOIN model AS m
    WHERE p.dimension = 'day' AND p.model_version NOT IN ('all', 'none')
),

newest AS (
    SELECT max(day) AS day
    FROM days
    WHERE is_current
),

aged AS (
    SELECT
        d.*,
        date_diff('day', d.day, n.day) AS age
    FROM days AS d
    CROSS JOIN newest AS n
),

compared AS (
    SELECT
        clicked,
        CAST(examined AS DECIMAL(18, 6)) AS examined,
        shown,
        is_current AND age < CAST(getvariable('feedback__recent_days') AS BIGINT) AS is_recent,
        (
            age >= CAST(getvariable('feedback__recent_days') AS BIGINT)
            AND age - CAST(getvariable('feedback__recent_days') AS BIGINT)
            < CAST(getvariable('feedback__level_days') AS BIGINT)
        ) AS is_before
    FROM aged
),

clicks AS (
    SELECT
        sum(clicked) FILTER (WHERE is_recent) AS clicked,
        sum(examined) FILTER (WHERE is_recent) AS examined,
        sum(shown) FILTER (WHERE is_recent) AS shown,
        sum(clicked) FILTER (WHERE is_before) AS clicked_before,
        sum(examined) FILTER (WHERE is_before) AS examined_before,
        sum(shown) FILTER (WHERE is_before) AS shown_before
    FROM compared
),

rates AS (
    SELECT
        shown,
        clicked / CAST(examined AS DOUBLE) AS rate,
        clicked_before / CAST(examined_before AS DOUBLE) AS rate_before,
        (clicked + clicked_before)
        / (CAST(examined AS DOUBLE) + CAST(examined_before AS DOUBLE)) AS pooled,
        1 / CAST(examined AS DOUBLE) + 1 / CAST(examined_before AS DOUBLE) AS inverse_n
    FROM clicks
    WHERE
        least(shown, shown_before) >= CAST(getvariable('feedback__drop_shown') AS BIGINT)
        AND clicked_before > 0
),

drop_of_clicks AS (
    SELECT
        shown,
        1 - rate / rate_before AS fall,
        (rate_before - rate) / sqrt(greatest(pooled * (1 - pooled) * inverse_n, 1e-12)) AS z
    FROM rates
),

activity AS (
    SELECT
        coalesce(c.category, '(none)') AS category,
        a.events,
        a.day > m.window_end AS is_new,
        f.key IS NULL AS is_new_product,
        k.key IS NULL AS is_new_customer
    FROM recommendations.activity AS a
    CROSS JOIN model AS m
    LEFT JOIN recommendations.catalogue AS c
        ON a.product_id = c.product_id
    LEFT JOIN recommendations.als_factors AS f
        ON m.model_version = f.model_version AND f.side = 'product' AND a.product_id = f.key
    LEFT JOIN (
        -- Whom the model has seen: had anything to do with a product up to its last day.
        SELECT DISTINCT b.customer_id AS key
        FROM recommendations.activity AS b
        CROSS JOIN model AS w
        WHERE b.day <= w.window_end
    ) AS k
        ON a.customer_id = k.key
    WHERE
        a.day <= CAST(CAST(getvariable('as_of') AS TIMESTAMP) AS DATE)
        AND date_diff('day', a.day, m.window_end)
        < CAST(getvariable('feedback__taste_days') AS BIGINT)
),

totals AS (
    SELECT
        coalesce(sum(events) FILTER (WHERE is_new), 0) AS since,
        coalesce(sum(events) FILTER (WHERE NOT is_new), 0) AS before,
        coalesce(sum(events) FILTER (WHERE is_new AND is_new_product), 0) AS of_new_products,
        coalesce(sum(events) FILTER (WHERE is_new AND is_new_customer), 0) AS of_new_customers,
        count(DISTINCT category) AS categories
    FROM activity
),

-- Half an event more in each category: one that is missing on a side would make the index infinite.
shares AS (
    SELECT
        c.category,
        (c.since + 0.5) / (t.since + 0.5 * t.categories) AS p,
        (c.before + 0.5) / (t.before + 0.5 * t.categories) AS q
    FROM (
        SELECT
            category,
            coalesce(sum(events) FILTER (WHERE is_new), 0) AS since,
            coalesce(sum(events) FILTER (WHERE NOT is_new), 0) AS before
        FROM activity
        GROUP BY category
    ) AS c
    CROSS JOIN totals AS t
),

stability AS (
    SELECT CAST(sum(CAST((p - q) * ln(p / q) AS DECIMAL(18, 9))) AS DOUBLE) AS psi
    FROM shares
),

signals AS (
    SELECT
        'clicks' AS signal,
        (SELECT fall FROM drop_of_clicks) AS value,
        CAST(getvariable('feedback__click_drop') AS DOUBLE) AS threshold,
        coalesce((SELECT shown FROM drop_of_clicks), 0) AS evidence,
        (SELECT z FROM drop_of_clicks) AS z
    UNION ALL
    SELECT
        'taste' AS signal,
        s.psi AS value,
        CAST(getvariable('feedback__taste_psi') AS DOUBLE) AS threshold,
        t.since AS evidence,
        NULL AS z
    FROM stability AS s
    CROSS JOIN totals AS t
    UNION ALL
    SELECT
        'new_products' AS signal,
        t.of_new_products / nullif(t.since, 0) AS value,
        CAST(getvariable('feedback__new_products_share') AS DOUBLE) AS threshold,
        t.since AS evidence,
        NULL AS z
    FROM totals AS t
    UNION ALL
    SELECT
        'new_customers' AS signal,
        t.of_new_customers / nullif(t.since, 0) AS value,
        CAST(getvariable('feedback__new_customers_share') AS DOUBLE) AS threshold,
        t.since AS evidence,
        NULL AS z
    FROM totals AS t
    UNION ALL
    SELECT
        'age' AS signal,
        date_diff('second', m.trained_as_of, CAST(getvariable('as_of') AS TIMESTAMP))
        / 86400.0 AS value,
        CAST(getvariable('feedback__model_days') AS DOUBLE) AS threshold,
        t.since AS evidence,
        NULL AS z
    FROM model AS m
    CROSS JOIN totals AS t
)

SELECT
    s.signal,
    m.model_version,
    CAST(getvariable('as_of') AS TIMESTAMP) AS as_of,
    CASE
        WHEN
            s.signal IN ('clicks', 'age')
            OR s.evidence >= CAST(getvariable('feedback__taste_events') AS BIGINT)
            THEN s.value
    END AS value,
    s.threshold,
    CAST(s.evidence AS BIGINT) AS evidence,
    s.z,
    coalesce(
        CASE s.signal
            WHEN 'clicks'
                THEN
                    s.value >= s.threshold
                    AND s.z >= CAST(getvariable('feedback__click_drop_z') AS DOUBLE)
            WHEN 'age' THEN s.value >= s.threshold AND s.evidence > 0
            ELSE
                s.value >= s.threshold
                AND s.evidence >= CAST(getvariable('feedback__taste_events') AS BIGINT)
        END, FALSE
    ) AS is_due
FROM signals AS s
CROSS JOIN model AS m
