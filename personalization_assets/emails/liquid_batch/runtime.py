"""What generated code calls: python-liquid's own rules, with its common cases first."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from sys import getsizeof
from typing import Any

from liquid import Undefined, escape
from liquid.builtin.expressions.logical import is_truthy
from liquid.context import RenderContext
from liquid.limits import to_int
from liquid.stringify import to_liquid_string

NOTHING = Undefined("undefined")
"""The value of a path that leads nowhere. Which path it was is only told by python-liquid, when it
renders the row again."""

UNSET = object()
"""A local variable before its first assignment."""

MEMO_BYTES = 96 * 1024 * 1024
"""What the texts of one memo may weigh before it starts anew."""

VALUE_BYTES = 2 * 1024 * 1024
"""The same for the texts of one output statement."""

LEARNING = 4_096
"""Misses after which a memo that is of little use stops keeping texts."""

RESTARTS = 3
"""Times that a memo may start anew before it only answers with what it has."""

ENTRY_BYTES = 70
"""What an entry of a memo weighs beside the characters of its text and its key."""

MOST_TEXTS = 16
"""Texts in a list that is a key."""

TEXT = frozenset({str})


class FallbackError(Exception):
    """python-liquid has to decide what becomes of this row."""


class Digits(dict[int, bytes]):
    """Whole numbers as text."""

    def __missing__(self, number: int) -> bytes:
        return str(number).encode()


DIGITS = Digits({number: str(number).encode() for number in range(100)})


def around_numbers(pieces: Sequence[bytes | None]) -> tuple[bytes, ...]:
    """The text of a loop's body without the turn's number: what is before, between and after the
    places (None) where it is printed."""
    texts: list[list[bytes]] = [[]]
    for piece in pieces:
        if piece is None:
            texts.append([])
        else:
            texts[-1].append(piece)
    return tuple(map(b"".join, texts))


class Memo(dict[Any, Any]):
    """Texts by the values that they are made from: bounded, and given up where values don't repeat.

    `asked` and `missed` count look-ups. What is kept never changes what is rendered.
    """

    __slots__ = ("asked", "captured", "held", "limit", "missed", "size", "started")

    def __init__(self, limit: int = MEMO_BYTES) -> None:
        super().__init__()
        self.limit = limit
        self.asked = self.missed = self.size = self.started = 0
        self.captured: dict[Any, int] = {}
        """What making a text counted against the limit on output beside its length."""
        self.held: list[Any] = []
        """Items whose identity is in a key, so that no other object gets it."""

    def put(
        self, key: Any, text: bytes | tuple[bytes, ...], item: Any = None, captured: int = 0
    ) -> None:
        """Keep a text (or its parts) after a miss; `item` is held for as long as the text, and
        `captured` is what making it counted against the limit on output."""
        self.missed += 1
        if self.missed > LEARNING and (self.useless or self.started > RESTARTS):
            return
        length = len(text) if isinstance(text, bytes) else sum(map(len, text))
        weight = length + (ENTRY_BYTES + _size(key) if item is None else 1_000)
        self.size += weight
        if self.size > self.limit:
            self.started += 1
            self.clear()
            self.held.clear()
            self.captured.clear()
            self.size = weight
        self[key] = text
        if captured:
            self.captured[key] = captured
        if item is not None:
            self.held.append(item)

    @property
    def useless(self) -> bool:
        """Whether nine of ten look-ups found nothing."""
        return self.asked > 0 and self.missed > 0.9 * self.asked


def _size(key: Any) -> int:
    size = getsizeof(key)
    return size + sum(map(_size, key)) if type(key) is tuple else size


def list_key(value: Any) -> tuple[str, ...] | None:
    """A list of a few texts as a key; None for anything else."""
    if type(value) is list and len(value) <= MOST_TEXTS and TEXT.issuperset(map(type, value)):
        return tuple(value)
    return None


def item_key(fields: Sequence[str], item: Any) -> tuple[Any, ...] | None:
    """The values of an item's fields such that equal keys give equal text; None when it has a value
    for which `==` does not mean that (0.0 and -0.0, lists)."""
    if type(item) is not dict:
        return None
    key: list[Any] = []
    for name in fields:
        value = item.get(name, UNSET)
        kind = type(value)
        if kind is str or value is None or value is UNSET:
            key.append(value)
        elif kind is int or kind is bool or (kind is float and value):
            key += (value, kind)
        else:
            return None
    return tuple(key)


def truthy(value: Any) -> bool:
    """Liquid's truth: everything but nil, false and the undefined."""
    kind = type(value)
    if kind is str or kind is list or kind is dict or kind is int:
        return True
    return is_truthy(value)


def _escape_text() -> Callable[[str], str]:
    try:
        # What `escape` calls for a text, without the wrapping that would be taken off again.
        from markupsafe._speedups import _escape_inner
    except ImportError:
        return lambda text: str(escape(text))
    return _escape_inner


escape_text = _escape_text()
"""A text with `&<>'\"` as entities."""


def writer(autoescape: bool, fills_holes: bool) -> Callable[[Any], bytes | None]:
    """How an output statement writes a value.

    With `fills_holes` (profile `shopify`) nil and the undefined give None, so that they can be
    counted, and nil in a list prints nothing.
    """

    def plain(value: Any) -> bytes | None:
        if type(value) is str:
            return escape_text(value).encode() if autoescape else value.encode()
        return to_liquid_string(value, autoescape).encode()

    def filled(value: Any) -> bytes | None:
        if type(value) is str:
            return escape_text(value).encode() if autoescape else value.encode()
        if value is None or isinstance(value, Undefined):
            return None
        if isinstance(value, list):
            value = [item for item in value if item is not None]
        return to_liquid_string(value, autoescape).encode()

    return filled if fills_holes else plain


def items(value: Any, context: RenderContext) -> Sequence[Any]:
    """What a loop goes through, as `LoopExpression._to_iter` finds it; ranges stay ranges."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, range):
        len(value)  # raises for a range that no loop can count
        return value
    if isinstance(value, str) and not context.env.string_sequences:
        return [value] if value else []
    return list(value) if isinstance(value, Sequence) else []


def chosen(
    found: Sequence[Any],
    limit: Any,
    offset: int | None,
    has_limit: bool,
    resume: bool,
    is_reversed: bool,
    none_at_zero: bool,
    stops: MutableMapping[str, int],
    key: str,
) -> Sequence[Any]:
    """The items that `limit`, `offset` and `reversed` leave, as `LoopExpression._slice` does it.

    `resume` is `offset: continue`; `none_at_zero` is the profile in which `limit: 0` means none.
    """
    if has_limit and none_at_zero and limit == 0:
        return []
    length = len(found)
    start = stops.get(key, 0) if resume else offset or 0
    stop = to_int(limit) + start if has_limit else None
    first, last = min(max(start, 0), length), min(stop or length, length)
    if last < 0:
        raise FallbackError
    stops[key] = last
    found = found[first:last]
    return found[::-1] if is_reversed else found
