"""Campaign files to templates ready for a batch: MJML compiled once, everything checked.

`mjml` turns MJML into the table HTML that mail programs need. It reads XML, so that Liquid with
`<` or quotation marks in it would break it: each Liquid token is replaced by a short word before
and put back after (`checking/hiding.py`). A body in a `.html` file is taken as it is.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
from liquid.template import BoundTemplate

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign, Variant
from personalization_assets.emails.checking.findings import Finding, Findings
from personalization_assets.emails.checking.mail import Shop, parse_mail, read_partials
from personalization_assets.emails.checking.sources import Source, Written
from personalization_assets.emails.liquid_batch import Where
from personalization_assets.emails.liquid_env import MailEnvironment
from personalization_assets.emails.settings import EmailsSettings

BLOCKS = "_blocks"


@dataclass(frozen=True)
class MailTemplates:
    """The four checked templates of one campaign variant.

    `texts` are those of the parts, `partials` the shared parts that they may render, both with the
    places in their authors' files. `customer_fields` are the columns of golden_profiles that they
    use, `version` changes when any of their files, the brand or the campaign's settings change,
    `warnings` is what a look at them found that does not stop a run.

    They are parsed when they are first asked for, so that another process gets texts and need not
    check them again: MJML and checks take ten times as long as parsing.
    """

    campaign: Campaign
    variant: Variant
    brand: Brand
    settings: EmailsSettings
    as_of: datetime
    version: str
    texts: Mapping[str, Written]
    partials: Mapping[str, Source]
    customer_fields: frozenset[str]
    warnings: tuple[Finding, ...] = ()

    @cached_property
    def environments(self) -> Mapping[bool, MailEnvironment]:
        """By whether it is for HTML."""
        return environments(
            self.campaign, self.variant, self.brand, self.settings, self.as_of, self.partials
        )

    @cached_property
    def parsed(self) -> Mapping[str, BoundTemplate]:
        """By part: subject, preheader, text, html."""
        return {
            part: self.environments[part == "html"].from_string(text.text, name=text.name)
            for part, text in self.texts.items()
        }

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def where(self, part: str) -> Where:
        """What says where the text of a part, or of a shared part in it, is written: `file line n`,
        the file as seen from the folder of campaigns."""
        own, folder = self.texts[part], self.campaign.folder.parent
        known: dict[str, Written] = {shared.text: shared for shared in self.partials.values()}
        known[own.text] = own
        return lambda text, index: known.get(text, own).place(index).within(folder)


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
        UserError: the first mistake in any file, with file and line, and how many more there are.
    """
    findings = Findings(campaign.file.allow)
    made = examine_variant(campaign, variant, brand, contract, settings, as_of, findings)
    findings.stop(campaign.name)
    assert made is not None, "a variant that can't be compiled has an error"
    return made


def examine_variant(
    campaign: Campaign,
    variant: Variant,
    brand: Brand,
    contract: Mapping[str, pa.DataType],
    settings: EmailsSettings,
    as_of: datetime,
    findings: Findings,
) -> MailTemplates | None:
    """The same, but everything that is wrong goes into `findings`; None if a file can't be used."""
    partials = read_partials(campaign.folder.parent / BLOCKS, findings)
    parsed = parse_mail(
        {
            "subject": campaign.folder / variant.subject,
            "preheader": campaign.folder / variant.preheader,
            "html": campaign.folder / variant.body,
            "text": campaign.folder / variant.text,
        },
        partials,
        environments(campaign, variant, brand, settings, as_of, partials),
        Shop(
            brand,
            contract,
            promotional=campaign.file.kind == "promotional",
            products=campaign.file.products.count,
            clip_bytes=settings.clip_bytes,
        ),
        findings,
    )
    if parsed is None:
        return None
    digest = hashlib.sha256()
    for source in [*parsed.partials.values(), *parsed.sources.values()]:
        digest.update(source.text.encode() + b"\0")
    fields = campaign.file.model_dump(mode="json", exclude={"allow"})
    settings_json = [fields, variant.name, brand.model_dump()]
    digest.update(json.dumps(settings_json, sort_keys=True).encode())
    return MailTemplates(
        campaign=campaign,
        variant=variant,
        brand=brand,
        settings=settings,
        as_of=as_of,
        version=digest.hexdigest()[:12],
        texts=parsed.texts,
        partials=parsed.partials,
        customer_fields=parsed.customer_fields,
        warnings=findings.warnings,
    )


def environments(
    campaign: Campaign,
    variant: Variant,
    brand: Brand,
    settings: EmailsSettings,
    as_of: datetime,
    partials: Mapping[str, Source],
) -> dict[bool, MailEnvironment]:
    """The Liquid of a variant, by whether it is for HTML."""
    return {
        html: MailEnvironment(
            html=html,
            brand=brand,
            utm=utm_tags(campaign, variant),
            as_of=as_of,
            settings=settings,
            partials={name: source.text for name, source in partials.items()},
        )
        for html in (True, False)
    }


def utm_tags(campaign: Campaign, variant: Variant) -> dict[str, str]:
    """The tags on every link of a variant; `utm_term` tells the variants of a test apart."""
    utm = campaign.file.utm
    tags = {
        "utm_source": utm.source,
        "utm_medium": utm.medium,
        "utm_campaign": utm.campaign or campaign.name,
    }
    return tags | ({"utm_term": variant.name} if len(campaign.file.variants) > 1 else {})
