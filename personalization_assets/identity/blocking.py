"""Which pairs are worth comparing at all."""

from collections.abc import Sequence

import duckdb
import numpy as np

from personalization_assets.identity.comparison import ComparisonSet
from personalization_assets.identity.pairing import distinct, pairs_sharing, put_pairs
from personalization_assets.identity.settings import IdentitySettings


def candidate_pairs(
    work: duckdb.DuckDBPyConnection, usable: ComparisonSet, settings: IdentitySettings
) -> None:
    """Build `pairs` (l, r with l < r): nodes that share all columns of at least one rule.

    Values shared by more nodes than `max_block_size` make no pairs, so cost grows with records.
    Of people who share a home, one node of each name stands for all: that finds the household.
    """
    # A hash stands for the values. It is used here only; two values of one hash would cost a
    # comparison, nothing else.
    selects = [
        f"SELECT unique_id, {hashed(rule)} AS key FROM nodes WHERE {filled(rule)}"
        for rule in usable.blocking
    ]
    if usable.home:
        selects.append(
            f"""SELECT min(unique_id) AS unique_id, {hashed(usable.home)} AS key
            FROM nodes WHERE {filled(usable.home)}
            GROUP BY key, hash(first_canon, last_name)"""
        )
    found = [np.empty(0, np.uint64)]
    for select in selects:
        rows = work.sql(select).fetchnumpy()
        ids, keys = np.asarray(rows["unique_id"], np.int64), np.asarray(rows["key"], np.uint64)
        found.append(pairs_sharing(ids, keys, settings.max_block_size))
    put_pairs(work, "pairs", distinct(np.concatenate(found)))


def hashed(columns: Sequence[str]) -> str:
    """SQL: a number for the values of the columns."""
    return f"hash({', '.join(columns)})"


def filled(columns: Sequence[str]) -> str:
    """SQL: none of the columns is null."""
    return " AND ".join(f"{column} IS NOT NULL" for column in columns)


def with_affordable_rules(
    work: duckdb.DuckDBPyConnection, comparisons: ComparisonSet, settings: IdentitySettings
) -> ComparisonSet:
    """The comparisons with those wide blocking rules added that the data can afford."""
    nodes = work.sql("SELECT count(*) FROM nodes").fetchall()[0][0]
    blocking = list(comparisons.blocking)
    budget = comparisons.pairs_per_record * nodes
    budget -= sum(_pairs_of(work, rule, settings) for rule in blocking)
    for rule in comparisons.wide_blocking:
        pairs = _pairs_of(work, rule, settings)
        if pairs <= max(budget, comparisons.wide_pairs_free):
            blocking.append(rule)
            budget -= pairs
    return comparisons.model_copy(update={"blocking": blocking, "wide_blocking": []})


def _pairs_of(
    work: duckdb.DuckDBPyConnection, rule: list[str], settings: IdentitySettings
) -> float:
    pairs = work.sql(
        f"""SELECT coalesce(sum(n * (n - 1) / 2), 0) FROM (
            SELECT count(*) AS n FROM nodes WHERE {filled(rule)} GROUP BY {", ".join(rule)}
            HAVING count(*) <= {settings.max_block_size})"""
    ).fetchall()[0][0]
    return float(pairs)


def block_sql(columns: list[str], largest: int, source: str = "nodes") -> str:
    """Pairs (l, r) of `source` that share all columns, without values shared too often."""
    names = ", ".join(columns)
    equal = " AND ".join(f"a.{c} = b.{c}" for c in columns)
    return f"""
    SELECT a.unique_id AS l, b.unique_id AS r
    FROM {source} AS a
    JOIN {source} AS b ON {equal} AND a.unique_id < b.unique_id
    SEMI JOIN (
        SELECT {names} FROM {source} WHERE {filled(columns)}
        GROUP BY {names} HAVING count(*) BETWEEN 2 AND {largest}
    ) AS usable ON {" AND ".join(f"usable.{c} = a.{c}" for c in columns)}
    """


def account_pairs(work: duckdb.DuckDBPyConnection) -> None:
    """Build `account_pairs` (l, r): nodes that one account makes one person.

    All nodes of an account are tied to its first, unless it holds contradicting first names: then
    each name is a group of its own, and what has no name goes with the first name.
    """
    work.execute(
        """
        CREATE OR REPLACE TABLE account_pairs AS
        WITH keyed AS (
            SELECT DISTINCT m.account_key AS key, n.unique_id, n.first_canon
            FROM nodes AS n JOIN members AS m ON m.node = n.unique_id
            WHERE m.account_key IS NOT NULL
            UNION
            SELECT account_key, unit, NULL FROM bare WHERE account_key IS NOT NULL
        ),
        grouped AS (
            SELECT k.key, k.unique_id,
                CASE WHEN c.account_key IS NULL THEN '' ELSE coalesce(k.first_canon,
                    min_by(k.first_canon, k.unique_id) FILTER (k.first_canon IS NOT NULL)
                        OVER (PARTITION BY k.key)) END
                    AS person
            FROM keyed AS k LEFT JOIN contradicting AS c ON c.account_key = k.key
        )
        SELECT min(unique_id) OVER (PARTITION BY key, person) AS l, unique_id AS r
        FROM grouped
        QUALIFY l < r
        """
    )


def first_names_conflict(a: str, b: str) -> str:
    """SQL: both first names are known and are not forms of one name, nor swapped with the last."""
    return (
        f"(length({a}.first_name) > 1 AND length({b}.first_name) > 1"
        f" AND {a}.first_canon <> {b}.first_canon AND {a}.first_initial <> {b}.first_initial"
        f" AND jaro_winkler_similarity({a}.first_name, {b}.first_name) < 0.8"
        f" AND coalesce(jaro_winkler_similarity({a}.first_name, {b}.last_name) < 0.8, true)"
        f" AND coalesce(jaro_winkler_similarity({b}.first_name, {a}.last_name) < 0.8, true))"
    )


def strangers(a: str, b: str) -> str:
    """SQL: first names and last names both conflict."""
    return (
        f"({first_names_conflict(a, b)} AND length({a}.last_name) > 1 AND length({b}.last_name) > 1"
        f" AND jaro_winkler_similarity({a}.last_name, {b}.last_name) < 0.85)"
    )


def named(a: str, b: str) -> str:
    """SQL: first and last names are known on both sides."""
    return " AND ".join(f"length({s}.{c}) > 1" for s in (a, b) for c in ("first_name", "last_name"))
