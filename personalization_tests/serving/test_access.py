"""Who the service answers, how often, and what it writes down about it."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from personalization_assets.errors import UserError
from personalization_assets.serving.service.keys import SCOPES, KeyFile
from personalization_assets.serving.service.logs import LOG, JsonLines
from personalization_tests.serving.service import Service, new_key, running, settings_of

ENDPOINTS = {
    "recommendations": "/v1/customers/c_0042/recommendations",
    "profile": "/v1/customers/c_0042/profile",
    "preferences": "/v1/customers/c_0042/preferences",
    "metrics": "/metrics",
}


def problem(answer: httpx.Response, status: int) -> str:
    """The sentence of an error, which must have the form of RFC 9457."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    detail: str = body["detail"]
    return detail


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / ".secret" / "service_keys.json")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_opens_what_its_scopes_name_and_nothing_else(
    service: Service, published: Path, scope: str
) -> None:
    key = new_key(settings_of(published), f"only {scope}", [scope])
    with service.client_with(key) as client:
        for name, path in ENDPOINTS.items():
            if name == scope:
                assert client.get(path).status_code == 200
            else:
                assert name in problem(client.get(path), 403)


def test_without_a_key_or_with_a_wrong_one_nothing_is_told(service: Service) -> None:
    key_id = service.keys.all()[0].id
    for path in ENDPOINTS.values():
        problem(httpx.get(service.address + path), 401)
    for presented in ("nonsense", "pz_", f"pz_{key_id}_", f"pz_{key_id}_guess", "pz_0_guess"):
        with service.client_with(presented) as client:
            for path in ENDPOINTS.values():
                answer = client.get(path)
                problem(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
            assert client.get("/health/live").json() == {"status": "ok"}
            assert client.get("/health/ready").json()["customers"] == 200


def test_a_service_without_any_key_says_how_to_make_one(published: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / "serving.duckdb").symlink_to(published / "serving.duckdb")
    with running(settings, with_keys=True) as service:
        service.keys.revoke("test", datetime.now(UTC))
        (tmp_path / ".secret" / "service_keys.json").unlink()
        said = problem(httpx.get(service.address + ENDPOINTS["profile"]), 503)
        assert "personalize serve keys create" in said
        key = new_key(settings, "made while it runs")
        with service.client_with(key) as client:
            assert client.get(ENDPOINTS["profile"]).status_code == 200


def test_a_revoked_key_is_refused_from_the_next_request_on(
    service: Service, published: Path
) -> None:
    key = new_key(settings_of(published), "short-lived")
    with service.client_with(key) as client:
        assert client.get(ENDPOINTS["profile"]).status_code == 200
        KeyFile(service.keys._path).revoke("short-lived", datetime.now(UTC))
        assert "revoked" in problem(client.get(ENDPOINTS["profile"]), 401)


def test_the_file_of_keys_holds_no_key_and_is_for_its_owner_only(
    key_file: KeyFile, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    key, text = key_file.create("shop", ["profile"], now)
    path = tmp_path / ".secret" / "service_keys.json"
    assert text.split("_", 2)[2] not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o077 == 0
    assert key_file.find(text) == key
    assert key_file.find(text + "x") is None
    assert key_file.find(text[:-1]) is None
    with pytest.raises(UserError, match="in use"):
        key_file.create("shop", ["profile"], now)
    with pytest.raises(UserError, match="no scope 'everything'"):
        key_file.create("other", ["everything"], now)
    with pytest.raises(UserError, match="past"):
        key_file.create("other", ["profile"], now, expires_at=now)
    with pytest.raises(UserError, match="keys list"):
        key_file.revoke("nobody", now)


def test_a_key_ends_at_its_last_moment(key_file: KeyFile) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    key, _ = key_file.create("shop", ["profile"], now, expires_at=now + timedelta(days=1))
    assert key.state(now + timedelta(hours=23)) == "active"
    assert key.state(now + timedelta(days=1)) == "expired"
    key_file.create("shop", ["profile"], now + timedelta(days=2))  # its name is free again


def test_a_broken_file_of_keys_opens_nothing_and_is_named(
    service: Service, published: Path, tmp_path: Path
) -> None:
    (tmp_path / "serving.duckdb").symlink_to(published / "serving.duckdb")
    with running(settings_of(tmp_path)) as other:
        (tmp_path / ".secret" / "service_keys.json").write_text("[{", encoding="utf-8")
        assert "service_keys.json" in problem(other.get(ENDPOINTS["profile"]), 503)


def test_a_key_that_asks_too_often_is_told_when_to_come_back(
    service: Service, published: Path
) -> None:
    key = new_key(settings_of(published), "eager", rate_limit="3/hour")
    with service.client_with(key) as client:
        path = ENDPOINTS["recommendations"]
        left = [client.get(path).headers["ratelimit"].split(";")[1] for _ in range(3)]
        assert left == ["r=2", "r=1", "r=0"]
        answer = client.get(path)
        assert "3/hour" in problem(answer, 429)
        assert 3_500 < int(answer.headers["retry-after"]) <= 3_600
        assert answer.headers["ratelimit-policy"] == '"key";q=3;w=3600'
    assert service.get(path).status_code == 200  # others are not held up
    assert "personalize_rate_limited_total 1.0" in service.get("/metrics").text


def test_a_request_keeps_the_id_it_came_with_if_it_is_one(service: Service) -> None:
    path = ENDPOINTS["profile"]
    answer = service.client.get(path, headers={"X-Request-Id": "shop-2026-11-26.1"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "shop-2026-11-26.1"
    for odd in ("short", "with space in it", "x" * 65, 'quote"quote"quote'):
        answer = service.client.get(path, headers={"X-Request-Id": odd})
        assert answer.headers["x-request-id"] != odd
        assert len(answer.json()["request_id"]) == 16


def test_large_bodies_are_refused_whether_they_say_their_length_or_not(service: Service) -> None:
    path = ENDPOINTS["recommendations"]

    def pieces() -> Iterator[bytes]:
        yield b'{"exclude": ["'
        for _ in range(100):
            yield b"x" * 1_000
        yield b'"]}'

    said = service.client.post(path, content=b"".join(pieces()))
    unsaid = service.client.post(
        path, content=pieces(), headers={"Content-Type": "application/json"}
    )
    for answer in (said, unsaid):
        assert "65,536 bytes" in problem(answer, 413)


def test_what_is_wrong_with_a_request_is_said_without_repeating_it(service: Service) -> None:
    path = ENDPOINTS["recommendations"]
    said = problem(service.get(path, n=0, max_price="c_secret"), 422)
    assert "n: " in said
    assert "max_price" in said
    assert "c_secret" not in said
    assert "email" in problem(service.get(ENDPOINTS["profile"], fields="given_name,email"), 422)
    assert problem(service.get("/v2"), 404)
    assert problem(service.client.delete(path), 405)
    assert problem(service.client.post(path, content=b"{"), 422)
    assert problem(service.client.post(path, json={"carts": []}), 422)


def test_the_log_has_a_line_for_each_request_and_nobody_in_it(service: Service) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonLines().format(record))

    kept = Kept()
    LOG.addHandler(kept)
    LOG.setLevel(logging.INFO)
    try:
        answers = [
            service.get(ENDPOINTS["recommendations"], viewed="P003"),
            service.get(ENDPOINTS["profile"]),
            service.get("/v1/customers/c_0042/nowhere"),
            service.get("/v1/customers/c_8888/profile"),
        ]
        service.get("/health/live")  # its line comes after those of all before it
    finally:
        LOG.removeHandler(kept)
    text = "\n".join(lines)
    for personal in ("c_0042", "c_8888", "Aoife", "Byrne", "P003", "pz_"):
        assert personal not in text
    requests = {line["request_id"]: line for line in map(json.loads, lines)}
    found = [requests[answer.headers["x-request-id"]] for answer in answers]
    assert [line["status"] for line in found] == [200, 200, 404, 404]
    assert found[0]["route"] == "/v1/customers/{customer_id}/recommendations"
    assert found[0]["served_by"] == "live"
    assert found[0]["key"] == service.keys.all()[0].id
    assert found[2]["route"] == "unmatched"


def test_metrics_count_requests_by_route_and_status_and_tell_the_age_of_the_data(
    service: Service,
) -> None:
    service.get("/v1/customers/c_7777/profile")
    text = service.get("/metrics").text
    route = "/v1/customers/{customer_id}/profile"
    assert f'personalize_requests_total{{method="GET",route="{route}",status="404"}}' in text
    assert f'personalize_request_seconds_bucket{{le="0.05",route="{route}"}}' in text
    assert 'personalize_model_info{model_version="0123456789ab"} 1.0' in text
    age = next(
        line for line in text.splitlines() if line.startswith("personalize_publication_age_seconds")
    )
    assert 0 <= float(age.split()[1]) < 600
    assert "c_7777" not in text


def test_metrics_are_open_and_browsers_let_in_only_where_settings_say_so(
    published: Path, tmp_path: Path, service: Service
) -> None:
    shop, other = "https://shop.example.com", "https://other.example.com"
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x"}
    (tmp_path / "serving.duckdb").symlink_to(published / "serving.duckdb")
    with running(settings_of(tmp_path, metrics_need_key=False, cors_origins=[shop])) as opened:
        assert httpx.get(opened.address + "/metrics").status_code == 200
        for origin, granted in ((shop, shop), (other, None)):
            answer = opened.client.get("/health/live", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == granted
    answer = service.client.options("/health/live", headers={"Origin": shop, **asked})
    assert "access-control-allow-origin" not in answer.headers


def test_without_keys_only_this_machine_is_answered_under_its_own_name(
    published: Path, tmp_path: Path
) -> None:
    (tmp_path / "serving.duckdb").symlink_to(published / "serving.duckdb")
    with running(settings_of(tmp_path), with_keys=False) as opened:
        assert opened.get(ENDPOINTS["profile"]).status_code == 200
        for host in ("attacker.example.com", "127.0.0.1.example.com"):
            refused = opened.client.get(ENDPOINTS["profile"], headers={"Host": host})
            assert refused.status_code == 400
            assert "Aoife" not in refused.text
