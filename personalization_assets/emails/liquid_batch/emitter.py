"""Python source under construction.

Text of a template never becomes source: every literal, name and number is a constant of the
generated function, known to it by a made-up name, so a template can't write code.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INDENT = "    "


class Code:
    """Lines of one function, and the constants that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self._depth = 0
        self._number = itertools.count()
        self._known: dict[tuple[type, Any], str] = {}

    def line(self, text: str) -> None:
        """Add a line at the current depth."""
        self.lines.append(INDENT * self._depth + text)

    def name(self, prefix: str = "v") -> str:
        """A variable that nothing else uses."""
        return f"{prefix}{next(self._number)}"

    def constant(self, value: Any, prefix: str = "k") -> str:
        """A name for a value; the same text, bytes or number has one name."""
        if type(value) in (str, bytes, int):
            key = (type(value), value)
            if key not in self._known:
                self._known[key] = self._new_constant(value, prefix)
            return self._known[key]
        return self._new_constant(value, prefix)

    def _new_constant(self, value: Any, prefix: str) -> str:
        name = self.name(prefix)
        self.constants[name] = value
        return name

    @contextmanager
    def indented(self) -> Iterator[None]:
        """Lines inside are one level deeper; `pass` stands in for none."""
        before = len(self.lines)
        self._depth += 1
        try:
            yield
            if len(self.lines) == before:
                self.line("pass")
        finally:
            self._depth -= 1

    @contextmanager
    def apart(self) -> Iterator[list[str]]:
        """Collect the lines of the body in a list of their own, at depth 0."""
        outer, depth = self.lines, self._depth
        self.lines, self._depth = [], 0
        try:
            yield self.lines
        finally:
            self.lines, self._depth = outer, depth

    def add(self, lines: list[str]) -> None:
        """Put lines that were collected apart at the current depth."""
        self.lines += [INDENT * self._depth + line for line in lines]
