"""`personalize recommend evaluate`: how good the recommender is on interactions in files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from personalization_assets.commands.wide import wide_console

if TYPE_CHECKING:
    from personalization_assets.recommendations.files import Result

FILE = click.Path(path_type=Path)
METRICS = ("ndcg@20", "recall@20", "map@20", "hit_rate@20", "ndcg@10", "recall@10")
ALGORITHMS = ("als", "ease", "knn", "blend")


@click.command()
@click.option("--train", required=True, type=FILE, help="Interactions to learn from")
@click.option("--test", required=True, type=FILE, help="Interactions to judge by")
@click.option("--valid", type=FILE, help="Interactions to tune on [a part cut off --train]")
@click.option("--metric", default="ndcg@20", show_default=True, type=click.Choice(METRICS))
@click.option(
    "--algorithm", "algorithms", multiple=True, type=click.Choice(ALGORITHMS), help="[all]"
)
@click.option(
    "--tune-on",
    default=2_000_000,
    show_default=True,
    type=click.IntRange(1),
    help="Tune on as many users as have so many items together",
)
@click.option("--seed", default=20, show_default=True, type=click.IntRange(0))
@click.option("--threads", default=0, type=click.IntRange(0), help="[one per processor]")
@click.option("--out", type=FILE, help="CSV to write the table of figures to")
def evaluate(
    train: Path,
    test: Path,
    valid: Path | None,
    metric: str,
    algorithms: tuple[str, ...],
    tune_on: int,
    seed: int,
    threads: int,
    out: Path | None,
) -> None:
    """Tune, train and judge every model on interactions in files: no shop, no warehouse.

    Files are CSV, TSV or Parquet with columns `user` and `item` and, if there are, `weight` and
    `timestamp`; or text with a user and all their items a line. Items that a user has in --train
    (or --valid) are not listed to them; if --test repeats such pairs, a second table judges by all
    pairs, with everything listed.
    """
    from personalization_assets.recommendations import files, models

    console = Console(stderr=True)
    learnt, asked = files.read_events(train), files.read_events(test)
    if valid:
        early, late, how = learnt, files.read_events(valid), f"{valid.name}"
    else:
        early, late, how = files.cut(learnt, asked, seed)
    known = files.together(learnt, late) if valid else learnt
    for path, events in ((train, learnt), (test, asked), (valid, late)):
        if path and events.left_out:
            console.print(f"{path}: {events.left_out:,} rows without a user or an item left out")
    users, items = (known.rows[c].n_unique() for c in ("customer_id", "product_id"))
    console.print(
        f"{known.rows.height:,} interactions of {users:,} users with {items:,} items to learn "
        f"from; {asked.rows.height:,} to judge by. Tuned on {how}."
    )
    name, k = metric.split("@")
    written: list[dict[str, float | str]] = []
    for target in ("new", *(["all"] if files.repeats(known, asked) else [])):
        recipes: dict[str, models.Recipe] = {}
        with console.status("...") as status:
            found: dict[str, models.Recipe] = {}
            for algorithm in models.usable(algorithms or ALGORITHMS, items):
                start = models.starting(algorithm, found)
                best = files.search(
                    early,
                    late,
                    start,
                    (name, int(k)),
                    target,
                    tune_on,
                    seed,
                    threads,
                    status.update,
                )
                recipes |= {f"{algorithm}, untuned": start} if start.algorithm != "blend" else {}
                found[algorithm] = recipes[algorithm] = best
            results = []
            for result in files.contest(known, asked, recipes, target, seed, threads):
                status.update(f"judged {result.candidate}")
                results.append(result)
        _print(results, target, int(k))
        written += [{"target": target, **row} for row in files.rows_of(results, int(k))]
    if out:
        import polars as pl

        pl.DataFrame(written).write_csv(out)
        console.print(f"Figures: {out}")


def _print(results: "list[Result]", target: str, k: int) -> None:
    from personalization_assets.recommendations.files import rows_of

    console = wide_console()
    users = len(results[0].scores["ndcg", k])
    what = "items new to the user" if target == "new" else "all items"
    table = Table(
        title=f"{what}, {users:,} users", box=None, padding=(0, 2, 0, 0), header_style="bold"
    )
    rows = rows_of(results, k)
    for column in rows[0]:
        table.add_column(
            column.replace("_", " "), justify="left" if column == "candidate" else "right"
        )
    for row in rows:
        cells = [
            f"{value:,.1f}" if column == "seconds" else f"{value:,.0f}" if column == "peak_mb" else
            value if isinstance(value, str) else f"{value:.4f}"
            for column, value in row.items()
        ]  # fmt: skip
        table.add_row(*cells)
    console.print(table)
    for result in results:
        if result.recipe and ", untuned" not in result.candidate:
            console.print(f"{result.candidate}: {result.recipe.to_json()}", highlight=False)
