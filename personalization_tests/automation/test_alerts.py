"""The alert on a failed run: a real failing run, a real web server, an instance in memory."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest

from personalization_assets.automation import alerts
from personalization_assets.automation.alerts import run_failure_alert
from personalization_assets.errors import UserError

SECRET = "ada.lovelace@example.com"


class Webhook:
    """A web server on loopback that keeps what it was sent and answers as told."""

    def __init__(self) -> None:
        self.received: list[dict[str, object]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.status == 200:
                    outer.received.append(json.loads(body))
                self.send_response(outer.status)
                if outer.status in (301, 302):
                    self.send_header("Location", outer.url + "elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/T0/B0/key"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    server = Webhook()
    monkeypatch.setenv(alerts.WEBHOOK, server.url)
    monkeypatch.delenv(alerts.UI_URL, raising=False)
    yield server
    server.close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


class Sensor:
    """Ticks the sensor and keeps its cursor, as the daemon does."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._cursor: str | None = None

    def tick(self) -> str:
        with dg.build_sensor_context(instance=self._instance, cursor=self._cursor) as context:
            answer = run_failure_alert(context)
            self._cursor = context.cursor
        assert isinstance(answer, dg.SkipReason)
        return answer.skip_message or ""


def failing_run(instance: dg.DagsterInstance, tags: dict[str, str] | None = None) -> str:
    @dg.asset(key=["profiles", "golden_profiles"])
    def golden_profiles() -> None:
        raise UserError(f"the row of {SECRET} is broken")

    result = dg.materialize([golden_profiles], instance=instance, raise_on_error=False, tags=tags)
    assert not result.success
    return result.run_id


@pytest.fixture
def sensor(instance: dg.DagsterInstance) -> Sensor:
    ready = Sensor(instance)
    ready.tick()
    return ready


def test_a_failed_run_is_reported_once(
    instance: dg.DagsterInstance,
    sensor: Sensor,
    webhook: Webhook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run_id = failing_run(instance)
    sensor.tick()
    sensor.tick()
    Sensor(instance).tick()  # a new deployment starts at the newest event

    (message,) = webhook.received
    assert message["run_id"] == run_id
    assert message["failed_steps"] == ["profiles__golden_profiles"]
    assert message["errors"] == ["UserError"]
    assert str(message["text"]).startswith(f"Run {run_id[:8]} of ")
    assert "profiles__golden_profiles (UserError)" in str(message["text"])
    ours = [r for r in caplog.records if r.name == alerts.LOG.name]
    assert [r.getMessage() for r in ours] == [message["text"]]
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags[alerts.SENT_TAG] == "sent"


def test_a_report_carries_no_error_message(
    instance: dg.DagsterInstance, sensor: Sensor, webhook: Webhook
) -> None:
    failing_run(instance)
    sensor.tick()
    assert len(webhook.received) == 1
    assert SECRET not in json.dumps(webhook.received)


def test_the_link_leads_to_the_run(
    instance: dg.DagsterInstance,
    sensor: Sensor,
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(alerts.UI_URL, "http://dagster.example/")
    run_id = failing_run(instance)
    sensor.tick()
    assert str(webhook.received[0]["text"]).endswith(f" http://dagster.example/runs/{run_id}")


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_report_that_is_refused_is_sent_again_with_the_next_tick(
    instance: dg.DagsterInstance,
    sensor: Sensor,
    webhook: Webhook,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    first, second = failing_run(instance), failing_run(instance)
    webhook.status = status
    assert "will be tried again" in sensor.tick()
    assert f"answered {status}" in caplog.text
    assert webhook.url not in caplog.text
    webhook.status = 200
    assert sensor.tick() == "2 failed runs reported."
    sensor.tick()
    assert [m["run_id"] for m in webhook.received] == [first, second]


def test_nobody_answering_is_no_crash_and_not_tried_for_ever(
    instance: dg.DagsterInstance,
    sensor: Sensor,
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alerts, "MAX_ATTEMPTS", 2)
    given_up = failing_run(instance)
    webhook.status = 503
    sensor.tick()
    sensor.tick()
    webhook.status = 200
    later = failing_run(instance)
    sensor.tick()
    assert [m["run_id"] for m in webhook.received] == [later]
    run = instance.get_run_by_id(given_up)
    assert run is not None
    assert run.tags[alerts.SENT_TAG] == "undelivered"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/nobody-listens", "ftp://127.0.0.1/x", "http://[broken"]
)
def test_a_wrong_address_is_one_clear_reason_without_the_address(
    instance: dg.DagsterInstance,
    sensor: Sensor,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
) -> None:
    monkeypatch.setenv(alerts.WEBHOOK, address)
    failing_run(instance)
    reason = sensor.tick()
    assert alerts.WEBHOOK in reason
    assert address not in reason


@pytest.mark.parametrize(
    "tags",
    [{alerts.WILL_RETRY_TAG: "true"}, {alerts.STARTED_BY_TAG: alerts.BY_HAND}],
    ids=["will be tried again", "somebody watched it"],
)
def test_some_failures_are_nobodys_alarm(
    instance: dg.DagsterInstance, sensor: Sensor, webhook: Webhook, tags: dict[str, str]
) -> None:
    failing_run(instance, tags)
    assert sensor.tick() == "No run failed."
    assert webhook.received == []


def test_without_an_address_the_log_has_it(
    instance: dg.DagsterInstance,
    sensor: Sensor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv(alerts.WEBHOOK, raising=False)
    run_id = failing_run(instance)
    sensor.tick()
    sensor.tick()
    assert caplog.text.count(f"Run {run_id[:8]}") == 1


def test_what_failed_before_the_first_tick_is_history(
    instance: dg.DagsterInstance, webhook: Webhook
) -> None:
    failing_run(instance)
    fresh = Sensor(instance)
    fresh.tick()
    fresh.tick()
    assert webhook.received == []
