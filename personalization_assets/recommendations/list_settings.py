"""What a user may set about lists of products. Nothing here changes the model behind them."""

import duckdb
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Exclusion(BaseModel):
    """Products that are never shown. Where a rule names several things, all must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: str | None = Field(default=None, description="Regular expression of product ids")
    category: str | None = Field(default=None, description="Category, as the catalogue spells it")
    brand: str | None = Field(default=None, description="Brand, as the catalogue spells it")

    @field_validator("product")
    @classmethod
    def _can_be_searched_for(cls, pattern: str | None) -> str | None:
        # DuckDB's expressions are not quite Python's: ask the one that will have to read it.
        try:
            with duckdb.connect() as con:
                con.execute("SELECT regexp_matches('', ?)", [pattern])
        except duckdb.Error as error:
            reason = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
            raise ValueError(f"'{pattern}' is not a regular expression: {reason}") from None
        return pattern

    @model_validator(mode="after")
    def _names_something(self) -> "Exclusion":
        if self.product is None and self.category is None and self.brand is None:
            raise ValueError("A rule must name a product, a category or a brand")
        return self


class ListSettings(BaseModel):
    """Length of lists, and what may and may not be on them."""

    list_length: int = Field(default=12, ge=1, le=200, description="Products per customer")
    similar_length: int = Field(
        default=12, ge=1, le=100, description="Similar products per product"
    )

    # what may be shown to anybody
    min_stock: int = Field(
        default=1, ge=0, description="A product with fewer pieces in stock is not shown"
    )
    exclude: list[Exclusion] = Field(
        default=[], description="Products never shown, by id, category or brand"
    )

    # what may be shown to one customer
    not_bought_days: int = Field(
        default=180,
        ge=0,
        description="A product bought within so many days is left out, unless it is consumable",
    )
    repeat_places: int = Field(
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
    max_price_ratio: float = Field(
        default=0.0,
        ge=0,
        description="Most that a product may cost, as a multiple of the median price of what the "
        "customer bought; 0 for no limit",
    )
    max_shown: int = Field(
        default=4,
        ge=0,
        description="A product that so many mails showed the customer within shown_days, "
        "unclicked, gives way to others; 0 for no limit",
    )
    shown_days: int = Field(default=28, ge=1, le=365, description="See max_shown")

    # the mixture of one list
    max_per_category: int = Field(
        default=8, ge=0, le=200, description="Most products of a category in a list; 0: no limit"
    )
    max_per_brand: int = Field(
        default=8, ge=0, le=200, description="Most products of a brand in a list; 0: no limit"
    )
    diversity: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="0 lists by score alone, 1 lists what is least like what is listed already",
    )
    stated_boost: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Added to scores (best of a customer 1, worst candidate 0) in categories that "
        "the customer said they like",
    )
    new_places: int = Field(
        default=1, ge=0, le=200, description="At most so many places for new products"
    )
    new_days: int = Field(
        default=30, ge=1, le=3650, description="A product is new for so many days after its launch"
    )
    region_min_buyers: int = Field(
        default=30,
        ge=1,
        description="Regions and countries with fewer recent buyers have no best sellers of "
        "their own",
    )
