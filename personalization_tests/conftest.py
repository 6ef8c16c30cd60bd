"""What every test may use: public data where it is, and an environment without settings."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def shared_data() -> Path:
    """Public data sets that are too large for the repository; tests that need them skip without."""
    folder = Path(os.environ.get("PERSONALIZE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.exists():
        pytest.skip("no shared data here; set PERSONALIZE_SHARED_DATA to run this test")
    return folder


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own environment must not change what a test sees."""
    for name in list(os.environ):
        if name.startswith("PERSONALIZE_") and name != "PERSONALIZE_SHARED_DATA":
            monkeypatch.delenv(name)
