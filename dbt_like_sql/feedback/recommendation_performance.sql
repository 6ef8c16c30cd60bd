-- How recommendations do: counts and rates of the places that count in
-- feedback.recommendation_outcomes, by version of the model and, within it, by one thing at a time.
-- Rates have Wilson intervals (Wilson 1927); places of one mail are opened together, so these are
-- a little too narrow. The corrected click rate is per place that was looked at, by
-- feedback.examination: lists and versions whose products stood at different places can be
-- compared by it.
-- @grain: one row per model version, dimension and value
-- @key: model_version, dimension, value
-- @owner: team:crm
-- @pii: false
-- @column model_version: Version that made the lists; 'none' without one; 'all' for every version together
-- @column dimension: all, campaign, position, segment, source, explored or day (of sending, UTC)
-- @column value: Which campaign, position ... ; 'all' for the dimension all
-- @column shown: Places that count (count)
-- @column clicked: Places that a person clicked (count)
-- @column purchased: Places whose product was bought after a click, so far (count)
-- @column revenue_base: Value of these purchases, so far (base currency)
-- @column examined: Places that were looked at, expected (count)
-- @column click_rate: clicked / shown
-- @column click_rate_low: Lower bound of click_rate
-- @column click_rate_high: Upper bound of click_rate
-- @column corrected_click_rate: clicked / examined
-- @column corrected_click_rate_low: Lower bound of corrected_click_rate
-- @column corrected_click_rate_high: Upper bound of corrected_click_rate
-- @column purchase_rate: purchased / shown
-- @column purchase_rate_low: Lower bound of purchase_rate
-- @column purchase_rate_high: Upper bound of purchase_rate
-- @rule funnel_narrows: purchased <= clicked AND clicked <= shown
WITH places AS (
    SELECT
        o.model_version,
        o.campaign,
        lpad(CAST(o.position AS VARCHAR), 2, '0') AS position,
        o.segment,
        o.source,
        CASE WHEN o.explored THEN 'yes' ELSE 'no' END AS explored,
        CAST(CAST(o.sent_at AS DATE) AS VARCHAR) AS day,
        o.clicked_at IS NOT NULL AS was_clicked,
        o.purchased_at IS NOT NULL AS was_purchased,
        CAST(o.revenue_base AS DECIMAL(18, 4)) AS revenue_base,
        CAST(coalesce(e.examination, 1) AS DECIMAL(18, 6)) AS examination
    FROM feedback.recommendation_outcomes AS o
    LEFT JOIN feedback.examination AS e
        ON o.position = e.position
    WHERE o.counts
),

counted AS (
    SELECT
        coalesce(model_version, 'all') AS model_version,
        CASE
            WHEN grouping(campaign) = 0 THEN 'campaign'
            WHEN grouping(position) = 0 THEN 'position'
            WHEN grouping(segment) = 0 THEN 'segment'
            WHEN grouping(source) = 0 THEN 'source'
            WHEN grouping(explored) = 0 THEN 'explored'
            WHEN grouping(day) = 0 THEN 'day'
            ELSE 'all'
        END AS dimension,
        coalesce(campaign, position, segment, source, explored, day, 'all') AS value,
        count(*) AS shown,
        count(*) FILTER (WHERE was_clicked) AS clicked,
        count(*) FILTER (WHERE was_clicked AND was_purchased) AS purchased,
        CAST(sum(revenue_base) AS DOUBLE) AS revenue_base,
        CAST(sum(examination) AS DOUBLE) AS examined
    FROM places
    GROUP BY GROUPING SETS (
        (model_version),
        (model_version, campaign),
        (model_version, position),
        (model_version, segment),
        (model_version, source),
        (model_version, explored),
        (model_version, day),
        (day)
    )
),

-- z, and z squared over n, once, so that the bounds below stay readable.
measured AS (
    SELECT
        *,
        CAST(getvariable('feedback__z') AS DOUBLE) AS z,
        power(CAST(getvariable('feedback__z') AS DOUBLE), 2) / shown AS zz,
        power(CAST(getvariable('feedback__z') AS DOUBLE), 2) / examined AS zz_examined,
        clicked / shown AS p_click,
        least(1, clicked / examined) AS p_corrected,
        purchased / shown AS p_purchase
    FROM counted
)

SELECT
    model_version,
    dimension,
    value,
    shown,
    clicked,
    purchased,
    revenue_base,
    examined,
    p_click AS click_rate,
    greatest(0, (p_click + zz / 2 - z * sqrt((p_click * (1 - p_click) + zz / 4) / shown)) / (1 + zz))
        AS click_rate_low,
    least(1, (p_click + zz / 2 + z * sqrt((p_click * (1 - p_click) + zz / 4) / shown)) / (1 + zz))
        AS click_rate_high,
    p_corrected AS corrected_click_rate,
    greatest(0, (
        p_corrected + zz_examined / 2
        - z * sqrt((p_corrected * (1 - p_corrected) + zz_examined / 4) / examined)
    ) / (1 + zz_examined)) AS corrected_click_rate_low,
    least(1, (
        p_corrected + zz_examined / 2
        + z * sqrt((p_corrected * (1 - p_corrected) + zz_examined / 4) / examined)
    ) / (1 + zz_examined)) AS corrected_click_rate_high,
    p_purchase AS purchase_rate,
    greatest(0, (
        p_purchase + zz / 2 - z * sqrt((p_purchase * (1 - p_purchase) + zz / 4) / shown)
    ) / (1 + zz)) AS purchase_rate_low,
    least(1, (
        p_purchase + zz / 2 + z * sqrt((p_purchase * (1 - p_purchase) + zz / 4) / shown)
    ) / (1 + zz)) AS purchase_rate_high
FROM measured
