"""What changed from one shape of a table to the next, and for whom that breaks something.

The words are those of Confluent's Schema Registry
(https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html):

- backward: whoever follows the new version can read what was stored under the old one;
- forward: whoever follows the old version can read what is stored under the new one;
- full: both; none: neither.

Two kinds differ from Avro, because readers here are SQL and name their columns: a dropped column
breaks its readers even where it was nullable, and a widened one does not, since DuckDB casts it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal[
    "added nullable",
    "added mandatory",
    "dropped",
    "renamed",
    "widened",
    "narrowed",
    "retyped",
    "tightened",
    "relaxed",
]
Compatibility = Literal["full", "backward", "forward", "none"]

BACKWARD_FORWARD: dict[Kind, tuple[bool, bool]] = {
    "added nullable": (True, True),
    "added mandatory": (False, True),
    "dropped": (True, False),
    "renamed": (True, False),
    "widened": (True, True),
    "narrowed": (False, False),
    "retyped": (False, False),
    "tightened": (False, True),
    "relaxed": (True, False),
}
"""Whether each kind of change is backward and forward compatible.

A rename is backward as with Avro's aliases: the contract names the old column. Readers of a
narrowed column would be given rounded or empty values, so that is neither.
"""

WIDER: dict[str, tuple[str, ...]] = {
    "TINYINT": ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "SMALLINT": ("INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
    "INTEGER": ("BIGINT", "HUGEINT", "DOUBLE"),
    "BIGINT": ("HUGEINT", "DOUBLE"),
    "UTINYINT": ("USMALLINT", "UINTEGER", "UBIGINT", "SMALLINT", "INTEGER", "BIGINT", "DOUBLE"),
    "USMALLINT": ("UINTEGER", "UBIGINT", "INTEGER", "BIGINT", "DOUBLE"),
    "UINTEGER": ("UBIGINT", "BIGINT", "DOUBLE"),
    "FLOAT": ("DOUBLE",),
    "DATE": ("TIMESTAMP",),
    "TIMESTAMP_S": ("TIMESTAMP_MS", "TIMESTAMP"),
    "TIMESTAMP_MS": ("TIMESTAMP",),
}
"""Types to the types that hold all of their values, as DuckDB spells them.

BIGINT to DOUBLE is a widening in Avro too, though exact only up to 2^53.
"""

DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "UTINYINT": 3, "USMALLINT": 5}
"""Digits that the largest value of an integer type has, for DECIMAL."""


@dataclass(frozen=True)
class ShapeColumn:
    """A column of a table; `nullable` is what its contract says, None where there is none."""

    name: str
    data_type: str
    nullable: bool | None = None


Shape = tuple[ShapeColumn, ...]
"""A table's columns in table order. The order is no part of what a shape promises."""


@dataclass(frozen=True)
class Change:
    """One change of one column. `before` and `after` are names of a renamed one, else types."""

    kind: Kind
    column: str
    before: str | None = None
    after: str | None = None

    def in_words(self) -> str:
        """`widened points INTEGER -> BIGINT`."""
        if self.kind == "renamed":
            return f"renamed {self.before} to {self.after}"
        if self.kind == "tightened":
            return f"{self.column} is never empty any more"
        if self.kind == "relaxed":
            return f"{self.column} may be empty now"
        types = " -> ".join(t for t in (self.before, self.after) if t)
        return f"{self.kind} {self.column} {types}"


