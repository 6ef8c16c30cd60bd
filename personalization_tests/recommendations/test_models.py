"""Every kind of model: training, folding in, scoring, storing."""

from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from personalization_assets.recommendations import models
from personalization_assets.recommendations.matrix import Matrix, to_matrix
from personalization_assets.recommendations.models import als, blend, ease, items, ranking

RECIPES = {
    "als": models.Recipe.of("als", 60, 0, {**als.DEFAULTS, "factors": 16, "alpha": 5}),
    "ease": models.Recipe.of("ease", 60, 0, {"regularization": 5.0, "power": 0.5}),
    "knn": models.Recipe.of("knn", 60, 0, models.ALGORITHMS["knn"].defaults),
    "blend": models.Recipe.of("blend", 60, 0, {**blend.DEFAULTS, "factors": 16, "alpha": 5}),
}
every_kind = pytest.mark.parametrize("kind", sorted(RECIPES))


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


def fitted(kind: str, matrix: Matrix, threads: int = 0) -> models.Model:
    return models.fit(matrix, RECIPES[kind], seed=7, threads=threads)


def tops(model: models.Model, matrix: Matrix, n: int = 10) -> dict[str, list[str]]:
    found = model.best(matrix.weights, n, customers=matrix.customers)
    named = pl.DataFrame(
        {"c": matrix.customers.gather(found["row"]), "p": model.products.gather(found["column"])}
    )
    return {c[0]: g["p"].to_list() for c, g in named.group_by("c", maintain_order=True)}


@every_kind
def test_neither_threads_nor_the_order_of_rows_change_a_number(kind: str) -> None:
    frame = pairs()
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    one, two = fitted(kind, to_matrix(frame), 1), fitted(kind, to_matrix(shuffled), 2)
    assert one.rows().equals(two.rows())


@every_kind
def test_ten_customers_more_leave_other_lists_alone(kind: str) -> None:
    few = to_matrix(pairs(500))
    more = to_matrix(
        pl.concat([pairs(500), pairs(10, 9).with_columns(customer_id="b" + pl.col("customer_id"))])
    )
    before, after = tops(fitted(kind, few), few), tops(fitted(kind, more), more)
    kept = [len(set(before[c]) & set(after[c])) / 10 for c in before]
    assert np.mean(kept) > 0.98


@every_kind
def test_a_model_survives_the_way_through_a_table(kind: str) -> None:
    matrix = to_matrix(pairs())
    model = fitted(kind, matrix)
    rows = model.rows().sample(fraction=1, shuffle=True, seed=2)
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA recommendations")
        con.register("shuffled", rows)
        con.execute(
            "CREATE TABLE recommendations.als_factors AS"
            " SELECT 'v1' AS model_version, * FROM shuffled"
        )
        con.execute("CREATE TABLE recommendations.als_model (model_version TEXT, recipe TEXT)")
        con.execute(
            "INSERT INTO recommendations.als_model VALUES ('v1', ?)", [model.recipe.to_json()]
        )
        again = models.load(con, "v1")
        with pytest.raises(KeyError):
            models.load(con, "v2")
    assert again.recipe == model.recipe
    assert again.rows().equals(model.rows())
    assert tops(again, matrix) == tops(model, matrix)


@every_kind
def test_scores_are_those_the_best_are_chosen_by_and_nobody_changes_anothers(kind: str) -> None:
    matrix = to_matrix(pairs())
    model = fitted(kind, matrix)
    together = model.scores(matrix.weights)
    alone = np.vstack([model.scores(matrix.weights[row]) for row in range(5)])
    assert np.allclose(together[:5], alone, atol=1e-6)
    found = model.best(matrix.weights, 3)
    chosen = together[found["row"].to_numpy(), found["column"].to_numpy()]
    assert np.allclose(chosen, found["score"].to_numpy(), atol=1e-5)
    best = found.group_by("row", maintain_order=True).first()
    assert np.allclose(together.max(axis=1), best["score"].to_numpy(), atol=1e-5)


@every_kind
def test_what_is_skipped_never_comes_back(kind: str) -> None:
    matrix = to_matrix(pairs())
    gone = np.array([0, 7, 30], dtype=np.int32)
    found = fitted(kind, matrix).best(
        matrix.weights, len(matrix.products), skip=matrix.weights, skip_products=gone, history=1.0
    )
    rows, columns = found["row"].to_numpy(), found["column"].to_numpy()
    assert not np.asarray(matrix.weights[rows, columns]).any()
    assert not np.isin(columns, gone).any()
    assert found.height


