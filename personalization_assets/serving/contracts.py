"""Contracts of the tables that this room adds to the published copy."""

from typing import ClassVar

import pandera.polars as pa


class CustomerProducts(pa.DataFrameModel):
    """What the service scores a customer by: interactions, weighed as the current model wants them.

    A version of the model has a half-life of its own; recommendations.interactions fades by the
    setting. Without a current model the weights are those of recommendations.interactions. In the
    published copy, whose catalog is named as this room, it is `serving.serving.customer_products`.
    """

    customer_id: str = pa.Field(description="Stable id of the person")
    product_id: str = pa.Field(description="Product, as the shop names it")
    weight: float = pa.Field(gt=0, description="Weight by the half-life of the current model")
    barred: bool = pa.Field(
        description="Bought too recently to be recommended again, by the settings of lists"
    )

    class Config:
        """Where the table is and what a row is."""

        name = "customer_products"
        metadata: ClassVar = {
            "room": "serving",
            "owner": "team:data",
            "version": 1,
            "key": ["customer_id", "product_id"],
            "grain": "one row per customer and product they had to do with",
            "pii": True,
        }
