"""Sums over a parsed template: lengths, bytes, and whether something is in every mail."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.primitive import IntegerLiteral, RangeLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.case_tag import CaseNode, MultiExpressionBlockNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.render_tag import RenderNode
from liquid.builtin.tags.tablerow_tag import TablerowNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.context import RenderContext
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.template import BoundTemplate

from personalization_assets.emails.liquid_batch.environment import AbortNode

DEEPEST = 10
TEXT_BYTES, ADDRESS_BYTES = 24, 110
"""What an output comes to, for an estimate: a word or two, or a link with its tags."""
CART_LINES, OTHER_ITEMS = 8, 3
"""Turns of a loop over a basket, and over another list, for an estimate."""


@dataclass(frozen=True)
class Scale:
    """How a template is weighed: texts, outputs and turns of loops, and which branch counts."""

    text: Callable[[str], int]
    output: Callable[[Expression], int] = lambda _: 0
    turns: Callable[[ForNode | TablerowNode], int] = lambda _: 1
    choose: Callable[[list[int]], int] = max


def weigh(template: BoundTemplate, scale: Scale) -> int:
    """The weight of a mail; branches that end in `abort_message` are no mail."""
    return _weight(template.nodes, scale, RenderContext(template), 0) or 0


def _weight(nodes: Iterable[Node], scale: Scale, context: RenderContext, depth: int) -> int | None:
    total = 0
    for node in nodes:
        if isinstance(node, AbortNode):
            return None
        if isinstance(node, ContentNode):
            total += scale.text(node.text)
        elif isinstance(node, OutputNode):
            total += scale.output(node.expression)
        elif isinstance(node, CommentNode | CaptureNode):
            continue
        else:
            turns = scale.turns(node) if isinstance(node, ForNode | TablerowNode) else 1
            found = [
                _weight(branch, scale, context, depth + 1) for branch in branches(node, context)
            ]
            going = [weight for weight in found if weight is not None]
            if found and not going:
                return None
            if not going:
                continue
            if isinstance(node, ForNode | TablerowNode):
                going[0] *= turns
            total += scale.choose(going) if depth < DEEPEST else 0
    return total


def branches(node: Node, context: RenderContext) -> list[list[Node]]:
    """What may be rendered of a node, each a choice; an empty one where nothing may be."""
    if isinstance(node, IfNode | UnlessNode):
        found = [_below(node.consequence), *(_below(a.block) for a in node.alternatives)]
        return [*found, _below(node.default) if node.default else []]
    if isinstance(node, CaseNode):
        whens = [_below(b.block) for b in node.blocks if isinstance(b, MultiExpressionBlockNode)]
        others = [_below(b) for b in node.blocks if isinstance(b, BlockNode)]
        return [*whens, *(others or [[]])]
    if isinstance(node, ForNode):
        return [_below(node.block), _below(node.default) if node.default else []]
    if isinstance(node, TablerowNode):
        return [_below(node.block), []]
    if isinstance(node, RenderNode):
        try:
            part = context.env.get_template(str(getattr(node.name, "value", node.name)))
        except LiquidError:
            return []  # reported where names are looked up
        return [list(part.nodes), *([[]] if node.loop else [])]
    inner = list(node.children(context, include_partials=False))
    return [inner] if inner else []


def _below(node: Node) -> list[Node]:
    return list(node.nodes) if isinstance(node, BlockNode) else [node]


# --- what a mail holds ---------------------------------------------------------------------------


def presence(template: BoundTemplate, path: str, text: re.Pattern[str]) -> str:
    """`always`, `sometimes` or `never`: whether mails hold the value at a path, or a text."""
    return _Search(path, text, RenderContext(template)).among(template.nodes)


class _Search:
    def __init__(self, path: str, text: re.Pattern[str], context: RenderContext) -> None:
        self._names, self._text, self._context = {path}, text, context
        self._depth = 0

    def among(self, nodes: Iterable[Node]) -> str:
        found = "never"
        for node in nodes:
            here = self._at(node)
            if here == "always":
                return here
            found = here if here != "never" else found
        return found

    def _at(self, node: Node) -> str:
        if isinstance(node, AbortNode):
            return "always"  # there is no mail that lacks it
        if isinstance(node, ContentNode):
            return "always" if self._text.search(node.text) else "never"
        if isinstance(node, CommentNode):
            return "never"
        named = any(str(path) in self._names for e in node.expressions() for path in _paths(e))
        if isinstance(node, OutputNode | RenderNode) and named:
            return "always"
        if named:
            self._names |= {str(name) for name in node.template_scope()}
        if self._depth > DEEPEST:
            return "never"
        self._depth += 1
        found = [self.among(branch) for branch in branches(node, self._context)]
        self._depth -= 1
        if found and all(f == "always" for f in found):
            return "always"
        return "sometimes" if any(f != "never" for f in found) else "never"


def _paths(expression: Expression) -> Iterator[Path]:
    if isinstance(expression, Path):
        yield expression
    for child in expression.children():
        yield from _paths(child)


def texts(nodes: Iterable[Node], context: RenderContext) -> Iterator[ContentNode]:
    """Every literal text of a template, its shared parts not."""
    for node in nodes:
        if isinstance(node, ContentNode):
            yield node
        elif not isinstance(node, CommentNode | RenderNode):
            for branch in branches(node, context):
                yield from texts(branch, context)


# --- size ----------------------------------------------------------------------------------------


def html_bytes(template: BoundTemplate, products: int) -> int:
    """About how many bytes a large mail has: the largest branches, loops over `products`."""

    def turns(node: ForNode | TablerowNode) -> int:
        expression = node.expression
        listed = str(expression.iterable)
        if isinstance(expression.iterable, RangeLiteral):
            ends = expression.iterable.start, expression.iterable.stop
            known = all(isinstance(end, IntegerLiteral) for end in ends)
            most = max(int(str(ends[1])) - int(str(ends[0])) + 1, 0) if known else products
        elif listed.startswith("cart."):
            most = CART_LINES
        else:
            most = OTHER_ITEMS if listed.startswith("customer.") else products
        limit = expression.limit
        return min(limit.value, most) if isinstance(limit, IntegerLiteral) else most

    def output(expression: Expression) -> int:
        left = expression.left if isinstance(expression, FilteredExpression) else expression
        address = str(left).startswith("links.") or str(left).endswith("url")
        return ADDRESS_BYTES if address else TEXT_BYTES

    return weigh(template, Scale(lambda text: len(text.encode()), output, turns))
