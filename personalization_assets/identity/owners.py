"""Whose is a record that says too little to be compared: a mailbox, a device, a mere name.

E-mail events, consents and visits often hold an address or a device and no name; social handles a
name and nothing else. Compared like people they bridge whoever shares the mailbox or the name, and
lose their owner if that one has a second address. So they take no part in clustering; afterwards
each goes to the person who most probably is its owner, if there is one.
"""

import math
from collections.abc import Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.spelling import merged

# Judgements, not measurements: how sure it is that the only known user of an address is its owner,
# and if the address restates the user's name.
USED = 0.9
RESTATED = 0.99

_OWN_NAME = """coalesce(
    (length(n.first_name) > 2 AND contains(email_name, n.first_name))
    OR (length(n.first_canon) > 2 AND contains(email_name, n.first_canon))
    OR (length(n.last_name) > 2
        AND (starts_with(email_name, n.first_initial || n.last_name)
            OR starts_with(email_name, n.last_name || n.first_initial))),
    false)"""


def owners(work: duckdb.DuckDBPyConnection, settings: IdentitySettings) -> None:
    """Build `owners` (bare, owner, p): nodes that use the mailbox or device of a bare unit.

    Reads `bare` and `nodes`. `p` is the chance that the user is the owner, were there no other. A
    device speaks where the mailbox is unused or missing. Values used by more nodes than
    `max_block_size` have no owner.
    """
    work.execute(
        f"""
        CREATE OR REPLACE TABLE owners AS
        WITH held AS (
            SELECT unit AS bare, min(email) AS email, min(device) AS device
            FROM bare GROUP BY unit
        ),
        users AS (
            SELECT n.bare, n.unique_id AS owner, 1 AS place,
                CASE WHEN {_OWN_NAME} THEN {RESTATED} ELSE {USED} END AS p
            FROM (
                SELECT h.bare, n.*,
                    regexp_replace({merged("n.email_local")}, '[^a-z]+', '', 'g') AS email_name
                FROM held AS h JOIN nodes AS n ON n.email = h.email
            ) AS n
            UNION ALL
            SELECT h.bare, n.unique_id, 2, {USED}
            FROM held AS h JOIN nodes AS n ON n.device = h.device
        )
        SELECT bare, owner, p FROM users
        QUALIFY place = min(place) OVER (PARTITION BY bare)
            AND count(*) OVER (PARTITION BY bare, place) <= {settings.max_block_size}
        """
    )


def give_to_owners(
    labels: NDArray[np.int64], owned: Sequence[tuple[int, int, float, bool]], threshold: float
) -> NDArray[np.int64]:
    """Clusters after those that say too little went to their owner.

    `labels` names the cluster of each node; `owned` holds (node, user, probability, by use). Users
    compete: a cluster's odds are those of its uses together, or of its likeliest name, against all
    other clusters' and against nobody we know. Whoever stays below `threshold` gets nothing.
    """
    odds: dict[int, dict[int, float]] = {}
    for node, user, p, by_use in owned:
        mine, theirs = int(labels[node]), int(labels[user])
        if mine != theirs:
            by = odds.setdefault(mine, {})
            more = p / max(1 - p, 1e-9)
            before = by.get(theirs, 0.0)
            by[theirs] = before + more if by_use else max(before, more)
    target = np.arange(int(labels.max(initial=-1)) + 1)
    for mine, by in odds.items():
        best = min(by, key=lambda label: (-by[label], label))
        chance = by[best] / (1 + math.fsum(by.values()))
        if chance >= threshold and list(by.values()).count(by[best]) == 1:
            target[mine] = best
    given: NDArray[np.int64] = target[labels]
    return given
