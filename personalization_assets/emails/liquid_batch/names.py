"""Names of a template: found along python-liquid's chain while compiling, and what uses them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from liquid.builtin.expressions import Path
from liquid.expression import Expression

from personalization_assets.emails.liquid_batch.columns import is_list
from personalization_assets.emails.liquid_batch.emitter import Code
from personalization_assets.emails.liquid_batch.scope import (
    Frame,
    Loop,
    Scope,
    Uses,
    Value,
    Where,
)
from personalization_assets.emails.liquid_batch.unsupported import UnsupportedError

Key = tuple[Any, ...]
INTEGER, BOOLEAN = pa.int64(), pa.bool_()
LOOP_PROPERTIES: Mapping[str, tuple[str, pa.DataType]] = {
    "index": ("({i} + 1)", INTEGER),
    "index0": ("{i}", INTEGER),
    "rindex": ("({n} - {i})", INTEGER),
    "rindex0": ("({n} - {i} - 1)", INTEGER),
    "first": ("({i} == 0)", BOOLEAN),
    "last": ("({i} == {n} - 1)", BOOLEAN),
    "length": ("{n}", INTEGER),
}
NUMBERS = [name for name, (_, kind) in LOOP_PROPERTIES.items() if kind == INTEGER]
CLOCK = ("now", "today")


class Names:
    """The scopes around the place that is being compiled, and the columns used so far.

    `contract` maps roots to Arrow types; None means that rows are mappings of anything. `columns`
    maps each path that is read from the batch to its variable.
    """

    def __init__(
        self,
        code: Code,
        contract: Mapping[str, pa.DataType] | None,
        constants: Mapping[str, Any],
        where: Where,
    ) -> None:
        self.code = code
        self.columns: dict[tuple[str, ...], str] = {}
        self.scopes: list[Scope] = []
        self.recorders: list[tuple[Uses, int, int, int]] = []
        self._contract, self._constants, self._where = contract, constants, where
        self._blocks: list[tuple[dict[Key, Value], set[str]]] = [({}, set())]

    # --- where we are ----------------------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        """The context around the place."""
        return self.scopes[-1]

    @property
    def in_partial(self) -> bool:
        """What the name `partial` says here."""
        partial = self._framed("partial")
        return bool(partial is not None and partial[0].constant)

    @property
    def constants(self) -> dict[str, Any]:
        """The batch's constants, and arguments here that are constant."""
        known = dict(self._constants)
        for arguments in reversed(self.scope.arguments):
            known |= {n: v.constant for n, v in arguments.items() if v.is_constant}
        for frame in self.scope.frames:
            known |= {n: v.constant for n, v in frame.names.items() if v.is_constant}
        return known

    @contextmanager
    def block(self) -> Iterator[None]:
        """Code that may not run: what it works out or sets is unknown after it."""
        self._blocks.append(({}, set()))
        try:
            yield
        finally:
            self._blocks.pop()

    @contextmanager
    def frame(self, frame: Frame, token: Any = None) -> Iterator[None]:
        """Names in front of all others."""
        if 4 + len(self.scope.frames) > self.scope.depth_limit:
            raise UnsupportedError("nesting above the limit on depth", token)
        self.scope.frames.append(frame)
        try:
            yield
        finally:
            self.scope.frames.pop()

    @contextmanager
    def recording(self, depth: int) -> Iterator[Uses]:
        """Note what the body of the loop just entered uses."""
        uses = Uses(depth)
        self.recorders.append((uses, len(self.scopes), len(self.scope.frames), len(self._blocks)))
        try:
            yield uses
        finally:
            self.recorders.pop()

    def seen(self, key: Key) -> Value | None:
        """A value that was worked out before on every way to this place."""
        return next((found[key] for found, _ in reversed(self._blocks) if key in found), None)

    def see(self, key: Key, value: Value) -> None:
        """Remember a value that has been worked out."""
        self._blocks[-1][0][key] = value

    def assign(self, name: str) -> str:
        """The variable of a local name that is being set."""
        variable = self.scope.variables[name]
        self._blocks[-1][1].add(variable)
        for uses, scopes, *_ in self.recorders:
            if scopes == len(self.scopes):
                uses.assigned[name] = variable
        return variable

    def is_set(self, variable: str, since: int = 0) -> bool:
        """Whether a local was set on every way to this place, within the blocks from `since`."""
        return any(variable in names for _, names in self._blocks[since:])

    def place(self, token: Any) -> str:
        """Where a token is written, in words."""
        return self._where(token.source, token.start_index)

    def obstacle(self, why: str, token: Any) -> None:
        """Note for every loop around that its text can't be kept."""
        for uses, *_ in self.recorders:
            uses.obstacles.append(f"{why} at {self.place(token)}")

    # --- names -----------------------------------------------------------------------------------

    def is_constant(self, path: Path) -> bool:
        """Whether a path gives the same in every row."""
        root = path.path[0]
        if not isinstance(root, str) or not all(isinstance(s, str | int) for s in path.path):
            return False
        framed = self._framed(root)
        if framed is not None:
            return framed[0].is_constant
        if root in self.scope.variables:
            return False
        argument = self._argument(root)
        if argument is not None:
            return argument[0].is_constant
        return self._is_constant_root(path)

    def _is_constant_root(self, path: Path) -> bool:
        root = str(path.path[0])
        if root not in self._constants:
            return False
        if self._contract is None or root not in self._contract:
            return True
        fields = self._constants[root]
        return len(path.path) > 1 and isinstance(fields, Mapping) and path.path[1] in fields

    def resolve(self, path: Path) -> tuple[Value, list[Any], Key | None]:
        """Where a path begins: the value of its root (or of a column below it), the segments that
        remain, and a key under which the result may be remembered."""
        root, rest = path.path[0], list(path.path[1:])
        if not isinstance(root, str):
            raise UnsupportedError(f"the path {path}, whose first name is a variable,", path.token)
        framed = self._framed(root)
        if framed is not None:
            value, scope, place, frame = framed
            if frame.loop is not None and root == "forloop":
                return self._forloop(frame.loop, rest, path)
            self._use(value, scope, path, place, frame.loop, rest)
            return value, rest, self._key(value.code, rest)
        if root in self.scope.variables:
            return self._local(root, path), rest, None
        argument = self._argument(root)
        if argument is not None:
            if argument[0].loop is not None:
                return self._forloop(argument[0].loop, rest, path)
            self._use(*argument, path, -1, None, rest)
            return argument[0], rest, self._key(argument[0].code, rest)
        return self._column(path)

    def _key(self, owner: str, rest: list[Any]) -> Key | None:
        return (owner, *rest) if all(isinstance(s, str | int) for s in rest) else None

    def _framed(self, root: str) -> tuple[Value, int, int, Frame] | None:
        for place in range(len(self.scope.frames) - 1, -1, -1):
            frame = self.scope.frames[place]
            if root in frame.names:
                return frame.names[root], len(self.scopes), place, frame
        return None

    def _argument(self, root: str) -> tuple[Value, int] | None:
        """An argument of the partial around, and which scope it was given to."""
        for outwards, arguments in enumerate(self.scope.arguments):
            if root in arguments:
                return arguments[root], len(self.scopes) - outwards
        return None

    def _use(
        self, value: Value, scope: int, path: Path, place: int, loop: Loop | None, rest: list[Any]
    ) -> None:
        if value.is_constant:
            return
        for uses, scopes, frames, _ in self.recorders:
            if scope > scopes or (scope == scopes and place >= frames):
                continue
            if loop is not None and loop.depth == uses.depth:
                if rest and isinstance(rest[0], str) and rest[0] not in ("size", "first", "last"):
                    uses.fields[rest[0]] = None
                else:
                    uses.whole_item = True
            else:
                self._outside(uses, value, path, rest)

    def _outside(self, uses: Uses, value: Value, path: Path, rest: list[Any]) -> None:
        what = f"{path} at {self.place(path.token)}"
        if not rest and (value.is_text() or value.is_integer() or value.is_boolean()):
            uses.columns.setdefault(value.code, what)
        else:
            uses.obstacles.append(f"uses {what}")

    def _local(self, root: str, path: Path) -> Value:
        variable = self.scope.variables[root]
        for uses, scopes, _, blocks in self.recorders:
            if scopes == len(self.scopes) and not self.is_set(variable, blocks):
                what = f"uses {path}, which is set outside of the loop,"
                uses.obstacles.append(f"{what} at {self.place(path.token)}")
        if self.is_set(variable):
            return Value(variable)
        beyond = self._beyond(root, path)
        return Value(f"({variable} if {variable} is not UNSET else {beyond})")

    def _beyond(self, root: str, path: Path) -> str:
        """The value of a name that also is a local variable, while that is not set."""
        argument = self._argument(root)
        if argument is not None:
            return argument[0].code
        if root in self._constants and (self._contract is None or root not in self._contract):
            return self.code.constant(self._constants[root])
        return self._column(Path(path.token, [root]))[0].code

    def _forloop(
        self, loop: Loop, rest: list[Any], path: Path
    ) -> tuple[Value, list[Any], Key | None]:
        loop.used = True
        while rest and rest[0] == "parentloop":
            if loop.parent is None:
                return Value("NOTHING"), rest[1:], None
            loop, rest = loop.parent, rest[1:]
        for uses, *_ in self.recorders:
            if loop.depth == uses.depth and rest:
                uses.properties[rest[0]] = None
            elif loop.depth <= uses.depth:
                uses.obstacles.append(f"uses {path} at {self.place(path.token)}")
        if len(rest) == 1 and rest[0] == "name":
            return Value(self.code.constant(loop.label)), [], None
        if len(rest) != 1 or rest[0] not in LOOP_PROPERTIES:
            # The object is an iterator: whoever goes through it takes the loop's items away.
            raise UnsupportedError(f"{path}, which is no property of the loop,", path.token)
        source, kind = LOOP_PROPERTIES[rest[0]]
        return Value(source.format(i=loop.index, n=loop.length), type=kind), [], None

    def prints(self, e: Expression, append: str) -> Loop | None:
        """The loop around, if an expression is a number of its `forloop` that may be printed as
        `Loop.number`: straight into the text of the body (`append`), and the only such number."""
        if not isinstance(e, Path) or e.path[0] != "forloop" or len(e.path) != 2:
            return None
        framed, name = self._framed("forloop"), str(e.path[1])
        loop = framed[3].loop if framed is not None else None
        if loop is None or loop.append != append or name not in NUMBERS:
            return None
        loop.prints = loop.prints or name
        return loop if loop.prints == name else None

    def _column(self, path: Path) -> tuple[Value, list[Any], Key | None]:
        root = str(path.path[0])
        counter = (
            f"{self.scope.counters}.get({self.code.constant(root)}, NOTHING)"
            if root in self.scope.found.counted
            else "NOTHING"
        )
        if counter != "NOTHING":
            self.obstacle(f"uses the counter {root}", path.token)
        if root in CLOCK and root not in (self._contract or ()):
            raise UnsupportedError(f"{root}, which reads the clock,", path.token)
        if self._contract is not None and root not in self._contract:
            return Value(counter), list(path.path[1:]), None
        if self._contract is not None and root in self._constants:
            fields = self._constants[root]
            if not (isinstance(fields, Mapping) and isinstance((*path.path, 0)[1], str)):
                raise UnsupportedError(f"{root} used whole, which is partly constant,", path.token)
        kind = self._contract[root] if self._contract is not None else None
        depth = 1
        while depth < len(path.path) and kind is not None and pa.types.is_struct(kind):
            segment = path.path[depth]
            if not isinstance(segment, str) or kind.get_field_index(segment) < 0:
                break
            kind, depth = kind.field(segment).type, depth + 1
        where = tuple(str(s) for s in path.path[:depth])
        if where not in self.columns:
            self.columns[where] = self.code.name("col")
        shared = kind is not None and is_list(kind) and pa.types.is_dictionary(kind.value_type)
        value = Value(self.columns[where], type=kind, shared=shared)
        rest = list(path.path[depth:])
        for uses, *_ in self.recorders:
            self._outside(uses, value, path, rest)
        if counter != "NOTHING":
            value = Value(f"({value.code} if {value.code} is not NOTHING else {counter})")
        return value, rest, self._key(value.code, rest)
