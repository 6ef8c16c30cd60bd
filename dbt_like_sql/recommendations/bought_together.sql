-- Which products go into the same basket: pairs that one customer bought on one day, more often
-- than their popularity explains. The score is the cosine of the two products' baskets, shrunk
-- where few baskets hold both: n / sqrt(n1 * n2) * n / (n + 5). Baskets of more than 50 products are
-- left out: wholesalers' orders say little about what goes together, and cost the square of
-- their length.
-- @grain: one row per product and other product, the 50 best of each product
-- @key: product_id, other_product_id
-- @owner: team:crm
-- @pii: false
-- @column product_id: Product
-- @column other_product_id: Bought with it
-- @column baskets: Baskets that hold both (count)
-- @column score: Shrunk cosine, 0 to 1
-- @rule score_0_to_1: score > 0 AND score <= 1
WITH baskets AS (
    SELECT
        customer_id,
        day,
        product_id,
        count(*) OVER (PARTITION BY customer_id, day) AS products
    FROM recommendations.activity
    WHERE kind = 'purchase' AND day <= CAST(CAST(getvariable('as_of') AS TIMESTAMP) AS DATE)
),

small AS (
    SELECT customer_id, day, product_id
    FROM baskets
    WHERE products BETWEEN 2 AND 50
),

sizes AS (
    SELECT product_id, count(*) AS baskets
    FROM small
    GROUP BY product_id
),

pairs AS (
    SELECT a.product_id, b.product_id AS other_product_id, count(*) AS baskets
    FROM small AS a
    INNER JOIN small AS b
        ON a.customer_id = b.customer_id AND a.day = b.day AND a.product_id <> b.product_id
    GROUP BY a.product_id, b.product_id
    HAVING count(*) >= 2
),

scored AS (
    SELECT
        p.product_id,
        p.other_product_id,
        p.baskets,
        p.baskets / sqrt(CAST(l.baskets AS DOUBLE) * r.baskets) * p.baskets / (p.baskets + 5.0)
            AS score
    FROM pairs AS p
    INNER JOIN sizes AS l ON p.product_id = l.product_id
    INNER JOIN sizes AS r ON p.other_product_id = r.product_id
)

SELECT product_id, other_product_id, baskets, score
FROM scored
QUALIFY row_number() OVER (
    PARTITION BY product_id ORDER BY score DESC, other_product_id
) <= 50
