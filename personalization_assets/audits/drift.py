"""What has moved since the reference: every measure of every column, against limit and chance.

A measure is a finding when it reaches the limit of the settings and also what chance alone would
bring in samples of this size. The chance of a night is shared out over all its measures, so a night
on which nothing changed stays silent whatever the number of columns.
"""

import datetime as dt
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personalization_assets.audits import distances as far
from personalization_assets.audits.settings import ALL, AuditsSettings
from personalization_assets.errors import UserError

REFERENCE = ("as_of", "rows", "nulls", "distinct_values", "median", "bins")
RECENT_DAYS = 28
"""Whole days before the reference that say how often new rows come."""

EPOCH = dt.datetime(1970, 1, 1)
NAMED = 5
"""Labels that are named in a finding's words."""

DISTANCES: Mapping[
    str, tuple[Callable[[far.Histograms], far.Distance], Callable[[far.Distance, float], float]]
] = {
    "psi": (far.psi_of, far.psi_by_chance),
    "js": (far.js_of, far.js_by_chance),
    "ks": (far.ks_of, far.ks_by_chance),
}
Bins = dict[str, int]


@dataclass(frozen=True)
class Measured:
    """A value, what chance brings for a chance `alpha`, and the change in words."""

    column: str
    measure: str
    value: float
    by_chance: Callable[[float], float]
    words: str


def with_reference(
    current: Sequence[Mapping[str, Any]],
    previous: Sequence[Mapping[str, Any]],
    settings: AuditsSettings,
    renamed: Mapping[str, Mapping[str, str]] | None = None,
) -> list[dict[str, Any]]:
    """Give each fresh profile the reference it is compared with.

    The reference of the profile before is kept until it is `renew_reference_days` old, then that
    profile becomes the reference. A repeated run (same `as_of`) keeps what it had. `renamed` has
    the former names of columns, by table: a column takes its reference along.
    """
    before = {(p["table_name"], p["column_name"]): p for p in previous}
    rows = []
    for profile in current:
        table, column = profile["table_name"], profile["column_name"]
        former = (renamed or {}).get(table, {}).get(column, column)
        old = before.get((table, column), before.get((table, former)))
        row = dict(profile)
        row |= {f"reference_{name}": None for name in REFERENCE}
        # A column that has too many labels now is only counted, and still has its reference.
        if old is not None and (old["kind"] == profile["kind"] or _counted(old, profile)):
            row |= _reference(profile, old, settings.renew_reference_days)
        if old is not None and old["kind"] != profile["kind"]:
            row["reference_bins"] = None
        rows.append(row)
    return rows


def _counted(old: Mapping[str, Any], profile: Mapping[str, Any]) -> bool:
    return "counted" in (old["kind"], profile["kind"])


def _reference(
    profile: Mapping[str, Any], old: Mapping[str, Any], renew_days: float
) -> dict[str, Any]:
    as_of = profile["as_of"]
    if "reference_median" not in old:
        return {}  # written by an earlier release, whose bins of moments were others
    kept = {f"reference_{n}": old[f"reference_{n}"] for n in REFERENCE}
    taken = kept["reference_as_of"]
    if old["as_of"] < as_of:
        if taken is None or (as_of - taken).total_seconds() >= renew_days * 86400:
            return {f"reference_{n}": old[n] for n in REFERENCE}
        return kept
    # A run for an earlier time than the last one has no use for a reference that is later still.
    return kept if taken is not None and taken < as_of else {}


def check_places(profiles: Sequence[Mapping[str, Any]], settings: AuditsSettings) -> None:
    """Look for tables and columns that the settings name and the profiles do not have.

    Raises:
        UserError: there is one; a limit that nobody applies would pass for one that holds.
    """
    columns: dict[str, set[str]] = {}
    for profile in profiles:
        columns.setdefault(profile["table_name"], set()).add(profile["column_name"])
    everywhere = set().union(*columns.values())
    columns[ALL] = everywhere
    named = [
        ("limits", table, column) for table, own in settings.limits.items() for column in own
    ] + [
        ("ignored_columns", *(place.rsplit(".", 1) if "." in place else (ALL, place)))
        for place in settings.ignored_columns
    ]
    for setting, table, column in named:
        if table not in columns:
            raise UserError(
                f"audits.{setting} names the table {table}, which is not profiled: write it like "
                "standardized.orders, or * for all tables."
            )
        if column != ALL and column not in columns[table]:
            raise UserError(
                f"audits.{setting} names the column {column}, which {table} does not have or whose "
                "values are not profiled: correct the name or remove it."
            )


