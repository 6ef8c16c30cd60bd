"""ZeroBounce, API v2: batches of up to 100 addresses, verified while we wait.

`POST /v2/validatebatch` takes `api_key` and `email_batch` and answers `email_batch` (address,
status, sub_status, ...) and `errors` (error, email_address). A wrong key and an empty account are
one message, with HTTP 200: `error`, or an entry of `errors` for address "all". Statuses and
sub-statuses: zerobounce.net/docs/email-validation-api-quickstart/v2-status-codes. There are no
idempotency keys: a batch that is sent twice is paid twice. 30 batches a minute are allowed.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from personalization_assets.standardized.verification.calling import Caller
from personalization_assets.standardized.verification.settings import (
    KEY_VARIABLES,
    VerificationSettings,
)
from personalization_assets.standardized.verification.verdicts import (
    Answer,
    Notes,
    StoppedError,
    UnavailableError,
    Verdict,
    VerificationError,
)

BASE_URL = "https://api.zerobounce.net/v2"
PAUSE_SECONDS = 2.0
"""Between batches: 30 a minute."""

VERDICT_OF: dict[str, Verdict] = {
    "valid": "deliverable",
    "invalid": "undeliverable",
    "catch-all": "risky",
    "unknown": "unknown",
    "spamtrap": "undeliverable",  # it would arrive, and cost the sender's good name
    "abuse": "risky",
    "do_not_mail": "risky",
}
"""By status; a status that is not known here is unknown."""

FULL_MAILBOX = "mailbox_quota_exceeded"
"""Sub-status of `invalid` that may pass."""


class ZeroBounce:
    """A `Verifier`."""

    name = "zerobounce"
    batch_size = 100
    resumable = False

    def __init__(self, key: str, settings: VerificationSettings) -> None:
        self._caller = Caller(
            "ZeroBounce", settings.base_url or BASE_URL, key, settings, _trouble, "api_key"
        )
        self._asked = False

    def verify(self, batch_id: str, addresses: Sequence[str], notes: Notes) -> list[Answer]:
        """See `Verifier.verify`."""
        if self._asked:
            time.sleep(PAUSE_SECONDS)
        self._asked = True
        batch = [{"email_address": address, "ip_address": ""} for address in addresses]
        body = self._caller.post("validatebatch", {"email_batch": batch}, notes.charged_again)
        return [_answer(row) for row in body.get("email_batch", []) if row.get("address")]

    def resume(self, batch_id: str, ticket: str | None) -> list[Answer] | None:
        """See `Verifier.resume`: answers that were not received are lost."""
        return None


def _answer(row: Mapping[str, Any]) -> Answer:
    status = str(row.get("status", "")).lower()
    sub_status = str(row.get("sub_status") or "").lower()
    verdict = VERDICT_OF.get(status, "unknown")
    if sub_status == FULL_MAILBOX:
        verdict = "risky"
    return Answer(str(row["address"]).lower(), verdict, sub_status or status or "no_answer")


def _trouble(body: Mapping[str, Any]) -> VerificationError | None:
    general = [e for e in body.get("errors") or [] if e.get("email_address") in ("all", "", None)]
    if not body.get("error") and not general:
        if "email_batch" not in body:
            return UnavailableError("ZeroBounce answered without any address")
        return None
    return StoppedError(
        "ZeroBounce answers to no batch: the key is wrong or the account has no credits left; "
        f"correct {KEY_VARIABLES['zerobounce']} or buy credits"
    )
