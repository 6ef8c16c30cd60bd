"""NeverBounce, API v4.2: a batch is a job that is created, waited for, and read page by page.

Single checks are for forms; a list goes through jobs (developers.neverbounce.com, usage
guidelines). Errors come with HTTP 200: `status` is success, auth_failure, temp_unavail,
throttle_triggered, bad_referrer or general_failure. A job is found again by its file name, so a
request whose answer was lost is looked for before it is sent, and paid, a second time.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization_assets.standardized.verification.calling import Caller, FailedTryError
from personalization_assets.standardized.verification.settings import (
    KEY_VARIABLES,
    VerificationSettings,
)
from personalization_assets.standardized.verification.verdicts import (
    Answer,
    LostError,
    Notes,
    StoppedError,
    UnavailableError,
    Verdict,
    VerificationError,
    WorkingError,
)

BASE_URL = "https://api.neverbounce.com/v4.2"
PAGE = 1_000
LONGEST_POLL = 30.0

VERDICT_OF: dict[str, Verdict] = {
    "valid": "deliverable",
    "invalid": "undeliverable",
    "disposable": "risky",
    "catchall": "risky",
    "unknown": "unknown",
}
"""By result; a result that is not known here is unknown."""

TRAP = "spamtrap_network"
"""Flag of addresses that may cost the sender's good name, whatever the result."""


class NeverBounce:
    """A `Verifier`."""

    name = "neverbounce"
    batch_size = 10_000
    resumable = True

    def __init__(self, key: str, settings: VerificationSettings) -> None:
        self._caller = Caller(
            "NeverBounce", settings.base_url or BASE_URL, key, settings, _trouble, "key"
        )
        self._wait = settings.wait_seconds

    def verify(self, batch_id: str, addresses: Sequence[str], notes: Notes) -> list[Answer]:
        """See `Verifier.verify`."""
        job = self._create(batch_id, addresses)
        notes.ticket(job)
        return self._collect(job)

    def resume(self, batch_id: str, ticket: str | None) -> list[Answer] | None:
        """See `Verifier.resume`."""
        job = ticket or self._find(batch_id)
        return self._collect(job) if job else None

    def _create(self, batch_id: str, addresses: Sequence[str]) -> str:
        request = {
            "input_location": "supplied",
            "filename": _file(batch_id),
            "auto_parse": True,
            "auto_start": True,
            "allow_manual_review": False,
            "input": [{"email": address} for address in addresses],
        }
        attempt = 0
        while True:
            try:
                return str(self._caller.post_once("jobs/create", request)["job_id"])
            except FailedTryError as failure:
                attempt += 1
                last = attempt == self._caller.attempts
                if last or not self._caller.pause(attempt - 1, failure.retry_after):
                    raise
            if job := self._find(batch_id):
                return job

    def _find(self, batch_id: str) -> str | None:
        """The job of this file name, where the service has it."""
        found = self._caller.post("jobs/search", {"filename": _file(batch_id)})
        return next((str(job["id"]) for job in found.get("results") or []), None)

    def _collect(self, job: str) -> list[Answer]:
        deadline, pause = time.monotonic() + self._wait, 1.0
        while True:
            state = self._caller.post("jobs/status", {"job_id": int(job)})
            status = state.get("job_status")
            if status == "complete":
                return list(self._results(job))
            if status == "failed":
                raise LostError(
                    "NeverBounce could not work on the batch: see its dashboard for the reason"
                )
            if status == "under_review":
                raise WorkingError("NeverBounce holds the batch for review by its staff")
            if time.monotonic() + pause > deadline:
                raise WorkingError("NeverBounce is not done with the batch")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL)

    def _results(self, job: str) -> Iterator[Answer]:
        page = 1
        while True:
            asked = {"job_id": int(job), "page": page, "items_per_page": PAGE}
            body = self._caller.post("jobs/results", asked)
            for row in body.get("results") or []:
                yield _answer(row["data"]["email"], row["verification"])
            if page >= int(body.get("total_pages") or 1):
                return
            page += 1


def _file(batch_id: str) -> str:
    return f"personalize-{batch_id}.csv"


def _answer(email: str, found: Mapping[str, Any]) -> Answer:
    result = str(found.get("result") or "no_answer")
    if TRAP in (found.get("flags") or []):
        return Answer(email.lower(), "risky", TRAP)
    return Answer(email.lower(), VERDICT_OF.get(result, "unknown"), result)


def _trouble(body: Mapping[str, Any]) -> VerificationError | None:
    match body.get("status"):
        case "success":
            return None
        case "throttle_triggered":
            return UnavailableError("NeverBounce asks us to slow down (throttle_triggered)")
        case "temp_unavail":
            return UnavailableError("NeverBounce is not available (temp_unavail)")
        case "auth_failure":
            return StoppedError(
                "NeverBounce does not take the key: correct "
                f"{KEY_VARIABLES['neverbounce']} (a key of v4 begins with secret_)"
            )
        case "bad_referrer":
            return StoppedError(
                "NeverBounce does not trust this machine: add its address to the app's trusted "
                "domains"
            )
        case "general_failure":
            return StoppedError(
                "NeverBounce refused the request (general_failure): most often the account has no "
                "credits left; see its dashboard"
            )
        case _:
            return UnavailableError("NeverBounce answered without a status")
