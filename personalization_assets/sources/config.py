"""`sources.yaml`: where the extracts lie and what their columns mean, checked when it is read.

Quick to import: Dagster reads the file each time the code location loads.
"""

import difflib
import os
import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from personalization_assets.errors import UserError
from personalization_assets.sources import platform

Known = Mapping[str, Sequence[str]]


def _time_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is not a time zone, write it like Europe/Berlin") from None
    return name


def _encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(
            f"'{name}' is not an encoding, write it like utf-8, cp1252, latin-1 or utf-16"
        ) from None
    return name


class Part(BaseModel):
    """A part of the file; a key that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Dialect(Part):
    """How a CSV file is written."""

    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Between values")
    quote: str = Field(default='"', max_length=1, description="Around values; empty for none")
    encoding: Annotated[str, AfterValidator(_encoding)] = Field(
        default="utf-8", description="Character encoding; a byte order mark in the file wins"
    )
    decimal: Literal[".", ","] = Field(default=".", description="Decimal sign of numbers")


class Mapped(Part):
    """What fills a column: a column of the source, a SQL expression over them, or a constant."""

    column: str | None = Field(default=None, min_length=1, description="Column of the source")
    sql: str | None = Field(default=None, min_length=1, description="DuckDB expression")
    constant: str | int | float | bool | None = Field(
        default=None, description="The same for all rows"
    )


class Feed(Part):
    """How rows of a source become rows of one standardized table."""

    columns: dict[str, Mapped] = Field(min_length=1, description="The platform's column: mapping")
    account_system: str | None = Field(
        default=None,
        min_length=1,
        description="Prefix of account_key, as in 'shop:12346'; the source's name if not given",
    )
    orders_of: str | None = Field(
        default=None,
        description="Source of the orders that these order_lines belong to; itself if not given",
    )
    where: str | None = Field(
        default=None, min_length=1, description="SQL condition: rows meant for this table"
    )
    one_row_per: tuple[str, ...] = Field(
        default=(), description="Source columns whose equal values make one row"
    )
    labels: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Per column: the source's label to the platform's"
    )


class Source(Part):
    """One extract: its files, how they are read, and the tables that they feed."""

    description: str = Field(default="", description="What it is, in words")
    owner: str = Field(
        default="team:data",
        pattern=r"^(team:[A-Za-z0-9_-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$",
        description="team:name or an e-mail address",
    )
    path: str = Field(min_length=1, description="File, folder or glob, relative to `root`")
    format: Literal["csv", "ndjson", "parquet"] = Field(description="csv, ndjson or parquet")
    csv: Dialect = Field(default_factory=Dialect, description="How the CSV files are written")
    growing: bool = Field(
        default=False,
        description="Files are logs: one that starts anew keeps the rows of the one before",
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="UTC", description="Of times that name no zone"
    )
    date_order: Literal["dmy", "mdy", "ymd"] = Field(
        default="ymd", description="How 03/04/2024 is read, for the whole source"
    )
    currency: str | None = Field(
        default=None, pattern="^[A-Z]{3}$", description="ISO 4217 code, where rows name none"
    )
    country: str | None = Field(
        default=None, pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2 code, likewise"
    )
    verified: tuple[str, ...] = Field(
        default=(), description="Identifiers that the system has verified"
    )
    feeds: dict[str, Feed] = Field(min_length=1, description="Standardized table: mapping")

    def mapped_columns(self) -> list[str]:
        """Columns of the source that some feed names outright, in the order of the file."""
        names = [
            name
            for feed in self.feeds.values()
            for name in [*(m.column for m in feed.columns.values()), *feed.one_row_per]
        ]
        return list(dict.fromkeys(n for n in names if n is not None))


class SourcesConfig(Part):
    """The whole file."""

    version: Literal[1] = Field(default=1, description="Version of this format")
    root: str | None = Field(
        default=None, description="Folder that paths start from; the file's own if not given"
    )
    sources: dict[str, Source] = Field(description="Name of the source: what it is")
    _file: Path = PrivateAttr(default=Path("sources.yaml"))

    @property
    def file(self) -> Path:
        """The file that this was read from."""
        return self._file

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self._file.parent / _expanded(self.root or "", f"{self._file}: `root`")

    def pattern(self, name: str) -> Path:
        """A source's path, environment variables filled in, relative to `base`."""
        where = f"{self._file}: `sources.{name}.path`"
        return self.base / _expanded(self.sources[name].path, where)

    def feeds_of(self, table: str) -> list[tuple[str, Source, Feed]]:
        """The sources that feed a standardized table, in the order of the file."""
        return [(n, s, s.feeds[table]) for n, s in self.sources.items() if table in s.feeds]


