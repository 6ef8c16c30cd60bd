"""The gate: another recipe only where it is surely better, and nothing that loses to popularity."""

from typing import Any

import numpy as np
import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.recommendations import gate
from personalization_assets.recommendations.bootstrap import Values
from personalization_assets.recommendations.contracts import Evaluation
from personalization_assets.recommendations.gate import Verdict
from personalization_assets.recommendations.settings import RecommendationsSettings

SETTINGS = RecommendationsSettings()
CAUTIOUS = RecommendationsSettings(require_significance=True)
PEOPLE = 400


def scores(mean: float, noise: float = 0.05, seed: int = 0, people: int = PEOPLE) -> Values:
    """Scores of a candidate per customer, with exactly this mean."""
    drawn = np.random.default_rng(seed).normal(0, noise, people)
    centred: Values = mean + drawn - drawn.mean()
    return centred


def decide(
    candidates: dict[str, float | Values],
    running: float | Values | None,
    popularity: float | Values = 0.10,
    settings: RecommendationsSettings = SETTINGS,
) -> Verdict:
    def made(value: float | Values, seed: int) -> Values:
        return value if isinstance(value, np.ndarray) else scores(value, seed=seed)

    return gate.decide(
        {name: made(value, seed) for seed, (name, value) in enumerate(candidates.items(), 1)},
        None if running is None else made(running, 50),
        made(popularity, 60),
        settings,
        seed=7,
    )


def test_the_first_version_is_the_best_recipe_if_it_surely_beats_popularity() -> None:
    verdict = decide({"als": 0.14, "ease": 0.15}, running=None)
    assert (verdict.outcome, verdict.recipe, verdict.published) == ("first", "ease", True)
    assert verdict.value == pytest.approx(0.15)
    assert verdict.popularity == pytest.approx(0.10)
    assert verdict.words.startswith("published: ndcg@10 0.1500 of ease, popularity 0.1000 (gain")
    assert verdict.words.endswith("400 customers, products new to the customer")


@pytest.mark.parametrize(
    ("value", "says"), [(0.1005, "does not surely beat it"), (0.09, "does not beat it")]
)
def test_without_a_version_a_lucky_gain_over_popularity_is_not_enough(
    value: float, says: str
) -> None:
    verdict = decide({"als": value}, running=None)
    assert (verdict.outcome, verdict.published) == ("nothing", False)
    assert verdict.recipe == "als"  # it is trained, so that a person can look at it and promote it
    assert says in verdict.words
    assert verdict.words.startswith("not published: ndcg@10")


def test_a_challenger_that_is_surely_better_than_both_takes_the_place() -> None:
    verdict = decide({"als": 0.12, "ease": 0.16}, running=0.13)
    assert (verdict.outcome, verdict.recipe, verdict.published) == ("switched", "ease", True)
    assert "which takes the place of the running recipe with 0.1300" in verdict.words
    assert {(g.candidate, g.over) for g in verdict.gains} == {
        ("running", "popularity"), ("ease", "popularity"), ("ease", "running")
    }  # fmt: skip
    assert all(g.low <= g.value <= g.high for g in verdict.gains)


def test_a_challenger_that_is_not_surely_better_leaves_the_running_recipe_refitted() -> None:
    verdict = decide({"als": 0.131, "ease": 0.12}, running=0.13)
    assert (verdict.outcome, verdict.recipe, verdict.published) == ("refitted", "running", True)
    assert verdict.value == pytest.approx(0.13)
    assert "als with 0.1310 is not surely better than it" in verdict.words


def test_better_than_the_running_recipe_but_not_surely_than_popularity_is_not_enough() -> None:
    # The running recipe and the challenger go up and down with each other, popularity on its own.
    running = scores(0.100, noise=0.05, seed=1)
    popularity = scores(0.099, noise=0.5, seed=2)
    verdict = decide({"als": running + 0.004}, running, popularity)
    assert verdict.outcome == "refitted"
    assert "als with 0.1040 is not surely better than popularity" in verdict.words


def test_a_tie_keeps_the_running_recipe() -> None:
    same = scores(0.15, seed=3)
    verdict = decide({"als": same.copy()}, same)
    assert (verdict.outcome, verdict.recipe) == ("refitted", "running")
    assert "als" not in verdict.words


def test_when_nothing_beats_popularity_the_earlier_version_stays_and_the_words_say_so() -> None:
    verdict = decide({"als": 0.08, "ease": 0.07}, running=0.09)
    assert (verdict.outcome, verdict.published) == ("kept", False)
    assert verdict.words.startswith("not published: ndcg@10 0.0900 of the running recipe")
    assert "does not beat it, so the earlier version stays" in verdict.words


