"""What makes a row of each standardized table out of a row as received."""

import datetime as dt

import polars as pl

from personalization_assets.standardized.entities.behaviour import (
    read_email_events,
    read_social_activity,
    read_web_events,
)
from personalization_assets.standardized.entities.commerce import (
    read_order_lines,
    read_orders,
    read_products,
)
from personalization_assets.standardized.entities.people import (
    read_crm_contacts,
    read_loyalty_members,
    read_preferences,
)
from personalization_assets.standardized.entities.reading import (
    UNREADABLE,
    Lookups,
    Reading,
    SourceContext,
)

READERS = {
    "crm_contacts": read_crm_contacts,
    "loyalty_members": read_loyalty_members,
    "preferences": read_preferences,
    "web_events": read_web_events,
    "orders": read_orders,
    "order_lines": read_order_lines,
    "products": read_products,
    "email_events": read_email_events,
    "social_activity": read_social_activity,
}


def standardise(
    entity: str,
    raw: pl.DataFrame,
    source: SourceContext,
    as_of: dt.datetime,
    base_currency: str,
    lookups: Lookups | None = None,
) -> pl.DataFrame:
    """Rows of one source in the types and spellings of a standardized table.

    `raw` has text columns under the platform's names, `_batch_id` and `_row_key`; columns that the
    source lacks may be missing. The result has all columns of the contract and `_failed_casts`,
    the names of columns whose text could not be read. No row is dropped here.
    """
    reading = Reading(raw, source, as_of, base_currency, lookups or Lookups())
    READERS[entity](reading)
    return reading.result()


__all__ = ["READERS", "UNREADABLE", "Lookups", "SourceContext", "standardise"]
