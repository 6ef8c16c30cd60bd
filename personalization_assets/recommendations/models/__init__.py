"""The models that learn what goes with what, behind one interface.

What belongs here: how each algorithm is trained, scores and is stored, and which values it may be
tried with. What does not: which of them is used (`gate`, `training`) and what a shop's rules make
of their scores (`lists`). Adding an algorithm is a file with `DEFAULTS` and `fit`, and a line in
`ALGORITHMS`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import duckdb
import polars as pl

from personalization_assets.recommendations.matrix import Matrix
from personalization_assets.recommendations.models import als, blend, ease, knn
from personalization_assets.recommendations.models.base import Model
from personalization_assets.recommendations.models.items import ItemModel
from personalization_assets.recommendations.models.recipe import Recipe

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Model",
    "Recipe",
    "fit",
    "from_rows",
    "load",
    "starting",
    "usable",
]

Steps = tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Algorithm:
    """How a kind of model is trained, read back and searched."""

    fit: Callable[[Matrix, Recipe, int, int], Model]
    from_rows: Callable[[Recipe, pl.DataFrame], Model]
    defaults: Mapping[str, float]
    steps: Steps
    """Values to try, one name after the other, see `tuning`"""
    source: str = "similar"
    """What lists call its places: als for factors of customers, similar for products that go
    together"""
    most_products: int | None = None
    """Catalogues beyond this are not for it"""
    made_of: tuple[str, ...] = ()
    """Algorithms whose best values its search begins with"""


HISTORY = ("history", (0.0, 0.1, 0.3, 1.0, 3.0))

ALGORITHMS: Mapping[str, Algorithm] = {
    "als": Algorithm(
        als.fit,
        als.FactorModel.from_rows,
        als.DEFAULTS,
        (
            ("alpha", (1.0, 3.0, 10.0, 33.0, 100.0)),
            ("half_life_days", (30.0, 60.0, 180.0)),
            # the others are best at another place with more factors
            ("factors", (32, 64, 128, 256)),
            ("damping", (0.0, 0.3, 0.5, 0.7)),
            ("popularity", (0.0, 0.05, 0.1, 0.2)),
            ("regularization", (0.3, 1.0, 3.0)),
            ("iterations", (3, 5, 8)),
            HISTORY,
        ),
        source="als",
    ),
    "ease": Algorithm(
        ease.fit,
        ItemModel.from_rows,
        ease.DEFAULTS,
        (
            ("regularization", (50.0, 100.0, 200.0, 400.0, 800.0)),
            ("power", (0.0, 0.25, 0.5, 1.0)),
            HISTORY,
        ),
        most_products=ease.MOST_PRODUCTS,
    ),
    "knn": Algorithm(
        knn.fit,
        ItemModel.from_rows,
        knn.DEFAULTS,
        (
            ("b", (0.25, 0.5, 0.75)),
            ("neighbours", (20, 100, 300)),
            ("power", (0.0, 0.5, 1.0)),
            HISTORY,
        ),
    ),
    # after the two it is made of
    "blend": Algorithm(
        blend.fit,
        blend.BlendModel.from_rows,
        blend.DEFAULTS,
        (("share", (0.5, 1.0, 2.0, 4.0)), HISTORY),
        source="als",
        made_of=("knn", "als"),
    ),
}
"""By the name that versions and settings use."""


def usable(algorithms: Collection[str], products: int) -> list[str]:
    """Those that can do with so many products, in an order that `made_of` asks for."""
    return [
        name
        for name, kind in ALGORITHMS.items()
        if name in algorithms and products <= (kind.most_products or products)
    ]


def starting(algorithm: str, found: Mapping[str, Recipe], start: Recipe | None = None) -> Recipe:
    """Where the search of an algorithm begins: the values that settings name, or its defaults.

    What is made of others begins with what was `found` for them.
    """
    kind = ALGORITHMS[algorithm]
    head = start or Recipe.of(algorithm, 60.0, 0.0, {})
    values = {**kind.defaults, **dict(head.values)}
    for other in kind.made_of:
        if other in found:
            head = found[other]
            values |= dict(head.values)
    return Recipe.of(algorithm, head.half_life_days, head.history, values)


def fit(matrix: Matrix, recipe: Recipe, seed: int, threads: int = 0) -> Model:
    """Train the recipe's algorithm on every pair of the matrix."""
    return ALGORITHMS[recipe.algorithm].fit(matrix, recipe, seed, threads)


def from_rows(recipe_json: str, rows: pl.DataFrame) -> Model:
    """A model out of its recipe in als_model and its rows in als_factors."""
    recipe = Recipe.from_json(recipe_json)
    return ALGORITHMS[recipe.algorithm].from_rows(recipe, rows)


def load(con: duckdb.DuckDBPyConnection, version: str) -> Model:
    """The model of a version, from the tables of this connection.

    Raises:
        KeyError: the version is not there, or its factors are no longer kept.
    """
    found = con.execute(
        "SELECT recipe FROM recommendations.als_model WHERE model_version = ?", [version]
    ).fetchall()
    rows: pl.DataFrame = con.sql(
        "SELECT side, key, factors, neighbours, scale, boost FROM recommendations.als_factors"
        " WHERE model_version = $version",
        params={"version": version},
    ).pl()
    if not found or rows.is_empty():
        raise KeyError(f"model version {version} has no factors in this database")
    return from_rows(found[0][0], rows)
