"""Rows for templates: believable ones by Arrow type, and odd ones without a contract."""

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from liquid import Markup

Row = dict[str, Any]

TEXT, WHOLE, NUMBER, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
PRODUCT = pa.struct(
    [
        ("name", TEXT),
        ("price", NUMBER),
        ("was", NUMBER),
        ("rating", pa.float32()),
        ("stock", pa.int32()),
        ("sale", FLAG),
        ("tags", pa.list_(TEXT)),
        ("maker", pa.struct([("name", TEXT), ("size", WHOLE)])),
    ]
)
SHARED = pa.dictionary(pa.int32(), PRODUCT)
CONTRACT: Mapping[str, pa.DataType] = {
    "customer": pa.struct(
        [
            ("name", TEXT),
            ("tier", pa.dictionary(pa.int8(), TEXT)),
            ("points", WHOLE),
            ("ltv", NUMBER),
            ("app", FLAG),
            ("joined", pa.timestamp("us")),
            ("born", pa.date32()),
            ("balance", pa.decimal128(9, 2)),
            ("tags", pa.list_(TEXT)),
            ("address", pa.struct([("city", TEXT), ("geo", pa.struct([("lat", NUMBER)]))])),
        ]
    ),
    "products": pa.list_(SHARED),
    "viewed": pa.list_(PRODUCT),
    "cart": pa.struct(
        [
            ("total", NUMBER),
            ("size", WHOLE),
            ("items", pa.list_(SHARED)),
            ("plain", pa.large_list(PRODUCT)),
        ]
    ),
    "box": pa.struct([("first", TEXT), ("last", WHOLE), ("name", TEXT)]),
    "words": pa.list_(TEXT),
    "numbers": pa.list_(WHOLE),
    "prices": pa.list_(NUMBER),
    "grid": pa.list_(pa.list_(WHOLE)),
    "s": TEXT,
    "note": pa.large_string(),
    "n": WHOLE,
    "few": pa.int8(),
    "x": NUMBER,
    "flag": FLAG,
    "day": pa.date32(),
    "amount": pa.decimal128(12, 3),
    "links": pa.struct([("out", TEXT)]),
}
"""Every kind of column that contexts of mails have, and some that they might get."""

CONSTANTS: Row = {
    "shop": {"name": "Wren & Hart", "url": "https://shop.test/?a=1", "year": 2026, "fee": 4.5},
    "brands": ["Oak", "<Elm>", None, "Oak"],
    "links": {"home": "https://shop.test/", "deep": {"name": "x"}},
    "top": 2,
    "nothing": None,
}
"""Constants of a batch; `links` is also a column."""

TEXTS = (
    "", " ", "vip", "gold", "Shoes", "Zoë <3", "<b>x</b> & \"q\" 'a'", "12", "3.5", "-7",
    "a b  c d", "a,b,,c", "漢字 🎉", "\u00a0", "&amp; &lt;", "line\nbreak\r\n", "\rcr",
    "2026-03-01", "true", "ß ǆ İ",
    "The quick brown fox jumps over the lazy dog and goes on for longer than a line of a mail",
    "__class__", "{{ s }}", "%d %s {0}", "é" * 60,
)  # fmt: skip
WHOLES = (0, 1, 2, 3, 5, -1, 7, 40, 1000, 10_000_000_000, -(2**63), 2**63 - 1)
NUMBERS = (
    0.0, -0.0, 1.0, 2.0, 0.5, 2.5, -1.5, 19.99, 1e16, 1e-7, 1234.565,
    float("nan"), float("inf"), -float("inf"),
)  # fmt: skip
NULLS = 0.12


def value(rng: random.Random, kind: pa.DataType, size: int = 5) -> Any:
    """A value of an Arrow type, null now and then; lists have fewer than `size` items."""
    if rng.random() < NULLS:
        return None
    if pa.types.is_dictionary(kind):
        return value(rng, kind.value_type, size)
    if pa.types.is_struct(kind):
        return {f.name: value(rng, f.type, size) for f in kind}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if kind.value_type in (SHARED, PRODUCT):
            return [_product(rng) for _ in range(rng.randrange(size))]
        return [value(rng, kind.value_type, size) for _ in range(rng.randrange(size))]
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_integer(kind):
        bits = kind.bit_width
        return rng.choice([w for w in WHOLES if abs(w + 0.5) < 2 ** (bits - 1)])
    if pa.types.is_floating(kind):
        number = rng.choice(NUMBERS[:-3] if size < 5 else NUMBERS)
        return pa.scalar(number, pa.float32()).as_py() if kind == pa.float32() else number
    if pa.types.is_decimal(kind):
        return rng.choice([Decimal("0.00"), Decimal("12.50"), Decimal("-3.99"), Decimal("100.00")])
    if pa.types.is_timestamp(kind):
        return rng.choice([dt.datetime(2026, 3, 1, 7, 5), dt.datetime(1999, 12, 31, 23, 59, 59, 7)])
    if pa.types.is_date(kind):
        return rng.choice([dt.date(2026, 3, 1), dt.date(1970, 1, 1)])
    return rng.choice(TEXTS)


_SHELF = random.Random(20261101)
_SHELF_ITEMS = [value(_SHELF, PRODUCT, 3) for _ in range(24)]


