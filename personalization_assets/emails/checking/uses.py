"""What filters and comparisons do with values of the wrong type, or with too few of them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from liquid.builtin.expressions import logical
from liquid.builtin.expressions.primitive import (
    FalseLiteral,
    FloatLiteral,
    IntegerLiteral,
    StringLiteral,
    TrueLiteral,
)
from liquid.expression import Expression

from personalization_assets.emails.checking.findings import Findings, Place
from personalization_assets.emails.checking.values import ANY
from personalization_assets.emails.mail_context import in_words

ORDER = (
    logical.GtExpression,
    logical.GeExpression,
    logical.LtExpression,
    logical.LeExpression,
)
SAME = (logical.EqExpression, logical.NeExpression)
LITERALS: Mapping[type, pa.DataType] = {
    StringLiteral: pa.string(),
    IntegerLiteral: pa.int64(),
    FloatLiteral: pa.float64(),
    TrueLiteral: pa.bool_(),
    FalseLiteral: pa.bool_(),
}
MEANT: Mapping[str, tuple[str, frozenset[str]]] = {
    """money number number_with_delimiter round plus minus times divided_by modulo abs ceil floor
    at_least at_most""": ("a number", frozenset({"text", "truth", "list", "fields", "time"})),
    """join map where reject sort sort_natural uniq compact concat sum find find_index has
    reverse""": ("a list", frozenset({"text", "truth", "number", "fields", "time"})),
    """upcase downcase capitalize append prepend replace split strip truncate
    truncatewords""": ("a text", frozenset({"list", "fields"})),
    "date": ("a date", frozenset({"truth", "number", "list", "fields"})),
}
"""Filters by what they are meant for, and the families of types of which they make nothing
useful."""
FILTERS = {name: meant for names, meant in MEANT.items() for name in names.split()}


def literal_type(expression: Expression) -> pa.DataType:
    """The type of what a template says itself."""
    return LITERALS.get(type(expression), ANY)


def family(kind: pa.DataType) -> str:
    """Types that go together; empty if the type is not known."""
    for fits, name in (
        (pa.types.is_null, ""),
        (pa.types.is_boolean, "truth"),
        (pa.types.is_integer, "number"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_temporal, "time"),
        (pa.types.is_list, "list"),
        (pa.types.is_struct, "fields"),
    ):
        if fits(kind):
            return name
    return "text"


def check_filter(
    name: str,
    function: Callable[..., Any],
    value: tuple[Expression | str, pa.DataType],
    arguments: tuple[int, Sequence[str]],
    place: Place,
    findings: Findings,
) -> None:
    """`value` is what is written before the filter, with its type; `arguments` are how many stand
    after its colon, and the names of those that have one."""
    count, named = arguments
    try:
        inspect.signature(function).bind(
            None, *range(count), **dict.fromkeys([*named, *_given(function)])
        )
    except TypeError:
        findings.add("filter_values", place, name=name, takes=_takes(function), count=count)
    written, kind = value
    meant, useless = FILTERS.get(name, ("", frozenset()))
    if family(kind) in useless:
        findings.add("filter_type", place, name=name, value=written, kind=short(kind), meant=meant)


def short(kind: pa.DataType) -> str:
    """A type in words, without an example."""
    return in_words(kind).partition(",")[0]


def _given(function: Callable[..., Any]) -> list[str]:
    """What python-liquid itself gives to a filter."""
    return ["environment"] if getattr(function, "with_environment", False) else []


def _takes(function: Callable[..., Any]) -> str:
    """How many values a filter takes after its colon, in words."""
    own = list(inspect.signature(function).parameters.values())[1:]
    places = [p for p in own if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in places)
    most = len(places)
    if most == 0:
        return "no"
    return str(least) if least == most else f"{least} {'or' if most == least + 1 else 'to'} {most}"


def check_comparison(
    expression: Expression,
    kinds: tuple[pa.DataType, pa.DataType],
    place: Place,
    findings: Findings,
) -> None:
    """`kinds` are the types of its sides."""
    left, right = kinds
    sides = {family(left), family(right)}
    if "" in sides or len(sides) == 1 or not isinstance(expression, (*ORDER, *SAME)):
        return
    hint = "compare it with a value of its own kind"
    if sides == {"number", "text"}:
        hint = "write numbers without quotation marks"
    elif sides == {"truth", "text"}:
        hint = "write true and false without quotation marks"
    elif "time" in sides:
        hint = "compare a number of days, such as customer.days_since_order"
    findings.add(
        "compare_order" if isinstance(expression, ORDER) else "compare_same",
        place,
        left=expression.left,
        right=expression.right,
        first=short(left),
        second=short(right),
        hint=hint,
    )
