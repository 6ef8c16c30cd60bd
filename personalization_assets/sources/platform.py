"""The standardized tables and columns that a feed may fill, by name.

A plain list, so that `sources.yaml` can be checked without importing a contract; a test holds it
against the contracts of the standardized room. Columns that the platform works out itself
(`record_id`, `..._base`) are not here; columns that only exist to be read (`discount_amount`,
`line_amount`) are.
"""

PERSON = ("given_name", "family_name", "full_name", "email", "phone")
ADDRESS = ("street", "postcode", "city", "region", "country")

COLUMNS: dict[str, tuple[str, ...]] = {
    "crm_contacts": (
        "contact_id",
        "account_key",
        *PERSON,
        "birth_date",
        "gender",
        *ADDRESS,
        "language",
        "device_id",
        "email_opt_in",
        "created_at",
        "updated_at",
    ),
    "loyalty_members": (
        "member_id",
        "account_key",
        *PERSON,
        "birth_date",
        *ADDRESS,
        "tier",
        "points",
        "enrolled_at",
        "updated_at",
    ),
    "preferences": (
        "record_id",
        "account_key",
        "email",
        "email_marketing",
        "personalisation",
        "sms_marketing",
        "third_party",
        "categories",
        "frequency",
        "language",
        "updated_at",
    ),
    "web_events": (
        "event_id",
        "occurred_at",
        "event_name",
        "device_id",
        "account_key",
        "session_id",
        "product_id",
        "quantity",
        "value",
        "currency",
        "page_url",
        "search_term",
        "traffic_source",
        "country",
        "device_type",
    ),
    "orders": (
        "order_id",
        "account_key",
        *PERSON,
        *ADDRESS,
        "ordered_at",
        "status",
        "currency",
        "total_amount",
        "discount_amount",
        "channel",
    ),
    "order_lines": (
        "order_id",
        "line_number",
        "product_id",
        "description",
        "quantity",
        "unit_price",
        "line_amount",
        "currency",
        "ordered_at",
    ),
    "products": (
        "product_id",
        "name",
        "category",
        "subcategory",
        "brand",
        "price",
        "currency",
        "stock",
        "is_consumable",
        "image_url",
        "url",
        "description",
        "launched_at",
        "is_active",
    ),
    "email_events": (
        "event_id",
        "occurred_at",
        "event_type",
        "email",
        "campaign",
        "send_id",
        "url",
        "product_id",
        "is_machine",
        "bounce_type",
        "user_agent",
    ),
    "social_activity": (
        "activity_id",
        "occurred_at",
        "network",
        "handle",
        "full_name",
        "email",
        "activity_type",
        "product_id",
        "category",
        "text",
    ),
}

READ_ONLY = {"orders": ("discount_amount",), "order_lines": ("line_amount",)}
"""Columns that a feed gives and the standardized table holds under another name or not at all."""

REQUIRED: dict[str, tuple[str, ...]] = {
    "crm_contacts": ("contact_id",),
    "loyalty_members": ("member_id",),
    "preferences": ("record_id", "email"),
    "web_events": ("event_name",),
    "orders": ("order_id",),
    "order_lines": ("order_id",),
    "products": ("product_id",),
    "email_events": ("event_type",),
    "social_activity": ("activity_type",),
}
"""Of these columns a feed must give at least one, or every row of it would be rejected."""

LINEAGE = ("_batch_id", "_extracted_at", "_row_key", "_bad_line")
"""Columns that loading adds to every table of the room."""
