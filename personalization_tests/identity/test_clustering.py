"""Correlation clustering and its guards on hand-made evidence."""

import numpy as np
import polars as pl
import pytest

from personalization_assets.identity.clustering import (
    ACCOUNT,
    DECISION,
    Pairs,
    _cut_large,
    cluster,
    components,
    evidence,
)
from personalization_assets.identity.evaluation import evaluate
from personalization_assets.identity.linking import households
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.workspace import workspace


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


@pytest.mark.parametrize("seed", range(20))
def test_what_a_cut_has_parted_does_not_grow_back(seed: int) -> None:
    draw = np.random.default_rng(seed)
    settings = IdentitySettings(max_component_size=6)
    size, count = 60, 90
    ends = draw.integers(0, size, (count, 2))
    ends = ends[ends[:, 0] != ends[:, 1]]
    left, right = ends.min(axis=1), ends.max(axis=1)
    value = draw.choice([0.5, 1.0, 3.0, 5.0, 7.0, 9.0, 15.0], len(ends))
    pairs = Pairs(left, right, value, value > 0)
    labels = _cut_large(pairs, components(left, right, size), settings)
    inside = labels[left] == labels[right]
    for label in np.flatnonzero(np.bincount(labels) > settings.max_component_size):
        # What is too large still holds by the strongest evidence alone.
        of = inside & (labels[left] == label) & (value >= min(ACCOUNT / 2, 15.0))
        whole = components(left[of], right[of], size)
        assert len(set(whole[labels == label])) == 1


@pytest.mark.parametrize("seed", range(20))
def test_no_household_is_larger_than_the_limit(seed: int) -> None:
    draw = np.random.default_rng(seed)
    settings = IdentitySettings(max_household_size=4)
    size = 40
    with workspace({}) as work:
        ends = [sorted(draw.choice(size, 2, replace=False).tolist()) for _ in range(50)]
        pairs = {(a, b): float(draw.choice([0.7, 0.85, 0.97, 0.9999])) for a, b in ends}
        rows = pl.DataFrame(
            [(a, b, p) for (a, b), p in pairs.items()], schema=["l", "r", "p_home"], orient="row"
        )
        work.register("rows", rows.to_arrow())
        work.execute("CREATE TABLE pair AS SELECT l::BIGINT l, r::BIGINT r, p_home FROM rows")
        work.execute(f"CREATE TABLE numbered AS SELECT i AS rid FROM range({size}) t(i)")
        work.execute("CREATE TABLE cluster_of AS SELECT rid, rid AS cluster FROM numbered")
        work.execute(
            "CREATE TABLE carried AS SELECT rid AS cluster, 'c_' || lpad(rid::VARCHAR, 4, '0')"
            " AS customer_id FROM numbered"
        )
        households(work, settings)
        largest = work.execute(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM households GROUP BY household_id)"
        ).fetchall()[0][0]
    assert largest <= settings.max_household_size
