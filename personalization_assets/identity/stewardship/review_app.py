"""The review page as a small web application for one person on one computer.

It holds what the last run found in memory, so that a run can write the warehouse meanwhile, and
writes nothing but the file of decisions. Whoever has not opened it with its token sees nothing.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from personalization_assets.errors import UserError
from personalization_assets.identity.decisions import read_decisions
from personalization_assets.identity.stewardship import explaining, review_page
from personalization_assets.identity.stewardship.decision_log import (
    FILE,
    Verdicts,
    record,
    standing,
    withdraw,
)
from personalization_assets.identity.stewardship.evidence_page import customer_page
from personalization_assets.identity.stewardship.review_queue import Item, Queue
from personalization_assets.settings import Settings

COOKIE = "personalize_review"
LARGEST_FORM = 16_384
"""Bytes of a form: a reason and a name."""

MOST_PAIRS = 60
Handler = Callable[[Request], Awaitable[Response]]
Form = dict[str, str]


class Desk:
    """What the server knows: the queue as last read, who decides, and its two secrets."""

    def __init__(
        self, settings: Settings, read: Callable[[], Queue], queue: Queue, author: str
    ) -> None:
        self.settings = settings
        self.author = author
        self.token = secrets.token_urlsafe(32)
        self.csrf = secrets.token_urlsafe(32)
        self._read = read
        self._take(queue)

    @property
    def decisions(self) -> Path:
        """The file that decisions go to."""
        return self.settings.data_dir / FILE

    def reload(self) -> None:
        """Read the queue again.

        Raises:
            UserError: a run is writing the warehouse.
        """
        self._take(self._read())

    def decided(self) -> dict[str, dict[str, str | None]]:
        """The decision that binds each decided item, by item id."""
        now = standing(self.decisions)
        return {i.item_id: now[i.pair] for i in self.queue.items if i.pair in now}

    def view(self, nonce: str, done: str = "") -> review_page.View:
        """What every page needs."""
        return review_page.View(
            csrf=self.csrf,
            nonce=nonce,
            author=self.author,
            threshold=self.settings.identity.match_threshold,
            stale=self._written() != self._seen,
            done=done,
        )

    def _take(self, queue: Queue) -> None:
        self.queue = queue
        self.items: dict[str, Item] = {item.item_id: item for item in queue.items}
        self._seen = self._written()

    def _written(self) -> int:
        path = self.settings.warehouse_file
        return path.stat().st_mtime_ns if path.exists() else 0


def review_app(desk: Desk) -> Starlette:
    """The application; `desk.token` opens it with `?token=...`."""
    routes = [
        Route("/", _guarded(desk, _queue), methods=["GET"]),
        Route("/item/{item_id}", _guarded(desk, _item), methods=["GET"]),
        Route("/item/{item_id}", _guarded(desk, _decide), methods=["POST"]),
        Route("/customer/{customer_id}", _guarded(desk, _customer), methods=["GET"]),
        Route("/decisions", _guarded(desk, _decisions), methods=["GET"]),
        Route("/withdraw", _guarded(desk, _withdraw), methods=["POST"]),
        Route("/reload", _guarded(desk, _reload), methods=["POST"]),
    ]
    # Another name for this address would be a page of somebody else's that reads ours.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return Starlette(routes=routes, middleware=[hosts])


def _guarded(desk: Desk, handle: Callable[[Desk, Request, str, Form], Response]) -> Handler:
    """Let in who has the token, refuse forms that are not from our pages, close the page to others.

    What the user has to know comes as a page, as everything does.
    """

    async def respond(request: Request) -> Response:
        given = request.query_params.get("token", "")
        if given and _equal(given, desk.token):
            response: Response = RedirectResponse(request.url.path, status_code=303)
            response.set_cookie(COOKIE, desk.token, httponly=True, samesite="lax", path="/")
            return _closed(response, "")
        if not _equal(request.cookies.get(COOKIE, ""), desk.token):
            return _closed(
                PlainTextResponse(
                    "Open this page with the address that `personalize identity review` printed.",
                    status_code=403,
                ),
                "",
            )
        form: Form = {}
        if request.method == "POST":
            read = await _form(request)
            origin = request.headers.get("origin")
            own = origin is None or origin == f"http://{request.headers.get('host')}"
            if read is None or not own or not _equal(read.get("csrf", ""), desk.csrf):
                return _closed(
                    PlainTextResponse("This form is not from this page.", status_code=403), ""
                )
            form = read
        nonce = secrets.token_urlsafe(16)
        try:
            response = await run_in_threadpool(handle, desk, request, nonce, form)
        except UserError as error:
            text = review_page.message_page(desk.view(nonce), "That did not work", str(error))
            response = HTMLResponse(text, status_code=409)
        return _closed(response, nonce)

    return respond


def _equal(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())


async def _form(request: Request) -> Form | None:
    """The fields of a form; None when it is larger than ours can be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            return None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def _closed(response: Response, nonce: str) -> Response:
    own = f"'nonce-{nonce}'" if nonce else "'none'"
    response.headers.update(
        {
            "Content-Security-Policy": f"default-src 'none'; style-src {own}; script-src {own}; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
        }
    )
    return response


