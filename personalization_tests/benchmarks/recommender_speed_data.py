"""What `recommender_speed` measures on: a made-up shop, and Gowalla where it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SEED = 20
SEEN = 20
"""Products that each customer of the made-up shop has had"""


def made_up(customers: int, products: int, factors: int, spread: float) -> tuple[Any, Any, Any]:
    """Factors of products and customers, and what customers have seen, popular products more.

    Directions are random, customers' norms nearly equal, products' log-normal with that spread.
    """
    from scipy import sparse

    chance = np.random.default_rng(SEED)
    right = chance.standard_normal((products, factors), dtype=np.float32)
    right *= chance.lognormal(0, spread, (products, 1)).astype(np.float32)
    left = chance.standard_normal((customers, factors), dtype=np.float32)
    seen = (chance.random((customers, SEEN), dtype=np.float32) ** 3 * (products - SEEN)).astype(
        np.int32
    )
    seen.sort(axis=1)
    seen += np.arange(SEEN, dtype=np.int32)  # so no product comes twice
    start = np.arange(0, customers * SEEN + 1, SEEN, dtype=np.int32)
    ones = np.ones(customers * SEEN, dtype=np.float32)
    return right, left, sparse.csr_matrix((ones, seen.ravel(), start), (customers, products))


def trained(folder: Path) -> tuple[Any, Any, Any]:
    """The same of a model that was trained on real data and kept in a folder."""
    from scipy import sparse

    factors = np.load(folder / "factors.npz")
    return factors["products"], factors["customers"], sparse.load_npz(folder / "seen.npz")


def gowalla(real: Path) -> Any:
    """Check-ins as a matrix of the room, from LightGCN's lines `user item item ...`."""
    from personalization_assets.recommendations.matrix import to_matrix

    lines = [line.split() for line in (real / "train.txt").read_text().splitlines()]
    pairs = pl.DataFrame(
        {"customer_id": [u[0] for u in lines], "product_id": [u[1:] for u in lines]}
    )
    return to_matrix(pairs.explode("product_id").drop_nulls().with_columns(weight=pl.lit(1.0)))


def many(customers: int, products: int, pairs: int) -> Any:
    """A made-up matrix: customers have tastes, products are as popular as sales are."""
    from personalization_assets.recommendations.matrix import to_matrix

    chance = np.random.default_rng(SEED)
    who = chance.integers(0, customers, pairs)
    taste = who % 50
    what = (chance.random(pairs) ** 3 * products).astype(np.int64) // 50 * 50 + taste
    frame = pl.DataFrame({"customer_id": who, "product_id": what % products}).unique()
    keys = [pl.col(name).cast(pl.String) for name in frame.columns]
    frame = frame.sort("customer_id", "product_id").select(keys)
    return to_matrix(frame.with_columns(weight=pl.Series(chance.uniform(1, 10, frame.height))))


def activity(folder: Path, events: int) -> Callable[[], int]:
    """Work that makes up days of activity in a DuckDB file, skewed as sales are."""
    import duckdb

    def work() -> int:
        con = duckdb.connect(str(folder / "events.duckdb"), config={"threads": 2})
        con.execute("CREATE SCHEMA recommendations; SELECT setseed(0.5)")
        con.execute(f"""
            CREATE TABLE recommendations.activity AS
            SELECT 'c' || lpad((power(random(), 2) * 1e6)::INT::VARCHAR, 8, '0') AS customer_id,
                'p' || lpad((power(random(), 3) * 1e5)::INT::VARCHAR, 6, '0') AS product_id,
                ['view', 'view', 'view', 'cart', 'purchase', 'click'][1 + i % 6] AS kind,
                DATE '2025-12-31' - (random() * 300)::INT AS day,
                1 + (random() * 3)::BIGINT AS events, TIMESTAMP '2025-12-31' AS last_at
            FROM range({events}) AS r (i)
        """)
        con.close()
        return events

    return work
