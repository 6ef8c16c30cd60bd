"""How good lists are: candidates side by side on purchases made after the data they learned from.

Never random rows: everything before a day is known, everything in the window after it is truth.
Customers who bought nothing in the window, or of whom nothing was known before it, are not judged.

Four measures say how well lists foresee purchases (recall, ndcg, map, hit_rate), four what else
they are like: novelty and calibration per customer, coverage and gini of all lists together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from personalization_assets.recommendations.bootstrap import Values, bounds
from personalization_assets.recommendations.matrix import (
    Floats,
    Matrix,
    codes_of,
    row_pairs,
    to_matrix,
)
from personalization_assets.recommendations.models import als

CUTOFFS = (10, 20)
METRICS = ("recall", "ndcg", "map", "hit_rate")
OF_ALL_LISTS = ("coverage", "gini")
"""Metrics with one value for all customers together; the others have one per customer."""
SEGMENTS = ("all", "new", "light", "heavy")
HARDLY_KNOWN = 2
"""A customer with at most so many known products is `new`."""
UNLIKE = 0.01
"""Share of the history that calibration mixes into a list, Steck's alpha: keeps it finite."""
TARGETS = ("new", "all")

Scores = dict[tuple[str, int], Values]
"""One value per judged customer, by metric and cut-off; a single one for `OF_ALL_LISTS`.

Calibration is nan for a customer whose history names no category.
"""


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
    latest: Floats
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
        demand: product_id, latest, recent, ever: buyers before the window
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
    ever = _share(sellers["ever"])

    def popularity(buyers: pl.Series) -> Floats:
        # All buyers only order what nobody bought lately.
        value: Floats = (_share(buyers) + 1e-3 * ever).astype(np.float32)
        return value

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
        popularity(sellers["recent"]),
        popularity(sellers["latest"]),
        labels["code"].fill_null(-1).to_numpy().astype(np.int32),
    )


def sampled(pairs: pl.DataFrame, most: int) -> pl.DataFrame:
    """The pairs of as many customers as have at most so many together, chosen by a hash of the id.

    A customer is in with everything or not at all, and stays in from day to day.
    """
    if pairs.height <= most:
        return pairs
    sizes = pairs.group_by("customer_id").len().sort("customer_id")
    order = np.argsort(als.start_factors(sizes["customer_id"], 1, seed=0)[:, 0], kind="stable")
    inside = sizes[order].filter(pl.col("len").cum_sum() <= most)
    return pairs.join(inside, on="customer_id", how="semi")


@dataclass(frozen=True)
class Background:
    """What was known before the window about products and judged customers, for novelty,
    calibration and segments.

    `tastes` has `row, category, share`: how a customer's interactions spread over categories.
    """

    bits: Values
    category_of: npt.NDArray[np.int32]
    tastes: pl.DataFrame
    segment: pl.Series


def background(part: Split) -> Background:
    """What `judge` and `evaluate` need to know about a window besides its purchases.

    A product that nobody bought before counts as bought by one. Segments are by the number of
    products that a customer had to do with: `new` one or two; of the others `heavy` more than two
    thirds of them, `light` the rest. The limit is that of all known customers, judged or not.
    """
    buyers = np.bincount(part.bought.indices, minlength=len(part.known.products))
    everybody = max(int((np.diff(part.bought.indptr) > 0).sum()), 1)
    known = np.diff(part.known.weights.indptr)
    others = known[known > HARDLY_KNOWN]
    limit = np.quantile(others, 2 / 3, method="inverted_cdf") if len(others) else HARDLY_KNOWN
    mine = known[part.judged]
    segment = np.where(mine <= HARDLY_KNOWN, "new", np.where(mine <= limit, "light", "heavy"))
    rows, columns, weights = row_pairs(part.known.weights[part.judged])
    tastes = (
        pl.DataFrame({"row": rows, "category": part.category_of[columns], "weight": weights})
        .filter(pl.col("category") >= 0)
        .group_by("row", "category")
        .agg(pl.col("weight").cast(pl.Float64).sum())
        .sort("row", "category")
        .select("row", "category", share=pl.col("weight") / pl.col("weight").sum().over("row"))
    )
    return Background(
        -np.log2(np.clip(buyers, 1, everybody) / everybody),
        part.category_of,
        tastes,
        pl.Series("segment", segment, dtype=pl.String),
    )


