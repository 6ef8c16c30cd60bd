"""`personalize quarantine list | show | release | discard | replay | decisions | withdraw`."""

import functools
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personalization_assets.commands.shared import load, moment, say
from personalization_assets.commands.wide import wide_console
from personalization_assets.errors import UserError

if TYPE_CHECKING:
    from personalization_assets.standardized.choosing import Choice
    from personalization_assets.standardized.deciding import Desk
    from personalization_assets.standardized.replay import Command, Outcome

FILE = click.Path(path_type=Path)
STATUSES = click.Choice(["waiting", "released", "replayed", "discarded"])
Function = Callable[..., Any]


def _options(*options: Function) -> Function:
    return lambda command: functools.reduce(lambda f, option: option(f), reversed(options), command)


_warehouse = click.option(
    "--warehouse", type=FILE, help="DuckDB file to read [data/warehouse.duckdb]"
)
_choice = _options(
    click.option("--table", multiple=True, help="Only rows meant for this table"),
    click.option("--source", multiple=True, help="Only rows of this source"),
    click.option("--reason", multiple=True, help="Only rows that broke this rule"),
    click.option("--batch", multiple=True, help="Only rows of this version of a file"),
    click.option("--row", multiple=True, help="Only this row, by its row_key"),
)
_judging = _options(
    click.option("--sources", type=FILE, help="The file that names your sources"),
    click.option("--as-of", help="The time that rows are judged by, UTC [now]"),
    click.option("--author", help="Who decides [the user of this computer]"),
    _warehouse,
)


@click.group()
def quarantine() -> None:
    """Look at rejected rows, decide about them, and judge them again."""


@quarantine.command("list")
@_choice
@click.option("--status", multiple=True, type=STATUSES, help="Only rows of this status")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Lines")
@_warehouse
@click.pass_obj
def list_(
    file: Path | None, /, status: tuple[str, ...], limit: int, warehouse: Path | None, **asked: Any
) -> None:
    """Count the rows by table, source, reason and batch."""
    from personalization_assets.standardized.choosing import counts, require
    from personalization_assets.warehouse import reading

    choice = _chosen(asked, status)
    with reading(load(file, warehouse).warehouse_file) as con:
        require(con, choice)
        found = counts(con, choice)
    console = wide_console()
    if found.is_empty():
        say(console, "No such row is in quarantine.")
        return
    grid = _grid("table", "source", "reason", "status", "rows", "since", "batch", "file")
    for row in found.head(limit).to_dicts():
        grid.add_row(
            row["table_name"],
            row["source"],
            Text(row["reason"]),
            row["status"],
            f"{row['rows']:,}",
            f"{row['since']:%Y-%m-%d}",
            row["batch_id"],
            Text(row["file"] or ""),
        )
    console.print(grid)
    if found.height > limit:
        say(console, f"and {found.height - limit:,} more lines; --limit shows them.")


@quarantine.command()
@_choice
@click.option("--status", multiple=True, type=STATUSES, help="Rows of this status [waiting]")
@click.option("--limit", type=click.IntRange(1), help="Rows [20; with --out all]")
@click.option("--out", type=FILE, help="Write them to a .csv, .ndjson or .parquet file instead")
@_warehouse
@click.pass_obj
def show(
    file: Path | None,
    /,
    status: tuple[str, ...],
    limit: int | None,
    out: Path | None,
    warehouse: Path | None,
    **asked: Any,
) -> None:
    """Show rows as they were received, and in words why they were rejected."""
    from personalization_assets.standardized.choosing import chosen, export, how_many, require
    from personalization_assets.standardized.in_force import contracts_in_force
    from personalization_assets.warehouse import reading

    settings = load(file, warehouse)
    contracts = contracts_in_force(settings.standardized)
    choice = _chosen(asked, status or ("waiting",))
    with reading(settings.warehouse_file) as con:
        require(con, choice)
        rows = chosen(con, choice, limit or (None if out else 20))
        total = how_many(con, choice)
    console = wide_console()
    if out:
        changed = export(rows, contracts, out)
        say(console, f"Written: {rows.height:,} of {total:,} rows to {out}.")
        if changed:
            say(console, "Cells that a spreadsheet would run as a formula begin with a '.")
        return
    for row in rows.to_dicts():
        _print_row(row, contracts, console)
    say(console, f"{rows.height:,} of {total:,} rows.")


