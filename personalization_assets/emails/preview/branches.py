"""The branches of a variant's templates, and which of them a context reaches.

`Traced` takes templates that nobody else uses and puts a marker into each of their branches; they
then say what they went through when python-liquid renders them. A branch is named by the place in
the author's file, whatever MJML made of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, TextIO

import pyarrow as pa
from liquid.ast import BlockNode, Node
from liquid.builtin.expressions import BooleanExpression
from liquid.builtin.expressions.logical import (
    LogicalAndExpression,
    LogicalOrExpression,
    is_truthy,
)
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.case_tag import CaseNode, MultiExpressionBlockNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.render_tag import RenderNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.context import RenderContext
from liquid.expression import Expression
from liquid.template import BoundTemplate
from liquid.token import Token

from personalization_assets.emails.checking.findings import Place
from personalization_assets.emails.checking.sources import Written
from personalization_assets.emails.liquid_batch.environment import AbortMail
from personalization_assets.emails.liquid_batch.template import EXPECTED
from personalization_assets.emails.preview.depends import (
    Knobs,
    Ref,
    References,
    Scope,
    joined,
    leaves,
    literal,
    operands,
)
from personalization_assets.emails.preview.scenarios import Location
from personalization_assets.emails.render import PARTS
from personalization_assets.emails.templates import MailTemplates

WORDS: Mapping[str, str] = {
    "if": "if {}",
    "elsif": "else if {}",
    "else": "else ({})",
    "unless": "unless {}",
    "when": "case {}",
    "for": "each {}",
    "empty": "when {}",
    "or": "decided by {}",
    "and": "failed by {}",
}


@dataclass(frozen=True)
class Branch:
    """One way through a template. `kind` is if, elsif, else, unless, when, for, empty (a loop
    without items), or `or`/`and`: the part of a condition that decided it. A way that the author
    did not write, such as an `if` without `else`, is one too."""

    file: FilePath
    line: int
    column: int
    kind: str
    text: str = field(compare=False)

    @property
    def words(self) -> str:
        """The branch as a person says it."""
        return WORDS.get(self.kind, "{}").format(self.text)


@dataclass
class Target:
    """A branch, and what a context must have to reach it.

    `knobs` are the places in a context that its condition depends on, with what they are compared
    with; `near` are branches whose contexts are the closest to one that reaches it.
    """

    branch: Branch
    part: str
    knobs: dict[Location, list[Any]] = field(default_factory=dict)
    near: list[Branch] = field(default_factory=list)


class Traced:
    """Templates with a marker in each branch; `contract` holds the types of a context."""

    def __init__(self, templates: MailTemplates, contract: Mapping[str, pa.DataType]) -> None:
        self.targets: dict[Branch, Target] = {}
        self.reached: set[Branch] = set()
        self._names = References(contract)
        self._partials = templates.partials
        self._marked: set[int] = set()
        self.parts: dict[str, BoundTemplate] = {part: templates.parsed[part] for part in PARTS}
        for part, template in self.parts.items():
            self._part, self._context = part, RenderContext(template)
            self._walk(template.nodes, {}, templates.texts[part], [])

    def run(self, context: Mapping[str, Any]) -> set[Branch]:
        """The branches that a mail with this context goes through; up to where it fails, if it
        does."""
        self.reached = set()
        shown = dict(context)
        mail = dict(context["mail"])
        for part in PARTS:
            text = self._render(part, shown)
            if text is None:
                break
            if part in ("subject", "preheader"):
                mail[part] = text
                shown["mail"] = mail
        return self.reached

    def run_part(self, part: str, context: Mapping[str, Any]) -> set[Branch]:
        """The same for one part alone."""
        self.reached = set()
        self._render(part, context)
        return self.reached

    def _render(self, part: str, context: Mapping[str, Any]) -> str | None:
        try:
            return self.parts[part].render(**context)
        except (AbortMail, *EXPECTED):
            return None

    # --- putting markers in ----------------------------------------------------------------------

    def _walk(
        self, nodes: Iterable[Node], scope: Scope, places: Written, outer: list[Target]
    ) -> None:
        for node in list(nodes):
            if isinstance(node, IfNode | UnlessNode):
                self._conditional(node, scope, places, outer)
            elif isinstance(node, CaseNode):
                self._case(node, scope, places, outer)
            elif isinstance(node, ForNode):
                self._loop(node, scope, places, outer)
            elif isinstance(node, RenderNode):
                self._partial(node, scope, outer)
            else:
                if isinstance(node, AssignNode):
                    scope[str(node.name)] = self._names.ref(node.expression, scope)
                children = node.children(self._context, include_partials=False)
                self._walk(children, scope, places, outer)

    def _conditional(
        self,
        node: IfNode | UnlessNode,
        scope: Scope,
        places: Written,
        outer: list[Target],
    ) -> None:
        tag = "if" if isinstance(node, IfNode) else "unless"
        before: list[Target] = []
        knobs: Knobs = {}
        ways: list[tuple[str, Expression, Token, BlockNode]] = [
            (tag, node.condition, node.token, node.consequence),
            *(("elsif", a.expression, a.expression.token, a.block) for a in node.alternatives),
        ]
        for kind, condition, token, block in ways:
            knobs = joined(self._names.knobs(condition, scope), knobs)
            place = places.place(token.start_index)
            target = self._target(place, kind, str(condition), knobs, [*before[::-1], *outer])
            self._decisions(condition, places, knobs, [target, *outer])
            self._mark(block, target.branch, node)
            self._walk(block.nodes, scope, places, [target, *outer])
            before.append(target)
        if len(ways) == 1:
            text = str(node.condition) if tag == "unless" else f"not: {node.condition}"
        else:
            text = f"none of: {', '.join(str(condition) for _, condition, _, _ in ways)}"
        place = places.place(node.token.start_index)
        target = self._target(place, "else", text, knobs, [*before[::-1], *outer])
        node.default = self._else(node.default, target.branch, node)
        self._walk(node.default.nodes, scope, places, [target, *outer])

    def _case(self, node: CaseNode, scope: Scope, places: Written, outer: list[Target]) -> None:
        knobs = self._names.knobs(node.expression, scope)
        values: list[Any] = []
        before: list[Target] = []
        for block in node.blocks:
            if isinstance(block, MultiExpressionBlockNode):
                values += [v for e in block.expression.expressions if (v := literal(e)) != ()]
        knobs = {location: [*known, *values] for location, known in knobs.items()}
        whole = str(node.expression)
        for block in node.blocks:
            if isinstance(block, MultiExpressionBlockNode):
                place = places.place(block.token.start_index)
                text = f"{whole} is {block.expression}"
                target = self._target(place, "when", text, knobs, [*before[::-1], *outer])
                self._mark(block.block, target.branch, node)
                self._walk(block.block.nodes, scope, places, [target, *outer])
                before.append(target)
        place = places.place(node.token.start_index)
        text = f"{whole} is none of these"
        target = self._target(place, "else", text, knobs, [*before[::-1], *outer])
        written = [b for b in node.blocks if isinstance(b, BlockNode)]
        if not written:
            node.blocks.append(self._else(None, target.branch, node))
        for block in written:
            self._mark(block, target.branch, node)
            self._walk(block.nodes, scope, places, [target, *outer])

    def _loop(self, node: ForNode, scope: Scope, places: Written, outer: list[Target]) -> None:
        listed = self._names.ref(node.expression.iterable, scope)
        sizes = [(*location, "size") for location in listed.depends]
        if listed.exact is not None and self._names.is_list(listed):
            item = Ref((*listed.exact, 0), ((*listed.exact, 0),))
        else:
            item = Ref(None, listed.depends)
        knobs: Knobs = {location: [0, 1, 2, 3] for location in sizes}
        place = places.place(node.token.start_index)
        text = f"{node.expression.identifier} in {node.expression.iterable}"
        target = self._target(place, "for", text, knobs, outer)
        inner = scope | {
            str(node.expression.identifier): item,
            "forloop": Ref(None, tuple(sizes)),
        }
        self._mark(node.block, target.branch, node)
        self._walk(node.block.nodes, inner, places, [target, *outer])
        scope |= {
            n: r for n, r in inner.items() if n not in (node.expression.identifier, "forloop")
        }
        text = f"{node.expression.iterable} is empty"
        empty = self._target(place, "empty", text, knobs, [target, *outer])
        node.default = self._else(node.default, empty.branch, node)
        self._walk(node.default.nodes, scope, places, [empty, *outer])

    def _partial(self, node: RenderNode, scope: Scope, outer: list[Target]) -> None:
        name = str(getattr(node.name, "value", node.name))
        if name not in self._partials or len(outer) > 40:
            return
        template = self._context.env.get_template(name)
        inner = {str(a.name): self._names.ref(a.value, scope) for a in node.args}
        if node.var is not None:
            ref = self._names.ref(node.var, scope)
            if node.loop and ref.exact is not None:
                ref = Ref((*ref.exact, 0), ref.depends)
            inner[str(node.alias or name)] = ref
        self._walk(template.nodes, inner, self._partials[name], outer)

    def _decisions(
        self, condition: Expression, places: Written, knobs: Knobs, near: list[Target]
    ) -> None:
        """Markers for the parts of `a or b`, `a and b`."""
        if not isinstance(condition, BooleanExpression):
            return
        whole = condition.expression
        for kind, join, decides in (
            ("or", LogicalOrExpression, True),
            ("and", LogicalAndExpression, False),
        ):
            if not isinstance(whole, join):
                continue
            parts = operands(whole, join)
            branches = []
            for operand in parts:
                first = next((e for e in leaves(operand) if e.token.start_index >= 0), operand)
                place = places.place(first.token.start_index)
                branches.append(self._target(place, kind, str(operand), knobs, near).branch)
            condition.expression = _Deciding(self, whole, parts, branches, decides)

    def _target(
        self,
        place: Place,
        kind: str,
        text: str,
        knobs: Knobs,
        near: Sequence[Target],
    ) -> Target:
        branch = Branch(
            place.path,
            place.line,
            place.column or 1,
            kind,
            " ".join(text.replace("'", '"').split()),
        )
        target = self.targets.setdefault(branch, Target(branch, self._part))
        outer = joined(*[t.knobs for t in near]) if near else {}
        target.knobs = joined(target.knobs, knobs, outer)
        target.near += [t.branch for t in near if t.branch not in target.near]
        return target

    def _mark(self, block: BlockNode, branch: Branch, node: Node) -> None:
        if id(block) not in self._marked:
            self._marked.add(id(block))
            block.nodes.insert(0, _Marker(self, branch, node.token))

    def _else(self, block: BlockNode | None, branch: Branch, node: Node) -> BlockNode:
        if block is None:
            block = BlockNode(node.token, [])
            block.blank = node.blank
        self._mark(block, branch, node)
        return block


class _Marker(Node):
    """Notes that its block is rendered; prints nothing."""

    __slots__ = ("branch", "traced")

    def __init__(self, traced: Traced, branch: Branch, token: Token) -> None:
        super().__init__(token)
        self.traced, self.branch = traced, branch

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        self.traced.reached.add(self.branch)
        return 0


class _Deciding(Expression):
    """`a or b` (or `and`) that notes which of its parts decided."""

    __slots__ = ("branches", "decides", "operands", "traced", "whole")

    def __init__(
        self,
        traced: Traced,
        whole: Expression,
        operands: Sequence[Expression],
        branches: Sequence[Branch],
        decides: bool,
    ) -> None:
        super().__init__(whole.token)
        self.traced, self.whole, self.decides = traced, whole, decides
        self.operands, self.branches = operands, branches

    def __str__(self) -> str:
        return str(self.whole)

    def evaluate(self, context: RenderContext) -> object:
        """True or false, as the expression itself says."""
        for operand, branch in zip(self.operands, self.branches, strict=True):
            if is_truthy(operand.evaluate(context)) is self.decides:
                self.traced.reached.add(branch)
                return self.decides
        return not self.decides

    def children(self) -> list[Expression]:
        """The parts."""
        return list(self.whole.children())