def _queue(desk: Desk, request: Request, nonce: str, form: Form) -> Response:
    reason = request.query_params.get("reason", "")
    view = desk.view(nonce, request.query_params.get("done", ""))
    return HTMLResponse(review_page.queue_page(view, desk.queue, reason, desk.decided()))


def _item(desk: Desk, request: Request, nonce: str, form: Form) -> Response:
    item = _known(desk, request)
    reason = request.query_params.get("reason", "")
    decided = desk.decided()
    ids = [i.item_id for i in desk.queue.items if not reason or i.reason == reason]
    if item.item_id not in ids:
        ids = list(desk.items)
    place = ids.index(item.item_id)
    before = ids[place - 1] if place else None
    after = ids[place + 1] if place + 1 < len(ids) else None
    text = review_page.item_page(
        desk.view(nonce, request.query_params.get("done", "")),
        item,
        f"{place + 1:,} of {len(ids):,}",
        (before, after),
        reason,
        decided.get(item.item_id),
    )
    return HTMLResponse(text)


def _decide(desk: Desk, request: Request, nonce: str, form: Form) -> Response:
    item = _known(desk, request)
    verdict = form.get("verdict", "")
    author = form.get("author", "").strip()
    if verdict not in ("same", "different") or not author:
        raise UserError("A decision needs a verdict and who decides: go back and fill in both.")
    desk.author = author
    one, other = item.pair
    rows = ((one, other, "same" if verdict == "same" else "different"),)
    why = form.get("reason", "").strip() or None
    ids = record(desk.decisions, Verdicts("decision", rows), author, why)  # type: ignore[arg-type]
    return _onwards(desk, item.item_id, form.get("filter", ""), ids[0])


def _onwards(desk: Desk, item_id: str, reason: str, done: str) -> Response:
    """To the next item that waits, else to the queue."""
    decided = desk.decided()
    ids = [i.item_id for i in desk.queue.items if not reason or i.reason == reason]
    place = ids.index(item_id) if item_id in ids else 0
    waiting = [i for i in ids[place:] + ids[:place] if i not in decided]
    query = urlencode({k: v for k, v in (("reason", reason), ("done", done)) if v})
    path = f"/item/{quote(waiting[0])}" if waiting else "/"
    return RedirectResponse(f"{path}?{query}" if query else path, status_code=303)


def _withdraw(desk: Desk, request: Request, nonce: str, form: Form) -> Response:
    withdraw(desk.decisions, form.get("decision", ""))
    item, reason = form.get("item", ""), form.get("filter", "")
    if item in desk.items:
        query = f"?{urlencode({'reason': reason})}" if reason else ""
        return RedirectResponse(f"/item/{quote(item)}{query}", status_code=303)
    return RedirectResponse("/decisions", status_code=303)


def _decisions(desk: Desk, request: Request, nonce: str, form: Form) -> Response:
    frame = read_decisions(desk.decisions)
    return HTMLResponse(review_page.decisions_page(desk.view(nonce), frame))


def _customer(desk: Desk, request: Request, nonce: str, form: Form) -> Response:
    found = explaining.customer(desk.settings, request.path_params["customer_id"], MOST_PAIRS)
    text = customer_page(
        found.customer_id,
        found.records,
        found.bonds,
        found.left_out,
        desk.settings.identity.match_threshold,
        nonce,
    )
    return HTMLResponse(text)


def _reload(desk: Desk, request: Request, nonce: str, form: Form) -> Response:
    desk.reload()
    return RedirectResponse("/", status_code=303)


def _known(desk: Desk, request: Request) -> Item:
    item = desk.items.get(request.path_params["item_id"])
    if item is None:
        raise UserError("That item is not in the queue any more: go back to the queue.")
    return item
