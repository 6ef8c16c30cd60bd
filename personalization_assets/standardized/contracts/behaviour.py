"""Contracts of the tables that say what people did: on the site, with mails, in networks."""

import pandera.polars as pa
import polars as pl

from personalization_assets.standardized.contracts.base import (
    BASE_UNIT,
    COUNTRY_PATTERN,
    CURRENCY_PATTERN,
    EMAIL_PATTERN,
    EMAIL_WARNINGS,
    MONEY_LIMIT,
    QUANTITY_LIMIT,
    StandardizedRow,
    at_least_one,
    contract_metadata,
    flag_rule,
    fresh_rate,
    has_rate,
    known,
    lasting_address,
    no_task,
    not_in_the_future,
    readable_row,
    real_name,
)

EVENT_NAMES = [
    "page_view",
    "view_item",
    "search",
    "add_to_cart",
    "remove_from_cart",
    "begin_checkout",
    "purchase",
    "login",
    "sign_up",
]
DEVICE_TYPES = ["desktop", "mobile", "tablet"]
EMAIL_EVENT_TYPES = [
    "processed",
    "delivered",
    "open",
    "click",
    "bounce",
    "dropped",
    "spam_report",
    "unsubscribe",
]
BOUNCE_TYPES = ["hard", "soft"]
ACTIVITY_TYPES = ["follow", "like", "comment", "share", "mention"]


class WebEvents(StandardizedRow):
    """Something a visitor did on the site or in the app."""

    event_id: str = pa.Field(
        description="The analytics system's id, else md5 of the row as received",
        str_length={"min_value": 1, "max_value": 200},
    )
    occurred_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="When it happened (UTC)", metadata={"unit": "UTC"}
    )
    event_name: str = pa.Field(
        isin=EVENT_NAMES, description="What happened, in GA4's words; other labels are kept"
    )
    device_id: str = pa.Field(nullable=True, description="Browser or app id")
    account_key: str = pa.Field(
        nullable=True, description="Signed-in shop account, '<system>:<id>'"
    )
    record_id: str = pa.Field(
        nullable=True, description="Record in identity.records; the account_key, null if anonymous"
    )
    session_id: str = pa.Field(nullable=True, description="Visit the event belongs to")
    product_id: str = pa.Field(nullable=True, description="Product it was about")
    quantity: int = pa.Field(
        nullable=True,
        ge=0,
        le=QUANTITY_LIMIT,
        description="How many of the product",
        metadata={"unit": "pieces"},
    )
    value: float = pa.Field(
        nullable=True,
        ge=-MONEY_LIMIT,
        le=MONEY_LIMIT,
        description="Worth of the event in its own currency",
        metadata={"unit": "currency"},
    )
    currency: str = pa.Field(
        nullable=True, str_matches=CURRENCY_PATTERN, description="Currency of value, ISO 4217"
    )
    value_base: float = pa.Field(
        nullable=True,
        description="Worth in the base currency, at the rate of the day",
        metadata=BASE_UNIT,
    )
    page_url: str = pa.Field(nullable=True, description="Page it happened on")
    search_term: str = pa.Field(nullable=True, description="What was searched for")
    traffic_source: str = pa.Field(nullable=True, description="Where the visit came from")
    country: str = pa.Field(
        nullable=True, str_matches=COUNTRY_PATTERN, description="Country, ISO 3166-1 alpha-2"
    )
    device_type: str = pa.Field(
        nullable=True, isin=DEVICE_TYPES, description="desktop, mobile or tablet; others are kept"
    )

    occurred_at_future = not_in_the_future("occurred_at")
    currency_unknown = known("currency", "a currency of ISO 4217")
    currency_stale_rate = fresh_rate()
    currency_no_rate = has_rate()
    country_unknown = known("country", "a country")

    # An event of nobody can never be joined to a person; it still counts as traffic.
    visitor_required = at_least_one(
        "visitor.required",
        ["device_id", "account_key", "session_id"],
        "An event names a device, an account or a session",
    )

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "web_events"
        metadata = contract_metadata(
            ["source", "event_id"],
            "one row per event of a visitor",
            pii=True,
            warnings=[
                "event_name.known",
                "country.unknown",
                "currency.unknown",
                "currency.stale_rate",
                "currency.no_rate",
                "device_type.known",
                "visitor.required",
            ],
            unreadable=["occurred_at", "quantity", "value"],
        )


