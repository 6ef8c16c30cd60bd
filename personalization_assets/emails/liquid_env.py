"""The Liquid that campaigns are written in: python-liquid with the corrections authors expect.

Where python-liquid differs from Shopify's Liquid (`round` rounds half to even, `truncate` cuts a
text of exactly the limit, `limit: 0` renders everything, nil in a list prints `None`, a nil date
raises), Shopify's behaviour is put in its place. `now` is the time of the run, not of the clock.
An output that has nothing to print is counted in `MailEnvironment.holes`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, ClassVar, TextIO, cast
from urllib.parse import urlencode

from liquid import DictLoader, Environment, Mode, Token, TokenStream, Undefined
from liquid import escape as html_escape
from liquid.ast import BlockNode, Node
from liquid.builtin.expressions import LoopExpression, Path, parse_primitive
from liquid.builtin.filters.misc import date as liquid_date
from liquid.builtin.output import Output, OutputNode
from liquid.context import RenderContext
from liquid.exceptions import FilterArgumentError
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from liquid.tag import Tag
from liquid.template import BoundTemplate
from liquid.token import TOKEN_TAG

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.settings import EmailsSettings

SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥", "CHF": "CHF", "PLN": "zł", "SEK": "kr"}
WITHOUT_CENTS = {"JPY", "KRW", "ISK", "CLP", "VND"}
THIN = "\u202f"
NBSP = "\u00a0"
# locale: thousands separator, decimal separator, symbol before the number
NUMBER_STYLES = {
    "en": (",", ".", True),
    "nl": (".", ",", True),
    "de": (".", ",", False),
    "es": (".", ",", False),
    "it": (".", ",", False),
    "fr": (THIN, ",", False),
}


class MailOutputNode(OutputNode):
    """`{{ ... }}` that never prints `None` and counts itself when it has nothing to print."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the value, escaped where the environment says so."""
        value = self.expression.evaluate(context)
        if type(value) is str:
            return buffer.write(html_escape(value) if context.autoescape else value)
        if value is None or isinstance(value, Undefined):
            env = context.env
            if isinstance(env, MailEnvironment):
                env.holes += 1
            return 0
        if isinstance(value, list):
            value = [item for item in value if item is not None]
        return buffer.write(to_liquid_string(value, context.autoescape))


class MailOutput(Output):
    """Registers `MailOutputNode` for output statements."""

    node_class = MailOutputNode


class MailPath(Path):
    """A path such as `p.name` through plain dictionaries, which is nearly all of them; anything
    else goes the long way. Look-ups are 40 % of the time of a mail."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        """The value, as python-liquid finds it."""
        scope = found = cast(Any, context.scope)
        try:
            for segment in self.path:
                if type(segment) is not str or (type(found) is not dict and found is not scope):
                    return super().evaluate(context)
                found = found[segment]
        except KeyError:
            return super().evaluate(context)
        return found


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


class MailLoop(LoopExpression):
    """A `for` loop in which `limit: 0` means none."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> tuple[Any, int]:
        """The items to loop over, and how many."""
        if self.limit is not None and self.limit.evaluate(context) == 0:
            return iter([]), 0
        return super().evaluate(context)


class MailBlock(BlockNode):
    """The inside of a tag. `include`, the one tag that Liquid switches off within others, is not
    known here, so no node is asked whether it may run."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the nodes in order."""
        if self.blank:
            return super().render_to_output(context, buffer)
        written = 0
        for node in self.nodes:
            written += node.render_to_output(context, buffer)
        return written


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


class MailEnvironment(Environment):
    """Liquid for one campaign variant: frozen time, money in the brand's style, limits."""

    context_depth_limit: ClassVar[int] = 12

    def __init__(
        self,
        *,
        html: bool,
        brand: Brand,
        utm: Mapping[str, str],
        as_of: datetime,
        settings: EmailsSettings,
        partials: Mapping[str, str],
    ) -> None:
        super().__init__(
            tolerance=Mode.STRICT,
            autoescape=html,
            strict_filters=True,
            loader=PartLoader(partials),
        )
        self.holes = 0
        # Limits are class attributes in python-liquid; each environment gets its own values. Its
        # limit on output encodes every piece a second time; `render` measures the whole instead,
        # which the limit on loops keeps within bounds.
        self.output_limit = settings.output_limit
        self.loop_iteration_limit = settings.loop_limit  # type: ignore[misc]
        self.local_namespace_limit = settings.output_limit  # type: ignore[misc]
        self.add_tag(MailOutput)
        self.add_tag(AbortTag)
        del self.tags["include"]  # shares the caller's variables; `render` does not
        corrected: dict[str, Callable[..., Any]] = {
            "round": round_half_up,
            "truncate": truncate,
            "truncatewords": truncatewords,
            "date": self._date(as_of),
            "money": _money(brand),
            "number": _number(brand),
            "utm": _utm(utm),
        }
        for name, function in corrected.items():
            self.add_filter(name, function)

    def parse_mail(self, source: str, name: str) -> BoundTemplate:
        """Parse a template and put the corrected parts in.

        Raises:
            liquid.exceptions.LiquidError: the template is not Liquid.
        """
        template = self.from_string(source, name=name)
        for node in template.nodes:
            _correct(node, RenderContext(template))
        return template

    def _date(self, as_of: datetime) -> Callable[..., Any]:
        def date_(value: Any, fmt: Any = None) -> Any:
            if _nothing(value):
                return None
            if value in ("now", "today"):
                value = as_of
            if isinstance(value, datetime | date) and isinstance(fmt, str):
                return value.strftime(fmt)
            return liquid_date(value, fmt, environment=self)

        return date_


