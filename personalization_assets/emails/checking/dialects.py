"""Other template languages, recognised in an imported template and said again in Liquid."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from personalization_assets.emails.checking.dialect_table import DIALECTS, JINJA, LIQUID_TOKEN
from personalization_assets.emails.checking.findings import Findings
from personalization_assets.emails.checking.names import Names
from personalization_assets.emails.checking.sources import Source

LONGEST = 60
"""Characters of an author's text that a message repeats."""


@dataclass(frozen=True)
class Written:
    """What was recognised: an offset, the text, whose it is and what Liquid writes instead."""

    start: int
    text: str
    dialect: str
    liquid: str


def refuse_dialects(source: Source, names: Names, findings: Findings) -> bool:
    """Note every construct of another language; False if there is none."""
    found = {written.start: written for written in _jinja(source.text, names)}
    taken: list[range] = []
    for dialect, pattern, translate in DIALECTS:
        for match in pattern.finditer(source.text):
            start, end = match.span()
            if not any(start < span.stop and span.start < end for span in taken):
                taken.append(range(start, end))
                liquid = translate(match, names, source.text)
                found[start] = Written(start, match[0], dialect, liquid)
    for start, written in sorted(found.items()):
        if any(start in span and start != span.start for span in taken):
            continue
        words = " ".join(written.text.split())
        short = words if len(words) <= LONGEST else words[: LONGEST - 3] + "..."
        findings.add(
            "foreign_syntax",
            source.place(start),
            written=short,
            dialect=written.dialect,
            liquid=written.liquid,
        )
    return bool(found)


def _jinja(text: str, names: Names) -> Iterator[Written]:
    """Jinja that looks like Liquid; quoted text inside a tag is not looked at."""

    for token in LIQUID_TOKEN.finditer(text):
        masked = re.sub(
            r"'[^']*'|\"[^\"]*\"", lambda m: '"' + "_" * (len(m[0]) - 2) + '"', token[0]
        )
        for pattern, translate in JINJA:
            match = pattern.search(masked)
            if match is None:
                continue

            def part(name: str, found: re.Match[str] = match, whole: str = token[0]) -> str:
                start, end = found.span(name)
                return whole[start:end].strip() if start >= 0 else ""

            yield Written(token.start(), token[0], "Jinja", translate(part, names))
            break
