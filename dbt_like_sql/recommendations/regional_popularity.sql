-- What sells where: best sellers of each country and of each region in it, for people about whom
-- nothing is known but where they live. The window is that of the catalogue's popularity. Places
-- with few buyers (setting region_min_buyers) have no rows: their customers get those of the
-- country, or of the whole shop.
-- @grain: one row per place and product, the 200 best of each place
-- @key: place, product_id
-- @owner: team:crm
-- @pii: false
-- @column place: A country ('DE') or a region in it ('DE/Bayern')
-- @column product_id: Product that can be sold now
-- @column recent_buyers: Customers of that place who bought it in the popularity window (count)
-- @column popularity_rank: 1 for the best seller of the place
WITH newest AS (
    SELECT max(day) AS day
    FROM recommendations.activity
    WHERE kind = 'purchase'
),

recent AS (
    SELECT DISTINCT a.customer_id, a.product_id
    FROM recommendations.activity AS a
    CROSS JOIN newest AS n
    WHERE
        a.kind = 'purchase'
        AND date_diff('day', a.day, n.day)
        < CAST(getvariable('recommendations__popularity_days') AS BIGINT)
),

lived_in AS (
    SELECT customer_id, country AS place
    FROM profiles.attributes
    WHERE country IS NOT NULL
    UNION ALL
    SELECT a.customer_id, concat(a.country, '/', p.region_name) AS place
    FROM profiles.attributes AS a
    INNER JOIN profiles.places AS p ON a.customer_id = p.customer_id
    WHERE a.country IS NOT NULL AND p.region_name IS NOT NULL
),

large AS (
    SELECT l.place
    FROM recent AS r
    INNER JOIN lived_in AS l ON r.customer_id = l.customer_id
    GROUP BY l.place
    HAVING
        count(DISTINCT r.customer_id)
        >= CAST(getvariable('recommendations__region_min_buyers') AS BIGINT)
),

sold AS (
    SELECT l.place, r.product_id, count(*) AS recent_buyers
    FROM recent AS r
    INNER JOIN lived_in AS l ON r.customer_id = l.customer_id
    INNER JOIN large AS g ON l.place = g.place
    GROUP BY l.place, r.product_id
)

SELECT
    s.place,
    s.product_id,
    s.recent_buyers,
    row_number() OVER (
        PARTITION BY s.place ORDER BY s.recent_buyers DESC, c.popularity_rank
    ) AS popularity_rank
FROM sold AS s
INNER JOIN recommendations.catalogue AS c ON s.product_id = c.product_id
WHERE c.is_sellable
QUALIFY popularity_rank <= 200
