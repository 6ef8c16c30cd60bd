"""Tables that remember: what was seen this time, merged into what was seen before.

Pure functions over lists of dicts. A repeated run (same `as_of`) on unchanged tables gives exactly
the history that was there.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

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


def merge_schemas(
    history: Rows,
    seen: Mapping[str, Mapping[str, str]],
    contract_versions: Mapping[str, int],
    as_of: dt.datetime,
) -> list[dict[str, Any]]:
    """Add a version to `audits.schema_versions` for each table whose shape or contract changed.

    `seen` maps a table to its columns and their types. The order of columns is not part of the
    shape: everything reads them by name.
    """
    rows = [dict(row) for row in history]
    latest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda r: r["version"]):
        latest[row["table_name"]] = row
    for table, columns in sorted(seen.items()):
        version = contract_versions.get(table)
        fingerprint = schema_fingerprint(columns, version)
        last = latest.get(table)
        if last is not None and last["fingerprint"] == fingerprint:
            last["last_seen"] = max(last["last_seen"], as_of)
            continue
        rows.append(
            {
                "table_name": table,
                "version": 1 if last is None else last["version"] + 1,
                "fingerprint": fingerprint,
                "contract_version": version,
                "columns": json.dumps(dict(sorted(columns.items())), ensure_ascii=False),
                "difference": "first seen"
                if last is None
                else difference(
                    json.loads(last["columns"]), columns, last["contract_version"], version
                ),
                "first_seen": as_of,
                "last_seen": as_of,
            }
        )
    return sorted(rows, key=lambda r: (r["table_name"], r["version"]))


def schema_fingerprint(columns: Mapping[str, str], contract_version: int | None) -> str:
    """16 hex digits that change with a column's name or type, or the contract's version."""
    text = json.dumps([sorted(columns.items()), contract_version])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def difference(
    before: Mapping[str, str],
    after: Mapping[str, str],
    contract_before: int | None = None,
    contract_after: int | None = None,
) -> str:
    """What changed from one shape to the next, in words."""
    added = [f"{name} {after[name]}" for name in sorted(after.keys() - before.keys())]
    removed = [f"{name} {before[name]}" for name in sorted(before.keys() - after.keys())]
    changed = [
        f"{name} {before[name]} -> {after[name]}"
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]
    parts = [
        f"{word} {', '.join(names)}"
        for word, names in (("added", added), ("removed", removed), ("changed", changed))
        if names
    ]
    if contract_before != contract_after:
        parts.append(f"contract version {contract_before or 'none'} -> {contract_after or 'none'}")
    return "; ".join(parts)
