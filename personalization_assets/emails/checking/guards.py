"""What a condition proves, when it holds and when it does not.

The same conclusions as python-liquid's evaluation allows: an order comparison with nil is false,
`!= blank` says something about nil only where the environment holds nil for blank, and a text that
a filter made of nil is true.
"""

from collections.abc import Callable, Iterable
from functools import cache

from liquid import Environment
from liquid.builtin.expressions import BooleanExpression, Path
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalNotExpression,
    LogicalOrExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.primitive import (
    Blank,
    Empty,
    FalseLiteral,
    FloatLiteral,
    IntegerLiteral,
    Nil,
    StringLiteral,
    TrueLiteral,
)
from liquid.expression import Expression

from personalization_assets.emails.checking.values import HAS_ITEMS, Key, Value, prefixes

Facts = frozenset[Key]
NOTHING: Facts = frozenset()
LITERALS = (StringLiteral, IntegerLiteral, FloatLiteral, TrueLiteral, FalseLiteral)
MIRRORED: dict[type[Expression], str] = {
    LtExpression: ">",
    LeExpression: ">=",
    GtExpression: "<",
    GeExpression: "<=",
}
ORDER: dict[type[Expression], str] = {
    LtExpression: "<",
    LeExpression: "<=",
    GtExpression: ">",
    GeExpression: ">=",
}


@cache
def nil_is_blank(env: Environment) -> bool:
    """Whether `nil == blank` is true, as in Shopify's Liquid."""
    return env.from_string("{% if x == blank %}y{% endif %}").render(x=None) == "y"


class Guards:
    """Reads conditions; `value_of` gives the value of an expression at this point."""

    def __init__(
        self, env: Environment, value_of: Callable[[Expression], Value], facts: Facts
    ) -> None:
        self._env, self._value_of, self._facts = env, value_of, facts

    def when(self, condition: Expression, holds: bool) -> Facts:
        """Facts that follow if the condition holds, or if it does not."""
        if isinstance(condition, BooleanExpression):
            return self.when(condition.expression, holds)
        if isinstance(condition, LogicalNotExpression):
            return self.when(condition.right, not holds)
        if isinstance(condition, LogicalAndExpression | LogicalOrExpression):
            both = isinstance(condition, LogicalAndExpression) == holds
            left, right = self.when(condition.left, holds), self.when(condition.right, holds)
            return left | right if both else left & right
        if isinstance(condition, EqExpression | NeExpression):
            same = isinstance(condition, EqExpression) == holds
            return self.equal(condition.left, condition.right, same)
        if isinstance(condition, ContainsExpression):
            return self._proven(condition.left) if holds else NOTHING
        if type(condition) in ORDER:
            left, right = condition.left, condition.right  # type: ignore[attr-defined]
            return self._ordered(left, ORDER[type(condition)], right, holds) | self._ordered(
                right, MIRRORED[type(condition)], left, holds
            )
        if isinstance(condition, Path) and holds:
            value = self._value_of(condition)
            return NOTHING if value.blankable else proof(value)
        return NOTHING

    def one_of(self, left: Expression, choices: Iterable[Expression], holds: bool) -> Facts:
        """Facts of `{% when a, b %}`, or of what comes when none of its choices fits."""
        found = [self.equal(left, choice, holds) for choice in choices]
        if not found:
            return NOTHING
        return frozenset.intersection(*found) if holds else frozenset.union(*found)

    def equal(self, left: Expression, right: Expression, same: bool) -> Facts:
        """Facts of `left == right`, or of its contrary."""
        return self._equal(left, right, same) | self._equal(right, left, same)

    def _equal(self, one: Expression, other: Expression, same: bool) -> Facts:
        if not isinstance(one, Path):
            return NOTHING
        value = self._value_of(one)
        if isinstance(other, Nil):
            return NOTHING if same or value.blankable else proof(value)
        if isinstance(other, Blank | Empty):
            if same:
                return NOTHING
            nil_too = isinstance(other, Blank) and nil_is_blank(self._env)
            return _filled(value.key) | (proof(value) if nil_too or value.blankable else NOTHING)
        if isinstance(other, LITERALS):
            nothing = isinstance(other, StringLiteral) and not other.value
            facts = NOTHING
            if same != nothing and (same or value.blankable):
                facts = proof(value)
            return facts | self._counted(value, "==" if same else "!=", other)
        if isinstance(other, Path) and same and self._value_of(other).there(self._facts):
            return proof(value)
        return NOTHING

    def _ordered(self, left: Expression, sign: str, right: Expression, holds: bool) -> Facts:
        if not isinstance(left, Path):
            return NOTHING
        value = self._value_of(left)
        if holds:
            return proof(value) | self._counted(value, sign, right)
        contrary = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[sign]
        # Not smaller may also mean nil, so nothing is said about the value itself.
        return self._counted(value, contrary, right) & _filled(value.counts or ())

    def _proven(self, expression: Expression) -> Facts:
        return proof(self._value_of(expression)) if isinstance(expression, Path) else NOTHING

    def _counted(self, value: Value, sign: str, other: Expression) -> Facts:
        """What the length of a list says about it."""
        if value.counts is None or not isinstance(other, IntegerLiteral):
            return NOTHING
        number = other.value
        filled = {
            "==": number > 0,
            "!=": number == 0,
            ">": number >= 0,
            ">=": number >= 1,
        }.get(sign, False)
        if not filled:
            return NOTHING
        # `!= 0` also holds for a list that is not there.
        there = frozenset(prefixes(value.counts)) if sign != "!=" else NOTHING
        return _filled(value.counts) | there


def proof(value: Value) -> Facts:
    """What is known once a value is known not to be empty."""
    if value.blankable or not value.key:
        return frozenset({value.key}) if value.key else NOTHING
    return frozenset(prefixes(value.key)) | value.doubts


def _filled(key: Key) -> Facts:
    return frozenset({(*key, HAS_ITEMS)}) if key else NOTHING
