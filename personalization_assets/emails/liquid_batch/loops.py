"""`for` and `tablerow`, and the memory of what a loop's body came to.

The body of a loop over products is the same text for every person who is shown the product. Where
the body uses nothing but the item, its place in the loop and a few plain columns, its text is kept
under these and written again without rendering. A number of `forloop` that is only printed is left
out of what is kept, and put in as the text is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liquid.builtin.expressions import LoopExpression, StringLiteral
from liquid.builtin.expressions.primitive import IntegerLiteral
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.tablerow_tag import TableRow, TablerowNode
from liquid.limits import to_int

from personalization_assets.emails.liquid_batch.environment import (
    LimitedForNode,
    LimitedTablerowNode,
)
from personalization_assets.emails.liquid_batch.jumps import Jump
from personalization_assets.emails.liquid_batch.names import LOOP_PROPERTIES
from personalization_assets.emails.liquid_batch.report import LoopReport
from personalization_assets.emails.liquid_batch.runtime import (
    DIGITS,
    around_numbers,
    chosen,
    item_key,
    items,
)
from personalization_assets.emails.liquid_batch.scope import Frame, Loop, Uses, Value
from personalization_assets.emails.liquid_batch.survey import loop_key, survey
from personalization_assets.emails.liquid_batch.unsupported import UnsupportedError

if TYPE_CHECKING:
    from personalization_assets.emails.liquid_batch.nodes import Nodes

WORTH_KEEPING = 16
"""Lines of generated code from which on a body is worth a key made of the item's values."""


def for_(nodes: Nodes, node: ForNode) -> None:
    """A `for` loop."""
    code, e = nodes.code, node.expression
    if e.identifier == "forloop":
        raise UnsupportedError("a loop variable named forloop", node.token)
    found, item_type, shared = _sequence(nodes, e, isinstance(node, LimitedForNode))
    length = _length(nodes, found)
    if node.default is not None:
        code.line(f"if {length}:")
        with code.indented(), nodes.names.block():
            _turns(nodes, node, found, length, item_type, shared)
        code.line("else:")
        nodes.suite(node.default)
    else:
        with nodes.names.block():
            _turns(nodes, node, found, length, item_type, shared)


def _sequence(nodes: Nodes, e: LoopExpression, none_at_zero: bool) -> tuple[str, Any, bool]:
    """A variable for the items of a loop, the Arrow type of one, and whether they are shared."""
    code, expressions = nodes.code, nodes.expressions
    nodes.flush()
    source = expressions.value(e.iterable)
    code.constants.update(items=items, chosen=chosen, to_int=to_int, context=expressions.context)
    found, v = code.name("items"), source.code
    key = loop_key(e)
    whole = f"({v} if {v}.__class__ is list else items({v}, context))"
    limit = e.limit.value if isinstance(e.limit, IntegerLiteral) else None
    simple_limit = e.limit is None or (limit is not None and limit > 0)
    if e.offset is None and simple_limit and key not in nodes.names.scope.found.continued:
        part = f"[:{limit:d}]" if limit is not None else ""
        backwards = "[::-1]" if e.reversed else ""
        code.line(f"{found} = {whole}{part}{backwards}")
    else:
        resume = isinstance(e.offset, StringLiteral) and e.offset.value == "continue"
        limited = "None" if e.limit is None else expressions.value(e.limit).code
        offset = "None"
        if e.offset is not None and not resume:
            offset = f"to_int({expressions.value(e.offset).code})"
        arguments = [
            whole,
            limited,
            offset,
            repr(e.limit is not None),
            repr(resume),
            repr(e.reversed),
            repr(none_at_zero),
            nodes.names.scope.stops if key in nodes.names.scope.found.continued else "{}",
            code.constant(key),
        ]
        nodes.names.obstacle("has a loop that remembers where it stopped", e.token)
        code.line(f"{found} = chosen({', '.join(arguments)})")
    if source.type is None or not source.is_list():
        return found, None, False
    inner = source.type.value_type
    return found, inner.value_type if source.shared else inner, source.shared


