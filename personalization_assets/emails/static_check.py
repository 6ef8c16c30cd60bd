"""Checks of a template before a batch: every variable and filter in it must exist.

The walker follows python-liquid's syntax tree with the types of the mail context (Arrow types), so
that `item` in `{% for item in cart.items %}` is known to have `item.name` and not `item.nmae`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import pyarrow as pa
from liquid import Environment
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.render_tag import RenderNode
from liquid.context import RenderContext
from liquid.exceptions import LiquidError, TemplateNotFoundError
from liquid.expression import Expression
from liquid.static_analysis import _extract_filters
from liquid.template import BoundTemplate

from personalization_assets.emails.problems import did_you_mean
from personalization_assets.errors import UserError

ANY = pa.null()
"""Type of what is only known when the mail is rendered."""

FORLOOP = pa.struct(
    [(n, pa.int64()) for n in ("index", "index0", "rindex", "rindex0", "length")]
    + [("first", pa.bool_()), ("last", pa.bool_()), ("parentloop", ANY), ("name", pa.string())]
)
KEEPS_LIST = {"sort", "sort_natural", "reverse", "uniq", "compact", "concat", "where", "reject"}
HANDLEBARS = re.compile(
    r"\{\{\{|\{\{\s*(#|/|\^|>|else\b)\s*(?P<word>\w*)\s*(?P<rest>[^}]*?)\s*\}\}"
)


@dataclass(frozen=True)
class Source:
    """A template's text and, for each of its lines, the file and line it came from."""

    name: str
    text: str
    lines: tuple[tuple[FilePath, int], ...]

    def where(self, index: int) -> str:
        """`file line n` for an offset into the text."""
        line = min(self.text.count("\n", 0, max(index, 0)), len(self.lines) - 1)
        path, number = self.lines[line] if self.lines else (FilePath(self.name), 1)
        return f"{path} line {number}"


@dataclass
class Usage:
    """What a template uses: the second part of each path, by root; `*` when used whole."""

    fields: dict[str, set[str]] = field(default_factory=dict)

    def add(self, root: str, name: str) -> None:
        """Note one use."""
        self.fields.setdefault(root, set()).add(name)


def refuse_handlebars(source: Source) -> None:
    """Raise for `{{#if ...}}` and its kin, with what Liquid writes instead."""
    found = HANDLEBARS.search(source.text)
    if found is None:
        return
    where, written = source.where(found.start()), found.group(0)
    if written == "{{{":
        raise UserError(f"{where}: '{{{{{{' is Handlebars; write '{{{{ ... }}}}' in Liquid.")
    sign, word, rest = found.group(1), found.group("word"), found.group("rest")
    path = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", rest).lower().removesuffix("_vip")
    path = path + "_vip" if rest.lower().endswith("vip") else path
    if sign == "#":
        liquid = {
            "if": f"{{% if {path} %}}",
            "unless": f"{{% unless {path} %}}",
            "each": f"{{% for item in {path} %}}",
        }.get(word, "a Liquid tag such as {% if ... %}")
    elif sign == "/":
        liquid = {"each": "{% endfor %}"}.get(word, f"{{% end{word} %}}")
    elif sign == ">":
        liquid = f"{{% render '{word or rest}' %}}"
    else:
        liquid = "{% else %}"
    raise UserError(f"{where}: {written!r} is Handlebars; in Liquid write {liquid!r}.")


