"""How right the recommender's lists are, on UCI Online Retail and on public benchmarks.

UCI Online Retail is cut 28 days before its end. Recipes are tuned on the 28 days before the cut, so
the last 28 days are seen by no candidate. Two views, each with recipes tuned for it: everything
bought, and products new to the customer. Baselines: buyers of the last 28 days before the cut, the
customer's own history repeated, and models of `implicit` as they come.

Public benchmarks are folders `recsys/<name>` of the shared data with `train.*`, `test.*` and maybe
`valid.*`, split as they were published; see `personalize recommend evaluate`.
"""

import argparse
import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from personalization_tests.benchmarks.measure import (
    COST,
    NO_SHARED_DATA,
    REPOSITORY,
    Cost,
    measured,
    scratch,
    shared_data,
    show,
)

TEST_DAYS = 28
SEED = 20
SAMPLES = 1000
ALGORITHMS = ("als", "ease", "knn", "blend")
METRICS = [("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20)]
METRICS += [("map", 20), ("hit_rate", 20), ("coverage", 20)]
GATE = ("ndcg", 20)
VIEWS = (("new", "B: products new to the customer"), ("all", "A: everything bought"))
PUBLISHED = {
    "gowalla": "published, recall@20 and NDCG@20: LightGCN .1820 .1547, EASE .1765 .1467, "
    "SLIM .1699, BPR-MF .1627",
}

ACTIVITY = """
CREATE SCHEMA recommendations;
CREATE TABLE recommendations.activity AS
SELECT "Customer ID" AS customer_id, StockCode AS product_id, 'purchase' AS kind,
    InvoiceDate::DATE AS day, count(DISTINCT Invoice) AS events, max(InvoiceDate) AS last_at
FROM (SELECT * REPLACE (InvoiceDate::TIMESTAMP AS InvoiceDate)
    FROM read_csv('{lines}', all_varchar = true))
WHERE "Customer ID" <> '' AND Invoice SIMILAR TO '[0-9]+' AND Quantity::BIGINT > 0
    AND StockCode SIMILAR TO '[0-9]{{5}}.*'
GROUP BY ALL
"""
"""Completed sales of products to known customers, as recommendations.activity has them."""


def _warehouse(lines: Path) -> tuple[duckdb.DuckDBPyConnection, str]:
    """A connection as the room's functions want it, and the statement of interactions."""
    from personalization_assets.settings import Settings

    con = duckdb.connect(config={"threads": 2})
    con.execute(ACTIVITY.format(lines=lines))
    for name, value in Settings().sql_variables(dt.datetime(2100, 1, 1)).items():
        con.execute(f"SET VARIABLE {name} = ?", [value])
    sql = REPOSITORY / "dbt_like_sql" / "recommendations" / "interactions.sql"
    return con, sql.read_text(encoding="utf-8")


def _split(lines: Path, half_life_days: float, validation: bool = False) -> Any:
    from personalization_assets.recommendations import judging, past

    con, statement = _warehouse(lines)
    windows = past.windows(con, TEST_DAYS)
    assert windows is not None
    first, end = (windows.valid, windows.test) if validation else (windows.test, windows.end)
    return judging.split(
        past.interactions(con, statement, half_life_days, before=first),
        past.purchases(con, first, end),
        past.demand(con, first, TEST_DAYS),
        pl.DataFrame(schema={"product_id": pl.String, "category": pl.String}),
        1_000_000,
    )


def tune(lines: Path, algorithm: str, target: str, found: dict[str, str]) -> Callable[[], str]:
    """Work that finds a recipe on the window before the cut, as JSON; `found` are others'."""
    from personalization_assets.recommendations import models, tuning

    known = {name: models.Recipe.from_json(recipe) for name, recipe in found.items()}
    parts: dict[float, Any] = {}

    def split_at(half_life_days: float) -> Any:
        if half_life_days not in parts:
            parts[half_life_days] = _split(lines, half_life_days, validation=True)
        return parts[half_life_days]

    def work() -> str:
        start = models.starting(algorithm, known)
        search = tuning.Search(split_at, GATE, target, SEED, 2)
        return tuning.chosen(list(search.trials(start))).recipe.to_json()

    return work


def ours(lines: Path, recipe_json: str, target: str) -> Callable[[], Any]:
    """Work that trains a recipe, makes lists and judges them."""
    from personalization_assets.recommendations import models
    from personalization_assets.recommendations.models import candidates

    recipe = models.Recipe.from_json(recipe_json)
    part = _split(lines, recipe.half_life_days)

    def work() -> Any:
        model = models.fit(part.known, recipe, SEED, 2)
        return _judged(part, candidates.of_model(part, model, target, threads=2), target)

    return work


def baseline(lines: Path, name: str, target: str) -> Callable[[], Any]:
    """Work that makes the lists of a candidate that needs no model."""
    from personalization_assets.recommendations.models import candidates

    part = _split(lines, 60.0)
    skip = part.bought[part.judged] if target == "new" else None

    def work() -> Any:
        return _judged(part, candidates.BASELINES[name](part, skip, 20, 2), target)

    return work


def library(lines: Path, kind: str, target: str) -> Callable[[], Any]:
    """Work that fits a model of `implicit` as it comes, on counts of orders."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import BM25Recommender

    from personalization_assets.recommendations.models.als import one_blas_thread

    part = _split(lines, 60.0)
    kinds = {
        "als": lambda: AlternatingLeastSquares(random_state=SEED, num_threads=2),
        "bm25": lambda: BM25Recommender(num_threads=2),
    }
    bought = part.bought.astype(np.float64)

    def work() -> Any:
        with one_blas_thread():
            model = kinds[kind]()
            model.fit(bought, show_progress=False)
            columns, scores = model.recommend(
                part.judged, bought[part.judged], 20, filter_already_liked_items=target == "new"
            )
        rows = np.repeat(np.arange(len(part.judged), dtype=np.int32), columns.shape[1])
        made = pl.DataFrame({"row": rows, "column": columns.ravel(), "score": scores.ravel()})
        real = pl.col("score").is_between(-1e30, 1e30) & (pl.col("column") >= 0)
        found = made.with_columns(pl.col("column").cast(pl.Int32)).filter(real)
        return _judged(part, found, target)

    return work


def _judged(part: Any, found: pl.DataFrame, target: str) -> Any:
    from personalization_assets.recommendations import judging

    return judging.judge(found, part.truth[target], len(part.judged), len(part.known.products))


def online_retail(shared: Path) -> None:
    """Both views of UCI Online Retail."""
    from personalization_assets.recommendations.bootstrap import bounds

    with scratch() as folder:
        lines = folder / "lines.csv"
        lines.symlink_to((shared / "real-shop" / "shop" / "invoice_lines.csv").resolve())
        for target, view in VIEWS:
            results: dict[str, tuple[Any, Cost]] = {
                "popularity, 28 days": measured(baseline, lines, "popular", target),
                "popularity, 7 days": measured(baseline, lines, "recent", target),
                "own history": measured(baseline, lines, "history", target),
                "implicit BM25 item-kNN": measured(library, lines, "bm25", target),
                "implicit ALS, defaults": measured(library, lines, "als", target),
            }
            found: dict[str, str] = {}
            for algorithm in ALGORITHMS:
                recipe, cost = measured(tune, lines, algorithm, target, found)
                found[algorithm] = recipe
                print(f"{algorithm} for {target}: {cost.cpu:.0f} CPU s to tune: {recipe}")
                results[f"our {algorithm}, tuned"] = measured(ours, lines, recipe, target)
            base = "popularity, 28 days" if target == "new" else "own history"
            over = results[base][0][GATE]
            rows = []
            for candidate, (scores, cost) in results.items():
                gain = scores[GATE] - over
                low, high = bounds([gain], SAMPLES, SEED)[0]
                figures = [f"{scores[m].mean():.4f}" for m in METRICS]
                ratio = f"{scores[GATE].mean() / over.mean():.2f} x"
                interval = f"{low:+.4f} to {high:+.4f}" if gain.any() else "none"
                rows.append([candidate, *figures, ratio, interval, *cost.cells()])
            heads = [f"{metric.replace('_', ' ')}@{k}" for metric, k in METRICS]
            show(
                f"{view}: {len(over):,} customers; NDCG@20 over {base}, 95 % interval of the gain",
                ["candidate", *heads, "ratio", "gain", *COST],
                rows,
            )


def public(shared: Path) -> None:
    """Every public benchmark that is there, by the command that users have for it."""
    folders = sorted(p for p in (shared / "recsys").glob("*") if p.is_dir())
    if not folders:
        print(f"\nNo public benchmarks in {shared / 'recsys'}: left out.")
    for folder in folders:
        files = {
            f"--{part}": next(iter(sorted(folder.glob(f"{part}.*"))), None)
            for part in ("train", "test", "valid")
        }
        if not (files["--train"] and files["--test"]):
            continue
        print(f"\n{folder.name}. {PUBLISHED.get(folder.name, '')}\n", flush=True)
        named = [str(word) for option, file in files.items() if file for word in (option, file)]
        program = "from personalization_assets.cli import main; main()"
        command = [sys.executable, "-c", program, "recommend", "evaluate", *named]
        subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["online_retail", "public"], help="leave out the other")
    chosen = parser.parse_args().only
    shared = shared_data()
    if not shared:
        print(f"The recommender on public data is {NO_SHARED_DATA}")
        return
    if chosen != "public":
        online_retail(shared)
    if chosen != "online_retail":
        public(shared)


if __name__ == "__main__":
    main()
