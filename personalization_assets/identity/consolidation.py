"""Customer ids that last: a cluster keeps the id that most of its records had.

An id goes to the cluster that holds most of its records, and a cluster takes the id that brings it
most records, in rounds of mutual best. Ids are never reused; every change is a row of the ledger.
An id that no cluster took is retired for ever; its records remember it, wherever they go.
"""

import datetime as dt

import duckdb


def carry_over(
    work: duckdb.DuckDBPyConnection, as_of: dt.datetime, new_model: bool = False
) -> None:
    """Build `carried` (source, record_id, cluster, customer_id) and `events` (rows for the ledger).

    Reads `clusters` (source, record_id, cluster, linked_by), `previous` (source, record_id,
    customer_id, linked_by), `ledger`, `former` (source, record_id, customer_id: retired ids that
    records once had), and `pair` and `numbered` for what people decided. A new id is 'c_' and 16
    hex digits of the sha256 of the cluster's first record and `as_of`; were it ever taken, a count
    is added. `new_model`: the pairs were scored by another model than those of the run before.

    Also builds `fate`, what became of every record of this and the former run (source, record_id,
    old and new customer, what tied it before and now), and `former_ids`, the next run's `former`.
    """
    work.execute(
        """
        CREATE OR REPLACE TABLE overlap AS
        SELECT p.customer_id, c.cluster, count(*) AS records,
            -- Records that came with another id, once, have the weaker claim on this one.
            count(*) FILTER (WHERE f.record_id IS NULL) AS native
        FROM previous AS p JOIN clusters AS c USING (source, record_id)
        LEFT JOIN (SELECT DISTINCT source, record_id FROM former) AS f USING (source, record_id)
        GROUP BY p.customer_id, c.cluster;
        """
    )
    work.execute(
        """
        CREATE OR REPLACE TABLE born AS
        SELECT customer_id, min(as_of) AS as_of FROM ledger WHERE event IN ('create', 'split')
        GROUP BY customer_id
        """
    )
    work.execute("CREATE OR REPLACE TABLE assigned (cluster BIGINT, customer_id VARCHAR)")
    while work.sql("SELECT count(*) FROM overlap").fetchall()[0][0]:
        work.execute(
            """
            CREATE OR REPLACE TABLE best AS
            SELECT cluster, customer_id FROM (
                SELECT o.*,
                    row_number() OVER (PARTITION BY cluster
                        ORDER BY records DESC, born.as_of NULLS LAST, customer_id) AS by_cluster,
                    row_number() OVER (PARTITION BY customer_id
                        ORDER BY records DESC, native DESC, cluster) AS by_customer
                FROM overlap AS o LEFT JOIN born USING (customer_id)
            ) WHERE by_cluster = 1 AND by_customer = 1
            """
        )
        work.execute("INSERT INTO assigned SELECT * FROM best")
        work.execute(
            """
            CREATE OR REPLACE TABLE overlap AS SELECT o.* FROM overlap AS o
            ANTI JOIN best AS a ON a.cluster = o.cluster
            ANTI JOIN best AS b ON b.customer_id = o.customer_id
            """
        )
    _new_ids(work, as_of)
    work.execute(
        """
        CREATE OR REPLACE TABLE carried AS
        SELECT c.source, c.record_id, c.cluster, a.customer_id
        FROM clusters AS c JOIN assigned AS a ON a.cluster = c.cluster
        """
    )
    work.execute(_FATE)
    work.execute(_FORMER_IDS)
    _events(work, as_of, new_model)


def _new_ids(work: duckdb.DuckDBPyConnection, as_of: dt.datetime) -> None:
    """Give clusters without an id a fresh one, never one that was used before."""
    work.execute(
        """
        CREATE OR REPLACE TABLE used AS
        SELECT customer_id FROM ledger UNION SELECT other_customer_id FROM ledger
        UNION SELECT customer_id FROM previous
        """
    )
    attempt = 0
    while True:
        salt = as_of.isoformat() + (f"#{attempt}" if attempt else "")
        added = work.execute(
            """
            INSERT INTO assigned
            WITH fresh AS (
                SELECT cluster,
                    'c_' || sha256(min(source || chr(31) || record_id) || chr(31) || ?)[1:16]
                        AS customer_id
                FROM clusters ANTI JOIN assigned USING (cluster) GROUP BY cluster
            )
            SELECT cluster, customer_id FROM fresh ANTI JOIN used USING (customer_id)
            QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY cluster) = 1
            """,
            [salt],
        ).fetchall()[0][0]
        work.execute(
            "INSERT INTO used SELECT customer_id FROM assigned ANTI JOIN used USING (customer_id)"
        )
        left = work.sql(
            "SELECT count(DISTINCT cluster) FROM clusters ANTI JOIN assigned USING (cluster)"
        ).fetchall()[0][0]
        if not left or (not added and attempt > 9):
            return
        attempt += 1


_FATE = """
CREATE OR REPLACE TABLE fate AS
SELECT source, record_id, p.customer_id AS old, a.customer_id AS new, p.linked_by AS tied_before,
    c.linked_by AS tied_now
FROM (clusters AS c JOIN assigned AS a USING (cluster))
FULL JOIN previous AS p USING (source, record_id)
"""