@every_kind
def test_nothing_is_recommended_to_those_of_whom_nothing_is_known(kind: str) -> None:
    matrix = to_matrix(pairs())
    nobody = sparse.csr_matrix((2, len(matrix.products)), dtype=np.float32)
    assert fitted(kind, matrix).best(nobody, 3, history=0.5).is_empty()


@every_kind
def test_products_of_one_taste_are_alike(kind: str) -> None:
    model = fitted(kind, to_matrix(pairs()))
    similar = model.similar(5)
    assert (similar["column"] != similar["other"]).all()
    same = similar["column"] // 12 == similar["other"] // 12
    assert same.mean() > 0.95
    assert similar.group_by("column").len()["len"].max() == 5


def test_folding_in_comes_close_to_training() -> None:
    matrix = to_matrix(pairs())
    model = fitted("als", matrix)
    trained = model.best(matrix.weights, 10, customers=matrix.customers)
    folded = model.best(matrix.weights, 10)
    both = trained.join(folded, on=["row", "column"], how="semi")
    assert both.height / trained.height > 0.9


def test_those_who_came_after_the_training_are_folded_in_among_the_others() -> None:
    matrix = to_matrix(pairs())
    model = fitted("als", matrix)
    late = matrix.customers.clone().scatter([3], "somebody new")
    mixed = model.best(matrix.weights, 10, customers=late)
    trained = model.best(matrix.weights, 10, customers=matrix.customers)
    alone = model.best(matrix.weights[3], 10)
    third = pl.col("row") == 3
    assert mixed.filter(~third).equals(trained.filter(~third))
    assert mixed.filter(third)["column"].to_list() == alone["column"].to_list()


def test_start_factors_depend_on_key_and_seed_only() -> None:
    some = als.start_factors(pl.Series(["a", "b"]), 8, 1)
    assert np.array_equal(some[1], als.start_factors(pl.Series(["x", "b"]), 8, 1)[1])
    assert not np.array_equal(some, als.start_factors(pl.Series(["a", "b"]), 8, 2))
    many = als.start_factors(pl.Series([str(i) for i in range(2000)]), 32, 1)
    assert many.min() >= 0
    assert many.max() < 0.01
    assert abs(many.mean() - 0.005) < 1e-4
    assert abs(np.corrcoef(many[:, 0], many[:, 1])[0, 1]) < 0.1


def test_confidence_is_unchanged_when_all_weights_fade_alike() -> None:
    def values(weights: Any) -> Any:
        return als.confidence(weights, 4, 0.3, als.scale_of(weights, 0.3)).data

    weights = to_matrix(pairs()).weights
    assert np.allclose(values(weights), values(weights * 0.1))
    assert values(weights).mean() == pytest.approx(5.0, rel=1e-4)


def test_ease_is_its_closed_form() -> None:
    matrix = to_matrix(pairs(60))
    recipe = RECIPES["ease"]
    model = ease.fit(matrix, recipe, seed=0)
    known = items.strengths(matrix.weights, recipe["power"]).toarray().astype(np.float64)
    inverse = np.linalg.inv(known.T @ known + 5.0 * np.eye(known.shape[1]))
    expected = np.eye(len(inverse)) - inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert np.allclose(model.weights.toarray(), expected, atol=1e-4)


def test_only_the_largest_weights_of_a_product_are_kept() -> None:
    dense = np.random.default_rng(1).normal(size=(3, items.MOST_NEIGHBOURS + 40)).astype(np.float32)
    kept = items.pruned(dense)
    assert np.diff(kept.indptr).tolist() == [items.MOST_NEIGHBOURS] * 3
    smallest = np.abs(kept.data).reshape(3, -1).min(axis=1)
    dropped = np.where(kept.toarray() == 0, np.abs(dense), 0).max(axis=1)
    assert (smallest >= dropped).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0, 0.9), st.sampled_from([0.0, 0.7]))
