"""Who may ask: keys with scopes, and how often."""

import datetime as dt
import math
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import limits
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from personalization_assets.errors import UserError
from personalization_assets.serving.service.keys import KeyFile
from personalization_assets.serving.service.metrics import Metrics
from personalization_assets.serving.service.problems import ProblemError

NO_KEYS = (
    "This service has no API key yet and answers no data without one: make one with "
    "`personalize serve keys create --name shop --scopes recommendations`."
)

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="A key made by `personalize serve keys create`, as `Authorization: Bearer pz_...`",
)
Presented = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class Access:
    """Checks keys and counts their requests, in a window that moves with the clock.

    Every worker counts for itself, so each grants its share of a limit.
    """

    def __init__(
        self, keys: KeyFile | None, rate_limit: str, metrics: Metrics, workers: int = 1
    ) -> None:
        self._keys = keys
        self._rate_limit = rate_limit
        self._metrics = metrics
        self._workers = workers
        self._parsed: dict[str, limits.RateLimitItem] = {}
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def scope(self, name: str) -> Callable[..., Awaitable[None]]:
        """What an endpoint depends on that keys with this scope may ask."""

        async def check(request: Request, presented: Presented) -> None:
            if self._keys is not None:
                self._check(request, presented, name)

        return check

    def _check(
        self, request: Request, presented: HTTPAuthorizationCredentials | None, scope: str
    ) -> None:
        assert self._keys is not None
        try:
            key = self._keys.find(presented.credentials if presented else "")
            known = self._keys.all()
        except UserError as error:
            raise ProblemError(503, str(error)) from None
        if not known:
            raise ProblemError(503, NO_KEYS)
        challenge = {"WWW-Authenticate": "Bearer"}
        if key is None:
            wrong = "The API key is not known" if presented else "An API key is needed"
            raise ProblemError(
                401, f"{wrong}: send it as `Authorization: Bearer pz_...`.", challenge
            )
        request.state.note.fields["key"] = key.id
        state = key.state(dt.datetime.now(dt.UTC))
        if state != "active":
            raise ProblemError(401, f"The API key is {state}: ask for a new one.", challenge)
        if scope not in key.scopes:
            raise ProblemError(
                403, f"The API key has not the scope `{scope}`: ask for a key that has it."
            )
        self._count(request, key.id, key.rate_limit or self._rate_limit)

    def _count(self, request: Request, key_id: str, rule: str) -> None:
        item = self._parsed.get(rule)
        if item is None:
            whole = limits.parse(rule)
            share = max(1, math.ceil(whole.amount / self._workers))
            item = self._parsed[rule] = type(whole)(share, whole.multiples)
        allowed = self._limiter.hit(item, key_id)
        window = self._limiter.get_window_stats(item, key_id)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        request.state.note.headers |= {
            "RateLimit-Policy": f'"key";q={item.amount};w={item.get_expiry()}',
            "RateLimit": f'"key";r={window.remaining};t={wait}',
        }
        if not allowed:
            self._metrics.limited()
            raise ProblemError(
                429,
                f"The limit of this key is {rule}: try again in {wait} s.",
                {"Retry-After": str(wait)},
            )
