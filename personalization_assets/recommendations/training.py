"""From the shop's activity to a version of the model: tune, judge, decide, refit on everything."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import duckdb
import numpy as np
import polars as pl

from personalization_assets.recommendations import als, judging, past, tuning
from personalization_assets.recommendations.exploring_settings import ExploringSettings
from personalization_assets.recommendations.list_settings import ListSettings
from personalization_assets.recommendations.matrix import to_matrix
from personalization_assets.recommendations.settings import RecommendationsSettings

METHOD = 1
"""Part of every version: raise it when the same settings and data would give another model."""

LISTS_ONLY = {*ListSettings.model_fields, *ExploringSettings.model_fields, "keep_versions"}
"""Settings that change lists but not the model."""


@dataclass(frozen=True)
class Records:
    """The four tables that a training leaves behind, as frames."""

    models: pl.DataFrame
    factors: pl.DataFrame
    evaluation: pl.DataFrame
    trials: pl.DataFrame


@dataclass(frozen=True)
class Verdict:
    """What the gate decided about a version, and by which numbers."""

    published: bool
    value: float | None
    popularity: float | None
    words: str


def version_of(con: duckdb.DuckDBPyConnection, settings: RecommendationsSettings, seed: int) -> str:
    """The name of the version that settings and present activity lead to: 12 hex digits."""
    chosen = settings.model_dump(mode="json", exclude=LISTS_ONLY)
    text = json.dumps([METHOD, seed, chosen, past.fingerprint(con)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def train_version(
    con: duckdb.DuckDBPyConnection,
    statement: str,
    as_of: dt.datetime,
    settings: RecommendationsSettings,
    seed: int,
    threads: int,
    before: Records,
    progress: Callable[[str], None] = lambda text: None,
) -> Records:
    """The tables after this run. Unchanged settings and activity leave them as they were.

    Args:
        con: warehouse with recommendations.activity and .catalogue, and the run's variables set
        statement: the SELECT of interactions.sql
        as_of: recorded as the version's time
        settings: of this room
        seed: of starting factors and bootstrap
        threads: of training; results do not depend on it
        before: the tables as they stand, possibly empty
        progress: told what is going on
    """
    version = version_of(con, settings, seed)
    known = before.models.filter(pl.col("model_version") == version)
    if known.height and before.factors["model_version"].eq(version).any():
        return _with_current(before, version, bool(known["published"][0]), settings)

    start = starting_params(settings)
    pairs = past.interactions(con, statement, start.half_life_days)
    if pairs.is_empty():
        return before
    windows = past.windows(con, settings.test_days)
    metric = _metric(settings)
    trials: list[tuning.Trial] = []
    evaluation = before.evaluation.clear()
    params, verdict = (
        start,
        Verdict(False, None, None, "not published: too few days of purchases to judge it"),
    )
    if windows:

        def cut(first: dt.date, end: dt.date, half_life_days: float) -> judging.Split:
            return judging.split(
                past.interactions(con, statement, half_life_days, before=first),
                past.purchases(con, first, end),
                past.demand(con, first, settings.popularity_days),
                past.categories(con),
                settings.evaluation_customers,
            )

        if settings.tune and pairs.height <= settings.tune_max_interactions:
            validation = cut(windows.valid, windows.test, start.half_life_days)
            if len(validation.judged) >= settings.min_test_customers:
                for trial in tuning.search(
                    start,
                    lambda half_life: cut(windows.valid, windows.test, half_life),
                    metric,
                    settings.target,
                    seed,
                    threads,
                ):
                    trials.append(trial)
                    progress(f"recommender: trial {len(trials)} of up to {tuning.MOST_TRIALS}")
                params = max(trials, key=lambda t: t.value).params
        test = cut(windows.test, windows.end, params.half_life_days)
        evaluation, verdict = _judge(test, params, version, settings, seed, threads)
    progress(f"recommender: {verdict.words}")

    if params.half_life_days != start.half_life_days:
        pairs = past.interactions(con, statement, params.half_life_days)
    model = als.train(to_matrix(pairs), params, seed, threads)
    row = _model_row(con, before, version, as_of, model, pairs.height, settings, verdict)
    after = Records(
        pl.concat([before.models.filter(pl.col("model_version") != version), row]),
        pl.concat(
            [
                before.factors.filter(pl.col("model_version") != version),
                to_rows(model, version).cast(dict(before.factors.schema)),  # type: ignore[arg-type]
            ]
        ),
        pl.concat([before.evaluation.filter(pl.col("model_version") != version), evaluation]),
        pl.concat(
            [
                before.trials.filter(pl.col("model_version") != version),
                _trial_rows(trials, params, version, before.trials),
            ]
        ),
    )
    return _with_current(after, version, verdict.published, settings)


def starting_params(settings: RecommendationsSettings) -> als.Params:
    """The values that settings name."""
    return als.Params(**{f.name: getattr(settings, f.name) for f in fields(als.Params)})


def to_rows(model: als.Model, version: str) -> pl.DataFrame:
    """Factors as rows `model_version, side, key, factors`."""
    sides = [
        ("customer", model.customers, model.customer_factors),
        ("product", model.products, model.product_factors),
    ]
    return pl.concat(
        pl.DataFrame(
            {
                "model_version": pl.repeat(version, len(keys), eager=True),
                "side": pl.repeat(side, len(keys), eager=True),
                "key": keys,
                "factors": pl.Series(np.ascontiguousarray(factors)).cast(pl.List(pl.Float32)),
            }
        )
        for side, keys, factors in sides
    )


def from_rows(model_row: dict[str, Any], rows: pl.DataFrame) -> als.Model:
    """A model out of its row in als_model and its rows in als_factors."""
    params = als.Params(**{f.name: model_row[f.name] for f in fields(als.Params)})

    def side(name: str) -> tuple[pl.Series, Any]:
        part = rows.filter(pl.col("side") == name).sort("key")
        flat = part["factors"].explode().to_numpy().astype(np.float32)
        return part["key"], np.ascontiguousarray(flat.reshape(part.height, params.factors))

    customers, customer_factors = side("customer")
    products, product_factors = side("product")
    return als.Model(params, customers, products, customer_factors, product_factors)


def _metric(settings: RecommendationsSettings) -> tuple[str, int]:
    name, k = settings.metric.split("@")
    return name, int(k)


def _judge(
    test: judging.Split,
    params: als.Params,
    version: str,
    settings: RecommendationsSettings,
    seed: int,
    threads: int,
) -> tuple[pl.DataFrame, Verdict]:
    """Evaluation rows of every candidate, and the gate's decision."""
    rows: list[dict[str, Any]] = []
    gate: dict[str, Any] = {}
    if len(test.judged) and test.known.pairs:
        model = als.train(test.known, params, seed, threads)
        for target in judging.TARGETS:
            for candidate, found in judging.lists(test, model, target, threads=threads).items():
                scores = judging.judge(
                    found, test.truth[target], len(test.judged), len(test.known.products)
                )
                if target == settings.target:
                    gate[candidate] = scores[_metric(settings)]
                rows += _rows(scores, version, target, candidate, settings, seed)
    empty = pl.DataFrame(schema=EVALUATION_SCHEMA)
    customers = len(gate.get("blend", ()))
    if customers < settings.min_test_customers:
        return (pl.DataFrame(rows, schema=EVALUATION_SCHEMA) if rows else empty), Verdict(
            False,
            None,
            None,
            f"not published: {customers} customers to judge it by, "
            f"{settings.min_test_customers} are needed",
        )
    gain = gate["blend"] - gate["popular"]
    low, high = judging.bounds([gain], settings.bootstrap_samples, seed)[0]
    rows.append(
        {
            "model_version": version,
            "target": settings.target,
            "candidate": "blend",
            "metric": "gain",
            "k": _metric(settings)[1],
            "value": float(gain.mean()),
            "customers": customers,
            "low": low,
            "high": high,
        }
    )
    value, popularity = float(gate["blend"].mean()), float(gate["popular"].mean())
    beats = value > popularity and (low > 0 or not settings.require_significance)
    words = (
        f"{'published' if beats else 'not published'}: {settings.metric} {value:.4f} on "
        f"{'products new to the customer' if settings.target == 'new' else 'all purchases'}, "
        f"popularity {popularity:.4f} (gain {low:+.4f} to {high:+.4f}, {customers:,} customers)"
    )
    return (
        pl.DataFrame(rows, schema=EVALUATION_SCHEMA),
        Verdict(beats, value, popularity, words),
    )


