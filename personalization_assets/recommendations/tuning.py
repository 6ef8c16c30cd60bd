"""A small, bounded search for the values of a recipe, on a window before the one that judges.

One value at a time, in the order of the algorithm's `steps`, each keeping the best so far: a dozen
or two trainings, the same for the same data. What is tried spans what shops differ in most.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from personalization_assets.recommendations import judging, models
from personalization_assets.recommendations.models import candidates


@dataclass(frozen=True)
class Trial:
    """One recipe and what it reached on the validation window."""

    recipe: models.Recipe
    value: float


@dataclass(frozen=True)
class Search:
    """What recipes are tried on, and by which number they are compared.

    Attributes:
        split_at: the validation window with interactions weighed by a half-life in days
        metric: name and cut-off, as ("ndcg", 10)
        target: new or all purchases
        seed: of whatever chance an algorithm has
        threads: of training; the result does not depend on it
    """

    split_at: Callable[[float], judging.Split]
    metric: tuple[str, int]
    target: str
    seed: int
    threads: int = 0

    def trials(self, start: models.Recipe, fixed: frozenset[str] = frozenset()) -> Iterator[Trial]:
        """Yield every trial, the start first; the best is to be used, the earliest of equals.

        Args:
            start: the recipe to begin with
            fixed: names of values that stay as they are
        """
        best = self.attempt(start)
        yield best
        tried = {start}
        trained = _Trained(self)
        for name, values in models.ALGORITHMS[start.algorithm].steps:
            for value in () if name in fixed else values:
                recipe = best.recipe.with_value(name, value)
                if recipe in tried:
                    continue
                tried.add(recipe)
                trial = self.attempt(recipe, trained)
                yield trial
                if trial.value > best.value:
                    best = trial

    def attempt(self, recipe: models.Recipe, trained: "_Trained | None" = None) -> Trial:
        """Train on what was known and judge by what was bought after it."""
        part = self.split_at(recipe.half_life_days)
        if not part.known.pairs:
            return Trial(recipe, 0.0)
        model = (trained or _Trained(self)).model(part, recipe)
        found = candidates.of_model(
            part, model, self.target, n=self.metric[1], history=recipe.history, threads=self.threads
        )
        scores = judging.judge(
            found, part.truth[self.target], len(part.judged), len(part.known.products)
        )
        values = scores[self.metric]
        return Trial(recipe, float(np.mean(values)) if len(values) else 0.0)


class _Trained:
    """The model trained last: recipes that differ in `history` alone share it."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._recipe: models.Recipe | None = None
        self._model: models.Model | None = None

    def model(self, part: judging.Split, recipe: models.Recipe) -> models.Model:
        bare = replace(recipe, history=0.0)
        if self._model is None or self._recipe != bare:
            self._model = models.fit(part.known, bare, self._search.seed, self._search.threads)
            self._recipe = bare
        return self._model


def best_of(trials: list[Trial]) -> Trial:
    """The trial with the highest value, the earliest of equals."""
    return max(trials, key=lambda trial: trial.value)
