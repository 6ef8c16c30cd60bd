"""How far two profiles of a column are apart, as effect sizes.

Population stability index over about ten bins of the reference, Jensen-Shannon distance (square
root of the divergence in bits), Kolmogorov-Smirnov distance of the binned distributions. PSI alone
is blind to a change of scale in a skewed column: 30 % more on every order gives a PSI of 0.06.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from personalization_assets.audits.settings import AuditsSettings

ORDERED = ("number", "time")
PSI_BIN_SHARE = 0.10
"""Neighbouring bins are joined until they hold this share of the reference."""

RARE_LABEL_SHARE = 0.005
"""Labels rarer than this, then and now, are judged together."""


def with_reference(
    current: Sequence[Mapping[str, Any]],
    previous: Sequence[Mapping[str, Any]],
    settings: AuditsSettings,
) -> list[dict[str, Any]]:
    """Give each fresh profile the reference it is compared with.

    The reference of the profile before is kept until it is `renew_reference_days` old, then that
    profile becomes the reference. A repeated run (same `as_of`) keeps what it had.
    """
    before = {(p["table_name"], p["column_name"]): p for p in previous}
    rows = []
    for profile in current:
        old = before.get((profile["table_name"], profile["column_name"]))
        row = dict(profile)
        row |= {f"reference_{name}": None for name in ("as_of", "rows", "nulls", "bins")}
        if old is not None and old["kind"] == profile["kind"]:
            row |= _reference(profile, old, settings.renew_reference_days)
        rows.append(row)
    return rows


def _reference(
    profile: Mapping[str, Any], old: Mapping[str, Any], renew_days: float
) -> dict[str, Any]:
    as_of = profile["as_of"]
    kept = {f"reference_{n}": old[f"reference_{n}"] for n in ("as_of", "rows", "nulls", "bins")}
    taken = kept["reference_as_of"]
    if old["as_of"] < as_of:
        if taken is None or (as_of - taken).total_seconds() >= renew_days * 86400:
            return {f"reference_{n}": old[n] for n in ("as_of", "rows", "nulls", "bins")}
        return kept
    # A run for an earlier time than the last one has no use for a reference that is later still.
    return kept if taken is not None and taken < as_of else {}


def findings(
    profiles: Sequence[Mapping[str, Any]], settings: AuditsSettings
) -> list[dict[str, Any]]:
    """Every measure of every column that has a reference: rows of `audits.drift`."""
    thresholds = settings.thresholds()
    rows: list[dict[str, Any]] = []
    tables: set[str] = set()
    for profile in profiles:
        if profile["reference_as_of"] is None:
            continue
        values: dict[str, tuple[str, float]] = {}
        now, then = profile["rows"], profile["reference_rows"]
        if profile["table_name"] not in tables and then >= settings.minimum_rows:
            tables.add(profile["table_name"])
            values["rows"] = ("*", abs(now - then) / then)
        if min(now, then) >= settings.minimum_rows:
            name = profile["column_name"]
            change = abs(profile["nulls"] / now - profile["reference_nulls"] / then)
            values["nulls"] = (name, change)
            for measure, value in _distances(profile, settings.minimum_rows).items():
                values[measure] = (name, value)
        for measure, (column, value) in values.items():
            warn_at, fail_at = thresholds[measure]
            level = "fail" if value >= fail_at else "warn" if value >= warn_at else "ok"
            rows.append(
                {
                    "table_name": profile["table_name"],
                    "column_name": column,
                    "measure": measure,
                    "value": round(value, 6),
                    "warn_at": warn_at,
                    "fail_at": fail_at,
                    "level": level,
                    "rows": now,
                    "reference_rows": then,
                    "as_of": profile["as_of"],
                    "reference_as_of": profile["reference_as_of"],
                }
            )
    return sorted(rows, key=lambda r: (r["table_name"], r["column_name"], r["measure"]))


def _distances(profile: Mapping[str, Any], minimum_rows: int) -> dict[str, float]:
    if not profile["bins"] or not profile["reference_bins"]:
        return {}
    now: dict[str, int] = json.loads(profile["bins"])
    then: dict[str, int] = json.loads(profile["reference_bins"])
    if min(sum(now.values()), sum(then.values())) < minimum_rows:
        return {}
    ordered = profile["kind"] in ORDERED
    names = sorted({*now, *then}, key=int if ordered else str)
    reference = [then.get(n, 0) for n in names]
    current = [now.get(n, 0) for n in names]
    joined = _join_neighbours(reference, current) if ordered else _join_rare(reference, current)
    distances = {"psi": psi(*joined), "js": js_distance(reference, current)}
    if ordered:
        distances["ks"] = ks_distance(reference, current)
    return distances


def psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """Population stability index of two histograms over the same bins, half a row added to each."""
    whole_reference = sum(reference) + 0.5 * len(reference)
    whole_current = sum(current) + 0.5 * len(current)
    total = 0.0
    for then, now in zip(reference, current, strict=True):
        p, q = (then + 0.5) / whole_reference, (now + 0.5) / whole_current
        total += (q - p) * math.log(q / p)
    return total


def js_distance(reference: Sequence[int], current: Sequence[int]) -> float:
    """Jensen-Shannon distance in base 2: 0 for equal shares, 1 where nothing overlaps."""
    whole_reference, whole_current = sum(reference), sum(current)
    divergence = 0.0
    for then, now in zip(reference, current, strict=True):
        p, q = then / whole_reference, now / whole_current
        middle = (p + q) / 2
        divergence += sum(share * math.log2(share / middle) / 2 for share in (p, q) if share)
    return math.sqrt(max(divergence, 0.0))


def ks_distance(reference: Sequence[int], current: Sequence[int]) -> float:
    """The largest gap between the two cumulative shares, seen at the edges of the bins."""
    whole_reference, whole_current = sum(reference), sum(current)
    p = q = 0
    widest = 0.0
    for then, now in zip(reference, current, strict=True):
        p, q = p + then, q + now
        widest = max(widest, abs(p / whole_reference - q / whole_current))
    return widest


def _join_neighbours(
    reference: Sequence[int], current: Sequence[int]
) -> tuple[list[int], list[int]]:
    enough = sum(reference) * PSI_BIN_SHARE
    joined: list[tuple[int, int]] = []
    then = now = 0
    for r, c in zip(reference, current, strict=True):
        then, now = then + r, now + c
        if then >= enough:
            joined.append((then, now))
            then = now = 0
    if (then or now) and joined:
        last = joined.pop()
        joined.append((last[0] + then, last[1] + now))
    return [j[0] for j in joined], [j[1] for j in joined]


def _join_rare(reference: Sequence[int], current: Sequence[int]) -> tuple[list[int], list[int]]:
    rare_then, rare_now = sum(reference) * RARE_LABEL_SHARE, sum(current) * RARE_LABEL_SHARE
    pairs = list(zip(reference, current, strict=True))
    common = [p for p in pairs if p[0] >= rare_then or p[1] >= rare_now]
    rare = [p for p in pairs if not (p[0] >= rare_then or p[1] >= rare_now)]
    if rare:
        common.append((sum(p[0] for p in rare), sum(p[1] for p in rare)))
    return [p[0] for p in common], [p[1] for p in common]
