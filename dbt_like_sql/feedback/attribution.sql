-- Which click in a mail is credited with a purchase: the last one by a person in the days before,
-- where a click on the very product that was bought wins over a later click on another (a setting).
-- A bought line is credited at most once; what was bought without a click is not in here.
-- Read from the mail provider's events and the shop's orders alone, so mails sent before this
-- platform existed count too.
-- @grain: one row per completed order line that a click is credited with
-- @key: line_source, order_id, line_number
-- @owner: team:crm
-- @pii: true
-- @column order_source: Source of the order
-- @column line_source: Source of the line, which may be another
-- @column order_id: Order
-- @column line_number: Line of the order
-- @column customer_id: Who clicked and bought
-- @column product_id: Product bought
-- @column ordered_at: Time of the order (UTC)
-- @column quantity: Pieces bought (count)
-- @column revenue_base: Value of the line (base currency)
-- @column click_source: Source of the click
-- @column click_event_id: The click that is credited
-- @column clicked_at: Time of the click (UTC)
-- @column clicked_product_id: Product clicked on, null for other links
-- @column campaign: Campaign of the mail, as the provider names it
-- @column send_id: The mail, as the provider names it
-- @column matched_by: product: the click was on the product bought; any: on something else
-- @column hours_to_purchase: From click to order (hours)
-- @rule click_before_purchase: clicked_at <= ordered_at
-- @rule matched_by_known: matched_by IN ('product', 'any')
WITH clicks AS (
    SELECT
        k.customer_id,
        e.source AS click_source,
        e.event_id AS click_event_id,
        e.occurred_at AS clicked_at,
        e.product_id AS clicked_product_id,
        e.campaign,
        e.send_id
    FROM standardized.email_events AS e
    INNER JOIN identity.links AS k
        ON e.source = k.source AND e.record_id = k.record_id
    WHERE
        e.event_type = 'click'
        AND NOT coalesce(e.is_machine, FALSE)
        AND e.occurred_at <= CAST(getvariable('as_of') AS TIMESTAMP)
),

bought AS (
    SELECT
        k.customer_id,
        l.order_source,
        l.source AS line_source,
        l.order_id,
        l.line_number,
        l.product_id,
        o.ordered_at,
        l.quantity,
        coalesce(l.line_base, 0) AS revenue_base
    FROM standardized.order_lines AS l
    INNER JOIN standardized.orders AS o
        ON l.order_source = o.source AND l.order_id = o.order_id
    INNER JOIN identity.links AS k
        ON o.source = k.source AND o.record_id = k.record_id
    WHERE
        o.status = 'completed'
        AND l.quantity > 0
        AND o.ordered_at <= CAST(getvariable('as_of') AS TIMESTAMP)
),

pairs AS (
    SELECT
        b.*,
        c.click_source,
        c.click_event_id,
        c.clicked_at,
        c.clicked_product_id,
        c.campaign,
        c.send_id,
        coalesce(c.clicked_product_id = b.product_id, FALSE) AS is_same_product,
        date_diff('second', c.clicked_at, b.ordered_at) / 3600.0 AS hours_to_purchase
    FROM bought AS b
    INNER JOIN clicks AS c
        ON b.customer_id = c.customer_id AND b.ordered_at >= c.clicked_at
)

SELECT
    order_source,
    line_source,
    order_id,
    line_number,
    customer_id,
    product_id,
    ordered_at,
    quantity,
    revenue_base,
    click_source,
    click_event_id,
    clicked_at,
    clicked_product_id,
    campaign,
    send_id,
    CASE WHEN is_same_product THEN 'product' ELSE 'any' END AS matched_by,
    hours_to_purchase
FROM pairs
WHERE hours_to_purchase <= 24 * CAST(getvariable('feedback__attribution_days') AS DOUBLE)
QUALIFY row_number() OVER (
    PARTITION BY line_source, order_id, line_number
    ORDER BY
        CASE
            WHEN CAST(getvariable('feedback__prefer_same_product') AS BOOLEAN) AND is_same_product
                THEN 0
            ELSE 1
        END,
        clicked_at DESC,
        click_source,
        click_event_id DESC
) = 1