def judge(
    found: pl.DataFrame,
    truth: pl.DataFrame,
    customers: int,
    products: int,
    known: Background | None = None,
) -> Scores:
    """Measures per customer for lists `row, column, score` (best first) against the truth.

    Customers without truth are left out, except of what describes all lists together.

    - recall: share of what was bought that the list shows; hit_rate: whether it shows any of it.
    - ndcg: each hit counts 1 / log2(rank + 1), as a share of what the best list of k would reach
      (Järvelin and Kekäläinen 2002).
    - map: mean of the precision at each hit, over the hits that a list of k could have.
    - coverage: share of the products that some list shows.
    - gini: how unequally products are shown, 0 all alike, towards 1 a few only (Gini coefficient
      of places per product, products that are never shown included; Fleder and Hosanagar 2009).

    With what was `known` before also:

    - novelty: mean surprise of the listed products in bits, -log2 of the share of customers who
      bought it before (Zhou et al. 2010); an empty list has 0.
    - calibration: how far the list's categories are from the history's, as a Kullback-Leibler
      divergence in bits, 0 the same (Steck 2018, alpha 0.01); 6.6 when they share nothing.
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
        shown = ranked.filter(pl.col("rank") <= k)
        if known:
            scores["novelty", k] = _novelty(shown, known, customers)[asked]
            scores["calibration", k] = _calibration(shown, known, customers)[asked]
    return scores | _of_all_lists(found, products)


def evaluate(
    part: Split,
    found: Mapping[str, pl.DataFrame],
    target: str,
    version: str,
    samples: int,
    seed: int,
) -> tuple[pl.DataFrame, dict[str, Scores]]:
    """Judge the lists of several candidates by segment.

    Returns rows of `recommendations.evaluation` (without gains, which the gate knows), and the
    scores of each candidate for all judged customers: every candidate has the same customers in
    the same order, so differences of scores are paired.

    Args:
        part: the window
        found: lists `row, column, score` by candidate
        target: `new` or `all` purchases
        version: model_version of the rows
        samples: bootstrap samples, the same ones for every candidate
        seed: of the bootstrap
    """
    known = background(part)
    truth, products = part.truth[target], len(part.known.products)
    asked = np.bincount(truth["row"].to_numpy(), minlength=len(part.judged)) > 0
    scores = {
        candidate: judge(lists, truth, len(part.judged), products, known)
        for candidate, lists in found.items()
    }
    rows: list[dict[str, Any]] = []
    for segment in SEGMENTS:
        inside = (known.segment == segment).to_numpy() | (segment == "all")
        mask = inside[asked]
        measured = {
            (candidate, *name): values[mask]
            for candidate, measures in scores.items()
            for name, values in measures.items()
            if name[0] not in OF_ALL_LISTS and not np.isnan(values[mask]).all()
        }
        limits = bounds(list(measured.values()), samples, seed)
        found_rows: list[tuple[Any, ...]] = [
            (*name, float(np.nanmean(values)), int((~np.isnan(values)).sum()), low, high)
            for (name, values), (low, high) in zip(measured.items(), limits, strict=True)
        ]
        for candidate, lists in found.items() if mask.any() else ():
            mine = lists.filter(pl.Series(inside[lists["row"].to_numpy()]))
            found_rows += [
                (candidate, *name, float(value[0]), int(inside.sum()), None, None)
                for name, value in _of_all_lists(mine, products).items()
            ]
        rows += [
            dict(zip(EVALUATION_SCHEMA, (version, target, segment, *row), strict=True))
            for row in found_rows
        ]
    return pl.DataFrame(rows, schema=EVALUATION_SCHEMA), scores


EVALUATION_SCHEMA: dict[str, Any] = {
    "model_version": pl.String,
    "target": pl.String,
    "segment": pl.String,
    "candidate": pl.String,
    "metric": pl.String,
    "k": pl.Int64,
    "value": pl.Float64,
    "customers": pl.Int64,
    "low": pl.Float64,
    "high": pl.Float64,
}
"""Columns of `recommendations.evaluation`."""


def _novelty(shown: pl.DataFrame, known: Background, customers: int) -> Values:
    rows = shown["row"].to_numpy()
    places = np.bincount(rows, minlength=customers)
    bits = np.bincount(rows, known.bits[shown["column"].to_numpy()], minlength=customers)
    mean: Values = bits / np.maximum(places, 1)
    return mean


def _calibration(shown: pl.DataFrame, known: Background, customers: int) -> Values:
    """Only categories of the history count in the divergence: elsewhere its factor p is 0."""
    listed = (
        shown.select("row", category=pl.Series(known.category_of[shown["column"].to_numpy()]))
        .filter(pl.col("category") >= 0)
        .group_by("row", "category")
        .len("places")
        .with_columns(part=pl.col("places") / pl.col("places").sum().over("row"))
    )
    both = known.tastes.join(
        listed, on=["row", "category"], how="left", maintain_order="left"
    ).select("row", "share", pl.col("part").fill_null(0.0))
    share = both["share"].to_numpy()
    mixed = (1 - UNLIKE) * both["part"].to_numpy() + UNLIKE * share
    rows = both["row"].to_numpy()
    divergence = np.bincount(rows, share * np.log2(share / mixed), minlength=customers)
    measured = np.bincount(rows, minlength=customers) > 0
    return np.where(measured, np.maximum(divergence, 0.0), np.nan)


def _of_all_lists(found: pl.DataFrame, products: int) -> Scores:
    scores: Scores = {}
    order = np.arange(1, products + 1)
    for k in CUTOFFS:
        shown = found.group_by("row", maintain_order=True).head(k)
        places = np.sort(np.bincount(shown["column"].to_numpy(), minlength=products))
        unequal = (2 * order - products - 1) @ places / max(products * places.sum(), 1)
        scores["coverage", k] = np.array([(places > 0).sum() / max(products, 1)])
        scores["gini", k] = np.array([unequal])
    return scores


def _share(buyers: pl.Series) -> Any:
    """Numbers of buyers as shares of the largest number."""
    numbers = buyers.to_numpy()
    return numbers / max(numbers.max(initial=0), 1)


def _sample(rows: npt.NDArray[np.int32], customers: pl.Series, most: int) -> Any:
    if len(rows) <= most:
        return rows.astype(np.int32)
    order = als.start_factors(customers.gather(rows), 1, seed=0)[:, 0]
    return np.sort(rows[np.argsort(order, kind="stable")[:most]]).astype(np.int32)