def _product(rng: random.Random) -> Any:
    """One of few products, so that equal items come again; now and then with a field changed."""
    found = _SHELF_ITEMS[min(int(rng.expovariate(0.25)), len(_SHELF_ITEMS) - 1)]
    if found is None or rng.random() < 0.8:
        return found
    field = PRODUCT.field(rng.randrange(PRODUCT.num_fields))
    return {**found, field.name: value(rng, field.type, 3)}


def typed_rows(rng: random.Random, count: int) -> list[Row]:
    """Rows by the contract. `links` is never null: a null there would hide the constants."""
    rows = [{name: value(rng, kind) for name, kind in CONTRACT.items()} for _ in range(count)]
    for row in rows:
        row["links"] = row["links"] or {"out": None}
    return rows


def array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An Arrow array of any of the contract's types; below a null lies what must not show."""
    if pa.types.is_dictionary(kind):
        places: dict[str, int] = {}
        entries = []
        for v in values:
            if v is not None and repr(v) not in places:
                places[repr(v)] = len(entries)
                entries.append(v)
        indices = [None if v is None else places[repr(v)] for v in values]
        return pa.DictionaryArray.from_arrays(
            pa.array(indices, kind.index_type), array(entries, kind.value_type)
        )
    missing = pa.array([v is None for v in values], FLAG)
    if pa.types.is_struct(kind):
        hidden = {f.name: _filler(f.type) for f in kind}
        filled = [hidden if v is None else v for v in values]
        fields = [array([v[f.name] for v in filled], f.type) for f in kind]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=missing)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        large = pa.types.is_large_list(kind)
        hidden_items = [_filler(kind.value_type)]
        filled_lists = [hidden_items if v is None else v for v in values]
        offsets = [0]
        for v in filled_lists:
            offsets.append(offsets[-1] + len(v))
        made = pa.LargeListArray if large else pa.ListArray
        items = array([i for v in filled_lists for i in v], kind.value_type)
        return made.from_arrays(
            pa.array(offsets, pa.int64() if large else pa.int32()), items, mask=missing
        )
    return pa.array(values, kind)


def _filler(kind: pa.DataType) -> Any:
    rng = random.Random(1)
    found = None
    while found is None:
        found = value(rng, kind, 2)
    return found


def batch(rows: Sequence[Row], contract: Mapping[str, pa.DataType] = CONTRACT) -> pa.RecordBatch:
    """Rows as a record batch that begins and ends within its buffers, as slices do."""
    around = {name: _filler(kind) for name, kind in contract.items()}
    padded = [around, *rows, around]
    arrays = [array([r[name] for r in padded], kind) for name, kind in contract.items()]
    whole = pa.RecordBatch.from_arrays(arrays, names=list(contract))
    return whole.slice(1, len(rows))


ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, 0.0, -0.0, 1.0, -1, 10**30, -(10**18), 1e15, 2.5, float("nan"),
    float("inf"), "", " ", "0", "1", "1.0", "12", "abc", "\ud800", "\u00a0\u200b", "<i>&</i>",
    "é\u0301", "x" * 300, Markup("<b>&amp;</b>"), Markup(""), Decimal("1"), Decimal("2.50"),
    Decimal("NaN"), dt.datetime(2026, 3, 1, 12), dt.datetime(2026, 3, 1, tzinfo=dt.UTC),
    dt.date(2026, 3, 1), [], {}, [[]], [None], [[1, [2, None]], "a"], ["a", "<b>", "a"], (1, 2),
    (), range(3), [1, True, 1.0, "1"], [{"name": "b"}, {"name": "a", "price": None}], {"k": 1},
    {"size": 3, "first": "f", "last": None}, {"name": {"name": 1}}, {1: "one", "1": "uno"},
    [3, 1, 2], [True, False], {"a": [1], "b": {"c": None}}, b"bytes",
)  # fmt: skip
ALIKE: tuple[Any, ...] = (1, 1.0, True, "1", 0, 0.0, -0.0, False, Decimal(1), Markup("1"), None, "")
"""Values that Python finds equal in pairs, and Liquid prints differently."""
SMALL_ODD: tuple[Any, ...] = (None, True, 0, 3.7, "2", "abc", "", [], {}, -3, 12, Decimal("2"))
"""For bounds of ranges: a range of a milliard would keep python-liquid busy for a while."""


def odd(rng: random.Random, found: Any, share: float, key: str = "") -> Any:
    """The same value with parts missing, replaced by anything, or of another type."""
    chance = rng.random()
    if chance < share:
        return rng.choice(SMALL_ODD if key == "few" else ODD if chance < share / 2 else ALIKE)
    if isinstance(found, dict):
        return {
            k: odd(rng, v, share, str(k)) for k, v in found.items() if rng.random() > share * 0.4
        }
    if isinstance(found, list):
        return [odd(rng, v, share * 0.5) for v in found]
    return found


def odd_rows(rng: random.Random, count: int) -> list[Row]:
    """Rows in which anything may stand anywhere."""
    share = rng.choice((0.0, 0.02, 0.08, 0.25))
    rows = typed_rows(rng, count)
    made = [
        {k: odd(rng, v, share, k) for k, v in row.items() if rng.random() > share * 0.4}
        for row in rows
    ]
    for row in made:
        for name in ("viewed", "products"):
            items = row.get(name)
            if isinstance(items, list) and items and rng.random() < share * 3:
                # The same product but for one value, which Python may find equal.
                product = {"name": "a", "price": 1, "stock": 2, "sale": True}
                items += [{**product, "price": rng.choice(ALIKE)} for _ in range(3)]
    return made
