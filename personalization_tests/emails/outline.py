"""A mail as text that a person can compare: what its HTML shows, line by line, with links and
pictures."""

import hashlib
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

BLOCKS = {"br", "div", "h1", "h2", "h3", "li", "p", "table", "td", "th", "tr"}
UNSEEN = {"head", "script", "style"}
FILLER = re.compile("[\u034f\u200c\xa0 ]{3,}")
TAGS = re.compile(r"utm_source=[^\s>]*?(?=&utm_content|[\s>]|$)")

SIGNATURE = re.compile(r"&s=[\w-]{43}")


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self._unseen = 0
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = dict(attrs)
        if tag in UNSEEN:
            self._unseen += 1
        if tag in BLOCKS:
            self.lines.append("")
        if "display:none" in (have.get("style") or ""):
            self.lines[-1] += "(hidden) "
        if tag == "img":
            self.lines[-1] += f"[picture {have.get('src')}: {have.get('alt')}]"
        if tag == "a":
            self._link = have.get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self._unseen -= 1
        if tag == "a" and self._link:
            self.lines[-1] += f" <{self._link}>"
            self._link = ""
        if tag in BLOCKS:
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.lines[-1] += re.sub(r"[\n\t ]+", " ", data)


def outline(html: str) -> str:
    """What a mail's HTML shows."""
    parser = _Outline()
    # What only Outlook reads says the same in other tags.
    parser.feed(re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL))
    lines = [FILLER.sub("", line).strip() for line in parser.lines]
    return "\n".join(line for line in lines if line)


def snapshot(title: str, mail: Mapping[str, Any]) -> str:
    """A mail in the form in which it is kept. Tags of links are named once; the hash is that of the
    whole HTML, so that looks can't change unseen."""
    if mail["status"] != "rendered":
        return f"{title}\n\n{mail['status']}: {mail['reason']}\n"
    digest = hashlib.sha256(mail["html"].encode()).hexdigest()[:16]
    parts = [
        title,
        f"Subject:   {mail['subject']}\nPreheader: {mail['preheader']}\n"
        f"HTML:      sha256 {digest}, {mail['bytes']} bytes, {mail['holes']} holes",
        f"--- html\n{outline(mail['html'])}",
        f"--- text\n{mail['text'].rstrip()}",
    ]
    whole = "\n\n".join(parts) + "\n"
    whole = SIGNATURE.sub(r"&s=...", whole)
    tags = TAGS.search(whole)
    if tags is not None:
        whole = whole.replace(tags[0], "{utm}").replace(
            "\n\n---", f"\n{{utm}}:     {tags[0]}\n\n---", 1
        )
    return whole
