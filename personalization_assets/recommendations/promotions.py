"""Versions that a person promoted, and the one rule by which a version is current.

Promotions are rows of `model_promotions.csv` in the data folder. One holds until it is withdrawn or
another takes its place; meanwhile new versions are trained and judged as always, against the
promoted version's recipe, and wait.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.kept_by_hand import (
    locked,
    now,
    read_frame,
    read_rows,
    refuse,
    write_rows,
)

FILE = "model_promotions.csv"
COLUMNS = ("promotion_id", "model_version", "author", "promoted_at", "reason", "withdrawn_at")
REQUIRED = ("promotion_id", "model_version")
TIMES = ("promoted_at", "withdrawn_at")


def read_promotions(path: Path) -> pl.DataFrame:
    """Rows of `recommendations.promotions`; none when the file is absent. Times are naive UTC.

    `holds` marks the one that binds: the latest that nobody has withdrawn.

    Raises:
        UserError: a column is missing, an id is there twice, or a version or time is not readable.
    """
    frame = read_frame(path, COLUMNS, REQUIRED, TIMES)
    version = pl.col("model_version").str.contains("^[0-9a-f]{12}$")
    refuse(path, frame, ~version, "a model_version that is not 12 hex digits")
    refuse(path, frame, pl.col("promotion_id").is_duplicated(), "a promotion_id that is used twice")
    standing = frame.filter(pl.col("withdrawn_at").is_null())
    last = standing.sort("promoted_at", "promotion_id", nulls_last=False)["promotion_id"].tail(1)
    holds = pl.col("promotion_id").is_in(last.implode())
    return frame.with_columns(holds=holds).sort("promotion_id")


def promoted_version(promotions: pl.DataFrame) -> str | None:
    """The version whose promotion holds."""
    found: list[str] = promotions.filter("holds")["model_version"].to_list()
    return found[0] if found else None


def promote(path: Path, version: str, author: str, reason: str | None) -> str:
    """Write a promotion; one that held before is withdrawn by it. Returns its id.

    Raises:
        UserError: the file is not readable as promotions, or cannot be written.
    """
    name = f"promotion-{secrets.token_hex(4)}"
    with locked(path):
        read_promotions(path)  # a file with a mistake is not written over
        columns, rows = read_rows(path, COLUMNS)
        at = now()
        _withdraw(rows, at)
        values = (name, version, author, at, reason or "", "")
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        write_rows(path, columns, rows)
    return name


def withdraw(path: Path) -> str:
    """Withdraw the promotion that holds, so that the gate decides again. Returns its version.

    Raises:
        UserError: none holds, or the file is not readable as promotions or cannot be written.
    """
    with locked(path):
        version = promoted_version(read_promotions(path))
        if version is None:
            raise UserError("No version is promoted by a person: there is nothing to withdraw.")
        columns, rows = read_rows(path, COLUMNS)
        _withdraw(rows, now())
        write_rows(path, columns, rows)
    return version


def _withdraw(rows: list[dict[str, str]], at: str) -> None:
    for row in rows:
        if not row.get("withdrawn_at", "").strip():
            row["withdrawn_at"] = at


@dataclass(frozen=True)
class Settled:
    """als_model with `is_current` set, and the versions whose factors are kept."""

    models: pl.DataFrame
    kept: frozenset[str]


def settle(
    models: pl.DataFrame,
    with_factors: Collection[str],
    version: str,
    promoted: str | None,
    keep_versions: int,
) -> Settled:
    """Which version lists are made with, and which keep their factors.

    Current is the version that a person promoted, while that holds and its factors are there; else
    the version of this run, if it is published; else the newest that is published. Nothing of
    earlier runs enters: withdrawing a promotion is as if it had never been made.

    Args:
        models: rows of als_model, this run's version among them
        with_factors: versions that have factors, this run's version among them
        version: this run's version: made by it, or made before from the same settings and data
        promoted: the version whose promotion holds
        keep_versions: so many of the newest versions keep their factors, besides the current one
            and the one that would be current without a promotion
    """
    ordered = models.sort("number")
    usable = ordered.filter(pl.col("model_version").is_in(sorted(with_factors)))
    published = usable.filter("published")["model_version"].to_list()
    by_gate = version if version in published else published[-1] if published else None
    current = promoted if promoted in with_factors else by_gate
    newest = usable["model_version"].tail(keep_versions).to_list()
    return Settled(
        ordered.with_columns(
            is_current=pl.col("model_version").eq(pl.lit(current)).fill_null(False)
        ),
        frozenset(v for v in (*newest, version, current, by_gate) if v is not None),
    )
