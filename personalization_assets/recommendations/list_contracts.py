"""Contracts of the tables that mails and the service show products from."""

from typing import ClassVar

import pandera.polars as pa

from personalization_assets.recommendations.contracts import KEEPER


class TopProducts(pa.DataFrameModel):
    """What to show to each customer, best first; everybody in identity.links has a list.

    A list is made by the current model, with a few places for products to buy again; where that is
    not enough, best sellers of the favourite category follow, then best sellers of the shop.
    """

    customer_id: str = pa.Field(description="Stable id of the person")
    rank: int = pa.Field(ge=1, description="Place in the list, 1 first")
    product_id: str = pa.Field(description="Product; in stock and on sale when the list was made")
    score: float = pa.Field(
        description="By what the source ranks; only comparable within a customer and source"
    )
    source: str = pa.Field(
        isin=["als", "repeat", "category", "popular"],
        description="What put the product on the list",
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
            "category",
            "popular",
        ],
        description="Why, for templates that use words of their own; own_ means the product itself",
    )
    because_product_id: str = pa.Field(
        nullable=True, description="The product of theirs that the reason names, if it names one"
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
            "key": ["customer_id", "rank"],
            "grain": "one row per customer and place",
            "pii": True,
        }