def syntax_error(error: LiquidError, source: Source, env: Environment) -> UserError:
    """python-liquid's complaint as one sentence with file and line."""
    index = error.token.start_index if error.token is not None else -1
    message = str(error.message)
    if index < 0:
        open_tag = re.search(r"expected tag (end\w+)", message)
        index = len(source.text)
        if open_tag:
            opener = open_tag[1].removeprefix("end")
            starts = [m.start() for m in re.finditer(rf"\{{%-?\s*{opener}\b", source.text)]
            index = starts[-1] if starts else index
            message = f"this {{% {opener} %}} has no {{% {open_tag[1]} %}}"
        elif isinstance(error, LiquidError) and error.token is not None:
            snippet = error.token.value.strip()
            index = max(source.text.find(snippet), 0) if snippet else index
    if (tag := re.search(r"unexpected tag '(\w+)'", message)) is not None:
        ends = ["end" + n for n in ("if", "for", "case", "unless", "capture", "comment")]
        hint = did_you_mean(tag[1], [*env.tags, *ends]).rstrip("?")
        message = f"there is no tag {{% {tag[1]} %}} here{hint}"
    elif isinstance(error, TemplateNotFoundError):
        known = getattr(env.loader, "templates", {})
        name = str(error.args[0])
        ending = did_you_mean(name, known) or f"; add the file {name}.liquid there."
        return UserError(
            f"{source.where(index)}: there is no shared part {name!r} in _blocks{ending}"
        )
    return UserError(f"{source.where(index)}: the Liquid is not complete: {message}.")


