"""Put a source's columns under the platform's names, as one SELECT per feed.

Every value stays text; typing and judging it is the standardized room's work.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb

from personalization_assets import warehouse as wh
from personalization_assets.errors import UserError
from personalization_assets.sources import platform
from personalization_assets.sources.config import Feed, Mapped, Source, SourcesConfig
from personalization_assets.sources.expressions import check, needed_columns
from personalization_assets.sources.readers import ident
from personalization_assets.sql_text import quoted
from personalization_assets.warehouse import Query

GA4_VALUE = (
    '[{"key":"VARCHAR","value":{"string_value":"VARCHAR","int_value":"VARCHAR",'
    '"double_value":"VARCHAR","float_value":"VARCHAR"}}]'
)
MACROS = (
    # The value of one parameter in the GA4 export's list of {key, value: {..._value}}.
    "CREATE OR REPLACE TEMP MACRO event_param(params, name) AS (SELECT"
    " coalesce(v.string_value, v.int_value, v.double_value, v.float_value) FROM (SELECT"
    f" list_filter(from_json(params, '{GA4_VALUE}'), lambda p: p.key = name)[1].value AS v))",
)
"""Functions of ours for SQL in `sources.yaml`: `event_param(event_params, 'page_location')`."""


def feed_rows(
    con: duckdb.DuckDBPyConnection,
    config: SourcesConfig,
    name: str,
    table: str,
    known: Mapping[str, Sequence[str]] = platform.COLUMNS,
) -> Query:
    """The rows that a source gives to a standardized table.

    Columns, all text: every column of `known[table]` (null where the feed maps none), `_batch_id`,
    `_row_key` and `_bad_line`. Labels are translated, whatever their case. `account_key` comes as
    the source has it, without its system. A line that could not be read comes once, with the
    source's first feed, with `_bad_line` set and all else null. With `one_row_per`, `_row_key` is
    the first of the group's; records without a key stay rows of their own.

    The query refers to tables and functions of `con`; its order is not promised, `_row_key` is.

    Raises:
        UserError: a column or an expression does not fit the source; names source, feed, column.
    """
    source = config.sources[name]
    feed = source.feeds[table]
    for macro in MACROS:
        con.execute(macro)
    if not wh.exists(con, f"sources.{name}"):
        raise UserError(f"The source {name} was never loaded: materialize sources/{name} first.")
    query = Query(_select(name, source, table, feed, known[table]))
    with feed_errors(con, config, name, table):
        con.execute(f"DESCRIBE {query}").fetchall()
    return query


def try_out(config: SourcesConfig) -> None:
    """Check all SQL of a sources file against empty tables, before any data is touched.

    Finds what is no SQL, functions that do not exist and types that do not fit; what only fails on
    a value comes out in the run.

    Raises:
        UserError: the first expression that cannot be computed, and where it is in the file.
    """
    check(config)
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA sources")
        for name, source in config.sources.items():
            columns = [*platform.LINEAGE, *needed_columns(source)]
            ddl = ", ".join(f"{ident(column)} VARCHAR" for column in columns)
            con.execute(f"CREATE TABLE sources.{ident(name)} ({ddl})")
            for table in source.feeds:
                feed_rows(con, config, name, table)


@contextmanager
def feed_errors(
    con: duckdb.DuckDBPyConnection, config: SourcesConfig, name: str, table: str
) -> Iterator[None]:
    """Run a query of `feed_rows` inside: what goes wrong names the place in `sources.yaml`.

    Raises:
        UserError: without the value that was at fault; it may be personal.
    """
    try:
        yield
    except duckdb.Error as error:
        found = _culprit(con, config.sources[name], name, table)
        if found is None:
            raise
        place, cause = found
        unloaded = _not_loaded(con, config.sources[name], name)
        if unloaded and isinstance(cause, duckdb.BinderException):
            raise UserError(
                f"{config.file}: `sources.{name}.feeds.{table}.{place}` needs the column "
                f"`{unloaded[0]}`, which {name} had not when it was last loaded: materialize "
                f"sources/{name}, then this table."
            ) from None
        bound = isinstance(
            cause, duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException
        )
        reason = (
            " ".join(str(cause).split("\n")[0].split()) if bound else "fails on a value of a row"
        )
        advice = "correct the expression" if bound else "use TRY_CAST or TRY(...) for odd values"
        raise UserError(
            f"{config.file}: `sources.{name}.feeds.{table}.{place}` cannot be computed: {reason}; "
            f"{advice}."
        ) from (error if bound else None)


def payload_query(con: duckdb.DuckDBPyConnection, name: str, keys: str) -> Query:
    """Raw rows as JSON text (`_row_key`, `payload`) of the row keys in relation `keys`.

    `keys` needs a column `_row_key`. A line that could not be read is its own payload. Of a row
    that several raw rows made, this is the first.
    """
    columns = [
        row[0]
        for row in con.execute(f"DESCRIBE sources.{ident(name)}").fetchall()
        if row[0] not in platform.LINEAGE
    ]
    fields = ", ".join(f"{quoted(c)}, r.{ident(c)}" for c in columns)
    return Query(
        f"SELECT r._row_key, coalesce(r._bad_line, json_object({fields})::VARCHAR) AS payload"
        f" FROM sources.{ident(name)} r SEMI JOIN {keys} k ON r._row_key = k._row_key"
    )


def _select(name: str, source: Source, table: str, feed: Feed, columns: Sequence[str]) -> str:
    raw = f"sources.{ident(name)}"
    where = f" AND (\n{feed.where}\n)" if feed.where else ""
    values = ", ".join(f"{_value(c, feed)} AS {ident(c)}" for c in columns)
    if feed.one_row_per:
        keys = ", ".join(ident(k) for k in feed.one_row_per)
        alone = " OR ".join(f"{ident(k)} IS NULL" for k in feed.one_row_per)
        lineage = "arg_min(_batch_id, _row_key) AS _batch_id, min(_row_key) AS _row_key"
        group = f" GROUP BY {keys}, CASE WHEN {alone} THEN _row_key END"
    else:
        lineage, group = "_batch_id, _row_key", ""
    query = (
        f"SELECT {values}, {lineage}, NULL::VARCHAR AS _bad_line"
        f" FROM {raw} WHERE _bad_line IS NULL{where}{group}"
    )
    if table == next(iter(source.feeds)):
        nothing = ", ".join(f"NULL::VARCHAR AS {ident(c)}" for c in columns)
        query += (
            f" UNION ALL SELECT {nothing}, _batch_id, _row_key, _bad_line"
            f" FROM {raw} WHERE _bad_line IS NOT NULL"
        )
    return query


def _value(column: str, feed: Feed) -> str:
    mapped = feed.columns.get(column)
    if mapped is None:
        return "NULL::VARCHAR"
    value = _plain(mapped, bool(feed.one_row_per))
    labels = feed.labels.get(column)
    if not labels:
        return value
    cases = " ".join(
        f"WHEN {quoted(label.strip().lower())} THEN {quoted(meant)}"
        for label, meant in labels.items()
    )
    return f"CASE lower(trim({value})) {cases} ELSE {value} END"


def _plain(mapped: Mapped, grouped: bool) -> str:
    if mapped.column is not None:
        column = ident(mapped.column)
        # arg_min passes over rows where the column is null: the first value in file order.
        return f"arg_min({column}, _row_key)" if grouped else column
    if mapped.sql is not None:
        return f"(\n{mapped.sql}\n)::VARCHAR"
    constant = mapped.constant
    if constant is None:
        return "NULL::VARCHAR"
    return quoted(str(constant).lower() if isinstance(constant, bool) else str(constant))


def _not_loaded(con: duckdb.DuckDBPyConnection, source: Source, name: str) -> list[str]:
    """Mapped columns that the source's table lacks: mapped since it was last loaded."""
    have = {row[0].lower() for row in con.execute(f"DESCRIBE sources.{ident(name)}").fetchall()}
    return [c for c in needed_columns(source) if c.lower() not in have]


def _culprit(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, table: str
) -> tuple[str, duckdb.Error] | None:
    """The first part of a feed that fails on its own, and how."""
    feed = source.feeds[table]
    raw = f"sources.{ident(name)}"
    where = f" AND (\n{feed.where}\n)" if feed.where else ""
    group = f" GROUP BY {', '.join(ident(k) for k in feed.one_row_per)}" if feed.one_row_per else ""
    trials = []
    if feed.where:
        trials.append(("where", f"SELECT count(*) FROM {raw} WHERE _bad_line IS NULL{where}"))
    trials += [("one_row_per", f"SELECT max({ident(key)}) FROM {raw}") for key in feed.one_row_per]
    trials += [
        (
            f"columns.{column}",
            f"SELECT max(v) FROM (SELECT {_plain(mapped, bool(group))} AS v"
            f" FROM {raw} WHERE _bad_line IS NULL{where}{group})",
        )
        for column, mapped in feed.columns.items()
    ]
    for place, query in trials:
        try:
            con.execute(query).fetchall()
        except duckdb.Error as error:
            return place, error
    return None
