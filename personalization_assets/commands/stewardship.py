"""`personalize identity explain | review | decide | decisions | withdraw | merge | split`."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from personalization_assets.commands.shared import load, say
from personalization_assets.errors import UserError

if TYPE_CHECKING:
    from personalization_assets.identity.stewardship.decision_log import Key, Verdicts
    from personalization_assets.settings import Settings

FILE = click.Path(path_type=Path)
AFFECTED = 'key:"identity/decisions"+'
"""What has to run for a decision to be obeyed: the decisions, and all that follows from them."""

MOST_PAIRS = 60
"""Pairs of one customer that are shown; beyond them nothing new is learnt."""

Command = Callable[..., None]


def _warehouse(command: Command) -> Command:
    return click.option(
        "--warehouse", type=FILE, help="DuckDB file to read [data/warehouse.duckdb]"
    )(command)


def _signed(command: Command) -> Command:
    """Options of commands that write decisions."""
    options = [
        click.option("--author", help="Who decides [the user of this computer]"),
        click.option("--reason", help="Why, in words; kept with the decision"),
    ]
    return functools.reduce(lambda f, option: option(f), reversed(options), command)


def _obeyed(command: Command) -> Command:
    """Options to have decisions obeyed at once."""
    options = [
        click.option("--run", "now", is_flag=True, help="Run what follows from it now"),
        click.option("--sources", type=FILE, help="For --run: the file that names your sources"),
        click.option("--as-of", help="For --run: the run's time, UTC [now]"),
    ]
    return functools.reduce(lambda f, option: option(f), reversed(options), command)


def _decisions_file(settings: "Settings") -> Path:
    from personalization_assets.identity.stewardship.decision_log import FILE as NAME

    return settings.data_dir / NAME


def _key(text: str) -> "Key":
    source, slash, record_id = text.partition("/")
    if not (source and slash and record_id):
        raise UserError(
            "A record is named source/record_id, as in identity.links: one of those given is not."
        )
    return source, record_id


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="A B | CUSTOMER_ID")
@_warehouse
@click.option("--out", type=FILE, help="Page to write [data/exports/evidence/...html]")
@click.option("--table", is_flag=True, help="Only the table, no page")
@click.pass_obj
def explain(
    file: Path | None, what: tuple[str, ...], warehouse: Path | None, out: Path | None, table: bool
) -> None:
    """Show the evidence between two records (source/record_id), or inside a customer."""
    from personalization_assets.commands import evidence_tables as tables
    from personalization_assets.identity.stewardship import evidence_page as pages
    from personalization_assets.identity.stewardship.explaining import customer, pair

    if len(what) > 2:
        raise UserError("Name two records, or one record, or one customer; more were given.")
    settings = load(file, warehouse)
    threshold = settings.identity.match_threshold
    console = Console()
    if len(what) == 2:
        found = pair(settings, _key(what[0]), _key(what[1]))
        tables.print_pair(found, threshold, console)
        name, text = pages.file_name(found), pages.pair_page(found, threshold)
    else:
        one = customer(settings, _key(what[0]) if "/" in what[0] else what[0], MOST_PAIRS)
        if what[0].startswith("c_") and what[0] != one.customer_id:
            console.print(f"{what[0]} was merged and lives on as {one.customer_id}.")
        tables.print_customer(one.customer_id, one.records, one.bonds, one.left_out, console)
        name = f"{one.customer_id}.html"
        text = pages.customer_page(one.customer_id, one.records, one.bonds, one.left_out, threshold)
    if not table:
        target = out or settings.exports_dir / "evidence" / name
        pages.write_page(text, target)
        say(console, f"The same with a chart: [bold]{target}[/bold]")


@click.command()
@_warehouse
@click.option("--reason", "reasons", multiple=True, help="Only items in the queue for this reason")
@click.option("--limit", default=500, show_default=True, type=click.IntRange(1, 20_000))
@click.option("--list", "as_list", is_flag=True, help="Only a table")
@click.option("--export", type=FILE, help="Only a page to read, without buttons")
@click.option("--author", help="Who decides [the user of this computer]")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the page [any]")
@click.option("--browser/--no-browser", default=True, help="Open the page")
@click.pass_obj
def review(
    file: Path | None,
    warehouse: Path | None,
    reasons: tuple[str, ...],
    limit: int,
    as_list: bool,
    export: Path | None,
    author: str | None,
    port: int,
    browser: bool,
) -> None:
    """Decide on doubtful pairs, on a page that only this computer can open."""
    from personalization_assets.commands.evidence_tables import print_queue
    from personalization_assets.identity.stewardship.decision_log import standing
    from personalization_assets.identity.stewardship.evidence_page import write_page
    from personalization_assets.identity.stewardship.review_page import export_page
    from personalization_assets.identity.stewardship.review_queue import Queue, read_queue
    from personalization_assets.kept_by_hand import os_user
    from personalization_assets.warehouse import reading

    settings = load(file, warehouse)
    console = Console()

    def read() -> Queue:
        with reading(settings.warehouse_file) as con:
            return read_queue(con, settings.identity, limit, reasons)

    queue = read()
    if as_list or export:
        left, decided = queue.without(standing(_decisions_file(settings)))
        if as_list:
            print_queue(left, decided, console)
        if export:
            write_page(export_page(left, settings.identity.match_threshold), export)
            say(console, f"To read: [bold]{export}[/bold]")
        return
    from personalization_assets.commands.review_server import serve

    serve(settings, read, queue, author or os_user(), port, browser, console)


@click.command()
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@click.argument("verdict", type=click.Choice(["same", "different"]))
@_warehouse
@_signed
@_obeyed
@click.pass_obj
def decide(
    file: Path | None,
    one: str,
    other: str,
    verdict: str,
    warehouse: Path | None,
    author: str | None,
    reason: str | None,
    now: bool,
    sources: Path | None,
    as_of: str | None,
) -> None:
    """Say that two records (source/record_id) are the same person, or different people."""
    from personalization_assets.identity.stewardship.decision_log import Verdicts, standing
    from personalization_assets.identity.stewardship.evidence import read_records, require_identity
    from personalization_assets.warehouse import reading

    settings = load(file, warehouse, sources_yaml=sources)
    pair = sorted([_key(one), _key(other)])
    if pair[0] == pair[1]:
        raise UserError("A and B are the same record: name two.")
    with reading(settings.warehouse_file) as con:
        require_identity(con)
        read_records(con, pair)
    before = standing(_decisions_file(settings)).get((pair[0], pair[1]))
    if before and before["verdict"] == verdict:
        say(Console(), f"That is decided already, by decision {before['decision_id']}.")
        return
    rows = ((pair[0], pair[1], "same" if verdict == "same" else "different"),)
    _record(settings, Verdicts("decision", rows), author, reason)  # type: ignore[arg-type]
    _follow(settings, now, as_of)


@click.command()
@click.option("--all", "every", is_flag=True, help="Also those that were withdrawn")
@click.pass_obj
def decisions(file: Path | None, every: bool) -> None:
    """List the decisions that bind the next run."""
    import polars as pl

    from personalization_assets.commands.evidence_tables import print_decisions
    from personalization_assets.identity.decisions import read_decisions

    settings = load(file, None)
    frame = read_decisions(_decisions_file(settings))
    if not every:
        frame = frame.filter(pl.col("withdrawn_at").is_null())
    if frame.is_empty():
        say(Console(), "Nobody has decided anything that binds the next run.")
    else:
        print_decisions(frame, Console())


@click.command()
@click.argument("decision_id")
@_warehouse
@_obeyed
@click.pass_obj
def withdraw(
    file: Path | None,
    decision_id: str,
    warehouse: Path | None,
    now: bool,
    sources: Path | None,
    as_of: str | None,
) -> None:
    """Withdraw a decision, or a whole merge or split by the part of its ids before the dot."""
    from personalization_assets.identity.stewardship.decision_log import withdraw as take_back

    settings = load(file, warehouse, sources_yaml=sources)
    gone = take_back(_decisions_file(settings), decision_id)
    say(Console(), f"Withdrawn: {_decisions(len(gone))}.")
    _follow(settings, now, as_of)


@click.command()
@click.argument("customer_a")
@click.argument("customer_b")
@_warehouse
@_signed
@_obeyed
@click.pass_obj
def merge(
    file: Path | None,
    customer_a: str,
    customer_b: str,
    warehouse: Path | None,
    author: str | None,
    reason: str | None,
    now: bool,
    sources: Path | None,
    as_of: str | None,
) -> None:
    """Make one customer of two, and keep it so until the decision is withdrawn."""
    from personalization_assets.identity.stewardship import regrouping
    from personalization_assets.identity.stewardship.decision_log import standing
    from personalization_assets.identity.stewardship.evidence import require_identity
    from personalization_assets.warehouse import reading

    settings = load(file, warehouse, sources_yaml=sources)
    with reading(settings.warehouse_file) as con:
        require_identity(con)
        ids = [regrouping.customer_now(con, c) for c in (customer_a, customer_b)]
        if ids[0] == ids[1]:
            raise UserError(f"{customer_a} and {customer_b} are one customer already: {ids[0]}.")
        sides = [regrouping.records_of(con, c) for c in ids]
    decided = standing(_decisions_file(settings))
    bound = {pair: str(found["verdict"]) for pair, found in decided.items()}
    _record(settings, regrouping.to_merge(sides[0], sides[1], bound), author, reason)
    _follow(settings, now, as_of)


@click.command()
@click.argument("customer")
@click.option(
    "--records",
    required=True,
    multiple=True,
    help="Records to take out together: source/record_id, several with commas or --records again",
)
@_warehouse
@_signed
@_obeyed
@click.pass_obj
def split(
    file: Path | None,
    customer: str,
    records: tuple[str, ...],
    warehouse: Path | None,
    author: str | None,
    reason: str | None,
    now: bool,
    sources: Path | None,
    as_of: str | None,
) -> None:
    """Take records of a customer out into a customer of their own, and keep it so."""
    from personalization_assets.identity.stewardship import regrouping
    from personalization_assets.identity.stewardship.evidence import require_identity
    from personalization_assets.warehouse import reading

    settings = load(file, warehouse, sources_yaml=sources)
    with reading(settings.warehouse_file) as con:
        require_identity(con)
        mine = regrouping.records_of(con, regrouping.customer_now(con, customer))
    names = {"/".join(key) for key in mine}
    # An id may hold a comma, so a whole argument that is a record is one.
    out = [p for text in records for p in ([text] if text in names else text.split(","))]
    chosen = [_key(part.strip()) for part in out if part.strip()]
    _record(settings, regrouping.to_split(mine, chosen), author, reason)
    _follow(settings, now, as_of)


def _record(
    settings: "Settings", verdicts: "Verdicts", author: str | None, reason: str | None
) -> None:
    from personalization_assets.identity.stewardship.decision_log import group_of, record
    from personalization_assets.kept_by_hand import os_user

    path = _decisions_file(settings)
    ids = record(path, verdicts, author or os_user(), reason)
    say(Console(), f"Written: {_decisions(len(ids))} to {path}.")
    say(Console(), f"To undo it: [bold]personalize identity withdraw {group_of(ids[0])}[/bold]")


def _decisions(count: int) -> str:
    return "1 decision" if count == 1 else f"{count:,} decisions"


def _follow(settings: "Settings", now: bool, as_of: str | None) -> None:
    """Run what follows from a decision, or say how."""
    console = Console()
    if not now:
        say(console, f"The next run obeys; at once: personalize run --select '{AFFECTED}'")
        return
    from personalization_assets.commands.run import run_all
    from personalization_assets.tables import parse_as_of

    ok = run_all(settings, console, parse_as_of(as_of) if as_of else None, [AFFECTED])
    sys.exit(0 if ok else 1)


COMMANDS: tuple[click.Command, ...] = (
    explain,
    review,
    decide,
    decisions,
    withdraw,
    merge,
    split,
)
