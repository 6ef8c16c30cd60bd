"""The Liquid of a batch: python-liquid in one of two profiles, with limits and a frozen time.

- `shopify`: where python-liquid differs from what a Shopify author knows (`round` rounds half to
  even, `truncate` cuts a text of exactly the limit, `limit: 0` renders everything, nil in a list
  prints `None`, a nil date raises, nil is not `blank`), Shopify's behaviour is put in its place.
  An output that has nothing to print is counted in `BatchEnvironment.holes`.
- `python-liquid`: python-liquid as it comes.

Both know `{% abort_message 'why' %}` and `number_with_delimiter`. Nothing in a template reaches the
network, a file or the clock.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any, ClassVar, Literal, TextIO

from liquid import DictLoader, Environment, Mode, Token, TokenStream, Undefined
from liquid.ast import Node
from liquid.builtin.expressions import parse_primitive
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.builtin.tags.tablerow_tag import TablerowNode, TablerowTag
from liquid.context import RenderContext
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.stringify import to_liquid_string
from liquid.tag import Tag
from liquid.template import BoundTemplate
from liquid.token import TOKEN_TAG

from personalization_assets.emails.liquid_batch import filters
from personalization_assets.emails.liquid_batch.blank import know_blank

Profile = Literal["shopify", "python-liquid"]


@dataclass(frozen=True)
class Limits:
    """What one row may take. None is without limit, as python-liquid has it."""

    loop_turns: int | None = 10_000
    """Turns of loops within each other, multiplied."""
    local_bytes: int | None = 1_000_000
    """Size of all local variables (`sys.getsizeof`)."""
    output_bytes: int | None = 1_000_000
    """Size of the text, in UTF-8."""
    depth: int = 30
    """Loops and partials within each other."""


class BatchContext(RenderContext):
    """A context whose limited buffers leave line breaks alone, as its unlimited ones do."""

    __slots__ = ()

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        """A buffer for a part of the text, limited to what the rest of it leaves."""
        if self.env.output_stream_limit is None:
            return StringIO()
        before = buf.size if isinstance(buf, LimitedStringIO) else 0
        return LimitedStringIO(limit=self.env.output_stream_limit - before, newline="")


class BatchTemplate(BoundTemplate):
    """A template that renders in a `BatchContext`."""

    context_class = BatchContext

    def __init__(self, env: Environment, nodes: list[Node], **kwargs: Any) -> None:
        super().__init__(env, nodes, **kwargs)
        if isinstance(env, BatchEnvironment) and env.profile == "shopify":
            know_blank(nodes, RenderContext(self))

    def _get_buffer(self) -> StringIO:
        limit = self.env.output_stream_limit
        return StringIO() if limit is None else LimitedStringIO(limit=limit, newline="")


class CountingOutputNode(OutputNode):
    """`{{ ... }}` that never prints `None` and counts itself when it has nothing to print."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the value, escaped where the environment says so."""
        value = self.expression.evaluate(context)
        if value is None or isinstance(value, Undefined):
            env = context.env
            if isinstance(env, BatchEnvironment):
                env.holes += 1
            return 0
        if isinstance(value, list):
            value = [item for item in value if item is not None]
        return buffer.write(to_liquid_string(value, context.autoescape))


class CountingOutput(Output):
    """Registers `CountingOutputNode` for output statements."""

    node_class = CountingOutputNode


class CountingEcho(EchoTag):
    """Registers `CountingOutputNode` for `echo`."""

    node_class = CountingOutputNode  # type: ignore[assignment]


class LimitedForNode(ForNode):
    """A `for` loop in which `limit: 0` means none."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Render the node, or what stands under `else`."""
        limit = self.expression.limit
        if limit is not None and limit.evaluate(context) == 0:
            return self.default.render(context, buffer) if self.default else 0
        return super().render_to_output(context, buffer)


