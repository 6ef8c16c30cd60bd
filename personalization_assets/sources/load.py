"""Bring a source's files into its table: new and changed ones only, all of them or none.

`sources.files` remembers every version of every file that was loaded or refused. Files are read
into temporary tables first; then one transaction deletes what is superseded, inserts what is new
and writes down both.
"""

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from personalization_assets import warehouse as wh
from personalization_assets.sources import files, readers
from personalization_assets.sources.config import Source, SourcesConfig
from personalization_assets.sources.expressions import needed_columns
from personalization_assets.sources.files_table import create_files_table, write_version
from personalization_assets.sources.missing import Missing, missing_columns
from personalization_assets.sources.platform import LINEAGE
from personalization_assets.sources.readers import Staged, folded, ident, read_as
from personalization_assets.sources.settings import SourcesSettings
from personalization_assets.sql_text import quoted


@dataclass
class Report:
    """What a run did with one source. Names of files and columns, never a value."""

    rows: int = 0
    rows_loaded: int = 0
    bad_lines: int = 0
    loaded: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    vanished: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    changed: bool = False

    def problems(self) -> list[str]:
        """One sentence for each file that somebody has to look at."""
        return [f"{name} {reason}." for name, reason in self.refused.items()]


@dataclass
class _New:
    content: files.Content
    staged: Staged
    supersedes: list[str]
    changes: str | None


@dataclass(frozen=True)
class _Version:
    batch_id: str
    size: int
    status: str
    reason: str | None
    read_as: str
    columns: tuple[str, ...]


def load_source(
    con: duckdb.DuckDBPyConnection,
    config: SourcesConfig,
    name: str,
    as_of: dt.datetime,
    settings: SourcesSettings | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], Any] = time.sleep,
) -> Report:
    """Load what is new or changed among the files of a source into `sources.<name>`.

    A file that cannot be read is refused with its reason and stops nothing; the rows of its last
    good version stay. So do the rows of a file that is no longer there. A file that has lost a
    mapped column is loaded, empty in it, and reported. Without any file, the table is empty and has
    the columns that the feeds name.

    Grain of the table: one row per record of a file. Key: `_row_key`.
    """
    settings = settings or SourcesSettings()
    source = config.sources[name]
    report = Report()
    found = files.discover(config.pattern(name), config.base, source.format)
    report.waiting = files.settled(found, settings, now, sleep)
    create_files_table(con)
    history = _history(con, name)
    with tempfile.TemporaryDirectory(prefix="sources_") as scratch:
        contents = _contents(found, source, Path(scratch), history, settings, now(), report)
        new = _staged(con, source, contents, history, settings, now(), report)
        try:
            _publish(con, name, source, found, new, history, as_of, report)
        finally:
            for item in new:
                con.execute(f"DROP TABLE IF EXISTS temp.{item.staged.table}")
    names = {f.name for f in found}
    report.vanished = sorted(
        p for p, all_ in history.items() if p not in names and any(_is_current(v) for v in all_)
    )
    if not found:
        report.notes.append(f"no file matches {source.path}")
    if report.vanished:
        report.notes.append(f"{len(report.vanished)} files are gone, their rows stay")
    report.missing = missing_columns(con, name, source)
    report.rows = con.execute(f"SELECT count(*) FROM sources.{ident(name)}").fetchall()[0][0]
    return report


def _is_current(version: _Version) -> bool:
    return version.status == "current"


def _history(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, list[_Version]]:
    rows = con.execute(
        "SELECT path, batch_id, bytes, status, reason, read_as, columns FROM sources.files"
        " WHERE source = ? ORDER BY path, loaded_as_of, batch_id",
        [name],
    ).fetchall()
    history: dict[str, list[_Version]] = {}
    for path, batch_id, size, status, reason, read, columns in rows:
        version = _Version(batch_id, size, status, reason, read, tuple(columns or ()))
        history.setdefault(path, []).append(version)
    return history


