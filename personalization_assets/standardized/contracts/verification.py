"""Contracts of what is known of e-mail addresses: whether mail arrives, and what asking cost."""

import pandera.polars as pa
import polars as pl

from personalization_assets.standardized.contracts.base import EMAIL_PATTERN

VERDICTS = ["deliverable", "undeliverable", "risky", "unknown"]
PROVIDERS = ["history", "list", "neverbounce", "zerobounce", "none"]
PAID_PROVIDERS = ["neverbounce", "zerobounce"]
BATCH_STATUSES = ["asked", "answered", "failed"]


class EmailVerifications(pa.DataFrameModel):
    """Whether mail to an address would arrive, by the cheapest knowledge there is: own events,
    lists of mailboxes, else a paid service. An answer that has expired stands until there is a new
    one; an address that no source has any more is not kept."""

    email: str = pa.Field(
        unique=True,
        str_matches=EMAIL_PATTERN,
        description="The address, canonical form, in small letters",
    )
    verdict: str = pa.Field(
        isin=VERDICTS,
        description="deliverable; undeliverable: no mail should go there; risky: mail may arrive "
        "(catch-all, throw-away, a task's); unknown",
    )
    reason: str = pa.Field(
        description="Why: hard_bounce, delivered, disposable, role, the service's own word; "
        "or not_asked: nobody writes there, or the day's budget did not reach"
    )
    provider: str = pa.Field(
        isin=PROVIDERS,
        description="Who says so: history (own e-mail events), list, a service, or none",
    )
    checked_as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="When it was so: of the event, or of the run that asked (UTC)",
        metadata={"unit": "UTC"},
    )
    expires_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="Until when it counts (UTC); empty where it needs no end, or is no answer",
        metadata={"unit": "UTC"},
    )

    class Config:
        """Facts about the table."""

        name = "email_verifications"
        metadata = {
            "room": "standardized",
            "key": ["email"],
            "grain": "one row per address in contacts, members, orders, preferences and networks",
            "version": 1,
            "owner": "team:crm",
            "pii": True,
        }


class EmailVerificationBatches(pa.DataFrameModel):
    """What a verification service was asked, and what it may have charged: the day's budget is
    counted here. Written before a batch is asked, so that a killed run is known to have asked."""

    batch_id: str = pa.Field(unique=True, description="Time of the run and number within it")
    provider: str = pa.Field(isin=PAID_PROVIDERS, description="The service")
    ticket: str = pa.Field(nullable=True, description="The service's number of the batch, if any")
    status: str = pa.Field(
        isin=BATCH_STATUSES,
        description="asked: answers are awaited; answered; failed: there will be none",
    )
    reason: str = pa.Field(nullable=True, description="Why it failed")
    addresses: int = pa.Field(ge=1, description="Addresses in the batch")
    credits: int = pa.Field(
        ge=0,
        description="Most that it can have cost; more than `addresses` where an answer was lost "
        "and the batch was sent again",
        metadata={"unit": "credits"},
    )
    answers: int = pa.Field(ge=0, description="Addresses that were answered")
    asked_on: pl.Date = pa.Field(description="Day whose budget it counts to (UTC)")
    asked_as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Run that asked (UTC)", metadata={"unit": "UTC"}
    )

    class Config:
        """Facts about the table."""

        name = "email_verification_batches"
        metadata = {
            "room": "standardized",
            "key": ["batch_id"],
            "grain": "one row per batch that a service was asked",
            "version": 1,
            "owner": "team:crm",
            "pii": False,
        }
