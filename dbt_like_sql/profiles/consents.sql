-- What a customer allowed, read as strictly as it can be: across all records of the person one no
-- outweighs every yes, and silence is a no.
--
-- A no travels, a yes does not: a no counts whichever of the person's records says it. A yes counts
-- only from a record that itself holds the address that is mailed (email of profiles.attributes), or
-- that is tied to such a record without any probability; profiles.consent_records lists them. So
-- nobody gets mail because a model took them for somebody who agreed. personalisation and
-- third_party go by the same address: what is chosen, or handed on, is chosen and handed on for it.
-- sms_marketing goes by the phone number of profiles.attributes in the same way. Who has no address
-- has agreed to nothing that needs one, who has no number to no text message.
--
-- For e-mail marketing the preference centre is asked first. An opt-in of the CRM counts only while
-- the preference centre says nothing; an opt-out of the CRM counts then too, and also when it is
-- newer than everything the preference centre says. A yes that does not count is not said. A no that
-- somebody else stated for the very address that is mailed counts; somebody else's yes does not. An
-- unsubscription or a spam report revokes, unless the preference centre holds a later opt-in that
-- counts.
-- @grain: one row per customer
-- @key: customer_id
-- @version: 2
-- @owner: team:crm
-- @pii: true
-- @column customer_id: Stable id of the person
-- @column email_marketing: May get promotional e-mail
-- @column email_marketing_origin: Record or e-mail event that decided it, as source/record_id; empty
-- when nobody ever said anything that counts
-- @column stated_at: When email_marketing was decided (UTC)
-- @column email_marketing_basis: What kind of statement decided: preference_centre, crm,
-- unsubscribed, complained, elsewhere (somebody said yes, but no record that is certainly that of
-- the address mailed) or silent
-- @column personalisation: Content may be chosen by the person's behaviour
-- @column personalisation_origin: Record that decided it, as source/record_id
-- @column sms_marketing: May get promotional text messages
-- @column sms_marketing_origin: Record that decided it, as source/record_id
-- @column third_party: Data may go to third parties
-- @column third_party_origin: Record that decided it, as source/record_id
-- @rule email_marketing_has_origin: NOT email_marketing OR email_marketing_origin IS NOT NULL
-- @rule personalisation_has_origin: NOT personalisation OR personalisation_origin IS NOT NULL
-- @rule sms_marketing_has_origin: NOT sms_marketing OR sms_marketing_origin IS NOT NULL
-- @rule third_party_has_origin: NOT third_party OR third_party_origin IS NOT NULL
WITH own_statements AS MATERIALIZED (
    -- A yes that is dated after as_of is not known yet; a no counts as soon as anybody has it.
    SELECT
        customer_id,
        origin,
        said_at,
        CASE WHEN (is_known AND by_email) OR NOT email_marketing THEN email_marketing END
            AS email_marketing,
        CASE WHEN (is_known AND by_email) OR NOT personalisation THEN personalisation END
            AS personalisation,
        CASE WHEN (is_known AND by_phone) OR NOT sms_marketing THEN sms_marketing END
            AS sms_marketing,
        CASE WHEN (is_known AND by_email) OR NOT third_party THEN third_party END AS third_party,
        is_known AND email_marketing AND NOT by_email AS yes_elsewhere
    FROM (
        SELECT
            l.customer_id,
            p.source || '/' || p.record_id AS origin,
            coalesce(p.updated_at, TIMESTAMP '1970-01-01') AS said_at,
            p.email_marketing,
            p.personalisation,
            p.sms_marketing,
            p.third_party,
            coalesce(p.updated_at <= getvariable('as_of')::TIMESTAMP, true) AS is_known,
            coalesce(y.by_email, false) AS by_email,
            coalesce(y.by_phone, false) AS by_phone
        FROM standardized.preferences AS p
        INNER JOIN identity.links AS l ON l.source = p.source AND l.record_id = p.record_id
        LEFT JOIN profiles.consent_records AS y
            ON y.source = p.source AND y.record_id = p.record_id
    ) AS said
),
crm_statements AS (
    SELECT
        l.customer_id,
        c.source || '/' || c.record_id AS origin,
        coalesce(c.updated_at, c.created_at, TIMESTAMP '1970-01-01') AS said_at,
        c.email_opt_in,
        NOT c.email_opt_in OR coalesce(y.by_email, false) AS counts
    FROM standardized.crm_contacts AS c
    INNER JOIN identity.links AS l ON l.source = c.source AND l.record_id = c.record_id
    LEFT JOIN profiles.consent_records AS y ON y.source = c.source AND y.record_id = c.record_id
    WHERE c.email_opt_in IS NOT NULL
),
yes_elsewhere AS (
    SELECT DISTINCT customer_id
    FROM (
        SELECT customer_id FROM own_statements WHERE yes_elsewhere
        UNION ALL
        SELECT customer_id FROM crm_statements WHERE NOT counts
    ) AS said
),
newest_in_centre AS (
    SELECT customer_id, max(said_at) AS said_at
    FROM own_statements
    WHERE email_marketing IS NOT NULL
    GROUP BY customer_id
),
email_statements AS (
    SELECT customer_id, origin, said_at, email_marketing AS allowed, 'preference_centre' AS basis
    FROM own_statements
    WHERE email_marketing IS NOT NULL
    UNION ALL
    SELECT
        a.customer_id,
        p.source || '/' || p.record_id AS origin,
        coalesce(p.updated_at, TIMESTAMP '1970-01-01') AS said_at,
        false AS allowed,
        'preference_centre' AS basis
    FROM standardized.preferences AS p
    INNER JOIN profiles.attributes AS a ON a.email = p.email
    WHERE NOT p.email_marketing
    UNION ALL
    SELECT s.customer_id, s.origin, s.said_at, s.email_opt_in AS allowed, 'crm' AS basis
    FROM crm_statements AS s
    LEFT JOIN newest_in_centre AS n ON n.customer_id = s.customer_id
    WHERE s.counts
        AND (n.said_at IS NULL OR (NOT s.email_opt_in AND s.said_at > n.said_at))
    UNION ALL
    SELECT
        customer_id,
        unsubscribed_origin AS origin,
        unsubscribed_at AS said_at,
        false AS allowed,
        'unsubscribed' AS basis
    FROM profiles.engagement
    WHERE unsubscribed
    UNION ALL
    SELECT
        e.customer_id,
        e.complained_origin AS origin,
        e.complained_at AS said_at,
        false AS allowed,
        'complained' AS basis
    FROM profiles.engagement AS e
    LEFT JOIN (
        SELECT customer_id, max(said_at) AS said_at
        FROM own_statements
        WHERE email_marketing
        GROUP BY customer_id
    ) AS o ON o.customer_id = e.customer_id
    WHERE e.complained AND (o.said_at IS NULL OR o.said_at <= e.complained_at)
),
email_decisions AS (
    -- The latest of the statements that agree with the decision is its origin.
    SELECT
        customer_id,
        bool_and(allowed) AS allowed,
        max_by(
            {'origin': origin, 'said_at': said_at, 'basis': basis}, (NOT allowed, said_at, basis, origin)
        ) AS decided_by
    FROM email_statements
    GROUP BY customer_id
),
other_decisions AS (
    SELECT
        customer_id,
        bool_and(personalisation) AS personalisation,
        max_by(origin, (NOT personalisation, said_at, origin)) FILTER (
            WHERE personalisation IS NOT NULL
        ) AS personalisation_origin,
        bool_and(sms_marketing) AS sms_marketing,
        max_by(origin, (NOT sms_marketing, said_at, origin)) FILTER (
            WHERE sms_marketing IS NOT NULL
        ) AS sms_marketing_origin,
        bool_and(third_party) AS third_party,
        max_by(origin, (NOT third_party, said_at, origin)) FILTER (
            WHERE third_party IS NOT NULL
        ) AS third_party_origin
    FROM own_statements
    GROUP BY customer_id
)
SELECT
    a.customer_id,
    coalesce(e.allowed, false) AS email_marketing,
    e.decided_by.origin AS email_marketing_origin,
    nullif(e.decided_by.said_at, TIMESTAMP '1970-01-01') AS stated_at,
    coalesce(
        e.decided_by.basis, CASE WHEN w.customer_id IS NOT NULL THEN 'elsewhere' ELSE 'silent' END
    ) AS email_marketing_basis,
    coalesce(o.personalisation, false) AS personalisation,
    o.personalisation_origin,
    coalesce(o.sms_marketing, false) AS sms_marketing,
    o.sms_marketing_origin,
    coalesce(o.third_party, false) AS third_party,
    o.third_party_origin
FROM profiles.attributes AS a
LEFT JOIN email_decisions AS e ON e.customer_id = a.customer_id
LEFT JOIN other_decisions AS o ON o.customer_id = a.customer_id
LEFT JOIN yes_elsewhere AS w ON w.customer_id = a.customer_id
