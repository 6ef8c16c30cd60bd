"""A variant's four texts, parsed and looked at: what the rules say about each of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from liquid import escape
from liquid.context import RenderContext
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.checking.balance import check_balance
from personalization_assets.emails.checking.dialects import refuse_dialects
from personalization_assets.emails.checking.findings import Findings, FoundError
from personalization_assets.emails.checking.hiding import hide, hide_with_places
from personalization_assets.emails.checking.links import check_lost, check_mjml, check_tags
from personalization_assets.emails.checking.markup import Tag, read_markup, tags
from personalization_assets.emails.checking.measures import (
    Scale,
    html_bytes,
    presence,
    texts,
    weigh,
)
from personalization_assets.emails.checking.mjml import note_mjml
from personalization_assets.emails.checking.names import Names
from personalization_assets.emails.checking.sources import (
    Converted,
    Source,
    Written,
    read_source,
)
from personalization_assets.emails.checking.syntax import loose_half, note_syntax, refuse_braces
from personalization_assets.emails.checking.variables import TemplateCheck
from personalization_assets.emails.liquid_env import MailEnvironment

LONGEST_SUBJECT = 150
SHORTEST_SHOUT = 8
"""Letters from which on a text in capitals is shouting."""
NEAR_CLIP = 0.8
UNSUBSCRIBE_LINK = re.compile(r"https?://[^\s\"'<>]*unsubscribe", re.IGNORECASE)
Environments = Mapping[bool, MailEnvironment]
"""By whether it is for HTML."""


@dataclass(frozen=True)
class Shop:
    """What a mail is checked against."""

    brand: Brand
    contract: Mapping[str, pa.DataType]
    promotional: bool
    products: int
    clip_bytes: int


@dataclass(frozen=True)
class Parsed:
    """A variant's templates by part, the texts that they were parsed from, the authors' texts, and
    the columns that they use."""

    templates: Mapping[str, BoundTemplate]
    texts: Mapping[str, Written]
    sources: Mapping[str, Source]
    partials: Mapping[str, Source]
    customer_fields: frozenset[str]


def read_partials(blocks: Path, findings: Findings) -> dict[str, Source]:
    """The shared parts by name."""
    found = {path.stem: _read(path, blocks, findings) for path in sorted(blocks.glob("*.liquid"))}
    return {name: source for name, source in found.items() if source is not None}


def parse_mail(
    files: Mapping[str, Path],
    partials: Mapping[str, Source],
    environments: Environments,
    shop: Shop,
    findings: Findings,
) -> Parsed | None:
    """Read, parse and check the texts of a mail; None if one of them can't be used.

    `files` are those of subject, preheader, html and text.
    """
    names = Names(shop.contract)
    folder = files["html"].parent
    blocks = folder.parent / "_blocks"

    def refused(source: Source) -> bool:
        return refuse_braces(source, shop.contract, findings) or refuse_dialects(
            source, names, findings
        )

    broken = {name for name, source in partials.items() if refused(source)}
    for name, source in partials.items():
        if name not in broken and _parse(environments[False], source, findings) is None:
            broken.add(name)
    sources: dict[str, Source] = {}
    texts: dict[str, Written] = {}
    templates: dict[str, BoundTemplate] = {}
    used: set[str] = set()
    for part, path in files.items():
        source_read = _read(path, blocks, findings)
        if source_read is None or refused(source_read):
            continue
        env = environments[part == "html"]
        parsed = _parse(env, source_read, findings)
        if parsed is None:
            continue
        check = TemplateCheck(env, shop.contract, partials, findings, broken)
        used |= check.run(parsed, source_read).fields.get("customer", set())
        if check.circular:
            continue
        sources[part] = source_read
        texts[part] = source_read
        if part != "html":
            templates[part] = parsed
        elif (made := _html(env, source_read, shop, findings)) is not None:
            templates[part], texts[part] = made
    if broken or set(templates) != set(files):
        return None
    check_subject(templates["subject"], sources["subject"], findings)
    check_preheader(templates, sources, findings)
    check_text(templates["text"], sources["text"], shop, findings)
    return Parsed(templates, texts, sources, partials, frozenset(used))


# --- the parts of a mail -------------------------------------------------------------------------


def check_subject(template: BoundTemplate, source: Source, findings: Findings) -> None:
    """Empty, long, loud."""
    start = source.top
    words = Scale(lambda text: len(text.strip()), output=lambda _: 1)
    if not weigh(template, words):
        findings.add("subject_empty", start)
        return
    shortest = Scale(words.text, words.output, turns=lambda _: 0, choose=min)
    if not weigh(template, shortest):
        findings.add("subject_may_be_empty", start)
    length = weigh(template, Scale(lambda text: len(" ".join(text.split()))))
    if length > LONGEST_SUBJECT:
        findings.add("subject_long", start, length=length)
    count = weigh(template, Scale(lambda text: text.count("!")))
    if count > 1:
        findings.add("subject_exclamation", start, count=count)
    for content in texts(template.nodes, RenderContext(template)):
        letters = [c for c in content.text if c.isalpha()]
        if len(letters) >= SHORTEST_SHOUT and all(c == c.upper() for c in letters):
            place = source.place(content.token.start_index)
            findings.add("subject_capitals", place, text=" ".join(content.text.split()))


def check_preheader(
    templates: Mapping[str, BoundTemplate], sources: Mapping[str, Source], findings: Findings
) -> None:
    """It says something, and the mail shows it."""
    if not weigh(templates["preheader"], Scale(lambda text: len(text.strip()), lambda _: 1)):
        findings.add(
            "preheader_missing",
            sources["preheader"].top,
            what="the preheader is empty",
            remedy="write one",
        )
    shown = presence(templates["html"], "mail.preheader", re.compile("(?!)"))
    if shown == "never":
        findings.add(
            "preheader_missing",
            sources["html"].top,
            what="the mail does not show its preheader",
            remedy="add <mj-preview>{{ mail.preheader }}</mj-preview> or a hidden <div>",
        )


def check_text(template: BoundTemplate, source: Source, shop: Shop, findings: Findings) -> None:
    """Not empty; for promotional mail, a way to unsubscribe."""
    if not weigh(template, Scale(lambda text: len(text.strip()), lambda _: 1)):
        findings.add("text_empty", source.top)
    elif shop.promotional:
        found = presence(template, "links.unsubscribe", UNSUBSCRIBE_LINK)
        if found != "always":
            findings.add("text_unsubscribe", source.top)


def _html(
    env: MailEnvironment, source: Source, shop: Shop, findings: Findings
) -> tuple[BoundTemplate, Converted] | None:
    """The template that is sent and its text, with the rules on HTML applied."""
    mjml = source.path.suffix == ".mjml"
    hidden = hide(source, shop.brand)
    if mjml:
        check_mjml(source, hidden, findings)
        try:
            html = re.sub(r"[ \t]*\n\s*", "\n", hidden.converted())
        except ValueError as error:
            note_mjml(error, hidden, source, findings)
            return None
        check_lost(source, hidden, html, findings)
    else:
        html = hidden.text
    text = hidden.put_back(html, source)
    try:
        template = env.from_string(text.text, name=source.name)
    except LiquidError as error:
        index = error.token.start_index if error.token is not None else -1
        half = loose_half(text.text)
        findings.add("liquid_across_elements", text.place(half[0] if half else index))
        return None
    looked_at = hide_with_places(source, shop.brand)
    try:
        marked = looked_at.converted() if mjml else looked_at.text
    except ValueError:  # a '<' inside a value: MJML takes it, but not with a place in it
        looked_at, marked = hidden, hidden.converted()
    items = read_markup(marked, looked_at, source)
    check_tags(items, shop.brand, findings)
    check_balance(items, findings)
    top = source.top
    if not mjml:
        root = next((t for t in tags(items) if isinstance(t, Tag) and t.name == "html"), None)
        if root is None or not root.attributes.get("lang"):
            findings.add("html_lang", root.place if root else top, root="html")
    if shop.promotional:
        _check_duties(template, shop.brand, source, findings)
    size, limit = html_bytes(template, shop.products), shop.clip_bytes
    if size > NEAR_CLIP * limit:
        code = "size_clip" if size > limit else "size_near_clip"
        findings.add(code, top, size=size // 1024, limit=limit // 1024)
    return template, text


def _check_duties(
    template: BoundTemplate, brand: Brand, source: Source, findings: Findings
) -> None:
    address = re.escape(str(escape(brand.postal_address)))
    for name, path, text in (
        ("unsubscribe", "links.unsubscribe", UNSUBSCRIBE_LINK),
        ("address", "brand.postal_address", re.compile(address)),
    ):
        found = presence(template, path, text)
        if found != "always":
            state = "missing" if found == "never" else "conditional"
            at = source.text.find(path)
            findings.add(f"{name}_{state}", source.place(at) if at >= 0 else source.top)


# --- reading -------------------------------------------------------------------------------------


def _read(path: Path, blocks: Path, findings: Findings) -> Source | None:
    try:
        return read_source(path, blocks)
    except FoundError as stopped:
        findings.take(stopped.finding)
        return None


def _parse(env: MailEnvironment, source: Source, findings: Findings) -> BoundTemplate | None:
    try:
        return env.from_string(source.text, name=source.name)
    except LiquidError as error:
        note_syntax(error, source, env, findings)
        return None
