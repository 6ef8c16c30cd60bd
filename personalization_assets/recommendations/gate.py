"""Which recipe the next version is made by, and whether anybody gets to see its lists.

The running version's recipe is fitted again on the data before the test window and judged beside
the candidates, on the same customers. Another recipe takes its place only when it is surely better
than it and surely better than the best sellers of the last weeks; else the running recipe goes on,
fitted to the newest data, as long as it beats the best sellers. Pure: scores in, a verdict out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from personalization_assets.recommendations.bootstrap import Values, resampled
from personalization_assets.recommendations.judging import EVALUATION_SCHEMA
from personalization_assets.recommendations.settings import RecommendationsSettings

RUNNING = "running"
"""The running version's recipe among the candidates of `recommendations.evaluation`."""

Outcome = Literal["first", "switched", "refitted", "kept", "nothing"]


@dataclass(frozen=True)
class Gain:
    """How much better a candidate did than another on the gate's metric, with its bounds."""

    candidate: str
    over: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"gain {self.value:+.4f}, at least {self.low:+.4f}"


@dataclass(frozen=True)
class Verdict:
    """What the gate decided about a version, and by which numbers.

    `recipe` names the candidate to fit on everything, `running` for the recipe that runs already.
    It is named also where nothing is published: the version is kept, to be looked at and promoted
    by a person; null where nothing could be judged.

    - first: there was no version, and the best candidate surely beats popularity
    - switched: the best candidate takes the place of the running recipe
    - refitted: the running recipe goes on with the newest data
    - kept: nothing is published, the earlier version stays
    - nothing: nothing is published, and there is no earlier version
    """

    outcome: Outcome
    recipe: str | None
    value: float | None
    popularity: float | None
    words: str
    customers: int = 0
    gains: tuple[Gain, ...] = ()

    @property
    def published(self) -> bool:
        """Whether the version becomes the one that lists are made with."""
        return self.outcome in ("first", "switched", "refitted")

    def gain_rows(self, version: str, target: str, k: int) -> pl.DataFrame:
        """The gains as rows of `recommendations.evaluation`."""
        rows = [
            {
                "model_version": version,
                "target": target,
                "segment": "all",
                "candidate": gain.candidate,
                "metric": "gain_over_running" if gain.over == RUNNING else "gain",
                "k": k,
                "value": gain.value,
                "customers": self.customers,
                "low": gain.low,
                "high": gain.high,
            }
            for gain in self.gains
        ]
        return pl.DataFrame(rows, schema=EVALUATION_SCHEMA)


def unjudged(why: str, running: bool) -> Verdict:
    """The verdict where there is nothing to judge by; `why` goes on after "not published: "."""
    return Verdict("kept" if running else "nothing", None, None, None, f"not published: {why}")


def decide(
    candidates: Mapping[str, Values],
    running: Values | None,
    popularity: Values,
    settings: RecommendationsSettings,
    seed: int,
) -> Verdict:
    """Choose among recipes by their scores per customer on the gate's metric.

    All series are of the same customers in the same order. Bounds are of bootstrap resamples of
    the customers, at 2.5 %, for the best of all candidates at once (see `gains_over`): with twice
    as many candidates a switch by chance is not twice as likely.

    Args:
        candidates: scores by recipe, with own history as it would be served
        running: scores of the running version's recipe, fitted again before the window; None
            where no version runs
        popularity: scores of the best sellers of the last weeks
        settings: metric, target, require_significance, min_test_customers, bootstrap_samples
        seed: of the bootstrap
    """
    customers = len(popularity)
    if customers < settings.min_test_customers:
        return unjudged(
            f"{customers} customers to judge it by, {settings.min_test_customers} are needed",
            running is not None,
        )
    samples = settings.bootstrap_samples
    names = sorted(candidates)
    scores = [candidates[name] for name in names]
    best = names[int(np.argmax([each.mean() for each in scores]))] if names else None
    over_popular = {g.candidate: g for g in gains_over(names, scores, popularity, samples, seed)}
    value = float(candidates[best].mean()) if best else 0.0
    popular = float(popularity.mean())
    where = "products new to the customer" if settings.target == "new" else "all purchases"

    def verdict(outcome: Outcome, recipe: str | None, words: str, gains: Sequence[Gain]) -> Verdict:
        mean = float(running.mean()) if running is not None and recipe == RUNNING else value
        ending = f"; {customers:,} customers, {where}"
        return Verdict(outcome, recipe, mean, popular, words + ending, customers, tuple(gains))

    if running is None:
        if best is None:
            return unjudged("there is no candidate", running=False)
        gain = over_popular[best]
        figures = f"{settings.metric} {value:.4f} of {best}, popularity {popular:.4f} ({gain})"
        if gain.low > 0:
            return verdict("first", best, f"published: {figures}", [gain])
        short = "does not surely beat it" if gain.value > 0 else "does not beat it"
        return verdict("nothing", best, f"not published: {figures}, {short}", [gain])

    [own] = gains_over([RUNNING], [running], popularity, samples, seed, over="popularity")
    now = float(running.mean())
    rival = ""
    gains = [own]
    if best is not None and value > now:
        over_running = gains_over(names, scores, running, samples, seed, over=RUNNING)
        better, above = over_running[names.index(best)], over_popular[best]
        gains += [above, better]
        if better.low > 0 and above.low > 0:
            words = (
                f"published: {settings.metric} {value:.4f} of the new {best}, which takes the "
                f"place of the running recipe with {now:.4f} ({better}); popularity "
                f"{popular:.4f} ({above})"
            )
            return verdict("switched", best, words, gains)
        whom, missed = ("it", better) if better.low <= 0 else ("popularity", above)
        rival = f"; the new {best} with {value:.4f} is not surely better than {whom} ({missed})"
    figures = f"{settings.metric} {now:.4f} of the running recipe, popularity {popular:.4f} ({own})"
    if own.value > 0 and (own.low > 0 or not settings.require_significance):
        words = f"published: {figures}, so it is fitted to the newest data{rival}"
        return verdict("refitted", RUNNING, words, gains)
    short = "does not surely beat it" if own.value > 0 else "does not beat it"
    words = f"not published: {figures} {short}, so the earlier version stays{rival}"
    return verdict("kept", RUNNING, words, gains)


def gains_over(
    names: Sequence[str],
    scores: Sequence[Values],
    other: Values,
    samples: int,
    seed: int,
    over: str = "popularity",
) -> list[Gain]:
    """Mean gain of each series over another, paired, with bounds that hold for all at once.

    The best of several was chosen for its luck, too. So bounds take off a gain what the luckiest of
    all series gained by chance, each in units of its own spread, in all but 2.5 % of the
    resamples (White 2000, "A reality check for data snooping"; in units of spread: Romano and Wolf
    2005). For one series that is the basic bootstrap.
    """
    if not names:
        return []
    paired = np.column_stack(scores) - other[:, None]
    means = paired.mean(axis=0)
    luck = resampled(list(paired.T), samples, seed) - means
    spread = luck.std(axis=0)
    luck = luck / np.where(spread > 0, spread, 1.0)
    down, up = np.quantile([luck.max(axis=1), -luck.min(axis=1)], 0.975, axis=1)
    return [
        Gain(name, over, float(mean), float(mean - down * one), float(mean + up * one))
        for name, mean, one in zip(names, means, spread, strict=True)
    ]
