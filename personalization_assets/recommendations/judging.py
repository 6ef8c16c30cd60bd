"""How good lists are: candidates side by side on purchases made after the data they learned from.

Never random rows: everything before a day is known, everything in the window after it is truth.
Customers who bought nothing in the window, or of whom nothing was known before it, are not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from personalization_assets.recommendations import als
from personalization_assets.recommendations.matrix import Floats, Matrix, codes_of, to_matrix

CUTOFFS = (10, 20)
METRICS = ("recall", "ndcg", "map", "hit_rate")
TARGETS = ("new", "all")
CANDIDATES = ("blend", "als", "popular", "category", "history")

Scores = dict[tuple[str, int], npt.NDArray[np.float64]]
"""One value per judged customer, by metric and cut-off; coverage is a single value."""


@dataclass(frozen=True)
class Split:
    """What was known before a day, and what was bought in the window after it.

    `judged` are rows of the matrix. `truth` has `row` (position in `judged`) and `column`;
    products that nobody had before have columns of their own, so they count as missed.
    """

    known: Matrix
    bought: Any
    judged: npt.NDArray[np.int32]
    truth: dict[str, pl.DataFrame]
    popularity: Floats
    category_of: npt.NDArray[np.int32]


def split(
    interactions: pl.DataFrame,
    purchases: pl.DataFrame,
    demand: pl.DataFrame,
    categories: pl.DataFrame,
    most_customers: int,
) -> Split:
    """Prepare a window for judging.

    Args:
        interactions: customer_id, product_id, weight, purchases before the window
        purchases: customer_id, product_id bought in the window
        demand: product_id, recent, ever: buyers before the window
        categories: product_id, category
        most_customers: above it, a sample of the customers by the hash of their id
    """
    known = to_matrix(interactions)
    bought = to_matrix(interactions, known.customers, known.products, value="purchases").weights
    rows = codes_of(purchases["customer_id"], known.customers).to_numpy()
    judged = _sample(np.unique(rows[rows >= 0]), known.customers, most_customers)
    place = np.full(len(known.customers), -1, dtype=np.int32)
    place[judged] = np.arange(len(judged), dtype=np.int32)

    columns = codes_of(purchases["product_id"], known.products).to_numpy().copy()
    unseen = columns < 0
    _, others = np.unique(
        purchases["product_id"].to_numpy()[unseen].astype(str), return_inverse=True
    )
    columns[unseen] = len(known.products) + others
    inside = rows >= 0
    truth = pl.DataFrame(
        {"row": place[rows[inside]], "column": columns[inside]},
        schema={"row": pl.Int32, "column": pl.Int32},
    ).filter(pl.col("row") >= 0)
    old_rows, old_columns = bought[judged].nonzero()
    old = pl.DataFrame({"row": old_rows.astype(np.int32), "column": old_columns.astype(np.int32)})

    sellers = (
        pl.DataFrame({"product_id": known.products})
        .join(demand, on="product_id", how="left", maintain_order="left")
        .fill_null(0)
    )
    recent, ever = sellers["recent"].to_numpy(), sellers["ever"].to_numpy()
    popularity = recent / max(recent.max(initial=0), 1) + 1e-3 * ever / max(ever.max(initial=0), 1)
    names = categories["category"].unique().sort()
    labels = pl.DataFrame({"product_id": known.products}).join(
        categories.with_columns(code=codes_of(categories["category"], names)),
        on="product_id",
        how="left",
        maintain_order="left",
    )
    return Split(
        known,
        bought,
        judged,
        {"all": truth, "new": truth.join(old, on=["row", "column"], how="anti")},
        popularity.astype(np.float32),
        labels["code"].fill_null(-1).to_numpy().astype(np.int32),
    )


def judge(found: pl.DataFrame, truth: pl.DataFrame, customers: int, products: int) -> Scores:
    """Measures per customer for lists `row, column, score` (best first) against the truth.

    Customers without truth are left out. NDCG and MAP are normalised by what a list of k could
    reach; recall by all that was bought.
    """
    amounts = np.bincount(truth["row"].to_numpy(), minlength=customers)
    asked = amounts > 0
    ranked = found.with_columns(rank=pl.int_range(pl.len()).over("row") + 1)
    hits = ranked.join(truth, on=["row", "column"], how="semi").sort("row", "rank")
    hits = hits.with_columns(nth=pl.int_range(pl.len()).over("row") + 1)
    scores: Scores = {}
    for k in CUTOFFS:
        top = hits.filter(pl.col("rank") <= k)
        rows, rank = top["row"].to_numpy(), top["rank"].to_numpy()
        reach = np.minimum(amounts, k)
        ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(k) + 2))])[reach]

        def total(values: Any, rows: Any = rows) -> Any:
            return np.bincount(rows, weights=values, minlength=customers)[asked]

        count = total(np.ones(len(rows)))
        scores["recall", k] = count / amounts[asked]
        scores["ndcg", k] = total(1 / np.log2(rank + 1)) / ideal[asked]
        scores["map", k] = total(top["nth"].to_numpy() / rank) / reach[asked]
        scores["hit_rate", k] = (count > 0).astype(np.float64)
        shown = ranked.filter(pl.col("rank") <= k)["column"].n_unique()
        scores["coverage", k] = np.array([shown / max(products, 1)])
    return scores


def lists(
    part: Split,
    model: als.Model,
    target: str,
    n: int = max(CUTOFFS),
    threads: int = 0,
    only: Sequence[str] = CANDIDATES,
) -> dict[str, pl.DataFrame]:
    """The lists of every candidate for the judged customers.

    als: the model alone; blend: the model plus the customer's own history, as it is served;
    popular: buyers in the popularity window; category: the same with the customer's favourite
    category first; history: what the customer had to do with before, most weight first.
    For the target `new`, products that the customer bought before are never listed.
    """
    judged = part.judged
    skip = part.bought[judged] if target == "new" else None
    own = part.known.weights[judged]
    factors = model.customer_factors[judged]
    popular = part.popularity[:, None]
    ones = np.ones((len(judged), 1), dtype=np.float32)

    def top(left: Floats, right: Floats, history: Any = None) -> pl.DataFrame:
        return als.best(right, left, n, history=history, skip=skip, threads=threads)

    def made(candidate: str) -> pl.DataFrame:
        if candidate == "als":
            return top(factors, model.product_factors)
        if candidate == "blend":
            share = als.own_history(own, model.params.history)
            return top(factors, model.product_factors, share)
        if candidate == "popular":
            return top(ones, popular)
        if candidate == "category":
            favourites, labels = _categories(part, own)
            return top(
                np.hstack([ones, favourites]).astype(np.float32),
                np.hstack([popular, 2 * labels]).astype(np.float32),
            )
        # Popularity, made tiny, only fills up where a history is shorter than the list.
        return top(ones * np.float32(1e-6), popular, als.own_history(own, 1.0))

    return {candidate: made(candidate) for candidate in only}


def bounds(
    values: Sequence[npt.NDArray[np.float64]], samples: int, seed: int
) -> list[tuple[float, float]]:
    """Bootstrap bounds (2.5 % and 97.5 %) of means over customers; the same resamples for all."""
    customers = len(values[0]) if values else 0
    if not customers:
        return [(0.0, 0.0) for _ in values]
    chance = np.random.default_rng(seed)
    draws = chance.multinomial(customers, np.full(customers, 1 / customers), size=samples)
    with als.one_blas_thread():
        means = draws.astype(np.float64) @ np.column_stack(values) / customers
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _categories(part: Split, own: Any) -> tuple[Any, Any]:
    """Favourite category of each judged customer and category of each product, one-hot."""
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


def _sample(rows: npt.NDArray[np.int32], customers: pl.Series, most: int) -> Any:
    if len(rows) <= most:
        return rows.astype(np.int32)
    order = als.start_factors(customers.gather(rows), 1, seed=0)[:, 0]
    return np.sort(rows[np.argsort(order, kind="stable")[:most]]).astype(np.int32)
