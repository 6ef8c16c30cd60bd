"""`personalize schema list | diff | upgrade | rollback | parked`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from personalization_assets.commands.wide import wide_console
from personalization_assets.errors import UserError

if TYPE_CHECKING:
    import duckdb

    from personalization_assets.audits.schema_changes import Change
    from personalization_assets.audits.schemas import Version
    from personalization_assets.contracts import Contract
    from personalization_assets.settings import Settings

WAREHOUSE = click.option(
    "--warehouse",
    type=click.Path(path_type=Path),
    help="DuckDB file [data/warehouse.duckdb]",
)
READERS = {
    "full": "what reads the version before goes on, and its rows can be moved",
    "backward": "its rows can be moved, but what reads the version before breaks",
    "forward": "what reads the version before goes on, but its rows lack something",
    "none": "what reads the version before breaks, and its rows do not fit as they are",
}


@click.group()
def schema() -> None:
    """See the versions of tables, and move stored tables between them with their values kept."""


@schema.command("list")
@click.argument("table", required=False)
@click.option("--as-of", help="Versions that the newest run up to this time used (UTC)")
@WAREHOUSE
@click.pass_obj
def list_versions(
    file: Path | None, table: str | None, as_of: str | None, warehouse: Path | None
) -> None:
    """List tables with their version, or the versions of a TABLE (room.table)."""
    from personalization_assets.audits.schemas import read_versions, used_by_run
    from personalization_assets.settings import load_settings
    from personalization_assets.tables import parse_as_of
    from personalization_assets.warehouse import reading

    settings = load_settings(file, warehouse=warehouse)
    console = wide_console()
    with reading(settings.warehouse_file) as con:
        versions = read_versions(con, table)
        if as_of:
            run, used = used_by_run(con, parse_as_of(as_of))
            console.print(f"The run of {run:%Y-%m-%d %H:%M} UTC used:", highlight=False)
            chosen = [v for v in versions if used.get(v.table) == v.number]
            _print_versions(console, chosen, {})
            return
        stands = _stands(con, versions)
    if table:
        _print_versions(console, versions, stands)
    else:
        newest = {v.table: v for v in versions}
        _print_tables(console, list(newest.values()), stands)


@schema.command()
@click.argument("table", required=False)
@click.argument("before", type=int, required=False, metavar="[FROM]")
@click.argument("after", type=int, required=False, metavar="[TO]")
@WAREHOUSE
@click.pass_obj
def diff(
    file: Path | None,
    table: str | None,
    before: int | None,
    after: int | None,
    warehouse: Path | None,
) -> None:
    """Show what differs between stored tables and contracts, or two versions of a TABLE.

    Without TABLE: what the next full run will change. Without numbers: between the stored table
    and the contract in force or, where they agree, between the last two versions. With one: from
    that version to the newest.
    """
    from personalization_assets.audits.schema_changes import compare
    from personalization_assets.audits.schema_moves import stored_shape
    from personalization_assets.audits.schemas import former_names, numbered, read_versions
    from personalization_assets.definitions import contracts_of
    from personalization_assets.settings import load_settings
    from personalization_assets.warehouse import reading

    settings = load_settings(file, warehouse=warehouse)
    console = wide_console()
    contracts = contracts_of(settings)
    with reading(settings.warehouse_file) as con:
        versions = read_versions(con, table)
        if table is None:
            newest = {v.table: v for v in versions}
            differ = sum(
                _differs_from_contract(con, settings, console, contracts[name], newest[name])
                for name in contracts
                if name in newest
            )
            _say(console, f"{differ} tables differ from the contracts in force.")
            return
        if before is None:
            stored_shape(con, table)
            code = contracts.get(table)
            if code and _differs_from_contract(con, settings, console, code, versions[-1]):
                return
            if len(versions) == 1:
                _say(console, f"{table} has one version, and is stored in it: nothing differs.")
                return
            before = versions[-2].number
    one = numbered(versions, before)
    other = numbered(versions, after) if after is not None else versions[-1]
    changes = compare(one.shape, other.shape, former_names(versions, one.number, other.number))
    title = f"{table}: version {one.number} -> version {other.number}"
    _print_changes(console, title, changes, versions[-1].read_by)


@schema.command()
@click.argument("table")
@click.option("--to", type=int, help="Number of the version [the contract in force]")
@click.option("--dry-run", is_flag=True, help="Try it, show the steps and the SQL, change nothing")
@WAREHOUSE
@click.pass_obj
def upgrade(
    file: Path | None, table: str, to: int | None, dry_run: bool, warehouse: Path | None
) -> None:
    """Bring the stored TABLE to a newer version, its values kept."""
    from personalization_assets.commands import schema_targets as targets
    from personalization_assets.settings import load_settings

    settings = load_settings(file, warehouse=warehouse)
    console = Console()
    moved = targets.move_table(settings, table, to, "upgrade", dry_run)
    _print_move(console, moved)
    if dry_run or not moved.steps:
        return
    others = f'key:"{table.replace(".", "/")}"+ and not key:"{table.replace(".", "/")}"'
    _say(console, "The next full run builds the table from its inputs, and fills what is empty.")
    if moved.readers:
        _say(
            console,
            f"{len(moved.readers)} tables were built from it as it was; to build them again now: "
            f"personalize run --select '{others}'",
        )


@schema.command()
@click.argument("table")
@click.option("--to", type=int, help="Number of the version [the one before]")
@click.option("--dry-run", is_flag=True, help="Try it, show the steps and the SQL, change nothing")
@WAREHOUSE
@click.pass_obj
def rollback(
    file: Path | None, table: str, to: int | None, dry_run: bool, warehouse: Path | None
) -> None:
    """Bring the stored TABLE back to an earlier version, with the values that it had there."""
    from personalization_assets.commands import schema_targets as targets
    from personalization_assets.settings import load_settings

    settings = load_settings(file, warehouse=warehouse)
    console = Console()
    moved = targets.move_table(settings, table, to, "rollback", dry_run)
    _print_move(console, moved)
    if dry_run or not moved.steps:
        return
    if any(step.startswith("add ") for step in moved.steps):
        _say(
            console,
            "What was added empty had not been parked: a run of that version's code computes it.",
        )
    where = targets.definition_of(settings, table)
    _say(console, "The next full run builds the table by the code's contract again. To stay here:")
    _say(console, f"  git log --oneline -- {where}    the commit that had this version")
    _say(console, f"  git checkout COMMIT -- {where}    pins it; deploy that")
    _say(console, "Until then, leave the table out of runs or stop the schedule.")
    if moved.readers:
        _say(
            console,
            f"{len(moved.readers)} tables read it and expect the newer version: "
            f"{', '.join(moved.readers)}.",
        )


@schema.command()
@click.option("--drop", help="Drop this parked table for good")
@WAREHOUSE
@click.pass_obj
def parked(file: Path | None, drop: str | None, warehouse: Path | None) -> None:
    """List what moves took out of tables; it is as personal as the tables."""
    from personalization_assets import warehouse as wh
    from personalization_assets.audits.parking import drop_parked, read_moves
    from personalization_assets.commands.schema_targets import held
    from personalization_assets.settings import load_settings

    settings = load_settings(file, warehouse=warehouse)
    console = wide_console()
    if drop:
        name = drop if drop.startswith("parked.") else f"parked.{drop}"
        with held(settings) as con, wh.transaction(con):
            if not drop_parked(con, name):
                raise UserError(
                    f"There is no parked table {name}: `personalize schema parked` lists them."
                )
        console.print(
            f"Dropped {name}. Its bytes stay in the file until the warehouse is copied anew."
        )
        return
    with wh.reading(settings.warehouse_file) as con:
        moves = [m for m in read_moves(con) if m.parked is not None]
        counts = {
            m.parked.table: con.execute(f"SELECT count(*) FROM {m.parked.table}").fetchall()[0][0]
            for m in moves
            if m.parked
        }
    if not moves:
        console.print("Nothing is parked.")
        return
    table = Table(box=None, header_style="bold")
    table.add_column("parked table", no_wrap=True)
    for column in ("columns", "rows", "by", "since (UTC)", "comes back with"):
        table.add_column(column, justify="right" if column == "rows" else "left")
    back = {"undo": "rollback", "redo": "upgrade", "left": "nothing: its rows are gone"}
    for move in moves:
        if move.parked is None:
            continue
        table.add_row(
            move.parked.table,
            escape(", ".join(move.parked.values)),
            f"{counts[move.parked.table]:,}",
            escape(", ".join(move.parked.key) or "row hash"),
            f"{move.moved_at:%Y-%m-%d %H:%M}",
            back[move.stack],
        )
    console.print(table)


def _differs_from_contract(
    con: "duckdb.DuckDBPyConnection",
    settings: "Settings",
    console: Console,
    contract: "Contract",
    newest: "Version",
) -> bool:
    """Print what a stored table lacks of its contract, if anything."""
    from personalization_assets.audits.schema_changes import compare
    from personalization_assets.audits.schema_moves import shape_of
    from personalization_assets.commands.schema_targets import promised, renamed_from

    stored = shape_of(con, contract.name)
    # what may be empty only a contract knows: it is the new one's word
    changes = compare(stored, promised(con, settings, contract, stored), renamed_from(contract))
    if not changes:
        return False
    title = f"{contract.name}: as stored -> contract in force, version {contract.version}"
    _print_changes(console, title, changes, newest.read_by)
    if contract.version == newest.contract_version:
        _say(console, f"Its version is still {contract.version}: raise it with the columns.")
    return True


def _stands(
    con: "duckdb.DuckDBPyConnection", versions: Sequence["Version"]
) -> dict[str, int | None]:
    """Table -> the number of the version that it has now, None if none is recorded."""
    from personalization_assets.audits.schema_moves import shape_of
    from personalization_assets.audits.schemas import standing

    by_table: dict[str, list[Version]] = {}
    for version in versions:
        by_table.setdefault(version.table, []).append(version)
    found: dict[str, int | None] = {}
    for table, all_ in by_table.items():
        shape = shape_of(con, table)
        version_now = standing(shape, all_) if shape else None
        found[table] = version_now.number if version_now else None
    return found


def _print_tables(
    console: Console, newest: Sequence["Version"], stands: dict[str, int | None]
) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("table", "stored", "newest", "contract", "since (UTC)", "last change"):
        table.add_column(column, justify="right" if column in ("stored", "newest") else "left")
    for version in newest:
        stored = stands.get(version.table)
        table.add_row(
            version.table,
            "?" if stored is None else str(stored),
            str(version.number),
            str(version.contract_version or ""),
            f"{version.first_seen:%Y-%m-%d %H:%M}",
            escape(version.difference) + f" ({version.compatibility})"
            if version.number > 1
            else "",
        )
    console.print(table)
    if None in stands.values():
        console.print("? means: no run has recorded the shape that is stored.", highlight=False)


def _print_versions(
    console: Console, versions: Sequence["Version"], stands: dict[str, int | None]
) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("table", "version", "contract", "first run (UTC)", "last run", "compatibility"):
        table.add_column(column)
    table.add_column("difference", overflow="fold")
    for version in versions:
        stored = stands.get(version.table) == version.number
        table.add_row(
            version.table,
            f"{version.number}{' stored' if stored else ''}",
            str(version.contract_version or ""),
            f"{version.first_seen:%Y-%m-%d %H:%M}",
            f"{version.last_seen:%Y-%m-%d %H:%M}",
            version.compatibility if version.number > 1 else "",
            escape(version.difference),
        )
    console.print(table)


def _print_changes(
    console: Console, title: str, changes: Sequence["Change"], readers: Sequence[str]
) -> None:
    from personalization_assets.audits.schema_changes import compatibility

    _say(console, title)
    if not changes:
        _say(console, "  no difference in columns")
        return
    for change in changes:
        _say(console, f"  {change.in_words()}")
    found = compatibility(changes)
    _say(console, f"Compatibility: {found} ({READERS[found]}).")
    if readers and found in ("backward", "none"):
        _say(console, f"Read by: {', '.join(readers)}")


def _print_move(console: Console, moved: Any) -> None:
    _say(console, f"{moved.table}: {moved.before} -> {moved.after}")
    if not moved.steps:
        _say(console, "  the stored columns are these already: nothing to move")
        return
    for step in moved.steps:
        _say(console, f"  {step}")
    if moved.dry_run:
        _say(console, "")
        for statement in moved.sql:
            _say(console, f"{statement};")
        _say(console, "Tried and taken back: nothing is changed.")
    else:
        _say(console, f"{moved.rows:,} rows moved in {moved.seconds:.1f} s.")


def _say(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False, soft_wrap=True)
