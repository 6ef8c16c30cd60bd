"""Training, folding in and scoring."""

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from personalization_assets.recommendations import als, judging
from personalization_assets.recommendations.matrix import confidence, to_matrix

PARAMS = als.Params(factors=16, alpha=5.0)


def pairs(people: int = 150, seed: int = 3) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), 8)
    what = (who % 5) * 12 + chance.integers(0, 12, who.size)
    return (
        pl.DataFrame(
            {
                "customer_id": [f"c{i:04d}" for i in who],
                "product_id": [f"p{i:03d}" for i in what],
                "weight": chance.uniform(0.5, 10, who.size),
            }
        )
        .group_by("customer_id", "product_id", maintain_order=True)
        .agg(pl.col("weight").sum())
    )


def tops(model: als.Model, n: int = 10) -> dict[str, list[str]]:
    found = als.best(model.product_factors, model.customer_factors, n)
    named = pl.DataFrame(
        {"c": model.customers.gather(found["row"]), "p": model.products.gather(found["column"])}
    )
    return {c[0]: g["p"].to_list() for c, g in named.group_by("c", maintain_order=True)}


def test_neither_threads_nor_the_order_of_rows_change_a_factor() -> None:
    frame = pairs()
    one = als.train(to_matrix(frame), PARAMS, seed=7, threads=1)
    two = als.train(to_matrix(frame.sample(fraction=1, shuffle=True, seed=1)), PARAMS, 7, threads=2)
    assert np.array_equal(one.customer_factors, two.customer_factors)
    assert np.array_equal(one.product_factors, two.product_factors)


def test_ten_customers_more_leave_other_lists_alone() -> None:
    before = tops(als.train(to_matrix(pairs(500)), PARAMS, 7))
    grown = pl.concat(
        [pairs(500), pairs(10, 9).with_columns(customer_id="b" + pl.col("customer_id"))]
    )
    after = tops(als.train(to_matrix(grown), PARAMS, 7))
    kept = [len(set(before[c]) & set(after[c])) / 10 for c in before]
    assert np.mean(kept) > 0.98


def test_start_factors_depend_on_key_and_seed_only() -> None:
    some = als.start_factors(pl.Series(["a", "b"]), 8, 1)
    assert np.array_equal(some[1], als.start_factors(pl.Series(["x", "b"]), 8, 1)[1])
    assert not np.array_equal(some, als.start_factors(pl.Series(["a", "b"]), 8, 2))
    many = als.start_factors(pl.Series([str(i) for i in range(2000)]), 32, 1)
    assert many.min() >= 0
    assert many.max() < 0.01
    assert abs(many.mean() - 0.005) < 1e-4
    assert abs(np.corrcoef(many[:, 0], many[:, 1])[0, 1]) < 0.1


def test_folding_in_comes_close_to_training() -> None:
    matrix = to_matrix(pairs())
    model = als.train(matrix, PARAMS, 7)
    folded = als.fold_in(model, matrix)
    trained = als.best(model.product_factors, model.customer_factors, 10)
    again = als.best(model.product_factors, folded, 10)
    both = trained.join(again, on=["row", "column"], how="semi")
    assert both.height / trained.height > 0.9


def test_confidence_is_unchanged_when_all_weights_fade_alike() -> None:
    weights = to_matrix(pairs()).weights
    assert np.allclose(confidence(weights, 4, 0.3).data, confidence(weights * 0.1, 4, 0.3).data)
    assert confidence(weights, 4, 0.3).data.mean() == pytest.approx(5.0, rel=1e-4)


def test_nothing_is_recommended_to_those_of_whom_nothing_is_known() -> None:
    products = np.eye(5, dtype=np.float32)
    found = als.best(products, np.zeros((2, 5), dtype=np.float32), 3)
    assert found.is_empty()


def test_when_candidates_run_out_no_skipped_product_comes_back() -> None:
    products = np.eye(4, dtype=np.float32)
    skip = sparse.csr_matrix(np.array([[1, 1, 0, 0]], dtype=np.float32))
    found = als.best(
        products,
        np.ones((1, 4), dtype=np.float32),
        4,
        skip=skip,
        skip_products=np.array([2], dtype=np.int32),
    )
    assert found["column"].to_list() == [3]


def test_own_history_is_added_exactly() -> None:
    chance = np.random.default_rng(5)
    products = chance.normal(size=(40, 6)).astype(np.float32)
    people = chance.normal(size=(30, 6)).astype(np.float32)
    history = sparse.random(30, 40, 0.2, format="csr", random_state=1, dtype=np.float32)
    history.sort_indices()
    skip = sparse.random(30, 40, 0.5, format="csr", random_state=2, dtype=np.float32)
    skip.sort_indices()
    found = als.best(products, people, 7, history=als.own_history(history, 2.0), skip=skip)
    dense = people @ products.T + als.own_history(history, 2.0).toarray()
    dense[skip.toarray() > 0] = -np.inf
    expected = np.argsort(-dense, axis=1, kind="stable")[:, :7]
    assert found["column"].to_numpy().reshape(30, 7).tolist() == expected.tolist()


def test_measures_of_a_list_that_is_known() -> None:
    found = pl.DataFrame(
        {"row": [0, 0, 0], "column": [5, 6, 7], "score": [3.0, 2.0, 1.0]},
        schema_overrides={"row": pl.Int32, "column": pl.Int32},
    )
    truth = pl.DataFrame(
        {"row": [0, 0, 2], "column": [5, 7, 1]}, schema={"row": pl.Int32, "column": pl.Int32}
    )
    scores = judging.judge(found, truth, customers=3, products=10)
    assert scores["recall", 10].tolist() == [1.0, 0.0]
    assert scores["hit_rate", 10].tolist() == [1.0, 0.0]
    assert scores["map", 10][0] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["ndcg", 10][0] == pytest.approx((1 + 0.5) / (1 + 1 / np.log2(3)))
    assert scores["coverage", 10].tolist() == [0.3]
