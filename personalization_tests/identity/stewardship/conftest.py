"""A warehouse in which a small town was linked, and the commands on it."""

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from click.testing import CliRunner, Result

from personalization_assets.cli import main
from personalization_assets.identity.assets import ASSETS
from personalization_assets.settings import Settings, load_settings
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse, exists
from personalization_tests.identity.people import records, town

ANNA = {
    "given_name": "Anna",
    "family_name": "Lehmann",
    "email": "anna.lehmann@mail.example",
    "birth_date": dt.date(1980, 2, 1),
    "street": "Ahornweg 3",
    "postcode": "10999",
}
JONAS = {
    "given_name": "Jonas",
    "family_name": "Wirth",
    "email": "jonas@mail.example",
    "phone": "+4917212345999",
    "postcode": "20095",
}
CAST = records(
    # One person: an exact pair, an order of the account, a bare mailbox.
    {"id": "anna1", **ANNA, "account_key": "shop:1"},
    {"id": "anna2", **ANNA},
    {"id": "anna3", **ANNA},
    {"id": "anna4", "account_key": "shop:1"},
    {"id": "anna5", "source": "mails", "email": ANNA["email"]},
    # Nothing in common with Anna, and an account of his own.
    {"id": "jonas1", **JONAS, "account_key": "shop:2"},
    {"id": "jonas2", **JONAS},
    {"id": "jonas3", "source": "web", "account_key": "shop:2"},
    # A mailbox that two people use.
    {"id": "eva", "given_name": "Eva", "family_name": "Roth", "email": "roth@mail.example"},
    {"id": "paul", "given_name": "Paul", "family_name": "Roth", "email": "roth@mail.example"},
    {"id": "roth", "source": "mails", "email": "roth@mail.example"},
    {
        "id": "markup",
        "given_name": "Rob",
        "family_name": "<img src=x onerror=alert(1)>",
        "email": "rob@mail.example",
        "street": "</style><script>alert(2)</script>",
        "postcode": "10999",
    },
    {"id": "markup2", "given_name": "Rob", "email": "rob@mail.example", "postcode": "10999"},
)


@dataclass
class Shop:
    """A data folder with a linked warehouse, and the commands on it."""

    folder: Path

    @property
    def settings(self) -> Settings:
        return load_settings(data_dir=self.folder)

    def run(self, *command: str) -> Result:
        return CliRunner().invoke(
            main, ["identity", *command], env={"COLUMNS": "200", "NO_COLOR": "1"}
        )

    def relink(self, as_of: str) -> None:
        """Run the room on what is decided now; the model stays."""
        _materialize(self.settings, as_of, train=False)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.settings.warehouse_file), read_only=True) as con:
            return con.sql(sql).fetchall()

    def customers(self, *ids: str) -> list[set[str]]:
        """Which of the records are one customer, by record id."""
        found: dict[object, set[str]] = {}
        for record_id, customer in self.rows("SELECT record_id, customer_id FROM identity.links"):
            if record_id in ids:
                found.setdefault(customer, set()).add(str(record_id))
        return sorted(found.values(), key=lambda s: sorted(s))

    def customer(self, record_id: str) -> str:
        rows = self.rows(f"SELECT customer_id FROM identity.links WHERE record_id = '{record_id}'")
        return str(rows[0][0])


def _materialize(settings: Settings, as_of: str, train: bool = True) -> None:
    kept = dg.AssetSelection.assets(*([] if train else [["identity", "model"]]))
    result = dg.materialize(
        ASSETS,
        selection=dg.AssetSelection.all() - kept,
        resources={
            "warehouse": Warehouse(database=str(settings.warehouse_file)),
            "settings": settings,
            "clock": Clock(as_of=as_of),
        },
    )
    assert result.success


@pytest.fixture(scope="session")
def _linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    settings = Settings(data_dir=folder)
    frame = pl.concat([town(120)[0], CAST])
    with Warehouse(database=str(settings.warehouse_file)).connect() as con:
        con.execute("CREATE SCHEMA identity")
        con.register("incoming", frame.to_arrow())
        con.execute("CREATE TABLE identity.records AS SELECT * FROM incoming")
        _materialize(settings, "2026-11-01")
        assert exists(con, "identity.links")
    return folder


@pytest.fixture
def shop(_linked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A copy of the linked town that a test may change."""
    folder = tmp_path / "data"
    shutil.copytree(_linked, folder)
    monkeypatch.setenv("PERSONALIZE_DATA_DIR", str(folder))
    return Shop(folder)
