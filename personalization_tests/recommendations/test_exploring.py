"""Places that try near ties: which, at what odds, and the same ones again."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from personalization_assets.recommendations.exploring import best_odds, explore
from personalization_assets.recommendations.exploring_settings import ExploringSettings

DAY = dt.datetime(2026, 6, 1, 6)
NOTHING = pl.DataFrame(schema={"product_id": pl.String, "shown": pl.Float64, "clicked": pl.Float64})


def lists(people: int, length: int = 4, spare: int = 3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lists of scores 1.00, 0.99 ..., and products that would have been next."""
    rows = [
        {"customer_id": f"c{i:05d}", "rank": r + 1, "product_id": f"p{r}", "score": 1 - r / 100,
         "source": "als", "because": f"b{r}"}
        for i in range(people) for r in range(length + spare)
    ]  # fmt: skip
    frame = pl.DataFrame(rows)
    return frame.filter(pl.col("rank") <= length), frame.filter(pl.col("rank") > length)


def tried(people: int = 4000, outcomes: pl.DataFrame = NOTHING, day: dt.datetime = DAY,
          seed: int = 1, **values: Any) -> pl.DataFrame:  # fmt: skip
    places, reserve = lists(people)
    settings = ExploringSettings(**{"explore_share": 0.1, **values})
    return explore(places, reserve, outcomes, settings, seed, day)


def test_the_share_of_places_that_try_is_the_one_that_the_settings_name() -> None:
    done = tried()
    assert done["explored"].mean() == pytest.approx(0.1, abs=0.01)
    assert done.filter("explored").group_by("customer_id").len()["len"].max() == 1
    by_rank = done.group_by("rank").agg(pl.col("explored").mean()).sort("rank")["explored"]
    assert by_rank.to_list() == pytest.approx([0.1] * 4, abs=0.02)


def test_nothing_is_tried_where_the_settings_say_so_or_nothing_is_near() -> None:
    places, reserve = lists(50)
    for values, spare in (
        ({"explore_share": 0}, reserve),
        ({}, reserve.clear()),
        ({}, reserve.with_columns(score=pl.lit(0.5))),
        ({}, reserve.with_columns(source=pl.lit("popular"))),
        ({}, places.drop("rank")),
    ):
        done = explore(places, spare, NOTHING, ExploringSettings(**values), 1, DAY)
        assert done.drop("explored", "propensity").equals(places)
        assert done["propensity"].to_list() == [1.0] * 200
        assert not done["explored"].any()


def test_what_is_swapped_in_brings_its_columns_and_appears_once() -> None:
    done = tried()
    new = done.filter(pl.col("product_id").is_in(["p4", "p5", "p6"]))
    assert 0 < new.height <= done["explored"].sum()
    assert (new["because"].str.slice(1) == new["product_id"].str.slice(1)).all()
    assert new["score"].to_list() == pytest.approx(
        [1 - int(p[1:]) / 100 for p in new["product_id"]]
    )
    assert done.select(pl.struct("customer_id", "product_id").is_duplicated().any()).item() is False


def test_propensities_are_the_frequencies_over_many_lists() -> None:
    """Each product stands at each place as often as its logged propensity says."""
    outcomes = pl.DataFrame(
        {"product_id": ["p3", "p4", "p5"], "shown": [900.0, 800.0, 900.0],
         "clicked": [40.0, 50.0, 20.0]}
    )  # fmt: skip
    done = tried(20_000, outcomes, explore_share=0.25, explore_within=0.0225)
    seen = done.group_by("rank", "product_id").agg(
        share=pl.len() / 20_000, odds=pl.col("propensity").mean(), spread=pl.col("propensity").std()
    )
    assert seen.height == 4 + 2 + 1  # p0 to p3; p4 at ranks 3 and 4, p5 at rank 4
    assert seen["spread"].max() == pytest.approx(0, abs=1e-12)
    assert seen["share"].to_list() == pytest.approx(seen["odds"].to_list(), abs=0.01)
    # inverse propensities add up to the number of lists, for each of the products that may stand
    for product in ("p3", "p4", "p5"):
        weights = done.filter((pl.col("rank") == 4) & (pl.col("product_id") == product))
        assert (1 / weights["propensity"]).sum() / 20_000 == pytest.approx(1, abs=0.1)


def test_no_competitor_is_ever_without_a_chance() -> None:
    outcomes = pl.DataFrame(
        {"product_id": ["p3", "p4"], "shown": [1e6, 1e6], "clicked": [9e4, 10.0]}
    )
    done = tried(5000, outcomes, explore_share=0.25)
    assert done["propensity"].min() > 0.25 * 0.1 / 6
    assert done["propensity"].max() <= 1
    assert done.filter(pl.col("product_id") == "p4").height > 0


def test_odds_of_being_best_are_those_of_drawing_rates() -> None:
    a, b = np.array([3.0, 20.0, 5.0, 200.0]), np.array([60.0, 300.0, 200.0, 4000.0])
    table = np.array([[0, 1, 2, 3], [3, 1, -1, -1], [2, -1, -1, -1]])
    odds = best_odds(a, b, table)
    draws = np.random.default_rng(0).beta(a, b, (400_000, 4))
    wins = np.bincount(draws.argmax(axis=1), minlength=4) / 400_000
    assert odds[0] == pytest.approx(wins, abs=0.02)
    assert odds[1, :2] == pytest.approx(
        [(draws[:, 3] > draws[:, 1]).mean(), (draws[:, 1] > draws[:, 3]).mean()], abs=0.02
    )
    assert odds[2].tolist() == [1, 0, 0, 0]
    assert odds.sum(axis=1) == pytest.approx(1)


def test_products_that_were_clicked_more_are_tried_more() -> None:
    outcomes = pl.DataFrame(
        {"product_id": ["p4", "p5"], "shown": [4000.0, 4000.0], "clicked": [400.0, 40.0]}
    )
    counts = dict(tried(20_000, outcomes)["product_id"].value_counts().iter_rows())
    assert counts["p4"] > 10 * counts["p5"]


def test_the_order_of_rows_changes_nothing() -> None:
    places, reserve = lists(300)
    settings = ExploringSettings(explore_share=0.25)
    once = explore(places, reserve, NOTHING, settings, 1, DAY)
    mixed = explore(
        places.sample(fraction=1, shuffle=True, seed=3),
        reserve.sample(fraction=1, shuffle=True, seed=4),
        NOTHING, settings, 1, DAY,
    )  # fmt: skip
    assert mixed.equals(once)


def test_other_customers_change_nothing_whatever_was_clicked() -> None:
    places, reserve = lists(300)
    late = pl.col("customer_id") >= "c00100"
    other = reserve.with_columns(
        product_id=pl.when(late).then(pl.lit("q") + pl.col("product_id")).otherwise("product_id")
    )
    outcomes = pl.DataFrame(
        {"product_id": ["p3", "p4", "qp4"], "shown": [900.0, 800.0, 70.0],
         "clicked": [40.0, 50.0, 20.0]}
    )  # fmt: skip
    settings = ExploringSettings(explore_share=0.25)
    both = explore(places, other, outcomes, settings, 1, DAY)
    alone = explore(places.filter(~late), other.filter(~late), outcomes, settings, 1, DAY)
    assert alone.equals(both.filter(~late))


def test_another_day_or_seed_tries_at_other_places() -> None:
    once = tried(500)
    assert once.equals(tried(500, day=DAY + dt.timedelta(hours=12)))
    assert not once.equals(tried(500, day=DAY + dt.timedelta(days=1)))
    assert not once.equals(tried(500, seed=2))
