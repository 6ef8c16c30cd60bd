"""How much of a customer is certain: records that may be shown to each other, and what is no guess.

`links` is right about nineteen times in twenty, which is enough to count people and to choose what
to recommend, and too little to show one record's data to whoever reads another. So each customer
is divided twice more. All three divisions refine the one before: customer, strict group, certain
group.
"""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personalization_assets.identity.bonds import MODEL, RANK, named, strongest
from personalization_assets.identity.clustering import DECISION, Pairs, cluster, first_nodes
from personalization_assets.identity.matching import components
from personalization_assets.identity.settings import IdentitySettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def strict_links(
    work: duckdb.DuckDBPyConnection, settings: IdentitySettings, version: str
) -> pa.Table:
    """Rows of `identity.links_strict`: one per record, key (source, record_id).

    Reads `numbered`, `pair`, `cluster_of` and `carried` of the working connection. Within a
    customer, a strict group is tied by exact duplicates, accounts, people's decisions and pairs
    that the model (`version`) finds at least `strict_threshold` probable, and holds no pair that
    it finds improbable; a certain group is tied by all of these but the model. What was given to
    its likeliest owner, by mailbox or by name, is tied in neither.

    The strict group with the most records of a customer, of equals the one with the smallest
    (source, record_id), has an id made of nothing but the customer's; it lasts as long as that one.
    Every other group has an id made of the customer's id and the group's first record: it changes
    only when the group gets another first record or another customer. The same holds for certain
    groups. When another group of the customer becomes the largest, the first id passes to it; so
    the ids say who belongs together now, and nothing about a person should be kept under them.
    """
    home = _column(work, "SELECT cluster FROM cluster_of ORDER BY rid", "cluster")
    rows = work.execute(
        f"""
        SELECT l, r, p, {RANK} AS rank
        FROM pair
        WHERE cause IN ('exact', 'account') OR (cause = 'decision' AND p > 0.5)
            OR (cause = 'model' AND (p >= ? OR p < 0.5))
        """,
        [settings.strict_threshold],
    ).fetchnumpy()
    left, right = np.asarray(rows["l"], np.int64), np.asarray(rows["r"], np.int64)
    p, rank = np.asarray(rows["p"], np.float64), np.asarray(rows["rank"], np.int64)
    # What was held for review or given to somebody else stays apart, whatever a pair says.
    inside = home[left] == home[right]
    left, right, p, rank = left[inside], right[inside], p[inside], rank[inside]
    sure = rank < MODEL
    size = len(home)
    certain = components(left[sure], right[sure], size)
    strict = _without_doubt(certain, left[~sure], right[~sure], p[~sure], settings)

    ties = (strict[left] == strict[right]) & (sure | (p >= settings.strict_threshold))
    tie, chance = strongest(size, left[ties], right[ties], p[ties], rank[ties])

    table = pa.table(
        {
            "rid": np.arange(size),
            "cluster": home,
            "strict": strict,
            "certain": certain,
            "leads": _largest(home, strict)[strict],
            "leads_certain": _largest(home, certain)[certain],
            "tied_by": named(tie),
            "confidence": chance,
        }
    )
    work.register("strict_of", table)
    found = work.sql(
        f"""
        SELECT n.source, n.record_id, c.customer_id,
            {_id("s_", "s.leads", "f")} AS strict_id,
            {_id("k_", "s.leads_certain", "g")} AS certain_id,
            s.tied_by, s.confidence, $version AS model_version
        FROM strict_of AS s
        JOIN numbered AS n ON n.rid = s.rid
        JOIN (SELECT DISTINCT cluster, customer_id FROM carried) AS c ON c.cluster = s.cluster
        JOIN numbered AS f ON f.rid = s.strict
        JOIN numbered AS g ON g.rid = s.certain
        ORDER BY n.rid
        """,
        params={"version": version},
    ).to_arrow_table()
    work.unregister("strict_of")
    return found


def _id(prefix: str, leads: str, first: str) -> str:
    digits = f"sha256(concat_ws(chr(31), c.customer_id, {first}.source, {first}.record_id))[1:16]"
    return f"'{prefix}' || CASE WHEN {leads} THEN c.customer_id[3:] ELSE {digits} END"


def _column(work: duckdb.DuckDBPyConnection, sql: str, name: str) -> Ints:
    return np.asarray(work.sql(sql).fetchnumpy()[name], np.int64)


def _without_doubt(
    certain: Ints, left: Ints, right: Ints, p: Floats, settings: IdentitySettings
) -> Ints:
    """Certain groups joined over probable pairs, the most probable first, over no improbable one.

    A chain of probable pairs is not enough: most wrong pairs in plain components have an improbable
    pair beside them, and a higher threshold would part more of the right ones.
    """
    size = len(certain)
    one, two = certain[left], certain[right]
    apart = one != two
    low, high = np.minimum(one, two)[apart], np.maximum(one, two)[apart]
    pairs, place = np.unique(low * size + high, return_inverse=True)
    least, most = np.ones(len(pairs)), np.zeros(len(pairs))
    np.minimum.at(least, place, p[apart])
    np.maximum.at(most, place, p[apart])
    safe = np.minimum(most, 1 - 1e-12)
    value = np.where(least < 0.5, -DECISION, np.log2(safe / (1 - safe)))
    graph = Pairs(pairs // max(size, 1), pairs % max(size, 1), value, value > 0)
    joined: Ints = cluster(graph, size, settings).labels[certain]
    # A record that an exact duplicate goes before may be the group's first.
    return first_nodes(joined)


def _largest(cluster: Ints, group: Ints) -> NDArray[np.bool_]:
    """Whether a node gives its name to the largest group of its cluster; ties: the smallest."""
    size = len(group)
    counts = np.bincount(group, minlength=size)
    firsts = np.flatnonzero(counts)
    order = np.lexsort((firsts, -counts[firsts], cluster[firsts]))
    home = cluster[firsts[order]]
    chosen = np.zeros(size, bool)
    if len(home):
        chosen[firsts[order[np.diff(home, prepend=home[0] - 1) != 0]]] = True
    return chosen
