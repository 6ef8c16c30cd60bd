"""Shipped campaigns with their scenarios, as a preview without a warehouse has them."""

import datetime as dt
from functools import cache

import pyarrow as pa

from personalization_assets.commands.profile_columns import declared_columns
from personalization_assets.emails.brand import load_brand
from personalization_assets.emails.campaigns import load_campaigns
from personalization_assets.emails.mail_context import mail_contract
from personalization_assets.emails.preview.mails import Studio
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.settings import PROJECT, Settings

AS_OF = dt.datetime(2026, 6, 15, 6, 0)
CAMPAIGNS = {c.name: c for c in load_campaigns(PROJECT / "data" / "campaigns")}


@cache
def contract() -> dict[str, pa.DataType]:
    return mail_contract(declared_columns(Settings()))


@cache
def studio(campaign: str) -> Studio:
    brand = load_brand(PROJECT / "data" / "brand.yaml")
    return Studio(CAMPAIGNS[campaign], brand, contract(), EmailsSettings(), AS_OF)
