"""Mapped columns that a source's files had and no longer have.

Judged from `sources.files` alone, so that a warning stays until the files are whole again, also in
runs that load nothing new.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from personalization_assets.sources.config import Source
from personalization_assets.sources.expressions import needed_columns

ADVICE = "have it exported again, or map another column in sources.yaml"


@dataclass(frozen=True)
class Missing:
    """A mapped column, the current files that lack it (by name), and a name that may be the same.

    Without files, no file ever had it.
    """

    column: str
    files: tuple[str, ...] = ()
    instead: str | None = None

    def in_words(self, source: str) -> str:
        """One sentence: what is missing where, what that means, what to do."""
        if not self.files:
            return (
                f"No file of {source} ever had `{self.column}`: correct the mapping in sources.yaml"
            )
        where = (
            self.files[0]
            if len(self.files) == 1
            else f"{len(self.files):,} files, the last is {self.files[-1]}"
        )
        hint = f", which has `{self.instead}`" if self.instead else ""
        return f"`{self.column}` is missing in {where}{hint}: it is empty there; {ADVICE}"


def missing_columns(con: duckdb.DuckDBPyConnection, name: str, source: Source) -> list[Missing]:
    """The mapped columns that the latest files of a source lack, in the order of the mapping.

    A file lacks a column when its own former version had it; when a file before it (by name) has it
    and none after it has; or when one after it has it in place of other columns. Columns that only
    come with time are not missing in the files before. Keys of JSON objects may be rare: one
    counts as missing only where all that came before had it.
    """
    versions: dict[str, list[list[str]]] = {}
    for path, columns in con.execute(
        "SELECT path, columns FROM sources.files WHERE source = ? AND status <> 'refused'"
        " AND len(columns) > 0 ORDER BY path, status = 'current', loaded_as_of, batch_id",
        [name],
    ).fetchall():
        versions.setdefault(path, []).append(columns)
    current = {
        path
        for (path,) in con.execute(
            "SELECT path FROM sources.files WHERE source = ? AND status = 'current'", [name]
        ).fetchall()
    }
    if not current & versions.keys():
        return []
    sparse = source.format == "ndjson"
    return [
        found
        for column in needed_columns(source)
        if (found := _missing(column, versions, sorted(current & versions.keys()), sparse))
    ]


def _missing(
    column: str, versions: dict[str, list[list[str]]], current: Sequence[str], sparse: bool
) -> Missing | None:
    key = column.lower()
    had = {path: [_has(key, v) for v in all_] for path, all_ in versions.items()}
    if not any(any(found) for found in had.values()):
        # A file of columns that lacks it is refused, with its own sentence.
        return Missing(column) if sparse else None
    every = all if sparse else any
    having = [n for n, path in enumerate(current) if had[path][-1]]
    first, last = (having[0], having[-1]) if having else (len(current), -1)
    rare = sparse and having != list(range(len(having)))
    lacking = []
    for n, path in enumerate(current):
        if had[path][-1]:
            continue
        own = bool(had[path][:-1]) and every(had[path][:-1])
        gone = first <= last < n and not rare
        swapped = not sparse and first > n and not _comes_later(n, current, versions, having)
        if own or gone or (swapped and having):
            lacking.append(path)
    if not lacking:
        return None
    return Missing(column, tuple(lacking), _instead(key, versions[lacking[-1]][-1]))


def _comes_later(
    n: int, current: Sequence[str], versions: dict[str, list[list[str]]], having: Sequence[int]
) -> bool:
    """Whether a later file has all columns of this one and the column besides."""
    mine = {c.lower() for c in versions[current[n]][-1]}
    return any(mine <= {c.lower() for c in versions[current[h]][-1]} for h in having)


def _has(key: str, columns: Sequence[str]) -> bool:
    return any(c.lower() == key for c in columns)


def _instead(key: str, columns: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(key, [c.lower() for c in columns], 1, 0.75)
    return next((c for c in columns if close and c.lower() == close[0]), None)
