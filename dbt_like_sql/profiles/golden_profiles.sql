-- The golden profile: everything that is known about a customer and may be used, in one row. Each
-- part has its own table in this room, which says more about it. What is filled in and not known has
-- an origin that begins with imputed/ or third_party/, and a confidence.
-- @grain: one row per customer
-- @key: customer_id
-- @version: 2
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column household_id: Household of the person, by identity
-- @column records: Source records that are this person (count)
-- @column identity_confidence: How sure identity is that they are one person: the weakest link
-- (0-1)
-- @column given_name: First name
-- @column given_name_origin: Record behind given_name, as source/record_id
-- @column family_name: Last name
-- @column family_name_origin: Record behind family_name, as source/record_id
-- @column email: Address that mail goes to, canonical form
-- @column email_origin: Record behind email, as source/record_id
-- @column phone: Telephone number, E.164
-- @column phone_origin: Record behind phone, as source/record_id
-- @column birth_date: Date of birth
-- @column birth_date_origin: Record behind birth_date, as source/record_id
-- @column gender: female, male or other
-- @column gender_origin: Record behind gender, as source/record_id
-- @column street: Street and number
-- @column street_origin: Record behind street, as source/record_id
-- @column postcode: Postcode
-- @column postcode_origin: Record behind postcode, as source/record_id
-- @column city: Town
-- @column city_origin: Record behind city, as source/record_id
-- @column region: State or region, as its source spells it
-- @column region_origin: Record behind region, as source/record_id
-- @column country: ISO 3166-1 alpha-2 code
-- @column country_origin: Record behind country, as source/record_id
-- @column language: Language: as stated in the preference centre, else as records say (ISO
-- 639-1)
-- @column language_origin: Record behind language, as source/record_id, or profiles.preferences
-- @column account_key: Shop account, as system:number
-- @column account_key_origin: Record behind account_key, as source/record_id
-- @column loyalty_tier: Level in the loyalty programme (bronze, silver, gold, platinum)
-- @column loyalty_tier_origin: Record behind loyalty_tier, as source/record_id
-- @column loyalty_points: Points in the loyalty programme
-- @column loyalty_points_origin: Record behind loyalty_points, as source/record_id
-- @column loyalty_since: When the membership began (UTC)
-- @column loyalty_since_origin: Record behind loyalty_since, as source/record_id
-- @column attributes_updated_at: Newest update of any record of the person (UTC)
-- @column sessions_30d: Visits in the last 30 days (count); without a session id, days on a
-- device
-- @column page_views_30d: Pages viewed in the last 30 days (count)
-- @column product_views_90d: Product pages viewed in the last 90 days (count)
-- @column carts_90d: Visits in the last 90 days in which something was put into the cart
-- (count)
-- @column searches_90d: Searches in the last 90 days (count)
-- @column first_seen_at: First event ever (UTC)
-- @column last_seen_at: Latest event (UTC)
-- @column days_since_seen: Days from last_seen_at to as_of (calendar days, UTC)
-- @column last_viewed_products: Product ids viewed last, newest first, each once
-- @column last_search_term: What was searched for last
-- @column open_cart: Products in the cart that no purchase or order has emptied yet, newest
-- first
-- @column cart_items: Pieces in the open cart (count)
-- @column cart_value_base: Value of the open cart at today's prices (base currency); products
-- without a price count nothing
-- @column cart_updated_at: When something was last put into the open cart (UTC)
-- @column viewed_category: Category viewed most in the last 90 days
-- @column device_type: Kind of device used most in the last 90 days (desktop, mobile, tablet)
-- @column best_hour_web: Hour of the day with most events in the last 90 days (0-23, local
-- time)
-- @column delivered_90d: Mails delivered in the last 90 days (count)
-- @column opens_90d: Mails opened by a person in the last 90 days (count, each mail once)
-- @column machine_opens_90d: Opens by machines in the last 90 days (count of events)
-- @column clicks_90d: Mails clicked by a person in the last 90 days (count, each mail once)
-- @column open_rate: opens_90d / delivered_90d, at most 1; empty without deliveries
-- @column click_rate: clicks_90d / delivered_90d, at most 1; empty without deliveries
-- @column response_minutes: Median time from delivery to the first open or click by a person
-- (minutes), mails of the last 365 days
-- @column best_hour: Hour of the day with most opens and clicks by the person in the last 365
-- days (0-23, local time)
-- @column first_delivered_at: First delivery ever (UTC)
-- @column last_delivered_at: Latest delivery (UTC)
-- @column last_open_at: Latest open by a person (UTC)
-- @column last_click_at: Latest click by a person (UTC)
-- @column last_bounce_type: Type of the latest bounce of the address that is mailed (hard,
-- soft)
-- @column hard_bounced: The address that is mailed refused mail for good, and accepted none
-- since
-- @column complained: Somebody reported our mail as spam from one of the customer's addresses
-- @column complained_at: Latest such report (UTC)
-- @column unsubscribed: An unsubscription from one of the customer's addresses stands: no
-- opt-in in the preference centre came later
-- @column unsubscribed_at: The unsubscription that stands (UTC)
-- @column engagement_level: high, medium, low, dormant or new: by the time since the person
-- last opened or clicked; new means that there was little time to react yet
-- @column orders: Completed orders ever (count)
-- @column cancelled_orders: Orders cancelled or refunded, and returns booked as orders (count)
-- @column gross_revenue_base: Value of completed orders (base currency)
-- @column returned_base: Value given back: negative totals, whatever their status, and refunded
-- orders (base currency, positive)
-- @column revenue_base: gross_revenue_base less negative totals (base currency); a refunded
-- order was never in it
-- @column average_order_base: gross_revenue_base / orders (base currency); empty without orders
-- @column first_order_at: First completed order (UTC)
-- @column last_order_at: Latest completed order (UTC)
-- @column days_since_order: Days from last_order_at to as_of (calendar days, UTC)
-- @column days_between_orders: Mean days between completed orders; empty with fewer than two
-- @column orders_365d: Completed orders of the last 365 days (count)
-- @column revenue_365d_base: revenue_base of the last 365 days (base currency)
-- @column returned_items: Pieces sent back (count)
-- @column recency_score: 1 (longest ago) to 5 (most recent), among buyers; empty without orders
-- @column frequency_score: 1 (fewest orders) to 5 (most), among buyers; empty without orders
-- @column monetary_score: 1 (least revenue) to 5 (most), among buyers; empty without orders
-- @column segment: champion, loyal, promising, at_risk, lapsed, one_time or prospect
-- @column categories_bought: Categories with something kept, most orders first
-- @column top_category: First of categories_bought
-- @column top_brand: Brand bought in most orders
-- @column last_products: Product ids bought last and kept, newest first, each once
-- @column stated_categories: Categories of the latest statement that names any, in its order
-- @column inferred_categories: Categories by purchases, carts and views, newer ones counting
-- more (half-life: setting half_life_days), strongest first
-- @column categories: stated_categories, else inferred_categories
-- @column favourite_category: Category liked most, by statements and behaviour, else as filled in
-- @column favourite_category_origin: Record of the statement or profiles.preferences, else
-- third_party/file/row or imputed/model version
-- @column favourite_category_confidence: 1 for a fact, else how often such a value is right (0-1)
-- @column frequency: How often the customer wants mail (daily, weekly, monthly), as stated last
-- @column preferences_origin: Where categories come from: stated, inferred or none
-- @column stated_categories_origin: Record of the categories' statement, as source/record_id
-- @column preferences_stated_at: Latest statement of anything in the preference centre (UTC)
-- @column consent_email_marketing: May get promotional e-mail
-- @column consent_email_marketing_origin: Record or e-mail event that decided it, as
-- source/record_id; empty when nobody ever said anything that counts
-- @column consent_stated_at: When email_marketing was decided (UTC)
-- @column consent_email_marketing_basis: What kind of statement decided: preference_centre,
-- crm, unsubscribed, complained, elsewhere or silent; see profiles.consents
-- @column consent_personalisation: Content may be chosen by the person's behaviour
-- @column consent_personalisation_origin: Record that decided it, as source/record_id
-- @column consent_sms_marketing: May get promotional text messages
-- @column consent_sms_marketing_origin: Record that decided it, as source/record_id
-- @column consent_third_party: Data may go to third parties
-- @column consent_third_party_origin: Record that decided it, as source/record_id
-- @column region_name: Full name of the region
-- @column region_name_origin: Record the region came from, as source/record_id
-- @column time_zone: IANA time zone
-- @column time_zone_origin: Record its region or country came from, or setting/time_zone
-- @column age_band: under_18, 18-24, 25-34, 35-44, 45-54, 55-64 or 65+ at as_of, by the birth
-- date, else as filled in
-- @column age_band_origin: Record the birth date came from, as source/record_id, else
-- third_party/file/row or imputed/model version
-- @column age_band_confidence: 1 for a fact, else how often such a value is right (0-1)
-- @column urbanity: Kind of place the customer lives in, by third parties: urban, suburban or
-- rural
-- @column urbanity_origin: Where it comes from, as third_party/file/row
-- @column urbanity_confidence: How far the third party believes it (0-1)
-- @column household_size: People in the household, by third parties: 1, 2 or 3+
-- @column household_size_origin: Where it comes from, as third_party/file/row
-- @column household_size_confidence: How far the third party believes it (0-1)
-- @column is_vip: Among the customers with most revenue in the last 365 days (settings
-- vip_share and vip_min_orders)
-- @column is_vip_origin: Table that it was derived from
-- @column lifecycle: prospect (never ordered), new (first order within setting new_days),
-- active, cooling or lapsed (by days since the last order: settings active_days and
-- lapsed_days)
-- @column lifecycle_origin: Table that it was derived from
-- @rule consent_has_origin: NOT consent_email_marketing OR consent_email_marketing_origin IS NOT NULL
WITH identities AS (
    SELECT
        customer_id,
        min(household_id) AS household_id,
        count(*) AS records,
        min(confidence) AS identity_confidence
    FROM identity.links
    GROUP BY customer_id
)
SELECT
    i.customer_id,
    i.household_id,
    i.records,
    i.identity_confidence,
    a.given_name,
    a.given_name_origin,
    a.family_name,
    a.family_name_origin,
    a.email,
    a.email_origin,
    a.phone,
    a.phone_origin,
    a.birth_date,
    a.birth_date_origin,
    a.gender,
    a.gender_origin,
    a.street,
    a.street_origin,
    a.postcode,
    a.postcode_origin,
    a.city,
    a.city_origin,
    a.region,
    a.region_origin,
    a.country,
    a.country_origin,
    coalesce(p.language, a.language) AS language,
    CASE
        WHEN p.language IS NOT NULL THEN 'profiles.preferences' ELSE a.language_origin
    END AS language_origin,
    a.account_key,
    a.account_key_origin,
    a.loyalty_tier,
    a.loyalty_tier_origin,
    a.loyalty_points,
    a.loyalty_points_origin,
    a.loyalty_since,
    a.loyalty_since_origin,
    a.updated_at AS attributes_updated_at,
    b.sessions_30d,
    b.page_views_30d,
    b.product_views_90d,
    b.carts_90d,
    b.searches_90d,
    b.first_seen_at,
    b.last_seen_at,
    b.days_since_seen,
    b.last_viewed_products,
    b.last_search_term,
    b.open_cart,
    b.cart_items,
    b.cart_value_base,
    b.cart_updated_at,
    b.viewed_category,
    b.device_type,
    b.best_hour_web,
    g.delivered_90d,
    g.opens_90d,
    g.machine_opens_90d,
    g.clicks_90d,
    g.open_rate,
    g.click_rate,
    g.response_minutes,
    g.best_hour,
    g.first_delivered_at,
    g.last_delivered_at,
    g.last_open_at,
    g.last_click_at,
    g.last_bounce_type,
    g.hard_bounced,
    g.complained,
    g.complained_at,
    g.unsubscribed,
    g.unsubscribed_at,
    g.engagement_level,
    t.orders,
    t.cancelled_orders,
    t.gross_revenue_base,
    t.returned_base,
    t.revenue_base,
    t.average_order_base,
    t.first_order_at,
    t.last_order_at,
    t.days_since_order,
    t.days_between_orders,
    t.orders_365d,
    t.revenue_365d_base,
    t.returned_items,
    t.recency_score,
    t.frequency_score,
    t.monetary_score,
    t.segment,
    t.categories_bought,
    t.top_category,
    t.top_brand,
    t.last_products,
    p.stated_categories,
    p.inferred_categories,
    p.categories,
    e.favourite_category,
    e.favourite_category_origin,
    e.favourite_category_confidence,
    p.frequency,
    p.origin AS preferences_origin,
    p.stated_origin AS stated_categories_origin,
    p.stated_at AS preferences_stated_at,
    c.email_marketing AS consent_email_marketing,
    c.email_marketing_origin AS consent_email_marketing_origin,
    c.stated_at AS consent_stated_at,
    c.email_marketing_basis AS consent_email_marketing_basis,
    c.personalisation AS consent_personalisation,
    c.personalisation_origin AS consent_personalisation_origin,
    c.sms_marketing AS consent_sms_marketing,
    c.sms_marketing_origin AS consent_sms_marketing_origin,
    c.third_party AS consent_third_party,
    c.third_party_origin AS consent_third_party_origin,
    e.region_name,
    e.region_name_origin,
    e.time_zone,
    e.time_zone_origin,
    e.age_band,
    e.age_band_origin,
    e.age_band_confidence,
    e.urbanity,
    e.urbanity_origin,
    e.urbanity_confidence,
    e.household_size,
    e.household_size_origin,
    e.household_size_confidence,
    e.is_vip,
    e.is_vip_origin,
    e.lifecycle,
    e.lifecycle_origin
FROM identities AS i
LEFT JOIN profiles.attributes AS a ON a.customer_id = i.customer_id
LEFT JOIN profiles.behaviour AS b ON b.customer_id = i.customer_id
LEFT JOIN profiles.engagement AS g ON g.customer_id = i.customer_id
LEFT JOIN profiles.transactions AS t ON t.customer_id = i.customer_id
LEFT JOIN profiles.preferences AS p ON p.customer_id = i.customer_id
LEFT JOIN profiles.consents AS c ON c.customer_id = i.customer_id
LEFT JOIN profiles.enrichment AS e ON e.customer_id = i.customer_id
