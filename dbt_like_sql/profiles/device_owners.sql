-- Devices that belong to one person: every account that logged in on them, and every contact that
-- the CRM knows them by, is the same customer. What happens on such a device without a login is
-- counted for that customer; a device that two people share names nobody and is not in here.
-- @grain: one row per device that is known to belong to exactly one customer
-- @key: device_id
-- @owner: team:crm
-- @pii: true
-- @column device_id: Id of the browser or app, as the web analytics gives it
-- @column customer_id: Whose device it is
-- @column logins: Events on the device by somebody logged in, up to as_of
-- @column first_seen_at: First such event; empty when only the CRM names the device
-- @column last_seen_at: Latest such event; empty when only the CRM names the device
WITH evidence AS (
    SELECT
        e.device_id,
        -- An account that identity does not know is somebody, and not the other one.
        coalesce(l.customer_id, 'unknown:' || e.source || '/' || e.record_id) AS person,
        l.customer_id,
        count(*) AS logins,
        min(e.occurred_at) AS first_seen_at,
        max(e.occurred_at) AS last_seen_at
    FROM standardized.web_events AS e
    LEFT JOIN identity.links AS l ON l.source = e.source AND l.record_id = e.record_id
    WHERE e.device_id IS NOT NULL
        AND e.record_id IS NOT NULL
        AND e.occurred_at <= getvariable('as_of')::TIMESTAMP
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT
        c.device_id,
        l.customer_id AS person,
        l.customer_id,
        0 AS logins,
        NULL AS first_seen_at,
        NULL AS last_seen_at
    FROM standardized.crm_contacts AS c
    INNER JOIN identity.links AS l ON l.source = c.source AND l.record_id = c.record_id
    WHERE c.device_id IS NOT NULL
)
SELECT
    device_id,
    min(customer_id) AS customer_id,
    sum(logins)::BIGINT AS logins,
    min(first_seen_at) AS first_seen_at,
    max(last_seen_at) AS last_seen_at
FROM evidence
GROUP BY device_id
HAVING count(DISTINCT person) = 1 AND min(customer_id) IS NOT NULL
