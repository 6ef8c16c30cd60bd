"""What a template may use: the mail context and its contract. `contexts.py` fills it.

Roots: `customer` (columns of profiles.golden_profiles and a few derived ones),
`recommendations[]`, `cart` (`cart.items[]`), `viewed[]`, `mail`, `links`, and the constants `brand`
and `campaign`. The contract is a mapping from root to Arrow type, so that a template is checked
against the same types that the batch is filled with.
"""

from collections.abc import Mapping
from types import NoneType
from typing import Any, get_args, get_origin

import duckdb
import pyarrow as pa
from pydantic import BaseModel

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign

TEXT = pa.string()


def _always(name: str, kind: pa.DataType) -> pa.Field:
    """A field that is never empty, by the SQL that fills it."""
    return pa.field(name, kind, nullable=False)


PRODUCT = pa.struct(
    [
        _always("product_id", TEXT),
        _always("name", TEXT),
        pa.field("category", TEXT),
        pa.field("subcategory", TEXT),
        pa.field("brand", TEXT),
        pa.field("description", TEXT),
        _always("price", pa.float64()),  # in the base currency
        _always("url", TEXT),  # tagged for this campaign
        pa.field("image_url", TEXT),
        _always("tile", TEXT),  # background colour behind the picture
        _always("position", pa.int64()),
        _always("few_left", pa.bool_()),
        _always("is_new", pa.bool_()),
        _always("source", TEXT),  # one of top_products, or bestseller
        pa.field("reason", TEXT),
        pa.field("because", TEXT),  # name of the product that led here
    ]
)
CART_ITEM = pa.struct(
    [*PRODUCT, _always("quantity", pa.int64()), _always("line_total", pa.float64())]
)
CART = pa.struct(
    [
        _always("items", pa.list_(CART_ITEM)),
        _always("size", pa.int64()),
        _always("quantity", pa.int64()),
        _always("total", pa.float64()),
        pa.field("updated_at", pa.timestamp("us")),
        pa.field("hours", pa.int64()),
    ]
)
LINKS = pa.struct(
    [
        _always(name, TEXT)
        for name in ("home", "bestsellers", "cart", "preferences", "unsubscribe", "one_click")
    ]
)
MAIL = pa.struct(
    [
        _always("send_id", TEXT),
        _always("variant", TEXT),
        _always("personalised", pa.bool_()),
        _always("bestsellers", pa.bool_()),  # the products shown are best sellers, not personal
        _always("subject", TEXT),
        _always("preheader", TEXT),
        _always("year", pa.int64()),
        _always("regional_offer", TEXT),
    ]
)
CAMPAIGN = pa.struct([_always(name, TEXT) for name in ("name", "description", "kind")])
DERIVED = {"first_name": TEXT}
"""Fields of `customer` that golden_profiles does not have."""

NEVER_EMPTY = frozenset({"customer_id"})
"""Fields of `customer` that everybody has: the key. All else may be unknown, or be kept from the
mail of somebody who did not agree to personalisation."""

WITHOUT_CONSENT = frozenset(
    {
        "customer_id",
        "first_name",
        "given_name",
        "family_name",
        "email",
        "language",
        "country",
        "loyalty_tier",
        "loyalty_points",
    }
)
"""What a mail may say to somebody who did not agree to personalisation: how to address them, and
the state of their loyalty account. Everything else that we know of them is empty in their mail."""


def mail_contract(profile_columns: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """Roots that a template may use, given the columns of golden_profiles.

    A field that is not nullable can be printed without a default.
    """
    customer = {**profile_columns, **DERIVED}
    return {
        "customer": pa.struct(
            [pa.field(n, kind, nullable=n not in NEVER_EMPTY) for n, kind in customer.items()]
        ),
        "recommendations": pa.list_(PRODUCT),
        "cart": CART,
        "viewed": pa.list_(PRODUCT),
        "links": LINKS,
        "mail": MAIL,
        "brand": _model_type(Brand),
        "campaign": CAMPAIGN,
    }


def in_words(kind: pa.DataType) -> str:
    """A type as a marketer calls it."""
    for fits, words in (
        (pa.types.is_boolean, "true or false"),
        (pa.types.is_integer, "a whole number"),
        (pa.types.is_floating, "a number"),
        (pa.types.is_decimal, "a number"),
        (pa.types.is_timestamp, "a time, such as 2026-12-24 18:00:00"),
        (pa.types.is_date, "a day, such as 2026-12-24"),
        (pa.types.is_list, "a list"),
        (pa.types.is_struct, "fields with names"),
    ):
        if fits(kind):
            return words
    return "a text"


def profile_columns(con: duckdb.DuckDBPyConnection) -> dict[str, pa.DataType]:
    """Columns of profiles.golden_profiles as they are in the warehouse."""
    schema = con.sql("SELECT * FROM profiles.golden_profiles LIMIT 0").to_arrow_table().schema
    return {f.name: f.type for f in schema}


def constants(brand: Brand, campaign: Campaign) -> dict[str, Any]:
    """The roots that are the same in every mail of a campaign."""
    return {
        "brand": brand.model_dump(mode="json"),
        "campaign": {
            "name": campaign.name,
            "description": campaign.file.description,
            "kind": campaign.file.kind,
        },
    }


def _model_type(model: type[BaseModel]) -> pa.DataType:
    def of(annotation: Any) -> pa.DataType:
        if get_origin(annotation) is list:
            return pa.list_(of(get_args(annotation)[0]))
        for part in (annotation, *get_args(annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                return _model_type(part)
        return TEXT

    return pa.struct(
        [
            pa.field(name, of(f.annotation), nullable=NoneType in get_args(f.annotation))
            for name, f in model.model_fields.items()
        ]
    )