def findings(
    profiles: Sequence[Mapping[str, Any]], settings: AuditsSettings
) -> list[dict[str, Any]]:
    """Every measure of every column that has a reference: rows of `audits.drift`."""
    measured = [
        (profile, found) for profile in _first_of_tables(profiles) for found in _of_table(profile)
    ] + [
        (profile, found)
        for profile in profiles
        if profile["reference_as_of"] is not None
        and min(profile["rows"], profile["reference_rows"]) >= settings.minimum_rows
        for found in _of_column(profile, settings)
    ]
    measured = [(p, m) for p, m in measured if not settings.ignores(p["table_name"], m.column)]
    alpha = settings.false_alarms_per_night / max(len(measured), 1)
    rows = [_row(profile, found, alpha, settings) for profile, found in measured]
    return sorted(rows, key=lambda r: (r["table_name"], r["column_name"], r["measure"]))


def _row(
    profile: Mapping[str, Any], found: Measured, alpha: float, settings: AuditsSettings
) -> dict[str, Any]:
    table = profile["table_name"]
    warn_at, fail_at = settings.thresholds(table, found.column, found.measure)
    by_chance = found.by_chance(alpha)
    level = "ok"
    if found.value >= max(warn_at, by_chance):
        level = "fail" if found.value >= fail_at else "warn"
    return {
        "table_name": table,
        "column_name": found.column,
        "measure": found.measure,
        "value": round(found.value, 6),
        "by_chance": round(by_chance, 6),
        "warn_at": warn_at,
        "fail_at": fail_at,
        "level": level,
        "words": found.words,
        "rows": profile["rows"],
        "reference_rows": profile["reference_rows"],
        "as_of": profile["as_of"],
        "reference_as_of": profile["reference_as_of"],
    }