def _contents(
    found: Sequence[files.Found],
    source: Source,
    scratch: Path,
    history: dict[str, list[_Version]],
    settings: SourcesSettings,
    now: float,
    report: Report,
) -> list[files.Content]:
    """Fingerprints of all files that can be read as a whole."""
    contents = []
    for file in found:
        if file.name in report.waiting:
            continue
        lengths = [v.size for v in history.get(file.name, []) if _is_current(v)]
        stale = now - file.modified_ns / 1e9 > settings.stale_seconds
        try:
            contents.append(
                files.read(file, source, scratch, lengths if source.growing else (), stale)
            )
        except files.WaitError as why:
            report.waiting[file.name] = str(why)
        except files.RefusedError as why:
            report.refused[file.name] = str(why)
    return contents


def _staged(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    contents: Sequence[files.Content],
    history: dict[str, list[_Version]],
    settings: SourcesSettings,
    now: float,
    report: Report,
) -> list[_New]:
    """Read the new and changed files into temporary tables."""
    needed = needed_columns(source)
    columns: dict[str, list[str]] = {}
    known = {folded(c) for all_ in history.values() for v in all_ for c in v.columns}
    for content in contents:
        try:
            columns[content.found.name] = readers.columns_of(con, content, source)
        except files.RefusedError as why:
            report.refused[content.found.name] = str(why)
        except OSError:
            report.waiting[content.found.name] = "it changed while it was read"
    known.update(folded(c) for names in columns.values() for c in names)
    new: list[_New] = []
    for content in contents:
        file = content.found
        if file.name not in columns:
            continue
        lacking = _lacking(columns[file.name], needed, known) if source.format != "ndjson" else None
        if lacking:
            report.refused[file.name] = readers.missing_column(
                lacking, columns[file.name], source.csv
            )
            continue
        current = [v for v in history.get(file.name, []) if _is_current(v)]
        if any(v.batch_id == content.batch_id and v.read_as == read_as(source) for v in current):
            report.unchanged.append(file.name)
            continue
        try:
            staged = readers.stage(con, content, source, needed, f"staged_{len(new)}")
        except files.RefusedError as why:
            report.refused[file.name] = str(why)
            continue
        except (
            duckdb.InvalidInputException,
            duckdb.OutOfMemoryException,
            OSError,
            UnicodeError,
        ) as error:
            kind = type(error).__name__
            report.refused[file.name] = (
                f"cannot be read as {source.format} ({kind}): export it again, or correct `format`"
            )
            continue
        if not files.unchanged(file):
            report.waiting[file.name] = "it changed while it was read"
            con.execute(f"DROP TABLE temp.{staged.table}")
            continue
        stale = now - file.modified_ns / 1e9 > settings.stale_seconds
        if staged.ends_badly and not stale:
            report.waiting[file.name] = "its last line is not finished"
            con.execute(f"DROP TABLE temp.{staged.table}")
            continue
        supersedes = [
            v.batch_id
            for v in current
            if not source.growing
            or content.prefixes.get(v.size) == v.batch_id
            or v.batch_id == content.batch_id
        ]
        before = current[-1].columns if current else None
        new.append(_New(content, staged, supersedes, _changes(before, staged.columns)))
    return new


def _lacking(columns: Sequence[str], needed: Sequence[str], known: set[str]) -> str | None:
    """The first needed column that speaks against a file: the mapping or the file is another's.

    That is one that no file ever had, or any if the file has none of them. A file that lacks a
    column which others had is loaded without; `missing_columns` tells of it.
    """
    have = {folded(c) for c in columns}
    absent = [c for c in needed if folded(c) not in have]
    never = [c for c in absent if folded(c) not in known]
    if never:
        return never[0]
    return absent[0] if absent and len(absent) == len(needed) else None


def _changes(before: Sequence[str] | None, after: Sequence[str]) -> str | None:
    if before is None:
        return None
    old, fresh = set(before), set(after)
    parts = [
        f"{word}: {', '.join(names)}"
        for word, names in (
            ("new", [c for c in after if c not in old]),
            ("gone", [c for c in before if c not in fresh]),
        )
        if names
    ]
    return "; ".join(parts) or None


