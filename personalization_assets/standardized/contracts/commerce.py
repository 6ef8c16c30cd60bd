"""Contracts of the tables about what is sold: orders, their lines, products."""

import pandera.polars as pa
import polars as pl

from personalization_assets.standardized.contracts.base import (
    BASE_UNIT,
    COUNTRY_PATTERN,
    CURRENCY_PATTERN,
    EMAIL_PATTERN,
    MONEY_LIMIT,
    PERSON_WARNINGS,
    PHONE_PATTERN,
    QUANTITY_LIMIT,
    StandardizedRow,
    at_least_one,
    contract_metadata,
    countrys_postcode,
    flag_rule,
    fresh_rate,
    given_out,
    has_rate,
    known,
    lasting_address,
    no_task,
    not_in_the_future,
    readable_row,
    real_name,
)

ORDER_STATUSES = ["completed", "pending", "cancelled", "refunded"]


class Orders(StandardizedRow):
    """An order with the person and the address that were given at check-out."""

    order_id: str = pa.Field(
        description="The shop's number of the order", str_length={"min_value": 1, "max_value": 200}
    )
    account_key: str = pa.Field(
        nullable=True, description="Shop account that ordered, '<system>:<id>'; null for guests"
    )
    record_id: str = pa.Field(
        nullable=True,
        description="Record in identity.records: the account_key, else 'order:<order_id>' when a "
        "guest left a name, e-mail or phone, else null",
    )
    given_name: str = pa.Field(nullable=True, description="Given name")
    family_name: str = pa.Field(nullable=True, description="Family name")
    full_name: str = pa.Field(nullable=True, description="Whole name, as given or put together")
    email: str = pa.Field(
        nullable=True, str_matches=EMAIL_PATTERN, description="Deliverable address, canonical"
    )
    phone: str = pa.Field(nullable=True, str_matches=PHONE_PATTERN, description="Phone, E.164")
    street: str = pa.Field(nullable=True, description="Street and house number")
    postcode: str = pa.Field(nullable=True, description="Postal code, upper case")
    city: str = pa.Field(nullable=True, description="Town or suburb")
    region: str = pa.Field(nullable=True, description="State, county or province as given")
    country: str = pa.Field(
        nullable=True, str_matches=COUNTRY_PATTERN, description="Country, ISO 3166-1 alpha-2"
    )
    ordered_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="When it was ordered (UTC)", metadata={"unit": "UTC"}
    )
    status: str = pa.Field(
        isin=ORDER_STATUSES,
        description="completed, pending, cancelled or refunded; completed when the source names "
        "none; other labels are kept",
    )
    currency: str = pa.Field(
        str_matches=CURRENCY_PATTERN, description="Currency of the order, ISO 4217"
    )
    total_amount: float = pa.Field(
        nullable=True,
        ge=-MONEY_LIMIT,
        le=MONEY_LIMIT,
        description="Total of the order in its currency; negative for a refund",
        metadata={"unit": "currency"},
    )
    total_base: float = pa.Field(
        nullable=True,
        description="Total in the base currency, at the rate of the day",
        metadata=BASE_UNIT,
    )
    discount_base: float = pa.Field(
        nullable=True,
        ge=0,
        le=MONEY_LIMIT,
        description="Discount in the base currency, as a positive number",
        metadata=BASE_UNIT,
    )
    channel: str = pa.Field(nullable=True, description="Where it was sold: web, app, store ...")

    ordered_at_future = not_in_the_future("ordered_at")
    currency_unknown = known("currency", "a currency of ISO 4217")
    currency_stale_rate = fresh_rate()
    currency_no_rate = has_rate()
    name_implausible = real_name()
    email_role = no_task()
    email_disposable = lasting_address()
    phone_invalid = given_out()
    postcode_shape = countrys_postcode()
    country_unknown = known("country", "a country")

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "orders"
        metadata = contract_metadata(
            ["source", "order_id"],
            "one row per order",
            pii=True,
            warnings=[
                *PERSON_WARNINGS,
                "status.known",
                "currency.stale_rate",
                "currency.no_rate",
            ],
            unreadable=["email", "phone", "ordered_at", "total_amount", "discount_base"],
        )


