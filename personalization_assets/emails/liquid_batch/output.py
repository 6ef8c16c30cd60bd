"""`{{ ... }}` and `echo`: how a value is written, and the memory of what filters made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.filters.string import escape
from liquid.builtin.output import OutputNode
from liquid.expression import Expression

from personalization_assets.emails.liquid_batch.runtime import VALUE_BYTES, Memo
from personalization_assets.emails.liquid_batch.scope import Value

if TYPE_CHECKING:
    from personalization_assets.emails.liquid_batch.nodes import Nodes


def output(nodes: Nodes, node: OutputNode) -> None:
    """`{{ ... }}` and `echo`."""
    write_expression(nodes, node.expression)


def write_expression(nodes: Nodes, e: Expression) -> None:
    """Write a value; where it only depends on a column and filters, remember the text."""
    if nodes.expressions.is_constant(e):
        value = nodes.expressions.value(e)
        if value.is_constant:
            _write_constant(nodes, value.constant)
        return
    if (
        isinstance(e, FilteredExpression)
        and e.filters
        and isinstance(e.left, Path)
        and all(nodes.expressions.is_fixed(f) for f in e.filters)
    ):
        _write_remembered(nodes, e)
        return
    plain = e.left if isinstance(e, FilteredExpression) and not e.filters else e
    loop = None if nodes.muted else nodes.names.prints(plain, nodes.buffer)
    if loop is not None:
        nodes.flush()
        nodes.code.line(f"{nodes.buffer}({loop.number})")
        return
    value = nodes.expressions.value(e)
    nodes.flush()
    if nodes.muted:
        return
    _write_value(nodes, value)


def _write_constant(nodes: Nodes, found: Any) -> None:
    text = nodes.write(found)
    if text is None:
        nodes.flush()
        nodes.code.line("holes += 1")
    else:
        nodes.text(text)


def _write_value(nodes: Nodes, value: Value) -> None:
    v = value.code
    if not v.isidentifier():
        v = nodes.code.name()
        nodes.code.line(f"{v} = {value.code}")
    text = f"escape_text({v}).encode()" if nodes.env.autoescape else f"{v}.encode()"
    kind, quick = ("int", f"str({v}).encode()") if value.is_integer() else ("str", text)
    if v in nodes.names.columns.values():
        # A column is often printed more than once: links all have the same token.
        known = nodes.names.seen(("written", v))
        if known is None:
            known = Value(nodes.code.name("written"))
            nodes.code.line(f"{known.code} = {quick} if {v}.__class__ is {kind} else write({v})")
            nodes.names.see(("written", v), known)
        nodes.code.line(f"if {known.code} is None: holes += 1")
        nodes.code.line(f"else: {nodes.buffer}({known.code})")
        return
    nodes.code.line(f"if {v}.__class__ is {kind}: {nodes.buffer}({quick})")
    nodes.code.line("else:")
    with nodes.code.indented():
        written = nodes.code.name()
        nodes.code.line(f"{written} = write({v})")
        nodes.code.line(f"if {written} is None: holes += 1")
        nodes.code.line(f"else: {nodes.buffer}({written})")


def _write_remembered(nodes: Nodes, e: FilteredExpression) -> None:
    value = nodes.expressions.value(e.left)
    nodes.flush()
    if _only_escapes(nodes, e) and not nodes.muted:
        # What `escape` gives for a text is what autoescape writes for it.
        name = value.code
        nodes.code.line(f"if {name}.__class__ is str:")
        with nodes.code.indented():
            nodes.code.line(f"{nodes.buffer}(escape_text({name}).encode())")
        nodes.code.line("else:")
        with nodes.code.indented(), nodes.names.block():
            _write_value(nodes, nodes.expressions.filtered(value, e.filters))
        return
    memo, text, key = (
        nodes.code.constant(Memo(VALUE_BYTES), "memo"),
        nodes.code.name("text"),
        nodes.code.name("key"),
    )
    nodes.code.line(f"{key} = {_memo_key(value)}")
    nodes.code.line(f"{text} = {memo}.get({key})")
    nodes.code.line(f"if {text} is None:")
    with nodes.code.indented(), nodes.names.block():
        made = nodes.expressions.filtered(value, e.filters)
        nodes.code.line(f"{text} = write({made.code})")
        nodes.code.line(f"if {text} is None: holes += 1; {text} = {nodes.code.constant(b'')}")
        nodes.code.line(f"elif {key} is not None: {memo}.put({key}, {text})")
    if not nodes.muted:
        nodes.code.line(f"{nodes.buffer}({text})")


def _memo_key(value: Value) -> str:
    """What a value is remembered under; None for one that is not.

    1, 1.0 and true are equal keys: a memo holds one kind of number, or texts and lists of texts.
    -0.0 is kept out.
    """
    v = value.code
    if value.is_integer():
        return f"{v} if {v}.__class__ is int else None"
    if value.is_float():
        return f"{v} if {v}.__class__ is float and {v} else None"
    other = "list_key({v})" if value.type is None or value.is_list() else "None"
    return f"{v} if {v}.__class__ is str else {other.format(v=v)}"


def _only_escapes(nodes: Nodes, e: FilteredExpression) -> bool:
    """`| escape` and nothing else, where it is escaped anyhow."""
    filters = e.filters or []
    is_alone = len(filters) == 1 and filters[0].name == "escape" and not filters[0].args
    return is_alone and nodes.env.autoescape and nodes.env.filters["escape"] is escape
