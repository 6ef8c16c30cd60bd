"""Records to customers: clusters of scored pairs, ids that last, households, doubts for review.

Reads tables of a working connection: `numbered` and `pair` (see `matching.match_pairs`); and of the
run before: `previous` (source, record_id, customer_id, linked_by), `ledger` and `former` (source,
record_id, customer_id: retired ids).
"""

import datetime as dt
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personalization_assets.identity.bonds import bonds
from personalization_assets.identity.clustering import (
    ACCOUNT,
    DECISION,
    VETO,
    Clusters,
    Pairs,
    cluster,
    evidence,
)
from personalization_assets.identity.consolidation import carry_over
from personalization_assets.identity.matching import components
from personalization_assets.identity.owners import give_to_owners
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.strict import strict_links
from personalization_assets.identity.workspace import create

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Linked:
    """Rows of the tables that are published together; of the ledger, those that are to be added."""

    links: pa.Table
    events: pa.Table
    review_queue: pa.Table
    links_strict: pa.Table
    former_ids: pa.Table


def link(
    work: duckdb.DuckDBPyConnection,
    share: float,
    home_share: float | None,
    settings: IdentitySettings,
    as_of: dt.datetime,
    version: str = "",
    new_model: bool = False,
) -> Linked:
    """Who is who. Of all pairs, `share` are one person and `home_share` live together.

    `version` is the model's that scored them; `new_model` says that the last run had another one.
    Leaves `fate` and `events` on the connection: see `consolidation` and `gate`.
    """
    remember(work)
    size = int(work.sql("SELECT count(*) FROM numbered").fetchall()[0][0])
    clusters = cluster_pairs(work, size, share, home_share, settings)
    put(work, "cluster_of", {"rid": np.arange(size), "cluster": clusters.labels})
    bonds(work, clusters.labels)
    work.execute(
        """
        CREATE OR REPLACE TABLE clusters AS
        SELECT n.source, n.record_id, c.cluster, b.linked_by, b.confidence
        FROM numbered AS n
        JOIN cluster_of AS c ON c.rid = n.rid
        JOIN bonds AS b ON b.rid = n.rid
        """
    )
    carry_over(work, as_of, new_model)
    households(work, settings)
    links = work.sql(
        """
        SELECT c.source, c.record_id, c.customer_id, h.household_id, c.confidence, c.linked_by
        FROM (
            SELECT c.source, c.record_id, c.customer_id, k.confidence, k.linked_by
            FROM carried AS c JOIN clusters AS k USING (source, record_id)
            UNION ALL
            SELECT source, record_id, customer_id, confidence, linked_by FROM beside
        ) AS c
        JOIN households AS h USING (customer_id)
        ORDER BY c.source, c.record_id
        """
    ).to_arrow_table()
    return Linked(
        links,
        work.sql("FROM events").to_arrow_table(),
        _review_queue(work, clusters, settings),
        strict_links(work, settings, version),
        work.sql("SELECT * FROM former_ids ORDER BY ALL").to_arrow_table(),
    )


def whole_ledger(work: duckdb.DuckDBPyConnection) -> pa.Table:
    """The ledger with what `link` has added to it."""
    return work.sql(
        """
        SELECT event_id, as_of, event, customer_id, other_customer_id, records, cause
        FROM (FROM ledger UNION ALL BY NAME FROM events) ORDER BY as_of, event_id
        """
    ).to_arrow_table()


def remember(work: duckdb.DuckDBPyConnection) -> None:
    """What the run before left; what it did not know yet is empty."""
    work.execute("ALTER TABLE previous ADD COLUMN IF NOT EXISTS linked_by VARCHAR")
    work.execute(
        "CREATE TABLE IF NOT EXISTS former (source VARCHAR, record_id VARCHAR, customer_id VARCHAR)"
    )


