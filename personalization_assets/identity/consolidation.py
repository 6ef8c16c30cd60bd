"""Customer ids that last: a cluster keeps the id that most of its records had.

An id goes to the cluster that holds most of its records, and a cluster takes the id that brings it
most records, in rounds of mutual best. Ids are never reused; every change is a row of the ledger.
"""

import datetime as dt

import duckdb


def carry_over(work: duckdb.DuckDBPyConnection, as_of: dt.datetime) -> None:
    """Build `carried` (source, record_id, cluster, customer_id) and `events` (rows for the ledger).

    Reads `clusters` (source, record_id, cluster, linked_by), `previous` (source, record_id,
    customer_id) and `ledger`. A new id is 'c_' and 16 hex digits of the sha256 of the cluster's
    first record and `as_of`; were it ever taken, a count is added.
    """
    work.execute(
        """
        CREATE OR REPLACE TABLE overlap AS
        SELECT p.customer_id, c.cluster, count(*) AS records
        FROM previous AS p JOIN clusters AS c USING (source, record_id)
        GROUP BY ALL;
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
                        ORDER BY records DESC, cluster) AS by_customer
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
    _events(work, as_of)


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


def _events(work: duckdb.DuckDBPyConnection, as_of: dt.datetime) -> None:
    """What became of every id, as rows of `identity.ledger`.

    merge: `other_customer_id` is gone, its records are now `customer_id`'s. split: `customer_id` is
    new and took records from `other_customer_id`, which lives on. move: records went between two
    ids that both live on. retire: none of the id's records is left.
    """
    work.execute(
        """
        CREATE OR REPLACE TABLE events AS
        WITH moved AS (
            SELECT p.customer_id AS old, c.customer_id AS new, count(*) AS records,
                max(k.linked_by = 'decision') AS decided
            FROM previous AS p
            JOIN carried AS c USING (source, record_id)
            JOIN clusters AS k USING (source, record_id)
            WHERE p.customer_id <> c.customer_id
            GROUP BY ALL
        ),
        before AS (SELECT customer_id, count(*) AS records FROM previous GROUP BY ALL),
        after AS (
            SELECT c.customer_id, count(*) AS records, max(k.linked_by = 'decision') AS decided
            FROM carried AS c JOIN clusters AS k USING (source, record_id) GROUP BY ALL
        ),
        found AS (
            SELECT CASE WHEN o.customer_id IS NULL THEN 'merge'
                        WHEN n.customer_id IS NULL THEN 'split' ELSE 'move' END AS event,
                m.new AS customer_id, m.old AS other_customer_id, m.records,
                CASE WHEN m.decided THEN 'decision' ELSE 'matching' END AS cause
            FROM moved AS m
            LEFT JOIN after AS o ON o.customer_id = m.old
            LEFT JOIN before AS n ON n.customer_id = m.new
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
        {"as_of": as_of},
    )
