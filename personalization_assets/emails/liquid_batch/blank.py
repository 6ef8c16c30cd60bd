"""`blank` as Shopify has it: nil and false are blank too.

python-liquid follows Ruby's Liquid without Rails, where `nil == blank` is false; so
`{% if customer.given_name != blank %}`, which half of all templates rely on, would print nothing
in the middle of a sentence. (Shopify: https://shopify.dev/docs/api/liquid/basics#blank)
"""

from collections.abc import Iterable

from liquid import Undefined
from liquid.ast import Node
from liquid.builtin.expressions import logical
from liquid.builtin.expressions.primitive import Blank
from liquid.builtin.tags.case_tag import _AnyExpression
from liquid.context import RenderContext
from liquid.expression import Expression

from personalization_assets.emails.liquid_batch.survey import expressions_of


def equal(left: object, right: object) -> bool:
    """Liquid's `==`."""
    if isinstance(right, Blank):
        left, right = right, left
    if isinstance(left, Blank):
        nothing = right is None or right is False or isinstance(right, Undefined)
        return nothing or left == right
    return logical._eq(left, right)


class ShopifyEq(logical.EqExpression):
    """`==` that knows `blank`."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        """Whether both sides are the same."""
        return equal(self.left.evaluate(context), self.right.evaluate(context))


class ShopifyNe(logical.NeExpression):
    """`!=` that knows `blank`."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        """Whether both sides differ."""
        return not equal(self.left.evaluate(context), self.right.evaluate(context))


class ShopifyAny(_AnyExpression):
    """The values of a `when`, with `blank` among them."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> list[bool]:
        """For each value whether it fits."""
        left = self.left.evaluate(context)
        return [equal(left, right.evaluate(context)) for right in self.expressions]


KNOWING: dict[type[Expression], type[Expression]] = {
    logical.EqExpression: ShopifyEq,
    logical.NeExpression: ShopifyNe,
    _AnyExpression: ShopifyAny,
}


def know_blank(nodes: Iterable[Node], context: RenderContext) -> None:
    """Give every comparison below these nodes its Shopify form.

    The parser makes its own classes and asks nobody which, so the expressions change their class
    afterwards; they keep their fields.
    """
    for node in nodes:
        for expression in node.expressions():
            for part in expressions_of(expression):
                if type(part) in KNOWING:
                    part.__class__ = KNOWING[type(part)]
        know_blank(node.children(context, include_partials=False), context)
