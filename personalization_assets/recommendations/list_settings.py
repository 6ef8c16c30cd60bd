"""What a user may set about lists of products. Nothing here changes the model behind them."""

from pydantic import BaseModel, Field


class ListSettings(BaseModel):
    """Length of lists, and what may and may not be on them."""

    list_length: int = Field(default=12, ge=1, le=200, description="Products per customer")
    not_bought_days: int = Field(
        default=60,
        ge=0,
        description="A product bought within so many days is left out, unless it is consumable",
    )
    repeat_slots: int = Field(
        default=3, ge=0, le=200, description="At most so many places for products to buy again"
    )
    repeat_after_days: int = Field(
        default=14, ge=0, description="A consumable may be offered again after so many days"
    )
    repeat_share: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Where not stated, products with this share of returning buyers are consumable",
    )
    exclude_products: str = Field(
        default="",
        description="Regular expression of product ids never listed, as ^(POST|DOT)$",
    )
