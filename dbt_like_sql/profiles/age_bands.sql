-- Age bands of customers whose birth date is known and can be true.
-- @grain: one row per customer with a believable birth date
-- @key: customer_id
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column age_band: under_18, 18-24, 25-34, 35-44, 45-54, 55-64 or 65+ at as_of
-- @column age_band_origin: Record the birth date came from, as source/record_id
WITH ages AS (
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
    customer_id,
    CASE
        WHEN age < 18 THEN 'under_18'
        WHEN age < 25 THEN '18-24'
        WHEN age < 35 THEN '25-34'
        WHEN age < 45 THEN '35-44'
        WHEN age < 55 THEN '45-54'
        WHEN age < 65 THEN '55-64'
        ELSE '65+'
    END AS age_band,
    birth_date_origin AS age_band_origin
FROM ages
WHERE age BETWEEN 0 AND 119