def compare(before: Shape, after: Shape, renamed_from: Mapping[str, str]) -> list[Change]:
    """The changes from one shape to another; `renamed_from` maps a new name to the former one."""
    old = {c.name: c for c in before}
    new = {c.name: c for c in after}
    former = renames(old, new, renamed_from)
    changes: list[Change] = []
    for column in after:
        was = old.get(former.get(column.name, column.name))
        if was is None:
            kind: Kind = "added mandatory" if column.nullable is False else "added nullable"
            changes.append(Change(kind, column.name, None, column.data_type))
            continue
        if was.name != column.name:
            changes.append(Change("renamed", column.name, was.name, column.name))
        if was.data_type != column.data_type:
            kind = type_change(was.data_type, column.data_type)
            changes.append(Change(kind, column.name, was.data_type, column.data_type))
        if None not in (was.nullable, column.nullable) and was.nullable != column.nullable:
            changes.append(Change("relaxed" if column.nullable else "tightened", column.name))
    kept = {former.get(name, name) for name in new}
    changes += [Change("dropped", c.name, c.data_type) for c in before if c.name not in kept]
    return changes


def renames(
    old: Iterable[str], new: Iterable[str], renamed_from: Mapping[str, str]
) -> dict[str, str]:
    """New name -> old name of the columns that are really renamed between these two."""
    before, after = set(old), set(new)
    return {
        name: former
        for name, former in renamed_from.items()
        if name in after and name not in before and former in before and former not in after
    }


def type_change(before: str, after: str) -> Kind:
    """Widened if every value survives, narrowed if the way back is a widening, else retyped."""
    if _widens(before, after):
        return "widened"
    return "narrowed" if _widens(after, before) else "retyped"


def _widens(before: str, after: str) -> bool:
    if before.endswith("[]") and after.endswith("[]"):
        return before == after or _widens(before[:-2], after[:-2])
    target = _decimal(after)
    if target is not None:
        source = _decimal(before)
        whole, scale = source if source else (DIGITS.get(before, 99), 0)
        return whole <= target[0] and scale <= target[1]
    return after in WIDER.get(before, ())


def _decimal(data_type: str) -> tuple[int, int] | None:
    """Digits before and after the point."""
    found = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", data_type)
    return (int(found[1]) - int(found[2]), int(found[2])) if found else None


def compatibility(changes: Iterable[Change]) -> Compatibility:
    """Who can still read: see the module."""
    sides = [BACKWARD_FORWARD[c.kind] for c in changes]
    backward, forward = all(b for b, _ in sides), all(f for _, f in sides)
    if backward and forward:
        return "full"
    return "backward" if backward else "forward" if forward else "none"


def readers_go_on(found: Compatibility) -> bool:
    """Whether queries and tables written for the version before read the new one as it is."""
    return found in ("full", "forward")


def in_words(
    changes: Sequence[Change], version_before: int | None = None, version_after: int | None = None
) -> str:
    """All changes in one line, the contract's version last."""
    parts = [c.in_words() for c in changes]
    if version_before != version_after:
        parts.append(f"contract version {version_before or 'none'} -> {version_after or 'none'}")
    return "; ".join(parts)


def to_json(shape: Shape) -> str:
    """A shape as `audits.schema_versions.columns` holds it."""
    return json.dumps(
        [{"name": c.name, "type": c.data_type, "nullable": c.nullable} for c in shape],
        ensure_ascii=False,
    )


def from_json(text: str) -> Shape:
    """The reverse of `to_json`; histories of before there was nullability are an object."""
    found = json.loads(text)
    if isinstance(found, dict):
        return tuple(ShapeColumn(name, data_type) for name, data_type in found.items())
    return tuple(ShapeColumn(c["name"], c["type"], c["nullable"]) for c in found)


def changes_to_json(changes: Sequence[Change]) -> str:
    """Changes as `audits.schema_versions.changes` holds them."""
    return json.dumps([asdict(c) for c in changes], ensure_ascii=False)


def changes_from_json(text: str | None) -> list[Change]:
    """The reverse of `changes_to_json`."""
    return [Change(**c) for c in json.loads(text or "[]")]


def same_columns(one: Shape, other: Shape) -> bool:
    """Whether two shapes have the same names and types, whatever the order."""
    return {(c.name, c.data_type) for c in one} == {(c.name, c.data_type) for c in other}
