"""From the shop's activity to a version of the model: tune, judge, decide, refit on everything."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from personalization_assets.recommendations import (
    gate,
    judging,
    models,
    past,
    promotions,
    tuning,
)
from personalization_assets.recommendations.exploring_settings import ExploringSettings
from personalization_assets.recommendations.list_settings import ListSettings
from personalization_assets.recommendations.matrix import Matrix, to_matrix
from personalization_assets.recommendations.models import candidates
from personalization_assets.recommendations.settings import RecommendationsSettings

METHOD = 2
"""Part of every version: raise it when the same settings and data would give another model."""

NOT_OF_THE_MODEL = {
    *ListSettings.model_fields,
    *ExploringSettings.model_fields,
    "keep_versions",
    "retrain",
    "tune_days",
}
"""Settings that change lists, or when to train, but not what comes of a training."""


@dataclass(frozen=True)
class Records:
    """The five tables that a training leaves behind, as frames."""

    models: pl.DataFrame
    factors: pl.DataFrame
    evaluation: pl.DataFrame
    trials: pl.DataFrame
    data: pl.DataFrame


def settings_hash(settings: RecommendationsSettings, seed: int) -> str:
    """A name for all that training depends on besides the data: 12 hex digits."""
    chosen = settings.model_dump(mode="json", exclude=NOT_OF_THE_MODEL)
    return _hash([METHOD, seed, chosen])


def version_of(con: duckdb.DuckDBPyConnection, settings: RecommendationsSettings, seed: int) -> str:
    """The name of the version that settings and present activity lead to: 12 hex digits."""
    return _hash([settings_hash(settings, seed), past.fingerprint(con)])


def _hash(parts: Sequence[Any]) -> str:
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def train_version(
    con: duckdb.DuckDBPyConnection,
    statement: str,
    as_of: dt.datetime,
    settings: RecommendationsSettings,
    seed: int,
    threads: int,
    before: Records,
    promoted: str | None = None,
    wanted: bool = True,
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
        promoted: the version that a person promoted
        wanted: whether news alone are a reason to train; a change of settings always is
        progress: told what is going on
    """
    version = version_of(con, settings, seed)
    known = before.models.filter(pl.col("model_version") == version)
    if known.height and before.factors["model_version"].eq(version).any():
        return _settled(before, version, promoted, settings)
    standing = before.models.filter("is_current")["settings_hash"].to_list()
    if not wanted and standing == [settings_hash(settings, seed)]:
        progress("recommender: no signal asks for a training, the current version stays")
        current = before.models.filter("is_current")["model_version"][0]
        return _settled(before, current, promoted, settings)

    window = _Window(con, statement, settings)
    every = window.interactions(settings.half_life_days)
    if every.is_empty():
        return before
    running = _running(before)
    challengers = _found_lately(before, settings, seed, as_of)
    trials: list[tuning.Trial] = []
    if not challengers:
        challengers, trials = _search(window, every, settings, seed, threads, progress)
    evaluation, verdict = _judge(
        window, challengers, running, version, settings, seed, threads, progress
    )
    progress(f"recommender: {verdict.words}")

    recipe = running if verdict.recipe == gate.RUNNING and running else None
    recipe = recipe or challengers.get(verdict.recipe or "") or next(iter(challengers.values()))
    pairs = window.interactions(recipe.half_life_days)
    matrix = to_matrix(pairs)
    model = models.fit(matrix, recipe, seed, threads)
    row = _model_row(con, before, version, as_of, matrix, recipe, settings, seed, verdict)
    after = Records(
        _replaced(before.models, version, row),
        _replaced(before.factors, version, to_rows(model, version)),
        _replaced(before.evaluation, version, evaluation),
        _replaced(before.trials, version, _trial_rows(trials, challengers, version, before.trials)),
        _replaced(
            before.data, version, past.snapshot(con).with_columns(model_version=pl.lit(version))
        ),
    )
    return _settled(after, version, promoted, settings)


def to_rows(model: models.Model, version: str) -> pl.DataFrame:
    """The model as rows of als_factors."""
    return model.rows().with_columns(model_version=pl.lit(version))


def starting_recipes(settings: RecommendationsSettings, products: int) -> dict[str, models.Recipe]:
    """Where the search begins, by algorithm: ALS with the values that settings name."""
    recipes: dict[str, models.Recipe] = {}
    for name in models.usable(settings.algorithms, products):
        recipes[name] = models.starting(name, recipes, _named(name, settings))
    return recipes


