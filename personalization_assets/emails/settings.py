"""What a user may set about e-mails. Only pydantic and the standard library."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from personalization_assets.emails.delivery.settings import DeliverySettings


class EmailsSettings(BaseModel):
    """Caps, quiet hours and limits of the e-mail room."""

    model_config = ConfigDict(extra="forbid")

    cap_high: int = Field(
        default=3, ge=0, le=100, description="Promotional mails per window: engagement high"
    )
    cap_medium: int = Field(
        default=2, ge=0, le=100, description="Promotional mails per window: engagement medium"
    )
    cap_low: int = Field(
        default=1, ge=0, le=100, description="Promotional mails per window: engagement low"
    )
    cap_new: int = Field(
        default=2, ge=0, le=100, description="Promotional mails per window: nothing received yet"
    )
    cap_dormant: int = Field(
        default=1, ge=0, le=100, description="Promotional mails per window: engagement dormant"
    )
    window_days: int = Field(
        default=7, ge=1, le=365, description="Rolling window of the caps, in local calendar days"
    )
    window_days_dormant: int = Field(
        default=30,
        ge=1,
        le=365,
        description="Rolling window for dormant people, in local calendar days",
    )
    uncapped_mails: tuple[str, ...] = Field(
        default=("order_confirmation", "shipping_confirmation", "password_reset"),
        description="Transactional mails of other systems, as the provider's events name them (* "
        "stands for any text): they do not count against the caps",
    )
    global_holdout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of people who get no promotional mail at all"
    )
    global_holdout_salt: str = Field(
        default="everything", min_length=1, description="Another word here draws them anew"
    )
    soft_bounces: int = Field(
        default=3,
        ge=0,
        le=100,
        description="Mails in a row that bounced softly until an address rests; 0: never",
    )
    soft_bounce_days: int = Field(
        default=14, ge=1, le=365, description="Within so many days of the last of them"
    )
    soft_bounce_rest_days: int = Field(
        default=30, ge=1, le=365, description="How long such an address rests, in days"
    )
    mail_role_accounts: bool = Field(
        default=False, description="Promotional mail to info@, sales@ and the like, too"
    )
    mail_risky_addresses: bool = Field(
        default=True,
        description="Promotional mail to addresses that verification calls risky, too (catch-all, "
        "throw-away)",
    )
    default_hour: int = Field(
        default=10, ge=0, le=23, description="Local hour of sending for people without a best hour"
    )
    earliest_hour: int = Field(default=7, ge=0, le=23, description="No mail before this local hour")
    latest_hour: int = Field(default=21, ge=0, le=23, description="No mail after this local hour")
    default_time_zone: str = Field(
        default="UTC", description="Time zone of people whose own is not known (IANA name)"
    )
    bestseller_days: int = Field(
        default=90, ge=1, le=3650, description="Window over which best sellers are counted, in days"
    )
    chunk_rows: int = Field(default=128, ge=1, le=10_000, description="Mails rendered at a time")
    chunk_seconds: float = Field(
        default=60.0, gt=0, description="Processor time that a chunk may take before the run stops"
    )
    workers: int = Field(
        default=0, ge=0, le=64, description="Processes that render a large batch; 0: one per core"
    )
    parallel_from: int = Field(
        default=10_000, ge=1, description="Mails of a run from which on several processes render"
    )
    keep_bodies_days: int = Field(
        default=90, ge=1, le=3650, description="Days after which a mail's text is dropped"
    )
    shown_products_days: int = Field(
        default=120,
        ge=1,
        le=3650,
        description="Days that emails.shown_products keeps what mails recommended",
    )
    clip_bytes: int = Field(
        default=102 * 1024, ge=1024, description="HTML size above which Gmail cuts a mail (bytes)"
    )
    loop_limit: int = Field(
        default=10_000, ge=1, description="Loop turns that one mail may take in a template"
    )
    output_limit: int = Field(
        default=1_000_000, ge=1024, description="Bytes that one mail may grow to"
    )
    max_error_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of failed mails above which nothing is published",
    )

    delivery: DeliverySettings = Field(default_factory=DeliverySettings)

    @model_validator(mode="after")
    def _hours(self) -> Self:
        if self.earliest_hour > self.latest_hour:
            raise ValueError(
                f"earliest_hour ({self.earliest_hour}) is after latest_hour ({self.latest_hour})"
            )
        return self
