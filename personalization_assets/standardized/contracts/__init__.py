"""Contracts of the standardized tables: columns, units, rules and what a broken rule costs.

A rule named in `warnings` keeps the row and is listed in its `_flags`; every other broken rule
sends the row to `standardized.quarantine`. Optional attributes (a phone, a birth date) warn and
become null; keys, times, amounts and quantities reject.
"""

from personalization_assets.standardized.contracts.behaviour import (
    EmailEvents,
    SocialActivity,
    WebEvents,
)
from personalization_assets.standardized.contracts.commerce import OrderLines, Orders, Products
from personalization_assets.standardized.contracts.people import (
    CrmContacts,
    LoyaltyMembers,
    Preferences,
)
from personalization_assets.standardized.contracts.quarantine import Quarantine

__all__ = [
    "CrmContacts",
    "EmailEvents",
    "LoyaltyMembers",
    "OrderLines",
    "Orders",
    "Preferences",
    "Products",
    "Quarantine",
    "SocialActivity",
    "WebEvents",
]
