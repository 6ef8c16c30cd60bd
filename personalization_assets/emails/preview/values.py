"""Believable values for the fields of a mail's context, by their names and types, and products as a
shop has them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from personalization_assets.emails.brand import Brand

Context = dict[str, Any]
"""Roots of `mail_context.mail_contract` that differ from mail to mail."""

KNOWN: Mapping[str, Any] = {
    "customer_id": "c_0000000000000000",
    "first_name": "Maya",
    "given_name": "Maya",
    "family_name": "Lindqvist",
    "email": "maya.lindqvist@mail.example.com",
    "phone": "+353915550123",
    "gender": "female",
    "street": "12 Harbour Row",
    "postcode": "H91 X2Y3",
    "city": "Galway",
    "region": "Connacht",
    "region_name": "Connacht",
    "country": "IE",
    "language": "en",
    "time_zone": "Europe/Dublin",
    "loyalty_tier": "gold",
    "loyalty_points": 1240,
    "engagement_level": "high",
    "device_type": "mobile",
    "segment": "loyal",
    "lifecycle": "active",
    "frequency": "weekly",
    "age_band": "35-44",
    "last_search_term": "enamel kettle",
    "top_brand": "Alder",
    "orders": 4,
    "days_since_order": 41,
    "days_since_seen": 2,
    "identity_confidence": 0.98,
}
ENDINGS: tuple[tuple[str, Any], ...] = (
    ("_category", "Kitchen"),
    ("_brand", "Alder"),
    ("_origin", "crm/1001"),
    ("_rate", 0.25),
    ("_share", 0.25),
    ("_score", 4),
    ("_hour", 10),
    ("_base", 128.4),
    ("_minutes", 35.0),
)
LISTS: tuple[tuple[str, list[Any]], ...] = (
    ("categories", ["Kitchen", "Garden"]),
    ("products", ["P1", "P2"]),
)
SHELF: tuple[tuple[str, str, float], ...] = (
    ("Oak serving board", "Kitchen", 48.0),
    ("Linen apron", "Textiles", 36.5),
    ("Stoneware mug, speckled", "Tableware", 18.0),
    ("Wool throw", "Textiles", 89.0),
    ("Terracotta planter", "Garden", 24.9),
    ("Beeswax candle", "Lighting", 14.5),
    ("Enamel kettle", "Kitchen", 54.0),
    ("Merino socks", "Textiles", 19.95),
)
"""Name, category and price of what the made-up shop sells."""
SHELVES = {"cart": 6, "viewed": 3}
"""Where on the shelf a block begins: what is in the cart is not recommended."""
SOURCES = ("als", "repeat", "category")
BESTSELLERS = ("bestseller", "popular")


def believable(name: str, kind: pa.DataType, as_of: datetime) -> Any:
    """A value that a field with this name and type may have."""
    if pa.types.is_list(kind):
        if pa.types.is_struct(kind.value_type):
            return [believable(name, kind.value_type, as_of) for _ in range(2)]
        return next((list(v) for end, v in LISTS if name.endswith(end)), ["one", "two"])
    if pa.types.is_struct(kind):
        return {f.name: believable(f.name, f.type, as_of) for f in kind}
    known = KNOWN.get(name, next((v for end, v in ENDINGS if name.endswith(end)), None))
    if pa.types.is_boolean(kind):
        return name.startswith("consent_")
    if pa.types.is_integer(kind):
        return known if isinstance(known, int) else 3
    if pa.types.is_floating(kind):
        return float(known) if isinstance(known, int | float) else 12.5
    if pa.types.is_timestamp(kind):
        return as_of - timedelta(days=9, hours=3)
    if pa.types.is_date(kind):
        return datetime(1987, 5, 14).date()
    return known if isinstance(known, str) else name.replace("_", " ")


def product(
    kind: pa.DataType, number: int, block: str, utm: str, brand: Brand, as_of: datetime
) -> dict[str, Any]:
    """The `number`th product of a mail's block, counted from 1, in the fields of `kind`."""
    place = number - 1 + SHELVES.get(block, 0)
    name, category, price = SHELF[place % len(SHELF)]
    again = place // len(SHELF)
    slug = name.lower().replace(",", "").replace(" ", "-")
    personal = block == "products"
    product_id = f"P{place + 1}"
    url = brand.product_url.replace("{product_id}", product_id)
    own = {
        "product_id": product_id,
        "name": f"{name} no. {again + 1}" if again else name,
        "category": category,
        "subcategory": None,
        "brand": "Alder",
        "description": f"{name}, made to last.",
        "price": price,
        "url": f"{url}{'&' if '?' in url else '?'}{utm}&utm_content={block}-{number}",
        "image_url": f"https://pictures.example.com/{slug}.jpg" if number % 4 else None,
        "tile": brand.tile_colours[number % len(brand.tile_colours)],
        "position": number,
        "few_left": number == 1,
        "is_new": number == 2,
        "source": SOURCES[(number - 1) % 3] if personal else block,
        "reason": None,
        "because": SHELF[(place + 1) % len(SHELF)][0] if personal and number % 3 == 1 else None,
        "quantity": 1 + number % 2,
        "line_total": price * (1 + number % 2),
    }
    return {f.name: own.get(f.name, believable(f.name, f.type, as_of)) for f in kind}
