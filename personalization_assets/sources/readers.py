"""Read one whole file into temporary tables, every value as text, no line lost, in file order.

CSV goes through DuckDB's own parser when the file is clean. A file that it refuses is read again
line by line: a line that is no row of the table arrives as `_bad_line`, as received, and reading
goes on with the next. NDJSON lines are taken as they are; what is no JSON object is `_bad_line`.
"""

import csv
import difflib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from personalization_assets.sources.config import Dialect, Source
from personalization_assets.sources.files import Content, RefusedError
from personalization_assets.sources.platform import LINEAGE
from personalization_assets.sql_text import quoted

BATCH = 20_000
LONGEST_RECORD = 500
"""Lines that one quoted CSV record may span before its quote counts as never closed."""
LONGEST_LINE = 1 << 24
UNIT_SEPARATOR = "\x1f"
MOST_KEYS = 1_000
SOUND = r"(json_valid(line) AND regexp_matches(line, '^\s*\{'))"
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
        return unique_names(_header(content.text, source.csv)[0])
    if source.format == "parquet":
        try:
            described = con.execute(
                f"DESCRIBE SELECT * FROM read_parquet({quoted(str(content.text))})"
            ).fetchall()
        except duckdb.Error:
            raise RefusedError("is not a sound parquet file: export or copy it again") from None
        return unique_names([row[0] for row in described])
    return []


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
    """Column names that DuckDB can hold side by side: case does not tell them apart."""
    taken = {n.lower() for n in LINEAGE}
    result = []
    for position, raw in enumerate(names, start=1):
        base = name = raw.strip() or f"column_{position}"
        copy = 1
        while name.lower() in taken:
            copy += 1
            name = f"{base}_{copy}"
        taken.add(name.lower())
        result.append(name)
    return result


def read_as(source: Source) -> str:
    """What decides how bytes become rows: when it changes, a file is read again."""
    if source.format != "csv":
        return source.format
    dialect = source.csv
    return f"csv delimiter={dialect.delimiter!r} quote={dialect.quote} encoding={dialect.encoding}"


