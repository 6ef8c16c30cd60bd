"""One request to a service, tried again with growing pauses where that helps.

Keys travel in the body: a URL is logged on its way. Errors name the service and the kind of
trouble; texts of the HTTP library and bodies are not passed on, as they may hold a key or an
address.
"""

import email.utils
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from personalization_assets.standardized.verification.settings import VerificationSettings
from personalization_assets.standardized.verification.verdicts import (
    StoppedError,
    UnavailableError,
    VerificationError,
)

LONGEST_PAUSE = 120.0
"""A service that wants more patience, in seconds, is left to the next run."""

Judge = Callable[[Mapping[str, Any]], VerificationError | None]
"""Tells what is wrong with a body that came with HTTP 200; None: nothing."""


class Caller:
    """Posts JSON to one service."""

    def __init__(
        self,
        service: str,
        base_url: str,
        key: str,
        settings: VerificationSettings,
        judge: Judge,
        key_field: str,
    ) -> None:
        self.service = service
        self.attempts = settings.attempts
        self.backoff = settings.backoff_seconds
        self._key = {key_field: key}
        self._judge = judge
        self._client = httpx.Client(base_url=base_url, timeout=settings.timeout_seconds)

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        before_retry: Callable[[], None] | None = None,
    ) -> Mapping[str, Any]:
        """The answer's JSON object.

        `before_retry` is called before a request is sent again that may have arrived.

        Raises:
            StoppedError: trying again does not help.
            UnavailableError: all tries failed.
        """
        for attempt in range(self.attempts):
            try:
                return self.post_once(path, body)
            except FailedTryError as failure:
                if attempt + 1 == self.attempts or not self.pause(attempt, failure.retry_after):
                    raise UnavailableError(str(failure)) from None
                if failure.may_have_arrived and before_retry:
                    before_retry()
        raise AssertionError("attempts is at least 1")

    def post_once(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """As `post`, tried once.

        Raises:
            UnavailableError: it failed; trying again may help.
        """
        try:
            response = self._client.post(path, json={**self._key, **body})
        except httpx.ConnectError:
            raise FailedTryError(f"{self.service} cannot be reached") from None
        except httpx.ConnectTimeout:
            raise FailedTryError(f"{self.service} cannot be reached in time") from None
        except httpx.TimeoutException:
            raise FailedTryError(f"{self.service} did not answer in time", arrived=True) from None
        except httpx.HTTPError:
            raise FailedTryError(f"{self.service} broke off the connection", arrived=True) from None
        return self._read(response)

    def pause(self, attempt: int, retry_after: float | None = None) -> bool:
        """Wait before the next try; False where the service asks for more than we wait."""
        seconds = self.backoff * 2**attempt if retry_after is None else retry_after
        if seconds > LONGEST_PAUSE:
            return False
        time.sleep(seconds)
        return True

    def _read(self, response: httpx.Response) -> Mapping[str, Any]:
        status = response.status_code
        if status == 429:
            raise FailedTryError(
                f"{self.service} asks us to slow down (429)", _retry_after(response)
            )
        if status == 403 or status >= 500:
            # ZeroBounce answers 403 while its shield against floods is up, not to a wrong key.
            after = _retry_after(response)
            raise FailedTryError(
                f"{self.service} is not available ({status})", after, status >= 500
            )
        if status != 200:
            raise StoppedError(
                f"{self.service} refused the request ({status}): check the setting "
                "standardized.verification.base_url and the service's status page"
            )
        try:
            body = response.json()
        except ValueError:
            raise FailedTryError(f"{self.service} answered something that is no JSON") from None
        if not isinstance(body, dict):
            raise FailedTryError(f"{self.service} answered JSON of another form")
        trouble = self._judge(body)
        if isinstance(trouble, UnavailableError):
            raise FailedTryError(str(trouble))
        if trouble:
            raise trouble
        return body


class FailedTryError(UnavailableError):
    """A try that failed, and what is known for the next one."""

    def __init__(self, text: str, retry_after: float | None = None, arrived: bool = False) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.may_have_arrived = arrived


def _retry_after(response: httpx.Response) -> float | None:
    """The header of RFC 9110: seconds, or a date."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
