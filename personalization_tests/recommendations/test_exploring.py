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
    settings = ExploringSettings(**{"explore_share": 0.1, "explore_places": 4, **values})
    return explore(places, reserve, outcomes, settings, seed, day)


def test_the_share_of_places_that_try_is_the_one_that_the_settings_name() -> None:
    done = tried(explore_within=0.005)  # no score is so near
    assert not done["explored"].any()
    places, _ = lists(4000)
    done = tried(explore_places=2)
    moved = done.join(places, on=["customer_id", "rank"], suffix="_before")
    # of two places a tenth try: 0.2 in a list, one at most, and it may change one other place
    tries = done.filter("explored").group_by("customer_id").len()
    assert tries.height / 4000 == pytest.approx(0.2, abs=0.02)
    assert set(tries["len"]) == {1, 2}
    changed = moved.filter(pl.col("product_id") != pl.col("product_id_before"))
    assert changed["explored"].all()
    firsts = changed.group_by("customer_id").agg(pl.col("rank").min())["rank"]
    assert firsts.max() == 2
    assert firsts.value_counts()["count"].to_list() == pytest.approx([320, 320], abs=80)


def test_nothing_is_tried_where_the_settings_say_so_or_nothing_is_near() -> None:
    places, reserve = lists(50)
    apart = places.with_columns(score=1 / pl.col("rank"))
    for values, before, spare in (
        ({"explore_share": 0}, places, reserve),
        ({}, apart, reserve.clear()),
        ({}, apart, reserve.with_columns(score=pl.lit(0.1))),
        ({}, apart, reserve.with_columns(source=pl.lit("popular"))),
        ({}, apart, apart.drop("rank")),
        ({}, apart.with_columns(score=pl.lit(float("nan"))), reserve),
    ):
        done = explore(before, spare, NOTHING, ExploringSettings(**values), 1, DAY)
        assert done.drop("explored", "propensity").equals(before)
        assert done["propensity"].to_list() == [1.0] * 200
        assert not done["explored"].any()


def test_products_bring_their_columns_and_appear_once() -> None:
    done = tried(explore_share=0.25)
    new = done.filter(pl.col("product_id").is_in(["p4", "p5", "p6"]))
    assert 0 < new.height < done["explored"].sum()
    assert (done["because"].str.slice(1) == done["product_id"].str.slice(1)).all()
    number = done["product_id"].str.slice(1).cast(pl.Int64)
    assert done["score"].to_list() == pytest.approx((1 - number / 100).to_list())
    assert done["rank"].to_list() == [1, 2, 3, 4] * 4000
    assert done.select(pl.struct("customer_id", "product_id").is_duplicated().any()).item() is False


def test_columns_that_only_lists_have_follow_the_product_within_a_list() -> None:
    places, reserve = lists(300)
    places = places.with_columns(own=pl.col("product_id") + "!", person=pl.col("customer_id"))
    settings = ExploringSettings(explore_share=1)
    done = explore(places, reserve.with_columns(rank=pl.lit(99)), NOTHING, settings, 1, DAY)
    inside = pl.col("product_id").is_in(["p0", "p1", "p2", "p3"])
    assert (done.filter(inside)["own"] == done.filter(inside)["product_id"] + "!").all()
    assert (done["person"] == done["customer_id"]).all()
    assert done["rank"].to_list() == [1, 2, 3, 4] * 300


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
    # each place may have its own product, one of the two before it and one of the two after
    assert seen.height == 3 + 4 + 5 + 5
    assert seen["spread"].max() == pytest.approx(0, abs=1e-12)
    assert seen["share"].to_list() == pytest.approx(seen["odds"].to_list(), abs=0.01)
    # at each place the odds of all products add up to 1, so none is missing and none too much
    assert seen.group_by("rank").agg(pl.col("odds").sum())["odds"].to_list() == pytest.approx(
        [1] * 4
    )


def test_no_competitor_is_ever_without_a_chance() -> None:
    outcomes = pl.DataFrame(
        {"product_id": ["p3", "p4"], "shown": [1e6, 1e6], "clicked": [9e4, 10.0]}
    )
    done = tried(5000, outcomes, explore_share=0.25)
    assert done["propensity"].min() > 0.999 * 0.25 * 0.1 / 6
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
