"""Tables that remember: what was seen this time, merged into what was seen before.

Pure functions over lists of dicts. A repeated run (same `as_of`) on unchanged tables gives exactly
the history that was there.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personalization_assets.audits.schema_changes import (
    Shape,
    ShapeColumn,
    changes_to_json,
    compare,
    compatibility,
    from_json,
    in_words,
    readers_go_on,
    to_json,
)

Rows = Sequence[Mapping[str, Any]]


def merge_runs(history: Rows, seen: Rows, as_of: dt.datetime, keep: int) -> list[dict[str, Any]]:
    """Add this run's counts to `audits.runs`, replacing those of the same `as_of`.

    `seen` has table_name, rows, column_count and content_hash. Of each table the newest `keep`
    runs stay.
    """
    others = [dict(row) for row in history if row["as_of"] != as_of]
    before: dict[str, Mapping[str, Any]] = {}
    for row in sorted(others, key=lambda r: r["as_of"]):
        if row["as_of"] < as_of:
            before[row["table_name"]] = row
    for table in seen:
        last = before.get(table["table_name"])
        others.append(
            {
                **table,
                "as_of": as_of,
                "room": table["table_name"].split(".")[0],
                "changed": last is None or last["content_hash"] != table["content_hash"],
                "rows_before": None if last is None else last["rows"],
            }
        )
    others.sort(key=lambda r: (r["table_name"], r["as_of"]))
    per_table: dict[str, list[dict[str, Any]]] = {}
    for row in others:
        per_table.setdefault(row["table_name"], []).append(row)
    return [row for rows in per_table.values() for row in rows[-keep:]]


@dataclass(frozen=True)
class About:
    """What the graph knows of a table: its contract, as far as there is one, and its readers."""

    contract_version: int | None = None
    nullable: Mapping[str, bool] = field(default_factory=dict)
    renamed_from: Mapping[str, str] = field(default_factory=dict)
    read_by: tuple[str, ...] = ()


def merge_schemas(
    history: Rows,
    seen: Mapping[str, Mapping[str, str]],
    about: Mapping[str, About],
    as_of: dt.datetime,
) -> list[dict[str, Any]]:
    """Add a version to `audits.schema_versions` for each table whose shape or contract changed.

    `seen` maps a table to its columns and their types, in table order. The order of columns is not
    part of the shape: everything reads them by name.
    """
    rows = [{"compatible": True, "compatibility": "full", "changes": "[]", **r} for r in history]
    latest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda r: r["version"]):
        latest[row["table_name"]] = row
    for table, columns in sorted(seen.items()):
        known = about.get(table, About())
        shape = tuple(
            ShapeColumn(name, data_type, known.nullable.get(name))
            for name, data_type in columns.items()
        )
        now = {
            "fingerprint": schema_fingerprint(shape, known.contract_version),
            "contract_version": known.contract_version,
            "columns": to_json(shape),
            "read_by": list(known.read_by),
        }
        last = latest.get(table)
        changes = compare(from_json(last["columns"]), shape, known.renamed_from) if last else []
        if last and not changes and last["contract_version"] == known.contract_version:
            # Older histories lack what is known by now; the shape is the same.
            last |= now | {"last_seen": max(last["last_seen"], as_of)}
            continue
        found = compatibility(changes)
        rows.append(
            {
                "table_name": table,
                "version": last["version"] + 1 if last else 1,
                **now,
                "changes": changes_to_json(changes),
                "difference": in_words(changes, last["contract_version"], known.contract_version)
                if last
                else "first seen",
                "compatibility": found,
                "compatible": readers_go_on(found),
                "first_seen": as_of,
                "last_seen": as_of,
            }
        )
    return sorted(rows, key=lambda r: (r["table_name"], r["version"]))


def merge_use(
    history: Rows, versions: Rows, seen: Iterable[str], as_of: dt.datetime, keep: int
) -> list[dict[str, Any]]:
    """Add this run to `audits.schema_use`, replacing what was there of the same `as_of`.

    `versions` are the rows that `merge_schemas` gave. The newest `keep` runs stay.
    """
    latest = {row["table_name"]: row["version"] for row in versions}
    rows = [dict(row) for row in history if row["as_of"] != as_of]
    rows += [{"as_of": as_of, "table_name": t, "version": latest[t]} for t in sorted(seen)]
    runs = sorted({row["as_of"] for row in rows})[-keep:]
    return sorted(
        (row for row in rows if row["as_of"] in runs), key=lambda r: (r["as_of"], r["table_name"])
    )


def schema_fingerprint(shape: Shape, contract_version: int | None) -> str:
    """16 hex digits of the columns' names, types and nullability and the contract's version."""
    columns = sorted((c.name, c.data_type, c.nullable) for c in shape)
    return hashlib.sha256(json.dumps([columns, contract_version]).encode()).hexdigest()[:16]
