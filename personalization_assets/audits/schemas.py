"""The versions of a table that runs have recorded, and which of them the stored table has."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from personalization_assets import warehouse as wh
from personalization_assets.audits.schema_changes import (
    Change,
    Compatibility,
    Shape,
    changes_from_json,
    from_json,
    same_columns,
)
from personalization_assets.errors import UserError


@dataclass(frozen=True)
class Version:
    """A row of `audits.schema_versions`."""

    table: str
    number: int
    contract_version: int | None
    shape: Shape
    changes: list[Change]
    difference: str
    compatibility: Compatibility
    read_by: list[str]
    first_seen: dt.datetime
    last_seen: dt.datetime


def read_versions(con: duckdb.DuckDBPyConnection, table: str | None = None) -> list[Version]:
    """Recorded versions by table and number.

    Raises:
        UserError: no run has recorded any, or none of this table.
    """
    if not wh.exists(con, "audits.schema_versions"):
        raise UserError("No run has recorded schema versions yet: run `personalize run` first.")
    described = {row[0] for row in con.execute("DESCRIBE audits.schema_versions").fetchall()}
    if "changes" not in described:
        raise UserError(
            "The schema versions were recorded by an older release: run `personalize run --select "
            "audits/schema_versions` once, which keeps them and adds what is new."
        )
    rows = con.execute(
        "SELECT table_name, version, contract_version, columns, changes, difference,"
        " compatibility, coalesce(read_by, []), first_seen, last_seen FROM audits.schema_versions"
        " WHERE coalesce(table_name = ?, true) ORDER BY table_name, version",
        [table],
    ).fetchall()
    if not rows:
        raise UserError(
            f"No run has recorded a version of {table}: `personalize schema list` names the tables."
        )
    return [
        Version(name, number, contract, from_json(columns), changes_from_json(changes), *rest)
        for name, number, contract, columns, changes, *rest in rows
    ]


def standing(stored: Shape, versions: Sequence[Version]) -> Version | None:
    """The newest version that has the stored table's columns."""
    return next((v for v in reversed(versions) if same_columns(v.shape, stored)), None)


def numbered(versions: Sequence[Version], number: int) -> Version:
    """The version of that number.

    Raises:
        UserError: there is none.
    """
    for version in versions:
        if version.number == number:
            return version
    raise UserError(
        f"{versions[0].table} has no version {number}: it has "
        f"{', '.join(str(v.number) for v in versions)}."
    )


def former_names(versions: Sequence[Version], before: int, after: int) -> dict[str, str]:
    """Names in version `after` -> names in version `before`, of columns renamed between them."""
    if after < before:
        return {old: new for new, old in former_names(versions, after, before).items()}
    names = {c.name: c.name for c in numbered(versions, before).shape}
    for version in versions:
        if not before < version.number <= after:
            continue
        for change in version.changes:
            if change.kind == "renamed" and change.before in names:
                names[change.column] = names.pop(change.before)
            elif change.kind == "dropped":
                names.pop(change.column, None)
    return {new: old for new, old in names.items() if new != old}


def used_by_run(
    con: duckdb.DuckDBPyConnection, as_of: dt.datetime
) -> tuple[dt.datetime, Mapping[str, int]]:
    """The newest run up to a moment, and the version of each table that it left.

    Raises:
        UserError: no run up to then is remembered.
    """
    rows = (
        con.execute(
            "SELECT as_of, table_name, version FROM audits.schema_use WHERE as_of ="
            " (SELECT max(as_of) FROM audits.schema_use WHERE as_of <= ?)",
            [as_of],
        ).fetchall()
        if wh.exists(con, "audits.schema_use")
        else []
    )
    if not rows:
        raise UserError(
            f"No run up to {as_of:%Y-%m-%d %H:%M} is remembered in audits.schema_use: name a later "
            "time."
        )
    return rows[0][0], {table: version for _, table, version in rows}
