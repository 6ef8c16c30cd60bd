-- What can be recommended, and how well it sells. Popularity is counted over a window that ends
-- with the newest purchase; products without recent buyers follow by all buyers, then by anybody's
-- interest, then the newest first. Where the shop delivers no product table, products are those of
-- its order lines.
-- @grain: one row per product
-- @key: product_id
-- @owner: team:crm
-- @pii: false
-- @column product_id: Product, as the shop names it
-- @column name: Name for people, null if the shop gives none
-- @column category: Category, null if unknown
-- @column brand: Brand, null if unknown
-- @column price_base: Price, null if unknown (base currency)
-- @column is_sellable: Active, named, launched, in stock (setting min_stock; unknown stock counts as in stock) and not excluded (setting exclude)
-- @column is_new: Sellable, launched within new_days, and fewer customers than of an average product had to do with it so far
-- @column repeatable: Consumable as stated; where not stated, whether enough buyers come back for it
-- @column recent_buyers: Customers who bought it in the popularity window (count)
-- @column buyers: Customers who ever bought it (count)
-- @column interested: Customers who had anything to do with it (count)
-- @column popularity_rank: 1 for the best seller of the products that are sellable, null for others
-- @column category_rank: The same within the category, null without a category
-- @rule ranks_go_together: (popularity_rank IS NOT NULL) = is_sellable
WITH listed AS (
    SELECT
        product_id,
        name,
        category,
        brand,
        price_base,
        is_consumable,
        launched_at,
        (
            coalesce(is_active, TRUE)
            AND coalesce(trim(name), '') <> ''
            AND coalesce(stock >= CAST(getvariable('recommendations__min_stock') AS BIGINT), TRUE)
            AND coalesce(launched_at, CAST(getvariable('as_of') AS TIMESTAMP))
            <= CAST(getvariable('as_of') AS TIMESTAMP)
        ) AS is_available
    FROM standardized.products
    QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY source) = 1
),

sold AS (
    SELECT
        product_id,
        description AS name,
        CAST(NULL AS VARCHAR) AS category,
        CAST(NULL AS VARCHAR) AS brand,
        CAST(NULL AS DOUBLE) AS price_base,
        CAST(NULL AS BOOLEAN) AS is_consumable,
        CAST(NULL AS TIMESTAMP) AS launched_at,
        TRUE AS is_available
    FROM standardized.order_lines
    WHERE product_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM listed)
    QUALIFY row_number() OVER (
        PARTITION BY product_id
        ORDER BY description IS NULL, ordered_at DESC NULLS LAST, source, order_id, line_number
    ) = 1
),

products AS (
    SELECT * FROM listed
    UNION ALL
    SELECT * FROM sold
),

excluded AS (
    SELECT DISTINCT p.product_id
    FROM products AS p
    INNER JOIN recommendations.exclusions AS e
        ON (e.product IS NULL OR regexp_matches(p.product_id, e.product))
        AND (e.category IS NULL OR p.category = e.category)
        AND (e.brand IS NULL OR p.brand = e.brand)
),

newest AS (
    SELECT max(day) AS day
    FROM recommendations.activity
    WHERE kind = 'purchase'
),

per_customer AS (
    SELECT
        a.product_id,
        a.customer_id,
        count(*) FILTER (WHERE a.kind = 'purchase') AS purchase_days,
        coalesce(
            bool_or(
                a.kind = 'purchase'
                AND date_diff('day', a.day, n.day)
                < CAST(getvariable('recommendations__popularity_days') AS BIGINT)
            ),
            FALSE
        ) AS bought_recently
    FROM recommendations.activity AS a
    CROSS JOIN newest AS n
    GROUP BY a.product_id, a.customer_id
),

demand AS (
    SELECT
        product_id,
        count(*) FILTER (WHERE bought_recently) AS recent_buyers,
        count(*) FILTER (WHERE purchase_days > 0) AS buyers,
        count(*) FILTER (WHERE purchase_days > 1) AS returning_buyers,
        count(*) AS interested
    FROM per_customer
    GROUP BY product_id
),

known AS (
    SELECT
        p.product_id,
        p.name,
        p.category,
        p.brand,
        p.price_base,
        p.launched_at,
        coalesce(p.is_available, FALSE) AND x.product_id IS NULL AS is_sellable,
        -- Fewer than ten buyers say nothing about whether buyers come back.
        coalesce(
            p.is_consumable,
            d.buyers >= 10
            AND d.returning_buyers >= d.buyers * CAST(getvariable('recommendations__repeat_share') AS DOUBLE),
            FALSE
        ) AS repeatable,
        coalesce(d.recent_buyers, 0) AS recent_buyers,
        coalesce(d.buyers, 0) AS buyers,
        coalesce(d.interested, 0) AS interested
    FROM products AS p
    LEFT JOIN demand AS d ON p.product_id = d.product_id
    LEFT JOIN excluded AS x ON p.product_id = x.product_id
)

SELECT
    product_id,
    name,
    category,
    brand,
    price_base,
    is_sellable,
    coalesce(
        is_sellable
        AND launched_at > CAST(getvariable('as_of') AS TIMESTAMP)
        - to_days(CAST(getvariable('recommendations__new_days') AS INTEGER))
        AND interested < avg(interested) OVER (PARTITION BY is_sellable),
        FALSE
    ) AS is_new,
    repeatable,
    recent_buyers,
    buyers,
    interested,
    CASE
        WHEN is_sellable
            THEN row_number() OVER (
                PARTITION BY is_sellable
                ORDER BY
                    recent_buyers DESC, buyers DESC, interested DESC,
                    launched_at DESC NULLS LAST, product_id
            )
    END AS popularity_rank,
    CASE
        WHEN is_sellable AND category IS NOT NULL
            THEN row_number() OVER (
                PARTITION BY is_sellable, category
                ORDER BY
                    recent_buyers DESC, buyers DESC, interested DESC,
                    launched_at DESC NULLS LAST, product_id
            )
    END AS category_rank
FROM known