def cluster_pairs(
    work: duckdb.DuckDBPyConnection,
    size: int,
    share: float,
    home_share: float | None,
    settings: IdentitySettings,
) -> Clusters:
    """Cluster first records of nodes; exact duplicates then follow their first record."""
    rows = work.sql(
        """SELECT l, r, weight, p, p_home, cause = 'account' AS account,
            cause = 'decision' AS decided, cause = 'veto' AS vetoed
        FROM pair WHERE cause IN ('model', 'account', 'decision', 'veto')"""
    ).fetchnumpy()
    p = np.asarray(rows["p"], np.float64)
    value = evidence(
        np.asarray(rows["weight"], np.float64),
        p,
        np.asarray(rows["p_home"], np.float64),
        share,
        home_share,
    )
    account = np.asarray(rows["account"], bool)
    decided = np.asarray(rows["decided"], bool)
    value = np.where(account, ACCOUNT, value)
    value = np.where(np.asarray(rows["vetoed"], bool), -VETO, value)
    value = np.where(decided, np.where(p > 0.5, DECISION, -DECISION), value)
    edge = (p >= settings.match_threshold) | account
    clusters = cluster(
        Pairs(np.asarray(rows["l"], np.int64), np.asarray(rows["r"], np.int64), value, edge),
        size,
        settings,
    )
    exact = work.sql("SELECT l, r FROM pair WHERE cause = 'exact'").fetchnumpy()
    clusters.labels[np.asarray(exact["r"])] = clusters.labels[np.asarray(exact["l"])]
    owned = work.sql(
        """
        SELECT if(ends_with(cause, '_l'), r, l) AS faint,
            if(ends_with(cause, '_l'), l, r) AS user, p, starts_with(cause, 'owner') AS by_use
        FROM pair WHERE contains(cause, '_') ORDER BY faint, user
        """
    ).fetchall()
    clusters.labels = give_to_owners(clusters.labels, owned, settings.match_threshold)
    return clusters


def households(work: duckdb.DuckDBPyConnection, settings: IdentitySettings) -> None:
    """Build `households` (customer_id, household_id): customers whose records live together.

    Reads `pair`, `cluster_of`, `carried` (cluster, customer_id), `beside` and `beside_pairs`. A
    chain of neighbours in one block of flats is not a household: groups above the size limit are
    cut at stricter probabilities, then taken apart.
    """
    # A cluster is named by one of its records, so positions of records number the clusters.
    placed = work.sql(
        "FROM cluster_of UNION ALL SELECT rid, min(rid) OVER (PARTITION BY customer_id) FROM beside"
    ).fetchnumpy()
    size = len(placed["rid"])
    cluster_of = np.empty(size, np.int64)
    cluster_of[placed["rid"]] = placed["cluster"]
    rows = work.sql(housed(settings)).fetchnumpy()
    left, right = cluster_of[rows["l"]], cluster_of[rows["r"]]
    apart = left != right
    left, right, p = left[apart], right[apart], np.asarray(rows["p_home"], np.float64)[apart]
    labels = components(left, right, size)
    for least in (0.8, 0.9, 0.95, 0.99, 0.999, 2.0):
        large = np.bincount(labels, minlength=1)[labels] > settings.max_household_size
        if not large.any():
            break
        # What one cut has parted stays apart, or a large neighbour would grow back over it.
        keep = (labels[left] == labels[right]) & ((p >= least) | ~large[left])
        labels = components(left[keep], right[keep], size)
    put(work, "household_of", {"cluster": np.arange(size), "label": labels})
    work.execute(
        """
        CREATE OR REPLACE TABLE households AS
        WITH homes AS (
            SELECT customer_id, label FROM (
                SELECT DISTINCT cluster, customer_id FROM carried
                UNION ALL
                SELECT min(rid), customer_id FROM beside GROUP BY customer_id
            )
            JOIN household_of USING (cluster)
        ),
        firsts AS (SELECT label, min(customer_id) AS first FROM homes GROUP BY label)
        SELECT customer_id, 'h_' || first[3:] AS household_id FROM homes JOIN firsts USING (label)
        """
    )