def _named(algorithm: str, settings: RecommendationsSettings) -> models.Recipe:
    """What settings say about an algorithm."""
    own = models.ALGORITHMS["als"].defaults if algorithm == "als" else ()
    return models.Recipe.of(
        algorithm,
        settings.half_life_days,
        settings.history,
        {name: getattr(settings, name) for name in own},
    )


class _Window:
    """The shop's activity, cut by time as settings say."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, statement: str, settings: RecommendationsSettings
    ) -> None:
        self._con, self._statement, self._settings = con, statement, settings
        self.windows = past.windows(con, settings.test_days)
        self._categories = past.categories(con)

    def interactions(self, half_life_days: float, before: dt.date | None = None) -> pl.DataFrame:
        return past.interactions(self._con, self._statement, half_life_days, before)

    def test(self, half_life_days: float) -> judging.Split:
        """What versions are judged on. Only where `windows` are."""
        assert self.windows
        return self._cut(self.windows.test, self.windows.end, half_life_days)

    def validation(self, half_life_days: float) -> judging.Split:
        """What recipes are searched on, the window before. Only where `windows` are."""
        assert self.windows
        most = self._settings.tune_max_interactions
        return self._cut(self.windows.valid, self.windows.test, half_life_days, most)

    def _cut(
        self, first: dt.date, end: dt.date, half_life_days: float, most: int | None = None
    ) -> judging.Split:
        pairs = self.interactions(half_life_days, before=first)
        return judging.split(
            pairs if most is None else judging.sampled(pairs, most),
            past.purchases(self._con, first, end),
            past.demand(self._con, first, self._settings.popularity_days),
            self._categories,
            self._settings.evaluation_customers,
        )


def _found_lately(
    before: Records, settings: RecommendationsSettings, seed: int, as_of: dt.datetime
) -> dict[str, models.Recipe]:
    """What the last search under the same settings ended with, if it was within `tune_days`."""
    since = as_of - dt.timedelta(days=settings.tune_days)
    searched = before.models.filter(
        (pl.col("settings_hash") == settings_hash(settings, seed))
        & (pl.col("trained_as_of") > since)
        & (pl.col("trained_as_of") <= as_of)
    ).join(before.trials, on="model_version", how="semi")
    if searched.is_empty():
        return {}
    last = searched.sort("number")["model_version"].tail(1)
    ended = before.trials.filter(
        pl.col("model_version").is_in(last.implode()) & pl.col("is_chosen")
    )
    return {
        row["algorithm"]: models.Recipe.from_json(row["recipe"])
        for row in ended.sort("trial").iter_rows(named=True)
    }


def _search(
    window: _Window,
    every: pl.DataFrame,
    settings: RecommendationsSettings,
    seed: int,
    threads: int,
    progress: Callable[[str], None],
) -> tuple[dict[str, models.Recipe], list[tuning.Trial]]:
    """The best recipe of each algorithm, and all that was tried."""
    recipes = starting_recipes(settings, every["product_id"].n_unique())
    if not settings.tune or not window.windows:
        return recipes, []
    splits: dict[float, judging.Split] = {}

    def split_at(half_life_days: float) -> judging.Split:
        if half_life_days not in splits:
            splits[half_life_days] = window.validation(half_life_days)
        return splits[half_life_days]

    if len(split_at(settings.half_life_days).judged) < settings.min_test_customers:
        return recipes, []
    search = tuning.Search(split_at, _metric(settings), settings.target, seed, threads)
    tried: list[tuning.Trial] = []
    for name in recipes:
        own: list[tuning.Trial] = []
        for trial in search.trials(models.starting(name, recipes, _named(name, settings))):
            own.append(trial)
            progress(
                f"recommender: trial {len(own)} of {name}, best so far"
                f" {settings.metric} {tuning.chosen(own).value:.4f}"
            )
        recipes[name] = tuning.chosen(own).recipe
        tried += own
    return recipes, tried


def _judge(
    window: _Window,
    challengers: Mapping[str, models.Recipe],
    running: models.Recipe | None,
    version: str,
    settings: RecommendationsSettings,
    seed: int,
    threads: int,
    progress: Callable[[str], None],
) -> tuple[pl.DataFrame, gate.Verdict]:
    """Evaluation rows of every candidate, and the gate's decision."""
    empty = pl.DataFrame(schema=judging.EVALUATION_SCHEMA)
    if not window.windows:
        return empty, gate.unjudged("too few days of purchases to judge it", running is not None)
    recipes = {**challengers, **({gate.RUNNING: running} if running else {})}
    fitted: dict[models.Recipe, models.Model] = {}
    parts = {r.half_life_days: window.test(r.half_life_days) for r in recipes.values()}
    part = next(iter(parts.values()))
    if not len(part.judged) or not part.known.pairs:
        return empty, gate.unjudged("nobody known before bought anything", running is not None)
    rows, chosen = [empty], {}
    for target in judging.TARGETS:
        found = candidates.baselines(part, target, threads=threads)
        for name, recipe in recipes.items():
            progress(f"recommender: judging {name} by {target} purchases")
            mine = parts[recipe.half_life_days]
            if recipe not in fitted:
                fitted[recipe] = models.fit(mine.known, recipe, seed, threads)
            found[name] = candidates.of_model(mine, fitted[recipe], target, threads=threads)
        measured, scores = judging.evaluate(
            part, found, target, version, settings.bootstrap_samples, seed
        )
        rows.append(measured)
        if target == settings.target:
            chosen = {name: values[_metric(settings)] for name, values in scores.items()}
    verdict = gate.decide(
        {name: chosen[name] for name in challengers},
        chosen.get(gate.RUNNING),
        chosen["popular"],
        settings,
        seed,
    )
    rows.append(verdict.gain_rows(version, settings.target, _metric(settings)[1]))
    return pl.concat(rows), verdict


