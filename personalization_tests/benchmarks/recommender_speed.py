"""What recommendations cost at size: the best products of everybody, the matrix, training; and
whether lists hold still. Every figure beside `implicit` or plain libraries in the same run.

Real data: Gowalla in LightGCN's split, `recsys/gowalla` in the folder of shared data.
"""

import argparse
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    times,
)
from personalization_tests.benchmarks.recommender_speed_data import (
    SEED,
    activity,
    gowalla,
    made_up,
    many,
    trained,
)

LIST = 10
DAY = dt.datetime(2026, 1, 1)


# The best products of everybody


Factors = Callable[..., tuple[Any, Any, Any]]


def our_lists(make: Factors, sample: int, *args: Any) -> Callable[[], Any]:
    """Work that lists the best products of all; gives the ids of the first customers."""
    from personalization_assets.recommendations import topk

    products, customers, seen = make(*args)
    topk.best(products[:3000], customers[:500], LIST)  # loads what is compiled

    def work() -> Any:
        ids, _ = topk.best(products, customers, LIST, seen)
        return ids[:sample].copy()

    return work


def implicit_lists(make: Factors, sample: int, threads: int, *args: Any) -> Callable[[], Any]:
    """The same by `implicit` for the first customers, with so many threads of BLAS."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    products, customers, seen = make(*args)
    model = AlternatingLeastSquares(factors=products.shape[1])
    model.item_factors, model.user_factors = products, customers
    first, known = np.arange(min(sample, len(customers))), seen[:sample]

    def work() -> Any:
        with threadpool_limits(threads, "blas"):
            return model.recommend(first, known, N=LIST, filter_already_liked_items=True)[0]

    return work


def compare_lists(name: str, make: Factors, customers: int, sample: int, *args: Any) -> list[str]:
    """A row: ours for all, implicit's better way for the sample, scaled up to all."""
    mine, cost = measured(our_lists, make, sample, *args)
    ways = {n: measured(implicit_lists, make, sample, n, *args) for n in (1, 2)}
    theirs, other = min(ways.values(), key=lambda way: way[1].seconds)
    scale = customers / len(theirs)
    least_cpu = min(way[1].cpu for way in ways.values()) * scale
    same = (mine[: len(theirs)] == theirs).all(axis=1).mean()
    return [
        name,
        f"{customers:,}",
        f"{len(theirs):,}",
        f"{other.seconds * scale:.1f}",
        f"{least_cpu:.1f}",
        *cost.cells(),
        times(other.seconds * scale, cost.seconds),
        times(least_cpu, cost.cpu),
        f"{same:.2%}",
    ]


def lists(args: argparse.Namespace, real: Path | None, folder: Path) -> None:
    rows = []
    for factors in args.factors:
        sample = args.customers if args.full else min(args.sample, args.customers)
        for spread in args.spread:
            size = (args.customers, args.products, factors, spread)
            name = f"made up, {args.products:,} products, {factors} factors, spread {spread}"
            rows.append(compare_lists(name, made_up, args.customers, sample, *size))
        if real:
            kept = folder / str(factors)
            customers, products = measured(keep_trained, real, kept, factors)[0]
            name = f"Gowalla, {products:,} products, {factors} factors"
            rows.append(compare_lists(name, trained, customers, customers, kept))
    heads = ["customers", "asked of implicit", "its seconds", "its CPU s"]
    heads += [*COST, "faster", "by CPU s", "same lists"]
    show(f"Best {LIST} products of everybody, seen ones left out", ["factors", *heads], rows)


def keep_trained(real: Path, folder: Path, factors: int) -> Callable[[], tuple[int, int]]:
    """Work that trains the room's ALS on real data and keeps it."""
    from scipy import sparse

    def work() -> tuple[int, int]:
        matrix = gowalla(real)
        model = fitted(matrix, factors)
        folder.mkdir()
        np.savez(
            folder / "factors.npz",
            products=model.product_factors,
            customers=model.customer_factors,
        )
        sparse.save_npz(folder / "seen.npz", matrix.weights)
        return tuple(matrix.weights.shape)

    return work


# Training


def recipe(factors: int) -> Any:
    from personalization_assets.recommendations.models import als
    from personalization_assets.recommendations.models.recipe import Recipe

    values = {**als.DEFAULTS, "factors": factors, "alpha": 33.0, "iterations": 5}
    return Recipe.of("als", 60.0, 0.0, values)


def fitted(matrix: Any, factors: int) -> Any:
    from personalization_assets.recommendations.models import als

    return als.fit(matrix, recipe(factors), SEED, 2)


def our_training(make: Callable[..., Any], factors: int, *args: Any) -> Callable[[], None]:
    """Work that trains as the room does, weighing and starting factors included."""
    matrix = make(*args)
    implicit_model(matrix, factors, SEED)  # loads libraries before time is taken

    def work() -> None:
        fitted(matrix, factors)

    return work


