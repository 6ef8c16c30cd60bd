"""Measures of lists, by hand on small examples, and what holds for any list."""

import math
import time

import numpy as np
import polars as pl
import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.recommendations import judging
from personalization_assets.recommendations.contracts import Evaluation
from personalization_assets.recommendations.judging import Background, Split


def lists(*rows: list[int]) -> pl.DataFrame:
    """Lists of columns, one per customer, best first."""
    found = [(r, c, 1.0 - i / 100) for r, each in enumerate(rows) for i, c in enumerate(each)]
    schema = {"row": pl.Int32, "column": pl.Int32, "score": pl.Float32}
    return pl.DataFrame(found, schema=schema, orient="row")


def bought(*rows: list[int]) -> pl.DataFrame:
    return lists(*rows).select("row", "column")


def background(
    buyers: list[int],
    categories: list[int],
    tastes: list[tuple[int, int, float]],
    everybody: int,
) -> Background:
    return Background(
        -np.log2(np.array(buyers) / everybody),
        np.array(categories, dtype=np.int32),
        pl.DataFrame(
            tastes,
            schema={"row": pl.Int32, "category": pl.Int32, "share": pl.Float64},
            orient="row",
        ),
        pl.Series("segment", ["new", "light", "heavy"][: len(tastes)]),
    )


def test_a_hit_at_rank_two_of_two_bought_is_worth_what_a_hand_works_out() -> None:
    scores = judging.judge(lists([5, 7, 9], [1]), bought([7, 8], []), customers=2, products=10)
    assert scores["recall", 10] == pytest.approx([1 / 2])
    assert scores["hit_rate", 10] == pytest.approx([1])
    assert scores["map", 10] == pytest.approx([(1 / 2) / 2])
    best = 1 + 1 / math.log2(3)
    assert scores["ndcg", 10] == pytest.approx([(1 / math.log2(3)) / best])


def test_ranks_beyond_the_cutoff_do_not_count() -> None:
    scores = judging.judge(lists(list(range(12))), bought([11]), 1, 12)
    assert scores["recall", 10] == [0]
    assert scores["recall", 20] == [1]
    assert scores["ndcg", 20] == pytest.approx([1 / math.log2(13)])


def test_coverage_is_the_share_of_products_shown_and_gini_how_unequally() -> None:
    scores = judging.judge(lists([0, 1], [0, 2]), bought([0], [3]), 2, products=4)
    assert scores["coverage", 10] == [3 / 4]
    # Places 0, 1, 1, 2: the mean of all absolute differences over twice the mean.
    assert scores["gini", 10] == pytest.approx([12 / 16 / 2])
    assert judging.judge(lists([0, 1], [2, 3]), bought([0], [3]), 2, 4)["gini", 10] == [0]
    one = judging.judge(lists([0], [0]), bought([0], [3]), 2, 4)
    assert one["gini", 10] == [3 / 4]


def test_novelty_is_the_mean_surprise_in_bits() -> None:
    known = background([8, 4, 1], [0, 0, 0], [(0, 0, 1.0)], everybody=8)
    scores = judging.judge(lists([0, 1, 2]), bought([0]), 1, 3, known)
    assert scores["novelty", 10] == pytest.approx([(0 + 1 + 3) / 3])


def test_calibration_is_the_divergence_of_steck_worked_out_by_hand() -> None:
    tastes = [(0, 0, 0.75), (0, 1, 0.25)]
    known = background([1] * 4, [0, 0, 1, -1], tastes, everybody=1)
    # Two places of category 0, one of 1, and one product without a category, which says nothing.
    scores = judging.judge(lists([0, 1, 2, 3]), bought([0]), 1, 4, known)
    first, second = 0.99 * 2 / 3 + 0.01 * 0.75, 0.99 / 3 + 0.01 * 0.25
    byhand = 0.75 * math.log2(0.75 / first) + 0.25 * math.log2(0.25 / second)
    assert scores["calibration", 10] == pytest.approx([byhand])


