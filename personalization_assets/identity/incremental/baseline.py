"""Whether the last run's tables are something to build on, and the log of runs that tells.

Any doubt means no: a full run is right whatever was there before.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources
from importlib.metadata import version

import duckdb

from personalization_assets.contracts import Contract
from personalization_assets.identity.model import Model
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.warehouse import exists

_LIBRARIES = ("duckdb", "splink", "numpy")
_NO_MATTER = {"incremental", "incremental_share", "train_now", "retrain"}


def setup_of(model: Model, settings: IdentitySettings) -> str:
    """A digest of all that decides, besides records and decisions, who is who."""
    kept = {
        name: value
        for name, value in sorted(settings.model_dump(mode="json").items())
        if name not in _NO_MATTER and not name.startswith("gate_")
    }
    digest = hashlib.sha256(f"{model.version} {kept}".encode())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}".encode())
    room = resources.files("personalization_assets.identity")
    for folder in (room, room / "incremental"):
        for file in sorted(folder.iterdir(), key=lambda f: f.name):
            if file.name.endswith((".py", ".csv", ".yaml")):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def why_full(
    con: duckdb.DuckDBPyConnection,
    settings: IdentitySettings,
    model: Model,
    setup: str,
    contracts: Sequence[Contract],
) -> str:
    """Why all records have to be linked again; empty if the changes will do.

    `contracts` are those of all tables that are published together.
    """
    if not settings.incremental:
        return "the settings ask for it"
    if model.comparisons.extras:
        return "columns of the shop's own are compared"
    missing = [c for c in contracts if not exists(con, c.name)]
    if missing:
        return f"there is no {missing[0].name} yet"
    for contract in contracts:
        found = {r[0]: r[1] for r in con.execute(f"DESCRIBE {contract.name}").fetchall()}
        if found != {c.name: c.duckdb_type for c in contract.columns}:
            return f"{contract.name} has other columns than it should"
    last = con.execute(
        "SELECT setup, published FROM identity.link_runs ORDER BY run DESC LIMIT 1"
    ).fetchall()
    if not last or last[0][0] != setup:
        return "the model, the settings or the code changed"
    same = con.execute(
        """
        SELECT (SELECT count(*) FROM identity.links) = (SELECT count(*) FROM identity.descriptions)
            AND (SELECT count(*) FROM identity.links)
                = (SELECT count(*) FROM identity.links_strict)
            AND (SELECT count(*) > 0 FROM identity.links)
        """
    ).fetchall()[0][0]
    if not same or last[0][1] != digest_of(con, "identity.links"):
        return "the tables are not those that the last run left"
    return ""


def digest_of(con: duckdb.DuckDBPyConnection, links: str) -> str:
    """A digest of who is who in a table like `identity.links`, whatever the order of its rows.

    That of rows put in or taken out makes one of the other, see `digest_after`.
    """
    found = con.execute(
        f"SELECT coalesce(bit_xor(hash(source, record_id, customer_id)), 0) FROM {links}"
    ).fetchall()[0][0]
    return f"{found:016x}"


def digest_after(before: str, *changes: str) -> str:
    """The digest of a table after rows of these digests were put in or taken out."""
    found = int(before, 16)
    for change in changes:
        found ^= int(change, 16)
    return f"{found:016x}"
