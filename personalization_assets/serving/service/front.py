"""What every request passes on its way in and out: id, size, log line, metrics."""

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personalization_assets.serving.service.logs import place_of, say, warn
from personalization_assets.serving.service.metrics import Metrics
from personalization_assets.serving.service.problems import answer

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""What a caller's id may look like; anything else is replaced"""


@dataclass
class Note:
    """What is known about a request, for its answer's headers and its line in the log."""

    request_id: str
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


class Front:
    """Wraps the app."""

    def __init__(self, app: ASGIApp, metrics: Metrics, max_body_bytes: int) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        note = Note(_request_id(headers))
        scope.setdefault("state", {})["note"] = note
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                mine = {"X-Request-Id": note.request_id, "Cache-Control": "no-store"}
                message["headers"] = [
                    *message.get("headers", []),
                    *((n.encode(), v.encode()) for n, v in {**mine, **note.headers}.items()),
                ]
            await send(message)

        too_large = self._too_large(headers)
        try:
            if too_large:
                await answer(note.request_id, 413, too_large)(scope, receive, sending)
            else:
                await self._app(scope, self._counted(receive), sending)
        except Exception as error:  # it has been answered with 500, here it is only reported
            warn("request failed", request_id=note.request_id, error=place_of(error))
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.answered(route, scope["method"], status, seconds)
            say(
                "request",
                request_id=note.request_id,
                method=scope["method"],
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                **note.fields,
            )

    def _too_large(self, headers: dict[bytes, bytes]) -> str:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._max_body_bytes:
            return self._refusal
        return ""

    @property
    def _refusal(self) -> str:
        return f"The body is larger than {self._max_body_bytes:,} bytes, the limit here."

    def _counted(self, receive: Receive) -> Receive:
        """Bodies that come in pieces and don't say how long they are."""
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise HTTPException(413, self._refusal)
            return message

        return counting


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
