"""Tags that one branch of a condition opens or closes and the others do not.

Tolerant: what a condition opens, another condition may close, as in a grid that opens a row at
every other product. What a condition opens and the mail always closes, or the other way round, is
noted.
"""

from dataclasses import dataclass, replace

from personalization_assets.emails.checking.findings import Findings, Place
from personalization_assets.emails.checking.markup import Block, End, Item, Tag

VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
)
OPTIONAL = frozenset(
    ("p", "li", "dt", "dd", "option", "html", "head", "body", "thead", "tbody", "tfoot")
)
"""Tags that need no end in HTML."""


@dataclass(frozen=True)
class Loose:
    """A tag whose other half is elsewhere. `sure`: it is there in every mail."""

    name: str
    place: Place
    sure: bool = True


def check_balance(items: list[Item], findings: Findings) -> None:
    """Note what does not fit."""
    closes, opens = _Balance(findings).of(items)
    for loose in (*closes, *opens):
        words = "is opened and never closed" if loose in opens else "is closed and never opened"
        if not loose.sure:
            words = words.replace("is ", "is in one branch ", 1)
        findings.add("html_unbalanced", loose.place, tag=loose.name, what=words.removeprefix("is "))


class _Balance:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def of(self, items: list[Item]) -> tuple[list[Loose], list[Loose]]:
        """What a sequence closes without having opened it, and opens without closing it."""
        closes: list[Loose] = []
        opens: list[Loose] = []
        for item in items:
            if isinstance(item, Block):
                inner_closes, inner_opens = self._block(item)
                for loose in inner_closes:
                    self._close(loose, opens, closes)
                opens += inner_opens
            elif isinstance(item, Tag):
                if not item.closed and item.name not in VOID | OPTIONAL:
                    opens.append(Loose(item.name, item.place))
            elif isinstance(item, End) and item.name not in VOID | OPTIONAL:
                self._close(Loose(item.name, item.place), opens, closes)
        return closes, opens

    def _close(self, end: Loose, opens: list[Loose], closes: list[Loose]) -> None:
        at = next((i for i in reversed(range(len(opens))) if opens[i].name == end.name), None)
        if at is None:
            closes.append(end)
            return
        for left in opens[at + 1 :]:
            self._note(left, "opened and not closed before the end of what it lies in")
        begin = opens[at]
        del opens[at:]
        if begin.sure and not end.sure:
            self._note(end, "always opened, but closed in one branch only")
        elif end.sure and not begin.sure:
            self._note(begin, "opened in one branch, but always closed")

    def _block(self, block: Block) -> tuple[list[Loose], list[Loose]]:
        effects = [self.of(branch) for branch in block.branches]
        if block.kind in ("for", "tablerow"):
            for closes, opens in effects:
                for loose in closes:
                    self._note(loose, "closed in every turn of a loop, but opened outside of it")
                for loose in opens:
                    self._note(loose, "opened in every turn of a loop and not closed in it")
            return [], []
        if block.kind == "capture":
            return [], []
        if not block.whole:
            effects.append(([], []))
        return _shared([e[0] for e in effects]), _shared([e[1] for e in effects])

    def _note(self, loose: Loose, what: str) -> None:
        self._findings.add("html_unbalanced", loose.place, tag=loose.name, what=what)


def _shared(effects: list[list[Loose]]) -> list[Loose]:
    """One list for all branches: what they have in common is sure, the rest of the longest not."""
    longest = max(effects, key=len)
    same = 0
    while all(len(e) > same and e[same].name == longest[same].name for e in effects):
        same += 1
    common = [
        replace(loose, sure=all(e[i].sure for e in effects))
        for i, loose in enumerate(longest[:same])
    ]
    return common + [replace(loose, sure=False) for loose in longest[same:]]