def test_a_running_recipe_may_go_on_by_its_mean_unless_settings_ask_for_more() -> None:
    assert decide({"als": 0.09}, running=0.1005).outcome == "refitted"
    verdict = decide({"als": 0.09}, running=0.1005, settings=CAUTIOUS)
    assert (verdict.outcome, verdict.published) == ("kept", False)
    assert "does not surely beat it" in verdict.words
    assert decide({"als": 0.09}, running=0.15, settings=CAUTIOUS).outcome == "refitted"


def test_a_challenger_that_is_surely_better_wins_although_the_running_one_lost() -> None:
    assert decide({"als": 0.15}, running=0.09).outcome == "switched"


@pytest.mark.parametrize(("running", "outcome"), [(None, "nothing"), (0.2, "kept")])
def test_too_few_customers_decide_nothing(running: float | None, outcome: str) -> None:
    few: dict[str, Any] = {"people": 19}
    verdict = gate.decide(
        {"als": scores(0.5, **few)},
        None if running is None else scores(running, **few),
        scores(0.1, **few),
        SETTINGS,
        seed=7,
    )
    assert (verdict.outcome, verdict.published, verdict.recipe) == (outcome, False, None)
    assert verdict.words == "not published: 19 customers to judge it by, 20 are needed"


def test_without_any_candidate_the_running_recipe_is_judged_alone() -> None:
    assert decide({}, running=0.15).outcome == "refitted"
    assert decide({}, running=None).outcome == "nothing"


def test_the_same_scores_and_seed_give_the_same_verdict_whatever_the_order() -> None:
    one, two = scores(0.14, seed=1), scores(0.13, seed=2)
    first = decide({"als": one, "ease": two}, 0.12)
    assert first == decide({"ease": two, "als": one}, 0.12)


def test_gains_become_rows_that_keep_the_contract() -> None:
    verdict = decide({"als": 0.16}, running=0.13)
    rows = verdict.gain_rows("0123456789ab", "new", 10)
    audit = contract_of(Evaluation).audit(rows)
    assert audit.rejected.is_empty(), audit.failures
    found = {(r["candidate"], r["metric"]) for r in rows.to_dicts()}
    assert found == {("running", "gain"), ("als", "gain"), ("als", "gain_over_running")}
    assert set(rows["customers"]) == {PEOPLE}


def ndcg_like(chance: np.random.Generator, people: int, means: int) -> list[Values]:
    """Scores as they are in a shop: most customers 0, the series alike because customers are."""
    luck = chance.random(people)
    return [
        np.where((0.7 * luck + 0.3 * chance.random(people)) > 0.75, chance.random(people), 0.0)
        for _ in range(means)
    ]


@pytest.mark.parametrize("rivals", [1, 6])
def test_equal_recipes_hardly_ever_take_each_others_place(rivals: int) -> None:
    switched = 0
    for trial in range(200):
        chance = np.random.default_rng(trial)
        running, *others = ndcg_like(chance, 250, rivals + 1)
        verdict = gate.decide(
            {f"r{chr(97 + i)}": each for i, each in enumerate(others)},
            running,
            np.zeros(250),
            SETTINGS,
            seed=trial,
        )
        switched += verdict.outcome == "switched"
    assert switched <= 10  # 5 %


def test_a_recipe_that_is_really_better_is_nearly_always_let_in() -> None:
    switched = 0
    for trial in range(50):
        chance = np.random.default_rng(trial)
        running, better, other = ndcg_like(chance, 1000, 3)
        lift = np.where(chance.random(1000) < 0.15, 0.5, 0.0)
        verdict = gate.decide(
            {"better": better + lift, "other": other}, running, np.zeros(1000), SETTINGS, trial
        )
        switched += verdict.recipe == "better"
    assert switched >= 48


def test_bounds_of_one_series_are_those_of_a_plain_paired_bootstrap() -> None:
    gain = scores(0.02, noise=0.1, seed=4)
    [found] = gate.gains_over(["als"], [gain], np.zeros(PEOPLE), 2000, seed=1)
    half = 1.96 * gain.std() / np.sqrt(PEOPLE)
    assert found.low == pytest.approx(0.02 - half, rel=0.05)
    assert found.high == pytest.approx(0.02 + half, rel=0.05)


def test_among_many_candidates_the_bound_is_lower_than_for_one_alone() -> None:
    chance = np.random.default_rng(2)
    gains = [chance.normal(0.0, 1.0, PEOPLE) for _ in range(8)]
    [alone] = gate.gains_over(["a"], gains[:1], np.zeros(PEOPLE), 1000, seed=1)
    crowd = gate.gains_over(list("abcdefgh"), gains, np.zeros(PEOPLE), 1000, seed=1)
    assert crowd[0].low < alone.low
    # 2.7 deviations for the best of eight independent ones, in place of 2.
    assert (crowd[0].value - crowd[0].low) / (alone.value - alone.low) == pytest.approx(
        1.4, rel=0.1
    )
