"""The SQL that `sources.yaml` may hold: one expression over the columns of one source.

No other table, no file, no clock and no chance: the same rows must always give the same values.
"""

from collections.abc import Iterator
from functools import lru_cache

from personalization_assets.errors import UserError
from personalization_assets.sources.config import Source, SourcesConfig
from personalization_assets.sources.platform import LINEAGE

REACHES_OUT = frozenset(
    {"read_text", "read_blob", "read_csv", "read_csv_auto", "read_json", "read_json_auto"}
    | {"read_ndjson", "read_parquet", "parquet_scan", "glob", "getenv", "query", "query_table"}
    | {"duckdb_settings", "current_setting", "getvariable", "nextval", "currval"}
    | {"txid_current", "which_secret"}
)
CHANGES = frozenset(
    {"now", "today", "current_date", "current_time", "current_timestamp", "current_localtime"}
    | {"current_localtimestamp", "get_current_time", "get_current_timestamp", "rand", "random"}
    | {"transaction_timestamp", "setseed", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "hash"}
)
"""`hash` is among them because DuckDB may change it from version to version."""


def columns_of(expression: str) -> tuple[str, ...]:
    """The source columns that an expression reads, in order of appearance.

    Raises:
        ValueError: it is not one expression, or it reaches beyond its row; says which.
    """
    return _parsed(expression)


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> tuple[str, ...]:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        # The line breaks keep a trailing `-- comment` from swallowing the bracket.
        trees = sqlglot.parse(f"SELECT (\n{expression}\n)", read="duckdb")
    except SqlglotError:
        raise ValueError("is not a SQL expression that can be read") from None
    tree = trees[0]
    alone = len(trees) == 1 and isinstance(tree, exp.Select) and len(tree.expressions) == 1
    if not alone or tree is None or any(v for k, v in tree.args.items() if k != "expressions"):
        raise ValueError("must be a single SQL expression")
    if (
        tree.find(exp.Subquery, exp.Table, exp.SetOperation)
        or len(list(tree.find_all(exp.Select))) > 1
    ):
        raise ValueError("must not read other tables or hold a SELECT of its own")
    for function in tree.find_all(exp.Func):
        name = (
            function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        ).lower()
        if name in REACHES_OUT:
            raise ValueError(f"must not call {name}(), it reaches beyond the row")
        if name in CHANGES:
            raise ValueError(f"must not call {name}(), its value changes from run to run")
    return tuple(dict.fromkeys(column.name for column in tree.find_all(exp.Column) if column.name))


def expressions_of(name: str, source: Source) -> Iterator[tuple[str, str]]:
    """Every SQL text of a source with its place in the file."""
    for table, feed in source.feeds.items():
        at = f"sources.{name}.feeds.{table}"
        if feed.where:
            yield f"{at}.where", feed.where
        for column, mapped in feed.columns.items():
            if mapped.sql:
                yield f"{at}.columns.{column}", mapped.sql


def check(config: SourcesConfig) -> None:
    """Check all SQL of the file, without data.

    Raises:
        UserError: the first expression that may not be there.
    """
    for name, source in config.sources.items():
        for where, text in expressions_of(name, source):
            try:
                columns_of(text)
            except ValueError as problem:
                raise UserError(f"{config.file}: `{where}` {problem}: `{text.strip()}`.") from None


def needed_columns(source: Source) -> list[str]:
    """Columns that a file of the source must have: those that a feed names, or reads in SQL."""
    names = source.mapped_columns()
    for _, text in expressions_of("", source):
        names.extend(columns_of(text))
    unique: dict[str, str] = {}
    for column in names:
        if column not in LINEAGE:
            unique.setdefault(column.lower(), column)
    return list(unique.values())
