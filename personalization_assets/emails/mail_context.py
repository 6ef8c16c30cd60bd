"""What a template may use: the mail context and its contract. `contexts.py` fills it.

Roots: `customer` (columns of profiles.golden_profiles and a few derived ones),
`recommendations[]`, `cart` (`cart.items[]`), `viewed[]`, `mail`, `links`, and the constants `brand`
and `campaign`. The contract is a mapping from root to Arrow type, so that a template is checked
against the same types that the batch is filled with.
"""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

import duckdb
import pyarrow as pa
from pydantic import BaseModel

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign

TEXT = pa.string()
PRODUCT = pa.struct(
    {
        "product_id": TEXT,
        "name": TEXT,
        "category": TEXT,
        "subcategory": TEXT,
        "brand": TEXT,
        "description": TEXT,
        "price": pa.float64(),  # in the base currency
        "url": TEXT,  # tagged for this campaign
        "image_url": TEXT,
        "tile": TEXT,  # background colour behind the picture
        "position": pa.int64(),
        "few_left": pa.bool_(),
        "is_new": pa.bool_(),
        "source": TEXT,  # als | repeat | category | popular | bestseller
        "reason": TEXT,
        "because": TEXT,  # name of the product that led here
    }
)
CART_ITEM = pa.struct(
    [*PRODUCT, pa.field("quantity", pa.int64()), pa.field("line_total", pa.float64())]
)
CART = pa.struct(
    {
        "items": pa.list_(CART_ITEM),
        "size": pa.int64(),
        "quantity": pa.int64(),
        "total": pa.float64(),
        "updated_at": pa.timestamp("us"),
        "hours": pa.int64(),
    }
)
LINKS = pa.struct(
    dict.fromkeys(("home", "bestsellers", "cart", "preferences", "unsubscribe", "one_click"), TEXT)
)
MAIL = pa.struct(
    {
        "send_id": TEXT,
        "variant": TEXT,
        "personalised": pa.bool_(),
        "bestsellers": pa.bool_(),  # the products shown are best sellers, not personal
        "subject": TEXT,
        "preheader": TEXT,
        "year": pa.int64(),
        "regional_offer": TEXT,
    }
)
CAMPAIGN = pa.struct({"name": TEXT, "description": TEXT, "kind": TEXT})
DERIVED = {"first_name": TEXT}
"""Fields of `customer` that golden_profiles does not have."""

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
    """Roots that a template may use, given the columns of golden_profiles."""
    return {
        "customer": pa.struct({**profile_columns, **DERIVED}),
        "recommendations": pa.list_(PRODUCT),
        "cart": CART,
        "viewed": pa.list_(PRODUCT),
        "links": LINKS,
        "mail": MAIL,
        "brand": _model_type(Brand),
        "campaign": CAMPAIGN,
    }


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

    return pa.struct({name: of(f.annotation) for name, f in model.model_fields.items()})
