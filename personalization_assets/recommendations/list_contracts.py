"""Contracts of the tables that mails and the service show products from."""

from typing import ClassVar

import pandera.polars as pa

from personalization_assets.recommendations.contracts import KEEPER


class TopProducts(pa.DataFrameModel):
    """What to show to each customer, best first; everybody in identity.links has a list.

    Where there is a model, customers who did anything get its best, with places for products to
    buy again and for new ones. Everybody else, and places that are left, get best sellers of the
    categories they like, of their region, of the shop.
    """

    customer_id: str = pa.Field(description="Stable id of the person")
    rank: int = pa.Field(ge=1, description="Place in the list, 1 first")
    product_id: str = pa.Field(description="Product; in stock and on sale when the list was made")
    score: float = pa.Field(
        description="By what the source ranks; only comparable within a customer and source"
    )
    source: str = pa.Field(
        isin=["als", "similar", "repeat", "new", "category", "region", "popular"],
        description="What put the product on the list; als: the factor model, similar: a model "
        "of products that go together (EASE, item-kNN)",
    )
    reason: str = pa.Field(description="Why, in words a mail can show")
    reason_code: str = pa.Field(
        isin=[
            "bought",
            "cart",
            "viewed",
            "own_bought",
            "own_cart",
            "own_viewed",
            "picked",
            "again",
            "new",
            "category",
            "region",
            "country",
            "popular",
        ],
        description="Why, for templates that use words of their own; own_ means the product itself",
    )
    because_product_id: str = pa.Field(
        nullable=True, description="The other product of theirs that the reason names, if any"
    )
    relaxed: bool = pa.Field(
        description="Caps or the price limit were set aside for this place, or it would be empty"
    )
    explored: bool = pa.Field(description="Whether this place tried out a near tie")
    propensity: float = pa.Field(
        gt=0, le=1, description="The probability with which this product came to stand here"
    )
    model_version: str = pa.Field(description="Current version in als_model, 'none' without one")
    recommendation_id: str = pa.Field(
        str_matches=r"^[0-9a-f]{32}$", description="md5 of customer|product|model version"
    )

    class Config:
        """Where the table is and what a row is."""

        name = "top_products"
        metadata: ClassVar = {
            **KEEPER,
            "version": 2,
            "key": ["customer_id", "rank"],
            "grain": "one row per customer and place",
            "pii": True,
        }


class SimilarProducts(pa.DataFrameModel):
    """What goes with each product of the catalogue, best first; only products on sale are listed.

    By the model where there is one and it knows the product, then by what goes into the same
    baskets, then best sellers of the category, then of the shop: every product has a full list as
    far as the catalogue goes.
    """

    product_id: str = pa.Field(description="Product of the catalogue, on sale or not")
    rank: int = pa.Field(ge=1, description="Place in the list, 1 first")
    similar_product_id: str = pa.Field(description="Goes with it; on sale when the list was made")
    score: float = pa.Field(description="By what the source ranks; comparable within a source")
    source: str = pa.Field(
        isin=["model", "bought_together", "category", "popular"],
        description="What put the product on the list",
    )

    class Config:
        """Where the table is and what a row is."""

        name = "similar_products"
        metadata: ClassVar = {
            **KEEPER,
            "key": ["product_id", "rank"],
            "grain": "one row per product and place",
        }


class Exclusions(pa.DataFrameModel):
    """The setting `exclude` as a table: products that are shown to nobody.

    A rule holds for a product of which all that it names is true.
    """

    rule: int = pa.Field(ge=1, description="Number of the rule in the settings")
    product: str = pa.Field(nullable=True, description="Regular expression of product ids")
    category: str = pa.Field(nullable=True, description="Category")
    brand: str = pa.Field(nullable=True, description="Brand")

    class Config:
        """Where the table is and what a row is."""

        name = "exclusions"
        metadata: ClassVar = {**KEEPER, "key": ["rule"], "grain": "one row per rule"}
