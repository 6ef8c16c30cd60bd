"""Scored pairs of records: candidates, pairs known for certain, and what lies inside components."""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personalization_assets.identity.blocking import account_pairs, candidate_pairs
from personalization_assets.identity.model import Model
from personalization_assets.identity.normalise import prepare
from personalization_assets.identity.owners import owners
from personalization_assets.identity.scoring import score
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.vetoes import vetoed_pairs


def match(work: duckdb.DuckDBPyConnection, model: Model, settings: IdentitySettings) -> pa.Table:
    """Rows of `identity.matches` for the tables `records` and `decisions` of the connection.

    Key (source_l, record_id_l, source_r, record_id_r), left before right in (source, record_id)
    order. See `match_pairs` for which pairs are there.
    """
    match_pairs(work, model, settings)
    return work.sql(
        f"""
        SELECT a.source AS source_l, a.record_id AS record_id_l, b.source AS source_r,
            b.record_id AS record_id_r, weight AS match_weight, p AS match_probability,
            p_home AS household_probability, cause, '{model.version}' AS model_version
        FROM pair JOIN numbered AS a ON a.rid = pair.l JOIN numbered AS b ON b.rid = pair.r
        ORDER BY pair.l, pair.r
        """
    ).to_arrow_table()


def match_pairs(work: duckdb.DuckDBPyConnection, model: Model, settings: IdentitySettings) -> None:
    """Build `numbered` (rid, source, record_id) and `pair`: what is known of pairs of records.

    `pair` has l and r (rids, l < r), weight, p, p_home and cause as in `identity.matches`. Records
    of one node are tied to its first record (cause `exact`). Inside every component that is not too
    large all pairs are there, however improbable: clustering needs them.
    """
    usable = model.comparisons
    prepare(work, settings, tuple(usable.role_mailboxes.split()), usable.extras)
    candidate_pairs(work, usable, settings)
    account_pairs(work)
    _decided_pairs(work)
    owners(work, settings)
    score(work, model, "pairs", "scored")
    vetoed_pairs(work, settings, "scored", "vetoed")
    size = int(work.sql("SELECT count(*) FROM numbered").fetchall()[0][0])
    edges = work.sql(
        f"""
        SELECT l, r FROM scored ANTI JOIN vetoed USING (l, r)
        WHERE p >= {settings.match_threshold}
            AND l NOT IN (SELECT node FROM faint) AND r NOT IN (SELECT node FROM faint)
        UNION ALL SELECT l, r FROM account_pairs
        UNION ALL SELECT l, r FROM decided_pairs WHERE verdict = 'same'
        """
    ).fetchnumpy()
    labels = components(np.asarray(edges["l"]), np.asarray(edges["r"]), size)
    _missing_pairs(work, labels, settings)
    score(work, model, "missing", "scored_missing")
    vetoed_pairs(work, settings, "scored_missing", "vetoed_missing")
    work.execute(_pair_sql(settings))