def implicit_training(make: Callable[..., Any], factors: int, *args: Any) -> Callable[[], None]:
    """Work that `implicit` does on confidences that are ready, with the same settings."""
    weighed, solver = implicit_model(make(*args), factors, SEED)

    def work() -> None:
        from personalization_assets.recommendations.models.als import one_blas_thread

        with one_blas_thread():
            solver.fit(weighed, show_progress=False)

    return work


def implicit_model(matrix: Any, factors: int, seed: int) -> tuple[Any, Any]:
    """Confidences as the room has them, and `implicit` with the room's settings and its start."""
    from implicit.cpu.als import AlternatingLeastSquares

    from personalization_assets.recommendations.models import als

    values = recipe(factors)
    scale = als.scale_of(matrix.weights, values["damping"])
    solver = AlternatingLeastSquares(
        factors=factors,
        regularization=values["regularization"] * values["alpha"],
        alpha=1.0,
        iterations=int(values["iterations"]),
        num_threads=2,
        random_state=seed,
    )
    return als.confidence(matrix.weights, values["alpha"], values["damping"], scale), solver


def training(args: argparse.Namespace, real: Path | None) -> None:
    made = (many, args.training_customers, args.products // 5, args.training_pairs)
    rows = []
    for factors in args.factors:
        for name, data in [("made up", made)] + ([("Gowalla", (gowalla, real))] if real else []):
            make, *size = data
            ours, theirs = (
                min((measured(way, make, factors, *size)[1] for _ in range(2)), key=lambda c: c.cpu)
                for way in (our_training, implicit_training)
            )
            rows.append([f"{name}, {factors} factors, implicit", *theirs.cells(), "1.00 x"])
            ratio = times(theirs.cpu, ours.cpu)
            rows.append([f"{name}, {factors} factors, the room", *ours.cells(), ratio])
    title = "Training, 5 rounds, the better of two; above 1 is faster than implicit"
    show(title, ["what", *COST, "by CPU s"], rows)


# Events to a matrix


def _events(folder: Path) -> tuple[Any, str]:
    import duckdb

    from personalization_assets.settings import Settings

    con = duckdb.connect(
        str(folder / "events.duckdb"), read_only=True, config={"threads": 2, "memory_limit": "3GB"}
    )
    for name, value in Settings().sql_variables(DAY).items():
        con.execute(f"SET VARIABLE {name} = ?", [value])
    sql = REPOSITORY / "dbt_like_sql" / "recommendations" / "interactions.sql"
    return con, sql.read_text(encoding="utf-8")


def our_matrix(folder: Path) -> Callable[[], tuple[int, float]]:
    """Work from the table of activity to the weighted matrix, as training does it."""
    from personalization_assets.recommendations import matrix, past

    con, statement = _events(folder)

    def work() -> tuple[int, float]:
        made = matrix.to_matrix(past.interactions(con, statement, 60.0)).weights
        return made.nnz, float(made.data.sum(dtype=np.float64))

    return work


def plain_matrix(folder: Path) -> Callable[[], tuple[int, float]]:
    """The same weights without the room: polars groups, scipy sorts."""
    from scipy import sparse

    con, _ = _events(folder)
    weights = {"view": 1.0, "click": 2.0, "cart": 4.0, "purchase": 10.0}

    def work() -> tuple[int, float]:
        frame = con.sql("SELECT * EXCLUDE (last_at) FROM recommendations.activity").pl()
        age = (frame["day"].max() - pl.col("day")).dt.total_days()
        pairs = (
            frame.lazy()
            .with_columns(
                weight=pl.col("kind").replace_strict(weights, return_dtype=pl.Float64)
                * pl.col("events").clip(upper_bound=5)
                * pl.lit(0.5).pow(age / 60.0)
            )
            .group_by("customer_id", "product_id")
            .agg(pl.col("weight").sum())
            .collect()
        )
        rows, columns = (
            pairs[key].cast(pl.Enum(pairs[key].unique().sort())).to_physical().to_numpy()
            for key in ("customer_id", "product_id")
        )
        values = pairs["weight"].cast(pl.Float32).to_numpy()
        made = sparse.coo_matrix((values, (rows, columns))).tocsr()
        return made.nnz, float(made.data.sum(dtype=np.float64))

    return work


def matrices(args: argparse.Namespace, folder: Path) -> None:
    measured(activity, folder, args.events)
    found: dict[str, tuple[tuple[int, float], Cost]] = {
        "polars and scipy": measured(plain_matrix, folder),
        "the room": measured(our_matrix, folder),
    }
    baseline = found["polars and scipy"][1]
    rows = [
        [name, f"{pairs:,}", f"{total:.6g}", *cost.cells(), times(baseline.cpu, cost.cpu)]
        for name, ((pairs, total), cost) in found.items()
    ]
    title = f"{args.events:,} rows of activity to a weighted matrix (aim: 20 CPU s)"
    show(title, ["what", "pairs", "sum of weights", *COST, "by CPU s"], rows)


# Lists hold still


def stillness(make: Callable[..., Any], factors: int, *args: Any) -> Callable[[], dict[str, float]]:
    """Work that trains four times and gives the share of top entries that changed."""
    from personalization_assets.recommendations import topk
    from personalization_assets.recommendations.matrix import Matrix, row_pairs, to_matrix
    from personalization_assets.recommendations.models.als import one_blas_thread

    def frame(matrix: Matrix) -> pl.DataFrame:
        rows, columns, values = row_pairs(matrix.weights)
        who, what = matrix.customers.gather(rows), matrix.products.gather(columns)
        return pl.DataFrame({"customer_id": who, "product_id": what, "weight": values})

    def entries(matrix: Matrix, products: Any, customers: Any) -> pl.DataFrame:
        ids, _ = topk.best(products, customers, LIST, matrix.weights)
        rows = np.repeat(np.arange(len(ids), dtype=np.int32), LIST)
        who, what = matrix.customers.gather(rows), matrix.products.gather(ids.ravel())
        return pl.DataFrame({"customer_id": who, "product_id": what})

    def ours(matrix: Matrix) -> pl.DataFrame:
        model = fitted(matrix, factors)
        return entries(matrix, model.product_factors, model.customer_factors)

    def theirs(matrix: Matrix, seed: int = SEED) -> pl.DataFrame:
        weighed, solver = implicit_model(matrix, factors, seed)
        with one_blas_thread():
            solver.fit(weighed, show_progress=False)
        return entries(matrix, solver.item_factors, solver.user_factors)

    def changed(before: pl.DataFrame, after: pl.DataFrame) -> float:
        return 1 - before.join(after, on=before.columns, how="semi").height / before.height

    def work() -> dict[str, float]:
        matrix = make(*args)
        pairs = frame(matrix)
        some = matrix.customers.sample(10, seed=SEED).implode()
        new = pairs.filter(pl.col("customer_id").is_in(some)).with_columns(
            customer_id="0new" + pl.col("customer_id")
        )
        more = to_matrix(pl.concat([new, pairs]))
        shuffled = to_matrix(pairs.sample(fraction=1, shuffle=True, seed=SEED))
        mine, other = ours(matrix), theirs(matrix)
        return {
            "the room, another order of rows": changed(mine, ours(shuffled)),
            "the room, ten customers more": changed(mine, ours(more)),
            "implicit, ten customers more": changed(other, theirs(more)),
            "implicit, another seed": changed(other, theirs(matrix, SEED + 1)),
        }

    return work


def still(args: argparse.Namespace, real: Path | None) -> None:
    rows = []
    made = (many, args.training_customers // 5, args.products // 50, args.training_pairs // 5)
    for name, data in [("made up", made)] + ([("Gowalla", (gowalla, real))] if real else []):
        make, *size = data
        found, _ = measured(stillness, make, args.factors[0], *size)
        rows += [[f"{name}: {what}", f"{share:.2%}"] for what, share in found.items()]
    title = f"Entries of the best {LIST} that changed (aim: 1 %), {args.factors[0]} factors"
    show(title, ["what", "changed"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="lists, matrix, training, still (default: all)")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--factors", type=int, nargs="+", default=[64])
    parser.add_argument(
        "--spread", type=float, nargs="+", default=[0.5, 1.0], help="of log norms, made-up products"
    )
    parser.add_argument("--sample", type=int, default=20_000, help="customers implicit is asked")
    parser.add_argument("--full", action="store_true", help="ask implicit for all customers")
    parser.add_argument("--events", type=int, default=30_000_000)
    parser.add_argument("--training-customers", type=int, default=200_000)
    parser.add_argument("--training-pairs", type=int, default=4_000_000)
    args = parser.parse_args()
    parts = args.parts or ["lists", "matrix", "training", "still"]
    if unknown := set(parts) - {"lists", "matrix", "training", "still"}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    shared = shared_data()
    real = shared / "recsys" / "gowalla" if shared else None
    if not real or not (real / "train.txt").is_file():
        print(f"Gowalla's part is {NO_SHARED_DATA}")
        real = None
    with scratch() as folder:
        if "lists" in parts:
            lists(args, real, folder)
        if "matrix" in parts:
            matrices(args, folder)
    if "training" in parts:
        training(args, real)
    if "still" in parts:
        still(args, real)


if __name__ == "__main__":
    main()
