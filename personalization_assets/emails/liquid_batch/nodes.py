"""The nodes of a template as Python statements.

One method per kind of node, chosen by its exact class: a subclass that renders differently is not
known here, and its template is left to python-liquid.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from sys import getsizeof
from typing import Any

import pyarrow as pa
from liquid import Markup
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.case_tag import CaseNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.cycle_tag import CycleNode
from liquid.builtin.tags.decrement_tag import DecrementNode
from liquid.builtin.tags.doc_tag import DocNode
from liquid.builtin.tags.echo_tag import EchoNode
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.ifchanged_tag import IfChangedNode
from liquid.builtin.tags.include_tag import IncludeNode
from liquid.builtin.tags.increment_tag import IncrementNode
from liquid.builtin.tags.inline_comment_tag import InlineCommentNode
from liquid.builtin.tags.liquid_tag import LiquidNode
from liquid.builtin.tags.render_tag import RenderNode
from liquid.builtin.tags.tablerow_tag import TablerowNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.stringify import to_liquid_string
from liquid.template import BoundTemplate
from liquid.token import TOKEN_OUTPUT

from personalization_assets.emails.liquid_batch import branches, loops, output, partials
from personalization_assets.emails.liquid_batch.emitter import Code
from personalization_assets.emails.liquid_batch.environment import (
    AbortMail,
    AbortNode,
    CountingOutputNode,
    LimitedForNode,
    LimitedTablerowNode,
)
from personalization_assets.emails.liquid_batch.expressions import Expressions
from personalization_assets.emails.liquid_batch.jumps import Jump
from personalization_assets.emails.liquid_batch.names import Names
from personalization_assets.emails.liquid_batch.report import LoopReport
from personalization_assets.emails.liquid_batch.runtime import (
    MEMO_BYTES,
    FallbackError,
    Memo,
    escape_text,
    list_key,
    writer,
)
from personalization_assets.emails.liquid_batch.scope import Frame, Scope, Value, Where
from personalization_assets.emails.liquid_batch.survey import Survey
from personalization_assets.emails.liquid_batch.unsupported import UnsupportedError

PIECES = 512
"""A mail of more pieces than this is measured before its pieces are joined."""


class Nodes:
    """Compiles one template into `code`."""

    def __init__(
        self,
        template: BoundTemplate,
        contract: Mapping[str, pa.DataType] | None,
        constants: Mapping[str, Any],
        where: Where,
    ) -> None:
        self.env = template.env
        self.code = Code()
        self.names = Names(self.code, contract, constants, where)
        self.expressions = Expressions(template, self.code, self.names)
        self.loops: list[LoopReport] = []
        self.memos: list[tuple[Memo, LoopReport]] = []
        self.jumps: list[Jump | None] = []
        self.buffer, self.muted = "a", False
        self.buffers: list[str] = []
        self.loop_depth = self.locals = 0
        self.partials: list[str] = [template.name]
        self._text: list[bytes] = []
        self._set_up()

    def _set_up(self) -> None:
        fills = getattr(self.env.tags[TOKEN_OUTPUT], "node_class", None) is CountingOutputNode
        self.write = writer(self.env.autoescape, fills_holes=fills)
        self.code.constants.update(
            join=b"".join,
            escape_text=escape_text,
            write=self.write,
            list_key=list_key,
            liquid_string=to_liquid_string,
            AbortMail=AbortMail,
            FallbackError=FallbackError,
            Markup=Markup,
            getsizeof=getsizeof,
        )

    # --- scopes and text -------------------------------------------------------------------------

    @contextmanager
    def scope(
        self, found: Survey, arguments: list[dict[str, Value]], partial: bool
    ) -> Iterator[None]:
        """A context of its own: its local variables and counters, none set yet."""
        scope = Scope(
            depth_limit=self.env.context_depth_limit,
            found=found,
            variables={name: self.code.name("local") for name in found.assigned},
            arguments=arguments,
            counters=self.code.name("counters"),
            cycles=self.code.name("cycles"),
            stops=self.code.name("stops"),
            changed=self.code.name("changed"),
            lengths=list(self.names.scope.lengths) if self.names.scopes else [],
        )
        self.locals += len(scope.variables)
        if scope.variables:
            self.code.line(f"{' = '.join(scope.variables.values())} = UNSET")
        if found.counted:
            self.code.line(f"{scope.counters} = {{}}")
        if found.cycles:
            self.code.line(f"{scope.cycles} = {{}}; {scope.changed} = ''")
        if found.continued:
            self.code.line(f"{scope.stops} = {{}}")
        self.names.scopes.append(scope)
        jumps, self.jumps = self.jumps, []
        known = Value(repr(partial), is_constant=True, constant=partial)
        try:
            with self.names.frame(Frame({"partial": known})):
                yield
        finally:
            self.names.scopes.pop()
            self.jumps = jumps

    def text(self, piece: bytes) -> None:
        """Text that every row has; pieces that follow each other become one."""
        if not self.muted:
            self._text.append(piece)

    def flush(self) -> None:
        """Write the text that waits; before anything that may run more or less than once."""
        if self._text:
            whole = b"".join(self._text)
            self._text.clear()
            if whole:
                self.code.line(f"{self.buffer}({self.code.constant(whole)})")

    @contextmanager
    def buffered(self) -> Iterator[str]:
        """Output of the body goes to a list of its own, whose name is given."""
        self.flush()
        outer = self.buffer, self.muted
        pieces, append = self.code.name("pieces"), self.code.name("append")
        self.code.line(f"{pieces} = []; {append} = {pieces}.append")
        self.buffer, self.muted = append, False
        self.buffers.append(pieces)
        yield pieces
        self.flush()
        self.buffers.pop()
        self.buffer, self.muted = outer

    def block(self, block: BlockNode) -> None:
        """The inside of a tag; one that is blank writes nothing, though it may assign."""
        muted = self.muted
        self.muted = muted or (block.blank and self.env.suppress_blank_control_flow_blocks)
        for node in block.nodes:
            self.node(node)
        self.flush()
        self.muted = muted

    def suite(self, block: BlockNode, *first: str) -> None:
        """An indented block that may not run."""
        with self.code.indented(), self.names.block():
            for line in first:
                self.code.line(line)
            self.block(block)

    def node(self, node: Node) -> None:
        """Any node."""
        handler = HANDLERS.get(type(node))
        if handler is None:
            raise UnsupportedError(f"the tag {node.token.value!r}", node.token)
        handler(self, node)

    def check_turns(self, length: str) -> None:
        """Leave the row to python-liquid where loops within each other turn too often."""
        limit = self.env.loop_iteration_limit
        if limit:
            product = " * ".join([*self.names.scope.lengths, length])
            self.code.line(f"if {product} > {limit:d}: raise FallbackError")

    def loop_memo(self, report: LoopReport) -> str:
        """A memory for the texts of a loop's body."""
        memo = Memo(MEMO_BYTES)
        self.memos.append((memo, report))
        return self.code.constant(memo, "memo")

    # --- variables -------------------------------------------------------------------------------

    def assign(self, node: AssignNode) -> None:
        """`assign`."""
        self.flush()
        value = self.expressions.value(node.expression)
        variable = self.names.assign(str(node.name))
        self.code.line(f"{variable} = {value.code}")
        self._limit_size(variable)

    def _limit_size(self, variable: str) -> None:
        # python-liquid adds up all local variables; where none is above its share, the sum is not
        # above the limit either. A row that may be is left to python-liquid, which adds up.
        if self.env.local_namespace_limit:
            self.code.line(f"if getsizeof({variable}, 1) > SHARE: raise FallbackError")

    def capture(self, node: CaptureNode) -> None:
        """`capture`: the text of a block as a local variable."""
        with self.buffered() as pieces:
            self.block(node.block)
        variable = self.names.assign(str(node.name))
        text = f"join({pieces}).decode()"
        self.code.line(f"{variable} = {f'Markup({text})' if self.env.autoescape else text}")
        self._limit_size(variable)
        self._count_output(f"len({variable}) * 4")

    def _count_output(self, size: str) -> None:
        """What a buffer of its own held counts against the limit on output, kept or not."""
        if self.env.output_stream_limit:
            self.code.line(f"captured += {size}")
            for uses, *_ in self.names.recorders:
                uses.captures = True

    def if_changed(self, node: IfChangedNode) -> None:
        """`ifchanged`: a block, unless it gives the same text as the last one did."""
        self.names.obstacle("uses ifchanged", node.token)
        with self.buffered() as pieces:
            self.block(node.block)
        text, last = self.code.name("text"), self.names.scope.changed
        self.code.line(f"{text} = join({pieces})")
        self._count_output(f"len({text})")
        self.code.line(f"if {text}.decode() != {last}:")
        with self.code.indented():
            self.code.line(f"{last} = {text}.decode()")
            if not self.muted:
                self.code.line(f"{self.buffer}({text})")

    def count(self, node: IncrementNode | DecrementNode) -> None:
        """`increment` and `decrement`."""
        self.names.obstacle(f"uses {node.token.value}", node.token)
        self.flush()
        counters, key = self.names.scope.counters, self.code.constant(str(node.name))
        number = self.code.name("number")
        if isinstance(node, IncrementNode):
            self.code.line(f"{number} = {counters}.get({key}, 0)")
            self.code.line(f"{counters}[{key}] = {number} + 1")
        else:
            self.code.line(f"{number} = {counters}[{key}] = {counters}.get({key}, 0) - 1")
        self.code.line(f"{self.buffer}(str({number}).encode())")

    def cycle(self, node: CycleNode) -> None:
        """`cycle`."""
        self.names.obstacle("uses cycle", node.token)
        if node.group_by_args:
            raise UnsupportedError("cycle by arguments", node.token)
        self.flush()
        group = "''"
        if node.group is not None:
            given = self.expressions.value(node.group).code
            group = f"('__UNDEFINED' if isinstance({given}, Undefined) else str({given}))"
        turns = self.code.name("turns")
        values = [self.expressions.value(e).code for e in node.args]
        self.code.line(f"{turns} = [{', '.join(values)}]")
        key, at, cycles = self.code.name("key"), self.code.name("at"), self.names.scope.cycles
        self.code.line(f"{key} = {group} or str({turns})")
        self.code.line(f"{at} = {cycles}.setdefault({key}, 0)")
        self.code.line(f"{cycles}[{key}] = ({at} + 1) % (len({turns}) or 1)")
        text = f"liquid_string({turns}[{at}], {self.env.autoescape}).encode()"
        self.code.line(f"if {at} < len({turns}): {self.buffer}({text})")

    # --- jumps and the rest ----------------------------------------------------------------------

    def jump(self, node: BreakNode | ContinueNode) -> None:
        """`break` and `continue`; outside of a loop python-liquid complains."""
        self.flush()
        self.names.obstacle(f"uses {node.token.value}", node.token)
        way = self.jumps[-1] if self.jumps else None
        if way is None:
            self.code.line("raise FallbackError")
            return
        for pieces in self.buffers:
            self._count_output(f"sum(map(len, {pieces}))")
        for line in way.leave if isinstance(node, BreakNode) else way.next_turn:
            self.code.line(line)

    def abort(self, node: AbortNode) -> None:
        """`abort_message`: the mail ends, with a reason."""
        self.flush()
        self.names.obstacle("uses abort_message", node.token)
        limit = self.env.output_stream_limit
        if limit:
            sizes = [f"sum(map(len, {pieces}))" for pieces in ("pieces", *self.buffers)]
            self.code.line(f"if {' + '.join(sizes)} + captured > {limit:d}: raise FallbackError")
        reason = self.expressions.value(node.reason)
        self.code.line(f"raise AbortMail(str({reason.code}))")

    def nothing(self, node: Node) -> None:
        """Comments."""

    def content(self, node: ContentNode) -> None:
        """Text between tags."""
        self.text(node.text.encode())

    def inside(self, node: LiquidNode) -> None:
        """`{% liquid %}`."""
        self.block(node.block)


Handler = Callable[[Nodes, Any], None]
HANDLERS: Mapping[type[Node], Handler] = {
    ContentNode: Nodes.content,
    OutputNode: output.output,
    CountingOutputNode: output.output,
    EchoNode: output.output,
    IfNode: branches.if_,
    UnlessNode: branches.if_,
    CaseNode: branches.case,
    AssignNode: Nodes.assign,
    CaptureNode: Nodes.capture,
    IfChangedNode: Nodes.if_changed,
    IncrementNode: Nodes.count,
    DecrementNode: Nodes.count,
    CycleNode: Nodes.cycle,
    BreakNode: Nodes.jump,
    ContinueNode: Nodes.jump,
    AbortNode: Nodes.abort,
    CommentNode: Nodes.nothing,
    InlineCommentNode: Nodes.nothing,
    DocNode: Nodes.nothing,
    BlockNode: Nodes.block,
    LiquidNode: Nodes.inside,
    ForNode: loops.for_,
    LimitedForNode: loops.for_,
    TablerowNode: loops.tablerow,
    LimitedTablerowNode: loops.tablerow,
    IncludeNode: partials.include,
    RenderNode: partials.render,
}
