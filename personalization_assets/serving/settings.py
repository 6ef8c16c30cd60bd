"""What a user may set about the service that answers from the published copy."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ServingSettings(BaseModel):
    """Limits of the recommendation service, and what it may tell about a customer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    live: Literal["with_context", "always"] = Field(
        default="with_context",
        description="When to score anew: with_context where a cart, views or filters are given "
        "that the published list can't know of, or always",
    )
    context_weight: float = Field(
        default=5.0,
        gt=0,
        le=1_000,
        description="How many times a view or cart of this moment counts what a recorded one does",
    )
    time_limit_ms: float = Field(
        default=40.0,
        ge=0,
        le=10_000,
        description="A live list that takes longer gives way to the published one; 0: never live",
    )
    scoring_threads: int = Field(
        default=1, ge=1, le=64, description="Live lists that are made at the same time, per worker"
    )
    scoring_queue: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="More requests than so many waiting get the published list at once",
    )
    reload_seconds: float = Field(
        default=1.0, gt=0, le=3600, description="How often to look for a new publication"
    )
    unknown_customers: Literal["popular", "not_found"] = Field(
        default="popular",
        description="Who is not known gets the best sellers, or an answer that says so (404)",
    )
    rate_limit: str = Field(
        default="100/second",
        pattern=r"^[1-9]\d* ?/ ?(second|minute|hour|day)$",
        description="Requests of a key without a limit of its own, like 100/second or 5000/minute",
    )
    max_body_bytes: int = Field(
        default=65_536, ge=1_024, le=10_000_000, description="A larger request is refused"
    )
    metrics_need_key: bool = Field(
        default=True, description="/metrics asks for a key with the scope metrics"
    )
    cors_origins: list[str] = Field(
        default_factory=list,
        description="Web pages that browsers let call the service, like https://shop.example.com",
    )
    profile_fields: list[str] = Field(
        default_factory=lambda: [
            "given_name",
            "family_name",
            "language",
            "country",
            "loyalty_tier",
            "loyalty_points",
        ],
        description="Columns of golden_profiles that the service may tell about everybody",
    )
    personal_profile_fields: list[str] = Field(
        default_factory=lambda: [
            "favourite_category",
            "categories",
            "top_brand",
            "last_products",
            "last_viewed_products",
            "open_cart",
            "segment",
            "lifecycle",
            "engagement_level",
            "is_vip",
        ],
        description="Columns that it may tell about customers who agreed to personal contents only",
    )
