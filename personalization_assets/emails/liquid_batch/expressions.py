"""Liquid expressions as Python expressions.

Each method returns a `Value` or the source of a Python expression, after adding the lines that it
needs to `code`. The quick way is guarded by the exact class of a value; anything else goes to
python-liquid's own functions, so that the answer is theirs.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from liquid import Undefined
from liquid.builtin.expressions import FilteredExpression, KeywordArgument, Path, logical
from liquid.builtin.expressions.filtered import Filter, TernaryFilteredExpression
from liquid.builtin.expressions.primitive import (
    Blank,
    Empty,
    FalseLiteral,
    FloatLiteral,
    IntegerLiteral,
    Nil,
    RangeLiteral,
    StringLiteral,
    TrueLiteral,
)
from liquid.context import RenderContext
from liquid.expression import Expression
from liquid.template import BoundTemplate

from personalization_assets.emails.liquid_batch import runtime
from personalization_assets.emails.liquid_batch.blank import equal
from personalization_assets.emails.liquid_batch.columns import is_list
from personalization_assets.emails.liquid_batch.emitter import Code
from personalization_assets.emails.liquid_batch.filters import is_pure
from personalization_assets.emails.liquid_batch.names import Names
from personalization_assets.emails.liquid_batch.scope import Value
from personalization_assets.emails.liquid_batch.unsupported import UnsupportedError

LITERALS = (StringLiteral, IntegerLiteral, FloatLiteral, TrueLiteral, FalseLiteral, Nil)
MARKERS = (Empty, Blank)
BINARY = (
    logical.LogicalAndExpression,
    logical.LogicalOrExpression,
    logical.EqExpression,
    logical.NeExpression,
    logical.LtExpression,
    logical.GtExpression,
    logical.LeExpression,
    logical.GeExpression,
    logical.ContainsExpression,
)
COMPARISONS: Mapping[type[Expression], tuple[str, str]] = {
    logical.LtExpression: ("<", "lt(None, {0}, {1})"),
    logical.GtExpression: (">", "lt(None, {1}, {0})"),
    logical.LeExpression: ("<=", "le({0}, {1})"),
    logical.GeExpression: (">=", "le({1}, {0})"),
}
NUMBER = "({0}.__class__ is int or {0}.__class__ is float)"


class Expressions:
    """Compiles the expressions of one template."""

    def __init__(self, template: BoundTemplate, code: Code, names: Names) -> None:
        self.env = template.env
        self.code = code
        self.names = names
        self._template = template
        self._shopify = getattr(self.env, "profile", "") == "shopify"
        self.context = RenderContext(template, globals=template.make_globals({}))
        code.constants.update(
            NOTHING=runtime.NOTHING,
            UNSET=runtime.UNSET,
            Undefined=Undefined,
            truthy=runtime.truthy,
            get_item=self.context.get_item,
            eq=equal if self._shopify else logical._eq,
            lt=logical._lt,
            le=logical._le,
            contains=logical._contains,
        )

    # --- constants -------------------------------------------------------------------------------

    def is_constant(self, e: Expression) -> bool:
        """Whether the same in every row of the batch."""
        if isinstance(e, (*LITERALS, *MARKERS)):
            return True
        if isinstance(e, Path):
            return self.names.is_constant(e)
        if isinstance(e, RangeLiteral):
            return self.is_constant(e.start) and self.is_constant(e.stop)
        if isinstance(e, FilteredExpression):
            return self.is_constant(e.left) and all(self.is_fixed(f) for f in e.filters or ())
        if isinstance(e, logical.BooleanExpression):
            return self.is_constant(e.expression)
        if isinstance(e, BINARY):
            return self.is_constant(e.left) and self.is_constant(e.right)
        return False

    def is_fixed(self, filter_: Filter) -> bool:
        """Whether a filter only depends on the value that it is given."""
        return is_pure(self.env, filter_.name) and all(
            self.is_constant(a.value) for a in filter_.args
        )

    def evaluate(self, e: Expression) -> Any:
        """The value of a constant, found by python-liquid.

        Raises:
            Exception: whatever the expression raises; rows that come here are rendered by
                python-liquid, which raises it again.
        """
        context = RenderContext(
            self._template, globals=self._template.make_globals(self.names.constants)
        )
        with context.extend({"partial": self.names.in_partial}):
            return e.evaluate(context)

    # --- values ----------------------------------------------------------------------------------

    def value(self, e: Expression) -> Value:
        """The value of any expression."""
        if self.is_constant(e):
            try:
                found = self.evaluate(e)
            except Exception:
                return Value(self._stop())
            return self.literal(found)
        if isinstance(e, Path):
            return self.path(e)
        if isinstance(e, FilteredExpression):
            return self.filtered(self.value(e.left), e.filters or ())
        if isinstance(e, TernaryFilteredExpression):
            return self._ternary(e)
        if isinstance(e, RangeLiteral):
            start, stop = self.value(e.start), self.value(e.stop)
            make = self.code.constant(e._make_range, "range")
            return self.hold(Value(f"{make}({start.code}, {stop.code})"))
        if isinstance(e, logical.BooleanExpression | logical.LogicalNotExpression | BINARY):
            return self.hold(Value(self.condition(e)))
        raise UnsupportedError(f"the expression {type(e).__name__}", e.token)

    def literal(self, found: Any) -> Value:
        """A value that is known while compiling."""
        if found is None or found is True or found is False:
            return Value(repr(found), is_constant=True, constant=found)
        return Value(self.code.constant(found), is_constant=True, constant=found)

    def _stop(self) -> str:
        """Leave the row to python-liquid at this place."""
        self.code.constants["FallbackError"] = runtime.FallbackError
        self.code.line("raise FallbackError")
        return "None"

    def hold(self, value: Value) -> Value:
        """Give a value a variable, so that it is worked out once and stays."""
        name = self.code.name()
        self.code.line(f"{name} = {value.code}")
        return replace(value, code=name)

    def path(self, path: Path) -> Value:
        """A path such as `customer.city` or `products[0].name`."""
        base, rest, key = self.names.resolve(path)
        if not rest:
            return base
        if key is not None and (known := self.names.seen(key)) is not None:
            return known
        found = self._steps(base, rest)
        if key is not None:
            self.names.see(key, found)
        return found

    def _steps(self, base: Value, rest: list[Any]) -> Value:
        source, kind, plain = base.code, base.type, True
        for position, segment in enumerate(rest):
            last = position == len(rest) - 1
            if segment == "size" and last and source == base.code and plain:
                return self._size(base)
            if isinstance(segment, Path):
                inner = self.path(segment)
                source, kind, plain = f"get_item({source}, {inner.code})", None, False
            elif isinstance(segment, str) and segment not in ("size", "first", "last"):
                source = f"{source}[{self.code.constant(segment)}]"
                kind = _field(kind, segment)
            else:
                source = f"get_item({source}, {self.code.constant(segment)})"
                kind = _element(kind) if segment != "size" else None
                plain = False
        name = self.code.name()
        self.code.line(f"try: {name} = {source}")
        self.code.line(f"except (KeyError, TypeError, IndexError): {name} = NOTHING")
        return Value(name, type=kind)

    def _size(self, of: Value) -> Value:
        name, v, key = self.code.name(), of.code, self.code.constant("size")
        known = pa.int64() if of.is_list() or of.is_text() else _field(of.type, "size")
        quick = f"{v}.__class__ is list or {v}.__class__ is str"
        self.code.line(f"if {quick}: {name} = len({v})")
        self.code.line("else:")
        with self.code.indented():
            self.code.line(f"try: {name} = get_item({v}, {key})")
            self.code.line(f"except (KeyError, TypeError, IndexError): {name} = NOTHING")
        return Value(name, type=known)

    def filtered(self, value: Value, filters: Any) -> Value:
        """A value sent through filters."""
        for filter_ in filters:
            value = self._filter(value, filter_)
        return value

    def _filter(self, value: Value, filter_: Filter) -> Value:
        function = self._function(filter_)
        if function is None:
            return Value(self._stop()) if self.env.strict_filters else value
        arguments = []
        for argument in filter_.args:
            given = self.value(argument.value).code
            if isinstance(argument, KeywordArgument):
                given = f"**{{{self.code.constant(argument.name)}: {given}}}"
            arguments.append(given)
        name = self.code.constant(function, "filter")
        return self.hold(Value(f"{name}({', '.join([value.code, *arguments])})"))

    def _function(self, filter_: Filter) -> Callable[..., Any] | None:
        function = self.env.filters.get(filter_.name)
        if function is None:
            return None
        if getattr(function, "with_context", False):
            raise UnsupportedError(f"the filter {filter_.name} that needs a context", filter_.token)
        if getattr(function, "with_environment", False):
            return functools.partial(function, environment=self.env)
        return function

    def _ternary(self, e: TernaryFilteredExpression) -> Value:
        name = self.code.name()
        self.code.line(f"if {self.condition(e.condition)}:")
        with self.code.indented(), self.names.block():
            self.code.line(f"{name} = {self.value(e.left).code}")
        self.code.line("else:")
        with self.code.indented(), self.names.block():
            other = Value("None")
            if e.alternative is not None:
                other = self.filtered(self.value(e.alternative), e.filters or ())
            self.code.line(f"{name} = {other.code}")
        return self.filtered(Value(name), e.tail_filters or ())

    # --- conditions ------------------------------------------------------------------------------

    def condition(self, e: Expression) -> str:
        """A Python expression that is exactly True or False."""
        if self.is_constant(e):
            try:
                return repr(logical.is_truthy(self.evaluate(e)))
            except Exception:
                return self._stop()
        if isinstance(e, logical.BooleanExpression):
            return self.condition(e.expression)
        if isinstance(e, logical.LogicalNotExpression):
            return f"(not {self.condition(e.right)})"
        if isinstance(e, logical.LogicalAndExpression | logical.LogicalOrExpression):
            return self._junction(e)
        if isinstance(e, logical.EqExpression):
            return self.equal(self.value(e.left), self.value(e.right))
        if isinstance(e, logical.NeExpression):
            return f"(not {self.equal(self.value(e.left), self.value(e.right))})"
        if type(e) in COMPARISONS:
            return self._comparison(e)
        if isinstance(e, logical.ContainsExpression):
            left, right = self.value(e.left), self.value(e.right)
            whole = f"contains(None, {left.code}, {right.code})"
            if isinstance(right.constant, str) and right.constant:
                return (
                    f"({right.code} in {left.code} if {left.code}.__class__ is list else {whole})"
                )
            return whole
        return self._truth(self.value(e))

    def _truth(self, value: Value) -> str:
        v = value.code
        if value.is_boolean():
            return f"({v} is True)"
        if value.type is not None:
            return f"({v} is not None and {v} is not NOTHING)"
        return f"truthy({v})"

    def _junction(self, e: Any) -> str:
        both = isinstance(e, logical.LogicalAndExpression)
        left = self.condition(e.left)
        with self.code.apart() as lines, self.names.block():
            right = self.condition(e.right)
        if not lines:
            return f"({left} {'and' if both else 'or'} {right})"
        name = self.code.name("c")
        self.code.line(f"{name} = {left}")
        self.code.line(f"if {name}:" if both else f"if not {name}:")
        with self.code.indented():
            self.code.add(lines)
            self.code.line(f"{name} = {right}")
        return name

    def equal(self, left: Value, right: Value) -> str:
        """Liquid's `==` (python-liquid's `_eq`)."""
        if left.is_constant and not right.is_constant:
            left, right = right, left
        v, constant = left.code, right.constant
        if right.is_constant:
            if constant is None:
                return f"({v} is None or {v}.__class__ is Undefined)"
            if type(constant) is bool:
                return f"({v} is {constant})"
            if type(constant) is int or type(constant) is float:
                return f"({v} == {right.code} and {v}.__class__ is not bool)"
            if isinstance(constant, str):
                return f"({v} == {right.code})"
            if isinstance(constant, Empty) and left.is_text():
                return f"({v} == {self.code.constant('')})"
            if isinstance(constant, Blank) and left.is_text() and self._shopify:
                return f"(not {v} or {v}.isspace())"
            return f"eq({v}, {right.code})"
        return f"({v} == {right.code} if {v}.__class__ is str else eq({v}, {right.code}))"

    def _comparison(self, e: Any) -> str:
        sign, slow = COMPARISONS[type(e)]
        left, right = self.value(e.left), self.value(e.right)
        whole = slow.format(left.code, right.code)
        guards = []
        for side in (left, right):
            if not side.is_constant:
                guards.append(NUMBER.format(side.code))
            elif type(side.constant) not in (int, float):
                return whole
        return f"({left.code} {sign} {right.code} if {' and '.join(guards)} else {whole})"


def _field(kind: pa.DataType | None, name: str) -> pa.DataType | None:
    if kind is not None and pa.types.is_struct(kind) and kind.get_field_index(name) >= 0:
        return kind.field(name).type
    return None


def _element(kind: pa.DataType | None) -> pa.DataType | None:
    if kind is not None and is_list(kind):
        inner = kind.value_type
        return inner.value_type if pa.types.is_dictionary(inner) else inner
    return None
