-- Where a customer lives, as far as the surviving address says, and which time zone that means.
-- @grain: one row per customer
-- @key: customer_id
-- @owner: team:crm
-- @pii: false
-- @column customer_id: Stable id of the person
-- @column region_name: The region's full name where the platform knows it, else as the address has it
-- @column time_zone: IANA time zone: of the region, else of the country, else the setting time_zone
-- @column time_zone_origin: What the time zone was taken from: source/record_id of the region or
-- country, or setting/time_zone
WITH named_regions AS (
    SELECT country, region AS spelled, region_name, time_zone
    FROM profiles.time_zones
    WHERE region <> ''
    UNION
    SELECT country, upper(region_name) AS spelled, region_name, time_zone
    FROM profiles.time_zones
    WHERE region <> ''
)
SELECT
    a.customer_id,
    coalesce(r.region_name, a.region) AS region_name,
    coalesce(r.time_zone, c.time_zone, getvariable('time_zone')::VARCHAR) AS time_zone,
    CASE
        WHEN r.time_zone IS NOT NULL THEN a.region_origin
        WHEN c.time_zone IS NOT NULL THEN a.country_origin
        ELSE 'setting/time_zone'
    END AS time_zone_origin
FROM profiles.attributes AS a
LEFT JOIN named_regions AS r ON r.country = a.country AND r.spelled = upper(trim(a.region))
LEFT JOIN profiles.time_zones AS c ON c.country = a.country AND c.region = ''