def _length(nodes: Nodes, found: str) -> str:
    """A variable for the number of turns, checked against the limit on nested loops."""
    code = nodes.code
    length = code.name("length")
    code.line(f"{length} = len({found})")
    nodes.check_turns(length)
    for uses, *_ in nodes.names.recorders:
        uses.loops = True
    return length


def _turns(
    nodes: Nodes, node: ForNode, found: str, length: str, item_type: Any, shared: bool
) -> None:
    code, names, e = nodes.code, nodes.names, node.expression
    item, index, append = code.name("item"), code.name("index"), code.name("append")
    nodes.loop_depth += 1
    loop = Loop(
        e.identifier,
        item,
        index,
        length,
        loop_key(e),
        nodes.loop_depth,
        names.scope.loop,
        append,
        code.name("number"),
    )
    frame = Frame({"forloop": Value(""), e.identifier: Value(item, type=item_type)}, loop)
    outer_buffer, nodes.buffer = nodes.buffer, append
    outer_lengths = list(names.scope.lengths)
    nodes.jumps.append(Jump(("break",), ("continue",)))
    names.scope.lengths.append(length)
    with (
        names.frame(frame, node.token),
        names.recording(loop.depth) as uses,
        names.block(),
        code.apart() as lines,
    ):
        nodes.block(node.block)
    names.scope.lengths.pop()
    nodes.jumps.pop()
    nodes.buffer = outer_buffer
    nodes.loop_depth -= 1

    _note_assignments(nodes, node, uses)
    parts, item_part = _key(nodes, uses, loop, item_type, shared, lines)
    if uses.loops and nodes.env.loop_iteration_limit:
        parts += [length, *outer_lengths]
    report = LoopReport(
        nodes.partials[-1],
        names.place(node.token),
        str(e),
        tuple(dict.fromkeys(uses.obstacles)),
        tuple(uses.columns.values()),
    )
    nodes.loops.append(report)
    number = ""
    if loop.prints:
        code.constants.update(DIGITS=DIGITS, around_numbers=around_numbers)
        number = f"DIGITS[{LOOP_PROPERTIES[loop.prints][0].format(i=index, n=length)}]"
    if uses.obstacles or nodes.muted or not lines:
        code.line(f"{append} = {nodes.buffer}")
        code.line(f"for {index}, {item} in enumerate({found}):")
        with code.indented():
            if number:
                code.line(f"{loop.number} = {number}")
            code.add(lines or ["pass"])
        return
    memo, text, key = nodes.loop_memo(report), code.name("text"), code.name("key")
    code.line(f"{memo}.asked += {length}")
    if number:
        code.line(f"{loop.number} = None")
    code.line(f"for {index}, {item} in enumerate({found}):")
    with code.indented():
        if item_part:
            code.line(f"{key} = {item_part}")
            whole = f"({', '.join([key, *parts])},)" if parts else key
            code.line(f"{text} = {memo}.get({whole}) if {key} is not None else None")
        else:
            whole = f"({', '.join(parts)},)"
            code.line(f"{text} = {memo}.get({whole})")
        code.line(f"if {text} is None:")
        with code.indented():
            pieces, before, counted = (code.name(n) for n in ("pieces", "before", "counted"))
            if uses.captures:
                code.line(f"{counted} = captured")
            code.line(f"{before} = holes; {pieces} = []; {append} = {pieces}.append")
            code.add(lines)
            code.line(f"{text} = {'around_numbers' if number else 'join'}({pieces})")
            guard = f" and {key} is not None" if item_part else ""
            more = f", {item if shared else None}"
            more += f", captured - {counted}" if uses.captures else ""
            code.line(f"if holes == {before}{guard}: {memo}.put({whole}, {text}{more})")
        if uses.captures:
            code.line("else:")
            with code.indented():
                code.line(f"captured += {memo}.captured.get({whole}, 0)")
        code.line(f"{nodes.buffer}({f'{number}.join({text})' if number else text})")


