"""One publication and one running service that the tests of this room only look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from personalization_tests.serving import shop
from personalization_tests.serving.service import Service, running, settings_of


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a publication. Copy the file to change it."""
    folder = tmp_path_factory.mktemp("shop")
    shop.publish(folder / "serving.duckdb")
    return folder


@pytest.fixture(scope="session")
def service(published: Path) -> Iterator[Service]:
    """The service with its usual settings, apart from a time limit that a busy machine keeps."""
    with running(settings_of(published, time_limit_ms=5_000)) as found:
        yield found
