"""What a user may set in the profiles room.

Every field reaches the SQL models as `getvariable('profiles__<field>')`. Windows that a column's
name carries (`orders_365d`) are not settings: the name would lie.
"""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ProfilesSettings(BaseModel):
    """Settings of the profiles room; days are counted back from `as_of`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cart_days: int = Field(default=14, ge=1, le=365, description="How long a left cart stays open")
    last_viewed: int = Field(default=6, ge=1, le=50, description="Products kept as last viewed")
    last_bought: int = Field(default=10, ge=1, le=50, description="Products kept as last bought")

    half_life_days: float = Field(
        default=60.0, gt=0, description="After so many days a signal of taste counts half"
    )
    view_weight: float = Field(default=1.0, ge=0, description="What a product view says of taste")
    cart_weight: float = Field(default=4.0, ge=0, description="What a cart says of taste")
    purchase_weight: float = Field(default=10.0, ge=0, description="What a purchase says of taste")
    top_categories: int = Field(default=5, ge=1, le=50, description="Inferred categories kept")

    human_seconds: int = Field(
        default=2,
        ge=0,
        le=600,
        description="Opens and clicks sooner than this after delivery are a machine's",
    )
    engaged_days: int = Field(
        default=30, ge=1, description="A reaction within so many days can make engagement high"
    )
    interested_days: int = Field(
        default=90, ge=1, description="A reaction within so many days makes it at least medium"
    )
    dormant_days: int = Field(
        default=180, ge=1, description="Without a reaction for so many days it is dormant"
    )

    new_days: int = Field(default=30, ge=1, description="How long a customer counts as new")
    active_days: int = Field(
        default=90, ge=1, description="Active with an order within so many days"
    )
    lapsed_days: int = Field(
        default=365, ge=1, description="Lapsed without an order for more than so many days"
    )
    vip_share: float = Field(
        default=0.05, gt=0, le=1, description="Top share of the year's spenders that are VIPs"
    )
    vip_min_orders: int = Field(
        default=2, ge=1, description="Orders within a year that a VIP has at least"
    )

    imputation_confidence: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A missing attribute is predicted where it is right at least so often",
    )
    imputation_min_known: int = Field(
        default=200, ge=20, description="Known values without which no prediction is tried"
    )
    imputation_training_rows: int = Field(
        default=50_000, ge=100, description="Most customers that a prediction learns from"
    )

    usable_coverage: float = Field(
        default=0.3, ge=0, le=1, description="Share of customers that makes a data point usable"
    )
    trusted_coverage: float = Field(
        default=0.7, ge=0, le=1, description="Share of customers that makes it trusted"
    )
    trusted_days: int = Field(
        default=365, ge=1, description="Median age (days) beyond which it is not trusted"
    )

    maturity_weight_coverage: float = Field(
        default=0.4, ge=0, description="Weight of coverage in a data point's score"
    )
    maturity_weight_validity: float = Field(
        default=0.2, ge=0, description="Weight of validity in a data point's score"
    )
    maturity_weight_freshness: float = Field(
        default=0.15, ge=0, description="Weight of freshness in a data point's score"
    )
    maturity_weight_uniqueness: float = Field(
        default=0.1, ge=0, description="Weight of uniqueness in a data point's score"
    )
    maturity_weight_consent: float = Field(
        default=0.15, ge=0, description="Weight of consent in a data point's score"
    )

    @model_validator(mode="after")
    def _in_order(self) -> "ProfilesSettings":
        for low, high in (
            ("engaged_days", "interested_days"),
            ("interested_days", "dormant_days"),
            ("active_days", "lapsed_days"),
            ("usable_coverage", "trusted_coverage"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not exceed {high}")
        return self
