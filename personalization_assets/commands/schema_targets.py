"""Which version a schema command means, and the move to it while the warehouse is held."""

import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from personalization_assets import warehouse as wh
from personalization_assets.audits.schema_changes import Shape, ShapeColumn, same_columns
from personalization_assets.audits.schema_moves import move_to, stored_shape
from personalization_assets.audits.schema_plan import qualified
from personalization_assets.audits.schemas import (
    Version,
    former_names,
    numbered,
    read_versions,
    standing,
)
from personalization_assets.contracts import Contract
from personalization_assets.errors import UserError
from personalization_assets.settings import PROJECT, Settings

if TYPE_CHECKING:
    import duckdb

Direction = Literal["upgrade", "rollback"]

BY_SELECT = "(type by its SELECT)"
"""In the place of a type that only a run of the SQL model will tell."""


@dataclass(frozen=True)
class Moved:
    """What a command did or, on a dry run, would do."""

    table: str
    before: str
    after: str
    steps: list[str]
    sql: list[str]
    rows: int
    seconds: float
    readers: list[str]
    dry_run: bool


class _TakenBackError(Exception):
    """Ends the transaction of a dry run."""


def in_force(settings: Settings, table: str) -> Contract | None:
    """The contract of a table by the code and the settings as they are; None where it has none."""
    from personalization_assets.definitions import contracts_of

    return contracts_of(settings).get(table)


def renamed_from(contract: Contract) -> dict[str, str]:
    """New name -> former name, as the contract declares it."""
    return {c.name: c.renamed_from for c in contract.columns if c.renamed_from}


def promised(
    con: "duckdb.DuckDBPyConnection", settings: Settings, contract: Contract, stored: Shape
) -> Shape:
    """The shape that a contract promises.

    The types of a SQL model are what DuckDB makes of its SELECT. Where that reads what is not there
    yet, they are those that are stored, and of a new column `BY_SELECT`.
    """
    types = {c.name: c.data_type for c in stored}
    if not all(c.duckdb_type for c in contract.columns):
        types |= _types_of_select(con, settings, contract.name)
    columns = []
    for column in contract.columns:
        if column.duckdb_type:
            described = f"DESCRIBE SELECT NULL::{column.duckdb_type} AS x"  # as DuckDB spells it
            ((_, data_type, *_),) = con.execute(described).fetchall()
        else:
            former = types.get(column.renamed_from or "", BY_SELECT)
            data_type = types.get(column.name, former)
        columns.append(ShapeColumn(column.name, data_type, column.nullable))
    return tuple(columns)


def _types_of_select(
    con: "duckdb.DuckDBPyConnection", settings: Settings, table: str
) -> dict[str, str]:
    """Columns and types that a SQL model would give now; nothing where its inputs are not there."""
    import duckdb

    from personalization_assets.sql_models import read_sql_model

    model = read_sql_model(settings.sql_models / f"{table.replace('.', '/')}.sql")
    any_time = dt.datetime(2000, 1, 1)  # only the variables' types count
    try:
        for name, value in settings.sql_variables(any_time).items():
            con.execute(f"SET VARIABLE {name} = ?", [value]).fetchall()
        described = con.execute(f"DESCRIBE {model.sql}").fetchall()
    except duckdb.Error:
        return {}
    return {row[0]: row[1] for row in described}


def definition_of(settings: Settings, table: str) -> Path:
    """The file or folder in which the table's contract is written, from the project's folder."""
    room, _, name = table.partition(".")
    package = Path(__file__).parent.parent / room
    found = next(
        (
            path
            for path in (
                settings.sql_models / room / f"{name}.sql",
                package / "contracts",
                package / "contracts.py",
            )
            if path.exists()
        ),
        package,
    )
    return found.relative_to(PROJECT) if found.is_relative_to(PROJECT) else found


@contextmanager
def held(settings: Settings) -> Iterator["duckdb.DuckDBPyConnection"]:
    """The warehouse for a command that writes: no run is at work on it.

    Raises:
        UserError: there is no warehouse, or another process holds it.
    """
    from personalization_assets.definitions import warehouse_of

    if not settings.warehouse_file.exists():
        raise UserError(
            f"There is no warehouse at {settings.warehouse_file}: run `personalize run` first."
        )
    with warehouse_of(settings).model_copy(update={"wait_seconds": 2.0}).connect() as con:
        yield con


