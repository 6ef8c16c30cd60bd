"""Types and emptiness of what paths and filters give."""

from collections.abc import Sequence

import pyarrow as pa

from personalization_assets.emails.checking.values import (
    ANY,
    HAS_ITEMS,
    Key,
    Keys,
    Value,
)

FORLOOP = pa.struct(
    [
        pa.field(n, pa.int64(), nullable=False)
        for n in ("index", "index0", "rindex", "rindex0", "length")
    ]
    + [
        pa.field("first", pa.bool_(), nullable=False),
        pa.field("last", pa.bool_(), nullable=False),
        pa.field("parentloop", ANY),
        pa.field("name", pa.string(), nullable=False),
    ]
)
KEEP_ITEMS = {"sort", "sort_natural", "reverse", "uniq"}
"""Filters after which a list has items if it had some."""
KEEP_TYPE = KEEP_ITEMS | {"compact", "concat", "where", "reject", "slice"}
KEEP_NIL = {"money", "number", "round", "truncate", "truncatewords", "date", "utm", "first", "last"}
"""Filters that give nil for nil; others make an empty text or a number of it."""
END_DOUBTS = {"size"}
JOIN_TEXT = {"append", "prepend"}
"""Filters that print their argument too."""


def step(value: Value, segment: str | int | None, facts: frozenset[Key]) -> Value | list[str]:
    """A field or an item of a value (None: an item by a variable), or the names that it has."""
    kind = value.type
    doubts = frozenset[Key]() if value.key in facts else value.doubts
    key: Key = (*value.key, segment) if segment is not None else ()
    if pa.types.is_null(kind):
        return Value(ANY, key, doubts)
    if pa.types.is_struct(kind):
        if not isinstance(segment, str) or kind.get_field_index(segment) < 0:
            return [kind.field(i).name for i in range(kind.num_fields)]
        found = kind.field(segment)
        counts = None
        if segment == "size" and kind.get_field_index("items") >= 0:
            counts = (*value.key, "items")
        own = frozenset({key}) if found.nullable else frozenset[Key]()
        return Value(found.type, key, doubts | own, counts)
    if pa.types.is_list(kind):
        if segment == "size":
            return Value(pa.int64(), key, doubts, value.key)
        if segment is None:
            return Value(kind.value_type, (), doubts)
        if segment in ("first", "last", 0, -1):
            at = "first" if segment in ("first", 0) else "last"
            key = (*value.key, at)
            return Value(kind.value_type, key, doubts | {(*value.key, HAS_ITEMS)})
        if isinstance(segment, int):
            return Value(kind.value_type, key, doubts | {key})
        return ["first", "last", "size"]
    if segment == "size":
        return Value(pa.int64(), key, doubts)
    return ["size"]


def filtered(value: Value, name: str, arguments: Sequence[Value], keys: Keys) -> Value:
    """What a filter makes of a value."""
    key, kind = keys.fresh(), value.type
    is_list = pa.types.is_list(kind)
    if name == "default":
        doubts = arguments[0].doubts if arguments else frozenset[Key]()
        return Value(kind, key, doubts, blankable=value.blankable)
    if name in END_DOUBTS:
        return Value(pa.int64(), key, counts=value.key if is_list and value.key else None)
    if name in ("first", "last") and is_list:
        at = (*value.key, name) if value.key else key
        return Value(kind.value_type, at, value.doubts | {(*value.key, HAS_ITEMS)})
    if name in KEEP_TYPE and is_list:
        return Value(kind, value.key if name in KEEP_ITEMS else key, value.doubts)
    doubts = value.doubts
    if name in JOIN_TEXT:
        doubts |= frozenset[Key]().union(*(a.doubts for a in arguments))
    blankable = value.blankable or name not in KEEP_NIL
    return Value(ANY, key, doubts, blankable=blankable)
