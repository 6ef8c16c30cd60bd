"""`include` and `render` with a name that is known while compiling: the partial is put in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liquid.builtin.expressions import Identifier
from liquid.builtin.tags.include_tag import IncludeNode
from liquid.builtin.tags.render_tag import RenderNode
from liquid.exceptions import TemplateNotFoundError
from liquid.template import BoundTemplate

from personalization_assets.emails.liquid_batch.scope import Frame, Loop, Value
from personalization_assets.emails.liquid_batch.survey import partial_of, survey
from personalization_assets.emails.liquid_batch.unsupported import UnsupportedError

if TYPE_CHECKING:
    from personalization_assets.emails.liquid_batch.nodes import Nodes


def include(nodes: Nodes, node: IncludeNode) -> None:
    """`include`: the partial sees and sets the variables around it."""
    partial = partial_of(node, nodes.expressions.context)
    if len(nodes.names.scopes) > 1:
        # Not allowed inside `render`; python-liquid says so when it comes here.
        nodes.code.line("raise FallbackError")
        return
    if partial is None:
        raise UnsupportedError("include of a name that is not known before rendering", node.token)
    nodes.flush()
    given = {a.name: _argument(nodes, a.value) for a in node.args}
    if node.var is None:
        _included(nodes, node, partial, given)
        return
    code, key = nodes.code, str(node.alias or partial.name.split(".")[0])
    with nodes.names.frame(Frame(given), node.token):
        value = _argument(nodes, node.var)
    each, item = code.name("each"), code.name("item")
    # One item or many: a list of one is gone through like many.
    many = f"isinstance({value.code}, (tuple, list))"
    code.line(f"{each} = {value.code} if {many} else [{value.code}]")
    nodes.check_turns(f"len({each})")
    code.line(f"for {item} in {each}:")
    nodes.names.obstacle("includes a partial for a list", node.token)
    with code.indented(), nodes.names.block():
        # `break` in the partial leaves the loop around the tag, which also ends this one.
        outer, nodes.jumps = nodes.jumps, []
        _included(nodes, node, partial, {**given, key: Value(item)})
        nodes.jumps = outer


def _included(
    nodes: Nodes, node: IncludeNode, partial: BoundTemplate, given: dict[str, Value]
) -> None:
    inside = Value("True", is_constant=True, constant=True)
    with (
        nodes.names.frame(Frame(given), node.token),
        nodes.names.frame(Frame({"partial": inside}), node.token),
    ):
        _nodes_of(nodes, partial, node)


def render(nodes: Nodes, node: RenderNode) -> None:
    """`render`: the partial sees only what it is given."""
    if isinstance(node.name, Identifier):
        raise UnsupportedError("render of a name that is not known before rendering", node.token)
    try:
        partial = nodes.env.get_template(
            node.name.value, context=nodes.expressions.context, tag=node.tag
        )
    except TemplateNotFoundError:
        nodes.flush()
        nodes.code.line("raise FallbackError")
        return
    if len(nodes.names.scopes) - 1 > nodes.env.context_depth_limit:
        raise UnsupportedError("nesting above the limit on depth", node.token)
    nodes.flush()
    code = nodes.code
    given = {a.name: _argument(nodes, a.value) for a in node.args}
    outer = list(nodes.names.scope.arguments)
    found = survey(partial.nodes, nodes.expressions.context)
    if node.var is None:
        with nodes.scope(found, [given, *outer], partial=True):
            _nodes_of(nodes, partial, node)
        return
    key = str(node.alias or partial.name.split(".")[0])
    value = _argument(nodes, node.var)
    if not node.loop:
        with nodes.scope(found, [{**given, key: value}, *outer], partial=True):
            _nodes_of(nodes, partial, node)
        return
    each, item, index = code.name("each"), code.name("item"), code.name("index")
    many = code.name("many")
    code.line(f"{many} = isinstance({value.code}, (tuple, list))")
    code.line(f"{each} = {value.code} if {many} else [{value.code}]")
    length = code.name("length")
    code.line(f"{length} = len({each})")
    nodes.check_turns(length)
    nodes.names.obstacle("renders a partial for a list", node.token)
    nodes.loop_depth += 1
    loop = Loop(key, item, index, length, key, nodes.loop_depth, None)
    # All turns share one context: what the first one sets, the second one sees.
    names = {**given, "forloop": Value("", loop=loop), key: Value(item)}
    with nodes.scope(found, [names, *outer], partial=True):
        code.line(f"for {index}, {item} in enumerate({each}):")
        with code.indented(), nodes.names.block():
            with code.apart() as lines:
                _nodes_of(nodes, partial, node)
            if loop.used:
                # Without a list there is no loop, and `forloop` is whatever it is outside of one.
                code.line(f"if not {many}: raise FallbackError")
            code.add(lines or ["pass"])
    nodes.loop_depth -= 1


def _argument(nodes: Nodes, e: Any) -> Value:
    """An argument, worked out once; what it is by the contract is kept."""
    value = nodes.expressions.value(e)
    may_change = value.code in nodes.names.scope.variables.values()
    if value.is_constant or (value.code.isidentifier() and not may_change):
        return value
    return nodes.expressions.hold(value)


def _nodes_of(nodes: Nodes, partial: BoundTemplate, node: Any) -> None:
    if partial.name in nodes.partials[1:]:
        raise UnsupportedError(f"the partial {partial.name!r}, which renders itself,", node.token)
    nodes.partials.append(partial.name)
    for child in partial.nodes:
        nodes.node(child)
    nodes.flush()
    nodes.partials.pop()