# Erased records take their memory with them.
_FORMER_IDS = """
CREATE OR REPLACE TABLE former_ids AS
SELECT f.source, f.record_id, f.customer_id
FROM former AS f SEMI JOIN clusters USING (source, record_id)
UNION
SELECT source, record_id, old FROM fate
ANTI JOIN (SELECT customer_id AS old FROM assigned) AS alive USING (old)
WHERE old IS NOT NULL AND new IS NOT NULL
ORDER BY ALL
"""

# Which moves a person is behind: a verdict that binds now and did not hold before brought the two
# together or apart; or a tie that only a verdict had made is gone, with it or with a record.
_DECIDED = """
CREATE OR REPLACE TABLE decided_moves AS
WITH verdict AS (
    SELECT a.source, a.record_id, b.source AS other_source, b.record_id AS other_record_id,
        p.p > 0.5 AS same
    FROM pair AS p JOIN numbered AS a ON a.rid = p.l JOIN numbered AS b ON b.rid = p.r
    WHERE p.cause = 'decision'
),
ends AS (
    SELECT * FROM verdict
    UNION ALL SELECT other_source, other_record_id, source, record_id, same FROM verdict
)
SELECT a.old, a.new, 'verdict' AS by
FROM ends AS e
JOIN fate AS a ON a.source = e.source AND a.record_id = e.record_id
JOIN fate AS b ON b.source = e.other_source AND b.record_id = e.other_record_id
WHERE a.old <> a.new AND CASE WHEN e.same
    THEN a.new = b.new AND a.old IS DISTINCT FROM b.old ELSE a.old = b.old AND a.new <> b.new END
UNION
SELECT old, new, 'tie gone' FROM fate
WHERE old <> new AND tied_before = 'decision' AND tied_now <> 'decision'
"""


def _events(work: duckdb.DuckDBPyConnection, as_of: dt.datetime, new_model: bool) -> None:
    """What became of every id, as rows of `identity.ledger`.

    merge: `other_customer_id` is gone, its records are now `customer_id`'s. split: `customer_id` is
    new and took records from `other_customer_id`, which lives on. move: records went between two
    ids that both live on. retire: none of the id's records is left.
    """
    work.execute(_DECIDED)
    work.execute(
        """
        CREATE OR REPLACE TABLE events AS
        WITH moved AS (
            SELECT old, new, count(*) AS records FROM fate WHERE old <> new GROUP BY ALL
        ),
        before AS (
            SELECT old AS customer_id, count(*) AS records, max(new IS NULL) AS has_lost
            FROM fate WHERE old IS NOT NULL GROUP BY ALL
        ),
        after AS (
            SELECT new AS customer_id, count(*) AS records, max(old IS NULL) AS has_won
            FROM fate WHERE new IS NOT NULL GROUP BY ALL
        ),
        found AS (
            SELECT CASE WHEN o.customer_id IS NULL THEN 'merge'
                        WHEN b.customer_id IS NULL THEN 'split' ELSE 'move' END AS event,
                m.new AS customer_id, m.old AS other_customer_id, m.records,
                CASE WHEN v.old IS NOT NULL THEN 'decision'
                    -- A record that bridged two others may have gone, or come.
                    WHEN o.customer_id IS NOT NULL AND w.has_lost THEN 'records gone'
                    WHEN t.old IS NOT NULL THEN 'decision'
                    WHEN n.has_won OR o.has_won THEN 'new records'
                    WHEN $new_model THEN 'new model' ELSE 'matching' END AS cause
            FROM moved AS m
            JOIN before AS w ON w.customer_id = m.old
            JOIN after AS n ON n.customer_id = m.new
            LEFT JOIN after AS o ON o.customer_id = m.old
            LEFT JOIN before AS b ON b.customer_id = m.new
            LEFT JOIN decided_moves AS v ON v.old = m.old AND v.new = m.new AND v.by = 'verdict'
            LEFT JOIN decided_moves AS t ON t.old = m.old AND t.new = m.new AND t.by = 'tie gone'
            UNION ALL
            SELECT 'create', a.customer_id, NULL, a.records, 'new records'
            FROM after AS a
            ANTI JOIN before AS b ON b.customer_id = a.customer_id
            ANTI JOIN moved AS m ON m.new = a.customer_id
            UNION ALL
            SELECT 'retire', b.customer_id, NULL, b.records, 'records gone'
            FROM before AS b
            ANTI JOIN after AS a ON a.customer_id = b.customer_id
            ANTI JOIN moved AS m ON m.old = b.customer_id
        )
        SELECT 'e_' || sha256(concat_ws(chr(31), $as_of::TIMESTAMP, event, customer_id,
                other_customer_id, (SELECT count(*) FROM ledger)))[1:16] AS event_id,
            $as_of::TIMESTAMP AS as_of, event, customer_id, other_customer_id, records, cause
        FROM found
        ORDER BY event, customer_id, other_customer_id
        """,
        {"as_of": as_of, "new_model": new_model},
    )