@quarantine.command()
@_choice
@click.option("--why", help="Why, in words; kept with the decision")
@_judging
@click.pass_obj
def release(file: Path | None, /, why: str | None, **asked: Any) -> None:
    """Let rows into their table as they are: somebody says that they are right."""
    _decide(file, "release", why, asked)


@quarantine.command()
@_choice
@click.option("--why", required=True, help="Why nobody needs them; kept with the decision")
@_judging
@click.pass_obj
def discard(file: Path | None, /, why: str, **asked: Any) -> None:
    """Take rows out for good: nobody needs them."""
    _decide(file, "discard", why, asked)


@quarantine.command()
@_choice
@_judging
@click.pass_obj
def replay(file: Path | None, /, **asked: Any) -> None:
    """Judge waiting rows again by the contracts, settings and mapping of now."""
    from personalization_assets.standardized.replay import replay as judge_again

    with _desk(file, asked, "replay") as (desk, command):
        rows = _waiting(desk, asked)
        if rows.is_empty():
            say(Console(), "No such row waits.")
            return
        outcomes = judge_again(desk.run, desk.config, desk.contracts, rows, command)
    _print_outcomes(outcomes)


@quarantine.command()
@click.option("--all", "every", is_flag=True, help="Also those that were withdrawn")
@click.pass_obj
def decisions(file: Path | None, /, every: bool) -> None:
    """List the decisions that bind every run."""
    from personalization_assets.standardized.decisions import FILE as NAME
    from personalization_assets.standardized.decisions import read_decisions

    frame = read_decisions(load(file, None).data_dir / NAME)
    if not every:
        frame = frame.filter("binds")
    console = wide_console()
    if frame.is_empty():
        say(console, "Nobody has decided anything about rows in quarantine.")
        return
    grid = _grid("decision", "table", "source", "rules", "author", "at", "reason", "")
    for row in frame.to_dicts():
        grid.add_row(
            row["decision_id"],
            row["table_name"],
            row["source"],
            Text(" ".join(row["rules"])),
            Text(row["author"] or ""),
            f"{row['decided_at']:%Y-%m-%d %H:%M}" if row["decided_at"] else "",
            Text(row["reason"] or ""),
            "" if row["binds"] else "binds no longer",
        )
    console.print(grid)


@quarantine.command()
@click.argument("decision_id")
@_judging
@click.pass_obj
def withdraw(file: Path | None, /, decision_id: str, **asked: Any) -> None:
    """Withdraw a decision, or all of one command by the part of their ids before the dot."""
    from personalization_assets.standardized.choosing import Choice, require
    from personalization_assets.standardized.deciding import withdraw as take_back

    with _desk(file, asked, "withdraw") as (desk, command):
        require(desk.run.con, Choice())
        count, outcomes = take_back(desk, decision_id, command)
    say(Console(), f"Withdrawn: {_decisions(count)}.")
    _print_outcomes(outcomes)


def _decide(file: Path | None, kind: str, why: str | None, asked: dict[str, Any]) -> None:
    from personalization_assets.standardized.deciding import decide

    if _chosen(asked, ()).is_all:
        raise UserError(
            f"`personalize quarantine {kind}` is about rows that you name: give --table, --source,"
            " --reason, --batch or --row."
        )
    with _desk(file, asked, kind) as (desk, command):
        rows = _waiting(desk, asked)
        if rows.is_empty():
            raise UserError("No such row waits: `personalize quarantine list` shows those that do.")
        ids, outcomes = decide(desk, kind, rows, command, why)  # type: ignore[arg-type]
    console = Console()
    stem = ids[0].split(".")[0]
    say(console, f"{_rows(rows.height)}, {_decisions(len(ids))}, in quarantine_decisions.csv.")
    say(console, f"To undo it: [bold]personalize quarantine withdraw {stem}[/bold]")
    _print_outcomes(outcomes)