def load_sources(path: Path, known: Known | None = None) -> SourcesConfig:
    """Read and check `sources.yaml`.

    `known` are the standardized tables and the columns that may be mapped; by default the
    platform's own. SQL inside the file is checked by `expressions.check`, which needs more time.

    Raises:
        UserError: the first mistake in the file, where it is and what to do.
    """
    raw = _read(path)
    tables = known or platform.COLUMNS
    for where, problem in _problems(raw, tables):
        raise UserError(f"{path}: `{where}` {problem}")
    try:
        config = SourcesConfig.model_validate(_normal(raw))
    except ValidationError as error:
        raise UserError(f"{path}: {_in_words(error)}") from None
    config._file = path
    for name in config.sources:
        config.pattern(name)
    return config


def json_schema() -> dict[str, Any]:
    """The format as JSON schema, for editors that complete and check as one types."""
    schema = SourcesConfig.model_json_schema()
    schema["title"] = "sources.yaml"
    mapped = schema["$defs"]["Mapped"]
    mapped["properties"].pop("column")
    mapped |= {"minProperties": 1, "maxProperties": 1}
    feed = schema["$defs"]["Feed"]["properties"]
    feed["columns"]["additionalProperties"] = {
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/Mapped"}]
    }
    feed["one_row_per"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": feed["one_row_per"]["description"],
    }
    schema["$defs"]["Source"]["properties"]["feeds"]["propertyNames"] = {
        "enum": list(platform.COLUMNS)
    }
    return schema


