"""How right the recommender's lists are, on UCI Online Retail, cut 28 days before its end.

The room's ALS is tuned on the 28 days before the cut, so the last 28 days are seen by no candidate.
Baseline: popularity, buyers of the last 28 days before the cut.
"""

import argparse
import datetime as dt
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
METRICS = [("recall", 10), ("recall", 20), ("ndcg", 10), ("ndcg", 20)]
METRICS += [("map", 10), ("map", 20), ("hit_rate", 10), ("hit_rate", 20)]

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

Lists = dict[str, pl.DataFrame]
"""Lists `row, column, score` of the judged customers, best first, by target (new, all)."""


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


def tune(lines: Path) -> Callable[[], dict[str, Any]]:
    """Work that finds training values on the window before the cut."""
    from personalization_assets.recommendations import tuning
    from personalization_assets.recommendations.settings import RecommendationsSettings
    from personalization_assets.recommendations.training import starting_params

    settings = RecommendationsSettings()

    def work() -> dict[str, Any]:
        metric, k = settings.metric.split("@")
        trials = tuning.search(
            starting_params(settings),
            lambda half_life: _split(lines, half_life, validation=True),
            (metric, int(k)),
            settings.target,
            SEED,
            2,
        )
        return max(trials, key=lambda t: t.value).params.as_dict()

    return work


def ours(lines: Path, values: dict[str, Any], candidate: str) -> Callable[[], Any]:
    """Work that trains with these values where it has to, and gives one candidate's measures."""
    from personalization_assets.recommendations import als, judging

    params = als.Params(**values)
    part = _split(lines, params.half_life_days)

    def work() -> Any:
        model = als.train(part.known, params, SEED, 2)
        found = {
            target: judging.lists(part, model, target, threads=2, only=(candidate,))[candidate]
            for target in judging.TARGETS
        }
        return _judged(part, found)

    return work


def library(lines: Path, kind: str) -> Callable[[], Any]:
    """Work that fits a model of `implicit` as it comes, on counts of orders."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import BM25Recommender

    from personalization_assets.recommendations.als import one_blas_thread

    part = _split(lines, 60.0)
    models = {
        "als": lambda: AlternatingLeastSquares(random_state=SEED, num_threads=2),
        "bm25": lambda: BM25Recommender(num_threads=2),
    }
    bought = part.bought.astype(np.float64)

    def work() -> Any:
        with one_blas_thread():
            model = models[kind]()
            model.fit(bought, show_progress=False)
            found = {}
            for target in ("new", "all"):
                columns, scores = model.recommend(
                    part.judged, bought[part.judged], 20, filter_already_liked_items=target == "new"
                )
                rows = np.repeat(np.arange(len(part.judged), dtype=np.int32), columns.shape[1])
                made = pl.DataFrame(
                    {"row": rows, "column": columns.ravel(), "score": scores.ravel()}
                )
                real = pl.col("score").is_between(-1e30, 1e30) & (pl.col("column") >= 0)
                found[target] = made.with_columns(pl.col("column").cast(pl.Int32)).filter(real)
        return _judged(part, found)

    return work


def _judged(part: Any, found: Lists) -> dict[str, Any]:
    from personalization_assets.recommendations import judging

    products = len(part.known.products)
    return {
        target: judging.judge(made, part.truth[target], len(part.judged), products)
        for target, made in found.items()
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    shared = shared_data()
    if not shared:
        print(f"The recommender on UCI Online Retail is {NO_SHARED_DATA}")
        return
    from personalization_assets.recommendations.judging import bounds

    with scratch() as folder:
        lines = folder / "lines.csv"
        lines.symlink_to((shared / "real-shop" / "shop" / "invoice_lines.csv").resolve())
        tuned, cost = measured(tune, lines)
        print(f"tuned in {cost.seconds:.0f} s ({cost.cpu:.0f} CPU s): {tuned}")
        results: dict[str, tuple[Any, Cost]] = {
            "popularity, 28 days": measured(ours, lines, tuned, "popular"),
            "own history": measured(ours, lines, tuned, "history"),
            "implicit BM25 item-kNN": measured(library, lines, "bm25"),
            "implicit ALS, defaults": measured(library, lines, "als"),
            "our ALS, tuned": measured(ours, lines, tuned, "als"),
            "our blend, tuned": measured(ours, lines, tuned, "blend"),
        }
    for target, name in (("all", "all purchases"), ("new", "products new to the customer")):
        baseline = results["popularity, 28 days"][0][target]
        rows = []
        for candidate, (scores, cost) in results.items():
            gain = scores[target]["ndcg", 10] - baseline["ndcg", 10]
            low, high = bounds([gain], SAMPLES, SEED)[0]
            figures = [f"{scores[target][m].mean():.4f}" for m in METRICS]
            interval = f"{low:+.4f} to {high:+.4f}" if gain.any() else "none"
            rows.append([candidate, *figures, interval, *cost.cells()])
        customers = len(baseline["ndcg", 10])
        heads = [f"{metric.replace('_', ' ')}@{k}" for metric, k in METRICS]
        title = (
            f"{name.capitalize()}: {customers:,} customers, 95 % interval of the gain in NDCG@10"
        )
        show(title, ["candidate", *heads, "gain", *COST], rows)


if __name__ == "__main__":
    main()
