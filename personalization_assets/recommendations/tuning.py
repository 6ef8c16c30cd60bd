"""A small, bounded search for the values of a recipe, on a window before the one that judges.

One value at a time, in the order of the algorithm's `steps`: two or three dozen trainings, the same
for the same data. What is tried spans what shops differ in most. A change is taken where its gain
is more than its standard error, paired over customers (the rule of one standard error, Breiman et
al. 1984): among values that do as well, those that a search begins with are the safer ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from personalization_assets.recommendations import judging, models
from personalization_assets.recommendations.bootstrap import Values
from personalization_assets.recommendations.models import candidates


@dataclass(frozen=True)
class Trial:
    """One recipe and what it reached on the validation window.

    Attributes:
        recipe: what was tried
        value: the mean of the metric
        scores: the metric per customer, the same customers in all trials of a search
        taken: whether the search went on from it
    """

    recipe: models.Recipe
    value: float
    scores: Values
    taken: bool = False

    def surely_better(self, other: "Trial") -> bool:
        """Whether it gains more than the standard error of the gain."""
        gains = self.scores - other.scores
        if len(gains) < 2:
            return False
        error = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
        return bool(np.mean(gains) > error)


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
        """Yield every trial, the start first; the last one taken is to be used, see `chosen`.

        Args:
            start: the recipe to begin with
            fixed: names of values that stay as they are
        """
        trained = _Trained(self)
        best = replace(self._attempt(start, trained), taken=True)
        yield best
        tried = {start}
        for name, values in models.ALGORITHMS[start.algorithm].steps:
            for value in () if name in fixed else values:
                recipe = best.recipe.with_value(name, value)
                if recipe in tried:
                    continue
                tried.add(recipe)
                trial = self._attempt(recipe, trained)
                if trial.surely_better(best):
                    best = trial = replace(trial, taken=True)
                yield trial

    def _attempt(self, recipe: models.Recipe, trained: "_Trained") -> Trial:
        """Train on what was known and judge by what was bought after it."""
        part = self.split_at(recipe.half_life_days)
        if not part.known.pairs:
            return Trial(recipe, 0.0, np.zeros(0))
        model = trained.model(part, recipe)
        found = candidates.of_model(
            part, model, self.target, n=self.metric[1], history=recipe.history, threads=self.threads
        )
        scores = judging.judge(
            found, part.truth[self.target], len(part.judged), len(part.known.products)
        )
        values = scores[self.metric]
        return Trial(recipe, float(np.mean(values)) if len(values) else 0.0, values)


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


def chosen(trials: Sequence[Trial]) -> Trial:
    """What a search ended with."""
    return [trial for trial in trials if trial.taken][-1]
