"""A folder with a sources file, a warehouse in memory, and a loader that waits for nothing."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from personalization_assets.sources.config import SourcesConfig, load_sources
from personalization_assets.sources.load import Report, load_source
from personalization_assets.sources.settings import SourcesSettings

AT_ONCE = SourcesSettings(settle_seconds=0)
AS_OF = dt.datetime(2026, 11, 1)

CRM = """
version: 1
sources:
  crm:
    path: crm/*.csv*
    format: csv
    feeds:
      crm_contacts:
        columns: {contact_id: ID, given_name: First, email: Mail}
"""
WEB = """
version: 1
sources:
  web:
    path: web
    format: ndjson
    feeds:
      web_events:
        columns: {event_name: event, device_id: {sql: "device->>'id'"}}
"""


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    yield connection
    connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., SourcesConfig]:
    """Write a sources file and the files of the shop; give the config."""

    def write(yaml: str = CRM, **files: bytes | str) -> SourcesConfig:
        (tmp_path / "sources.yaml").write_text(yaml, encoding="utf-8")
        for name, content in files.items():
            put(tmp_path, name, content)
        return load_sources(tmp_path / "sources.yaml")

    return write


def put(folder: Path, name: str, content: bytes | str) -> Path:
    """`crm__a_csv` names crm/a.csv: keyword arguments have no dots."""
    path = folder / name.replace("__", "/").replace("_", ".")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def load(con: duckdb.DuckDBPyConnection) -> Callable[..., Report]:
    def run(config: SourcesConfig, name: str = "crm", as_of: dt.datetime = AS_OF) -> Report:
        return load_source(con, config, name, as_of, AT_ONCE)

    return run
