"""`if`, `unless` and `case`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liquid.ast import BlockNode
from liquid.builtin.tags.case_tag import CaseNode, MultiExpressionBlockNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode

from personalization_assets.emails.liquid_batch.jumps import Jump

if TYPE_CHECKING:
    from personalization_assets.emails.liquid_batch.nodes import Nodes


def if_(nodes: Nodes, node: IfNode | UnlessNode) -> None:
    """`if` and `unless`, with `elsif` and `else`."""
    nodes.flush()
    test = nodes.expressions.condition(node.condition)
    nodes.code.line(f"if {test}:" if isinstance(node, IfNode) else f"if not {test}:")
    nodes.suite(node.consequence)
    _otherwise(nodes, list(node.alternatives), node.default)


def _otherwise(nodes: Nodes, alternatives: list[Any], default: BlockNode | None) -> None:
    if not alternatives:
        if default is not None:
            nodes.code.line("else:")
            nodes.suite(default)
        return
    first, rest = alternatives[0], alternatives[1:]
    with nodes.code.apart() as lines, nodes.names.block():
        test = nodes.expressions.condition(first.expression)
    if not lines:
        nodes.code.line(f"elif {test}:")
        nodes.suite(first.block)
        _otherwise(nodes, rest, default)
        return
    nodes.code.line("else:")
    with nodes.code.indented(), nodes.names.block():
        test = nodes.expressions.condition(first.expression)
        nodes.code.line(f"if {test}:")
        nodes.suite(first.block)
        _otherwise(nodes, rest, default)


def case(nodes: Nodes, node: CaseNode) -> None:
    """`case`: python-liquid writes every `when` that matches, as often as it matches."""
    nodes.flush()
    default = nodes.code.name("default")
    nodes.code.line(f"{default} = True")
    for block in node.blocks:
        if not isinstance(block, MultiExpressionBlockNode):
            nodes.code.line(f"if {default}:")
            nodes.suite(block)
            continue
        left = nodes.expressions.value(block.expression.left)
        wanted = [nodes.expressions.value(e) for e in block.expression.expressions]
        texts = [w.constant for w in wanted if isinstance(w.constant, str)]
        if len(set(texts)) == len(wanted) and not left.is_constant:
            tests = [nodes.expressions.equal(left, w) for w in wanted]
            nodes.code.line(f"if {' or '.join(tests)}:")
            nodes.suite(block.block, f"{default} = False")
            continue
        times = nodes.code.name("times")
        matches = ", ".join(f"eq({left.code}, {w.code})" for w in wanted)
        nodes.code.line(f"{times} = [{matches}].count(True)")
        nodes.code.line(f"if {times}: {default} = False")
        _repeat(nodes, f"range({times})", block.block)


def _repeat(nodes: Nodes, turns: str, block: BlockNode) -> None:
    """A block in a Python loop that Liquid does not see."""
    jump = nodes.code.name("jump")
    nodes.code.line(f"{jump} = 0")
    nodes.code.line(f"for _ in {turns}:")
    outer = nodes.jumps[-1] if nodes.jumps else None
    nodes.jumps.append(outer and Jump((f"{jump} = 1", "break"), (f"{jump} = 2", "break")))
    nodes.suite(block)
    nodes.jumps.pop()
    if outer is not None:
        nodes.code.line(f"if {jump} == 1: {'; '.join(outer.leave)}")
        nodes.code.line(f"elif {jump} == 2: {'; '.join(outer.next_turn)}")
