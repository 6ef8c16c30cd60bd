"""Filters that mails need beside Liquid's own, and those that Shopify's authors know otherwise.

A filter marked `pure` gives equal results for equal arguments: its result may be worked out while
compiling, or kept from one row to the next.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache, wraps
from typing import Any, TypeVar
from urllib.parse import urlencode

from dateutil import parser
from liquid import Environment, Undefined
from liquid.exceptions import FilterArgumentError

Filter = TypeVar("Filter", bound=Callable[..., Any])

SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥", "CHF": "CHF", "PLN": "zł", "SEK": "kr"}
WITHOUT_CENTS = {"JPY", "KRW", "ISK", "CLP", "VND"}
THIN = "\u202f"
NBSP = "\u00a0"
STYLES: Mapping[str, tuple[str, str, bool]] = {
    # locale: thousands separator, decimal separator, symbol before the number
    "en": (",", ".", True),
    "nl": (".", ",", True),
    "de": (".", ",", False),
    "es": (".", ",", False),
    "it": (".", ",", False),
    "fr": (THIN, ",", False),
}
MOST_DIGITS = 400
"""Longest number that a filter rounds; more is a mistake, or meant to take time."""
PLAIN = (int, float)
MOST_PLAIN = 1e12
"""Numbers below have at most 15 digits with two places: a float tells those apart."""

CLOCK_FILTERS = frozenset({"date"})
"""Filters of python-liquid whose result depends on when they run."""


def pure(function: Filter) -> Filter:
    """Mark a filter as a function of its arguments alone."""
    function.pure = True  # type: ignore[attr-defined]
    return function


def is_pure(env: Environment, name: str) -> bool:
    """Whether a filter of an environment gives equal results for equal arguments."""
    function = env.filters.get(name)
    if function is None:
        return False
    if getattr(function, "pure", False):
        return True
    return function is _builtin().get(name) and name not in CLOCK_FILTERS


@cache
def _builtin() -> dict[str, Callable[..., Any]]:
    return Environment().filters


def bounded(
    builtin: Mapping[str, Callable[..., Any]], most_items: int | None, most_text: int | None
) -> dict[str, Callable[..., Any]]:
    """Those of python-liquid's filters that can take any memory within all limits of a template:
    the same, but a range of more than `most_items` is not made a list, and `join` and `replace`
    make no text of more than `most_text` characters.

    They raise FilterArgumentError.
    """

    def checked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def filter_(value: Any, *arguments: Any, **named: Any) -> Any:
            for given in (value, *arguments):
                if most_items and isinstance(given, range) and len(given) > most_items:
                    raise FilterArgumentError(f"{name}: the range is too long", token=None)
            if most_text and _length(name, value, arguments) > most_text:
                raise FilterArgumentError(f"{name}: the text gets too long", token=None)
            return function(value, *arguments, **named)

        return pure(filter_)

    return {name: checked(name, builtin[name]) for name in BOUNDED}


BOUNDED = (
    *("join", "replace", "first", "last", "concat", "map", "reverse", "sort", "sort_natural"),
    *("sum", "where", "reject", "find", "find_index", "has", "uniq", "compact"),
)


def _length(name: str, value: Any, arguments: tuple[Any, ...]) -> int:
    """How long the text of `join` or `replace` gets at most; 0 for other filters."""
    if name == "join" and isinstance(value, list | tuple | range):
        mark = len(str(arguments[0])) if arguments else 1
        return len(value) * mark + sum(len(item) for item in value if isinstance(item, str))
    if name == "replace" and arguments:
        text, old = str(value), str(arguments[0])
        new = str(arguments[1]) if len(arguments) > 1 else ""
        return len(text) + text.count(old) * len(new)
    return 0


def nothing(value: Any) -> bool:
    """Nil or undefined."""
    return value is None or isinstance(value, Undefined)


def to_decimal(value: Any, name: str) -> Decimal:
    """A number as written.

    Raises:
        FilterArgumentError: the value is no finite number of sensible length.
    """
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
        raise FilterArgumentError(f"{name} needs a number", token=None)
    return number


@pure
def round_half_up(value: Any, digits: Any = 0) -> Any:
    """2.5 becomes 3, as in Shopify's Liquid; nil stays nil."""
    if nothing(value):
        return None
    places = int(to_decimal(digits or 0, "round"))
    rounded = quantized(to_decimal(value, "round"), places, "round")
    return float(rounded) if places > 0 else int(rounded)


def quantized(number: Decimal, places: int, name: str) -> Decimal:
    """A number rounded half up to so many places after the point (before it, if below 0).

    Raises:
        FilterArgumentError: more digits than a number in a mail has.
    """
    try:
        return number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    except InvalidOperation as error:
        raise FilterArgumentError(f"{name} needs a smaller number", token=None) from error


@pure
def truncate(value: Any, length: Any = 50, end: Any = "...") -> Any:
    """At most `length` characters, the ending included; a text that fits is left alone."""
    if nothing(value):
        return None
    text, mark = str(value), str(end)
    room = int(to_decimal(length, "truncate"))
    return text if len(text) <= room else text[: max(room - len(mark), 0)] + mark