def ident(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _header(path: Path, dialect: Dialect) -> tuple[list[str], int]:
    """The names in the first record, and the number of lines it spans."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, **_csv_options(dialect))
        try:
            for names in reader:
                if names:
                    return names, reader.line_num
        except csv.Error:
            raise RefusedError(
                "has a first line that is no CSV header: check `csv.quote`"
            ) from None
    raise RefusedError("holds no header and no rows: export it again, or delete it")


def _csv_options(dialect: Dialect) -> dict[str, Any]:
    csv.field_size_limit(1 << 30)
    return {
        "delimiter": dialect.delimiter,
        "quotechar": dialect.quote or None,
        "quoting": csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        "strict": True,
    }


def _stage_csv(
    con: duckdb.DuckDBPyConnection, content: Content, dialect: Dialect, table: str
) -> Staged:
    raw, lines = _header(content.text, dialect)
    names = unique_names(raw)
    types = ", ".join(f"{quoted(n)}: 'VARCHAR'" for n in names)
    listed = ", ".join(ident(n) for n in names)
    try:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM read_csv("
            f"{quoted(str(content.text))}, auto_detect = false, header = true,"
            f" delim = {quoted(dialect.delimiter)}, quote = {quoted(dialect.quote)},"
            f" escape = {quoted(dialect.quote)}, nullstr = '', columns = {{{types}}})"
        )
        # Temporary tables keep the order of the file, so rowid is the record's number.
        select = f"SELECT rowid + 1 AS _n, NULL::VARCHAR AS _bad_line, {listed} FROM {table}"
    except duckdb.Error:
        with content.text.open(encoding="utf-8", newline="") as stream:
            for _ in range(lines):
                stream.readline()
            _from_python(con, table, names, csv_records(stream, len(names), dialect))
        select = f"SELECT _n, _bad_line, {listed} FROM {table}"
    return _counted(con, table, select, names, content)


def csv_records(
    lines: Iterable[str], width: int, dialect: Dialect
) -> Iterator[tuple[str | None, list[str | None]]]:
    """Every record of a CSV file as (bad line, values): exactly one of the two says something.

    A record that does not have `width` values, or whose quotes do not match, gives its first line
    as bad, and the line after it is tried as a new record.
    """
    options = _csv_options(dialect)
    quote, delimiter = dialect.quote, dialect.delimiter
    nothing: list[str | None] = [None] * width
    feed = iter(lines)
    ahead: list[str] = []
    while True:
        line = ahead.pop(0) if ahead else next(feed, None)
        if line is None:
            return
        bare = line.rstrip("\r\n")
        if not bare and width > 1:
            continue
        if not quote or quote not in bare:
            split = bare.split(delimiter)
            if len(split) == width:
                yield None, [v or None for v in split]
            else:
                yield bare, nothing
            continue
        values, used = _quoted_record(line, feed, ahead, options, width)
        if values is None:
            yield bare, nothing
        else:
            del ahead[:used]
            yield None, [v or None for v in values]


def _quoted_record(
    first: str, feed: Iterator[str], ahead: list[str], options: dict[str, Any], width: int
) -> tuple[list[str] | None, int]:
    """The record that starts in `first`, and how many lines of `ahead` it took; None if broken."""
    record = first
    for used in range(LONGEST_RECORD):
        reader = csv.reader(io.StringIO(record, newline=""), **options)
        try:
            values = next(reader)
        except (csv.Error, StopIteration) as error:
            if "unexpected end of data" not in str(error):
                return None, 0
        else:
            return (values, used) if len(values) == width else (None, 0)
        if used == len(ahead):
            following = next(feed, None)
            if following is None:
                return None, 0
            ahead.append(following)
        record += ahead[used]
    return None, 0


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
            chunk = [r for r, _ in zip(records, range(BATCH), strict=False)]
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
    keys = con.execute(
        f"SELECT DISTINCT unnest(ks) AS k FROM {table}_keys ORDER BY k LIMIT {MOST_KEYS + 1}"
    ).fetchall()
    if len(keys) > MOST_KEYS:
        raise RefusedError(
            f"has more than {MOST_KEYS:,} different keys: put what varies one level down"
        )
    if not keys:
        start = con.execute(f"SELECT count(*) FROM {table} WHERE starts_with(line, '[')").fetchall()
        if start[0][0]:
            raise RefusedError("is a JSON array: export one object per line, or correct `format`")
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
    names = unique_names(found)
    paths = ", ".join(quoted("/" + k.replace("~", "~0").replace("/", "~1")) for k in found)
    values = "".join(f", x[{i}] AS {ident(n)}" for i, n in enumerate(names, start=1))
    # Judging every line a second time is worth it only if some are not sound.
    line, bad = (
        (f"CASE WHEN {SOUND} THEN line END", f"CASE WHEN NOT {SOUND} THEN line END")
        if broken
        else ("line", "NULL::VARCHAR")
    )
    extract = f"json_extract_string({line}, [{paths}])" if found else "NULL"
    select = (
        f"SELECT _n, _bad_line{values} FROM (SELECT rowid + 1 AS _n, {bad} AS _bad_line,"
        f" {extract} AS x FROM {table} WHERE NOT {BLANK})"
    )
    return Staged(table, select, tuple(names), rows, broken, last and not content.whole)


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
    source = f"read_parquet({quoted(str(content.text))}, file_row_number = true)"
    try:
        described = con.execute(
            f"DESCRIBE SELECT * EXCLUDE file_row_number FROM {source}"
        ).fetchall()
        names = unique_names([row[0] for row in described])
        values = ", ".join(
            f"{_as_text(row[0], row[1])} AS {ident(name)}"
            for row, name in zip(described, names, strict=True)
        )
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS"
            f" SELECT file_row_number + 1 AS _n, {values} FROM {source}"
        )
    except duckdb.Error:
        raise RefusedError("is not a sound parquet file: export or copy it again") from None
    listed = ", ".join(ident(n) for n in names)
    select = f"SELECT _n, NULL::VARCHAR AS _bad_line, {listed} FROM {table}"
    return _counted(con, table, select, names, content)


def _as_text(column: str, type_name: str) -> str:
    nested = type_name.endswith("]") or type_name.startswith(("STRUCT", "MAP", "UNION"))
    return f"to_json({ident(column)})::VARCHAR" if nested else f"{ident(column)}::VARCHAR"


def _counted(
    con: duckdb.DuckDBPyConnection, table: str, select: str, names: Sequence[str], content: Content
) -> Staged:
    rows, broken, last = con.execute(
        "SELECT count(*), count(_bad_line), coalesce(arg_max(_bad_line IS NOT NULL, _n), false)"
        f" FROM ({select})"
    ).fetchall()[0]
    return Staged(table, select, tuple(names), rows, broken, last and not content.whole)
