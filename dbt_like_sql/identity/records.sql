-- Every record that can name a person, from all systems: contacts, members, preferences, accounts
-- and guests with orders, mailboxes with e-mail events, social handles, accounts seen on the web.
-- Where several tables of one source speak of the same record, the table that knows people best wins
-- attribute by attribute; within orders the latest filled-in value. A full name in one column is
-- split: "Family, Given", else the last word and the particles before it are the family name.
-- @grain: one row per source record that can name a person
-- @key: source, record_id
-- @owner: team:crm
-- @pii: true
-- @column source: Name of the source the record came from
-- @column record_id: The record's id in that source, as the standardized tables carry it
-- @column entity: Standardized table that describes the record best
-- @column account_key: Shop account, '<system>:<id>'; equal keys are one person
-- @column given_name: Given name or names
-- @column family_name: Family name
-- @column email: E-mail address
-- @column phone: Phone number, E.164 where it could be read
-- @column birth_date: Date of birth
-- @column street: Street and house number
-- @column postcode: Postal code
-- @column city: Town
-- @column country: Country, ISO 3166-1 alpha-2
-- @column device_id: Browser or app most used when logged in
-- @column updated_at: When the record last changed or was last seen (UTC)
WITH latest_orders AS (
    SELECT
        source,
        record_id,
        max_by(account_key, coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE account_key IS NOT NULL) AS account_key,
        max_by(given_name, coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE given_name IS NOT NULL) AS given_name,
        max_by(family_name, coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE family_name IS NOT NULL) AS family_name,
        max_by(full_name, coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE full_name IS NOT NULL) AS full_name,
        max_by(email, coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE email IS NOT NULL) AS email,
        max_by(phone, coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE phone IS NOT NULL) AS phone,
        max_by(street, coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE street IS NOT NULL) AS street,
        -- Parts of one address stay together: what the latest address lacks is not filled from an
        -- older one. Empty text stands in for null, which max_by would skip.
        nullif(max_by(coalesce(postcode, ''),
            coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE street IS NOT NULL OR postcode IS NOT NULL), '') AS postcode,
        nullif(max_by(coalesce(city, ''),
            coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE street IS NOT NULL OR city IS NOT NULL), '') AS city,
        max_by(country, coalesce(CAST(ordered_at AS VARCHAR), '') || '!' || order_id)
            FILTER (WHERE country IS NOT NULL) AS country,
        max(ordered_at) AS updated_at
    FROM standardized.orders
    WHERE record_id IS NOT NULL
    GROUP BY source, record_id
),

device_use AS (
    SELECT
        source,
        record_id,
        max(account_key) AS account_key,
        device_id,
        count(*) AS events,
        max(occurred_at) AS updated_at
    FROM standardized.web_events
    WHERE record_id IS NOT NULL
    GROUP BY source, record_id, device_id
),

logged_in AS (
    SELECT
        source,
        record_id,
        max(account_key) AS account_key,
        min_by(device_id, lpad(CAST(1000000000000 - events AS VARCHAR), 13, '0') || device_id)
            FILTER (WHERE device_id IS NOT NULL) AS device_id,
        max(updated_at) AS updated_at
    FROM device_use
    GROUP BY source, record_id
),

handles AS (
    SELECT
        source,
        record_id,
        max_by(full_name, CAST(occurred_at AS VARCHAR) || '!' || activity_id)
            FILTER (WHERE full_name IS NOT NULL) AS full_name,
        max_by(email, CAST(occurred_at AS VARCHAR) || '!' || activity_id)
            FILTER (WHERE email IS NOT NULL) AS email,
        max(occurred_at) AS updated_at
    FROM standardized.social_activity
    WHERE record_id IS NOT NULL
    GROUP BY source, record_id
),

mailboxes AS (
    SELECT source, record_id, max(email) AS email, max(occurred_at) AS updated_at
    FROM standardized.email_events
    WHERE record_id IS NOT NULL
    GROUP BY source, record_id
),

