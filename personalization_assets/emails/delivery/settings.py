"""What a user may set about delivery. Only pydantic and the standard library."""

import math
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from personalization_assets.emails.delivery.message import MessageError, sender_of

PORTS = {"none": 25, "starttls": 587, "tls": 465}
LONGEST_WAIT_DAYS = 5
"""From the midnight before a run until the hour that suits a person best, wherever they live."""


class DeliverySettings(BaseModel):
    """How rendered mails leave. The password of the mail server is no setting: it comes from
    PERSONALIZE_SMTP_PASSWORD."""

    model_config = ConfigDict(extra="forbid")

    channel: Literal["file", "eml", "smtp"] = Field(
        default="file",
        description="file: a Parquet file a campaign, for the shop's mail tool; eml: a message a "
        "file, for programs that open them; smtp: `personalize mails send` gives them to a server",
    )
    host: str = Field(default="localhost", min_length=1, description="Mail server")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Port; by default 25, 587 (starttls) or 465 (tls)"
    )
    security: Literal["none", "starttls", "tls"] = Field(
        default="starttls", description="How the connection is encrypted"
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust instead of the system's (PEM)"
    )
    username: str | None = Field(default=None, description="Account at the mail server, if any")
    envelope_from: str | None = Field(
        default=None, description="Address that bounces go to; by default each mail's sender"
    )
    connections: int = Field(default=4, ge=1, le=100, description="Connections at a time")
    mails_per_connection: int = Field(
        default=100, ge=1, description="Mails after which a connection is opened anew"
    )
    mails_per_second: float = Field(
        default=10.0, gt=0, le=10_000, description="Mails a second, over all connections"
    )
    attempts: int = Field(
        default=4, ge=1, le=20, description="Times that a mail is tried before the next command"
    )
    backoff_seconds: float = Field(
        default=30.0, ge=0, description="Pause before the second attempt; doubles with each"
    )
    timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long to wait for an answer; for the one that takes a mail at least 600",
    )
    expire_hours: int = Field(
        default=48, ge=1, le=24 * 90, description="Hours after its time that a mail is still sent"
    )

    keep_journal_days: int = Field(
        default=120,
        ge=1,
        le=3650,
        description="Days that the journal of sent mails goes back; what older runs rendered is "
        "not sent any more",
    )

    @property
    def used_port(self) -> int:
        """The port, or the usual one for the security."""
        return self.port or PORTS[self.security]

    @field_validator("envelope_from")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        try:
            return value if value is None else sender_of(value)
        except MessageError as error:
            raise ValueError(f"envelope_from: {error}") from None

    @model_validator(mode="after")
    def _remembered_while_it_may_go(self) -> Self:
        needed = math.ceil(self.expire_hours / 24) + LONGEST_WAIT_DAYS
        if self.keep_journal_days < needed:
            raise ValueError(
                f"keep_journal_days ({self.keep_journal_days}) is too short: mails go out until "
                f"expire_hours ({self.expire_hours}) after their time, so make it {needed} or more"
            )
        return self

    @model_validator(mode="after")
    def _password_in_the_open(self) -> Self:
        if (
            self.username
            and self.security == "none"
            and self.host not in ("localhost", "127.0.0.1")
        ):
            raise ValueError("username needs security starttls or tls: passwords go encrypted only")
        return self
