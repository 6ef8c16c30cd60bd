"""How common names are: agreement on a rare one says more, agreement on a common one less.

Frequencies are learnt with the model and kept in it, so that a pair scores the same whatever other
records are there. Given and family names are not independent: a shop in three countries, or with
three fashions of names, holds more people of one full name than the product of its parts says. The
pseudo-column `full_name` carries by how much, for pairs that agree on both parts.
"""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personalization_assets.identity.model import Frequencies, significant
from personalization_assets.identity.workspace import create

FLOOR = 1e-5
"""No name counts as rarer than this: a rare spelling may be a slip that two clerks made."""

NODES_SHAPE = 2.0
PEOPLE_SHAPE = 0.5
"""Shapes of the negative binomial counts of nodes per person and of people per full name: wide."""

MOST_PEOPLE = 40
"""So many people of one full name are told apart; beyond, own nodes hardly matter."""

NAMESAKE_BASE = 0.5
"""m and u of the comparison `namesakes`; equal, so only its term frequency carries weight."""


def learn_frequencies(
    work: duckdb.DuckDBPyConnection, columns: list[str], own: float | None
) -> Frequencies:
    """Frequencies of the values of each column of `nodes` that are above the floor.

    `own` is how many other nodes of the same person and name a named node has on average; with it
    the excess of full names is learnt too: the share of strangers among the namesakes, over the
    product of the frequencies of the parts. Without it (or without both names) there is none.
    """
    nodes = work.sql("SELECT count(*) FROM nodes").fetchall()[0][0]
    floor = significant(max(FLOOR, 1 / max(nodes, 1)))
    values: dict[str, dict[str, float]] = {}
    for column in columns:
        rows = work.sql(
            f"""
            SELECT {column}, count(*) / sum(count(*)) OVER () AS share
            FROM nodes WHERE {column} IS NOT NULL GROUP BY {column}
            QUALIFY share > {floor} ORDER BY {column}
            """
        ).fetchall()
        values[column] = {name: significant(share) for name, share in rows}
    if own and {"first_name", "last_name"} <= set(columns):
        values["full_name"] = _excess_of_namesakes(work, own, floor)
    return Frequencies(floor, values)


def _excess_of_namesakes(
    work: duckdb.DuckDBPyConnection, own: float, floor: float
) -> dict[str, float]:
    """By full name: the share of strangers who bear it, over the product of its parts.

    How many people stand behind the n nodes of a full name is not known, only that each has
    some nodes. People: one more than a negative binomial draw around what independent names would
    give. Nodes of a person: negative binomial too, so a busy customer is not taken for two. The
    posterior over the number of people gives the expected number of strangers among the namesakes.
    """
    rows = work.sql(
        """
        WITH named AS (
            SELECT full_name, first_name, last_name, count(*)::DOUBLE AS n
            FROM nodes WHERE full_name IS NOT NULL GROUP BY full_name, first_name, last_name
        ),
        shares AS (
            SELECT full_name, n, sum(n) OVER () AS total,
                sum(n) OVER (PARTITION BY first_name) / total AS first_share,
                sum(n) OVER (PARTITION BY last_name) / total AS last_share
            FROM named
        )
        SELECT full_name, n, total, first_share, last_share FROM shares WHERE n > 2
        ORDER BY full_name
        """
    ).fetchnumpy()
    n = np.asarray(rows["n"], np.float64)
    if not len(n):
        return {}
    total = float(rows["total"][0])
    first = np.maximum(np.asarray(rows["first_share"], np.float64), floor)
    last = np.maximum(np.asarray(rows["last_share"], np.float64), floor)
    strangers = strangers_among_namesakes(n, first * last * total, own) / total
    ratio = strangers / (first * last)
    return {
        name: significant(float(excess))
        for name, excess in zip(rows["full_name"].tolist(), ratio.tolist(), strict=True)
        if excess > 1
    }


def strangers_among_namesakes(
    n: NDArray[np.float64], expected: NDArray[np.float64], own: float
) -> NDArray[np.float64]:
    """Expected number of other people's nodes that share a node's full name.

    `n` nodes bear the name, `expected` of them by chance if names were independent, and a node has
    `own` others of its own person on average (so size-biased).
    """
    mean = own / (1 + 1 / NODES_SHAPE)
    people = np.arange(1, MOST_PEOPLE + 1, dtype=np.float64)[:, None]
    others = np.maximum(expected / max(mean, 1e-9), 1e-9)
    prior = _log_negative_binomial(people - 1, PEOPLE_SHAPE, others)
    seen = _log_negative_binomial(n, NODES_SHAPE * people, mean * people)
    posterior = prior + np.where(people <= n, seen, -np.inf)
    weights = np.exp(posterior - posterior.max(axis=0))
    weights /= weights.sum(axis=0)
    mine = (NODES_SHAPE + 1) / (NODES_SHAPE * people + 1)
    few: NDArray[np.float64] = (n - 1) * (weights * (1 - mine)).sum(axis=0)
    many = n > mean * MOST_PEOPLE / 2
    result: NDArray[np.float64] = np.where(many, np.maximum(n - 1 - own, few), few)
    return result


def _log_negative_binomial(
    k: NDArray[np.float64], shape: float | NDArray[np.float64], mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    from scipy.special import gammaln

    log: NDArray[np.float64] = (
        gammaln(k + shape)
        - gammaln(shape)
        - gammaln(k + 1)
        + shape * np.log(shape / (shape + mean))
        + k * np.log(mean / (shape + mean))
    )
    return log


def with_frequencies(work: duckdb.DuckDBPyConnection, nodes: str, frequencies: Frequencies) -> str:
    """SELECT of the rows that the SELECT `nodes` gives and how common their names are: tf_<column>.

    Creates the tables `known_<column>` (name, share) that it reads.
    """
    shares, joins = "", ""
    for column, known in frequencies.values.items():
        excess = column == "full_name"
        base, rest = (NAMESAKE_BASE, NAMESAKE_BASE) if excess else (1.0, frequencies.floor)
        names = pa.array(list(known), pa.string())
        values = pa.array([base * share for share in known.values()], pa.float64())
        create(work, f"known_{column}", pa.table({"name": names, "share": values}))
        shares += (
            f", CASE WHEN n.{column} IS NOT NULL THEN coalesce(known_{column}.share, {rest}) END"
            f" AS tf_{column}"
        )
        joins += f" LEFT JOIN known_{column} ON known_{column}.name = n.{column}"
    return f"SELECT n.*{shares} FROM ({nodes}) AS n{joins}"