every AS (
    SELECT
        1 AS place, 'crm_contacts' AS entity, source, record_id, account_key, given_name,
        family_name, full_name, email, phone, birth_date, street, postcode, city, country,
        device_id, coalesce(updated_at, created_at) AS updated_at
    FROM standardized.crm_contacts
    WHERE record_id IS NOT NULL
    UNION ALL
    SELECT
        2 AS place, 'loyalty_members' AS entity, source, record_id, account_key, given_name,
        family_name, full_name, email, phone, birth_date, street, postcode, city, country,
        NULL AS device_id, coalesce(updated_at, enrolled_at) AS updated_at
    FROM standardized.loyalty_members
    WHERE record_id IS NOT NULL
    UNION ALL
    SELECT
        3 AS place, 'orders' AS entity, source, record_id, account_key, given_name,
        family_name, full_name, email, phone, NULL AS birth_date, street, postcode, city, country,
        NULL AS device_id, updated_at
    FROM latest_orders
    UNION ALL
    SELECT
        4 AS place, 'preferences' AS entity, source, record_id, account_key, NULL AS given_name,
        NULL AS family_name, NULL AS full_name, email, NULL AS phone, NULL AS birth_date,
        NULL AS street, NULL AS postcode, NULL AS city, NULL AS country, NULL AS device_id,
        updated_at
    FROM standardized.preferences
    WHERE record_id IS NOT NULL
    UNION ALL
    SELECT
        5 AS place, 'social_activity' AS entity, source, record_id, NULL AS account_key,
        NULL AS given_name, NULL AS family_name, full_name, email, NULL AS phone,
        NULL AS birth_date, NULL AS street, NULL AS postcode, NULL AS city, NULL AS country,
        NULL AS device_id, updated_at
    FROM handles
    UNION ALL
    SELECT
        6 AS place, 'email_events' AS entity, source, record_id, NULL AS account_key,
        NULL AS given_name, NULL AS family_name, NULL AS full_name, email, NULL AS phone,
        NULL AS birth_date, NULL AS street, NULL AS postcode, NULL AS city, NULL AS country,
        NULL AS device_id, updated_at
    FROM mailboxes
    UNION ALL
    SELECT
        7 AS place, 'web_events' AS entity, source, record_id, account_key, NULL AS given_name,
        NULL AS family_name, NULL AS full_name, NULL AS email, NULL AS phone, NULL AS birth_date,
        NULL AS street, NULL AS postcode, NULL AS city, NULL AS country, device_id, updated_at
    FROM logged_in
),

named AS (
    SELECT
        *,
        CASE
            WHEN given_name IS NOT NULL OR family_name IS NOT NULL THEN given_name
            WHEN full_name LIKE '%,%' THEN nullif(trim(split_part(full_name, ',', 2)), '')
            WHEN trim(full_name) LIKE '% %' THEN nullif(trim(regexp_extract(trim(full_name),
                '^(.*?)\s+((?:(?i:van|von|vom|zu|zum|zur|de|der|den|del|della|di|da|dos|das|du|la|le|bin|ter|ten|y|st\.?)\s+)*\S+)$',
                1)), '')
            ELSE nullif(trim(full_name), '')
        END AS given,
        CASE
            WHEN given_name IS NOT NULL OR family_name IS NOT NULL THEN family_name
            WHEN full_name LIKE '%,%' THEN nullif(trim(split_part(full_name, ',', 1)), '')
            WHEN trim(full_name) LIKE '% %' THEN nullif(trim(regexp_extract(trim(full_name),
                '^(.*?)\s+((?:(?i:van|von|vom|zu|zum|zur|de|der|den|del|della|di|da|dos|das|du|la|le|bin|ter|ten|y|st\.?)\s+)*\S+)$',
                2)), '')
        END AS family
    FROM every
)

SELECT
    source,
    record_id,
    min_by(entity, place) AS entity,
    min_by(account_key, place) FILTER (WHERE account_key IS NOT NULL) AS account_key,
    nullif(min_by(coalesce(given, ''), place)
        FILTER (WHERE given IS NOT NULL OR family IS NOT NULL), '') AS given_name,
    nullif(min_by(coalesce(family, ''), place)
        FILTER (WHERE given IS NOT NULL OR family IS NOT NULL), '') AS family_name,
    min_by(email, place) FILTER (WHERE email IS NOT NULL) AS email,
    min_by(phone, place) FILTER (WHERE phone IS NOT NULL) AS phone,
    min_by(CAST(birth_date AS DATE), place) FILTER (WHERE birth_date IS NOT NULL) AS birth_date,
    nullif(min_by(coalesce(street, ''), place)
        FILTER (WHERE street IS NOT NULL OR postcode IS NOT NULL), '') AS street,
    nullif(min_by(coalesce(postcode, ''), place)
        FILTER (WHERE street IS NOT NULL OR postcode IS NOT NULL), '') AS postcode,
    nullif(min_by(coalesce(city, ''), place)
        FILTER (WHERE street IS NOT NULL OR city IS NOT NULL), '') AS city,
    min_by(country, place) FILTER (WHERE country IS NOT NULL) AS country,
    min_by(device_id, place) FILTER (WHERE device_id IS NOT NULL) AS device_id,
    max(updated_at) AS updated_at
FROM named
GROUP BY source, record_id
