"""The two services on a port of this machine, speaking their formats, for tests over real HTTP.

Formats as documented by NeverBounce (API v4.2: jobs/create, search, status, results) and ZeroBounce
(API v2: validatebatch). `next` holds what happens to the coming requests.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "secret_0123456789abcdef"
ANSWER = "answer"
DROP = "drop the connection"
LOSE = "do the work and drop the connection"
HOLD = "never answer"


@dataclass
class Trouble:
    """A response instead of the service's answer."""

    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Service:
    """What a service has been asked, and how it will answer. `verdicts` are by address."""

    verdicts: dict[str, Any]
    address: str = ""
    next: list[Trouble | str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    charged: list[str] = field(default_factory=list)
    polls_until_done: int = 0
    page: int = 1_000
    held: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON that the service answers to a POST."""
        raise NotImplementedError


@dataclass
class ZeroBounceService(Service):
    """POST /v2/validatebatch. Verdicts are (status, sub_status)."""

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/v2/validatebatch"
        if body.get("api_key") != KEY:
            error = "Invalid API Key or your account ran out of credits"
            return {"email_batch": [], "errors": [{"error": error, "email_address": "all"}]}
        rows = body["email_batch"]
        assert 1 <= len(rows) <= 100
        answers = []
        for row in rows:
            address = row["email_address"]
            self.charged.append(address)
            if address not in self.verdicts:
                continue
            status, sub_status = self.verdicts[address]
            answers.append(
                {
                    "address": address.upper(),
                    "status": status,
                    "sub_status": sub_status,
                    "free_email": False,
                    "did_you_mean": None,
                    "account": None,
                    "domain": None,
                    "domain_age_days": "9692",
                    "smtp_provider": "example",
                    "mx_found": "true",
                    "mx_record": "mx.example.com",
                    "firstname": None,
                    "processed_at": "2026-10-19 21:00:00.000",
                }
            )
        return {"email_batch": answers, "errors": []}


@dataclass
class NeverBounceService(Service):
    """POST /v4.2/jobs/...; verdicts are (result, flags)."""

    jobs: dict[int, tuple[str, list[str]]] = field(default_factory=dict)
    job_status: str = "complete"

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("key") != KEY:
            return {"status": "auth_failure", "message": f"Invalid key '{body.get('key')}'"}
        found = getattr(self, "_" + path.rsplit("/", 1)[1])(body)
        return {"status": "success", **found, "execution_time": 12}

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["input_location"] == "supplied"
        assert body["auto_start"] is True
        number = 150970 + len(self.jobs)
        addresses = [row["email"] for row in body["input"]]
        self.jobs[number] = (body["filename"], addresses)
        self.charged += addresses
        return {"job_id": number}

    def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        found = [n for n, (name, _) in self.jobs.items() if name == body["filename"]]
        results = [{"id": n, "job_status": self.job_status} for n in found]
        return {"total_results": len(found), "total_pages": 1, "query": {}, "results": results}

    def _status(self, body: dict[str, Any]) -> dict[str, Any]:
        self.polls_until_done -= 1
        status = "running" if self.polls_until_done >= 0 else self.job_status
        name, addresses = self.jobs[body["job_id"]]
        total = {"records": len(addresses), "billable": len(addresses)}
        return {"id": body["job_id"], "job_status": status, "filename": name, "total": total}

    def _results(self, body: dict[str, Any]) -> dict[str, Any]:
        addresses = [a for a in self.jobs[body["job_id"]][1] if a in self.verdicts]
        start = (body["page"] - 1) * self.page
        results = [
            {
                "data": {"email": address},
                "verification": {
                    "result": self.verdicts[address][0],
                    "flags": self.verdicts[address][1],
                    "suggested_correction": "",
                    "address_info": {"original_email": address},
                },
            }
            for address in addresses[start : start + self.page]
        ]
        pages = -(-len(addresses) // self.page)
        return {
            "total_results": len(addresses),
            "total_pages": pages,
            "query": {"page": body["page"], "items_per_page": body["items_per_page"]},
            "results": results,
        }


@contextmanager
def running(service: Service, version: str) -> Iterator[Service]:
    """The service until the body ends; `address` is its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            service.requests.append((self.path, body))
            service.urls.append(self.path)
            trouble = service.next.pop(0) if service.next else None
            if trouble == LOSE:
                service.answer(self.path, body)
            if trouble == HOLD:
                service.held.set()
                service.let_go.wait(30)
            if trouble in (DROP, LOSE, HOLD):
                self.close_connection = True
                return
            if isinstance(trouble, Trouble):
                text = trouble.body if isinstance(trouble.body, str) else json.dumps(trouble.body)
                status, headers = trouble.status, trouble.headers
            else:
                text, status, headers = json.dumps(service.answer(self.path, body)), 200, {}
            data = text.encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            service.address = f"http://127.0.0.1:{server.server_port}/{version}"
            yield service
        finally:
            server.shutdown()
            thread.join()
