"""The click rate that other lists would have had, from lists that tried near ties at known odds."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from personalization_assets.feedback.offline import Estimate, estimate
from personalization_assets.recommendations.exploring import explore
from personalization_assets.recommendations.exploring_settings import ExploringSettings

DAY = dt.datetime(2026, 6, 1)
PEOPLE, LENGTH, SPARE = 600, 3, 3
SETTINGS = ExploringSettings(explore_share=1, explore_within=0.5, explore_evenly=0.3)
PRODUCTS = [f"p{i}" for i in range(LENGTH + SPARE)]
RATES = np.array([0.05, 0.10, 0.04, 0.20, 0.08, 0.15])
LOOKED_AT = np.array([1.0, 0.7, 0.5])
OUTCOMES = pl.DataFrame(
    {"product_id": PRODUCTS, "shown": [300.0] * 6, "clicked": [12.0, 20.0, 9.0, 25.0, 20.0, 22.0]}
)


def logged(seed: int) -> pl.DataFrame:
    """Lists p0, p1, p2 that try p3, p4, p5, shown to people who click."""
    chance = np.random.default_rng(seed)
    place = np.tile(np.arange(LENGTH + SPARE), PEOPLE)
    frame = pl.DataFrame(
        {"n": np.repeat(np.arange(PEOPLE), LENGTH + SPARE), "place": place}
    ).select(
        customer_id=pl.format("c{}-{}", pl.lit(seed), "n"),
        rank=pl.col("place") + 1,
        product_id=pl.format("p{}", "place"),
        score=1 - pl.col("place") / 100,
        source=pl.lit("als"),
    )
    done = explore(
        frame.filter(pl.col("rank") <= LENGTH), frame.filter(pl.col("rank") > LENGTH),
        OUTCOMES, SETTINGS, seed, DAY,
    )  # fmt: skip
    code = done["product_id"].str.slice(1).cast(pl.Int64).to_numpy()
    wanted = RATES[code] * LOOKED_AT[done["rank"].to_numpy() - 1]
    return done.select(
        "rank", "product_id", "propensity",
        mail="customer_id", clicked=pl.Series(chance.random(done.height) < wanted),
    )  # fmt: skip


def other(log: pl.DataFrame, products: list[str]) -> Estimate:
    there = pl.DataFrame({"rank": [1, 2, 3], "there": products})
    matches = log.join(there, on="rank", how="left", maintain_order="left")
    return estimate(
        matches.with_columns(matches=pl.col("there") == pl.col("product_id")), z=1.959964
    )


def test_the_interval_holds_the_rate_that_the_other_lists_would_have_had() -> None:
    lists = ["p3", "p5", "p4"]
    true = float((RATES[[3, 5, 4]] * LOOKED_AT).mean())
    found = [other(logged(seed), lists) for seed in range(200)]
    inside = [e for e in found if (e.low or 0) <= true <= (e.high or 0)]
    assert len(inside) >= 186  # 93 %
    rates = np.array([e.rate for e in found], dtype=float)
    assert rates.mean() == pytest.approx(true, abs=3 * rates.std() / np.sqrt(200))
    assert np.mean([e.support for e in found]) == pytest.approx(1, abs=0.02)
    # clicks of the places that match, taken as they are, would say something else
    assert all(e.effective < e.matched for e in found)


def test_lists_that_were_shown_have_the_rate_that_they_had() -> None:
    log = logged(1)
    same = estimate(log.with_columns(matches=pl.lit(True), propensity=pl.lit(1.0)), z=1.959964)
    assert same.rate == pytest.approx(log["clicked"].mean())
    assert (same.matched, same.support, same.effective) == (log.height, 1, log.height)


def test_lists_that_could_never_have_been_shown_have_no_rate() -> None:
    found = other(logged(1), ["p9", "p9", "p9"])
    assert (found.matched, found.support, found.rate) == (0, 0, None)
    half = other(logged(1), ["p0", "p9", "p9"])
    assert half.support == pytest.approx(1 / 3, abs=0.05)


def test_without_a_click_the_interval_starts_at_nothing_and_is_not_empty() -> None:
    found = estimate(logged(1).with_columns(matches=pl.lit(True), clicked=pl.lit(False)), z=2)
    assert (found.rate, found.low) == (0, 0)
    assert 0 < (found.high or 0) < 0.01