EVALUATION_SCHEMA: dict[str, Any] = {
    "model_version": pl.String,
    "target": pl.String,
    "candidate": pl.String,
    "metric": pl.String,
    "k": pl.Int64,
    "value": pl.Float64,
    "customers": pl.Int64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def _rows(
    scores: judging.Scores,
    version: str,
    target: str,
    candidate: str,
    settings: RecommendationsSettings,
    seed: int,
) -> list[dict[str, Any]]:
    measured = [(name, values) for name, values in scores.items() if name[0] != "coverage"]
    customers = len(measured[0][1])
    if not customers:
        return []
    limits = judging.bounds([v for _, v in measured], settings.bootstrap_samples, seed)
    head = {"model_version": version, "target": target, "candidate": candidate}
    rows = [
        {
            **head,
            "metric": name,
            "k": k,
            "value": float(values.mean()),
            "customers": customers,
            "low": low,
            "high": high,
        }
        for ((name, k), values), (low, high) in zip(measured, limits, strict=True)
    ]
    rows += [
        {
            **head,
            "metric": "coverage",
            "k": k,
            "value": float(values[0]),
            "customers": customers,
            "low": None,
            "high": None,
        }
        for (name, k), values in scores.items()
        if name == "coverage"
    ]
    return rows


def _trial_rows(
    trials: list[tuning.Trial], chosen: als.Params, version: str, like: pl.DataFrame
) -> pl.DataFrame:
    first = next((i for i, t in enumerate(trials) if t.params == chosen), None)
    return pl.DataFrame(
        [
            {
                "model_version": version,
                "trial": i + 1,
                **t.params.as_dict(),
                "value": t.value,
                "is_chosen": i == first,
            }
            for i, t in enumerate(trials)
        ],
        schema=like.schema,
    )


def _model_row(
    con: duckdb.DuckDBPyConnection,
    before: Records,
    version: str,
    as_of: dt.datetime,
    model: als.Model,
    pairs: int,
    settings: RecommendationsSettings,
    verdict: Verdict,
) -> pl.DataFrame:
    first, last = con.execute(
        "SELECT min(day), max(day) FROM recommendations.activity"
        " WHERE day <= getvariable('as_of')::DATE"
    ).fetchall()[0]
    numbers = before.models["number"]
    row = {
        "model_version": version,
        "number": int(numbers.max() or 0) + 1,  # type: ignore[arg-type]
        "trained_as_of": as_of,
        **model.params.as_dict(),
        "customers": len(model.customers),
        "products": len(model.products),
        "interactions": pairs,
        "window_start": first,
        "window_end": last,
        "metric": f"{settings.metric} {settings.target}",
        "metric_value": verdict.value,
        "popularity_value": verdict.popularity,
        "published": verdict.published,
        "is_current": False,
        "verdict": verdict.words,
    }
    return pl.DataFrame([row], schema=before.models.schema)


def _with_current(
    records: Records, version: str, published: bool, settings: RecommendationsSettings
) -> Records:
    """Make a published version the current one, and drop factors that are no longer kept."""
    models = records.models
    if published:
        models = models.with_columns(is_current=pl.col("model_version") == version)
    models = models.sort("number")
    newest = models["model_version"].tail(settings.keep_versions).to_list()
    kept = {*newest, *models.filter("is_current")["model_version"].to_list(), version}
    return Records(
        models,
        records.factors.filter(pl.col("model_version").is_in(sorted(kept))).sort(
            "model_version", "side", "key"
        ),
        records.evaluation.sort("model_version", "target", "candidate", "metric", "k"),
        records.trials.sort("model_version", "trial"),
    )
