"""`personalize serve`, as a person types it."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from personalization_assets.cli import main


@pytest.fixture
def data(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a publication, named by the environment."""
    (tmp_path / "serving.duckdb").symlink_to(published / "serving.duckdb")
    monkeypatch.setenv("PERSONALIZE_DATA_DIR", str(tmp_path))
    return tmp_path


def personalize(*words: str) -> Result:
    return CliRunner().invoke(main, ["serve", *words], env={"COLUMNS": "200"})


@contextmanager
def serving(port: int, *words: str) -> Iterator[str]:
    """The command in a process of its own; what it printed is checked at the end."""
    command = [sys.executable, "-m", "personalization_assets.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{address}/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.05)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert "Traceback" not in said
    assert f"at {address}/docs" in said


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_keys_are_made_shown_and_revoked(data: Path) -> None:
    made = personalize("keys", "create", "--name", "shop", "--scopes", "profile,recommendations")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert key.startswith("pz_")
    listed = personalize("keys", "list").stdout
    assert "shop" in listed
    assert "recommendations, profile" in listed
    assert "active" in listed
    assert key.split("_", 2)[2] not in listed
    assert personalize("keys", "revoke", "shop").exit_code == 0
    assert "revoked" in personalize("keys", "list").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--host", "0.0.0.0", "--no-auth"], "this machine only"),
        (["keys", "create", "--name", "x", "--scopes", "all"], "scopes are recommendations"),
        (
            ["keys", "create", "--name", "x", "--scopes", "profile", "--expires", "soon"],
            "--expires",
        ),
        (
            ["keys", "create", "--name", "x", "--scopes", "profile", "--rate-limit", "fast"],
            "500/second",
        ),
        (["keys", "revoke", "nobody"], "keys list"),
    ],
)
def test_a_mistake_gets_a_sentence(data: Path, words: list[str], sentence: str) -> None:
    done = personalize(*words)
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_that_is_taken_is_named(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = personalize("--port", str(taken.getsockname()[1]))
    assert done.exit_code == 1
    assert "choose another with --port" in done.stderr


def test_several_workers_answer_on_one_port_and_add_up_their_metrics(data: Path) -> None:
    key = personalize(
        "keys", "create", "--name", "shop", "--scopes", "recommendations,metrics"
    ).stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    with serving(free_port(), "--workers", "2") as address:
        for _ in range(20):  # a connection each, so that both workers get some
            answer = httpx.get(f"{address}/v1/customers/c_0042/recommendations", headers=headers)
            assert answer.status_code == 200
        metrics = httpx.get(f"{address}/metrics", headers=headers).text
        assert 'personalize_recommendations_total{served_by="cached"} 20.0' in metrics
        assert httpx.get(f"{address}/v1/customers/c_0042/profile").status_code == 401


def test_without_keys_on_this_machine_anybody_here_is_answered(data: Path) -> None:
    with serving(free_port(), "--no-auth") as address:
        answer = httpx.get(f"{address}/v1/customers/c_0042/profile")
        assert answer.json()["fields"]["given_name"] == "Aoife"
