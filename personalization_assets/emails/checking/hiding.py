"""Liquid hidden from readers of XML and HTML: each token becomes a short word, and comes back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from liquid import escape

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.checking.dialect_table import LIQUID_TOKEN
from personalization_assets.emails.checking.findings import Place
from personalization_assets.emails.checking.sources import Converted, Source

BRAND_OUTPUT = re.compile(r"\{\{-?\s*brand\.([\w.]+)\s*-?\}\}")
PLACEHOLDER = re.compile(r"LQ(\d{5})X", re.IGNORECASE)  # names of attributes lose their case
PIECES = re.compile(
    rf"(?P<liquid>{LIQUID_TOKEN.pattern})|(?P<comment><!--.*?-->)"
    r"|(?P<tag><[A-Za-z][\w:-]*)|(?P<address>\s(?:href|src)\s*=\s*[\"'])",
    re.DOTALL,
)
MARK = re.compile(r"Zat(\d+)Z")
AT = "data-at"
"""Attribute that holds an offset into the author's text."""


@dataclass(frozen=True)
class Hidden:
    """A text without Liquid, the tokens that belong into it, how they were written, and where in
    the source each of them starts."""

    text: str
    tokens: Sequence[str]
    written: Sequence[str]
    starts: Sequence[int]

    def offset(self, index: int) -> int:
        """An offset into the hidden text (`hide`) as one into its source."""
        for found in PLACEHOLDER.finditer(self.text, 0, index):
            index += len(self.written[int(found[1])]) - len(found[0])
        return index

    def restored(self, text: str) -> str:
        """A text in which placeholders are Liquid again."""
        return PLACEHOLDER.sub(lambda m: self.tokens[int(m[1])], text)

    def put_back(self, html: str, source: Source) -> Converted:
        """The same for a whole text that was made of this one, with the places of its tokens."""
        pieces: list[str] = []
        places: list[tuple[int, int, int]] = []
        done = length = 0
        for match in PLACEHOLDER.finditer(html):
            number = int(match[1])
            token = self.tokens[number]
            pieces += [html[done : match.start()], token]
            length += match.start() - done
            places.append((length, len(token), self.starts[number]))
            length += len(token)
            done = match.end()
        return Converted("".join([*pieces, html[done:]]), source, tuple(places))

    def converted(self) -> str:
        """The MJML as HTML, still without its Liquid.

        Raises:
            ValueError: it is not MJML.
        """
        from mjml import mjml2html

        html: str = mjml2html(self.text, disable_comments=True)
        return html


def hide(source: Source, brand: Brand) -> Hidden:
    """Hide the Liquid of a source, with what the brand says filled in."""
    tokens = _Tokens(brand)
    return tokens.hidden(LIQUID_TOKEN.sub(lambda m: tokens.word(m), source.text))


def hide_with_places(source: Source, brand: Brand) -> Hidden:
    """The same with an offset at every tag and address, to find them again in what MJML makes of
    it. Only for looking at, never for sending.
    """
    tokens = _Tokens(brand)

    def piece(found: re.Match[str]) -> str:
        if found["liquid"]:
            return tokens.word(found)
        if found["tag"] and not found[0].startswith("<mj"):
            return f'{found[0]} {AT}="{found.start()}"'
        return f"{found[0]}Zat{found.start()}Z" if found["address"] else found[0]

    return tokens.hidden(PIECES.sub(piece, source.text))


def place_of(attributes: dict[str, str], source: Source) -> Place | None:
    """Where a tag of what `hide_with_places` made is written, if it says so."""
    if AT in attributes:
        return source.place(int(attributes[AT]))
    marks = (MARK.search(attributes.get(name, "")) for name in ("href", "src"))
    mark = next((m for m in marks if m), None)
    return source.place(int(mark[1]) + 1) if mark else None


class _Tokens:
    def __init__(self, brand: Brand) -> None:
        self.found: list[str] = []
        self.written: list[str] = []
        self.starts: list[int] = []
        self._brand = brand.model_dump(mode="json")

    def hidden(self, text: str) -> Hidden:
        return Hidden(text, self.found, self.written, self.starts)

    def word(self, match: re.Match[str]) -> str:
        token = match[0]
        self.written.append(token)
        self.starts.append(match.start())
        if (path := BRAND_OUTPUT.fullmatch(token)) is not None:
            value: Any = self._brand
            for name in path[1].split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, str):
                token = str(escape(value))
        self.found.append(token)
        return f"LQ{len(self.found) - 1:05d}X"