@pure
def truncatewords(value: Any, count: Any = 15, end: Any = "...") -> Any:
    """At most `count` words; a text that has no more is left alone."""
    if nothing(value):
        return None
    words = str(value).split()
    most = max(int(to_decimal(count, "truncatewords")), 1)
    return " ".join(words) if len(words) <= most else " ".join(words[:most]) + str(end)


def date_at(now: datetime) -> Callable[..., Any]:
    """The filter `date` at a frozen time: `now` is the run's, and what a text leaves out of a date
    is taken from it. Nil stays nil; a number is seconds since 1970, UTC."""

    @pure
    def date_(value: Any, form: Any = None) -> Any:
        if nothing(value):
            return None
        if nothing(form):
            return str(value)
        moment = _moment(value, now)
        if moment is None:
            if isinstance(value, str | int):
                return value
            raise FilterArgumentError("date needs a date", token=None)
        _refuse_wide(str(form))
        return moment.strftime(str(form))

    return date_


def _refuse_wide(form: str) -> None:
    """`%50000000Y` would print as many characters."""
    for part in form.split("%")[1:]:
        digits = part.lstrip("-_0^#")
        width = len(digits) - len(digits.lstrip("0123456789"))
        if width > 3:
            raise FilterArgumentError("date: the format is too wide", token=None)


def _moment(value: Any, now: datetime) -> date | None:
    if isinstance(value, datetime | date):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if value in ("now", "today"):
        return now
    try:
        if isinstance(value, int) or value.isdigit():
            return datetime.fromtimestamp(int(value), UTC).replace(tzinfo=None)
        found: date = parser.parse(value, default=datetime.combine(now.date(), time()))
    except (parser.ParserError, ValueError, OverflowError, OSError):
        return None
    return found


Number = int | float | Decimal


def _number(value: Any, name: str) -> Number:
    """A plain number that is not too long as it is; anything else as a decimal, or an error."""
    plain: Number = value
    return plain if type(value) in PLAIN and abs(value) < MOST_PLAIN else to_decimal(value, name)


def _grouped(number: Number, places: int, style: tuple[str, str, bool], name: str) -> str:
    thousands, point, _ = style
    text = _digits(number, places, name)
    if thousands == "," and point == ".":
        return text
    return text.replace(",", "\0").replace(".", point).replace("\0", thousands)


def _digits(number: Number, places: int, name: str) -> str:
    if type(number) in PLAIN and 0 <= places <= 2:
        text = f"{number:,.{places}f}"
        if float(text.replace(",", "")) == number:
            return text  # there was nothing to round
    rounded = quantized(to_decimal(number, name), places, name)
    return f"{rounded:,.{max(places, 0)}f}"


def money(currency: str, locale: str) -> Callable[..., Any]:
    """The filter `money`: an amount in the shop's currency, or in the one given, written as people
    of the locale (a key of `STYLES`) write it."""
    style = STYLES[locale]

    @pure
    def money_(value: Any, code: Any = None) -> Any:
        if nothing(value):
            return None
        code = currency if nothing(code) else str(code)
        number = _number(value, "money")
        places = 0 if code in WITHOUT_CENTS else 2
        text = _grouped(number, places, style, "money").removeprefix("-")
        sign = "-" if number < 0 and text.strip("0,.") else ""
        symbol = SYMBOLS.get(code, code)
        if style[2]:
            gap = NBSP if symbol[-1:].isalpha() else ""
            return f"{sign}{symbol}{gap}{text}"
        return f"{sign}{text}{NBSP}{symbol}"

    return money_


def number(locale: str) -> Callable[..., Any]:
    """The filter `number`: digits in groups, rounded to the places given (none by default)."""
    style = STYLES[locale]

    @pure
    def number_(value: Any, places: Any = 0) -> Any:
        if nothing(value):
            return None
        digits = int(to_decimal(places, "number"))
        return _grouped(_number(value, "number"), digits, style, "number")

    return number_


@pure
def number_with_delimiter(value: Any, delimiter: Any = ",", separator: Any = ".") -> Any:
    """1234567.5 becomes 1,234,567.5: groups of three, the digits after the point left alone."""
    if nothing(value):
        return None
    text = str(value)
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, rest = digits.partition(".")
    if not (whole.isdigit() and (rest.isdigit() or not point)) or len(whole) > MOST_DIGITS:
        return text
    grouped = f"{int(whole):,}".replace(",", str(delimiter))
    return f"{sign}{grouped}{str(separator) + rest if point else ''}"


def utm(tags: Mapping[str, str]) -> Callable[..., Any]:
    """The filter `utm`: a link with these tags, and `utm_content` where it is given."""
    query = urlencode(tags)

    @pure
    def utm_(value: Any, content: Any = None) -> Any:
        if nothing(value):
            return None
        extra = query if nothing(content) else query + "&" + urlencode({"utm_content": content})
        url, mark, fragment = str(value).partition("#")
        return url + ("&" if "?" in url else "?") + extra + mark + fragment

    return utm_
