"""What every model can do, whatever it is made of."""

from typing import Any, Protocol

import polars as pl

from personalization_assets.recommendations.matrix import Codes, Floats
from personalization_assets.recommendations.models.recipe import Recipe


class Model(Protocol):
    """A trained model. Customers are given by their weights for products, one CSR row each.

    The CSR's columns are `products`; its rows may be anybody, those the model was trained on or
    not: nobody's scores depend on who else is asked about.
    """

    @property
    def recipe(self) -> Recipe:
        """How it was made."""

    @property
    def products(self) -> pl.Series:
        """Product ids, sorted: the columns of everything below."""

    def scores(self, weights: Any) -> Floats:
        """Scores of all products, rows x products. Rows without weights score zero."""

    def best(
        self,
        weights: Any,
        n: int,
        customers: pl.Series | None = None,
        skip: Any = None,
        skip_products: Codes | None = None,
        history: float | None = None,
        threads: int = 0,
    ) -> pl.DataFrame:
        """The n best products of each row: `row`, `column`, `score`, best first within a row.

        Args:
            weights: CSR of interaction weights
            n: most products of a row; rows about which nothing is known have none
            customers: ids of the rows; a model may know those it was trained on better
            skip: CSR of pairs that must not appear
            skip_products: columns that must not appear for anyone
            history: in place of the recipe's share of own history
            threads: results do not depend on it
        """

    def similar(self, n: int) -> pl.DataFrame:
        """The n products most like each: `column`, `other`, `score`, best first, never itself."""

    def rows(self) -> pl.DataFrame:
        """What makes the model up, as rows of `als_factors` without the version."""
