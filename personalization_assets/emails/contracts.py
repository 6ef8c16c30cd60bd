"""Contracts of the tables of this room, and what their columns mean."""

import pandera.polars as pa
import polars as pl

DECISIONS = ["send", "no_consent", "no_address", "suppressed", "capped", "holdout"]
RULES = [
    "email_marketing",
    "personalisation",
    "address_missing",
    "address_malformed",
    "hard_bounce",
    "complaint",
    "unsubscribe",
    "list",
    "soft_bounce",
    "undeliverable",
    "risky",
    "unsubscribe_list",
    "role_account",
    "global_holdout",
    "again_after_days",
    "same_address",
    "cap",
    "holdout",
    "all_rules_passed",
]


class Suppressions(pa.DataFrameModel):
    """Addresses that get no mail or not all of it, with the strongest reason: what the mail
    provider reported, what a verification service answered, and the shop's own list
    (data/suppressions.csv). Unsubscribes end with a later opt-in, the rest after soft bounces with
    time or a delivery, an answer when it expires."""

    email: str = pa.Field(unique=True, description="The address, in small letters")
    reason: str = pa.Field(
        isin=[
            "hard_bounce",
            "list",
            "complaint",
            "unsubscribe",
            "soft_bounce",
            "undeliverable",
            "risky",
            "unsubscribe_list",
        ],
        description="Strongest reason: hard_bounce, list (the shop's), complaint, unsubscribe, "
        "soft_bounce, undeliverable, risky, then unsubscribe_list",
    )
    since: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="Since when, where known (UTC)"
    )
    until: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When it ends by itself (UTC): soft_bounce, undeliverable, risky"
    )
    stops: str = pa.Field(
        isin=["everything", "promotional", "lists"],
        description="What it stops: everything, promotional mail, or promotional mail of `lists`",
    )
    lists: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]
        description="Mailing lists that the address unsubscribed from, by name"
    )

    class Config:
        """Where the table lives, and its promise."""

        name = "suppressions"
        metadata = {
            "room": "emails",
            "key": ["email"],
            "grain": "one row per suppressed address",
            "version": 3,
            "owner": "team:crm",
            "pii": True,
        }


class Audience(pa.DataFrameModel):
    """Who gets which mail and why not: one decision per campaign and candidate, with the rule that
    decided and the numbers behind it. People outside a campaign's audience are not listed."""

    campaign: str = pa.Field(description="Name of the campaign")
    customer_id: str = pa.Field(description="Stable id of the person")
    decision: str = pa.Field(isin=DECISIONS, description="send, or why not")
    rule: str = pa.Field(isin=RULES, description="The rule that decided")
    detail: str = pa.Field(description="The numbers behind the decision, in words")
    since: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="Since when the address is suppressed, or when the same mail last went out "
        "(UTC)",
    )
    variant: str = pa.Field(description="Arm of the campaign's test, by stable hash")
    send_id: str = pa.Field(
        str_matches="^[0-9a-f]{32}$",
        description="Id of the mail: md5 of campaign, customer and day of the run",
    )
    send_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="When to send (UTC): the person's best hour, a transactional mail at once; "
        "only for send",
    )
    priority: int = pa.Field(ge=0, description="The campaign's priority; higher goes first")
    kind: str = pa.Field(
        isin=["promotional", "transactional"], description="promotional or transactional"
    )
    mailing_list: str = pa.Field(
        nullable=True, description="List that the campaign belongs to; empty for transactional"
    )
    personalised: bool = pa.Field(
        description="Whether the mail may use behaviour; without consent it shows best sellers"
    )
    mails_before: int = pa.Field(
        ge=0,
        nullable=True,
        description="Promotional mails to the person or the address in the window before this "
        "run; empty for mails that no cap counts",
    )
    place: int = pa.Field(
        ge=1,
        nullable=True,
        description="Which of this run's promotional mails to the address it is, by priority; "
        "empty where an earlier rule decided",
    )
    mails_allowed: int = pa.Field(
        ge=0, nullable=True, description="Promotional mails that the window allows"
    )
    window_days: int = pa.Field(
        ge=1,
        nullable=True,
        description="Length of the window that ends on the day of sending, local calendar days",
        metadata={"unit": "days"},
    )
    as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Time of the run that decided (UTC)"
    )

    class Config:
        """Where the table lives, and its promise."""

        name = "audience"
        metadata = {
            "room": "emails",
            "key": ["campaign", "customer_id"],
            "grain": "one row per campaign and candidate",
            "version": 3,
            "owner": "team:crm",
            "pii": False,
        }


