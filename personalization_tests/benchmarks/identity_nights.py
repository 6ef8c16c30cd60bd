"""Two nights of the identity room on a warehouse: all records, or what has changed."""

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb

from personalization_tests.benchmarks.identity_room import THREADS

COLUMNS = (
    "account_key",
    "given_name",
    "family_name",
    "email",
    "phone",
    "street",
    "postcode",
    "city",
    "country",
    "device_id",
)
TABLES = (
    "matches",
    "links",
    "links_strict",
    "ledger",
    "review_queue",
    "former_ids",
)


def warehouse_of(folder: Path, records: Path, model_file: Path, share: float) -> Path:
    """A warehouse with the records but for that share, and the model; new every time."""
    from personalization_assets.identity.files import read_model

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "warehouse.duckdb"
    path.unlink(missing_ok=True)
    model = read_model(model_file)
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE SCHEMA identity")
        con.execute(
            f"CREATE TABLE identity.records AS {_records(records)} WHERE NOT {_late(share)}"
        )
        con.execute(
            """CREATE TABLE identity.model AS
            SELECT ? AS model_version, ? AS settings_json, true AS is_current""",
            [model.version, model.to_json()],
        )
        con.execute("CREATE TABLE identity.blocklist (kind VARCHAR, value VARCHAR)")
        con.execute(
            """CREATE TABLE identity.decisions (decision_id VARCHAR, source_l VARCHAR,
            record_id_l VARCHAR, source_r VARCHAR, record_id_r VARCHAR, verdict VARCHAR,
            decided_at TIMESTAMP, withdrawn_at TIMESTAMP)"""
        )
    return path


def arrive(path: Path, records: Path, share: float) -> None:
    """The rest of the records comes in."""
    with duckdb.connect(str(path)) as con:
        con.execute(f"INSERT INTO identity.records {_records(records)} WHERE {_late(share)}")


def copied(path: Path, name: str) -> Path:
    """Another warehouse of the same content."""
    folder = path.parent / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return Path(shutil.copy(path, folder / path.name))


def night(path: Path, day: int, incremental: bool) -> Callable[[], str]:
    """Work that materializes `identity/links` on the warehouse; gives how it did it."""
    import dagster as dg

    from personalization_assets.identity.assets import ASSETS
    from personalization_assets.identity.settings import IdentitySettings
    from personalization_assets.settings import Settings
    from personalization_assets.tables import Clock
    from personalization_assets.warehouse import Warehouse

    links = next(a for a in ASSETS if dg.AssetKey(["identity", "links"]) in a.keys)
    settings = Settings(data_dir=path.parent, identity=IdentitySettings(incremental=incremental))
    instance = dg.DagsterInstance.ephemeral()  # in a shop it is there before the run

    def work() -> str:
        result = dg.materialize(
            [links],
            instance=instance,
            resources={
                "warehouse": Warehouse(database=str(path), connection_config={"threads": THREADS}),
                "settings": settings,
                "clock": Clock(as_of=dt.datetime(2026, 11, day).isoformat()),
            },
        )
        (event, *_) = result.asset_materializations_for_node("identity__links")
        relinked = event.metadata.get("relinked_records")
        said = str(event.metadata["linked"].value)
        return said if relinked is None else f"{said}, {relinked.value:,} records linked again"

    return work


def differences(one: Path, other: Path) -> int:
    """Rows of all tables that only one of two warehouses has."""
    found = 0
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{one}' AS one (READ_ONLY); ATTACH '{other}' AS other (READ_ONLY)")
        for table in TABLES:
            for a, b in (("one", "other"), ("other", "one")):
                found += con.execute(
                    f"SELECT count(*) FROM (FROM {a}.identity.{table} EXCEPT"
                    f" FROM {b}.identity.{table})"
                ).fetchall()[0][0]
    return found


def _records(records: Path) -> str:
    columns = ", ".join(COLUMNS)
    return f"SELECT source, record_id, {columns}, birth_date FROM '{records}'"


def _late(share: float) -> str:
    return f"md5(source || record_id)[:8] < '{int(share * 2**32):08x}'"
