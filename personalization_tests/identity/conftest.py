"""One town and one model for the whole room: training is the slow part."""

import polars as pl
import pytest

from personalization_assets.identity.model import Model
from personalization_tests.identity.people import Result, learn, resolve, town


@pytest.fixture(scope="package")
def townsfolk() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records of 800 people, and who is who."""
    return town(800)


@pytest.fixture(scope="package")
def model(townsfolk: tuple[pl.DataFrame, pl.DataFrame]) -> Model:
    """A model trained on the town."""
    return learn(townsfolk[0])


@pytest.fixture(scope="package")
def resolved(townsfolk: tuple[pl.DataFrame, pl.DataFrame], model: Model) -> Result:
    """The town linked once."""
    return resolve(townsfolk[0], model)
