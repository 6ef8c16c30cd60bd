"""The service on a port of this machine, as uvicorn runs it, for tests that ask it over HTTP."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from personalization_assets.recommendations.settings import RecommendationsSettings
from personalization_assets.serving.service.app import create_app
from personalization_assets.serving.service.keys import SCOPES, KeyFile, keys_file
from personalization_assets.serving.settings import ServingSettings
from personalization_assets.settings import Settings


@dataclass(frozen=True)
class Service:
    """A running service: its address, its keys, and a client that holds a key for everything."""

    address: str
    keys: KeyFile
    client: httpx.Client

    def get(self, path: str, **params: Any) -> httpx.Response:
        """An answer to the holder of a key for everything."""
        return self.client.get(path, params=params)

    def items(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """The products of an answer."""
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def client_with(self, key: str) -> httpx.Client:
        """A client that holds another key."""
        return httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {key}"})


def settings_of(folder: Path, **serving: Any) -> Settings:
    """Settings of a data folder; `serving` are those of the service and, by `lists`, of lists."""
    lists = RecommendationsSettings(**serving.pop("lists", {}))
    return Settings(
        data_dir=folder,
        serving=ServingSettings(reload_seconds=0.05, **serving),
        recommendations=lists,
    )


def new_key(
    settings: Settings, name: str, scopes: Sequence[str] = SCOPES, rate_limit: str | None = None
) -> str:
    """A key's text."""
    file = KeyFile(keys_file(settings))
    return file.create(name, scopes, datetime.now(UTC), rate_limit=rate_limit)[1]


@contextmanager
def running(settings: Settings, with_keys: bool = True) -> Iterator[Service]:
    """The service for these settings, until the body ends."""
    key = new_key(settings, "test", rate_limit="1000000/second") if with_keys else ""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(settings, with_keys)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.005)
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            with httpx.Client(base_url=address, headers=headers, timeout=30) as client:
                yield Service(address, KeyFile(keys_file(settings)), client)
        finally:
            server.should_exit = True
            thread.join()
