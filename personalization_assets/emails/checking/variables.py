"""Follows a template with the types of the mail context: every name exists, nothing prints nil.

The walk goes through python-liquid's syntax tree in the order in which a mail is rendered and
knows, at each output, which values the conditions around it have proven to be there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
from liquid import Environment
from liquid.ast import BlockNode, Node
from liquid.builtin.expressions import FilteredExpression, KeywordArgument, Path
from liquid.builtin.expressions.primitive import Nil, RangeLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.case_tag import CaseNode, MultiExpressionBlockNode
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.render_tag import RenderNode
from liquid.builtin.tags.tablerow_tag import TablerowNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.context import RenderContext
from liquid.expression import Expression
from liquid.static_analysis import _extract_filters
from liquid.template import BoundTemplate

from personalization_assets.emails.checking.dialect_table import FILTERS
from personalization_assets.emails.checking.findings import Findings, Place, near_of
from personalization_assets.emails.checking.guards import NOTHING, Guards
from personalization_assets.emails.checking.sources import Source
from personalization_assets.emails.checking.types import FORLOOP, filtered, step
from personalization_assets.emails.checking.uses import (
    ORDER,
    SAME,
    check_comparison,
    check_filter,
    literal_type,
)
from personalization_assets.emails.checking.values import (
    ANY,
    HAS_ITEMS,
    Keys,
    State,
    Value,
    joined,
    prefixes,
    written,
)
from personalization_assets.emails.liquid_batch.environment import AbortNode
from personalization_assets.emails.liquid_env import LOOPS
from personalization_assets.emails.problems import did_you_mean

DEEPEST = 10
"""Shared parts within each other; more is a circle."""


@dataclass
class Usage:
    """What a template uses: the second part of each path, by root; `*` when used whole."""

    fields: dict[str, set[str]] = field(default_factory=dict)

    def add(self, root: str, name: str) -> None:
        """Note one use."""
        self.fields.setdefault(root, set()).add(name)


class TemplateCheck:
    """Looks at parsed templates and notes what is wrong in them.

    `broken` are shared parts that can't be parsed; they were reported before.
    """

    def __init__(
        self,
        env: Environment,
        roots: Mapping[str, pa.DataType],
        partials: Mapping[str, Source],
        findings: Findings,
        broken: Iterable[str] = (),
    ) -> None:
        self.usage = Usage()
        self.circular = False
        self._env, self._roots, self._partials = env, roots, partials
        self._findings, self._broken = findings, frozenset(broken)
        self._source = Source("", "", ())
        self._keys = Keys()
        self._depth = self._loops = 0

    def run(self, template: BoundTemplate, source: Source) -> Usage:
        """Check a template; `usage` grows with each one."""
        self._source = source
        self._context = RenderContext(template)
        self._walk(template.nodes, State())
        return self.usage

    # --- statements ------------------------------------------------------------------------------

    def _walk(self, nodes: Iterable[Node], state: State) -> State | None:
        """The state after the nodes; None if a mail never comes to their end."""
        now: State | None = state
        for node in nodes:
            if now is None:
                return None
            now = self._node(node, now)
        return now

    def _node(self, node: Node, state: State) -> State | None:
        match node:
            case RenderNode():
                return self._partial(node, state)
            case IfNode() | UnlessNode():
                return self._branches(node, state)
            case CaseNode():
                return self._cases(node, state)
            case ForNode() | TablerowNode():
                return self._loop(node, state)
            case AssignNode():
                name = str(node.name)
                value = self._value(node.expression, state)
                if self._keys.unnamed(value.key):
                    value = replace(value, key=self._keys.fresh(name))
                return state.setting(name, value)
            case CaptureNode():
                after = self._walk(_children(node, self._context), state)
                text = Value(pa.string(), self._keys.fresh(str(node.name)))
                return None if after is None else after.setting(str(node.name), text)
            case AbortNode():
                self._value(node.reason, state)
                return None
            case BreakNode() | ContinueNode():
                return None
            case OutputNode():
                self._print(node.expression, state)
                return state
        for expression in node.expressions():
            self._value(expression, state)
        for name in node.template_scope():
            state = state.setting(str(name), Value(key=self._keys.fresh(str(name))))
        inner = state
        for name in node.block_scope():
            inner = inner.setting(str(name), Value(key=self._keys.fresh(str(name))))
        after = self._walk(_children(node, self._context), inner)
        return None if after is None else after.restored([*map(str, node.block_scope())], state)

    def _branches(self, node: IfNode | UnlessNode, state: State) -> State | None:
        outs: list[State | None] = []
        holds = isinstance(node, IfNode)
        tests: list[tuple[Expression, Node]] = [(node.condition, node.consequence)]
        tests += [(a.expression, a.block) for a in node.alternatives]
        for condition, block in tests:
            self._value(condition, state)
            guards = self._guards(state)
            taken = state.knowing(guards.when(condition, holds))
            outs.append(self._walk(_children(block, self._context), taken))
            state = state.knowing(guards.when(condition, not holds))
            holds = True
        outs.append(self._default(node.default, state))
        return joined(outs, self._keys)

    def _cases(self, node: CaseNode, state: State) -> State | None:
        self._value(node.expression, state)
        guards, none_fits = self._guards(state), NOTHING
        outs: list[State | None] = []
        default: Node | None = None
        for block in node.blocks:
            if isinstance(block, MultiExpressionBlockNode):
                choices = block.expression.expressions
                for choice in choices:
                    self._value(choice, state)
                taken = state.knowing(guards.one_of(node.expression, choices, True))
                outs.append(self._walk(_children(block.block, self._context), taken))
                none_fits |= guards.one_of(node.expression, choices, False)
            else:
                default = block
        outs.append(self._default(default, state.knowing(none_fits)))
        return joined(outs, self._keys)

    def _default(self, block: Node | None, state: State) -> State | None:
        return self._walk(_children(block, self._context), state) if block is not None else state

    def _loop(self, node: ForNode | TablerowNode, state: State) -> State | None:
        expression = node.expression
        for child in expression.children():
            self._value(child, state)
        listed = self._value(expression.iterable, state)
        if self._loops >= LOOPS:
            self._findings.add("loops_deep", self._place(node), most=LOOPS)
            return state
        inside = state.knowing(_with_items(listed))
        name = expression.identifier
        drop = "forloop" if isinstance(node, ForNode) else "tablerowloop"
        item = Value(self._item_type(listed, expression.iterable), self._keys.fresh(name))
        turn = Value(FORLOOP if drop == "forloop" else ANY, self._keys.fresh(drop))

        def body(start: State) -> State | None:
            inner = start.setting(name, item).setting(drop, turn)
            self._loops += 1
            after = self._walk(_children(node.block, self._context), inner)
            self._loops -= 1
            return None if after is None else after.restored([name, drop], state)

        # What one turn sets, the next one reads: go on until nothing new may be empty. A look that
        # is itself repeated goes round once.
        seen: dict[str, bool] | None = None
        while _assigns(node.block, self._context) and not self._findings.is_muted:
            known = {n: v.there(inside.facts) for n, v in inside.locals.items()}
            if known == seen:
                break
            seen = known
            with self._findings.muted():
                turned = joined([inside, body(inside)], self._keys) or inside
            inside = turned.knowing(inside.facts)
        after = joined([state, body(inside)], self._keys) or state
        other = getattr(node, "default", None)
        return joined([after, self._default(other, state)], self._keys) if other else after

    def _partial(self, node: RenderNode, state: State) -> State | None:
        name = str(node.name.value) if hasattr(node.name, "value") else str(node.name)
        given = {str(a.name): self._value(a.value, state) for a in node.args}
        facts = state.facts
        if node.var is not None:
            value = self._value(node.var, state)
            alias = str(node.alias or name)
            if node.loop:
                facts |= frozenset(_with_items(value))
                value = Value(self._item_type(value, node.var), self._keys.fresh(alias))
                given["forloop"] = Value(FORLOOP, self._keys.fresh("forloop"))
            given[alias] = value
        if name not in self._partials:
            near = near_of(did_you_mean(name, self._partials), "add the file there")
            blocks = self._source.path.parent.parent / "_blocks"
            if (blocks / f"{name}.mjml").is_file():
                near = {"near": f'{name}.mjml is MJML, write <mj-include path="{name}.mjml" />'}
            self._findings.add("part_unknown", self._place(node), name=name, **near)
            return state
        if name in self._broken:
            return state
        if self._depth > DEEPEST:
            self.circular = True
            self._findings.add("part_circle", self._place(node), name=name)
            return state
        outer, self._source = self._source, self._partials[name]
        loops, self._loops = self._loops, 0
        self._depth += 1
        after = self._walk(self._env.get_template(name).nodes, State(given, facts))
        self._depth -= 1
        self._loops = loops
        self._source = outer
        return state if after is not None or node.loop else None

    # --- expressions -----------------------------------------------------------------------------

    def _print(self, expression: Expression, state: State) -> None:
        value = self._value(expression, state)
        if value.there(state.facts):
            return
        doubt = min(value.doubts - state.facts, key=lambda k: (len(k), str(k)))
        shown, guard = _inner(expression), written(doubt)
        if doubt[-1] == HAS_ITEMS:
            reason, guard = f": {guard} may have no items", f"{guard}.size > 0"
        elif len(doubt) == 1:
            reason = f": {guard} is not set in every case"
        else:
            reason = "" if guard == str(shown) else f": {guard} is not known for everybody"
        self._findings.add(
            "nullable_printed", self._place(shown), name=shown, reason=reason, guard=guard
        )

    def _value(self, expression: Expression, state: State) -> Value:
        """The value of an expression, every name and filter in it looked up."""
        if isinstance(expression, Path):
            return self._resolve(expression, state)
        if isinstance(expression, FilteredExpression):
            value = self._value(expression.left, state)
            written: Expression | str = expression.left
            for filter_ in expression.filters or ():
                arguments = [self._value(a.value, state) for a in filter_.args]
                function = self._env.filters.get(filter_.name)
                if function is None:
                    self._unknown_filter(filter_.name, filter_.token.start_index)
                else:
                    named = [a.name for a in filter_.args if isinstance(a, KeywordArgument)]
                    check_filter(
                        filter_.name,
                        function,
                        (written, value.type),
                        (len(arguments) - len(named), named),
                        self._source.place(filter_.token.start_index),
                        self._findings,
                    )
                value = filtered(value, filter_.name, arguments, self._keys)
                written = f"what '{filter_.name}' gives"
            return value
        for name, span in _extract_filters(expression, ""):
            if name not in self._env.filters:
                self._unknown_filter(name, span.index)
        kinds = [self._value(child, state).type for child in expression.children()]
        if isinstance(expression, (*ORDER, *SAME)):
            first, second = kinds
            place = self._place(expression.left)
            check_comparison(expression, (first, second), place, self._findings)
        if isinstance(expression, RangeLiteral):
            return Value(pa.list_(pa.int64()), self._keys.fresh("range"))
        if isinstance(expression, Nil):
            key = self._keys.fresh()
            return Value(ANY, key, frozenset({key}))
        return Value(literal_type(expression), self._keys.fresh())

    def _guards(self, state: State) -> Guards:
        return Guards(self._env, lambda e: self._value(e, state), state.facts)

    def _item_type(self, listed: Value, iterable: Expression) -> pa.DataType:
        if pa.types.is_list(listed.type):
            return listed.type.value_type
        if not pa.types.is_null(listed.type):
            self._findings.add("not_a_list", self._place(iterable), name=iterable)
        return ANY

    def _resolve(self, path: Path, state: State) -> Value:
        for segment in path.path:
            if isinstance(segment, Path):
                self._resolve(segment, state)
        root = path.path[0]
        if isinstance(root, str) and root in state.locals:
            value = state.locals[root]
        elif isinstance(root, str) and root in self._roots:
            value = Value(self._roots[root], (root,))
            self.usage.add(root, str(path.path[1]) if len(path.path) > 1 else "*")
        else:
            self._unknown(path, 0, [*self._roots, *state.locals])
            return Value()
        for position, segment in enumerate(path.path[1:], start=1):
            if isinstance(segment, Path) and pa.types.is_struct(value.type):
                self._findings.add("variable_computed", self._place(path), name=path)
                return Value()
            name = segment if isinstance(segment, str | int) else None
            known = step(value, name, state.facts)
            if not isinstance(known, Value):
                self._unknown(path, position, known)
                return Value()
            value = known
        return value

    def _unknown(self, path: Path, position: int, known: Iterable[str]) -> None:
        before = ".".join(str(s) for s in path.path[:position])
        word = str(path.path[position])
        names = list(known)
        close = did_you_mean(word, names)
        if close and before:
            name = close.removeprefix(", did you mean '").removesuffix("'?")
            close = f", did you mean '{before}.{name}'?"
        otherwise = f"known here: {', '.join(sorted(names)[:8])}"
        self._findings.add(
            "variable_unknown",
            self._place(path),
            name=f"{before}.{word}" if before else word,
            **near_of(close, otherwise),
        )

    def _unknown_filter(self, name: str, index: int) -> None:
        ours = FILTERS.get(name.lower())
        close = f", did you mean {ours!r}?" if ours else did_you_mean(name, self._env.filters)
        near = near_of(close, "look the filters up in the README")
        self._findings.add("filter_unknown", self._source.place(index), name=name, **near)

    def _place(self, written_at: Node | Expression) -> Place:
        return self._source.place(written_at.token.start_index)


def _inner(expression: Any) -> Any:
    """What is printed, without its filters."""
    return expression.left if isinstance(expression, FilteredExpression) else expression


def _with_items(listed: Value) -> set[tuple[str | int, ...]]:
    """Facts inside a loop: its list is there and has an item."""
    return {*prefixes(listed.key), (*listed.key, HAS_ITEMS)} if listed.key else set()


def _children(node: Node, context: RenderContext) -> Iterable[Node]:
    if isinstance(node, BlockNode):
        return node.nodes
    return node.children(context, include_partials=False)


def _assigns(node: Node, context: RenderContext) -> bool:
    if isinstance(node, AssignNode | CaptureNode):
        return True
    return any(_assigns(child, context) for child in _children(node, context))