class _Loader(yaml.SafeLoader):
    """YAML without surprises: keys, dates and words such as `NO` stay text, no key comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        mapping: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key must be a word", problem_mark=key.start_mark
                )
            if key.value in mapping:
                raise yaml.MarkedYAMLError(
                    problem=f"'{key.value}' is there twice", problem_mark=key.start_mark
                )
            mapping[key.value] = self.construct_object(value, deep=deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(true|false|True|False)$"), list("tTfF")
)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(
            f"There is no sources file {path}: create it, or name another with --sources."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text ({type(error).__name__}).") from None
    try:
        raw = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise UserError(
            f"{path} is not readable YAML at {place}: {error.problem}; correct that line."
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not readable YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("sources"), dict):
        raise UserError(f"{path} must hold `version: 1` and `sources:` with one entry per source.")
    return raw


def _problems(raw: dict[str, Any], known: Known) -> Iterator[tuple[str, str]]:
    """Names that nobody knows, and what the types alone cannot say."""
    yield from _unknown("", raw, SourcesConfig.model_fields)
    feeds = {n: s.get("feeds") for n, s in raw["sources"].items() if isinstance(s, dict)}
    sellers = [n for n, fed in feeds.items() if isinstance(fed, dict) and "orders" in fed]
    for name, source in raw["sources"].items():
        at = f"sources.{name}"
        if not re.fullmatch("[a-z][a-z0-9_]*", str(name)) or name == "files":
            yield at, "is not a usable name: use small letters, digits and _, and not `files`."
        if not isinstance(source, dict):
            yield at, "must hold `path:`, `format:` and `feeds:`."
            continue
        yield from _unknown(at, source, Source.model_fields)
        if isinstance(source.get("csv"), dict):
            yield from _unknown(f"{at}.csv", source["csv"], Dialect.model_fields)
        if isinstance(source.get("feeds"), dict):
            for table, feed in source["feeds"].items():
                yield from _feed_problems(f"{at}.feeds", str(table), feed, known, sellers)


def _feed_problems(
    at: str, table: str, feed: Any, known: Known, sellers: list[str]
) -> Iterator[tuple[str, str]]:
    here = f"{at}.{table}"
    if table not in known:
        yield here, f"is not a standardized table{_meant(table, known)}."
        return
    if not isinstance(feed, dict) or not isinstance(feed.get("columns"), dict):
        yield here, "must hold `columns:` with the platform's column: the source's column."
        return
    yield from _unknown(here, feed, Feed.model_fields)
    for column, value in feed["columns"].items():
        spot = f"{here}.columns.{column}"
        if column not in known[table]:
            yield (
                spot,
                f"is not a column of {table} that can be filled{_meant(column, known[table])}.",
            )
        if isinstance(value, dict):
            if len(value) != 1 or not set(value) <= {"sql", "constant"}:
                yield spot, "must be a column's name, {sql: ...} or {constant: ...}."
        elif not isinstance(value, str):
            yield spot, "must be the name of a column of the source: put it in quotes."
    for column in feed.get("labels") or {}:
        if column not in feed["columns"]:
            yield (
                f"{here}.labels.{column}",
                f"names a column that `columns` does not fill{_meant(column, feed['columns'])}.",
            )
    orders_of = feed.get("orders_of")
    if orders_of is not None and table != "order_lines":
        yield f"{here}.orders_of", "is for an order_lines feed only: remove it."
    elif orders_of is not None and orders_of not in sellers:
        way_out = _meant(orders_of, sellers) if sellers else ": no source does, remove it"
        yield f"{here}.orders_of", f"is not a source that feeds orders{way_out}."
    needed = platform.REQUIRED.get(table, ())
    if needed and not set(needed) & set(feed["columns"]):
        yield f"{here}.columns", f"must fill {' or '.join(f'`{n}`' for n in needed)}: add it."


def _unknown(at: str, given: dict[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in given:
        if key not in known:
            yield f"{at}.{key}".lstrip("."), f"is not a setting{_meant(key, known)}."


def _meant(word: Any, known: Mapping[str, Any] | Sequence[str]) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f": did you mean `{close[0]}`" if close else f": use one of {', '.join(known)}"


def _normal(raw: dict[str, Any]) -> dict[str, Any]:
    """Short forms written out: a bare name is a column, one `one_row_per` is a list of one."""

    def feed(value: dict[str, Any]) -> dict[str, Any]:
        columns = {
            k: {"column": v} if isinstance(v, str) else v for k, v in value["columns"].items()
        }
        per = value.get("one_row_per", ())
        labels = value.get("labels") or {}
        if isinstance(labels, dict) and all(isinstance(v, dict) for v in labels.values()):
            labels = {c: {_text(k): _text(v) for k, v in m.items()} for c, m in labels.items()}
        return {
            **value,
            "columns": columns,
            "one_row_per": (per,) if isinstance(per, str) else per,
            "labels": labels,
        }

    def source(value: dict[str, Any]) -> dict[str, Any]:
        feeds = value.get("feeds")
        return (
            {**value, "feeds": {k: feed(v) for k, v in feeds.items()}}
            if isinstance(feeds, dict)
            else value
        )

    return {**raw, "sources": {k: source(v) for k, v in raw["sources"].items()}}


def _text(value: Any) -> Any:
    """A label that YAML took for a number or a truth value, as the text it was."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _in_words(error: ValidationError) -> str:
    errors = error.errors()
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        text = f"`{where}` is missing: add it"
    else:
        message = first["msg"].removeprefix("Value error, ")
        text = f"`{where}` is not valid: {message[0].lower() + message[1:]}"
    more = f" (and {len(errors) - 1} more to correct)" if len(errors) > 1 else ""
    return f"{text}{more}."


def _expanded(text: str, where: str) -> str:
    """Fill in `${NAME}` and `${NAME:-default}` from the environment."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], match[2])
        if found is None:
            raise UserError(
                f"{where} uses the environment variable {match[1]}, which is not set: set it or "
                f"write the folder into the file."
            )
        return found

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)
