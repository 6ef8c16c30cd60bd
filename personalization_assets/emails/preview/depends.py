"""What an expression of a template depends on: places in a mail's context, through assigned names,
items of loops and filters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.primitive import Blank, Empty, Literal, Nil
from liquid.expression import Expression

from personalization_assets.emails.preview.scenarios import Location


@dataclass(frozen=True)
class Ref:
    """What an expression means in a context: the place itself, or places that it depends on."""

    exact: Location | None = None
    depends: tuple[Location, ...] = ()


Scope = dict[str, Ref]
Knobs = dict[Location, list[Any]]


class References:
    """Finds places in contexts of a contract (`mail_contract`)."""

    def __init__(self, contract: Mapping[str, pa.DataType]) -> None:
        self._contract = contract

    def is_list(self, ref: Ref) -> bool:
        """Whether an expression is a list of the context, as it is there."""
        return ref.exact is not None and pa.types.is_list(type_at(self._contract, ref.exact))

    def knobs(self, expression: Expression, scope: Scope) -> Knobs:
        """Places that a condition depends on, with what they are compared with."""
        if isinstance(expression, Path):
            return {location: [] for location in self.ref(expression, scope).depends}
        children = list(expression.children())
        literals = [v for child in children if (v := literal(child)) != ()]
        found = joined(*[self.knobs(child, scope) for child in children])
        return {location: [*known, *literals] for location, known in found.items()}

    def ref(self, expression: Expression, scope: Scope) -> Ref:
        """What an expression means; `scope` are names that the template gave."""
        if isinstance(expression, Path):
            return self._path(expression, scope)
        if isinstance(expression, FilteredExpression):
            ref = self.ref(expression.left, scope)
            exact, depends = ref.exact, list(ref.depends)
            for filter_ in expression.filters or ():
                if filter_.name in ("first", "last") and exact and self.is_list(Ref(exact)):
                    exact = (*exact, 0)
                    depends.append(exact)
                elif filter_.name != "default":
                    exact = None
                depends += [d for e in filter_.children() for d in self.ref(e, scope).depends]
            return Ref(exact, tuple(dict.fromkeys(depends)))
        return Ref(
            None,
            tuple(d for child in expression.children() for d in self.ref(child, scope).depends),
        )

    def _path(self, path: Path, scope: Scope) -> Ref:
        head = path.path[0]
        if isinstance(head, str) and head in scope:
            known = scope[head]
            if known.exact is None:
                return Ref(None, known.depends)
            location, depends = known.exact, known.depends
        elif isinstance(head, str) and head in self._contract:
            location, depends = (head,), ()
        else:
            return Ref()
        for segment in path.path[1:]:
            if isinstance(segment, int) or segment in ("first", "last"):
                location = (*location, 0)
            elif isinstance(segment, str):
                location = (*location, segment)
            else:
                return Ref(None, (location,))
        return Ref(location, (location, *(d for d in depends if d[-1] == "size")))


def operands(expression: Expression, kind: type[Any]) -> list[Expression]:
    """The parts of `a or b or c`, or of another chain of one kind."""
    if isinstance(expression, kind):
        return [o for side in expression.children() for o in operands(side, kind)]
    return [expression]


def leaves(expression: Expression) -> list[Expression]:
    """What an expression is made of in the end: paths and literals."""
    children = list(expression.children())
    return [leaf for child in children for leaf in leaves(child)] if children else [expression]


def literal(expression: Expression) -> Any:
    """The value of a literal; `()` if it is none."""
    if isinstance(expression, Nil):
        return None
    if isinstance(expression, Blank | Empty):
        return ""
    return expression.value if isinstance(expression, Literal) else ()


def joined(*parts: Mapping[Location, Sequence[Any]]) -> Knobs:
    """All places with all of their values, in order of first mention."""
    whole: Knobs = {}
    for part in parts:
        for location, values in part.items():
            known = whole.setdefault(location, [])
            known += [v for v in values if v not in known]
    return whole


def type_at(contract: Mapping[str, pa.DataType], location: Location) -> pa.DataType:
    """The type at a place; null where there is none."""
    kind: pa.DataType = contract.get(str(location[0]), pa.null())
    for segment in location[1:]:
        if pa.types.is_list(kind):
            kind = pa.int64() if segment == "size" else kind.value_type
        elif pa.types.is_struct(kind) and kind.get_field_index(str(segment)) >= 0:
            kind = kind.field(str(segment)).type
        else:
            return pa.int64() if segment == "size" else pa.null()
    return kind
