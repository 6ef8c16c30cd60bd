"""Campaign files to templates ready for a batch: MJML compiled once, everything checked.

`mjml` turns MJML into the table HTML that mail programs need. It reads XML, so that Liquid with
`<` or quotation marks in it would break it: each Liquid token is replaced by a short word before
and put back after.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from liquid import escape
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign, Variant
from personalization_assets.emails.liquid_env import MailEnvironment
from personalization_assets.emails.problems import did_you_mean
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.static_check import (
    Source,
    TemplateCheck,
    refuse_handlebars,
    syntax_error,
)
from personalization_assets.errors import UserError

BLOCKS = "_blocks"
INCLUDE = re.compile(r'<mj-include\s+path="([^"]+)"\s*/>')
LIQUID_TOKEN = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
BRAND_OUTPUT = re.compile(r"\{\{-?\s*brand\.([\w.]+)\s*-?\}\}")
PLACEHOLDER = re.compile(r"LQ(\d{5})X")


@dataclass(frozen=True)
class MailTemplates:
    """The four parsed templates of one campaign variant.

    `customer_fields` are the columns of golden_profiles that they use, `version` changes when any
    of their files, the brand or the campaign's settings change.
    """

    campaign: Campaign
    variant: Variant
    brand: Brand
    version: str
    subject: BoundTemplate
    preheader: BoundTemplate
    html: BoundTemplate
    text: BoundTemplate
    customer_fields: frozenset[str]
    environments: tuple[MailEnvironment, MailEnvironment]

    def take_holes(self) -> int:
        """Outputs that had nothing to print since the last call."""
        holes = sum(env.holes for env in self.environments)
        for env in self.environments:
            env.holes = 0
        return holes


def compile_variant(
    campaign: Campaign,
    variant: Variant,
    brand: Brand,
    contract: Mapping[str, pa.DataType],
    settings: EmailsSettings,
    as_of: datetime,
) -> MailTemplates:
    """Read, check and compile the files of a variant.

    `contract` is what a template may use: name of a root to its Arrow type (`mail_contract`).

    Raises:
        UserError: the first mistake in any file, with file and line.
    """
    blocks = campaign.folder.parent / BLOCKS
    partials = {path.stem: read_source(path, blocks) for path in sorted(blocks.glob("*.liquid"))}
    sources = {
        part: read_source(campaign.folder / name, blocks)
        for part, name in (
            ("subject", variant.subject),
            ("preheader", variant.preheader),
            ("html", variant.body),
            ("text", variant.text),
        )
    }
    environments = tuple(
        MailEnvironment(
            html=html,
            brand=brand,
            utm=utm_tags(campaign, variant),
            as_of=as_of,
            settings=settings,
            partials={name: source.text for name, source in partials.items()},
        )
        for html in (True, False)
    )
    html_env, text_env = environments
    for source in [*partials.values(), *sources.values()]:
        refuse_handlebars(source)
    for source in partials.values():
        _parse(text_env, source)

    parsed: dict[str, BoundTemplate] = {}
    used: set[str] = set()
    for part, source in sources.items():
        env = html_env if part == "html" else text_env
        template = _parse(env, source)
        usage = TemplateCheck(env, contract, partials).run(template, source)
        used |= usage.fields.get("customer", set())
        parsed[part] = _compiled(env, source, brand) if part == "html" else template
    digest = hashlib.sha256()
    for source in [*partials.values(), *sources.values()]:
        digest.update(source.text.encode() + b"\0")
    settings_json = [campaign.file.model_dump(mode="json"), variant.name, brand.model_dump()]
    digest.update(json.dumps(settings_json, sort_keys=True).encode())
    return MailTemplates(
        campaign=campaign,
        variant=variant,
        brand=brand,
        version=digest.hexdigest()[:12],
        subject=parsed["subject"],
        preheader=parsed["preheader"],
        html=parsed["html"],
        text=parsed["text"],
        customer_fields=frozenset(used),
        environments=(html_env, text_env),
    )


def utm_tags(campaign: Campaign, variant: Variant) -> dict[str, str]:
    """The tags on every link of a variant; `utm_term` tells the variants of a test apart."""
    utm = campaign.file.utm
    tags = {
        "utm_source": utm.source,
        "utm_medium": utm.medium,
        "utm_campaign": utm.campaign or campaign.name,
    }
    return tags | ({"utm_term": variant.name} if len(campaign.file.variants) > 1 else {})


def read_source(path: Path, blocks: Path, _open: tuple[Path, ...] = ()) -> Source:
    """A template file with its `<mj-include path="name.mjml" />` lines replaced by the files.

    Raises:
        UserError: an included file is missing, includes itself, or a file is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    out: list[str] = []
    lines: list[tuple[Path, int]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        found = INCLUDE.search(line)
        if found is None:
            out.append(line)
            lines.append((path, number))
            continue
        target = blocks / Path(found[1]).name
        if not target.is_file():
            have = [p.name for p in sorted(blocks.glob("*.mjml"))]
            raise UserError(
                f"{path} line {number}: there is no shared part {found[1]!r} in {blocks}"
                f"{did_you_mean(found[1], have) or '; add the file or remove the line.'}"
            )
        if target in (*_open, path):
            raise UserError(
                f"{path} line {number}: {found[1]!r} includes itself; break the circle."
            )
        inner = read_source(target, blocks, (*_open, path))
        out += [line[: found.start()] + inner.text + line[found.end() :]]
        lines += inner.lines
    return Source(path.stem, "\n".join(out), tuple(lines))


def _parse(env: MailEnvironment, source: Source) -> BoundTemplate:
    try:
        return env.parse_mail(source.text, source.name)
    except LiquidError as error:
        raise syntax_error(error, source, env) from error


def _compiled(env: MailEnvironment, source: Source, brand: Brand) -> BoundTemplate:
    """The MJML of a source as a Liquid template of HTML, with what the brand says filled in."""
    from mjml import mjml2html

    tokens: list[str] = []
    constant = brand.model_dump(mode="json")

    def hide(found: re.Match[str]) -> str:
        token = found[0]
        if (path := BRAND_OUTPUT.fullmatch(token)) is not None:
            value: Any = constant
            for name in path[1].split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, str):
                token = str(escape(value))
        tokens.append(token)
        return f"LQ{len(tokens) - 1:05d}X"

    path = source.lines[0][0] if source.lines else Path(source.name)
    try:
        html: str = mjml2html(LIQUID_TOKEN.sub(hide, source.text), disable_comments=True)
    except ValueError as error:
        raise UserError(
            f"{path} is not valid MJML ({error}): check that every <mj-...> tag is closed and that "
            f"'&' outside of Liquid is written '&amp;'."
        ) from error
    html = re.sub(r"[ \t]*\n\s*", "\n", html)
    html = PLACEHOLDER.sub(lambda m: tokens[int(m[1])], html)
    try:
        return env.parse_mail(html, source.name)
    except LiquidError as error:
        raise UserError(
            f"{path}: a Liquid block opens inside one MJML element and closes in another; put "
            f"{{% if %}} and {{% endif %}} on the same level, between sections inside <mj-raw>."
        ) from error
