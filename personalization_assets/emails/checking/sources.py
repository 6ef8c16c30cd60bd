"""Texts of templates, and which line of which file each of their characters came from."""

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from personalization_assets.emails.checking.findings import FoundError, Place, found, near_of
from personalization_assets.emails.problems import did_you_mean, line_of_bytes

INCLUDE = re.compile(r"""<mj-include\s+path\s*=\s*["']([^"']+)["']\s*(?:/>|>\s*</mj-include>)""")


@dataclass(frozen=True)
class Source:
    """A template's text and, for each of its lines, the file and line it came from.

    `indents` are the characters that a line has before what its file says there (an included part
    begins where the line with the include was indented to). `path` is the file itself.
    """

    name: str
    text: str
    lines: tuple[tuple[Path, int], ...]
    indents: tuple[int, ...] = ()
    path: Path = Path()

    @property
    def top(self) -> Place:
        """For what concerns the whole file."""
        return Place(self.path, 1)

    def place(self, index: int) -> Place:
        """Where an offset into the text is written."""
        start = max(index, 0)
        line = min(self.text.count("\n", 0, start), max(len(self.lines) - 1, 0))
        if not self.lines:
            return self.top
        path, number = self.lines[line]
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        indent = self.indents[line] if line < len(self.indents) else 0
        return Place(path, number, max(column - indent, 1))


@dataclass(frozen=True)
class Converted:
    """What MJML made of a source: its Liquid is that of the source, token for token.

    `tokens` are the tokens in the order of the text: where one starts, its length, and where it
    starts in the source. What lies between two of them is taken for the end of the first.
    """

    text: str
    source: Source
    tokens: tuple[tuple[int, int, int], ...]

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    def place(self, index: int) -> Place:
        """Where an offset into the text is written."""
        number = bisect.bisect_right(self.tokens, index, key=lambda token: token[0]) - 1
        if number < 0:
            return self.source.top
        start, length, origin = self.tokens[number]
        return self.source.place(origin + min(index - start, length - 1))


Written = Source | Converted
"""A text as it is parsed, which knows where it is written."""


def read_source(path: Path, blocks: Path, _open: tuple[Path, ...] = ()) -> Source:
    """A template file with its `<mj-include path="name.mjml" />` lines replaced by the files.

    Raises:
        FoundError: an included file is missing, includes itself, or a file is not UTF-8.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise FoundError(found("file_encoding", Place(path, line_of_bytes(data, error)))) from error
    if "\0" in text:  # UTF-16 of plain letters is UTF-8 with a zero after each of them
        place = Place(path, text.count("\n", 0, text.index("\0")) + 1)
        raise FoundError(found("file_encoding", place))
    out: list[str] = []
    lines: list[tuple[Path, int]] = []
    indents: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        include = INCLUDE.search(line)
        rest = line if include is None else line[: include.start()] + line[include.end() :]
        if "<mj-include" in rest:
            place = Place(path, number, line.rindex("<mj-include") + 1)
            raise FoundError(found("include_form", place))
        if include is None:
            out.append(line)
            lines.append((path, number))
            indents.append(0)
            continue
        place = Place(path, number, include.start() + 1)
        target = blocks / Path(include[1]).name
        if not target.is_file():
            have = [p.name for p in sorted(blocks.glob("*.mjml"))]
            near = near_of(did_you_mean(include[1], have), "add the file or remove the line")
            raise FoundError(
                found("include_unknown", place, name=include[1], folder=blocks, **near)
            )
        if target in (*_open, path):
            raise FoundError(found("include_circle", place, name=include[1]))
        inner = read_source(target, blocks, (*_open, path))
        out.append(line[: include.start()] + inner.text + line[include.end() :])
        lines += inner.lines
        indents += _indented(inner.indents, include.start())
    return Source(path.stem, "\n".join(out), tuple(lines), tuple(indents), path)


def _indented(indents: Sequence[int], first: int) -> list[int]:
    return [indents[0] + first, *indents[1:]] if indents else []
