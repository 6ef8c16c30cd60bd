"""Scored pairs of records: candidates, pairs known for certain, and what lies inside components."""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personalization_assets.identity.blocking import account_pairs, candidate_pairs
from personalization_assets.identity.model import Model
from personalization_assets.identity.normalise import prepare
from personalization_assets.identity.owners import owners
from personalization_assets.identity.pairing import (
    distinct,
    packed,
    pairs_sharing,
    put_pairs,
    unpacked,
    without,
)
from personalization_assets.identity.scoring import score
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.vetoes import vetoed_pairs


def matches_table(work: duckdb.DuckDBPyConnection, version: str, pairs: str = "pair") -> pa.Table:
    """Rows of `identity.matches` from `pair` and `numbered`, scored by the model `version`.

    Key (source_l, record_id_l, source_r, record_id_r), left before right in (source, record_id)
    order. See `match_pairs` for which pairs are there.
    """
    return work.sql(
        f"""
        SELECT a.source AS source_l, a.record_id AS record_id_l, b.source AS source_r,
            b.record_id AS record_id_r, weight AS match_weight, p AS match_probability,
            p_home AS household_probability, cause, on_its_own, '{version}' AS model_version
        FROM {pairs} AS p JOIN numbered AS a ON a.rid = p.l JOIN numbered AS b ON b.rid = p.r
        ORDER BY p.l, p.r
        """
    ).to_arrow_table()


def match_pairs(
    work: duckdb.DuckDBPyConnection, model: Model, settings: IdentitySettings, keep: bool = False
) -> None:
    """Build `numbered` (rid, source, record_id) and `pair`: what is known of pairs of records.

    `pair` has l and r (rids, l < r), weight, p, p_home and cause as in `identity.matches`. Records
    of one node are tied to its first record (cause `exact`). Inside every component that is not too
    large all pairs are there, however improbable: clustering needs them. With `keep`,
    `descriptions` stay on the connection.
    """
    usable = model.comparisons
    prepare(work, settings, usable.roles, usable.extras, model.frequencies, keep)
    candidate_pairs(work, usable, settings)
    account_pairs(work)
    decided_pairs(work)
    owners(work, settings)
    score(work, model, "pairs", "scored")
    judge(work, settings, "judged", blocked=True)
    size = int(work.sql("SELECT count(*) FROM numbered").fetchall()[0][0])
    complete_pairs(work, model, settings, components(*edges(work, settings), size))


def complete_pairs(
    work: duckdb.DuckDBPyConnection,
    model: Model,
    settings: IdentitySettings,
    labels: NDArray[np.int64],
) -> None:
    """Build `pair` from `judged`, all other pairs inside the components, `members` and `owners`."""
    _find_inside(work, labels, settings)
    score(work, model, "missing", "scored")
    judge(work, settings, "judged_missing", blocked=False)
    work.execute(f"CREATE OR REPLACE TABLE pair AS {_PAIRS}")


def judge(
    work: duckdb.DuckDBPyConnection, settings: IdentitySettings, out: str, blocked: bool
) -> None:
    """Build `out`: the pairs of the table `scored`, with what else is known of them.

    Drops `scored`. Columns: l, r, weight, p, p_home, verdict (null: nobody decided), account,
    vetoed, faint_l, faint_r, on_its_own (as in `identity.matches`; never where the pairs do not
    share a blocking rule). Pairs of two mere names say nothing and are left out.
    """
    vetoed_pairs(work, settings, "scored", "vetoed")
    # Without a model nothing is compared, but accounts and decisions still stand.
    work.execute(
        f"""
        CREATE OR REPLACE TABLE {out} AS
        SELECT s.l, s.r, coalesce(s.weight, 0.0) AS weight, coalesce(s.p, 0.0) AS p,
            coalesce(s.p_home, 0.0) AS p_home, d.verdict, k.l IS NOT NULL AS account,
            v.l IS NOT NULL AS vetoed, f.node IS NOT NULL AS faint_l,
            g.node IS NOT NULL AS faint_r,
            {str(blocked).lower()} AND s.p IS NOT NULL AND {possible(settings, "s.")}
                AS on_its_own
        FROM scored AS s
        LEFT JOIN decided_pairs AS d ON d.l = s.l AND d.r = s.r
        LEFT JOIN account_pairs AS k ON k.l = s.l AND k.r = s.r
        LEFT JOIN vetoed AS v ON v.l = s.l AND v.r = s.r
        LEFT JOIN faint AS f ON f.node = s.l
        LEFT JOIN faint AS g ON g.node = s.r
        WHERE (f.node IS NULL OR g.node IS NULL)
            AND (s.p IS NOT NULL OR d.verdict IS NOT NULL OR k.l IS NOT NULL);
        DROP TABLE scored; DROP TABLE vetoed
        """
    )


