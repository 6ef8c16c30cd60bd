"""Writing `identity_decisions.csv`: whole or not at all, one writer at a time.

A decision is never deleted. Withdrawing fills in `withdrawn_at`; the row stays as history.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.identity.decisions import COLUMNS, read_decisions
from personalization_assets.kept_by_hand import locked, now, read_rows, write_rows

FILE = "identity_decisions.csv"
SEPARATOR = "."
"""Between the name that a group of decisions shares and the number of each."""

Key = tuple[str, str]
"""A record: its source and its id there."""

Verdict = Literal["same", "different"]


@dataclass(frozen=True)
class Verdicts:
    """Verdicts on pairs of records that one person gives at one time for one reason.

    `kind` starts their ids: one verdict is `decision-1f3a9c2b`, a group `split-1f3a9c2b.1`, `.2`.
    """

    kind: str
    rows: tuple[tuple[Key, Key, Verdict], ...]


def record(path: Path, verdicts: Verdicts, author: str, reason: str | None) -> list[str]:
    """Append the verdicts to the file and return their decision ids.

    A pair is written in (source, record_id) order. The time is now: what people decide does not
    belong to a run.

    Raises:
        UserError: the file is not readable as decisions, or cannot be written.
    """
    stem = f"{verdicts.kind}-{secrets.token_hex(4)}"
    many = len(verdicts.rows) > 1
    ids = [f"{stem}{SEPARATOR}{i}" if many else stem for i in range(1, len(verdicts.rows) + 1)]
    with locked(path):
        columns, rows = _read(path)
        at = now()
        for name, (one, other, verdict) in zip(ids, verdicts.rows, strict=True):
            left, right = sorted([one, other])
            values = (name, *left, *right, verdict, author, at, reason or "", "")
            rows.append(dict(zip(COLUMNS, values, strict=True)))
        write_rows(path, columns, rows)
    return ids


def withdraw(path: Path, name: str) -> list[str]:
    """Withdraw a decision, or all of a group by the part of their ids before the dot.

    Returns the ids that were withdrawn now.

    Raises:
        UserError: no decision has that id, or all of them were withdrawn before.
    """
    with locked(path):
        columns, rows = _read(path)
        meant = [r for r in rows if _belongs(r["decision_id"], name)]
        if not meant:
            raise UserError(
                f"{path.name} holds no decision {name}: `personalize identity decisions` lists "
                "their ids."
            )
        standing = [r for r in meant if not (r.get("withdrawn_at") or "").strip()]
        if not standing:
            raise UserError(f"Decision {name} in {path.name} was withdrawn before: nothing to do.")
        at = now()
        for row in standing:
            row["withdrawn_at"] = at
        write_rows(path, columns, rows)
    return [row["decision_id"].strip() for row in standing]


def standing(path: Path) -> dict[tuple[Key, Key], dict[str, str | None]]:
    """The decision that binds each decided pair, by (smaller key, larger key).

    Of several on one pair the latest counts, as in the run. Values are `decision_id`, `verdict`,
    `author`, `reason` and `decided_at` (naive UTC, text).
    """
    frame = read_decisions(path).filter(pl.col("withdrawn_at").is_null())
    ordered = frame.sort("decided_at", "decision_id", nulls_last=False)
    found: dict[tuple[Key, Key], dict[str, str | None]] = {}
    for row in ordered.iter_rows(named=True):
        ends = sorted(
            [(row["source_l"], row["record_id_l"]), (row["source_r"], row["record_id_r"])]
        )
        decided_at = row["decided_at"]
        found[ends[0], ends[1]] = {
            "decision_id": row["decision_id"],
            "verdict": row["verdict"],
            "author": row["author"],
            "reason": row["reason"],
            "decided_at": decided_at.strftime("%Y-%m-%d %H:%M") if decided_at else None,
        }
    return found


def group_of(decision_id: str) -> str:
    """The name that `withdraw` takes to withdraw the decision with those made together with it."""
    return decision_id.split(SEPARATOR, 1)[0]


def _belongs(decision_id: str, name: str) -> bool:
    found = decision_id.strip()
    return found == name or found.startswith(name + SEPARATOR)


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows as they are, also columns of the user's own."""
    read_decisions(path)  # a file with a mistake is not written over
    return read_rows(path, COLUMNS)
