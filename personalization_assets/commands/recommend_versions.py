"""`personalize recommend versions | promote | unpin | report`."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personalization_assets.commands.shared import load, say
from personalization_assets.commands.wide import wide_console
from personalization_assets.errors import UserError

if TYPE_CHECKING:
    from personalization_assets.recommendations.evaluation_page import History
    from personalization_assets.settings import Settings

FILE = click.Path(path_type=Path)
AFFECTED = 'key:"recommendations/promotions"+'
"""What has to run for a promotion to be obeyed: promotions, and all that follows from them."""

Command = Callable[..., None]


def _warehouse(command: Command) -> Command:
    return click.option(
        "--warehouse", type=FILE, help="DuckDB file to read [data/warehouse.duckdb]"
    )(command)


def _obeyed(command: Command) -> Command:
    """Options to have it obeyed at once."""
    options = [
        click.option("--run", "now", is_flag=True, help="Run what follows from it now"),
        click.option("--sources", type=FILE, help="For --run: the file that names your sources"),
        click.option("--as-of", help="For --run: the run's time, UTC [now]"),
    ]
    return functools.reduce(lambda f, option: option(f), reversed(options), command)


@click.command()
@_warehouse
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="The newest")
@click.pass_obj
def versions(file: Path | None, warehouse: Path | None, limit: int) -> None:
    """List the versions of the recommender, and which one makes the lists."""
    from personalization_assets.recommendations.promotions import promoted_version, read_promotions

    settings = load(file, warehouse)
    history, kept = _read(settings)
    promoted = promoted_version(read_promotions(_promotions_file(settings)))
    console = wide_console()
    _print_versions(history, kept, promoted, limit, console)
    current = history.models.filter("is_current")["model_version"].to_list()
    if promoted and promoted not in current:
        if promoted in kept:
            say(console, f"{_called(history, promoted)} is promoted: the next run obeys.")
        else:
            say(
                console,
                f"{promoted} is promoted, but it is not kept: `personalize recommend unpin` tidies "
                "that up.",
            )
    if not current:
        say(console, "No version is current: lists show best sellers.")


@click.command()
@click.argument("which", metavar="VERSION|NUMBER")
@click.option("--author", help="Who decides [the user of this computer]")
@click.option("--reason", help="Why, in words; kept with the promotion")
@_warehouse
@_obeyed
@click.pass_obj
def promote(
    file: Path | None,
    which: str,
    author: str | None,
    reason: str | None,
    warehouse: Path | None,
    now: bool,
    sources: Path | None,
    as_of: str | None,
) -> None:
    """Have lists made with a version until that is withdrawn, whatever the gate says meanwhile."""
    from personalization_assets.kept_by_hand import os_user
    from personalization_assets.recommendations import promotions

    settings = load(file, warehouse, sources_yaml=sources)
    history, kept = _read(settings)
    version = _version(history, which)
    if version not in kept:
        numbers = [m["number"] for m in history.models.to_dicts() if m["model_version"] in kept]
        raise UserError(
            f"{_called(history, version)} keeps no factors any more, so it can make no lists. "
            f"Promote one of {', '.join(map(str, numbers))}; the setting "
            "recommendations.keep_versions says how many are kept."
        )
    path = _promotions_file(settings)
    console = Console()
    if promotions.promoted_version(promotions.read_promotions(path)) == version:
        say(console, f"{_called(history, version)} is promoted already.")
    else:
        name = promotions.promote(path, version, author or os_user(), reason)
        say(console, f"{_called(history, version)} is promoted: {name} in {path}.")
        say(console, "It holds until it is withdrawn: [bold]personalize recommend unpin[/bold]")
    _follow(settings, now, as_of, console)


@click.command()
@_warehouse
@_obeyed
@click.pass_obj
def unpin(
    file: Path | None,
    warehouse: Path | None,
    now: bool,
    sources: Path | None,
    as_of: str | None,
) -> None:
    """Withdraw the promotion that holds: the newest version that the gate let through follows."""
    from personalization_assets.recommendations.promotions import withdraw

    settings = load(file, warehouse, sources_yaml=sources)
    version = withdraw(_promotions_file(settings))
    console = Console()
    say(console, f"Version {version} is promoted no longer.")
    _follow(settings, now, as_of, console)


@click.command()
@_warehouse
@click.option("--out", type=FILE, help="Page to write [data/exports/recommender.html]")
@click.pass_obj
def report(file: Path | None, warehouse: Path | None, out: Path | None) -> None:
    """Write a page of plots: versions, candidates, segments, trials, verdicts."""
    from personalization_assets.recommendations.evaluation_page import page

    settings = load(file, warehouse)
    history, _ = _read(settings)
    target = out or settings.exports_dir / "recommender.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page(history), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}.") from None
    say(Console(), f"To read: [bold]{target}[/bold]")


def _print_versions(
    history: "History", kept: set[str], promoted: str | None, limit: int, console: Console
) -> None:
    from personalization_assets.recommendations.evaluation_page import OUTCOMES, bounds_of

    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("#", "version", "algorithm", "as of", "metric", "reached", "bounds", "popularity",
                 "gate", ""):  # fmt: skip
        figures = name in ("#", "reached", "popularity")
        grid.add_column(name, justify="right" if figures else "left", overflow="fold")
    for model in history.models.tail(limit).to_dicts():
        version, bounds = model["model_version"], bounds_of(history, model)
        state = [
            *(["current"] if model["is_current"] else []),
            *(["promoted"] if version == promoted else []),
            *([] if version in kept else ["factors dropped"]),
        ]
        grid.add_row(
            str(model["number"]),
            version,
            model["algorithm"],
            f"{model['trained_as_of']:%Y-%m-%d}",
            model["metric"],
            _figure(model["metric_value"]),
            f"{bounds[0]:.4f} to {bounds[1]:.4f}" if bounds else "",
            _figure(model["popularity_value"]),
            Text(OUTCOMES[model["outcome"]], "green" if model["published"] else "yellow"),
            Text(", ".join(state), "bold" if model["is_current"] else "dim"),
        )
    console.print(grid)
    if history.models.height > limit:
        say(console, f"and {history.models.height - limit:,} older; --limit shows them.")


def _promotions_file(settings: "Settings") -> Path:
    from personalization_assets.recommendations.promotions import FILE as NAME

    return settings.data_dir / NAME


def _read(settings: "Settings") -> tuple["History", set[str]]:
    """What is known about versions, and which of them have what lists are made of."""
    from personalization_assets.recommendations.evaluation_page import read_history
    from personalization_assets.warehouse import reading

    with reading(settings.warehouse_file) as con:
        history = read_history(con)
        rows = con.execute(
            "SELECT DISTINCT model_version FROM recommendations.als_factors"
        ).fetchall()
    return history, {row[0] for row in rows}


def _version(history: "History", which: str) -> str:
    """The version that somebody means by its name or its number.

    Raises:
        UserError: there is none.
    """
    by_name = history.models.filter(model_version=which.lower())
    by_number = history.models.filter(number=int(which)) if which.isdecimal() else by_name
    for found in (by_name, by_number):
        if found.height:
            return str(found["model_version"][0])
    raise UserError(
        f"There is no version {which}: `personalize recommend versions` lists their numbers and "
        "names."
    )


def _called(history: "History", version: str) -> str:
    number = history.models.filter(model_version=version)["number"].to_list()
    return f"Version {number[0]} ({version})" if number else f"Version {version}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _follow(settings: "Settings", now: bool, as_of: str | None, console: Console) -> None:
    """Run what follows, or say how."""
    if not now:
        say(console, f"The next run obeys; at once: personalize run --select '{AFFECTED}'")
        return
    from personalization_assets.commands.run import run_all
    from personalization_assets.tables import parse_as_of

    ok = run_all(settings, console, parse_as_of(as_of) if as_of else None, [AFFECTED])
    sys.exit(0 if ok else 1)


COMMANDS: tuple[click.Command, ...] = (versions, promote, unpin, report)