def _review_queue(
    work: duckdb.DuckDBPyConnection, clusters: Clusters, settings: IdentitySettings
) -> pa.Table:
    """Pairs and clusters that a person should look at, each pair of customers once."""
    held = clusters.held
    work.register(
        "incoming",
        pa.table(
            {
                "l": pa.array([h[0] for h in held], pa.int64()),
                "r": pa.array([h[1] for h in held], pa.int64()),
                "reason": pa.array([h[2] for h in held], pa.string()),
                "records": pa.array([h[3] for h in held], pa.int64()),
            }
        ),
    )
    rows = work.sql(
        f"""
        WITH doubtful AS (
            SELECT 'pair' AS kind, CASE WHEN p.cause = 'decision' THEN 'decided'
                    WHEN contains(p.cause, '_') THEN 'several people could be meant'
                    WHEN p.p >= {settings.match_threshold} THEN 'other records speak against it'
                    ELSE 'between the thresholds' END AS reason,
                p.l, p.r, p.p, 2 AS records,
                CASE WHEN p.cause = 'decision' THEN 'decided' ELSE 'open' END AS status
            FROM pair AS p
            JOIN cluster_of AS a ON a.rid = p.l JOIN cluster_of AS b ON b.rid = p.r
            WHERE (p.p >= {settings.review_threshold} AND a.cluster <> b.cluster)
                OR p.cause = 'decision'
            QUALIFY status = 'decided' OR row_number() OVER (
                PARTITION BY least(a.cluster, b.cluster), greatest(a.cluster, b.cluster), status
                ORDER BY p.p DESC, p.l, p.r) = 1
            UNION ALL
            SELECT 'cluster', h.reason, least(h.l, h.r), greatest(h.l, h.r), p.p, h.records, 'open'
            FROM incoming AS h
            LEFT JOIN pair AS p ON p.l = least(h.l, h.r) AND p.r = greatest(h.l, h.r)
        )
        SELECT 'q_' || sha256(concat_ws(chr(31), kind, a.source, a.record_id, b.source,
                b.record_id))[1:16] AS item_id,
            kind, reason, a.source AS source_l, a.record_id AS record_id_l, b.source AS source_r,
            b.record_id AS record_id_r, c.customer_id, d.p AS match_probability,
            d.records::BIGINT AS records, status
        FROM doubtful AS d
        JOIN numbered AS a ON a.rid = d.l
        JOIN numbered AS b ON b.rid = d.r
        JOIN carried AS c ON c.source = a.source AND c.record_id = a.record_id
        QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY d.records DESC, reason) = 1
        ORDER BY item_id
        """
    ).to_arrow_table()
    work.unregister("incoming")
    return rows


def strong(settings: IdentitySettings) -> str:
    """SQL over rows of `pair`: whether the pair may make records one person, or put them to one;
    the others only say something within a component, or of a household."""
    return f"(cause <> 'model' OR {likely(settings)})"


def likely(settings: IdentitySettings) -> str:
    """SQL over scored pairs: probable enough to be `strong` for the probability alone."""
    return f"p >= {min(settings.match_threshold, settings.review_threshold)}"


def housed(settings: IdentitySettings) -> str:
    """SELECT (l, r, p_home) of the pairs that may make a household."""
    probable = f"p_home >= {settings.household_threshold}"
    return f"""SELECT l, r, p_home FROM pair WHERE {probable}
        UNION ALL SELECT l, r, p_home FROM beside_pairs WHERE {probable}"""


def areas(work: duckdb.DuckDBPyConnection, settings: IdentitySettings) -> None:
    """Build `area_of` (rid, area, neighbourhood), each named by one of its records.

    An area are records that strong pairs connect, or an account: which of its records are one
    person is told from all of them. Who is who within it depends on no record outside. Areas that
    may share a household are a neighbourhood; who lives with whom depends on nothing outside of
    that. Reads `members`, `beside` and `beside_pairs`.
    """
    size = int(work.sql("SELECT count(*) FROM numbered").fetchall()[0][0])
    ties = f"""
        SELECT l, r FROM pair WHERE {strong(settings)}
        UNION ALL
        SELECT min(rid) OVER (PARTITION BY account_key), rid FROM members
        WHERE account_key IS NOT NULL
        """
    labels = _connected(work, ties, size)
    put(work, "area_of", {"rid": np.arange(size), "area": labels})
    work.execute("INSERT INTO area_of SELECT rid, min(rid) OVER (PARTITION BY area) FROM beside")
    size = int(work.sql("SELECT count(*) FROM area_of").fetchall()[0][0])
    ties = f"SELECT l, r FROM ({housed(settings)}) UNION ALL SELECT area, rid FROM area_of"
    labels = _connected(work, ties, size)
    put(work, "neighbourhood_of", {"rid": np.arange(size), "neighbourhood": labels})
    work.execute(
        "CREATE OR REPLACE TABLE area_of AS FROM area_of JOIN neighbourhood_of USING (rid)"
    )


def _connected(work: duckdb.DuckDBPyConnection, ties: str, size: int) -> Ints:
    rows = work.sql(ties).fetchnumpy()
    left, right = (np.asarray(column, np.int64) for column in rows.values())
    return components(left, right, size)


def put(work: duckdb.DuckDBPyConnection, name: str, columns: dict[str, Ints]) -> None:
    """Create a table of columns of equal length."""
    create(work, name, pa.table(columns))