def test_a_list_like_the_history_is_calibrated_and_a_foreign_one_is_not() -> None:
    known = background([1] * 3, [0, 1, 2], [(0, 0, 0.5), (0, 1, 0.5)], everybody=1)
    alike = judging.judge(lists([0, 1]), bought([0]), 1, 3, known)["calibration", 10]
    foreign = judging.judge(lists([2]), bought([0]), 1, 3, known)["calibration", 10]
    assert alike == pytest.approx([0])
    assert foreign == pytest.approx([math.log2(100)])


def test_who_has_no_history_in_any_category_is_not_measured_for_calibration() -> None:
    known = background([1] * 2, [0, -1], [(0, 0, 1.0)], everybody=1)
    scores = judging.judge(lists([0], [0]), bought([0], [0]), 2, 2, known)
    assert np.isnan(scores["calibration", 10]).tolist() == [False, True]


def random_lists(people: int, products: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    chance = np.random.default_rng(seed)
    found = [chance.permutation(products)[: chance.integers(0, 21)].tolist() for _ in range(people)]
    truth = [
        chance.permutation(products + 5)[: chance.integers(0, 9)].tolist() for _ in range(people)
    ]
    return lists(*found), bought(*truth)


@pytest.mark.parametrize("seed", range(5))
def test_every_share_is_between_nothing_and_all(seed: int) -> None:
    scores = judging.judge(*random_lists(60, 40, seed), 60, 40)
    for (metric, _), values in scores.items():
        assert ((values >= 0) & (values <= 1)).all(), metric


@pytest.mark.parametrize("seed", range(5))
def test_a_perfect_list_reaches_one(seed: int) -> None:
    _, truth = random_lists(60, 40, seed)
    scores = judging.judge(truth.with_columns(score=pl.lit(1.0)), truth, 60, 45)
    for metric in judging.METRICS:
        assert scores[metric, 10] == pytest.approx(1), metric


def test_a_perfect_list_reaches_one_even_if_more_was_bought_than_fits() -> None:
    truth = bought(list(range(30)))
    scores = judging.judge(lists(list(range(20))), truth, 1, 30)
    assert scores["ndcg", 10] == pytest.approx([1])
    assert scores["map", 20] == pytest.approx([1])
    assert scores["recall", 20] == pytest.approx([20 / 30])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_customers_changes_nothing_but_the_order_of_values(seed: int) -> None:
    people = 60
    found, truth = random_lists(people, 40, seed)
    asked = np.bincount(truth["row"].to_numpy(), minlength=people) > 0
    place = np.random.default_rng(seed).permutation(people).astype(np.int32)

    def moved(frame: pl.DataFrame) -> pl.DataFrame:
        rows = pl.Series("row", place[frame["row"].to_numpy()])
        return frame.with_columns(rows).sort("row", maintain_order=True)

    before = judging.judge(found, truth, people, 40)
    after = judging.judge(moved(found), moved(truth), people, 40)
    order = np.argsort(np.argsort(place[asked]))
    for name, values in before.items():
        if name[0] in judging.OF_ALL_LISTS:
            assert values == after[name]
        else:
            assert values == pytest.approx(after[name][order])


def shop(people: int, products: int, each: int, seed: int) -> Split:
    """A window of a random shop; every seventh customer is hardly known."""
    chance = np.random.default_rng(seed)
    known = np.where(np.arange(people) % 7 == 0, 2, each)
    who = np.repeat(np.arange(people), known)
    pairs = pl.DataFrame(
        {
            "customer_id": pl.Series(who).cast(pl.String).str.zfill(6),
            "product_id": pl.Series(chance.zipf(1.3, who.size) % products).cast(pl.String),
            "weight": chance.uniform(0.1, 10, who.size),
            "purchases": 1,
        }
    ).unique(["customer_id", "product_id"], maintain_order=True)
    later = pairs.select("customer_id").with_columns(
        product_id=pl.Series(chance.integers(0, products, pairs.height)).cast(pl.String)
    )
    demand = pairs.group_by("product_id").len("ever").with_columns(recent="ever", latest="ever")
    categories = demand.select("product_id", category=pl.col("product_id").str.head(1))
    return judging.split(pairs, later, demand, categories, people)


def best_sellers(part: Split, n: int = 20) -> pl.DataFrame:
    top = np.argsort(-part.popularity, kind="stable")[:n].tolist()
    return lists(*([top] * len(part.judged)))


def test_segments_are_by_what_was_known_and_the_limit_is_that_of_all_customers() -> None:
    pairs = pl.DataFrame(
        [
            (f"c{size:02d}", f"p{i:02d}", 1.0, 1)
            for size in (1, 2, 3, 4, 5, 6, 7, 8)
            for i in range(size)
        ],
        schema=["customer_id", "product_id", "weight", "purchases"],
        orient="row",
    )
    later = pl.DataFrame({"customer_id": ["c01", "c02", "c03", "c06", "c07", "c08"],
                          "product_id": "p09"})  # fmt: skip
    demand = pl.DataFrame({"product_id": ["p00"], "latest": [1], "recent": [1], "ever": [8]})
    categories = pl.DataFrame({"product_id": ["p00"], "category": ["c"]})
    part = judging.split(pairs, later, demand, categories, 100)
    known = judging.background(part)
    assert known.segment.to_list() == ["new", "new", "light", "light", "heavy", "heavy"]
    assert known.bits[0] == 0  # everybody had it
    assert known.bits[7] == 3  # one of eight had it


def test_rows_of_segments_add_up_and_keep_the_contract() -> None:
    part = shop(300, 60, 8, seed=1)
    found = {"popular": best_sellers(part), "nothing": lists()}
    rows, scores = judging.evaluate(part, found, "all", "0123456789ab", 50, seed=1)
    audit = contract_of(Evaluation).audit(rows)
    assert audit.rejected.is_empty(), audit.failures
    ndcg = rows.filter(candidate="popular", metric="ndcg", k=10)
    assert ndcg["segment"].to_list() == ["all", "new", "light", "heavy"]
    whole, parts = ndcg.filter(segment="all"), ndcg.filter(pl.col("segment") != "all")
    assert parts["customers"].sum() == whole["customers"].item() == len(part.judged)
    mean = np.average(parts["value"].to_numpy(), weights=parts["customers"].to_numpy())
    assert mean == pytest.approx(whole["value"].item())
    assert whole["value"].item() == pytest.approx(scores["popular"]["ndcg", 10].mean())
    assert (ndcg["low"] <= ndcg["value"]).all()
    assert (ndcg["value"] <= ndcg["high"]).all()
    covered = rows.filter(candidate="nothing", metric="coverage", k=10, segment="all")
    assert covered["value"].item() == 0


def test_a_shop_without_categories_has_no_row_of_calibration() -> None:
    part = shop(40, 20, 5, seed=2)
    bare = Split(
        **{**part.__dict__, "category_of": np.full(len(part.known.products), -1, np.int32)}
    )
    rows, _ = judging.evaluate(bare, {"popular": best_sellers(bare)}, "new", "0" * 12, 20, 1)
    assert "calibration" not in set(rows["metric"])
    assert {"novelty", "ndcg", "gini"} <= set(rows["metric"])


def test_nobody_to_judge_gives_no_row() -> None:
    part = shop(40, 20, 5, seed=2)
    empty = {name: frame.clear() for name, frame in part.truth.items()}
    bare = Split(**{**part.__dict__, "truth": empty})
    rows, scores = judging.evaluate(bare, {"popular": best_sellers(bare)}, "new", "0" * 12, 20, 1)
    assert rows.is_empty()
    assert len(scores["popular"]["ndcg", 10]) == 0


def test_ten_thousand_customers_are_judged_in_well_under_a_second() -> None:
    part = shop(10_000, 2_000, 12, seed=3)
    found, known = best_sellers(part), judging.background(part)
    started = time.perf_counter()
    judging.judge(found, part.truth["all"], len(part.judged), len(part.known.products), known)
    assert time.perf_counter() - started < 1.5  # 0.2 on an idle machine