def possible(settings: IdentitySettings, row: str = "") -> str:
    """SQL: a scored pair (`row` with its dot, if it needs one) is probable enough to be kept."""
    least = min(settings.keep_threshold, settings.match_threshold)
    return f"({row}p >= {least} OR {row}p_home >= {settings.household_threshold})"


def edges(
    work: duckdb.DuckDBPyConnection, settings: IdentitySettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Left and right nodes of the pairs that bring nodes into one component.

    Those are probable `judged` pairs, and what accounts and people say.
    """
    found = work.sql(
        f"""
        SELECT l, r FROM judged
        WHERE on_its_own AND p >= {settings.match_threshold}
            AND NOT vetoed AND NOT faint_l AND NOT faint_r
        UNION ALL SELECT l, r FROM account_pairs
        UNION ALL SELECT l, r FROM decided_pairs WHERE verdict = 'same'
        """
    ).fetchnumpy()
    return np.asarray(found["l"], np.int64), np.asarray(found["r"], np.int64)


def components(left: NDArray[np.int64], right: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The smallest node of the connected component of each of the nodes 0 .. size-1.

    Of two roots that an edge joins, the larger goes below the smallest that it is joined to; then
    every node below its root, until no edge is left between two (Shiloach and Vishkin, "An
    O(log n) parallel connectivity algorithm", 1982). scipy takes as long and a third of a second
    to load.
    """
    root = np.arange(size, dtype=np.int64)
    while True:
        left, right = root[left], root[right]
        apart = left != right
        if not apart.any():
            return root
        left, right = left[apart], right[apart]
        left, right = np.minimum(left, right), np.maximum(left, right)
        np.minimum.at(root, right, left)
        above = root[root]
        while not np.array_equal(above, root):
            root, above = above, above[above]


def decided_pairs(work: duckdb.DuckDBPyConnection) -> None:
    """Build `decided_pairs` (l, r, verdict): nodes whose records somebody decided about."""
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


def _find_inside(
    work: duckdb.DuckDBPyConnection, labels: NDArray[np.int64], settings: IdentitySettings
) -> None:
    """Build `missing` (l, r): pairs inside components, of accounts and of decisions that are not
    `judged`; and `inside` (l, r): judged pairs that are only there for being inside one."""
    rows = work.sql(f"SELECT l, r, {_OF_ITSELF} AS of_itself FROM judged").fetchnumpy()
    left, right = np.asarray(rows["l"], np.int64), np.asarray(rows["r"], np.int64)
    together = labels[left] == labels[right]
    inside = together & ~np.asarray(rows["of_itself"], bool)
    put_pairs(work, "inside", packed(left[inside], right[inside]))

    nodes = np.flatnonzero(np.bincount(labels)[labels] > 1)
    homes = labels[nodes].astype(np.uint64) << np.uint64(32)
    wanted = [pairs_sharing(nodes, homes, settings.max_component_size)]
    for table in ("account_pairs", "decided_pairs"):
        said = work.sql(f"SELECT l, r FROM {table}").fetchnumpy()
        wanted.append(packed(said["l"], said["r"]))
    # Those that a person decided about may be of two components.
    known = together | np.isin(left, unpacked(wanted[-1])[0])
    judged = packed(left[known], right[known])
    put_pairs(work, "missing", without(distinct(np.concatenate(wanted)), judged))


_OF_ITSELF = "(on_its_own OR verdict IS NOT NULL OR account)"
_PAIRS = f"""
SELECT j.l, j.r, weight,
    CASE WHEN verdict = 'same' THEN 1.0 WHEN verdict = 'different' OR vetoed THEN 0.0
        ELSE p END AS p, p_home,
    CASE WHEN verdict IS NOT NULL THEN 'decision' WHEN vetoed THEN 'veto'
        WHEN account THEN 'account'
        WHEN faint_l THEN 'name_r' WHEN faint_r THEN 'name_l' ELSE 'model' END AS cause,
    on_its_own
FROM (
    FROM judged WHERE {_OF_ITSELF}
    UNION ALL BY NAME FROM judged SEMI JOIN inside USING (l, r)
    UNION ALL BY NAME FROM judged_missing
) AS j
UNION ALL
SELECT node, rid, 100.0, 1.0, 0.0, 'exact', true FROM members WHERE node <> rid
UNION ALL
SELECT least(bare, owner), greatest(bare, owner), 0.0, p, 0.0,
    CASE WHEN bare < owner THEN 'owner_r' ELSE 'owner_l' END, true
FROM owners
"""