def _note_assignments(nodes: Nodes, node: ForNode, uses: Uses) -> None:
    """A body that sets what is read elsewhere has to run."""
    if not uses.assigned:
        return
    inside = survey(node.block.nodes, nodes.expressions.context).reads
    for name in uses.assigned:
        if nodes.names.scope.found.reads[name] > inside[name]:
            uses.obstacles.append(f"sets {name}, which is used outside of the loop")


def _key(
    nodes: Nodes, uses: Uses, loop: Loop, item_type: Any, shared: bool, lines: list[str]
) -> tuple[list[str], str]:
    """What a body's text depends on: variables, and an expression for the item (or "")."""
    parts = [
        LOOP_PROPERTIES[name][0].format(i=loop.index, n=loop.length)
        for name in uses.properties
        if name in LOOP_PROPERTIES
    ]
    parts += list(uses.columns)
    if not uses.fields and not uses.whole_item:
        return parts or ["0"], ""
    if shared:
        return parts, f"id({loop.item})"
    if uses.whole_item:
        plain = Value(loop.item, type=item_type)
        if not (plain.is_text() or plain.is_integer()):
            uses.obstacles.append(f"uses {loop.name} whole")
        return parts, loop.item
    if len(lines) < WORTH_KEEPING:
        uses.obstacles.append("is short")
    nodes.code.constants["item_key"] = item_key
    fields = nodes.code.constant(tuple(sorted(uses.fields)))
    return parts, f"item_key({fields}, {loop.item})"


def tablerow(nodes: Nodes, node: TablerowNode) -> None:
    """A `tablerow` loop, with python-liquid's own counter of rows and columns."""
    code, names, e = nodes.code, nodes.names, node.expression
    if e.identifier == "tablerowloop" or not node.interrupts:
        raise UnsupportedError("this kind of tablerow", node.token)
    found, item_type, _ = _sequence(nodes, e, isinstance(node, LimitedTablerowNode))
    length = _length(nodes, found)
    row, item, left = code.name("row"), code.name("item"), code.name("left")
    code.constants["TableRow"] = TableRow
    code.line(f"if {length}:")
    with code.indented(), names.block():
        columns = length
        if e.cols is not None:
            to_columns = code.constant(node._int_or_zero)
            columns = f"{to_columns}({nodes.expressions.value(e.cols).code})"
        name = code.constant(e.identifier)
        code.line(f"{row} = TableRow({name}, iter({found}), {length}, {columns})")
        start = code.constant(b'<tr class="row1">\n')
        code.line(f"{nodes.buffer}({start})")
        code.line(f"for {item} in {row}:")
        cell = code.constant('<td class="col%d">')
        nodes.jumps.append(Jump((f"{left} = True", "break"), ("break",)))
        names.scope.lengths.append(length)
        frame = Frame({"tablerowloop": Value(row), e.identifier: Value(item, type=item_type)})
        with code.indented(), names.frame(frame, node.token), names.block():
            code.line(f"{nodes.buffer}(({cell} % {row}.col).encode())")
            code.line(f"{left} = False")
            code.line("for _ in (0,):")
            nodes.suite(node.block)
            code.line(f"{nodes.buffer}({code.constant(b'</td>')})")
            more = code.constant('</tr>\n<tr class="row%d">')
            code.line(f"if {row}.col_last and not {row}.last:")
            with code.indented():
                code.line(f"{nodes.buffer}(({more} % ({row}.row + 1)).encode())")
            code.line(f"if {left}: break")
        names.scope.lengths.pop()
        nodes.jumps.pop()
        code.line(f"{nodes.buffer}({code.constant(b'</tr>' + bytes([10]))})")
