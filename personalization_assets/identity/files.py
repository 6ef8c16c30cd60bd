"""Any table of records as the room's input: a Parquet or CSV file whose columns are named.

`read_records` leaves a table `records` with the columns of `identity.records` on a working
connection, whatever the file has of them. Columns that the room does not know can be compared too:
a file of options says which, and how.
"""

import re
from pathlib import Path

import duckdb
import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personalization_assets.errors import UserError
from personalization_assets.identity.comparison import Extra, Kind
from personalization_assets.identity.model import Model
from personalization_assets.identity.pairing import distinct
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.sql_text import quoted

CANONICAL = (
    "source",
    "record_id",
    "account_key",
    "given_name",
    "family_name",
    "full_name",
    "email",
    "phone",
    "birth_date",
    "street",
    "postcode",
    "city",
    "country",
    "device_id",
)
NAMELESS_SOURCE = "file"
PARTICLES = (
    "van|von|vom|zu|zum|zur|de|der|den|del|della|di|da|dos|das|du|la|le|bin|ter|ten|y|st\\.?"
)


class FileColumn(BaseModel):
    """A column of the file that the room does not know, and how two values of it compare."""

    model_config = ConfigDict(extra="forbid")

    column: str = Field(description="The column's name in the file")
    compare: Kind = Field(description="See `comparison.Extra`")

    @property
    def extra(self) -> Extra:
        """The column as the room's comparisons name it."""
        return Extra(name="x_" + re.sub(r"\W", "_", self.column.lower()), compare=self.compare)


class FileOptions(BaseModel):
    """What a user may say about a table of records (YAML)."""

    model_config = ConfigDict(extra="forbid")

    columns: dict[str, str] = Field(
        default={}, description="Ours to theirs, where the file has other names"
    )
    compare: list[FileColumn] = Field(default=[], description="Columns to compare besides ours")
    settings: IdentitySettings = Field(default=IdentitySettings(), description="Thresholds, sizes")


def load_options(path: Path | None) -> FileOptions:
    """The options in a YAML file; defaults without one.

    Raises:
        UserError: the file is missing, not YAML, or has a key or value that is none of ours.
    """
    if path is None:
        return FileOptions()
    try:
        options = FileOptions.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError:
        raise UserError(f"There is no options file at {path}: correct the path.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not valid YAML: {str(error).splitlines()[0]}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise UserError(
            f"{path.name}: {where}: {first['msg']}. Correct it and try again."
        ) from None
    unknown = sorted(set(options.columns) - set(CANONICAL))
    if unknown:
        raise UserError(
            f"{path.name}: columns: {unknown[0]!r} is none of ours ({', '.join(CANONICAL)}); list "
            "a column of another kind under `compare`."
        )
    return options


def read_model(path: Path) -> Model:
    """The model in a JSON file that `train` wrote.

    Raises:
        UserError: the file is missing or no such model.
    """
    try:
        return Model.from_json(path.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"There is no model at {path}: correct the path or train one.") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path.name} is not a model of this version: write one with `identity train`."
        ) from None


def read_records(
    work: duckdb.DuckDBPyConnection, path: Path, options: FileOptions, truth: str | None = None
) -> list[str]:
    """Build `records` from the file; gives the canonical columns that it has.

    `truth` names a column that says who each record is; it becomes the column `person`.

    Names of columns match in any case. Without `source` all records are of the source 'file',
    without `record_id` their row number is their id. Dates may be text: year first in any file,
    else day first unless some date of the file can only be month first. A full name in one column
    is split: "Family, Given", else the last word and the particles before it are the family name.

    Raises:
        UserError: the file cannot be read, has none of the columns, or repeats an id.
    """
    view = f"CREATE OR REPLACE VIEW file_rows AS SELECT * FROM {_reader(path)}"
    try:
        work.execute(view)
        described = work.execute("DESCRIBE file_rows").fetchall()
    except duckdb.Error as error:
        kind = str(error).splitlines()[0].split(":")[0]
        raise UserError(
            f"{path} cannot be read as a {path.suffix.lstrip('.') or 'Parquet'} file ({kind}): "
            "give a Parquet or CSV file."
        ) from None
    types = {row[0].lower(): (row[0], row[1]) for row in described}
    named = {c: options.columns.get(c, c).lower() for c in CANONICAL}
    missing = sorted(c for c in options.columns.values() if c.lower() not in types)
    missing += sorted(e.column for e in options.compare if e.column.lower() not in types)
    missing += [truth] if truth and truth.lower() not in types else []
    if missing:
        raise UserError(
            f"{path.name} has no column {missing[0]!r}; it has {', '.join(sorted(types))}. Correct "
            f"{'--truth' if missing[0] == truth else 'the options'}."
        )
    found = [c for c in CANONICAL if named[c] in types]
    if not set(found) - {"source", "record_id", "country"} and not options.compare:
        raise UserError(
            f"{path.name} has no column to compare people by; it has {', '.join(sorted(types))}. "
            f"Name at least one of {', '.join(CANONICAL[2:])}, or say which is which in --options."
        )
    select = [_column(work, c, types.get(named[c])) for c in CANONICAL]
    select += [f"{_text(*types[e.column.lower()])} AS {e.extra.name}" for e in options.compare]
    if truth:
        select.append(f"{_text(*types[truth.lower()])} AS person")
    work.execute(
        f"""
        CREATE OR REPLACE TABLE records AS
        WITH typed AS (SELECT {", ".join(select)} FROM file_rows)
        SELECT * EXCLUDE (given_name, family_name, full_name),
            CASE WHEN given_name IS NOT NULL OR family_name IS NOT NULL THEN given_name
                ELSE {_given_of_full()} END AS given_name,
            CASE WHEN given_name IS NOT NULL OR family_name IS NOT NULL THEN family_name
                ELSE {_family_of_full()} END AS family_name
        FROM typed
        """
    )
    rows, empty = work.execute(
        "SELECT count(*), count(*) FILTER (record_id IS NULL) FROM records"
    ).fetchall()[0]
    if empty:
        raise UserError(f"{path.name}: {empty:,} of {rows:,} rows have no record_id: fill it in.")
    if (ids := _distinct_ids(work, rows)) < rows:
        raise UserError(
            f"{path.name}: {rows - ids:,} rows repeat the source and record_id of another: make "
            "them unique, or leave the column out to number the rows."
        )
    return found


