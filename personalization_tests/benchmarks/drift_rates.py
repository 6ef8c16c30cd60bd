"""How often the audits find drift that was put in, and how often they cry wolf on a resample.

Every trial draws a made-up table of orders twice from the same shop, for the reference and for
tonight, and goes through the code of the nightly run: profiles in DuckDB, then findings. Tonight
gets one kind of drift after the other. False alarms are counted on the second draw as it is,
and on a bootstrap of the first. The chance per measure is that of a platform with `MEASURES`
measures a night, not the more generous one of this table alone.

Baselines on the same rows: classical tests at p < 0.05 (two-sample Kolmogorov-Smirnov for numbers
and moments, chi-squared for labels), and the limits of the settings without a bound for chance.

    python -m personalization_tests.benchmarks.drift_rates --sizes 500 5000 --trials 200
"""

import argparse
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import polars as pl

from personalization_assets.audits.drift import findings, with_reference
from personalization_assets.audits.profiling import profile_table
from personalization_assets.audits.settings import AuditsSettings
from personalization_tests.benchmarks.measure import show

AS_OF = dt.datetime(2026, 3, 2, 6)
NIGHT = dt.timedelta(days=1)
DAYS = 365
MEASURES = 1000
"""Measures of a night of the whole platform, which share the chance of a false alarm."""

TABLE = "trial.orders"
CHANNELS = [f"channel_{i:02}" for i in range(30)]
STATUSES = ["completed", "cancelled", "refunded", "pending"]
Draw = np.random.Generator
Drift = Callable[[pl.DataFrame, Draw], pl.DataFrame]
"""A frame with one kind of drift in it, and the column that has it."""

WAYS = ("found", "fixed limits", "p < 0.05")


def draw_orders(rows: int, as_of: dt.datetime, rng: Draw) -> pl.DataFrame:
    """Orders of the last year: skewed, seasonal over the day, with rare labels and empty values."""
    days = rng.uniform(0, DAYS, rows)
    hours = np.clip(rng.normal(15, 3.5, rows), 0, 23.99)
    minutes = (np.floor(days) * 24 + 24 - hours) * 60
    zipf = 1 / np.arange(1, len(CHANNELS) + 1) ** 1.5
    discount = np.where(rng.random(rows) < 0.6, np.nan, rng.gamma(2.0, 4.0, rows))
    return pl.DataFrame(
        {
            "order_key": [f"o{n}" for n in rng.integers(0, 2**60, rows)],
            "total": np.round(rng.lognormal(3.5, 0.9, rows), 2),
            "weight": np.round(rng.pareto(1.5, rows) + 0.1, 3),
            "score": rng.normal(50, 10, rows),
            "quantity": rng.poisson(2.0, rows),
            "points": rng.integers(0, 500, rows),
            "discount": pl.Series(discount).fill_nan(None),
            "status": rng.choice(STATUSES, rows, p=[0.82, 0.1, 0.05, 0.03]),
            "channel": rng.choice(CHANNELS, rows, p=zipf / zipf.sum()),
            "is_gift": rng.random(rows) < 0.08,
            "ordered_at": np.datetime64(as_of.replace(hour=0), "us")
            - (minutes * 60e6).astype("timedelta64[us]"),
        }
    )


def _on(column: str, change: pl.Expr) -> Drift:
    return lambda frame, _: frame.with_columns(change.alias(column))


def _some(column: str, share: float, value: Any) -> Drift:
    """`value` in place of what a share of the rows has."""

    def apply(frame: pl.DataFrame, rng: Draw) -> pl.DataFrame:
        hit = pl.Series(rng.random(frame.height) < share)
        return frame.with_columns(
            pl.when(hit).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
        )

    return apply


@dataclass(frozen=True)
class Kind:
    """A kind of drift: the column it is in (`*` for the table) and how it comes about."""

    name: str
    column: str
    apply: Drift


