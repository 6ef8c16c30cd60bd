-- Where a retired customer id leads now. Every id that was ever retired stays here for ever: what
-- was written with it (a link in an old mail, a segment in another system) can still be understood.
--
-- The records that had the id when it was retired say where: most of them are now the customer's
-- that it leads to. After a wrong merge was split again the id so follows its own person and not the
-- one it was mixed up with. Where none of these records is left the merges of the ledger are
-- followed, each of them only if the customer on the way has not given away records since:
-- otherwise nobody knows whose they were, and the id leads nowhere.
-- @grain: one row per retired customer id
-- @key: retired_id
-- @owner: team:crm
-- @pii: false
-- @column retired_id: The id that is no longer in use, and never will be
-- @column customer_id: The id that stands for it now; empty when its records are gone
-- @column retired_at: Time of the run that retired it (UTC)
-- @column found_by: records: its records are there; merges: its records are gone, and the customer
-- it was merged into lives on; empty when customer_id is
-- @column records: How many of the records that had the id are customer_id's now (count)
-- @column customers: Among how many customers these records are spread now (count)
-- @rule leads_elsewhere: customer_id <> retired_id
WITH RECURSIVE retired AS (
    SELECT retired_id, max(as_of) AS retired_at
    FROM (
        SELECT other_customer_id AS retired_id, as_of
        FROM identity.ledger
        WHERE event = 'merge'
        UNION ALL
        SELECT customer_id AS retired_id, as_of
        FROM identity.ledger
        WHERE event = 'retire'
    ) AS gone
    GROUP BY retired_id
),
heirs AS (
    SELECT f.customer_id AS retired_id, l.customer_id, count(*) AS records
    FROM identity.former_ids AS f
    INNER JOIN identity.links AS l ON l.source = f.source AND l.record_id = f.record_id
    GROUP BY f.customer_id, l.customer_id
),
by_records AS (
    SELECT
        retired_id,
        customer_id,
        records,
        row_number() OVER (PARTITION BY retired_id ORDER BY records DESC, customer_id) AS place,
        count(*) OVER (PARTITION BY retired_id) AS customers
    FROM heirs
),
given_away AS (
    SELECT other_customer_id AS customer_id, max(as_of) AS as_of
    FROM identity.ledger
    WHERE event IN ('split', 'move')
    GROUP BY other_customer_id
),
merges AS (
    SELECT
        other_customer_id AS merged_id,
        customer_id,
        as_of,
        row_number() OVER (
            PARTITION BY other_customer_id ORDER BY records DESC, customer_id
        ) AS place
    FROM identity.ledger
    WHERE event = 'merge'
),
steps AS (
    SELECT m.merged_id, m.customer_id
    FROM merges AS m
    LEFT JOIN given_away AS g ON g.customer_id = m.customer_id
    WHERE m.place = 1 AND (g.as_of IS NULL OR g.as_of < m.as_of)
),
chain AS (
    SELECT retired_id, retired_id AS customer_id, 0 AS length
    FROM retired
    UNION ALL
    -- Merges cannot go in a circle, since no id comes back; should the ledger be damaged, this ends.
    SELECT c.retired_id, s.customer_id, c.length + 1 AS length
    FROM chain AS c
    INNER JOIN steps AS s ON s.merged_id = c.customer_id
    WHERE c.length < 1000
),
by_merges AS (
    SELECT c.retired_id, min(c.customer_id) AS customer_id
    FROM chain AS c
    INNER JOIN (SELECT DISTINCT customer_id FROM identity.links) AS l
        ON l.customer_id = c.customer_id
    GROUP BY c.retired_id
)
SELECT
    r.retired_id,
    coalesce(b.customer_id, m.customer_id) AS customer_id,
    r.retired_at,
    CASE WHEN b.customer_id IS NOT NULL THEN 'records' WHEN m.customer_id IS NOT NULL THEN 'merges' END
        AS found_by,
    coalesce(b.records, 0) AS records,
    coalesce(b.customers, 0) AS customers
FROM retired AS r
LEFT JOIN by_records AS b ON b.retired_id = r.retired_id AND b.place = 1
LEFT JOIN by_merges AS m ON m.retired_id = r.retired_id