class TemplateCheck:
    """One pass over a parsed template; raises at the first unknown thing."""

    def __init__(
        self,
        env: Environment,
        roots: Mapping[str, pa.DataType],
        partials: Mapping[str, Source],
    ) -> None:
        self.env, self.roots, self.partials = env, roots, partials
        self.usage = Usage()
        self._source = Source("", "", ())
        self._depth = 0

    def run(self, template: BoundTemplate, source: Source) -> Usage:
        """Check a template; `usage` grows with each one.

        Raises:
            UserError: a variable, a field, a filter or a shared part that does not exist.
        """
        self._source = source
        self._nodes(template.nodes, [{}], RenderContext(template))
        return self.usage

    def _nodes(
        self, nodes: Iterable[Node], scopes: list[dict[str, pa.DataType]], context: RenderContext
    ) -> None:
        for node in nodes:
            self._node(node, scopes, context)

    def _node(
        self, node: Node, scopes: list[dict[str, pa.DataType]], context: RenderContext
    ) -> None:
        if isinstance(node, RenderNode):
            self._partial(node, scopes, context)
            return
        for expression in node.expressions():
            self._expression(expression, scopes)
        if isinstance(node, AssignNode):
            scopes[0][str(node.name)] = self._type(node.expression, scopes)
        else:
            for name in node.template_scope():
                scopes[0][str(name)] = ANY
        inner: dict[str, pa.DataType] = {str(name): ANY for name in node.block_scope()}
        if isinstance(node, ForNode):
            inner[node.expression.identifier] = self._item(node.expression.iterable, scopes)
            inner["forloop"] = FORLOOP
        children = node.children(context, include_partials=False)
        self._nodes(children, [*scopes, inner], context)

    def _partial(
        self, node: RenderNode, scopes: list[dict[str, pa.DataType]], context: RenderContext
    ) -> None:
        name = str(node.name.value) if hasattr(node.name, "value") else str(node.name)
        if name not in self.partials:
            raise UserError(
                f"{self._source.where(node.token.start_index)}: there is no shared part {name!r} "
                f"in _blocks{did_you_mean(name, self.partials) or '; add the file there'}"
            )
        inner = {str(a.name): self._type(a.value, scopes) for a in node.args}
        for argument in node.args:
            self._expression(argument.value, scopes)
        if node.var is not None:
            self._expression(node.var, scopes)
            alias = str(node.alias or name)
            inner[alias] = (
                self._item(node.var, scopes) if node.loop else self._type(node.var, scopes)
            )
            inner["forloop"] = FORLOOP
        if self._depth > 10:
            raise UserError(f"The shared part {name!r} renders itself; break the circle.")
        outer, self._source = self._source, self.partials[name]
        self._depth += 1
        self._nodes(self.env.get_template(name).nodes, [inner], context)
        self._depth -= 1
        self._source = outer

    def _expression(self, expression: Expression, scopes: Sequence[dict[str, pa.DataType]]) -> None:
        for name, span in _extract_filters(expression, ""):
            if name not in self.env.filters:
                raise UserError(
                    f"{self._source.where(span.index)}: there is no filter {name!r}"
                    f"{did_you_mean(name, self.env.filters) or '.'}"
                )
        if isinstance(expression, Path):
            self._resolve(expression, scopes)
            return
        for child in expression.children():
            self._expression(child, scopes)

    def _item(self, iterable: Expression, scopes: Sequence[dict[str, pa.DataType]]) -> pa.DataType:
        found = self._type(iterable, scopes)
        if pa.types.is_list(found):
            return found.value_type
        if not pa.types.is_null(found):
            raise UserError(
                f"{self._source.where(iterable.token.start_index)}: {iterable} is not a list, so "
                f"{{% for %}} can't go through it."
            )
        return ANY

    def _type(
        self, expression: Expression, scopes: Sequence[dict[str, pa.DataType]]
    ) -> pa.DataType:
        if isinstance(expression, Path):
            return self._resolve(expression, scopes)
        if isinstance(expression, RangeLiteral):
            return pa.list_(pa.int64())
        if not isinstance(expression, FilteredExpression):
            return ANY
        found = self._type(expression.left, scopes)
        for filter_ in expression.filters or ():
            is_list = pa.types.is_list(found)
            if filter_.name in ("first", "last") and is_list:
                found = found.value_type
            elif not (filter_.name == "default" or (filter_.name in KEEPS_LIST and is_list)):
                found = ANY
        return found

    def _resolve(self, path: Path, scopes: Sequence[dict[str, pa.DataType]]) -> pa.DataType:
        for segment in path.path:
            if isinstance(segment, Path):
                self._resolve(segment, scopes)
        root = path.path[0]
        scope = next((s for s in reversed(scopes) if root in s), None)
        if scope is not None:
            found = scope[str(root)]
        elif isinstance(root, str) and root in self.roots:
            found = self.roots[root]
            self.usage.add(root, str(path.path[1]) if len(path.path) > 1 else "*")
        else:
            known = [*self.roots, *(n for s in scopes for n in s)]
            raise self._unknown(path, 0, known)
        for position, segment in enumerate(path.path[1:], start=1):
            found = self._step(path, position, segment, found)
        return found

    def _step(self, path: Path, position: int, segment: object, found: pa.DataType) -> pa.DataType:
        if pa.types.is_null(found):
            return ANY
        if pa.types.is_struct(found):
            names = [found.field(i).name for i in range(found.num_fields)]
            if isinstance(segment, str) and segment in names:
                return found.field(segment).type
            if isinstance(segment, Path):
                raise UserError(
                    f"{self._source.where(path.token.start_index)}: {path} takes the name of a "
                    f"field from a variable, which can't be checked; name the field."
                )
            raise self._unknown(path, position, names)
        if pa.types.is_list(found):
            if isinstance(segment, int | Path) or segment in ("first", "last"):
                return found.value_type
            if segment == "size":
                return pa.int64()
            raise self._unknown(path, position, ["first", "last", "size"])
        if segment == "size":
            return pa.int64()
        raise self._unknown(path, position, ["size"])

    def _unknown(self, path: Path, position: int, known: Sequence[str]) -> UserError:
        before = ".".join(str(s) for s in path.path[:position])
        word = str(path.path[position])
        close = did_you_mean(word, known)
        if close:
            name = close.removeprefix(", did you mean '").removesuffix("'?")
            full = f"{before}.{name}" if before else name
            close = f", did you mean {full!r}?"
        whole = f"{before}.{word}" if before else word
        ending = close or f"; known here: {', '.join(sorted(known)[:8])}."
        return UserError(
            f"{self._source.where(path.token.start_index)}: there is no variable {whole!r}{ending}"
        )