KINDS = (
    Kind("mean +0.2 sd", "score", _on("score", pl.col("score") + 2)),
    Kind("mean +0.5 sd", "score", _on("score", pl.col("score") + 5)),
    Kind("all totals +30 %", "total", _on("total", pl.col("total") * 1.3)),
    Kind("units x100", "total", _on("total", pl.col("total") * 100)),
    Kind("constant number", "total", _on("total", pl.lit(39.9))),
    Kind("constant key", "order_key", _on("order_key", pl.lit("o1"))),
    Kind("5 points to another label", "status", _some("status", 0.061, "refunded")),
    Kind("15 points to another label", "status", _some("status", 0.183, "refunded")),
    Kind("new label, 1 % of rows", "status", _some("status", 0.01, "on_hold")),
    Kind("new label, 5 % of rows", "status", _some("status", 0.05, "on_hold")),
    Kind(
        "label vanished (10 %)", "status",
        _on("status", pl.col("status").replace("cancelled", "completed")),
    ),
    Kind("empty +3 points", "total", _some("total", 0.03, None)),
    Kind("empty +10 points", "total", _some("total", 0.10, None)),
    Kind("empty +50 points", "total", _some("total", 0.50, None)),
    Kind("2 % far out of range", "points", _some("points", 0.02, 9999)),
    Kind("time zone 2 h", "ordered_at", _on("ordered_at", pl.col("ordered_at").dt.offset_by("2h"))),
    Kind(
        "all moments the same", "ordered_at",
        _on("ordered_at", pl.lit(AS_OF, dtype=pl.Datetime("us"))),
    ),
    Kind(
        "no data for 4 days", "ordered_at",
        lambda frame, _: frame.filter(pl.col("ordered_at") < AS_OF - 4 * NIGHT),
    ),
    Kind("half of the rows", "*", lambda frame, _: frame.head(frame.height // 2)),
)  # fmt: skip


def profile(
    con: duckdb.DuckDBPyConnection, frame: pl.DataFrame, as_of: dt.datetime
) -> list[dict[str, Any]]:
    """The profile of a frame, by the code of the nightly run."""
    con.register("frame", frame.to_arrow())
    con.execute(f"CREATE OR REPLACE VIEW {TABLE} AS SELECT * FROM frame").fetchall()
    found = profile_table(con, TABLE, as_of, AuditsSettings())
    con.execute(f"DROP VIEW {TABLE}").fetchall()
    con.unregister("frame")
    # The newest row of a shop that is open every day is at most a day old.
    return [row | {"usual_lag_hours": 24.0} for row in found]


@dataclass(frozen=True)
class Night:
    """A table and what the audits keep of it."""

    frame: pl.DataFrame
    profiles: list[dict[str, Any]]


def judged(now: list[dict[str, Any]], then: Night) -> list[dict[str, Any]]:
    """What the audits find, judged as one table among others on a night with `MEASURES`."""
    rows = with_reference(
        now, with_reference(then.profiles, [], AuditsSettings()), AuditsSettings()
    )
    measures = len(findings(rows, AuditsSettings()))
    chance = AuditsSettings().false_alarms_per_night * measures / MEASURES
    return findings(rows, AuditsSettings(false_alarms_per_night=chance))


def ways(found: list[dict[str, Any]], column: str, now: Night, then: Night) -> dict[str, bool]:
    """Which of `WAYS` see something in a column."""
    mine = [row for row in found if row["column_name"] == column]
    return {
        "found": any(row["level"] != "ok" for row in mine),
        "fixed limits": any(row["value"] >= row["warn_at"] for row in mine),
        "p < 0.05": column != "*" and significant(now.frame[column], then.frame[column]),
    }


def significant(now: pl.Series, then: pl.Series) -> bool:
    """The textbook test of a column at p < 0.05."""
    from scipy import stats

    now, then = now.drop_nulls(), then.drop_nulls()
    if now.dtype == pl.Datetime:
        now = now.dt.offset_by("-1d")  # by age, as the audits do: every night is a day later
    if now.dtype == pl.String and then.n_unique() > AuditsSettings().max_labels:
        return False  # a key: there is no such test
    if now.dtype in (pl.String, pl.Boolean):
        labels = sorted({*now.unique(), *then.unique()})
        counts = [dict(side.value_counts().iter_rows()) for side in (then, now)]
        table = [[side.get(label, 0) for label in labels] for side in counts]
        return len(labels) > 1 and bool(stats.chi2_contingency(table).pvalue < 0.05)
    one, other = (side.cast(pl.Int64 if side.dtype == pl.Datetime else pl.Float64).to_numpy()
                  for side in (then, now))  # fmt: skip
    return bool(stats.ks_2samp(one, other, method="asymp").pvalue < 0.05)


def trial(con: duckdb.DuckDBPyConnection, rows: int, seed: int) -> Iterator[tuple[str, Any]]:
    """(kind of drift or of resample, way or (way, column)) for each alarm of one seeded trial."""
    rng = np.random.default_rng([rows, seed])
    first = draw_orders(rows, AS_OF - NIGHT, rng)
    then = Night(first, profile(con, first, AS_OF - NIGHT))
    fresh = draw_orders(rows, AS_OF, rng)
    nights = {
        "fresh draw": fresh,
        "bootstrap": first.sample(rows, with_replacement=True, seed=seed).with_columns(
            pl.col("ordered_at").dt.offset_by("1d")
        ),
    }
    for resample, frame in nights.items():
        now = Night(frame, profile(con, frame, AS_OF))
        found = judged(now.profiles, then)
        for column in ("*", *frame.columns):
            yield from (
                (resample, (way, column))
                for way, seen in ways(found, column, now, then).items()
                if seen
            )
    for kind, now in drifted_nights(con, fresh, rng):
        found = judged(now.profiles, then)
        yield from ((kind.name, way) for way, s in ways(found, kind.column, now, then).items() if s)


def drifted_nights(
    con: duckdb.DuckDBPyConnection, fresh: pl.DataFrame, rng: Draw
) -> Iterator[tuple[Kind, Night]]:
    """Tonight with each kind of drift; columns of the same table are profiled together."""
    drifted = [(kind, kind.apply(fresh, rng)) for kind in KINDS]
    together = [(k, f) for k, f in drifted if f.height == fresh.height]
    wide = pl.DataFrame([f[k.column].alias(k.name) for k, f in together])
    profiles = {row["column_name"]: row for row in profile(con, wide, AS_OF)}
    for kind, frame in together:
        yield kind, Night(frame, [profiles[kind.name] | {"column_name": kind.column}])
    for kind, frame in drifted:
        if frame.height != fresh.height:
            column = "total" if kind.column == "*" else kind.column
            yield kind, Night(frame, profile(con, frame.select(column), AS_OF))


def main() -> None:
    """Print detection rates and false alarms by size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--trials", type=int, default=200)
    args = parser.parse_args()
    alarms: dict[int, Counter[tuple[str, Any]]] = {}
    nights: dict[int, Counter[tuple[str, str]]] = {}
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("CREATE SCHEMA trial").fetchall()
        for rows in args.sizes:
            alarms[rows], nights[rows] = Counter(), Counter()
            for seed in range(args.trials):
                seen = list(trial(con, rows, seed))
                alarms[rows].update(seen)
                nights[rows].update({(k, w[0]) for k, w in seen if isinstance(w, tuple)})
    _print_rates(alarms, nights, args.sizes, args.trials)


def _print_rates(
    alarms: Mapping[int, Counter[tuple[str, Any]]],
    nights: Mapping[int, Counter[tuple[str, str]]],
    sizes: Sequence[int],
    trials: int,
) -> None:
    heads = [f"{way} {rows:,}" for way in WAYS for rows in sizes]
    found = [
        [
            kind.name,
            *(f"{alarms[rows][kind.name, way] / trials:.0%}" for way in WAYS for rows in sizes),
        ]
        for kind in KINDS
    ]
    show(f"Detection rate over {trials} trials, by rows of the table", ["drift", *heads], found)
    columns = 12
    lines = []
    for resample in ("fresh draw", "bootstrap"):
        per_column, per_night = [], []
        for way in WAYS:
            for rows in sizes:
                count = sum(
                    n for (k, w), n in alarms[rows].items() if k == resample and w[0] == way
                )
                per_column.append(f"{count / trials / columns:.2%}")
                per_night.append(f"{nights[rows][resample, way] / trials:.1%}")
        lines += [[f"{resample}, per column", *per_column], [f"{resample}, per night", *per_night]]
    title = f"False alarms on a resample of a table of {columns - 1} columns"
    show(title, ["resample", *heads], lines)


if __name__ == "__main__":
    main()