def _correct(node: Node, context: RenderContext) -> None:
    if type(node) is BlockNode:
        node.__class__ = MailBlock
    for expression in node.expressions():
        _correct_expression(expression)
    for child in node.children(context, include_partials=True):
        _correct(child, context)


def _correct_expression(expression: Expression) -> None:
    if type(expression) is LoopExpression:
        expression.__class__ = MailLoop
    elif type(expression) is Path:
        expression.__class__ = MailPath
    for child in expression.children():
        _correct_expression(child)


def _nothing(value: Any) -> bool:
    return value is None or isinstance(value, Undefined)


def _decimal(value: Any, name: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise FilterArgumentError(f"{name} needs a number", token=None)
    return number


def round_half_up(value: Any, digits: Any = 0) -> Any:
    """2.5 becomes 3, as in Shopify's Liquid; nil stays nil."""
    if _nothing(value):
        return None
    places = int(_decimal(digits or 0, "round"))
    step = Decimal(1).scaleb(-places)
    rounded = _decimal(value, "round").quantize(step, rounding=ROUND_HALF_UP)
    return float(rounded) if places > 0 else int(rounded)


def truncate(value: Any, length: Any = 50, end: Any = "...") -> Any:
    """At most `length` characters, the ending included; a text that fits is left alone."""
    if _nothing(value):
        return None
    text, mark = str(value), str(end)
    room = int(_decimal(length, "truncate"))
    return text if len(text) <= room else text[: max(room - len(mark), 0)].rstrip() + mark


def truncatewords(value: Any, count: Any = 15, end: Any = "...") -> Any:
    """At most `count` words; a text that has no more is left alone."""
    if _nothing(value):
        return None
    words = str(value).split()
    most = max(int(_decimal(count, "truncatewords")), 1)
    return " ".join(words) if len(words) <= most else " ".join(words[:most]) + str(end)


def _grouped(number: Decimal, places: int, style: tuple[str, str, bool]) -> str:
    rounded = number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    thousands, point, _ = style
    text = f"{rounded:,.{places}f}"
    return text.replace(",", "\0").replace(".", point).replace("\0", thousands)


def _money(brand: Brand) -> Callable[..., Any]:
    style = NUMBER_STYLES[brand.locale]

    def money(value: Any, currency: Any = None) -> Any:
        if _nothing(value):
            return None
        code = brand.currency if _nothing(currency) else str(currency)
        number = _decimal(value, "money")
        text = _grouped(abs(number), 0 if code in WITHOUT_CENTS else 2, style)
        sign = "-" if number < 0 and text.strip("0,.") else ""
        symbol = SYMBOLS.get(code, code)
        if style[2]:
            gap = NBSP if symbol[-1].isalpha() else ""
            return f"{sign}{symbol}{gap}{text}"
        return f"{sign}{text}{NBSP}{symbol}"

    return money


def _number(brand: Brand) -> Callable[..., Any]:
    style = NUMBER_STYLES[brand.locale]

    def number(value: Any, places: Any = 0) -> Any:
        if _nothing(value):
            return None
        return _grouped(_decimal(value, "number"), int(_decimal(places, "number")), style)

    return number


def _utm(tags: Mapping[str, str]) -> Callable[..., Any]:
    query = urlencode(tags)

    def utm(value: Any, content: Any = None) -> Any:
        if _nothing(value):
            return None
        url = str(value)
        extra = query if _nothing(content) else query + "&" + urlencode({"utm_content": content})
        url, mark, fragment = url.partition("#")
        return url + ("&" if "?" in url else "?") + extra + mark + fragment

    return utm
