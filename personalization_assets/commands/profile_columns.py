"""The columns of profiles.golden_profiles, for commands about campaigns that have no warehouse."""

import datetime as dt
from typing import TYPE_CHECKING

from personalization_assets.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

    from personalization_assets.settings import Settings

PROFILES = "profiles.golden_profiles"


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
