"""The lists that versions are judged by: each model's, and the simple ones it has to beat."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from personalization_assets.recommendations.judging import CUTOFFS, Split
from personalization_assets.recommendations.models.base import Model
from personalization_assets.recommendations.models.ranking import own_history

Lists = dict[str, pl.DataFrame]
"""By candidate: `row` (position in the judged customers), `column`, `score`, best first"""


def of_model(part: Split, model: Model, target: str, n: int = max(CUTOFFS), **how: Any) -> Any:
    """A model's lists for the judged customers, as they are served: with own history added.

    For the target `new`, products that the customer bought before are never listed. `how` is
    passed on to `Model.best`.
    """
    return model.best(
        part.known.weights[part.judged],
        n,
        customers=part.known.customers.gather(part.judged),
        skip=part.bought[part.judged] if target == "new" else None,
        **how,
    )


def baselines(part: Split, target: str, n: int = max(CUTOFFS), threads: int = 0) -> Lists:
    """What needs no model.

    popular: buyers in the popularity window; recent: buyers in its last quarter; category: popular
    products with the customer's favourite category first; history: what the customer had to do
    with before, most weight first, and popular products after it.
    """
    return {
        name: made(part, part.bought[part.judged] if target == "new" else None, n, threads)
        for name, made in BASELINES.items()
    }


def _popular(part: Split, skip: Any, n: int, threads: int) -> pl.DataFrame:
    return _top(_ones(part), part.popularity[:, None], skip, n, threads)


def _recent(part: Split, skip: Any, n: int, threads: int) -> pl.DataFrame:
    return _top(_ones(part), part.latest[:, None], skip, n, threads)


def _category(part: Split, skip: Any, n: int, threads: int) -> pl.DataFrame:
    favourites, labels = _categories(part)
    left = np.hstack([_ones(part), favourites]).astype(np.float32)
    right = np.hstack([part.popularity[:, None], 2 * labels]).astype(np.float32)
    return _top(left, right, skip, n, threads)


def _history(part: Split, skip: Any, n: int, threads: int) -> pl.DataFrame:
    own = own_history(part.known.weights[part.judged], 1.0)
    # Popularity, made tiny, only fills up where a history is shorter than the list.
    left, right = _ones(part) * np.float32(1e-6), part.popularity[:, None]
    return _top(left, right, skip, n, threads, own)


BASELINES: Mapping[str, Callable[[Split, Any, int, int], pl.DataFrame]] = {
    "popular": _popular,
    "recent": _recent,
    "category": _category,
    "history": _history,
}


def _ones(part: Split) -> Any:
    return np.ones((len(part.judged), 1), dtype=np.float32)


def _top(
    left: Any, right: Any, skip: Any, n: int, threads: int, history: Any = None
) -> pl.DataFrame:
    from personalization_assets.recommendations.models import als, ranking
    from personalization_assets.recommendations.topk import best as topk

    return ranking.best(
        lambda wanted: topk(right, left, wanted, skip, None, threads),
        lambda rows, columns: als.pair_scores(left, right, rows, columns),
        n,
        history,
        skip,
    )


def _categories(part: Split) -> tuple[Any, Any]:
    """Favourite category of each judged customer and category of each product, one-hot."""
    own = part.known.weights[part.judged]
    number = int(part.category_of.max(initial=-1)) + 1
    labels = np.zeros((len(part.category_of), number), dtype=np.float32)
    known = np.nonzero(part.category_of >= 0)[0]
    labels[known, part.category_of[known]] = 1
    favourites = np.zeros((own.shape[0], number), dtype=np.float32)
    if number:
        liked = own @ labels
        some = liked.max(axis=1) > 0
        favourites[np.nonzero(some)[0], liked.argmax(axis=1)[some]] = 1
    return favourites, labels
