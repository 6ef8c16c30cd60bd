"""Correlation clustering and its guards on hand-made evidence."""

import numpy as np

from personalization_assets.identity.clustering import ACCOUNT, DECISION, Pairs, cluster, evidence
from personalization_assets.identity.evaluation import evaluate
from personalization_assets.identity.settings import IdentitySettings


def clusters(
    size: int, pairs: dict[tuple[int, int], float], settings: IdentitySettings | None = None
) -> tuple[list[list[int]], list[str]]:
    """The groups and the reasons for what was held back; pairs above zero are edges."""
    left = np.array([a for a, _ in pairs], np.int64)
    right = np.array([b for _, b in pairs], np.int64)
    value = np.array(list(pairs.values()), np.float64)
    found = cluster(Pairs(left, right, value, value > 0), size, settings or IdentitySettings())
    groups: dict[int, list[int]] = {}
    for node, label in enumerate(found.labels.tolist()):
        groups.setdefault(label, []).append(node)
    return sorted(groups.values()), [h[2] for h in found.held]


def test_one_wrong_pair_does_not_join_two_people() -> None:
    families = {(0, 1): 9.0, (2, 3): 9.0, (1, 2): 3.0, (0, 2): -8.0, (0, 3): -8.0, (1, 3): -8.0}
    assert clusters(4, families)[0] == [[0, 1], [2, 3]]


def test_pairs_without_evidence_do_not_part_a_chain() -> None:
    assert clusters(3, {(0, 1): 9.0, (1, 2): 9.0, (0, 2): 0.0})[0] == [[0, 1, 2]]


def test_a_weak_bridge_is_held_for_review() -> None:
    pairs = {(0, 1): 9.0, (2, 3): 9.0, (1, 2): 1.0, (0, 2): 0.0, (0, 3): 0.0, (1, 3): 0.0}
    groups, held = clusters(4, pairs)
    assert groups == [[0, 1], [2, 3]]
    assert held == ["weak bridge"]
    assert clusters(4, {**pairs, (1, 2): 8.0}) == ([[0, 1, 2, 3]], [])


def test_a_decision_outweighs_an_account_and_everything_else() -> None:
    pairs = {(0, 1): ACCOUNT, (1, 2): 12.0, (0, 2): -DECISION}
    groups, _ = clusters(3, pairs)
    assert [0, 1] in groups


def test_too_large_clusters_keep_only_what_is_certain() -> None:
    pairs = {(a, b): 12.0 for a in range(8) for b in range(a + 1, 8)} | {(0, 1): ACCOUNT}
    groups, held = clusters(8, pairs, IdentitySettings(max_cluster_size=5))
    assert groups[0] == [0, 1]
    assert len(groups) == 7
    assert held == ["too large"]


def test_a_pair_with_no_field_in_common_is_no_evidence() -> None:
    share = 1e-6
    prior = np.array([np.log2(share)])
    none = evidence(prior, np.array([share]), np.array([1e-7]), share, 1e-7)
    assert abs(float(none[0])) < 1e-3


def test_evaluation_counts_pairs_after_closure() -> None:
    import polars as pl

    links = pl.DataFrame(
        {
            "source": ["s"] * 4,
            "record_id": ["1", "2", "3", "4"],
            "customer_id": ["x", "x", "x", "y"],
        }
    )
    truth = pl.DataFrame(
        {"source": ["s"] * 4, "key": ["1", "2", "3", "4"], "person": ["a", "a", "b", "b"]}
    )
    scores = dict(evaluate(links, truth).iter_rows())
    assert scores["pair_precision"] == round(1 / 3, 6)
    assert scores["pair_recall"] == 0.5
    assert scores["b_cubed_precision"] == round((4 / 3 + 1 / 3 + 1) / 4, 6)
    assert evaluate(links, truth.head(0)).is_empty()
