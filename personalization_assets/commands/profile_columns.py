"""What commands about campaigns know of the columns of profiles.golden_profiles: the warehouse's,
or those that it will have."""

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from personalization_assets.errors import UserError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from personalization_assets.settings import Settings

PROFILES = "profiles.golden_profiles"


@contextmanager
def warehouse_if_any(
    settings: "Settings", table: str, needed: bool
) -> "Iterator[tuple[duckdb.DuckDBPyConnection | None, str]]":
    """A connection to read the warehouse in which there is a table, or none, and why, in a
    sentence.

    Raises:
        UserError: that sentence, where the warehouse is `needed`: somebody has named it, or asks
            for what only it holds.
    """
    from personalization_assets.warehouse import exists, reading

    why_not = ""
    with ExitStack() as stack:
        con = None
        try:
            con = stack.enter_context(reading(settings.warehouse_file))
            if not exists(con, table):
                con = None
                why_not = (
                    f"The warehouse {settings.warehouse_file} has no table {table} yet: run "
                    f"`personalize run` first."
                )
        except UserError as refused:
            why_not = str(refused)
        if con is None and needed:
            raise UserError(why_not)
        yield con, why_not


def declared_columns(settings: "Settings") -> "dict[str, pa.DataType]":
    """The columns with the types that they will have, from contracts and SQL models alone.

    Raises:
        UserError: a SQL model has a mistake in it, or reads what has no contract.
    """
    import duckdb

    # Loads the contracts of every room, so that `models` knows them.
    import personalization_assets.definitions  # noqa: F401
    from personalization_assets.contracts import contract_of
    from personalization_assets.contracts.reading import models
    from personalization_assets.emails.mail_context import profile_columns
    from personalization_assets.sql_models import read_sql_model

    contracts = {contract.name: contract for contract in map(contract_of, models())}
    made: set[str] = set()

    def make(con: duckdb.DuckDBPyConnection, table: str) -> None:
        if table in made:
            return
        made.add(table)
        room, name = table.split(".")
        con.execute(f'CREATE SCHEMA IF NOT EXISTS "{room}"')
        path = settings.sql_models / room / f"{name}.sql"
        if path.is_file():
            model = read_sql_model(path)
            for upstream in model.reads:
                make(con, upstream)
            try:
                con.execute(f"CREATE TABLE {table} AS FROM (\n{model.sql}\n) LIMIT 0")
            except duckdb.Error as error:
                said = str(error).splitlines()[0].rstrip(". ")
                raise UserError(f"{path} is not a SELECT that works: {said}.") from None
        elif table in contracts:
            columns = ", ".join(f'"{c.name}" {c.duckdb_type}' for c in contracts[table].columns)
            con.execute(f"CREATE TABLE {table} ({columns})")
        else:
            raise UserError(
                f"Nothing says which columns {table} has, neither a contract nor {path}: run "
                f"`personalize run` first, then the warehouse does."
            )

    with duckdb.connect() as con:
        for variable, value in settings.sql_variables(dt.datetime(2000, 1, 1)).items():
            con.execute(f"SET VARIABLE {variable} = ?", [value])
        make(con, PROFILES)
        return profile_columns(con)