def test_the_best_by_items_are_those_of_the_dense_table(
    seed: int, n: int, share_skipped: float, history: float
) -> None:
    chance = np.random.default_rng(seed)
    people, products = int(chance.integers(1, 12)), int(chance.integers(1, 15))
    # few different values, so that there are ties
    between = chance.integers(-1, 3, size=(products, products)).astype(np.float32) / 4
    known = chance.integers(0, 3, size=(people, products)).astype(np.float32)
    skip = chance.random((people, products)) < share_skipped
    gone = np.nonzero(chance.random(products) < 0.2)[0].astype(np.int32)
    recipe = models.Recipe.of("ease", 60, history, {"regularization": 1, "power": 1})
    model = items.ItemModel(
        recipe,
        pl.Series([f"p{i:02d}" for i in range(products)]),
        sparse.csr_matrix(between),
    )
    weights = sparse.csr_matrix(known)
    found = model.best(
        weights, n, skip=sparse.csr_matrix(skip.astype(np.float32)), skip_products=gone
    )

    scores = model.scores(weights)
    own = ranking.own_history(weights, history)
    bonus = own.toarray() if own is not None else np.zeros_like(scores)
    dense = np.where((scores > 0) | (bonus > 0), scores + bonus, -np.inf)
    dense[skip] = -np.inf
    dense[:, gone] = -np.inf
    for row in range(people):
        order = np.argsort(-dense[row], kind="stable")[:n]
        expected = [int(c) for c in order if np.isfinite(dense[row, c])]
        assert found.filter(pl.col("row") == row)["column"].to_list() == expected


def test_a_blend_is_the_sum_of_its_parts_and_finds_the_best_of_it() -> None:
    matrix = to_matrix(pairs(300))
    model = fitted("blend", matrix)
    by_als, by_knn = fitted("als", matrix), fitted("knn", matrix)
    amounts = np.diff(matrix.weights.indptr)[:, None]
    expected = by_als.scores(matrix.weights) + by_knn.scores(matrix.weights) / np.sqrt(amounts)
    assert np.allclose(model.scores(matrix.weights), expected, atol=1e-5)
    found = model.best(matrix.weights, 5, skip=matrix.weights)
    expected[matrix.weights.nonzero()] = -np.inf
    best = np.argsort(-expected, axis=1, kind="stable")[:, :5]
    assert found["column"].to_numpy().reshape(-1, 5).tolist() == best.tolist()


def test_what_is_made_of_others_begins_with_what_was_found_for_them() -> None:
    found = {
        "als": RECIPES["als"].with_value("half_life_days", 30),
        "knn": RECIPES["knn"].with_value("neighbours", 7),
    }
    start = models.starting("blend", found)
    assert (start["factors"], start["neighbours"], start.half_life_days) == (16, 7, 30)
    assert models.usable(("blend", "ease", "als"), 20_000) == ["als", "blend"]


def test_own_history_is_added_exactly() -> None:
    chance = np.random.default_rng(5)
    products = chance.normal(size=(40, 6)).astype(np.float32)
    people = chance.normal(size=(30, 6)).astype(np.float32)
    history = sparse.random(30, 40, 0.2, format="csr", random_state=1, dtype=np.float32)
    history.sort_indices()
    skip = sparse.random(30, 40, 0.5, format="csr", random_state=2, dtype=np.float32)
    skip.sort_indices()
    own = ranking.own_history(history, 2.0)

    def top(n: int) -> tuple[Any, Any]:
        scores = np.where(skip.toarray() > 0, -np.inf, people @ products.T)
        ids = np.argsort(-scores, axis=1, kind="stable")[:, :n].astype(np.int32)
        return ids, np.take_along_axis(scores, ids, axis=1)

    def scores_of(rows: Any, columns: Any) -> Any:
        return als.pair_scores(people, products, rows, columns)

    found = ranking.best(top, scores_of, 7, own, skip)
    dense = people @ products.T + own.toarray()
    dense[skip.toarray() > 0] = -np.inf
    expected = np.argsort(-dense, axis=1, kind="stable")[:, :7]
    assert found["column"].to_numpy().reshape(30, 7).tolist() == expected.tolist()


def test_a_recipe_is_what_its_json_says() -> None:
    recipe = RECIPES["als"].with_value("alpha", 3).with_value("history", 1)
    assert models.Recipe.from_json(recipe.to_json()) == recipe
    assert recipe["alpha"] == 3
    assert recipe.as_dict()["history"] == 1
    assert recipe != RECIPES["als"]