class Batches(pa.DataFrameModel):
    """The rendered mails of the latest run, whole: subject, preheader, HTML, text and headers. A
    row that could not be rendered says so in `status` and `reason` and holds no mail. The rows lie
    in Parquet files below data/mails, a folder per run; this is a view of the latest."""

    send_id: str = pa.Field(description="Id of the mail, from the audience")
    campaign: str = pa.Field(description="Name of the campaign")
    customer_id: str = pa.Field(description="Stable id of the person")
    variant: str = pa.Field(description="Arm of the campaign's test")
    status: str = pa.Field(
        isin=["rendered", "aborted", "error"],
        description="rendered; aborted (the template gave nothing to send); error (it failed)",
    )
    reason: str = pa.Field(nullable=True, description="Why there is no mail")
    to_email: str = pa.Field(description="Address of the person")
    from_email: str = pa.Field(description="Address of the sender")
    subject: str = pa.Field(nullable=True, description="Subject, one line")
    preheader: str = pa.Field(nullable=True, description="Preview text, one line")
    html: str = pa.Field(nullable=True, description="HTML part")
    text: str = pa.Field(nullable=True, description="Plain text part")
    headers: str = pa.Field(nullable=True, description="Further headers, a JSON object")
    bytes: int = pa.Field(
        ge=0, description="Size of the HTML part in UTF-8", metadata={"unit": "bytes"}
    )
    holes: int = pa.Field(ge=0, description="Places where the template had nothing to print")
    products: int = pa.Field(ge=0, description="Recommended products offered to the template")
    content_hash: str = pa.Field(nullable=True, description="sha256 of all parts and headers")
    template_version: str = pa.Field(description="Changes with any file or setting of the campaign")
    profile_version: str = pa.Field(
        description="Changes with any field of the person's profile that the templates use"
    )
    model_version: str = pa.Field(nullable=True, description="Recommendation model in use")
    as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Time of the run (UTC)"
    )

    class Config:
        """Where the table lives, and its promise."""

        name = "batches"
        metadata = {
            "room": "emails",
            "key": ["send_id"],
            "grain": "one row per mail of the latest run",
            "version": 2,
            "owner": "team:crm",
            "pii": True,
        }


class ShownProducts(pa.DataFrameModel):
    """What mails recommended, place by place, with how it came there: the impressions that clicks
    and purchases are credited to. Places of the latest run and of earlier ones
    (emails.shown_products_days); a mail that was handed over keeps those that it went out with."""

    send_id: str = pa.Field(description="Id of the mail, from the audience")
    position: int = pa.Field(ge=1, description="Place in the mail, 1 first")
    product_id: str = pa.Field(description="Product that the place links to")
    customer_id: str = pa.Field(description="Stable id of the person at the time")
    campaign: str = pa.Field(description="Name of the campaign")
    variant: str = pa.Field(description="Arm of the campaign's test")
    rank: int = pa.Field(
        ge=1, nullable=True, description="Place in top_products; empty for best sellers that fill"
    )
    recommendation_id: str = pa.Field(
        str_matches="^[0-9a-f]{32}$",
        description="Id in top_products; of a best seller md5 of customer|product|source",
    )
    model_version: str = pa.Field(description="Version that made the list, 'none' without one")
    source: str = pa.Field(description="What put the product there; bestseller: it fills the list")
    reason_code: str = pa.Field(nullable=True, description="Why, as top_products says")
    propensity: float = pa.Field(
        gt=0, le=1, description="Probability with which this product came to stand at its rank"
    )
    explored: bool = pa.Field(description="Whether the place was one that tries near ties")
    send_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When to send the mail (UTC)"
    )
    as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Time of the run that rendered the mail (UTC)"
    )

    class Config:
        """Where the table lives, and its promise."""

        name = "shown_products"
        metadata = {
            "room": "emails",
            "key": ["send_id", "position"],
            "grain": "one row per mail and place of its recommendations, all kept runs",
            "version": 1,
            "owner": "team:crm",
            "pii": True,
        }


class Deliveries(pa.DataFrameModel):
    """Mails that were handed over, of all runs: in which file or by mail server, and when. A mail
    is handed over once; running the same day again does not hand it over again. What a mail server
    said is as of the run; `personalize mails status` knows the latest."""

    send_id: str = pa.Field(unique=True, description="Id of the mail")
    campaign: str = pa.Field(description="Name of the campaign")
    customer_id: str = pa.Field(description="Stable id of the person at the time")
    variant: str = pa.Field(description="Arm of the campaign's test")
    kind: str = pa.Field(
        isin=["promotional", "transactional"], description="promotional or transactional"
    )
    to_email: str = pa.Field(description="Address the mail is for")
    channel: str = pa.Field(isin=["file", "eml", "smtp"], description="How it was handed over")
    file: str = pa.Field(nullable=True, description="File below the exports folder; none for smtp")
    send_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When to send (UTC)"
    )
    content_hash: str = pa.Field(description="sha256 of the mail that was handed over")
    handed_over_as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Time of the run that handed it over (UTC)"
    )
    status: str = pa.Field(
        isin=["handed_over", "sent", "refused", "deferred", "uncertain", "expired"],
        description="handed_over: to the file, or waiting for `personalize mails send`; sent, "
        "refused, deferred: the mail server's answer; uncertain: it gave none; expired: waited "
        "too long, and is not sent any more",
    )
    code: int = pa.Field(nullable=True, description="Code of the mail server's last answer")
    reason: str = pa.Field(
        nullable=True, description="The mail server's last answer, or why there is no message"
    )
    attempts: int = pa.Field(
        ge=0, nullable=True, description="Times that a mail server was offered the mail"
    )

    class Config:
        """Where the table lives, and its promise."""

        name = "deliveries"
        metadata = {
            "room": "emails",
            "key": ["send_id"],
            "grain": "one row per mail handed over, all runs",
            "version": 2,
            "owner": "team:crm",
            "pii": True,
        }
