"""The Liquid of campaigns: the batch renderer's, with the brand's money and links."""

from collections.abc import Mapping
from datetime import datetime

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.liquid_batch import BatchEnvironment, Limits, filters
from personalization_assets.emails.settings import EmailsSettings

DEPTH = 12
"""Loops and shared parts within each other that a mail may have, and what a mail begins with."""
LOOPS = DEPTH - 4
"""Loops within each other in one template."""


class MailEnvironment(BatchEnvironment):
    """Liquid for one campaign variant: money in the brand's style, tags on links, limits.

    `include` is not known here, as in Shopify's mails: it shares the caller's variables, `render`
    does not.
    """

    def __init__(
        self,
        *,
        html: bool,
        brand: Brand,
        utm: Mapping[str, str],
        as_of: datetime,
        settings: EmailsSettings,
        partials: Mapping[str, str],
    ) -> None:
        super().__init__(
            html=html,
            now=as_of,
            limits=Limits(
                loop_turns=settings.loop_limit,
                local_bytes=settings.output_limit,
                output_bytes=settings.output_limit,
                depth=DEPTH,
            ),
            partials=partials,
            extra_filters={
                "money": filters.money(brand.currency, brand.locale),
                "number": filters.number(brand.locale),
                "utm": filters.utm(utm),
            },
        )
        del self.tags["include"]