def _metric(settings: RecommendationsSettings) -> tuple[str, int]:
    name, k = settings.metric.split("@")
    return name, int(k)


def _running(before: Records) -> models.Recipe | None:
    """The recipe of the version that lists are made with."""
    current = before.models.filter("is_current")
    return models.Recipe.from_json(current["recipe"][0]) if current.height else None


def _replaced(table: pl.DataFrame, version: str, rows: pl.DataFrame) -> pl.DataFrame:
    """A table of ours with these rows in place of what it had of the version."""
    mine = rows.select(table.columns).cast(dict(table.schema))  # type: ignore[arg-type]
    return pl.concat([table.filter(pl.col("model_version") != version), mine])


def _trial_rows(
    trials: Sequence[tuning.Trial],
    chosen: Mapping[str, models.Recipe],
    version: str,
    like: pl.DataFrame,
) -> pl.DataFrame:
    first: dict[models.Recipe, int] = {}
    for number, trial in enumerate(trials):
        first.setdefault(trial.recipe, number)
    winners = {first[recipe] for recipe in chosen.values() if recipe in first}
    return pl.DataFrame(
        [
            {
                "model_version": version,
                "trial": number + 1,
                "algorithm": trial.recipe.algorithm,
                "recipe": trial.recipe.to_json(),
                "value": trial.value,
                "is_chosen": number in winners,
            }
            for number, trial in enumerate(trials)
        ],
        schema=like.schema,
    )


def _model_row(
    con: duckdb.DuckDBPyConnection,
    before: Records,
    version: str,
    as_of: dt.datetime,
    matrix: Matrix,
    recipe: models.Recipe,
    settings: RecommendationsSettings,
    seed: int,
    verdict: gate.Verdict,
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
        "settings_hash": settings_hash(settings, seed),
        "algorithm": recipe.algorithm,
        "recipe": recipe.to_json(),
        "half_life_days": recipe.half_life_days,
        "customers": len(matrix.customers),
        "products": len(matrix.products),
        "interactions": matrix.pairs,
        "window_start": first,
        "window_end": last,
        "metric": f"{settings.metric} {settings.target}",
        "metric_value": verdict.value,
        "popularity_value": verdict.popularity,
        "outcome": verdict.outcome,
        "published": verdict.published,
        "is_current": False,
        "verdict": verdict.words,
    }
    return pl.DataFrame([row], schema=before.models.schema)


def _settled(
    records: Records, version: str, promoted: str | None, settings: RecommendationsSettings
) -> Records:
    """Mark the version that makes the lists, and drop factors that are no longer kept."""
    settled = promotions.settle(
        records.models,
        records.factors["model_version"].unique().to_list(),
        version,
        promoted,
        settings.keep_versions,
    )
    kept = pl.col("model_version").is_in(sorted(settled.kept))
    return Records(
        settled.models,
        records.factors.filter(kept).sort("model_version", "side", "key"),
        records.evaluation.sort("model_version", "target", "segment", "candidate", "metric", "k"),
        records.trials.sort("model_version", "trial"),
        records.data.sort("model_version", "kind"),
    )