class OrderLines(StandardizedRow):
    """A product on an order; a negative quantity is a return."""

    order_source: str = pa.Field(
        description="Source of the order: with order_id the key of orders; lines may come from a "
        "source of their own"
    )
    order_id: str = pa.Field(
        description="Order the line belongs to", str_length={"min_value": 1, "max_value": 200}
    )
    line_number: int = pa.Field(
        ge=0, le=QUANTITY_LIMIT, description="Place on the order: as given, else in file order"
    )
    product_id: str = pa.Field(
        description="Product that was sold", str_length={"min_value": 1, "max_value": 200}
    )
    description: str = pa.Field(nullable=True, description="What the line says about the product")
    quantity: int = pa.Field(
        ge=-QUANTITY_LIMIT,
        le=QUANTITY_LIMIT,
        ne=0,
        description="How many; negative for a return",
        metadata={"unit": "pieces"},
    )
    unit_price: float = pa.Field(
        ge=0,
        le=MONEY_LIMIT,
        description="Price of one, in the line's currency",
        metadata={"unit": "currency"},
    )
    currency: str = pa.Field(
        str_matches=CURRENCY_PATTERN, description="Currency of the price, ISO 4217"
    )
    unit_price_base: float = pa.Field(
        nullable=True,
        description="Price of one in the base currency, at the rate of the order's day",
        metadata=BASE_UNIT,
    )
    line_base: float = pa.Field(
        nullable=True, description="quantity x unit_price_base", metadata=BASE_UNIT
    )
    ordered_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="When it was ordered (UTC): of the line, else of its order",
        metadata={"unit": "UTC"},
    )

    ordered_at_future = not_in_the_future("ordered_at")
    currency_unknown = known("currency", "a currency of ISO 4217")
    currency_stale_rate = fresh_rate()
    currency_no_rate = has_rate()
    # A discount may be in the amount, or the price is of a pack.
    line_amount_mismatch = flag_rule(
        "line_amount.mismatch", "line_amount, where the source gives it, is quantity x unit_price"
    )

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "order_lines"
        metadata = contract_metadata(
            ["source", "order_id", "line_number"],
            "one row per line of an order",
            pii=False,
            warnings=["currency.stale_rate", "currency.no_rate", "line_amount.mismatch"],
            unreadable=["line_number", "quantity", "unit_price", "ordered_at"],
        )


class Products(StandardizedRow):
    """A product of the shop with its price, stock and place in the catalogue."""

    product_id: str = pa.Field(
        description="The shop's id of the product", str_length={"min_value": 1, "max_value": 200}
    )
    name: str = pa.Field(nullable=True, description="Name to show to customers")
    category: str = pa.Field(nullable=True, description="Category, one spelling for each")
    subcategory: str = pa.Field(nullable=True, description="Finer category, one spelling for each")
    brand: str = pa.Field(nullable=True, description="Brand, one spelling for each")
    price: float = pa.Field(
        nullable=True,
        ge=0,
        le=MONEY_LIMIT,
        description="Price in its currency",
        metadata={"unit": "currency"},
    )
    currency: str = pa.Field(
        nullable=True, str_matches=CURRENCY_PATTERN, description="Currency of price, ISO 4217"
    )
    price_base: float = pa.Field(
        nullable=True,
        description="Price in the base currency, at the rate of the run's day",
        metadata=BASE_UNIT,
    )
    stock: int = pa.Field(
        nullable=True,
        ge=-QUANTITY_LIMIT,
        le=1_000_000_000,
        description="Pieces in stock, negative when oversold; null is unknown and may be sold",
        metadata={"unit": "pieces"},
    )
    is_consumable: bool = pa.Field(
        nullable=True, description="Is used up and bought again; null when not stated"
    )
    image_url: str = pa.Field(nullable=True, description="Picture of the product")
    url: str = pa.Field(nullable=True, description="Page of the product")
    description: str = pa.Field(nullable=True, description="Text about the product")
    launched_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="On sale from (UTC); may lie ahead", metadata={"unit": "UTC"}
    )
    is_active: bool = pa.Field(description="Is on sale; true when the source does not say")

    currency_unknown = known("currency", "a currency of ISO 4217")
    currency_stale_rate = fresh_rate()
    currency_no_rate = has_rate()

    # A mail has nothing to call it by.
    product_named = at_least_one("product.named", ["name"], "A product has a name")

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "products"
        metadata = contract_metadata(
            ["source", "product_id"],
            "one row per product of a source",
            pii=False,
            warnings=[
                "stock.type",
                "is_consumable.type",
                "is_active.type",
                "launched_at.type",
                "currency.unknown",
                "currency.stale_rate",
                "currency.no_rate",
                "product.named",
            ],
            unreadable=["price", "stock", "is_consumable", "launched_at", "is_active"],
        )
