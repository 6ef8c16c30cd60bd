"""The mails of a campaign's scenarios, and of real customers, as a run would make them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.building import contexts_of
from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.contexts import prepare
from personalization_assets.emails.links import Signer
from personalization_assets.emails.mail_context import constants
from personalization_assets.emails.preview.branches import Traced
from personalization_assets.emails.preview.coverage import RealMails
from personalization_assets.emails.preview.directed import Found, find_scenarios
from personalization_assets.emails.preview.own import own_scenarios
from personalization_assets.emails.preview.scenarios import (
    UTM,
    Maker,
    Scenario,
    general_scenarios,
)
from personalization_assets.emails.preview.values import Context
from personalization_assets.emails.problems import did_you_mean
from personalization_assets.emails.render import ROW_FIELDS, render, shop_links, utm_query
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.templates import MailTemplates, compile_variant
from personalization_assets.errors import UserError

SIGNER = Signer(b"links in a preview of scenarios lead nowhere")
CHUNK = 256
FOLLOWS = {("cart", "size"), ("cart", "quantity"), ("cart", "total")}
"""Values that are not told, as they follow from others."""
DETAILS = 8
"""Values that are named in which a scenario differs."""


@dataclass(frozen=True)
class Mail:
    """A mail to look at, and why it is looked at. `row` is in the columns of `MAIL_COLUMNS`."""

    key: str
    title: str
    origin: str
    differs: tuple[str, ...]
    row: Mapping[str, Any]


class Studio:
    """A campaign with its scenarios. `variant` takes only one arm of its test.

    Raises:
        UserError: a mistake in a template or in `scenarios.yaml`, or there is no such variant.
    """

    def __init__(
        self,
        campaign: Campaign,
        brand: Brand,
        contract: Mapping[str, pa.DataType],
        settings: EmailsSettings,
        as_of: datetime,
        variant: str | None = None,
    ) -> None:
        arms = {v.name: v for v in campaign.file.variants}
        if variant is not None and variant not in arms:
            hint = did_you_mean(variant, arms) or f"; it has {', '.join(arms)}."
            raise UserError(f"Campaign {campaign.name} has no variant {variant!r}{hint}")
        self.campaign, self.brand, self.contract = campaign, brand, contract
        self.settings, self.as_of = settings, as_of
        self.maker = Maker(contract, campaign, brand, as_of)
        chosen = [v for v in campaign.file.variants if variant in (None, v.name)]
        self.templates = [
            compile_variant(campaign, v, brand, contract, settings, as_of) for v in chosen
        ]
        # Markers are put into parsed templates of their own.
        self.traced = [Traced(replace(made), contract) for made in self.templates]

    def constants(self, templates: MailTemplates) -> dict[str, Any]:
        """Roots that are the same in every mail of a variant; signed links are stand-ins."""
        signed = dict.fromkeys(("unsubscribe", "preferences", "one_click"), self.brand.site_url)
        return {
            **constants(self.brand, self.campaign),
            "links": {**shop_links(templates), **signed},
        }

    @cached_property
    def found(self) -> Found:
        """All scenarios, and which branches they reach."""
        given = [*general_scenarios(self.maker), *own_scenarios(self.maker)]
        return find_scenarios(self.maker, self.traced, given, self.constants(self.templates[0]))

    def scenario(self, key: str) -> Scenario:
        """A scenario by its name.

        Raises:
            UserError: there is none of that name.
        """
        known = {s.key: s for s in self.found.scenarios}
        if key not in known:
            hint = did_you_mean(key, known) or f"; there are {', '.join(known)}."
            raise UserError(f"Campaign {self.campaign.name} has no scenario {key!r}{hint}")
        return known[key]

    def mails(self, scenarios: Sequence[Scenario]) -> list[Mail]:
        """The mails of scenarios, in each variant."""
        typical = self.found.scenarios[0].context
        made = []
        for templates in self.templates:
            batch = self._batch(templates, scenarios)
            rows = _rows(render(templates, [batch], SIGNER, self.as_of))
            for scenario, row in zip(scenarios, rows, strict=True):
                differs = _differences(scenario.context, typical, templates.customer_fields)
                made.append(Mail(scenario.key, scenario.title, scenario.origin, differs, row))
        return made

    def _batch(self, templates: MailTemplates, scenarios: Sequence[Scenario]) -> pa.RecordBatch:
        """Contexts as `contexts.contexts` gives them."""
        utm, variant = utm_query(templates), templates.variant.name
        written = ("subject", "preheader")  # the renderer adds them
        mail = pa.struct([f for f in self.contract["mail"] if f.name not in written])
        rows = []
        for scenario in scenarios:
            name = f"{self.campaign.name} {scenario.key} {variant}"
            send_id = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
            context = _tagged(scenario.context, utm)
            context["mail"] |= {"send_id": send_id, "variant": variant}
            own = dict.fromkeys(ROW_FIELDS) | {
                "send_id": send_id,
                "customer_id": scenario.key,
                "to_email": context["customer"]["email"],
            }
            rows.append(own | context)
        types = {
            **dict.fromkeys(ROW_FIELDS, pa.string()),
            "customer": self.contract["customer"],
            "recommendations": self.contract["recommendations"],
            "cart": self.contract["cart"],
            "viewed": self.contract["viewed"],
            "mail": mail,
        }
        columns = [pa.array([row[n] for row in rows], kind) for n, kind in types.items()]
        return pa.RecordBatch.from_arrays(columns, names=list(types))

    # --- real customers --------------------------------------------------------------------------

    def real_mails(self, con: duckdb.DuckDBPyConnection, most: int) -> RealMails:
        """Branches that the mails of a run's first customers reach, in order of send id, which is
        as good as chance. The connection's variable `as_of` must be set."""
        real = RealMails()
        ids = con.execute(
            """SELECT customer_id FROM emails.audience WHERE campaign = ? AND decision = 'send'
               ORDER BY send_id LIMIT ?""",
            [self.campaign.name, most],
        ).fetchall()
        if not ids:
            return real
        prepare(con, self.brand, self.settings.bestseller_days)
        customers = [row[0] for row in ids]
        for templates, traced in zip(self.templates, self.traced, strict=True):
            batches = contexts_of(con, templates, CHUNK, customers)
            real.count(traced, batches, self.constants(templates))
        return real

    def customer_mails(
        self, con: duckdb.DuckDBPyConnection, customers: Sequence[str], signer: Signer
    ) -> list[Mail]:
        """The mails that these customers get from this run, byte for byte.

        Raises:
            UserError: one of them gets none of this campaign, and why.
        """
        found = con.execute("SELECT max(model_version) FROM recommendations.top_products")
        model = found.fetchall()[0][0]
        prepare(con, self.brand, self.settings.bestseller_days)
        made = []
        for templates in self.templates:
            batches = contexts_of(con, templates, CHUNK, customers)
            for row in _rows(render(templates, batches, signer, self.as_of, model)):
                key = str(row["customer_id"])
                title = f"A customer who gets variant {templates.variant.name}"
                made.append(Mail(key, title, "customer", (), row))
        for customer in customers:
            if not any(mail.key == customer for mail in made):
                raise UserError(self._why_not(con, customer))
        return sorted(made, key=lambda mail: customers.index(mail.key))

    def _why_not(self, con: duckdb.DuckDBPyConnection, customer: str) -> str:
        found = con.execute(
            "SELECT decision, variant, detail FROM emails.audience"
            " WHERE campaign = ? AND customer_id = ?",
            [self.campaign.name, customer],
        ).fetchall()
        if not found:
            return (
                f"Customer {customer} is not in the audience of {self.campaign.name}: see "
                f"`personalize campaign why`, or look at a scenario."
            )
        decision, variant, detail = found[0]
        if decision == "send":
            return (
                f"Customer {customer} gets variant {variant!r} of {self.campaign.name}: leave "
                f"--variant out."
            )
        return f"Customer {customer} gets no mail of {self.campaign.name} ({decision}): {detail}."