def _distinct_ids(work: duckdb.DuckDBPyConnection, rows: int) -> int:
    codes = work.sql("SELECT hash(source, record_id) AS code FROM records").fetchnumpy()["code"]
    # Where all hashes differ all ids do; else it takes the ids themselves to tell.
    if len(distinct(np.asarray(codes, np.uint64))) == rows:
        return rows
    return int(work.sql("SELECT count(DISTINCT (source, record_id)) FROM records").fetchall()[0][0])


def _reader(path: Path) -> str:
    if not path.exists():
        raise UserError(f"There is no file of records at {path}: correct the path.")
    name = quoted(str(path))
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return f"read_csv({name}, all_varchar = true, header = true)"
    return f"read_parquet({name})"


def _text(name: str, kind: str) -> str:
    """A column as text; whole numbers that came as floats lose their '.0', empty text is null."""
    quoted = '"' + name.replace('"', '""') + '"'
    if kind in ("DOUBLE", "FLOAT"):
        whole = f"CAST(CAST({quoted} AS BIGINT) AS VARCHAR)"
        quoted = f"CASE WHEN {quoted} = floor({quoted}) THEN {whole} ELSE {quoted}::VARCHAR END"
    elif kind != "VARCHAR":
        quoted = f"CAST({quoted} AS VARCHAR)"
    return f"nullif(trim({quoted}), '')"


def _column(work: duckdb.DuckDBPyConnection, column: str, found: tuple[str, str] | None) -> str:
    if found is None:
        if column == "source":
            return f"'{NAMELESS_SOURCE}' AS source"
        if column == "record_id":
            return "CAST(row_number() OVER () AS VARCHAR) AS record_id"
        kind = "DATE" if column == "birth_date" else "VARCHAR"
        return f"NULL::{kind} AS {column}"
    if column == "birth_date":
        return f"{_date(work, *found)} AS birth_date"
    if column == "source":
        return f"coalesce({_text(*found)}, '{NAMELESS_SOURCE}') AS source"
    return f"{_text(*found)} AS {column}"


def _date(work: duckdb.DuckDBPyConnection, name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"CAST({quoted} AS DATE)"
    text = _text(name, kind)
    parts = f"regexp_extract({text}, '^(\\d{{1,2}})[./-](\\d{{1,2}})[./-]\\d{{2,4}}', "
    month_first = work.execute(
        f"""SELECT coalesce(max(TRY_CAST({parts}2) AS INTEGER)) > 12, false)
            AND NOT coalesce(max(TRY_CAST({parts}1) AS INTEGER)) > 12, false)
        FROM file_rows"""
    ).fetchall()[0][0]
    first, second = ("%m", "%d") if month_first else ("%d", "%m")
    forms = ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
    forms += [f"{first}{mark}{second}{mark}{year}" for mark in "/.-" for year in ("%Y", "%y")]
    listed = ", ".join(f"'{form}'" for form in forms)
    return f"CAST(try_strptime({text}, [{listed}]) AS DATE)"


def _given_of_full() -> str:
    return f"""CASE
        WHEN full_name LIKE '%,%' THEN nullif(trim(split_part(full_name, ',', 2)), '')
        WHEN full_name LIKE '% %' THEN nullif(trim({_last_word(1)}), '')
        ELSE full_name END"""


def _family_of_full() -> str:
    return f"""CASE
        WHEN full_name LIKE '%,%' THEN nullif(trim(split_part(full_name, ',', 1)), '')
        WHEN full_name LIKE '% %' THEN nullif(trim({_last_word(2)}), '') END"""


def _last_word(group: int) -> str:
    particles = f"(?:(?i:{PARTICLES})\\s+)*"
    return f"regexp_extract(full_name, '^(.*?)\\s+({particles}\\S+)$', {group})"
