"""What is known of a template's values at one point: type, where from, and whether empty."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

ANY = pa.null()
"""Type of what is only known when the mail is rendered."""

Key = tuple[str | int, ...]
"""Where a value is kept: `("customer", "city")`. A variable's key has a number, so that facts about
an earlier value of the same name are not taken for facts about this one."""

HAS_ITEMS = "#"
"""At the end of a list's key: the fact that the list is not empty."""


@dataclass(frozen=True)
class Value:
    """A value: it is there if `key` is a fact, or if all its `doubts` are.

    `counts` is the list whose length it is. `blankable`: a filter has made text of nil, so that
    the value is true in a condition even if there was nothing.
    """

    type: pa.DataType = ANY
    key: Key = ()
    doubts: frozenset[Key] = frozenset()
    counts: Key | None = None
    blankable: bool = False

    def there(self, facts: frozenset[Key]) -> bool:
        """Whether the facts prove that it is not empty."""
        return self.key in facts or self.doubts <= facts


@dataclass(frozen=True)
class State:
    """Variables and facts at one point of a template."""

    locals: Mapping[str, Value] = field(default_factory=dict)
    facts: frozenset[Key] = frozenset()

    def knowing(self, facts: Iterable[Key]) -> "State":
        """The same with more facts."""
        return State(self.locals, self.facts | frozenset(facts))

    def setting(self, name: str, value: Value) -> "State":
        """The same with a variable set."""
        return State({**self.locals, name: value}, self.facts)

    def restored(self, names: Sequence[str], before: "State") -> "State":
        """The same with variables of an inner block as they were before it."""
        kept = {n: v for n, v in self.locals.items() if n not in names}
        kept |= {n: before.locals[n] for n in names if n in before.locals}
        return State(kept, self.facts)


class Keys:
    """Keys that were never used before."""

    def __init__(self) -> None:
        self._count = 0

    def fresh(self, name: str = "") -> Key:
        """A key for a variable of this name, or for a value that has none yet."""
        self._count += 1
        return (f"{name}~{self._count}",)

    @staticmethod
    def unnamed(key: Key) -> bool:
        """Whether a key is of a value without a name."""
        return not key or str(key[0]).startswith("~")


def joined(states: Iterable[State | None], keys: Keys) -> State | None:
    """What is known after branches that may each have been taken; None: none of them goes on.

    A variable that a branch did not set may be empty after it.
    """
    going = [s for s in states if s is not None]
    if len(going) < 2:
        return going[0] if going else None
    facts = frozenset.intersection(*(s.facts for s in going))
    names: dict[str, None] = {n: None for s in going for n in s.locals}
    merged: dict[str, Value] = {}
    for name in names:
        found = [s.locals.get(name) for s in going]
        first = found[0]
        if first is not None and all(v == first for v in found):
            merged[name] = first
            continue
        types = {v.type for v in found if v is not None}
        key = keys.fresh(name)
        sure = all(v is not None and v.there(s.facts) for v, s in zip(found, going, strict=True))
        merged[name] = Value(
            types.pop() if len(types) == 1 else ANY,
            key,
            frozenset() if sure else frozenset({key}),
            blankable=any(v is not None and v.blankable for v in found),
        )
    return State(merged, facts)


def written(key: Key) -> str:
    """A key as an author writes it."""
    words = [str(part).partition("~")[0] for part in key if part != HAS_ITEMS]
    return ".".join(words)


def prefixes(key: Key) -> set[Key]:
    """A key and the keys of everything that it lies in."""
    return {key[: i + 1] for i in range(len(key))}
