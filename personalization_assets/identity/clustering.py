"""From scored pairs to people: correlation clustering inside components, with guards.

Connected components alone over-merge: one wrong pair joins two families. So inside a component the
groups with the most evidence for each other are joined first, and only while the sum over all pairs
between them speaks for it. Decisions count more than accounts, accounts more than the model.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from personalization_assets.identity.matching import components
from personalization_assets.identity.settings import IdentitySettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DECISION = 1e8
VETO = 1e6
ACCOUNT = 1e4
GRAIN = 2.0**20
EVIDENCE_LIMIT = 12.0  # log2 odds a single pair can contribute; correlated errors make more unsound


@dataclass(frozen=True)
class Pairs:
    """Pairs of nodes (positions 0 .. size-1) with evidence for (+) and against (-) one person.

    `edge` marks the pairs that may bring records together on their own.
    """

    left: Ints
    right: Ints
    value: Floats
    edge: NDArray[np.bool_]


@dataclass
class Clusters:
    """`labels` by node, and what was held back: (left node, right node, reason, nodes involved)."""

    labels: Ints
    held: list[tuple[int, int, str, int]] = field(default_factory=list)


def evidence(
    weight: Floats, p: Floats, p_home: Floats, share: float, home_share: float | None
) -> Floats:
    """Log2 evidence that a pair is one person, in [-12, 12].

    Probable pairs count with their odds. Improbable ones count against only as far as their fields
    do: a pair with no field in common is no evidence, although the prior makes it improbable.
    """
    value = np.empty(len(p))
    likely = p >= 0.5
    safe = np.minimum(p[likely], 1 - 1e-12)
    value[likely] = np.log2(safe / (1 - safe))
    unlikely = ~likely
    p, p_home, weight = p[unlikely], p_home[unlikely], weight[unlikely]
    mine = weight - np.log2(share)
    against = np.minimum(0.0, mine)
    if home_share is not None:
        home = weight - np.log2(np.maximum(p, 1e-300) / np.maximum(p_home, 1e-300))
        theirs = np.maximum(0.0, home - np.log2(home_share))
        against = np.minimum(against, mine - theirs)
    value[unlikely] = against
    value = np.clip(value, -EVIDENCE_LIMIT, EVIDENCE_LIMIT)
    # Binary fractions add up exactly, so sums do not depend on the order of the pairs.
    exact: Floats = np.rint(value * GRAIN) / GRAIN
    return exact


def cluster(pairs: Pairs, size: int, settings: IdentitySettings) -> Clusters:
    """The people among `size` nodes. Deterministic: ties go to the groups with smaller nodes."""
    labels = components(pairs.left[pairs.edge], pairs.right[pairs.edge], size)
    labels = _cut_large(pairs, labels, settings)
    inside = labels[pairs.left] == labels[pairs.right]
    left, right, value = pairs.left[inside], pairs.right[inside], pairs.value[inside]
    edge = pairs.edge[inside]
    home = labels[left]
    doubtful = _doubtful(left, right, value, edge, labels, settings.bridge_weight)
    result = Clusters(labels.copy())
    chosen = np.flatnonzero(doubtful[home])
    order = chosen[np.lexsort((right[chosen], left[chosen], home[chosen]))]
    changes = np.diff(home[order], prepend=-1) != 0
    starts: list[int] = np.flatnonzero(changes).tolist()
    for start, stop in pairwise([*starts, len(order)]):
        rows = order[start:stop]
        groups, held = _join_greedily(
            left[rows].tolist(), right[rows].tolist(), value[rows].tolist(), settings
        )
        for group in groups:
            result.labels[group] = min(group)
        result.held += held
    _hold_oversized(result, left, right, value, edge, settings)
    return result


def _doubtful(
    left: Ints, right: Ints, value: Floats, edge: NDArray[np.bool_], labels: Ints, bridge: float
) -> NDArray[np.bool_]:
    """By label, whether a component may fall apart; all others are sure to become one cluster.

    Sure: pairs with more evidence than a bridge needs plus all that speaks against anything in the
    component hold it together. However its nodes are grouped on the way, such a pair crosses
    between two of the groups, so their sum is enough to join them.
    """
    count = int(labels.max(initial=0)) + 1
    home = labels[left]
    against = np.bincount(home, weights=np.minimum(value, 0.0), minlength=count)
    strong = value > bridge - against[home]
    # Edges hold every component together; most have no weak one.
    unsure = np.zeros(count, bool)
    unsure[home[edge & ~strong]] = True
    asked = strong & unsure[home]
    held = components(left[asked], right[asked], len(labels))
    # Both name a component by its smallest node, so one that is held whole keeps its name.
    apart = np.zeros(count, bool)
    apart[labels[unsure[labels] & (held != labels)]] = True
    return apart


def first_nodes(labels: Ints) -> Ints:
    """The same partition, each cluster named by its smallest node."""
    first = np.full(int(labels.max(initial=-1)) + 1, len(labels), np.int64)
    np.minimum.at(first, labels, np.arange(len(labels), dtype=np.int64))
    return first[labels]


def _cut_large(pairs: Pairs, labels: Ints, settings: IdentitySettings) -> Ints:
    """Components too large to compare every pair in are cut at ever stricter thresholds."""
    for least in (2.0, 4.0, 6.0, 8.0, 10.0, EVIDENCE_LIMIT, ACCOUNT / 2):
        sizes = np.bincount(labels, minlength=int(labels.max(initial=0)) + 1)
        large = sizes[labels] > settings.max_component_size
        if not large.any():
            break
        # What one cut has parted stays apart, or a large neighbour would grow back over it.
        inside = labels[pairs.left] == labels[pairs.right]
        keep = pairs.edge & inside & ((pairs.value >= least) | ~large[pairs.left])
        labels = components(pairs.left[keep], pairs.right[keep], len(labels))
    return labels


def _join_greedily(
    left: list[int], right: list[int], value: list[float], settings: IdentitySettings
) -> tuple[list[list[int]], list[tuple[int, int, str, int]]]:
    """Join the two groups with most evidence for each other until none is left above zero."""
    between: dict[int, dict[int, float]] = {}
    for a, b, v in zip(left, right, value, strict=True):
        between.setdefault(a, {})[b] = v
        between.setdefault(b, {})[a] = v
    groups = {node: [node] for node in between}
    held: list[tuple[int, int, str, int]] = []
    best = {node: max(near.values(), default=0.0) for node, near in between.items()}
    while True:
        v = max(best.values(), default=0.0)
        if v <= 0:
            break
        a = min(node for node, most in best.items() if most == v)
        b = min(node for node, w in between[a].items() if w == v)
        if a > b:
            a, b = b, a
        if len(groups[a]) > 1 and len(groups[b]) > 1 and v < settings.bridge_weight:
            held.append((a, b, "weak bridge", len(groups[a]) + len(groups[b])))
            between[a][b] = between[b][a] = -DECISION
            for node in (a, b):
                best[node] = max(between[node].values())
            continue
        groups[a] += groups.pop(b)
        mine, theirs = between[a], between.pop(b)
        best.pop(b)
        del mine[b], theirs[a]
        for other, w in theirs.items():
            total = mine.get(other, 0.0) + w
            mine[other] = between[other][a] = total
            del between[other][b]
        for node in (a, *theirs):
            best[node] = max(between[node].values(), default=0.0)
    return [sorted(group) for group in groups.values()], held


def _hold_oversized(
    result: Clusters,
    left: Ints,
    right: Ints,
    value: Floats,
    edge: NDArray[np.bool_],
    settings: IdentitySettings,
) -> None:
    """Clusters above the size limit keep only what accounts and decisions tie together."""
    labels = result.labels
    sizes = np.bincount(labels, minlength=len(labels))
    large = np.flatnonzero(sizes > settings.max_cluster_size)
    if not len(large):
        return
    big = np.isin(labels, large)
    keep = big[left] & big[right] & edge & (value >= ACCOUNT / 2) & (labels[left] == labels[right])
    parts = components(left[keep], right[keep], len(labels))
    for label in large.tolist():
        nodes = np.flatnonzero(labels == label)
        other = next((n for n in nodes.tolist() if parts[n] != parts[label]), label)
        result.held.append((label, other, "too large", len(nodes)))
    result.labels = np.where(big, parts, labels)