def _waiting(desk: "Desk", asked: dict[str, Any]) -> Any:
    from personalization_assets.standardized.choosing import chosen, require

    choice = _chosen(asked, ("waiting",))
    require(desk.run.con, choice)
    return chosen(desk.run.con, choice)


@contextmanager
def _desk(
    file: Path | None, asked: dict[str, Any], name: str
) -> Iterator[tuple["Desk", "Command"]]:
    """The warehouse, held from here on so that no run works between, and what judges rows."""
    import logging

    from personalization_assets.definitions import warehouse_of
    from personalization_assets.kept_by_hand import os_user
    from personalization_assets.sources.config import load_sources
    from personalization_assets.standardized.deciding import Desk
    from personalization_assets.standardized.in_force import contracts_in_force
    from personalization_assets.standardized.replay import Command
    from personalization_assets.tables import Run

    settings = load(file, asked["warehouse"], sources_yaml=asked["sources"])
    if not settings.warehouse_file.exists():
        raise UserError(
            f"There is no warehouse at {settings.warehouse_file}: run `personalize run` first."
        )
    as_of = moment(asked["as_of"])
    contracts = contracts_in_force(settings.standardized)
    config = load_sources(settings.sources_file)
    warehouse = warehouse_of(settings).model_copy(update={"wait_seconds": 2.0})
    with warehouse.connect(settings.sql_variables(as_of)) as con:
        run = Run(con, as_of, settings, logging.getLogger(__name__))
        author = asked["author"] or os_user()
        yield (
            Desk(run, config, contracts),
            Command(f"{name}-{secrets.token_hex(4)}", name, author),
        )


def _chosen(asked: dict[str, Any], statuses: Sequence[str]) -> "Choice":
    from personalization_assets.standardized.choosing import Choice

    return Choice(
        asked["table"],
        asked["source"],
        asked["reason"],
        asked["batch"],
        tuple(statuses),
        asked["row"],
    )


def _print_row(row: dict[str, Any], contracts: Any, console: Console) -> None:
    from personalization_assets.standardized.choosing import fields, in_words

    head = Text(f"{row['table_name']} from {row['source']}, row {row['row_key']}", "bold")
    console.print(head, Text(f"({row['status']})", "dim"))
    for reason in row["reasons"]:
        console.print(
            Text(f"  {reason}: {in_words(contracts, row['table_name'], reason)}", "yellow")
        )
    if row["decision_id"]:
        said = f"  {row['decision_id']} by {row['decided_by']}: {row['decision_reason'] or ''}"
        console.print(Text(_printable(said), "cyan"))
    for name, value in fields(row["payload"]).items():
        console.print(Text(f"    {_printable(name)}: {_printable(str(value))}"), soft_wrap=True)
    console.print()


def _printable(text: str) -> str:
    """Without control characters: what a file holds must not steer the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _print_outcomes(outcomes: Sequence["Outcome"]) -> None:
    console = wide_console()
    grid = _grid("table", "reason", "waited", "admitted", "discarded", "wait now")
    for outcome in outcomes:
        for row in outcome.reasons.to_dicts():
            grid.add_row(
                outcome.table,
                Text(row["reason"]),
                *(
                    f"{row[c]:,}"
                    for c in ("rows_before", "rows_admitted", "rows_discarded", "rows_after")
                ),
            )
    if grid.row_count:
        console.print(grid)
    for o in outcomes:
        moved = f", {o.displaced:,} went out of the table" if o.displaced else ""
        said = f"{o.admitted:,} admitted, {o.waiting:,} of them wait{moved}"
        say(console, f"{o.table}: {_rows(o.judged)} judged, {said}.")
    if any(o.admitted or o.displaced or o.discarded for o in outcomes):
        say(
            console,
            "Tables made of these are from before: [bold]personalize run[/bold], or materialize "
            "what is downstream.",
        )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _decisions(count: int) -> str:
    return "1 decision" if count == 1 else f"{count:,} decisions"


def _grid(*columns: str) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        figures = name in ("rows", "waited", "admitted", "discarded", "wait now")
        grid.add_column(name, justify="right" if figures else "left", overflow="fold")
    return grid
