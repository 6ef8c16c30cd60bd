"""The exact search for the best products, against an answer that looks at everything."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from personalization_assets.recommendations import topk

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PLAIN = st.integers(-4, 4).map(float)
"""Ties, zeros and duplicates are frequent"""
EDGES = st.floats(width=32, allow_nan=True, allow_infinity=True)


@pytest.fixture(params=["numpy", "compiled"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways, the compiled one with blocks and groups so small that examples cross them."""
    monkeypatch.setattr(topk, "SMALL", 10**12 if request.param == "numpy" else 0)
    monkeypatch.setattr(topk, "BLOCK", 1)
    monkeypatch.setattr(topk, "GROUP", 4)
    monkeypatch.setattr(topk, "TASK", 4)
    return str(request.param)


def everything(
    products: Any, customers: Any, n: int, skip: Any, skip_products: Any
) -> list[list[tuple[int, float]]]:
    """Each customer's list, by scoring every product in the documented order and sorting."""
    banned = [set() for _ in customers] if skip is None else [set(r.indices) for r in skip]
    gone = set() if skip_products is None else set(skip_products.tolist())
    lists = []
    for row, customer in enumerate(customers):
        scored = []
        for product in range(len(products)):
            lanes = [0.0] * 4
            for k, (x, y) in enumerate(zip(customer, products[product], strict=True)):
                lanes[k % 4] += float(x) * float(y)
            with np.errstate(over="ignore", invalid="ignore"):
                score = np.float32((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
            if score > -np.inf and product not in banned[row] | gone:
                scored.append((-float(score), product))
        known = any(x != 0 for x in customer)
        lists.append([(p, -s) for s, p in sorted(scored)[:n]] if known else [])
    return lists


def found(products: Any, customers: Any, n: int, *args: Any, **kw: Any) -> Any:
    ids, scores = topk.best(products, customers, n, *args, **kw)
    assert ids.shape == scores.shape == (len(customers), n)
    assert ids.dtype == np.int32
    assert scores.dtype == np.float32
    assert np.array_equal(ids == -1, scores == -np.inf)
    return [
        [(int(i), float(s)) for i, s in zip(*row, strict=True) if i >= 0]
        for row in zip(ids, scores, strict=True)
    ]


@st.composite
def problems(draw: st.DrawFn, values: st.SearchStrategy[float]) -> dict[str, Any]:
    """Factors, pairs to skip in no order, products to skip, and a length of list."""
    rows, columns, width = (draw(st.integers(low, high)) for low, high in ((0, 6), (0, 20), (1, 6)))
    pairs = draw(arrays(bool, (rows, columns), elements=st.booleans()))
    start, indices = [0], []
    for row in pairs:
        indices += draw(st.permutations(np.nonzero(row)[0].tolist()))
        start.append(len(indices))
    parts = (np.ones(len(indices)), np.array(indices, dtype=np.int32), np.array(start))
    skip = sparse.csr_matrix(parts, shape=(rows, columns)) if columns else None
    some = st.lists(st.integers(0, max(columns - 1, 0)), max_size=8 if columns else 0)
    return {
        "products": draw(arrays(np.float32, (columns, width), elements=values, fill=st.nothing())),
        "customers": draw(arrays(np.float32, (rows, width), elements=values, fill=st.nothing())),
        "n": draw(st.integers(1, 40)),
        "skip": draw(st.sampled_from([skip, None])),
        "skip_products": draw(st.none() | some.map(lambda x: np.array(x, dtype=np.int32))),
    }


@SETTINGS
@given(problem=problems(PLAIN))
def test_lists_are_those_of_looking_at_everything_and_ties_go_to_the_smaller_id(
    path: str, problem: dict[str, Any]
) -> None:
    expected = everything(**problem)
    assert found(**problem, threads=1) == expected
    assert found(**problem, threads=2) == expected


@SETTINGS
@given(problem=problems(EDGES))
def test_infinite_huge_tiny_and_missing_numbers_are_scored_as_arithmetic_says(
    path: str, problem: dict[str, Any]
) -> None:
    assert found(**problem) == everything(**problem)


@pytest.mark.parametrize("width", [1, 3, 16, 65])
def test_both_ways_give_the_same_bits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(width)
    products = chance.standard_normal((1500, width), dtype=np.float32)
    products *= chance.lognormal(0, 1, (1500, 1)).astype(np.float32)
    products[700:900] = products[100:300]
    customers = chance.standard_normal((600, width), dtype=np.float32)
    skip = sparse.random_array((600, 1500), density=0.02, rng=chance, format="csr")
    answers = []
    for small, threads in ((10**12, 1), (0, 1), (0, 2)):
        monkeypatch.setattr(topk, "SMALL", small)
        answers.append(topk.best(products, customers, 15, skip, np.arange(0, 1500, 7), threads))
    for ids, scores in answers[1:]:
        assert np.array_equal(ids, answers[0][0])
        assert np.array_equal(scores, answers[0][1])


def test_nobody_is_changed_by_who_else_is_asked_for_or_in_what_order() -> None:
    chance = np.random.default_rng(1)
    products = chance.standard_normal((4000, 32), dtype=np.float32)
    customers = chance.standard_normal((3000, 32), dtype=np.float32)
    ids, scores = topk.best(products, customers, 10)
    order = chance.permutation(3000)
    other_ids, other_scores = topk.best(products, customers[order], 10)
    assert np.array_equal(ids[order], other_ids)
    assert np.array_equal(scores[order], other_scores)
    alone_ids, alone_scores = topk.best(products, customers[41:42], 10)
    assert np.array_equal(ids[41:42], alone_ids)
    assert np.array_equal(scores[41:42], alone_scores)


def test_products_are_those_that_implicit_recommends() -> None:
    from implicit.cpu.als import AlternatingLeastSquares

    from personalization_assets.recommendations.models.als import one_blas_thread

    pairs = sparse.random_array((2500, 3000), density=0.004, rng=np.random.default_rng(5))
    bought = sparse.csr_matrix(pairs, dtype=np.float32)
    with one_blas_thread():
        model = AlternatingLeastSquares(factors=32, iterations=3, random_state=1, num_threads=1)
        model.fit(bought, show_progress=False)
        theirs, _ = model.recommend(np.arange(2500), bought, N=10, filter_already_liked_items=True)
    ours, _ = topk.best(model.item_factors, model.user_factors, 10, bought)
    known = np.diff(bought.indptr) > 0
    assert known.sum() > 2400
    assert (ours[known] == theirs[known]).all(axis=1).mean() > 0.999


def test_what_does_not_fit_is_refused() -> None:
    some = np.ones((3, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        topk.best(some, np.ones((2, 5), dtype=np.float32), 3)
    with pytest.raises(ValueError, match="pairs to skip"):
        topk.best(some, some, 3, skip=sparse.csr_matrix((2, 3)))
    with pytest.raises(ValueError, match="at least one place"):
        topk.best(some, some, 0)


SCRIPT = """
import numba.core.caching
from llvmlite import binding
import numpy as np

numba.core.caching.CacheImpl._locator_classes = []
features = {features}
if features is not None:
    binding.get_host_cpu_features = lambda: binding.FeatureMap(features)
from personalization_assets.recommendations import topk, topk_kernel
chance = np.random.default_rng(2)
products = chance.standard_normal((1000, 30), dtype=np.float32)
products[500:600] = products[:100]
customers = chance.standard_normal((300, 30), dtype=np.float32)
answers = []
for topk.SMALL in (0, 10**12):
    answers.append(topk.best(products, customers, 10))
assert topk_kernel.search.stats.cache_path is None or not topk_kernel.search.stats.cache_hits
print(all(np.array_equal(*pair) for pair in zip(*answers)), topk_kernel.LANES)
"""


@pytest.mark.parametrize(("features", "lanes"), [(None, None), ({}, 4), ({"avx": True}, 8)])
def test_it_works_without_a_place_for_compiled_code_and_on_lesser_processors(
    features: Any, lanes: int | None
) -> None:
    script = SCRIPT.replace("{features}", repr(features))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    same, wide = done.stdout.split()
    assert same == "True"
    assert lanes is None or int(wide) == lanes