def move_table(
    settings: Settings, table: str, to: int | None, direction: Direction, dry_run: bool
) -> Moved:
    """Move a stored table to a version, or to the contract in force, in one transaction.

    Raises:
        UserError: the version is none to go to, or the move would break what it promises.
    """
    with held(settings) as con:
        stored = stored_shape(con, table)
        versions = read_versions(con, table)
        here = standing(stored, versions)
        contract = to is None and direction == "upgrade"
        version = None if contract else _target(table, versions, here, to, direction)
        code = in_force(settings, table)
        if version is None:
            if code is None:
                raise UserError(f"{table} has no contract: name a version with --to.")
            target = promised(con, settings, code, stored)
            _refuse_unknown(table, target)
            after = f"contract in force, version {code.version}"
            former = renamed_from(code)
            newest = versions[-1]
            if here is not None and here.number < newest.number:
                former |= _through(newest, versions, here, former)
        else:
            target, after = version.shape, f"version {version.number}"
            start = here or versions[-1]
            former = former_names(versions, start.number, version.number)
        before = f"version {here.number}" if here else "as stored, which no run has recorded"
        key = _key(code.key if code else (), target, code, former)
        if same_columns(stored, target):
            return Moved(table, before, after, [], [], 0, 0.0, [], dry_run)
        started = time.monotonic()
        rows = con.execute(f"SELECT count(*) FROM {qualified(table)}").fetchall()[0][0]
        try:
            with wh.transaction(con):
                done = move_to(con, table, target, former, key)
                if dry_run:
                    raise _TakenBackError
        except _TakenBackError:
            pass
        seconds = time.monotonic() - started
        return Moved(
            table, before, after, done.steps, done.sql, rows, seconds, versions[-1].read_by, dry_run
        )


def _refuse_unknown(table: str, target: Shape) -> None:
    for column in target:
        if column.data_type == BY_SELECT:
            select = table.replace(".", "/")
            raise UserError(
                f"{table} gets the new column {column.name}, whose type its SELECT decides, and "
                "that reads what is not stored yet: let a run build it "
                f"(`personalize run --select {select}`)."
            )


def _target(
    table: str,
    versions: Sequence[Version],
    here: Version | None,
    to: int | None,
    direction: Direction,
) -> Version:
    if to is None:
        at = here.number if here else versions[-1].number + 1
        shape = here.shape if here else ()
        earlier = [v for v in versions if v.number < at and not same_columns(v.shape, shape)]
        if not earlier:
            raise UserError(
                f"{table} has no version before the one that is stored: there is nothing to go "
                "back to."
            )
        return earlier[-1]
    version = numbered(versions, to)
    if here is not None and version.number != here.number:
        newer = version.number > here.number
        if newer != (direction == "upgrade"):
            other = "upgrade" if newer else "rollback"
            raise UserError(
                f"{table} stands at version {here.number}: to reach version {to} use "
                f"`personalize schema {other} {table} --to {to}`."
            )
    return version


def _through(
    newest: Version, versions: Sequence[Version], here: Version, declared: Mapping[str, str]
) -> dict[str, str]:
    """Names of the contract in force -> names stored, through the versions between them."""
    earlier = former_names(versions, here.number, newest.number)
    names = {c.name for c in newest.shape}
    through = {name: old for name, old in earlier.items() if name not in declared.values()}
    for name, old in declared.items():
        if name not in names and old in earlier:
            through[name] = earlier[old]
    return through


def _key(
    key: Sequence[str], target: Shape, code: Contract | None, former: Mapping[str, str]
) -> list[str]:
    """The contract's key under the names of the target; none where the target lacks it."""
    names = {c.name for c in target}
    declared = renamed_from(code) if code else {}
    back = {old: new for new, old in former.items()}
    found = []
    for column in key:
        choices = [column, back.get(column), declared.get(column)]
        found.append(next((c for c in choices if c in names), None))
    return [c for c in found if c is not None] if None not in found else []