class LimitedTablerowNode(TablerowNode):
    """A `tablerow` loop in which `limit: 0` means none."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Render the node, or nothing."""
        limit = self.expression.limit
        if limit is not None and limit.evaluate(context) == 0:
            return 0
        return super().render_to_output(context, buffer)


class LimitedFor(ForTag):
    """Registers `LimitedForNode`."""

    node_class = LimitedForNode


class LimitedTablerow(TablerowTag):
    """Registers `LimitedTablerowNode`."""

    node_class = LimitedTablerowNode


class AbortMail(Exception):  # noqa: N818
    """The template decided that this person gets no mail, and says why."""


class AbortNode(Node):
    """`{% abort_message 'why' %}`: ends the mail, which is then not sent."""

    __slots__ = ("reason",)

    def __init__(self, token: Token, reason: Expression) -> None:
        super().__init__(token)
        self.reason = reason
        self.blank = False

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Stop here."""
        raise AbortMail(str(self.reason.evaluate(context)))

    def expressions(self) -> Iterable[Expression]:
        """The reason."""
        yield self.reason


class AbortTag(Tag):
    """Registers `abort_message`."""

    name = "abort_message"
    block = False
    node_class = AbortNode

    def parse(self, stream: TokenStream) -> Node:
        """The tag takes one text."""
        token = stream.eat(TOKEN_TAG)
        inner = stream.into_inner(tag=token, eat=False)
        reason = parse_primitive(self.env, inner)
        inner.expect_eos()
        return self.node_class(token, reason)


class PartLoader(DictLoader):
    """Shared parts, parsed once for each environment."""

    def __init__(self, parts: Mapping[str, str]) -> None:
        super().__init__(dict(parts))
        self._parsed: dict[str, BoundTemplate] = {}

    def load(self, env: Environment, name: str, **kwargs: Any) -> BoundTemplate:
        """The part's template."""
        if name not in self._parsed:
            self._parsed[name] = super().load(env, name, **kwargs)
        return self._parsed[name]


class BatchEnvironment(Environment):
    """Where templates of a batch are parsed.

    `html` switches escaping on; `now` is the time that `now`, `today` and `date` know; `partials`
    are the parts that `render` and `include` find by name; `filters` come on top of Liquid's own.
    """

    context_depth_limit: ClassVar[int] = 30
    template_class = BatchTemplate

    def __init__(
        self,
        *,
        html: bool = False,
        now: datetime,
        profile: Profile = "shopify",
        limits: Limits | None = None,
        partials: Mapping[str, str] | None = None,
        extra_filters: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        super().__init__(
            tolerance=Mode.STRICT,
            autoescape=html,
            strict_filters=True,
            loader=PartLoader(partials or {}),
            globals={"now": now, "today": now.date()},
        )
        self.profile = profile
        self.holes = 0
        given = limits or Limits()
        # Limits are class attributes in python-liquid; each environment gets its own values.
        self.loop_iteration_limit = given.loop_turns  # type: ignore[misc]
        self.local_namespace_limit = given.local_bytes  # type: ignore[misc]
        self.output_stream_limit = given.output_bytes  # type: ignore[misc]
        self.context_depth_limit = given.depth  # type: ignore[misc]
        self.add_tag(AbortTag)
        bounded = filters.bounded(self.filters, given.loop_turns, given.output_bytes)
        for name, function in bounded.items():
            self.add_filter(name, function)
        self.add_filter("number_with_delimiter", filters.number_with_delimiter)
        if profile == "shopify":
            for tag in (CountingOutput, CountingEcho, LimitedFor, LimitedTablerow):
                self.add_tag(tag)
            self.add_filter("round", filters.round_half_up)
            self.add_filter("truncate", filters.truncate)
            self.add_filter("truncatewords", filters.truncatewords)
            self.add_filter("date", filters.date_at(now))
        for name, function in (extra_filters or {}).items():
            self.add_filter(name, function)