def _rows(batches: Iterable[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


def _tagged(context: Context, utm: str) -> Context:
    """A context with a variant's tags in the links of its products."""

    def tagged(item: dict[str, Any]) -> dict[str, Any]:
        return item | {"url": item["url"].replace(UTM, utm)}

    return context | {
        "recommendations": [tagged(item) for item in context["recommendations"]],
        "viewed": [tagged(item) for item in context["viewed"]],
        "cart": context["cart"] | {"items": [tagged(i) for i in context["cart"]["items"]]},
        "mail": dict(context["mail"]),
    }


def _differences(context: Context, typical: Context, fields: Iterable[str]) -> tuple[str, ...]:
    """In what a context differs from the typical one, of what the templates use."""
    used = {*fields, "first_name"}
    found: list[str] = []

    def compare(name: str, mine: Any, usual: Any) -> None:
        if isinstance(mine, dict) and isinstance(usual, dict):
            for key, value in mine.items():
                if (name != "customer" or key in used) and (name, key) not in FOLLOWS:
                    compare(f"{name}.{key}", value, usual.get(key))
        elif isinstance(mine, list) and isinstance(usual, list) and len(mine) != len(usual):
            found.append(f"{name}: {len(mine)} in place of {len(usual)}")
        elif mine and isinstance(mine, list) and isinstance(mine[0], dict):
            compare(f"{name}[0]", mine[0], usual[0])
        elif mine != usual:
            found.append(f"{name}: {_shown(mine)}")

    for root, value in context.items():
        compare(root, value, typical[root])
    more = len(found) - DETAILS
    return (*found[:DETAILS], *([f"and {more} more values"] if more > 0 else []))


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if value == "":
        return "empty text"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
