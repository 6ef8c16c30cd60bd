"""Read one whole file into temporary tables, every value as text, no line lost, in file order.

CSV goes through DuckDB's own parser when the file is clean. A file that it refuses is read again
line by line: a line that is no row of the table arrives as `_bad_line`, as received, and reading
goes on with the next. NDJSON lines are taken as they are; what is no JSON object is `_bad_line`.
"""

import difflib
import itertools
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from personalization_assets.sources.config import Dialect, Source
from personalization_assets.sources.csv_lines import csv_records, header
from personalization_assets.sources.files import Content, RefusedError
from personalization_assets.sources.platform import LINEAGE
from personalization_assets.sql_text import quoted

BATCH = 20_000
LONGEST_LINE = 1 << 24
UNIT_SEPARATOR = "\x1f"
MOST_KEYS = 1_000
MOST_COLUMNS = 2_000
"""DuckDB's time for a table grows with the square of its columns."""
LONGEST_NAME = 500
SOUND = r"(json_valid(line) AND regexp_matches(line, '^\s*\{'))"
_INVISIBLE = re.compile("[\x00-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
BLANK = r"regexp_full_match(line, '\s*')"
"""`trim` would cost five times as much as parsing the JSON."""


@dataclass(frozen=True)
class Staged:
    """A file in a temporary table; `select` gives `_n`, `_bad_line` and `columns` as text."""

    table: str
    select: str
    columns: tuple[str, ...]
    rows: int
    bad_lines: int
    ends_badly: bool


def columns_of(con: duckdb.DuckDBPyConnection, content: Content, source: Source) -> list[str]:
    """The file's columns as they will be named in the table; for NDJSON none, lines may differ.

    Raises:
        RefusedError: there is no header, or the parquet file is damaged.
    """
    if source.format == "csv":
        names = header(content.text, source.csv)[0]
        _bounded(names, "is `csv.delimiter` right?")
        return unique_names(names)
    if source.format == "parquet":
        try:
            described = con.execute(
                f"DESCRIBE SELECT * FROM read_parquet({quoted(str(content.text))})"
            ).fetchall()
        except duckdb.Error:
            raise RefusedError("is not a sound parquet file: export or copy it again") from None
        _bounded([row[0] for row in described], "export those that are needed")
        return unique_names([row[0] for row in described])
    return []


def _bounded(names: Sequence[str], advice: str) -> None:
    if len(names) > MOST_COLUMNS:
        raise RefusedError(f"has {len(names):,} columns, at most {MOST_COLUMNS:,} can be: {advice}")
    if any(len(name) > LONGEST_NAME for name in names):
        raise RefusedError(
            f"has a column name of more than {LONGEST_NAME} characters: is there a header?"
        )


def stage(
    con: duckdb.DuckDBPyConnection,
    content: Content,
    source: Source,
    needed: Sequence[str],
    table: str,
) -> Staged:
    """Read a file into the temporary table `table`.

    Raises:
        RefusedError: the file as a whole cannot be read.
    """
    con.execute("SET TimeZone = 'UTC'")
    if source.format == "csv":
        return _stage_csv(con, content, source.csv, table)
    if source.format == "ndjson":
        return _stage_ndjson(con, content, needed, table)
    return _stage_parquet(con, content, table)


def missing_column(name: str, columns: Sequence[str], dialect: Dialect) -> str:
    """Why a file without a mapped column cannot be used, and what may help."""
    close = difflib.get_close_matches(name.lower(), [c.lower() for c in columns], 1, 0.75)
    near = next((c for c in columns if close and c.lower() == close[0]), None)
    other = next((d for d in ",;\t|" if d != dialect.delimiter and d in columns[0]), None)
    if len(columns) == 1 and other:
        hint = f"it has one column only: is the delimiter {other!r}? Correct `csv.delimiter`"
    elif near:
        hint = f"it has `{near}`: correct the mapping or the file"
    else:
        hint = "correct the mapping, or have the column exported"
    return f"has no column `{name}`, {hint}"


def unique_names(names: Iterable[str]) -> list[str]:
    """Column names that DuckDB can hold side by side, without line breaks and what is invisible."""
    taken = {folded(n) for n in LINEAGE}
    result = []
    for position, raw in enumerate(names, start=1):
        base = name = _INVISIBLE.sub("", " ".join(raw.splitlines())).strip() or f"column_{position}"
        copy = 1
        while folded(name) in taken:
            copy += 1
            name = f"{base}_{copy}"
        taken.add(folded(name))
        result.append(name)
    return result


def folded(name: str) -> str:
    """Names that are equal in this form are one column to DuckDB: it ignores the case of a to z."""
    return name.translate(_LOWER)


def read_as(source: Source) -> str:
    """What decides how bytes become rows: when it changes, a file is read again."""
    if source.format != "csv":
        return source.format
    dialect = source.csv
    return f"csv delimiter={dialect.delimiter!r} quote={dialect.quote} encoding={dialect.encoding}"


def ident(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _stage_csv(
    con: duckdb.DuckDBPyConnection, content: Content, dialect: Dialect, table: str
) -> Staged:
    raw, lines, blank = header(content.text, dialect)
    names = unique_names(raw)
    listed = ", ".join(ident(n) for n in names)
    # Of blank lines before the header DuckDB makes rows, or loses rows for them.
    if not blank and _parsed(con, content.text, names, dialect, table):
        # Temporary tables keep the order of the file, so rowid is the record's number.
        select = f"SELECT rowid + 1 AS _n, NULL::VARCHAR AS _bad_line, {listed} FROM {table}"
    else:
        with content.text.open(encoding="utf-8", newline="") as stream:
            for _ in range(lines):
                stream.readline()
            _from_python(con, table, names, csv_records(stream, len(names), dialect))
        select = f"SELECT _n, _bad_line, {listed} FROM {table}"
    return _counted(con, table, select, names, content)


def _parsed(
    con: duckdb.DuckDBPyConnection, path: Path, names: Sequence[str], dialect: Dialect, table: str
) -> bool:
    """Read a clean CSV file; false if it is not clean."""
    types = ", ".join(f"{quoted(n)}: 'VARCHAR'" for n in names)
    try:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM read_csv("
            f"{quoted(str(path))}, auto_detect = false, header = true,"
            f" delim = {quoted(dialect.delimiter)}, quote = {quoted(dialect.quote)},"
            f" escape = {quoted(dialect.quote)}, nullstr = '', columns = {{{types}}})"
        )
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return False
    return True


def _from_python(
    con: duckdb.DuckDBPyConnection,
    table: str,
    names: Sequence[str],
    records: Iterator[tuple[str | None, list[str | None]]],
) -> None:
    import pyarrow as pa

    schema = pa.schema(
        [("_n", pa.int64()), ("_bad_line", pa.string()), *((n, pa.string()) for n in names)]
    )

    def batches() -> Iterator[Any]:
        number = 0
        while True:
            chunk = list(itertools.islice(records, BATCH))
            if not chunk:
                return
            columns: list[Any] = [
                range(number + 1, number + len(chunk) + 1),
                [bad for bad, _ in chunk],
                *zip(*(values for _, values in chunk), strict=True),
            ]
            number += len(chunk)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    con.register("python_rows", pa.RecordBatchReader.from_batches(schema, batches()))
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM python_rows")
    finally:
        con.unregister("python_rows")


def _stage_ndjson(
    con: duckdb.DuckDBPyConnection, content: Content, needed: Sequence[str], table: str
) -> Staged:
    _stage_lines(con, content.text, table)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {table}_keys AS SELECT ks, count(*) AS n, max(rowid) AS last"
        f" FROM (SELECT rowid, CASE WHEN {SOUND} THEN json_keys(line) END AS ks FROM {table}"
        f" WHERE NOT {BLANK}) GROUP BY ks"
    )
    # Which of two equal keys counts, JSON leaves open: such a line is no row.
    doubled = "len(ks) <> len(list_distinct(ks))"
    twice = con.execute(f"SELECT count(*) FROM {table}_keys WHERE {doubled}").fetchall()[0][0]
    sound = SOUND
    if twice:
        con.execute(f"UPDATE {table}_keys SET ks = NULL WHERE {doubled}").fetchall()
        sound = f"(CASE WHEN {SOUND} THEN NOT {doubled.replace('ks', 'json_keys(line)')} END)"
    keys = con.execute(
        f"SELECT DISTINCT unnest(ks) AS k FROM {table}_keys ORDER BY k LIMIT {MOST_KEYS + 1}"
    ).fetchall()
    if len(keys) > MOST_KEYS:
        raise RefusedError(
            f"has more than {MOST_KEYS:,} different keys: put what varies one level down"
        )
    _refuse_one_document(con, table, alone=not keys)
    rows, broken, last = con.execute(
        "SELECT coalesce(sum(n), 0)::BIGINT, coalesce(sum(n) FILTER (WHERE ks IS NULL), 0)::BIGINT,"
        f" coalesce(arg_max(ks IS NULL, last), false) FROM {table}_keys"
    ).fetchall()[0]
    con.execute(f"DROP TABLE {table}_keys")
    if not rows:
        raise RefusedError("holds no line but blank ones: export it again, or delete it")
    wanted = {n.lower(): i for i, n in enumerate(needed)}
    if keys and wanted and not any(k.lower() in wanted for (k,) in keys):
        raise RefusedError("has none of the keys that are mapped: correct the mapping or the path")
    found = sorted(
        (k for (k,) in keys),
        key=lambda k: (wanted.get(k.lower(), len(wanted)), k not in needed, k),
    )
    _bounded(found, "put what varies one level down")
    names = unique_names(found)
    paths = ", ".join(quoted("/" + k.replace("~", "~0").replace("/", "~1")) for k in found)
    values = "".join(f", x[{i}] AS {ident(n)}" for i, n in enumerate(names, start=1))
    # Judging every line a second time is worth it only if some are not sound.
    line, bad = (
        (f"CASE WHEN {sound} THEN line END", f"CASE WHEN {sound} THEN NULL ELSE line END")
        if broken
        else ("line", "NULL::VARCHAR")
    )
    extract = f"json_extract_string({line}, [{paths}])" if found else "NULL"
    select = (
        f"SELECT _n, _bad_line{values} FROM (SELECT rowid + 1 AS _n, {bad} AS _bad_line,"
        f" {extract} AS x FROM {table} WHERE NOT {BLANK})"
    )
    return Staged(table, select, tuple(names), rows, broken, last and not content.whole)


def _refuse_one_document(con: duckdb.DuckDBPyConnection, table: str, *, alone: bool) -> None:
    """Refuse what is one JSON document over many lines; with `alone` also arrays in one line."""
    first = con.execute(
        f"SELECT starts_with(trim(line), '['), trim(line, ' \t') IN ('[', '{{'), json_valid(line)"
        f" FROM {table} WHERE NOT {BLANK} ORDER BY rowid LIMIT 1"
    ).fetchall()
    for array, opens, valid in first:
        if array and (alone or not valid):
            raise RefusedError("is a JSON array: export one object per line, or correct `format`")
        if opens:
            raise RefusedError("is one JSON object over many lines: export one object per line")


def _stage_lines(con: duckdb.DuckDBPyConnection, path: Path, table: str) -> None:
    """The lines of a file, blank ones too, in their order: rowid is the line's number from 0."""
    try:
        # No JSON holds a bare unit separator, so with it as delimiter a line is one value.
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM read_csv({quoted(str(path))},"
            f" auto_detect = false, header = false, delim = '{UNIT_SEPARATOR}', quote = '',"
            f" escape = '', columns = {{'line': 'VARCHAR'}}, max_line_size = {LONGEST_LINE})"
        )
        return
    except duckdb.Error:
        pass  # mixed line ends, a bare separator, a huge line: slower, but nothing stops it
    import pyarrow as pa

    schema = pa.schema([("line", pa.string())])

    def batches() -> Iterator[Any]:
        with path.open("rb") as stream:
            while block := stream.readlines(1 << 22):
                lines = pa.array([line.rstrip(b"\r\n") for line in block], pa.string())
                yield pa.RecordBatch.from_arrays([lines], schema=schema)

    con.register("python_rows", pa.RecordBatchReader.from_batches(schema, batches()))
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM python_rows")
    finally:
        con.unregister("python_rows")


def _stage_parquet(con: duckdb.DuckDBPyConnection, content: Content, table: str) -> Staged:
    source = f"read_parquet({quoted(str(content.text))})"
    try:
        described = con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        names = unique_names([row[0] for row in described])
        values = ", ".join(
            f"{_as_text(row[0], row[1])} AS {ident(name)}"
            for row, name in zip(described, names, strict=True)
        )
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {values} FROM {source}")
    except duckdb.Error:
        raise RefusedError("is not a sound parquet file: export or copy it again") from None
    listed = ", ".join(ident(n) for n in names)
    select = f"SELECT rowid + 1 AS _n, NULL::VARCHAR AS _bad_line, {listed} FROM {table}"
    return _counted(con, table, select, names, content)


def _as_text(column: str, type_name: str) -> str:
    name = ident(column)
    if type_name.endswith("]") or type_name.startswith(("STRUCT", "MAP", "UNION")):
        return f"to_json({name})::VARCHAR"
    if type_name == "BLOB":  # Spark and Impala write text so, unless they are told otherwise
        return f"coalesce(TRY(decode({name})), {name}::VARCHAR)"
    return f"{name}::VARCHAR"


def _counted(
    con: duckdb.DuckDBPyConnection, table: str, select: str, names: Sequence[str], content: Content
) -> Staged:
    rows, broken, last = con.execute(
        "SELECT count(*), count(_bad_line), coalesce(arg_max(_bad_line IS NOT NULL, _n), false)"
        f" FROM ({select})"
    ).fetchall()[0]
    return Staged(table, select, tuple(names), rows, broken, last and not content.whole)