def _publish(
    con: duckdb.DuckDBPyConnection,
    name: str,
    source: Source,
    found: Sequence[files.Found],
    new: Sequence[_New],
    history: dict[str, list[_Version]],
    as_of: dt.datetime,
    report: Report,
) -> None:
    """Everything that changes, in one transaction; nothing changes if there is nothing new."""
    table = f"sources.{ident(name)}"
    with wh.transaction(con):
        _grow(con, name, [*needed_columns(source), *(c for n in new for c in n.staged.columns)])
        for item in new:
            content, staged = item.content, item.staged
            for batch in {*item.supersedes, content.batch_id}:
                con.execute(f"DELETE FROM {table} WHERE _batch_id = ?", [batch])
                con.execute(
                    "UPDATE sources.files SET status = 'superseded'"
                    " WHERE source = ? AND batch_id = ? AND status = 'current'",
                    [name, batch],
                )
            listed = "".join(f", {ident(c)}" for c in staged.columns)
            con.execute(
                f"INSERT INTO {table} (_batch_id, _extracted_at, _row_key, _bad_line{listed})"
                f" SELECT {quoted(content.batch_id)}, TIMESTAMP {quoted(str(as_of))},"
                f" {quoted(content.batch_id + ':')} || lpad(_n::VARCHAR, 9, '0'), _bad_line{listed}"
                f" FROM ({staged.select})"
            )
            _remember(con, name, source, item, as_of)
            report.loaded.append(content.found.name)
            report.rows_loaded += staged.rows
            report.bad_lines += staged.bad_lines
            if item.changes:
                report.notes.append(f"{content.found.name}: columns {item.changes}")
        refused = _refuse(con, name, source, found, history, as_of, report)
    report.changed = bool(new) or refused


def _remember(
    con: duckdb.DuckDBPyConnection, name: str, source: Source, item: _New, as_of: dt.datetime
) -> None:
    file, staged = item.content.found, item.staged
    write_version(
        con,
        {
            "source": name,
            "path": file.name,
            "batch_id": item.content.batch_id,
            "bytes": file.size,
            "rows": staged.rows,
            "bad_lines": staged.bad_lines,
            "loaded_as_of": as_of,
            "status": "current",
            "read_as": read_as(source),
            "columns": list(staged.columns),
            "column_changes": item.changes,
        },
    )


def _refuse(
    con: duckdb.DuckDBPyConnection,
    name: str,
    source: Source,
    found: Sequence[files.Found],
    history: dict[str, list[_Version]],
    as_of: dt.datetime,
    report: Report,
) -> bool:
    """Write down what is refused now and settle what was; True if something was written."""
    wrote = False
    for file in found:
        reason = report.refused.get(file.name)
        versions = history.get(file.name, [])
        batch_id = files.fingerprint_or_name(file) if reason else ""
        if file.name not in report.waiting and any(
            v.status == "refused" and v.batch_id != batch_id for v in versions
        ):
            con.execute(
                "UPDATE sources.files SET status = 'superseded' WHERE source = ? AND path = ?"
                " AND status = 'refused' AND batch_id <> ?",
                [name, file.name, batch_id],
            )
            wrote = True
        known = [v for v in versions if v.batch_id == batch_id]
        # A version that is loaded stays loaded, even if today's mapping asks for more of it.
        if reason and not any(_is_current(v) or v.reason == reason for v in known):
            write_version(
                con,
                {
                    "source": name,
                    "path": file.name,
                    "batch_id": batch_id,
                    "bytes": file.size,
                    "loaded_as_of": as_of,
                    "status": "refused",
                    "reason": reason,
                    "read_as": read_as(source),
                },
            )
            wrote = True
    return wrote


def _grow(con: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str]) -> None:
    """Create the table, or add the columns that it has not; old rows get null."""
    table = f"sources.{ident(name)}"
    if not wh.exists(con, f"sources.{name}"):
        con.execute(
            f"CREATE TABLE {table} (_batch_id VARCHAR, _extracted_at TIMESTAMP,"
            " _row_key VARCHAR, _bad_line VARCHAR)"
        )
    have = {folded(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()}
    for column in columns:
        if folded(column) not in have and column not in LINEAGE:
            con.execute(f"ALTER TABLE {table} ADD COLUMN {ident(column)} VARCHAR")
            have.add(folded(column))
