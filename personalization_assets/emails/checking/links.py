"""Rules on single tags: links, images, styles, and what does not work in a mail."""

import re
from urllib.parse import urlsplit

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.checking.findings import Findings, near_of
from personalization_assets.emails.checking.hiding import PLACEHOLDER, Hidden
from personalization_assets.emails.checking.markup import Item, Styles, Tag, tags
from personalization_assets.emails.checking.sources import Source
from personalization_assets.emails.problems import did_you_mean

ACTIVE = {"script", "iframe", "object", "embed", "applet"}
FORMS = {"form", "input", "select", "textarea", "button"}
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
BAD_SCHEMES = {"javascript", "data", "vbscript", "file", "about"}
IMPORT = re.compile(r"@import\s+(?:url\()?[\"']?([^\"')\s;]+)")
WIDTH = re.compile(r"(?:^|;)\s*(?:max-)?width\s*:", re.IGNORECASE)
MJ_TAG = re.compile(r"<(mj-[a-z-]+)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
MJ_NAMES = """
accordion accordion-element accordion-text accordion-title all attributes body breakpoint button
carousel carousel-image class column divider font group head hero html-attributes html-attribute
selector image include navbar navbar-link preview raw section social social-element spacer style
table text title wrapper
"""
MJ_TAGS = {f"mj-{name}" for name in MJ_NAMES.split()}
UNUSED = re.compile(r"<mj-attributes>.*?</mj-attributes>|<!--.*?-->", re.DOTALL)
"""Defaults, which MJML writes where they are needed, and comments, which it drops."""
LONGEST = 60
"""Characters of an address that a message repeats."""


def check_tags(items: list[Item], brand: Brand, findings: Findings) -> None:
    """Look at every tag of a mail."""
    rules = _TagRules(brand, findings)
    for item in tags(items):
        rules.look(item)


def check_mjml(source: Source, hidden: Hidden, findings: Findings) -> None:
    """What only the MJML shows: unknown elements, buttons without a link, the language."""
    unused = [m.span() for m in UNUSED.finditer(hidden.text)]
    for found in MJ_TAG.finditer(hidden.text):
        if any(begin <= found.start() < end for begin, end in unused):
            continue
        name, attributes = found[1], found[2]
        place = source.place(hidden.offset(found.start()))
        if name not in MJ_TAGS:
            near = near_of(did_you_mean(name, MJ_TAGS), "see https://documentation.mjml.io")
            findings.add("mjml_unknown", place, tag=name, **near)
        if name == "mj-button" and not re.search(r"\shref\s*=", attributes):
            findings.add("button_link", place)
    root = re.search(r"<mjml\b([^>]*)>", hidden.text)
    if root and not re.search(r"\slang\s*=\s*[\"'][^\"']", root[1]):
        findings.add("html_lang", source.place(hidden.offset(root.start())), root="mjml")


def check_lost(source: Source, hidden: Hidden, html: str, findings: Findings) -> None:
    """Liquid tags that MJML has left out, as it does with attributes that it does not know."""
    kept = {int(found[1]) for found in PLACEHOLDER.finditer(html)}
    unused = [m.span() for m in UNUSED.finditer(hidden.text)]
    for found in PLACEHOLDER.finditer(hidden.text):
        number, start = int(found[1]), found.start()
        token = hidden.written[number]
        spare = any(begin <= start < end for begin, end in unused)
        if number not in kept and token.startswith("{%") and not spare:
            findings.add("liquid_lost", source.place(hidden.offset(start)), written=_short(token))


class _TagRules:
    def __init__(self, brand: Brand, findings: Findings) -> None:
        self._findings = findings
        self._shop = {
            urlsplit(url).hostname
            for url in (brand.site_url, brand.bestsellers_url, brand.cart_url, brand.product_url)
        }
        self._own = (brand.unsubscribe_url, brand.preferences_url)
        self._imported: set[str] = set()

    def look(self, item: Tag | Styles) -> None:
        """Apply what concerns a tag."""
        if isinstance(item, Styles):
            for url in IMPORT.findall(item.text):
                self._external(url, item)
            return
        for name in item.attributes:
            if re.fullmatch(r"on[a-z]+", name):
                self._findings.add("html_active", item.place, what=f"{name}=")
        if item.name in ACTIVE:
            self._findings.add("html_active", item.place, what=f"<{item.name}>")
        elif item.name in FORMS:
            self._findings.add("html_form", item.place, tag=item.name)
        elif item.name == "link" and "stylesheet" in item.attributes.get("rel", ""):
            self._external(item.attributes.get("href", ""), item)
        elif item.name == "img":
            self._image(item)
        if item.name in ("a", "area") and "href" in item.attributes:
            self._link(item)

    def _external(self, url: str, item: Tag | Styles) -> None:
        host = urlsplit(url).hostname or url
        if host not in self._imported:
            self._imported.add(host)
            self._findings.add("external_css", item.place, host=host)

    def _link(self, item: Tag) -> None:
        link = item.attributes["href"].strip()
        shown = {"link": _short(link)}
        scheme = SCHEME.match(link)
        if link in ("", "#"):
            self._findings.add("link_empty", item.place, **shown)
        elif link.startswith(("{{", "{%", "#")):
            return  # names are looked up elsewhere; '#name' is a place in the mail
        elif scheme is None or _is_host(link):
            self._findings.add("link_scheme", item.place, **shown)
        elif scheme[0][:-1].lower() in BAD_SCHEMES:
            self._findings.add("link_script", item.place, **shown)
        else:
            if scheme[0].lower() == "http:":
                self._findings.add("link_http", item.place, **shown)
            self._tagged(link, item)

    def _tagged(self, link: str, item: Tag) -> None:
        try:
            host = urlsplit(link).hostname
        except ValueError:
            return
        own = link.startswith(self._own)
        if host in self._shop and "utm_" not in link and not own:
            self._findings.add("link_untagged", item.place, link=link)

    def _image(self, item: Tag) -> None:
        source = item.attributes.get("src", "").strip()
        shown = {"link": _short(source)}
        scheme = SCHEME.match(source)
        if not source.startswith(("{{", "{%")):
            if scheme is None or scheme[0].lower() not in ("https:", "http:"):
                self._findings.add("image_source", item.place, **shown)
            elif scheme[0].lower() == "http:":
                self._findings.add("image_http", item.place, **shown)
        liquid = any(PLACEHOLDER.fullmatch(name) for name in item.attributes)
        if "alt" not in item.attributes and not liquid:
            self._findings.add("image_alt", item.place)
        style = item.attributes.get("style", "")
        if not item.attributes.get("width") and not WIDTH.search(style) and not liquid:
            self._findings.add("image_width", item.place)


def _is_host(link: str) -> bool:
    """`shop.example.com:8080/x` reads like a scheme."""
    return re.match(r"[\w-]+(\.[\w-]+)+:\d", link) is not None


def _short(link: str) -> str:
    return link if len(link) <= LONGEST else link[: LONGEST - 3] + "..."
