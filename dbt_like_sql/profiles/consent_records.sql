-- Whose yes counts for a customer. That two records are one person is mostly a probability, and a
-- wrong one must not let anybody be written to who never agreed. So a record may say yes to mail only
-- if it holds the very address that is mailed, or is tied to a record that does without any
-- probability: an exact duplicate, the same account, or a person's decision (certain_id of
-- identity.links_strict). For text messages the same holds with the phone number that is used.
--
-- Only the yes depends on this. A no counts whichever record of the customer says it.
-- @grain: one row per record that may say yes for its customer
-- @key: source, record_id
-- @owner: team:crm
-- @pii: true
-- @column source: Name of the source the record came from
-- @column record_id: The record's id in that source
-- @column customer_id: Stable id of the person
-- @column by_email: Its yes counts for what is sent to the address in profiles.attributes, and for
-- what is done with the data behind it
-- @column by_phone: Its yes counts for text messages to the number in profiles.attributes
-- @rule says_yes_to_something: by_email OR by_phone
WITH holders AS (
    -- The record that the address or the number was taken from, and all others that hold it.
    SELECT
        l.customer_id,
        l.certain_id,
        coalesce(r.email = a.email, false)
            OR coalesce(a.email_origin = l.source || '/' || l.record_id, false) AS has_email,
        coalesce(r.phone = a.phone, false)
            OR coalesce(a.phone_origin = l.source || '/' || l.record_id, false) AS has_phone
    FROM identity.links_strict AS l
    INNER JOIN profiles.attributes AS a ON a.customer_id = l.customer_id
    LEFT JOIN identity.records AS r ON r.source = l.source AND r.record_id = l.record_id
    WHERE a.email IS NOT NULL OR a.phone IS NOT NULL
),
groups AS (
    SELECT
        customer_id,
        certain_id,
        bool_or(has_email) AS by_email,
        bool_or(has_phone) AS by_phone
    FROM holders
    WHERE has_email OR has_phone
    GROUP BY customer_id, certain_id
)
SELECT l.source, l.record_id, l.customer_id, g.by_email, g.by_phone
FROM identity.links_strict AS l
INNER JOIN groups AS g ON g.customer_id = l.customer_id AND g.certain_id = l.certain_id
