-- What follows from the facts about a customer: time zone, age band, value and life cycle, each
-- with what it was derived from.
-- @grain: one row per customer
-- @key: customer_id
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column region_name: Full name of the region
-- @column region_name_origin: Record the region came from, as source/record_id
-- @column time_zone: IANA time zone
-- @column time_zone_origin: Record its region or country came from, or setting/time_zone
-- @column age_band: under_18, 18-24, 25-34, 35-44, 45-54, 55-64 or 65+ at as_of; empty without a
-- believable birth date
-- @column age_band_origin: Record the birth date came from, as source/record_id
-- @column is_vip: Among the customers with most revenue in the last 365 days (settings vip_share and
-- vip_min_orders)
-- @column is_vip_origin: Table that it was derived from
-- @column lifecycle: prospect (never ordered), new (first order within setting new_days), active,
-- cooling or lapsed (by days since the last order: settings active_days and lapsed_days)
-- @column lifecycle_origin: Table that it was derived from
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
ages AS (
    SELECT
        customer_id,
        birth_date_origin,
        date_part('year', getvariable('as_of')::TIMESTAMP) - date_part('year', birth_date)
            - CASE
                WHEN strftime(getvariable('as_of')::TIMESTAMP, '%m%d')
                    < strftime(birth_date, '%m%d') THEN 1
                ELSE 0
            END AS age
    FROM profiles.attributes
    WHERE birth_date IS NOT NULL
)
SELECT
    t.customer_id,
    p.region_name,
    a.region_origin AS region_name_origin,
    p.time_zone,
    p.time_zone_origin,
    CASE
        WHEN g.age NOT BETWEEN 0 AND 119 THEN NULL
        WHEN g.age < 18 THEN 'under_18'
        WHEN g.age < 25 THEN '18-24'
        WHEN g.age < 35 THEN '25-34'
        WHEN g.age < 45 THEN '35-44'
        WHEN g.age < 55 THEN '45-54'
        WHEN g.age < 65 THEN '55-64'
        WHEN g.age >= 65 THEN '65+'
    END AS age_band,
    CASE WHEN g.age BETWEEN 0 AND 119 THEN g.birth_date_origin END AS age_band_origin,
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
LEFT JOIN ages AS g ON g.customer_id = t.customer_id
LEFT JOIN spenders AS s ON s.customer_id = t.customer_id
