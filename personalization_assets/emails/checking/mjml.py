"""MJML that can't be read: where, and in plain words. The library says little more than that."""

import re

from personalization_assets.emails.checking.balance import VOID
from personalization_assets.emails.checking.findings import Findings
from personalization_assets.emails.checking.hiding import Hidden
from personalization_assets.emails.checking.sources import Source

CLOSE = "check that every <mj-...> tag is closed and that '&' outside of Liquid is written '&amp;'"
NAME = r"[A-Za-z][\w:-]*"
ELEMENT = re.compile(
    rf"<(?P<end>/?)(?P<name>{NAME})(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?(?P<closed>/?)>"
)
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
OPENED = re.compile(rf"<(?:(?P<name>{NAME})(?P<rest>[^<]*)|(?P<loose>[^A-Za-z/!?]))")
ATTRIBUTES = re.compile(r"(?:\s+[\w:.-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'))?)*\s*/?>", re.ASCII)
ODD_QUOTES = re.compile(r"=\s*[“”„‟«»‘’‚‹›]")


def note_mjml(error: ValueError, hidden: Hidden, source: Source, findings: Findings) -> None:
    """Say what is wrong in a body that is not MJML, as far as can be told."""
    index, problem, remedy = _look(hidden.text) or (None, "", "")
    if index is None:
        at = re.search(r"at position (\d+)", str(error))
        # The library counts bytes.
        before = hidden.text.encode()[: int(at[1])] if at is not None else b""
        index, problem, remedy = len(before.decode(errors="ignore")), str(error), CLOSE
    place = source.place(hidden.offset(index)) if index else source.top
    findings.add("mjml_invalid", place, problem=problem, remedy=remedy)


def _look(text: str) -> tuple[int, str, str] | None:
    """The first mistake of those that authors make: its offset, what it is, what to do."""
    if not text.strip():
        return 0, "the body is empty", "write <mjml> with an <mj-body> in it"
    root = re.match(r"(?:\s|<!--.*?-->|<\?.*?\?>)*", text, re.DOTALL)
    start = root.end() if root is not None else 0
    if not text.startswith("<mjml", start):
        remedy = "begin with <mjml>, or call a body in HTML body.html and name it in a variant"
        return start, "the body does not begin with <mjml>", remedy
    for comment in COMMENT.finditer(text):
        if "--" in comment[1]:
            at = comment.start(1) + comment[1].index("--")
            return at, "there is '--' inside of a comment", "take it out"
    text = COMMENT.sub(lambda m: " " * len(m[0]), text)
    for found in OPENED.finditer(text):
        if found["loose"]:
            return found.start(), "there is a '<' that begins no tag", "write it as &lt;"
        if ATTRIBUTES.match(found["rest"]) is None:
            problem = f"the attributes of <{found['name']}> can't be read"
            if ODD_QUOTES.search(found["rest"]) is not None:
                problem = f"<{found['name']}> has typographic quotation marks around a value"
            return found.start(), problem, 'write each as name="value"'
    return _unclosed(text)


def _unclosed(text: str) -> tuple[int, str, str] | None:
    opened: list[re.Match[str]] = []
    for tag in ELEMENT.finditer(text):
        name = tag["name"]
        if not tag["end"]:
            if not tag["closed"] and name not in VOID:
                opened.append(tag)
        elif opened and opened[-1]["name"] == name:
            opened.pop()
        elif any(other["name"] == name for other in opened):
            break
        else:
            return tag.start(), f"this </{name}> closes nothing", "take it out"
    if not opened:
        return None
    name = opened[-1]["name"]
    return opened[-1].start(), f"this <{name}> has no </{name}>", "close it"
