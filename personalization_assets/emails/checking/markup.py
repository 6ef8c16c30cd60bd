"""HTML with Liquid in it as one tree: tags, and the Liquid blocks around them with their branches.

Only Liquid that stands between tags makes blocks; inside an attribute it is part of its value.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from personalization_assets.emails.checking.findings import Place
from personalization_assets.emails.checking.hiding import MARK, PLACEHOLDER, Hidden, place_of
from personalization_assets.emails.checking.sources import Source

OPENING = {"if", "unless", "case", "for", "tablerow", "capture", "ifchanged"}
BRANCHING = {"else", "elsif", "when"}
TAG_NAME = re.compile(r"\{%-?\s*(\w+)")


@dataclass(frozen=True)
class Tag:
    """A tag that opens, with its attributes as the author wrote them."""

    name: str
    attributes: dict[str, str]
    place: Place
    closed: bool = False


@dataclass(frozen=True)
class End:
    """A tag that closes."""

    name: str
    place: Place


@dataclass(frozen=True)
class Styles:
    """What stands in a <style> or <script>."""

    text: str
    place: Place


@dataclass
class Block:
    """A Liquid block: what its branches hold. `whole`: one of them is always taken."""

    kind: str
    place: Place
    branches: list[list["Item"]] = field(default_factory=lambda: [[]])
    whole: bool = False


Item = Tag | End | Styles | Block


def read_markup(html: str, hidden: Hidden, source: Source) -> list[Item]:
    """The tree of an HTML text that was made of a hidden source (`hide_with_places`)."""
    reader = _Reader(hidden, source)
    reader.feed(html)
    reader.close()
    return reader.items


def tags(items: list[Item]) -> Iterator[Tag | Styles]:
    """All opening tags, in whatever branch."""
    for item in items:
        if isinstance(item, Block):
            for branch in item.branches:
                yield from tags(branch)
        elif not isinstance(item, End):
            yield item


class _Reader(HTMLParser):
    def __init__(self, hidden: Hidden, source: Source) -> None:
        super().__init__(convert_charrefs=False)
        self._hidden, self._source = hidden, source
        self._place = source.place(0)
        self._into: list[list[Item]] = [[]]
        self._blocks: list[Block] = []
        self._skipping = ""

    @property
    def items(self) -> list[Item]:
        return self._into[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag(tag, attrs, closed=False)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag(tag, attrs, closed=True)

    def _tag(self, tag: str, attrs: list[tuple[str, str | None]], *, closed: bool) -> None:
        raw = {name: value or "" for name, value in attrs}
        self._place = place_of(raw, self._source) or self._place
        own = {name: self._hidden.restored(MARK.sub("", value)) for name, value in raw.items()}
        if not self._skipping:
            self._into[-1].append(Tag(tag, own, self._place, closed))

    def handle_endtag(self, tag: str) -> None:
        if not self._skipping:
            self._into[-1].append(End(tag, self._place))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self._into[-1].append(Styles(self._hidden.restored(data), self._place))
            return
        for found in PLACEHOLDER.finditer(data):
            name = TAG_NAME.match(self._hidden.tokens[int(found[1])])
            if name is not None:
                self._liquid(name[1])

    def _liquid(self, name: str) -> None:
        if self._skipping:
            self._skipping = "" if name == f"end{self._skipping}" else self._skipping
        elif name in ("comment", "raw"):
            self._skipping = name
        elif name in OPENING:
            block = Block(name, self._place)
            self._into[-1].append(block)
            self._blocks.append(block)
            self._into.append(block.branches[0])
        elif name in BRANCHING and self._blocks:
            block = self._blocks[-1]
            block.whole = block.whole or name == "else"
            if block.kind == "case" and name == "when" and len(block.branches) == 1:
                block.branches[0] = []  # what stands before the first `when` is not rendered
                self._into[-1] = block.branches[0]
                block.kind = "cases"
            else:
                block.branches.append([])
                self._into[-1] = block.branches[-1]
        elif name.startswith("end") and self._blocks and name != "endcomment":
            self._blocks.pop()
            self._into.pop()
