-- What follows from the facts about a customer: time zone, age band, value and life cycle, each
-- with what it was derived from; and what was filled in where a fact is missing
-- (profiles.imputations). A fact always wins: its confidence is 1 and its origin is a record or a
-- table. What was filled in has an origin that begins with imputed/ or third_party/.
-- @grain: one row per customer
-- @key: customer_id
-- @version: 2
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column region_name: Full name of the region
-- @column region_name_origin: Record the region came from, as source/record_id
-- @column time_zone: IANA time zone
-- @column time_zone_origin: Record its region or country came from, or setting/time_zone
-- @column age_band: under_18, 18-24, 25-34, 35-44, 45-54, 55-64 or 65+ at as_of, by the birth date,
-- else as filled in
-- @column age_band_origin: Record the birth date came from, as source/record_id, else
-- third_party/file/row or imputed/model version
-- @column age_band_confidence: 1 for a fact, else how often such a value is right (0-1)
-- @column favourite_category: Category liked most, by statements and behaviour, else as filled in
-- @column favourite_category_origin: Record of the statement or profiles.preferences, else
-- third_party/file/row or imputed/model version
-- @column favourite_category_confidence: 1 for a fact, else how often such a value is right (0-1)
-- @column urbanity: Kind of place the customer lives in, by third parties: urban, suburban or rural
-- @column urbanity_origin: Where it comes from, as third_party/file/row
-- @column urbanity_confidence: How far the third party believes it (0-1)
-- @column household_size: People in the household, by third parties: 1, 2 or 3+
-- @column household_size_origin: Where it comes from, as third_party/file/row
-- @column household_size_confidence: How far the third party believes it (0-1)
-- @column is_vip: Among the customers with most revenue in the last 365 days (settings vip_share and
-- vip_min_orders)
-- @column is_vip_origin: Table that it was derived from
-- @column lifecycle: prospect (never ordered), new (first order within setting new_days), active,
-- cooling or lapsed (by days since the last order: settings active_days and lapsed_days)
-- @column lifecycle_origin: Table that it was derived from
-- @rule filled_in_is_marked: coalesce(age_band_confidence, 1) = 1 OR starts_with(age_band_origin, 'imputed/') OR starts_with(age_band_origin, 'third_party/')
-- @rule lifecycle_known: lifecycle IN ('prospect', 'new', 'active', 'cooling', 'lapsed')
WITH spenders AS (
    SELECT
        customer_id,
        orders_365d,
        rank() OVER (ORDER BY revenue_365d_base DESC) AS place,
        count(*) OVER () AS spenders
    FROM profiles.transactions
    WHERE revenue_365d_base > 0
),
filled AS (
    SELECT
        customer_id,
        max(value) FILTER (WHERE attribute = 'age_band') AS age_band,
        max(origin) FILTER (WHERE attribute = 'age_band') AS age_band_origin,
        max(confidence) FILTER (WHERE attribute = 'age_band') AS age_band_confidence,
        max(value) FILTER (WHERE attribute = 'favourite_category') AS category,
        max(origin) FILTER (WHERE attribute = 'favourite_category') AS category_origin,
        max(confidence) FILTER (WHERE attribute = 'favourite_category') AS category_confidence,
        max(value) FILTER (WHERE attribute = 'urbanity') AS urbanity,
        max(origin) FILTER (WHERE attribute = 'urbanity') AS urbanity_origin,
        max(confidence) FILTER (WHERE attribute = 'urbanity') AS urbanity_confidence,
        max(value) FILTER (WHERE attribute = 'household_size') AS household_size,
        max(origin) FILTER (WHERE attribute = 'household_size') AS household_size_origin,
        max(confidence) FILTER (WHERE attribute = 'household_size') AS household_size_confidence
    FROM profiles.imputations
    GROUP BY customer_id
)
SELECT
    t.customer_id,
    p.region_name,
    a.region_origin AS region_name_origin,
    p.time_zone,
    p.time_zone_origin,
    coalesce(g.age_band, f.age_band) AS age_band,
    coalesce(g.age_band_origin, f.age_band_origin) AS age_band_origin,
    CASE WHEN g.age_band IS NOT NULL THEN 1.0::DOUBLE ELSE f.age_band_confidence END
        AS age_band_confidence,
    coalesce(r.favourite_category, f.category) AS favourite_category,
    CASE
        WHEN r.favourite_category IS NULL THEN f.category_origin
        WHEN r.origin = 'stated' THEN r.stated_origin
        ELSE 'profiles.preferences'
    END AS favourite_category_origin,
    CASE WHEN r.favourite_category IS NOT NULL THEN 1.0::DOUBLE ELSE f.category_confidence END
        AS favourite_category_confidence,
    f.urbanity,
    f.urbanity_origin,
    f.urbanity_confidence,
    f.household_size,
    f.household_size_origin,
    f.household_size_confidence,
    coalesce(
        s.place <= ceil(s.spenders * getvariable('profiles__vip_share'))
        AND s.orders_365d >= getvariable('profiles__vip_min_orders'),
        false
    ) AS is_vip,
    'profiles.transactions' AS is_vip_origin,
    CASE
        WHEN t.orders = 0 THEN 'prospect'
        WHEN date_diff('day', t.first_order_at, getvariable('as_of')::TIMESTAMP)
            <= getvariable('profiles__new_days') THEN 'new'
        WHEN t.days_since_order <= getvariable('profiles__active_days') THEN 'active'
        WHEN t.days_since_order <= getvariable('profiles__lapsed_days') THEN 'cooling'
        ELSE 'lapsed'
    END AS lifecycle,
    'profiles.transactions' AS lifecycle_origin
FROM profiles.transactions AS t
LEFT JOIN profiles.attributes AS a ON a.customer_id = t.customer_id
LEFT JOIN profiles.places AS p ON p.customer_id = t.customer_id
LEFT JOIN profiles.age_bands AS g ON g.customer_id = t.customer_id
LEFT JOIN profiles.preferences AS r ON r.customer_id = t.customer_id
LEFT JOIN filled AS f ON f.customer_id = t.customer_id
LEFT JOIN spenders AS s ON s.customer_id = t.customer_id
