"""What a user may set about e-mail verification. Only pydantic and the standard library."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Provider = Literal["neverbounce", "zerobounce"]

KEY_VARIABLES: dict[str, str] = {
    "neverbounce": "PERSONALIZE_NEVERBOUNCE_KEY",
    "zerobounce": "PERSONALIZE_ZEROBOUNCE_KEY",
}
"""Environment variable that holds the key of each service; a key never stands in a file."""


class VerificationSettings(BaseModel):
    """Which service is asked, how much it may cost, and how long an answer counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: Provider | None = Field(
        default=None, description="Service that is asked; none: own history and lists only"
    )
    base_url: str | None = Field(
        default=None,
        description="Where the service answers, such as https://api-us.zerobounce.net/v2; default: "
        "the service's own",
    )
    daily_budget: int = Field(
        default=1_000, ge=0, description="Addresses that may be paid for on one day (UTC)"
    )
    delivered_days: int = Field(
        default=180, ge=0, description="Days for which a delivered mail proves that mail arrives"
    )
    deliverable_days: int = Field(
        default=90, ge=1, description="Days until a deliverable address is asked about again"
    )
    undeliverable_days: int = Field(
        default=180, ge=1, description="Days until an undeliverable address is asked about again"
    )
    risky_days: int = Field(
        default=60, ge=1, description="Days until a risky address is asked about again"
    )
    unknown_days: int = Field(
        default=7, ge=1, description="Days until the service may try an unknown address again"
    )
    timeout_seconds: float = Field(
        default=100.0, gt=0, description="How long one request may take; a batch is verified live"
    )
    attempts: int = Field(default=4, ge=1, le=10, description="Times that a request is tried")
    backoff_seconds: float = Field(
        default=2.0, ge=0, description="Wait before the second try; doubles with each one"
    )
    wait_seconds: float = Field(
        default=600.0,
        ge=0,
        description="How long a run waits for a job of NeverBounce; else the next one collects it",
    )

    @field_validator("base_url")
    @classmethod
    def _safe(cls, url: str | None) -> str | None:
        # The key goes there with every request.
        if url and not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", url):
            raise ValueError("must begin with https://")
        return url