class EmailEvents(StandardizedRow):
    """What became of a mail, as the e-mail service provider reports it."""

    event_id: str = pa.Field(
        description="The provider's id, else md5 of the row as received",
        str_length={"min_value": 1, "max_value": 200},
    )
    occurred_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="When it happened (UTC)", metadata={"unit": "UTC"}
    )
    event_type: str = pa.Field(
        isin=EMAIL_EVENT_TYPES, description="What happened to the mail; other labels are kept"
    )
    email: str = pa.Field(
        str_matches=EMAIL_PATTERN, description="Recipient's address, canonical form"
    )
    record_id: str = pa.Field(description="Record in identity.records; the e-mail")
    campaign: str = pa.Field(nullable=True, description="Campaign the mail belonged to")
    send_id: str = pa.Field(
        nullable=True, description="The mail in emails.batches, where the provider echoes it"
    )
    url: str = pa.Field(nullable=True, description="Link that was clicked")
    product_id: str = pa.Field(nullable=True, description="Product the link led to")
    is_machine: bool = pa.Field(
        description="Opened or clicked by a mail proxy or scanner rather than a person"
    )
    bounce_type: str = pa.Field(
        nullable=True, isin=BOUNCE_TYPES, description="hard or soft; null for everything else"
    )
    user_agent: str = pa.Field(nullable=True, description="Mail client or browser, as reported")

    occurred_at_future = not_in_the_future("occurred_at")
    # Such a bounce counts neither as hard nor as soft: nothing is suppressed because of it.
    bounce_type_missing = flag_rule("bounce_type.missing", "a bounce is hard or soft")

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "email_events"
        metadata = contract_metadata(
            ["source", "event_id"],
            "one row per event of a sent mail",
            pii=True,
            warnings=[
                "event_type.known",
                "is_machine.type",
                "bounce_type.known",
                "bounce_type.missing",
            ],
            unreadable=["occurred_at", "email", "is_machine"],
        )


class SocialActivity(StandardizedRow):
    """Something a person did with the shop in a social network."""

    activity_id: str = pa.Field(
        description="The network's id, else md5 of the row as received",
        str_length={"min_value": 1, "max_value": 200},
    )
    occurred_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="When it happened (UTC)", metadata={"unit": "UTC"}
    )
    network: str = pa.Field(description="Name of the network, lower case")
    handle: str = pa.Field(
        nullable=True, description="The person's name in the network, lower case, without @"
    )
    record_id: str = pa.Field(
        nullable=True, description="Record in identity.records; '<network>:<handle>'"
    )
    full_name: str = pa.Field(nullable=True, description="Name shown in the network")
    email: str = pa.Field(
        nullable=True, str_matches=EMAIL_PATTERN, description="Deliverable address, canonical"
    )
    activity_type: str = pa.Field(
        isin=ACTIVITY_TYPES,
        description="follow, like, comment, share or mention; others are kept",
    )
    product_id: str = pa.Field(nullable=True, description="Product it was about")
    category: str = pa.Field(nullable=True, description="Category it was about")
    text: str = pa.Field(nullable=True, description="What was written")

    occurred_at_future = not_in_the_future("occurred_at")
    name_implausible = real_name()
    email_role = no_task()
    email_disposable = lasting_address()

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "social_activity"
        metadata = contract_metadata(
            ["source", "activity_id"],
            "one row per activity in a social network",
            pii=True,
            warnings=["name.implausible", *EMAIL_WARNINGS, "activity_type.known"],
            unreadable=["occurred_at", "email"],
        )
