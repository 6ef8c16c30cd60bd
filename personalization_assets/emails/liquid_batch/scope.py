"""What a name means at a place in a template, known while the template is compiled.

python-liquid looks names up in a chain of mappings: loops and partials in front, then local
variables, then arguments of `render`, the batch's columns and constants, and counters. The chain is
the same for every row, so that it is followed once, here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from personalization_assets.emails.liquid_batch.columns import is_list
from personalization_assets.emails.liquid_batch.survey import Survey

Where = Callable[[str, int], str]
"""Says in words where an offset into the text of a template or partial is written."""


@dataclass(frozen=True)
class Value:
    """A value in generated code: the expression that gives it, and what is known about it.

    `code` has no side effects and may be repeated. `type` is the Arrow type by the contract, None
    where anything may come. A constant has its value in `constant`.
    """

    code: str
    type: pa.DataType | None = None
    is_constant: bool = False
    constant: Any = None
    shared: bool = False
    """Whether equal items of this list are one object (Arrow dictionary)."""
    loop: "Loop | None" = None
    """The loop that this is the `forloop` of."""

    def is_text(self) -> bool:
        """Text by the contract."""
        return self.type is not None and (
            pa.types.is_string(self.type) or pa.types.is_large_string(self.type)
        )

    def is_integer(self) -> bool:
        """A whole number by the contract."""
        return self.type is not None and pa.types.is_integer(self.type)

    def is_float(self) -> bool:
        """A floating point number by the contract."""
        return self.type is not None and pa.types.is_floating(self.type)

    def is_boolean(self) -> bool:
        """True, false or nil by the contract."""
        return self.type is not None and pa.types.is_boolean(self.type)

    def is_list(self) -> bool:
        """A list by the contract."""
        return self.type is not None and is_list(self.type)


@dataclass
class Uses:
    """What the body of a loop uses from outside itself: decides whether its text can be kept."""

    depth: int
    fields: dict[str, None] = field(default_factory=dict)
    properties: dict[str, None] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    """Variables of scalar columns, with how the template calls them."""
    obstacles: list[str] = field(default_factory=list)
    """Why the text can't be kept, in words, with the line."""
    assigned: dict[str, str] = field(default_factory=dict)
    """Local variables that the body sets: name to variable."""
    whole_item: bool = False
    loops: bool = False
    captures: bool = False
    """Whether the body fills a buffer that counts against the limit on output."""


@dataclass
class Frame:
    """A loop or partial in front of the chain: the names that it adds."""

    names: dict[str, Value]
    loop: "Loop | None" = None


@dataclass
class Loop:
    """A `for` loop around the place: its item, index and length in generated code."""

    name: str
    item: str
    index: str
    length: str
    label: str
    depth: int
    parent: "Loop | None"
    append: str = ""
    """What the body writes with."""
    number: str = ""
    """Variable for a number that the body only prints, see `prints`."""
    prints: str = ""
    """The property of `forloop` that `number` stands for; empty until one is printed."""
    used: bool = False
    """Whether anything asked for its `forloop`."""


@dataclass
class Scope:
    """The chain of one context: the template's own, or that of a partial that `render` isolates."""

    depth_limit: int
    found: Survey
    frames: list[Frame] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    """Local variables of the template (`assign`, `capture`): name to variable."""
    arguments: list[dict[str, Value]] = field(default_factory=list)
    counters: str = "counters"
    cycles: str = "cycles"
    stops: str = "stops"
    changed: str = "changed"
    lengths: list[str] = field(default_factory=list)
    """Lengths of the loops around, for the limit on loops."""

    @property
    def loop(self) -> Loop | None:
        """The innermost `for` loop."""
        return next((f.loop for f in reversed(self.frames) if f.loop), None)


def line_of(text: str, index: int) -> str:
    """The line of an offset, from 1: where it is written, as far as the text itself can tell."""
    number = text.count("\n", 0, max(index, 0)) + 1
    return f"line {number}"
