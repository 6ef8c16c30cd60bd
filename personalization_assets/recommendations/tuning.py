"""A small, bounded search for training values, on a window before the one that judges.

One value at a time, in a fixed order, each keeping the best so far: about a dozen trainings, the
same for the same data. What is tried spans what shops differ in most: confidence, how fast taste
ages, and how much best sellers are held back.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from personalization_assets.recommendations import als, judging

STEPS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("alpha", (1.0, 3.0, 10.0, 33.0)),
    ("half_life_days", (30.0, 60.0, 180.0)),
    ("damping", (0.0, 0.3, 0.5)),
    ("regularization", (0.3, 1.0, 3.0)),
    ("factors", (32, 64, 128)),
    ("history", (0.0, 0.1, 0.3, 1.0)),
)
MOST_TRIALS = 1 + sum(len(values) for _, values in STEPS)


@dataclass(frozen=True)
class Trial:
    """One set of values and what it reached on the validation window."""

    params: als.Params
    value: float


def search(
    start: als.Params,
    split_at: Callable[[float], judging.Split],
    metric: tuple[str, int],
    target: str,
    seed: int,
    threads: int = 0,
) -> Iterator[Trial]:
    """Yield every trial, the start first; the best by value is to be used, the earliest of equals.

    Args:
        start: the values to begin with
        split_at: the validation window with interactions weighed by a half-life in days
        metric: name and cut-off, as ("ndcg", 10)
        target: new or all purchases
        seed: of the starting factors
        threads: of training; the result does not depend on it
    """
    splits: dict[float, judging.Split] = {}
    models: dict[als.Params, als.Model] = {}

    def attempt(params: als.Params) -> Trial:
        part = splits.setdefault(params.half_life_days, split_at(params.half_life_days))
        bare = replace(params, history=0.0)
        if bare not in models:
            models.clear()
            models[bare] = als.train(part.known, bare, seed, threads)
        trained = models[bare]
        model = als.Model(
            params,
            trained.customers,
            trained.products,
            trained.customer_factors,
            trained.product_factors,
        )
        found = judging.lists(part, model, target, threads=threads, only=("blend",))["blend"]
        scores = judging.judge(
            found, part.truth[target], len(part.judged), len(part.known.products)
        )
        return Trial(params, float(np.mean(scores[metric])) if len(scores[metric]) else 0.0)

    best = attempt(start)
    yield best
    tried = {start}
    for name, values in STEPS:
        for value in values:
            changed: dict[str, Any] = {name: value}
            params = replace(best.params, **changed)
            if params in tried:
                continue
            tried.add(params)
            trial = attempt(params)
            yield trial
            if trial.value > best.value:
                best = trial
