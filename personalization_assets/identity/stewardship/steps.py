"""What the model says about pairs of nodes, comparison by comparison, in bits."""

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from personalization_assets.identity.model import Model
from personalization_assets.identity.scoring import predict, score


@dataclass(frozen=True)
class Step:
    """What one comparison says about a pair.

    `bits` is log2 of how much likelier the level is for one person than for strangers; `rarity` is
    the part of it that comes from how common the shared value is. No bits where it says nothing.
    """

    comparison: str
    level: str
    left: str
    right: str
    bits: float
    rarity: float


@dataclass(frozen=True)
class Weighed:
    """The figures of one pair of nodes; see `Evidence`."""

    prior: float
    steps: tuple[Step, ...]
    weight: float
    household: float
    p: float
    p_household: float


def turned(flat: Weighed) -> Weighed:
    """The same seen from the other node."""
    steps = tuple(
        Step(s.comparison, s.level, s.right, s.left, s.bits, s.rarity) for s in flat.steps
    )
    return Weighed(flat.prior, steps, flat.weight, flat.household, flat.p, flat.p_household)


def weigh_nodes(
    work: duckdb.DuckDBPyConnection, model: Model, pairs: set[tuple[int, int]]
) -> dict[tuple[int, int], Weighed]:
    """What the model says about pairs of nodes; nothing about those it cannot compare."""
    ordered = sorted(pairs)
    work.register(
        "incoming",
        pa.table(
            {
                "l": pa.array([p[0] for p in ordered], pa.int64()),
                "r": pa.array([p[1] for p in ordered], pa.int64()),
            }
        ),
    )
    work.execute(
        """
        CREATE OR REPLACE TABLE asked AS SELECT * FROM incoming
        SEMI JOIN nodes AS a ON a.unique_id = l SEMI JOIN nodes AS b ON b.unique_id = r
        """
    )
    work.unregister("incoming")
    asked = work.sql("SELECT count(*) FROM asked").fetchall()[0][0]
    if not asked or not model.comparisons.comparisons:
        return {}
    score(work, model, "asked", "answered")
    totals = {
        (left, right): tuple(map(float, rest))
        for left, right, *rest in work.sql(
            "SELECT l, r, weight, home, p, p_home FROM answered"
        ).fetchall()
    }
    prior, steps = _steps(work, model)
    return {pair: Weighed(prior, steps[pair], *totals[pair]) for pair in totals}


def _steps(
    work: duckdb.DuckDBPyConnection, model: Model
) -> tuple[float, dict[tuple[int, int], tuple[Step, ...]]]:
    """The prior in bits, and per pair of `asked` what each comparison adds to it."""
    comparisons = model.splink_settings()["comparisons"]
    predict(work, model, "asked", "SELECT * FROM predicted", "explained")
    cursor = work.execute("SELECT * FROM explained")
    names = [d[0] for d in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    places = {c["output_column_name"]: _level_numbers(work, "explained", c) for c in comparisons}
    result = {}
    for row in rows:
        pair = (int(row["unique_id_l"]), int(row["unique_id_r"]))
        steps = tuple(
            _step(row, comparison, places[comparison["output_column_name"]][pair])
            for comparison in comparisons
        )
        result[pair] = steps
    return math.log2(model.share / (1 - model.share)), result


def _level_numbers(
    work: duckdb.DuckDBPyConnection, table: str, comparison: dict[str, Any]
) -> dict[tuple[int, int], int]:
    """The place of the level that each pair falls into: the first whose condition holds.

    Splink's `gamma` does not tell levels apart that say nothing.
    """
    cases = " ".join(
        f"WHEN {'true' if level['sql_condition'] == 'ELSE' else level['sql_condition']} THEN {i}"
        for i, level in enumerate(comparison["comparison_levels"])
    )
    rows = work.execute(
        f"SELECT unique_id_l, unique_id_r, CASE {cases} END FROM {table}"
    ).fetchall()
    return {(int(left), int(right)): int(place) for left, right, place in rows}


def _step(row: dict[str, Any], comparison: dict[str, Any], place: int) -> Step:
    name = str(comparison["output_column_name"])
    rarity = float(row.get(f"mw_tf_adj_{name}") or 0.0)
    columns = list(
        dict.fromkeys(
            re.findall(r"\b(\w+)_[lr]\b", comparison["comparison_levels"][0]["sql_condition"])
        )
    )
    if "street" in columns and "house_no_l" in row:
        columns.insert(columns.index("street") + 1, "house_no")
    return Step(
        comparison=name,
        level=str(comparison["comparison_levels"][place]["label_for_charts"]),
        left=_value(row, columns, "l"),
        right=_value(row, columns, "r"),
        bits=float(row[f"mw_{name}"]) + rarity,
        rarity=rarity,
    )


def _value(row: dict[str, Any], columns: Sequence[str], side: str) -> str:
    values = [row.get(f"{column}_{side}") for column in columns]
    return " ".join(
        v.isoformat() if isinstance(v, dt.date) else str(v) for v in values if v is not None
    )
