"""A first look over a parsed template: which names it sets, counts and reads."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from liquid.ast import Node
from liquid.builtin.expressions import LoopExpression, Path, StringLiteral
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.cycle_tag import CycleNode
from liquid.builtin.tags.decrement_tag import DecrementNode
from liquid.builtin.tags.ifchanged_tag import IfChangedNode
from liquid.builtin.tags.include_tag import IncludeNode
from liquid.builtin.tags.increment_tag import IncrementNode
from liquid.context import RenderContext
from liquid.exceptions import TemplateNotFoundError
from liquid.expression import Expression
from liquid.template import BoundTemplate


@dataclass
class Survey:
    """Names of one scope; partials of `include` share it, those of `render` do not."""

    assigned: dict[str, None] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    cycles: bool = False
    """Whether `cycle` or `ifchanged` remembers something."""
    continued: set[str] = field(default_factory=set)
    """Loops that another loop goes on from (`offset: continue`)."""
    reads: Counter[str] = field(default_factory=Counter)


def survey(nodes: Iterable[Node], context: RenderContext) -> Survey:
    """Look over nodes and all below them."""
    found = Survey()
    for node in _walk(nodes, context, ()):
        if isinstance(node, AssignNode | CaptureNode):
            found.assigned[str(node.name)] = None
        elif isinstance(node, IncrementNode | DecrementNode):
            found.counted.add(str(node.name))
        elif isinstance(node, CycleNode | IfChangedNode):
            found.cycles = True
        for expression in node.expressions():
            for part in expressions_of(expression):
                if isinstance(part, LoopExpression) and _continues(part):
                    found.continued.add(loop_key(part))
                elif isinstance(part, Path) and isinstance(part.path[0], str):
                    found.reads[part.path[0]] += 1
    return found


def loop_key(expression: LoopExpression) -> str:
    """How python-liquid names a loop to remember where it stopped."""
    return f"{expression.identifier}-{expression.iterable}"


def partial_of(node: IncludeNode, context: RenderContext) -> BoundTemplate | None:
    """The template that an `include` names; None if it is not known before rendering."""
    if not isinstance(node.name, StringLiteral):
        return None
    try:
        return context.env.get_template(node.name.value, context=context, tag=node.tag)
    except TemplateNotFoundError:
        return None


def _continues(expression: LoopExpression) -> bool:
    return isinstance(expression.offset, StringLiteral) and expression.offset.value == "continue"


def _walk(nodes: Iterable[Node], context: RenderContext, open_: tuple[str, ...]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _walk(node.children(context, include_partials=False), context, open_)
        if isinstance(node, IncludeNode):
            partial = partial_of(node, context)
            if partial is not None and partial.name not in open_:
                yield from _walk(partial.nodes, context, (*open_, partial.name))


def expressions_of(expression: Expression) -> Iterator[Expression]:
    """The expression and all below it."""
    yield expression
    for child in expression.children():
        yield from expressions_of(child)
