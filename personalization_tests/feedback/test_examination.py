"""How often places are looked at, found from clicks."""

import numpy as np
import polars as pl
import pytest

from personalization_assets.feedback.examination import examine
from personalization_assets.feedback.settings import FeedbackSettings

TRUE = np.array([1.0, 0.8, 0.45, 0.4, 0.2, 0.1])


def clicks(shown_each: int, seed: int = 0, items: int = 40) -> pl.DataFrame:
    """Products of different worth, good ones more often on top."""
    chance = np.random.default_rng(seed)
    relevance = chance.uniform(0.01, 0.15, items)
    order = np.argsort(np.argsort(-relevance)) / items
    rows = []
    for item in range(items):
        for place, looked in enumerate(TRUE):
            shown = int(shown_each * (1.6 - 1.2 * abs(order[item] - place / 5)))
            rows.append((place + 1, f"p{item}", shown, chance.binomial(
                shown, looked * relevance[item])))  # fmt: skip
    return pl.DataFrame(rows, schema=["position", "item", "shown", "clicked"], orient="row")


def test_examination_is_found_though_better_products_stand_higher() -> None:
    counts = clicks(4000)
    found = examine(counts, FeedbackSettings())
    assert found["examination"].to_list() == pytest.approx(TRUE.tolist(), abs=0.05)
    assert found["evidence"].min() > 0.9
    raw = counts.drop("item").group_by("position").sum().sort("position")
    raw_rates = (raw["clicked"] / raw["shown"]).to_numpy()
    error = np.abs(found["examination"].to_numpy() - TRUE).max()
    assert error < np.abs(raw_rates / raw_rates[0] - TRUE).max()


def test_with_few_data_examination_stays_near_the_curve() -> None:
    found = examine(clicks(2), FeedbackSettings(examination_power=0.5))
    curve = [k**-0.5 for k in range(1, 7)]
    assert found["prior"].to_list() == pytest.approx(curve)
    assert found["examination"].to_list() == pytest.approx(curve, abs=0.1)
    assert found["evidence"].max() < 0.3


def test_a_place_that_was_never_shown_has_the_curve_s_value() -> None:
    counts = clicks(100).filter(pl.col("position") != 4)
    found = examine(counts, FeedbackSettings())
    assert found["position"].to_list() == [1, 2, 3, 4, 5, 6]
    assert found.row(3, named=True)["shown"] == 0
    assert 0 < found.row(3, named=True)["examination"] <= 1


def test_without_clicks_the_curve_stands_and_without_mails_nothing() -> None:
    silent = clicks(100).with_columns(clicked=pl.lit(0))
    found = examine(silent, FeedbackSettings())
    assert found["examination"].is_between(0, 1).all()
    assert found["examination"].is_sorted(descending=True)
    assert examine(silent.clear(), FeedbackSettings()).is_empty()