def _first_of_tables(profiles: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    seen: set[str] = set()
    for profile in profiles:
        if profile["reference_as_of"] is not None and profile["table_name"] not in seen:
            seen.add(profile["table_name"])
            yield profile


def _of_table(profile: Mapping[str, Any]) -> Iterator[Measured]:
    now, then = profile["rows"], profile["reference_rows"]
    if then:
        yield Measured(
            ALL,
            "rows",
            abs(now - then) / then,
            lambda alpha: far.count_by_chance(then, now, alpha),
            f"{now:,} rows, {then:,} before",
        )


def _of_column(profile: Mapping[str, Any], settings: AuditsSettings) -> Iterator[Measured]:
    name, now, then = profile["column_name"], profile["rows"], profile["reference_rows"]
    empty, empty_then = profile["nulls"], profile["reference_nulls"]
    yield Measured(
        name,
        "nulls",
        far.cohens_h(empty, now, empty_then, then),
        lambda alpha: far.h_by_chance(now, then, alpha),
        f"{empty / now:.1%} empty, {empty_then / then:.1%} before",
    )
    filled, filled_then = now - empty, then - empty_then
    if min(filled, filled_then) < settings.minimum_rows:
        return
    counted = profile["kind"] == "counted" or not profile["reference_bins"]
    if counted and profile["distinct_values"] is not None:
        yield from _distinct(profile, filled, filled_then)
    yield from _late(profile)
    if not profile["bins"] or not profile["reference_bins"]:
        return
    bins, bins_then = json.loads(profile["bins"]), json.loads(profile["reference_bins"])
    if profile["kind"] == "time":
        yield from _of_moments(profile, bins, bins_then, settings.minimum_rows)
    elif min(sum(bins.values()), sum(bins_then.values())) >= settings.minimum_rows:
        ordered = profile["kind"] == "number"
        words = _middles(profile) if ordered else _moved_most(bins, bins_then)
        pair = far.histograms(bins_then, bins, ordered)
        for measure in ("psi", "js", "ks") if ordered else ("psi", "js"):
            yield _distance(name, measure, [pair], words)
        if ordered:
            yield _outside(name, bins, bins_then, "outside the range before")
        else:
            yield _label_share(name, bins, bins_then)
            yield _one_sided(name, "new_labels", bins, bins_then, "new")
            yield _one_sided(name, "vanished_labels", bins_then, bins, "gone")


def _distance(column: str, measure: str, pairs: Sequence[far.Histograms], words: str) -> Measured:
    """Of several views of a column the one that moved least: a change shows in all of them."""
    of, by_chance = DISTANCES[measure]
    least = min((of(pair) for pair in pairs), key=lambda d: d.value)
    return Measured(column, measure, least.value, lambda alpha: by_chance(least, alpha), words)


def _of_moments(
    profile: Mapping[str, Any],
    bins: Mapping[str, Bins],
    bins_then: Mapping[str, Bins],
    minimum_rows: int,
) -> Iterator[Measured]:
    name = profile["column_name"]
    pairs = [far.histograms(bins_then["age"], bins["age"], ordered=True)]
    last = _day(profile["reference_as_of"])
    past = [{d: n for d, n in b["day"].items() if int(d) < last} for b in (bins_then, bins)]
    if sum(past[0].values()) >= minimum_rows and past[1]:
        pairs.append(far.histograms(past[0], past[1], ordered=True))
    for measure in DISTANCES:
        yield _distance(name, measure, pairs, "moments are spread over time in another way")
    hours, hours_then = bins["hour"], bins_then["hour"]
    clock = far.js_of(far.histograms(hours_then, hours, ordered=True))
    yield Measured(
        name,
        "hours",
        clock.value,
        lambda alpha: far.js_by_chance(clock, alpha),
        f"most rows at hour {_top(hours)} of the day, at hour {_top(hours_then)} before",
    )
    ahead, ahead_then = _ahead(bins["age"]), _ahead(bins_then["age"])
    yield _outside(name, ahead, ahead_then, "further in the future than any before")


def _ahead(ages: Bins) -> Bins:
    """Ages with all that lies in the past as one: rows grow old, and that is no finding."""
    future = {age: n for age, n in ages.items() if int(age) < 0}
    return future | {"0": sum(ages.values()) - sum(future.values())}


def _late(profile: Mapping[str, Any]) -> Iterator[Measured]:
    lag, usual = profile["lag_hours"], profile.get("usual_lag_hours")
    if lag is None or usual is None or not profile["reference_bins"]:
        return
    days: Bins = json.loads(profile["reference_bins"])["day"]
    last = _day(profile["reference_as_of"])
    recent = sum(n for day, n in days.items() if last - RECENT_DAYS <= int(day) < last)
    if not recent:
        return  # nothing has come for weeks: nobody can say when the next row is due
    per_hour = recent / (RECENT_DAYS * 24)
    yield Measured(
        profile["column_name"],
        "late",
        max(lag - usual, 0.0),
        # Rows that come independently leave gaps that are exponentially distributed.
        lambda alpha: -math.log(alpha) / per_hour,
        f"newest row is {lag:,.0f} hours old, usually up to {usual:,.0f}",
    )


def _distinct(profile: Mapping[str, Any], filled: int, filled_then: int) -> Iterator[Measured]:
    """Values lost or gained that neither a table's growth nor a full set of values explains."""
    now, then = profile["distinct_values"], profile["reference_distinct_values"]
    if not then:
        return
    change = min(abs(now / then - 1), abs((now / filled) / (then / filled_then) - 1))
    yield Measured(
        profile["column_name"],
        "distinct",
        change,
        lambda alpha: far.count_by_chance(then, now, alpha),
        f"{now:,} different values, {then:,} before",
    )


def _one_sided(column: str, measure: str, here: Bins, there: Bins, what: str) -> Measured:
    """Share of rows of the most frequent label that only one side has."""
    rows, others = sum(here.values()), sum(there.values())
    only = {label: n for label, n in here.items() if label not in there}

    labels = len({*here, *there})
    named = sorted(only, key=lambda label: (-only[label], label))
    shown = ", ".join(f"'{label}' ({only[label]:,} rows)" for label in named[:NAMED])
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return Measured(
        column,
        measure,
        max(only.values(), default=0) / rows,
        # Each label could have been the one that only one side has.
        lambda alpha: far.one_sided_rows(rows, others, alpha / labels) / rows,
        f"{what}: {shown}{more}" if only else f"no label is {what}",
    )


def _outside(column: str, now: Bins, then: Bins, what: str) -> Measured:
    """Share of rows by more than a bin beyond the reference's lowest or highest."""
    low, high = min(map(int, then)), max(map(int, then))
    rows, others = sum(now.values()), sum(then.values())
    below = sum(n for b, n in now.items() if int(b) < low)
    above = sum(n for b, n in now.items() if int(b) > high)
    return Measured(
        column,
        "range",
        max(below, above) / rows,
        lambda alpha: far.one_sided_rows(rows, others, alpha / 2) / rows,
        f"{below + above:,} rows {what}",
    )


def _label_share(column: str, now: Bins, then: Bins) -> Measured:
    """Cohen's h of the label whose share moved most."""
    rows, rows_then = sum(now.values()), sum(then.values())
    labels = {*now, *then}
    return Measured(
        column,
        "label_share",
        max(far.cohens_h(now.get(x, 0), rows, then.get(x, 0), rows_then) for x in labels),
        lambda alpha: far.h_by_chance(rows, rows_then, alpha / len(labels)),
        _moved_most(now, then),
    )


def _moved_most(now: Bins, then: Bins) -> str:
    rows, rows_then = sum(now.values()), sum(then.values())
    label = max(
        sorted({*now, *then}),
        key=lambda x: far.cohens_h(now.get(x, 0), rows, then.get(x, 0), rows_then),
    )
    share, share_then = now.get(label, 0) / rows, then.get(label, 0) / rows_then
    return f"'{label}' is {share:.1%} of rows, {share_then:.1%} before"


def _middles(profile: Mapping[str, Any]) -> str:
    now, then = profile["median"], profile["reference_median"]
    if now is None or then is None or now == then:
        return "values are spread in another way"
    return f"median {now:,.6g}, {then:,.6g} before"


def _top(hours: Bins) -> str:
    return max(sorted(hours, key=int), key=lambda hour: hours[hour])


def _day(moment: dt.datetime) -> int:
    """Days since 1970-01-01, as the profile bins them."""
    return (moment - EPOCH).days
