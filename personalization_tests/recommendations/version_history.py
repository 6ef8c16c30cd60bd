"""A made-up history of versions, as the tables of the warehouse would tell it."""

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from personalization_assets import warehouse as wh
from personalization_assets.contracts import Contract, contract_of
from personalization_assets.recommendations import contracts
from personalization_assets.recommendations.evaluation_page import History
from personalization_assets.recommendations.promotion_contracts import Promotions

OUTCOMES = ("first", "switched", "refitted", "kept")
CANDIDATES = {"als": 0.11, "ease": 0.12, "knn": 0.1, "running": 0.115, "popular": 0.08,
              "recent": 0.07, "category": 0.09, "history": 0.05}  # fmt: skip


def version(number: int) -> str:
    return f"{number:012x}"


def evaluated(number: int) -> list[dict[str, Any]]:
    return [
        {
            "model_version": version(number), "target": target, "segment": segment,
            "candidate": candidate, "metric": metric, "k": k, "value": value + number / 1000,
            "customers": 100, "low": value - 0.01, "high": value + 0.02,
        }
        for target in ("new", "all")
        for segment in ("all", "new", "light", "heavy")
        for candidate, value in CANDIDATES.items()
        for metric in ("ndcg", "recall", "map", "hit_rate", "novelty", "calibration", "coverage",
                       "gini")
        for k in (10, 20)
    ]  # fmt: skip


def history(versions: int = 4, promoted: int | None = None, reason: str | None = None) -> History:
    models = [
        {
            "model_version": version(n), "number": n,
            "trained_as_of": dt.datetime(2026, 1, 1) + dt.timedelta(days=n),
            "settings_hash": "0" * 12,
            "algorithm": "ease", "recipe": "{}", "half_life_days": 60.0, "customers": 1234,
            "products": 567, "interactions": 8901, "window_start": dt.date(2025, 1, 1),
            "window_end": dt.date(2026, 1, 1), "metric": "ndcg@10 new", "metric_value": 0.1234,
            "popularity_value": 0.0801, "outcome": OUTCOMES[(n - 1) % 4],
            "published": n % 4 != 0, "is_current": n == (promoted or versions),
            "verdict": f"verdict no. {n} < & >",
        }
        for n in range(1, versions + 1)
    ]  # fmt: skip
    tried = [
        {"model_version": version(versions), "trial": i, "algorithm": a, "recipe": "{}",
         "value": 0.1 + (i * 7 % 5) / 100, "is_chosen": i % 6 == 5}
        for i, a in enumerate(["als"] * 6 + ["ease"] * 6, 1)
    ]  # fmt: skip
    standing = [
        {"promotion_id": "p1", "model_version": version(promoted or 1), "author": "Ann <b>",
         "promoted_at": dt.datetime(2026, 2, 3), "reason": reason, "withdrawn_at": None,
         "holds": True}
    ]  # fmt: skip
    return History(
        pl.DataFrame(models, schema=contract_of(contracts.AlsModel).schema),
        pl.DataFrame(
            [row for n in range(1, versions + 1) for row in evaluated(n)],
            schema=contract_of(contracts.Evaluation).schema,
        ),
        pl.DataFrame(tried, schema=contract_of(contracts.Trials).schema),
        pl.DataFrame(standing if promoted else [], schema=contract_of(Promotions).schema),
    )


def write(database: Path, made: History, kept: tuple[int, ...]) -> None:
    """The history as a warehouse, with factors (a single product's) of the versions kept."""
    factors = contract_of(contracts.AlsFactors)
    rows = pl.DataFrame(
        {
            "model_version": [version(n) for n in kept],
            "side": "product",
            "key": "p1",
            "factors": [[0.5]] * len(kept),
        }
    )
    missing = [pl.lit(None).alias(c.name) for c in factors.columns if c.name not in rows.columns]
    tables: list[tuple[Contract, pl.DataFrame]] = [
        (contract_of(contracts.AlsModel), made.models),
        (contract_of(contracts.Evaluation), made.evaluation),
        (contract_of(contracts.Trials), made.trials),
        (contract_of(Promotions), made.promotions),
        (factors, factors.conform(rows.with_columns(missing))),
    ]
    with duckdb.connect(str(database)) as con:
        for contract, frame in tables:
            wh.stage(con, contract.name, frame, contract.columns)
            wh.swap(con, contract.name)