def components(left: NDArray[np.int64], right: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Label of the connected component of each of the nodes 0 .. size-1."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(size, size))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _decided_pairs(work: duckdb.DuckDBPyConnection) -> None:
    work.execute(
        """
        CREATE OR REPLACE TABLE decided_pairs AS
        SELECT least(a.node, b.node) AS l, greatest(a.node, b.node) AS r, min(verdict) AS verdict
        FROM decisions AS d
        JOIN members AS a ON a.source = d.source_l AND a.record_id = d.record_id_l
        JOIN members AS b ON b.source = d.source_r AND b.record_id = d.record_id_r
        WHERE a.node <> b.node AND verdict IN ('same', 'different')
        GROUP BY ALL
        """
    )


def _missing_pairs(
    work: duckdb.DuckDBPyConnection, labels: NDArray[np.int64], settings: IdentitySettings
) -> None:
    """Build `component` (node, label, size; two nodes or more) and `missing`: unscored pairs."""
    sizes = np.bincount(labels)
    large = np.flatnonzero(sizes[labels] > 1)
    table = pa.table({"node": large, "label": labels[large], "size": sizes[labels[large]]})
    work.register("incoming", table)
    work.execute("CREATE OR REPLACE TABLE component AS SELECT * FROM incoming")
    work.unregister("incoming")
    work.execute(
        f"""
        CREATE OR REPLACE TABLE missing AS
        SELECT a.node AS l, b.node AS r
        FROM component AS a JOIN component AS b ON a.label = b.label AND a.node < b.node
        ANTI JOIN scored AS s ON s.l = a.node AND s.r = b.node
        WHERE a.size <= {settings.max_component_size}
        UNION
        SELECT l, r FROM account_pairs ANTI JOIN scored USING (l, r)
        UNION
        SELECT l, r FROM decided_pairs ANTI JOIN scored USING (l, r)
        """
    )


def _pair_sql(settings: IdentitySettings) -> str:
    return f"""
    CREATE OR REPLACE TABLE pair AS
    WITH every AS (
        SELECT * FROM scored UNION ALL SELECT * FROM scored_missing
    ),
    -- Without a model nothing is scored, but accounts and decisions still stand.
    certain AS (
        SELECT l, r FROM account_pairs UNION SELECT l, r FROM decided_pairs
    ),
    apart AS (
        SELECT * FROM vetoed UNION ALL SELECT * FROM vetoed_missing
    ),
    rows AS (
        SELECT coalesce(e.l, c.l) AS l, coalesce(e.r, c.r) AS r,
            coalesce(e.weight, 0.0) AS weight, coalesce(e.p, 0.0) AS p,
            coalesce(e.p_home, 0.0) AS p_home,
            d.verdict,
            k.l IS NOT NULL AS account, v.l IS NOT NULL AS vetoed,
            x.label IS NOT NULL AND x.label = y.label AS inside,
            f.node IS NOT NULL AS faint_l, g.node IS NOT NULL AS faint_r
        FROM every AS e
        FULL JOIN certain AS c ON c.l = e.l AND c.r = e.r
        LEFT JOIN decided_pairs AS d ON d.l = coalesce(e.l, c.l) AND d.r = coalesce(e.r, c.r)
        LEFT JOIN account_pairs AS k ON k.l = coalesce(e.l, c.l) AND k.r = coalesce(e.r, c.r)
        LEFT JOIN apart AS v ON v.l = coalesce(e.l, c.l) AND v.r = coalesce(e.r, c.r)
        LEFT JOIN component AS x ON x.node = coalesce(e.l, c.l)
        LEFT JOIN component AS y ON y.node = coalesce(e.r, c.r)
        LEFT JOIN faint AS f ON f.node = coalesce(e.l, c.l)
        LEFT JOIN faint AS g ON g.node = coalesce(e.r, c.r)
        WHERE f.node IS NULL OR g.node IS NULL
    ),
    kept AS (
        SELECT l, r, weight,
            CASE WHEN verdict = 'same' THEN 1.0 WHEN verdict = 'different' OR vetoed THEN 0.0
                ELSE p END AS p, p_home,
            CASE WHEN verdict IS NOT NULL THEN 'decision' WHEN vetoed THEN 'veto'
                WHEN account THEN 'account'
                WHEN faint_l THEN 'name_r' WHEN faint_r THEN 'name_l' ELSE 'model' END AS cause
        FROM rows
        WHERE p >= {settings.keep_threshold} OR p_home >= {settings.household_threshold}
            OR verdict IS NOT NULL OR account OR inside
        UNION ALL
        SELECT node, rid, 100.0, 1.0, 0.0, 'exact' FROM members WHERE node <> rid
        UNION ALL
        SELECT least(bare, owner), greatest(bare, owner), 0.0, p, 0.0,
            CASE WHEN bare < owner THEN 'owner_r' ELSE 'owner_l' END
        FROM owners
    )
    SELECT l, r, weight, p, p_home, cause FROM kept
    """
