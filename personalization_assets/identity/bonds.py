"""What ties a record to the others of its customer: its strongest pair with one of them."""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personalization_assets.identity.workspace import create

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

TIES = ("decision", "exact", "account", "model", "owner", "name", "alone")
"""Strongest first; a place in it is a rank."""

MODEL, ALONE = TIES.index("model"), TIES.index("alone")

RANK = """CASE cause WHEN 'decision' THEN 0 WHEN 'exact' THEN 1 WHEN 'account' THEN 2
    WHEN 'model' THEN 3 WHEN 'owner_l' THEN 4 WHEN 'owner_r' THEN 4 ELSE 5 END"""
"""SQL over rows of `pair`."""


def strongest(size: int, left: Ints, right: Ints, p: Floats, rank: Ints) -> tuple[Ints, Floats]:
    """The best rank of each of the nodes 0 .. size-1 over the pairs given, and its confidence.

    That is the probability of the node's most probable pair where only a guess ties it, else 1.
    """
    tie = np.full(size, ALONE, np.int64)
    confidence = np.zeros(size, np.float64)
    for end in (left, right):
        np.minimum.at(tie, end, rank)
        np.maximum.at(confidence, end, p)
    confidence[(tie < MODEL) | (tie == ALONE)] = 1.0
    return tie, confidence


def named(tie: Ints) -> pa.Array:
    """The ranks in words."""
    return pa.DictionaryArray.from_arrays(tie, list(TIES)).cast(pa.string())


def bonds(work: duckdb.DuckDBPyConnection, labels: Ints) -> None:
    """Build `bonds` (rid, linked_by, confidence; one row per record, as in `identity.links`).

    Reads `pair`; `labels` are the records' clusters.
    """
    rows = work.sql(
        f"SELECT l, r, p, {RANK} AS rank FROM pair WHERE NOT (cause = 'decision' AND p < 0.5)"
    ).fetchnumpy()
    left, right = np.asarray(rows["l"], np.int64), np.asarray(rows["r"], np.int64)
    p, rank = np.asarray(rows["p"], np.float64), np.asarray(rows["rank"], np.int64)
    inside = labels[left] == labels[right]
    tie, confidence = strongest(len(labels), left[inside], right[inside], p[inside], rank[inside])
    table = {"rid": np.arange(len(labels)), "linked_by": named(tie), "confidence": confidence}
    create(work, "bonds", pa.table(table))
