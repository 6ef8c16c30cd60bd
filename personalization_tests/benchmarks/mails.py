"""A mail of 25 KB as a shop sends it, and the people who get it: for benchmarks and tests.

`mails.mjml` has six product cards, a basket or what was looked at, and texts by tier, region,
points and time since the last order. People are Arrow batches; products in them are skewed as sales
are: half of the cards show a few hundred of 5,000 products.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from personalization_assets.emails.liquid_batch import BatchEnvironment, filters
from personalization_assets.emails.liquid_batch.environment import Profile

TEMPLATE = Path(__file__).with_suffix(".mjml")
NOW = datetime(2026, 11, 1, 8)
PRODUCTS = 5_000
CONSTANTS: Mapping[str, Any] = {
    "campaign": {
        "slug": "autumn-2026",
        "source": "newsletter",
        "subject": "New this week at Wren & Hart",
        "ends": "30 November",
        "year": 2026,
    },
    "store": {
        "name": "Wren & Hart",
        "url": "https://shop.example.com",
        "logo": "https://cdn.example.com/logo.png",
        "address": "12 High Street, Leeds LS1 4AP",
        "free_from": 40.0,
        "free_from_elsewhere": 60.0,
    },
}

FIRST_NAMES = [
    "anna", "JOHN", "Zoë", "María", "Łukasz", "O'Neil", "李雷", "bob", "Jean-Pierre", "Aoife",
    "Søren", "Priya",
]  # fmt: skip
CITIES = [
    "Leeds", "York", "München", "Bath", "Hull", "Kraków", "Durham", "São Paulo", "St. John's",
]  # fmt: skip
REGIONS = ["north", "south", "east", "west", "midlands"]
TIERS = ["vip", "gold", "silver", "basic", "basic"]
CATEGORIES = [
    "Shoes", "Outdoor", "Kitchen", "Garden", "Toys", "Books", "Audio", "Home & Living",
    "Kids' Wear", "Beauty",
]  # fmt: skip
ADJECTIVES = [
    "Classic", "Ultra-light", "Waterproof", "Organic", "Wireless", "Heavy-duty", "Kids'",
    'Limited "Edition"', "Soft & Warm",
]  # fmt: skip
NOUNS = [
    "Running Shoe", "Tent", "Saucepan Set", "Headphones", "Garden Lamp", "Raincoat", "Notebook",
    "Blender", "Backpack for long Mountain Expeditions and Trekking",
]  # fmt: skip


@cache
def html() -> str:
    """The template: HTML with Liquid in it."""
    from mjml import mjml2html

    tokens: list[str] = []

    def hide(found: re.Match[str]) -> str:
        tokens.append(found[0])
        return f"LQ{len(tokens) - 1:05d}X"

    source = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", hide, TEMPLATE.read_text("utf-8"), flags=re.DOTALL)
    made = re.sub(r"[ \t]*\n\s*", "\n", mjml2html(source, disable_comments=True))
    return re.sub(r"LQ(\d{5})X", lambda m: tokens[int(m[1])], made)


def environment(profile: Profile = "shopify") -> BatchEnvironment:
    """Where the mail is parsed."""
    money = {"money": filters.money("EUR", "en")}
    return BatchEnvironment(html=True, now=NOW, profile=profile, extra_filters=money)


@cache
def shelf(quantities: bool) -> pa.StructArray:
    """The products, as cards show them; with `quantities` each as one, two or three of a kind."""
    rng = np.random.default_rng(7)
    price = rng.integers(499, 29_999, PRODUCTS) / 100
    dearer = np.round(price * rng.choice([1.1, 1.25, 1.5], PRODUCTS), 2)
    adjectives, nouns = rng.integers(0, 9, PRODUCTS), rng.integers(0, 9, PRODUCTS)
    number = range(PRODUCTS)
    fields: dict[str, pa.Array] = {
        "name": pa.array([f"{ADJECTIVES[adjectives[i]]} {NOUNS[nouns[i]]} {i}" for i in number]),
        "category": pa.array(np.array(CATEGORIES, object)[rng.integers(0, 10, PRODUCTS)]),
        "url": pa.array([f"https://shop.example.com/p/{i:05d}" for i in number]),
        "image_url": pa.array([f"https://cdn.example.com/p/{i:05d}/600.jpg" for i in number]),
        "price": pa.array(price),
        "was": pa.array(dearer, mask=rng.random(PRODUCTS) < 0.6),
        "rating": pa.array(np.round(rng.uniform(3, 5, PRODUCTS), 1)),
        "reviews": pa.array(rng.integers(0, 900, PRODUCTS) * (rng.random(PRODUCTS) < 0.85)),
        "is_new": pa.array(rng.random(PRODUCTS) < 0.1),
        "few_left": pa.array(rng.random(PRODUCTS) < 0.15),
    }
    if not quantities:
        return pa.StructArray.from_arrays(list(fields.values()), list(fields))
    fields = {name: pa.concat_arrays([values] * 3) for name, values in fields.items()}
    pieces = np.repeat([1, 2, 3], PRODUCTS)
    fields["quantity"] = pa.array(pieces)
    fields["total"] = pa.array(np.round(np.tile(price, 3) * pieces, 2))
    return pa.StructArray.from_arrays(list(fields.values()), list(fields))


BLOCK = 8_192
"""People that are made up at once."""


def batches(
    people: int, rows: int = 256, shared: bool = True, others: int = 0
) -> Iterator[pa.RecordBatch]:
    """People, so many rows at a time; the same ones whatever the size of the batches.

    Lists of products hold entries of an Arrow dictionary, or with `shared=False` whole products.
    `others` people are passed over (rounded up to blocks).
    """
    first_block = -(-others // BLOCK) * BLOCK
    for start in range(first_block, first_block + people, BLOCK):
        made = _people(start, BLOCK, shared).slice(0, min(BLOCK, first_block + people - start))
        for first in range(0, made.num_rows, rows):
            yield made.slice(first, rows)


def contract(shared: bool = True) -> dict[str, pa.DataType]:
    """The types of the columns, for `liquid_batch.compile`."""
    return {field.name: field.type for field in _people(0, 1, shared).schema}


def _people(start: int, n: int, shared: bool) -> pa.RecordBatch:
    rng = np.random.default_rng([11, start])

    def pick(values: list[str], nulls: float = 0.0) -> pa.Array:
        found = np.array(values, object)[rng.integers(0, len(values), n)]
        return pa.array(found, pa.string(), mask=rng.random(n) < nulls)

    def products(lengths: Any, quantities: bool = False) -> pa.Array:
        total = int(lengths.sum())
        popular = np.minimum(rng.pareto(0.6, total), PRODUCTS - 1).astype(np.int32)
        any_ = rng.integers(0, PRODUCTS, total, dtype=np.int32)
        chosen = np.where(rng.random(total) < 0.5, popular, any_)
        if quantities:
            chosen = chosen + np.int32(PRODUCTS) * rng.integers(0, 3, total, dtype=np.int32)
        numbers, entries = pa.array(chosen, pa.int32()), shelf(quantities)
        items = (
            pa.DictionaryArray.from_arrays(numbers, entries) if shared else entries.take(numbers)
        )
        return pa.ListArray.from_arrays(_offsets(lengths), items)

    ids = range(start, start + n)
    given = [FIRST_NAMES[i] if i < 12 else f"name{i}" for i in range(3_000)]
    named = np.minimum(rng.pareto(0.7, n) * 6, 2_999).astype(int)
    likes = rng.integers(0, 4, n)
    customer: dict[str, pa.Array] = {
        "first_name": pa.array(
            np.array(given, object)[named], pa.string(), mask=rng.random(n) < 0.06
        ),
        "email": pa.array([f"user{i}@example.com" for i in ids]),
        "token": pa.array([hashlib.blake2b(b"%d" % i, digest_size=16).hexdigest() for i in ids]),
        "tier": pick(TIERS, 0.1),
        "region": pick(REGIONS),
        "city": pick([*CITIES, *(f"Town {i}" for i in range(400))], 0.2),
        "favourite": pick(CATEGORIES, 0.3),
        "spent": pa.array(rng.integers(0, 500_000, n) / 100),
        "points": pa.array(rng.integers(0, 9_000, n), mask=rng.random(n) < 0.15),
        "days_since_order": pa.array(rng.integers(0, 400, n)),
        "has_app": pa.array(rng.random(n) < 0.3),
        "likes": pa.ListArray.from_arrays(
            _offsets(likes),
            pa.array(np.array(CATEGORIES, object)[rng.integers(0, 10, int(likes.sum()))]),
        ),
    }
    full = rng.random(n) < 0.97
    shown = np.where(full, 6, rng.integers(0, 6, n))
    in_cart = np.where(rng.random(n) < 0.35, rng.integers(1, 5, n), 0)
    items = products(in_cart, quantities=True)
    cart = {
        "id": pa.array([f"B{i}" for i in ids]),
        "items": items,
        "size": pa.array(in_cart),
        "total": _totals(items, in_cart),
    }
    columns = {
        "customer": pa.StructArray.from_arrays(list(customer.values()), list(customer)),
        "products": products(shown),
        "cart": pa.StructArray.from_arrays(list(cart.values()), list(cart)),
        "viewed": products(rng.integers(0, 5, n)),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _offsets(lengths: Any) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _totals(items: pa.Array, lengths: Any) -> pa.Array:
    values = items.values
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary.take(values.indices)
    sums = np.concatenate([[0], np.cumsum(values.field("total").to_numpy())])
    ends = np.cumsum(lengths)
    return pa.array(np.round(sums[ends] - sums[ends - lengths], 2))
