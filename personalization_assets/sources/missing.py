"""Mapped columns that a source's files had and no longer have.

Judged from `sources.files` alone, so that a warning stays until the files are whole again, also in
runs that load nothing new.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    versions: dict[str, list[frozenset[str]]] = {}
    for path, columns in con.execute(
        "SELECT path, list_transform(columns, lambda c: lower(c)) FROM sources.files"
        " WHERE source = ? AND status <> 'refused' AND len(columns) > 0"
        " ORDER BY path, status = 'current', loaded_as_of, batch_id",
        [name],
    ).fetchall():
        versions.setdefault(path, []).append(frozenset(columns))
    current = {
        path
        for (path,) in con.execute(
            "SELECT path FROM sources.files WHERE source = ? AND status = 'current'", [name]
        ).fetchall()
    }
    if not current & versions.keys():
        return []
    sparse = source.format == "ndjson"
    found = [
        _missing(column, versions, sorted(current & versions.keys()), sparse)
        for column in needed_columns(source)
    ]
    return [
        replace(m, instead=_instead(con, name, m)) if m.files else m for m in found if m is not None
    ]


def _missing(
    column: str, versions: dict[str, list[frozenset[str]]], current: Sequence[str], sparse: bool
) -> Missing | None:
    key = column.lower()
    if not any(key in version for all_ in versions.values() for version in all_):
        # A file of columns that lacks it is refused, with its own sentence.
        return Missing(column) if sparse else None
    every = all if sparse else any
    having = [n for n, path in enumerate(current) if key in versions[path][-1]]
    first, last = (having[0], having[-1]) if having else (len(current), -1)
    rare = sparse and having != list(range(len(having)))
    lacking = []
    for n, path in enumerate(current):
        *before, mine = versions[path]
        if key in mine:
            continue
        own = bool(before) and every(key in version for version in before)
        gone = first <= last < n and not rare
        # Columns may come with time; one that came in place of others has another name there.
        swapped = (
            not sparse
            and bool(having)
            and first > n
            and not any(mine <= versions[current[h]][-1] for h in having)
        )
        if own or gone or swapped:
            lacking.append(path)
    return Missing(column, tuple(lacking)) if lacking else None


def _instead(con: duckdb.DuckDBPyConnection, name: str, missing: Missing) -> str | None:
    """A column of the last file that lacks it, with nearly the same name."""
    ((columns,),) = con.execute(
        "SELECT columns FROM sources.files WHERE source = ? AND path = ? AND status = 'current'"
        " ORDER BY loaded_as_of DESC LIMIT 1",
        [name, missing.files[-1]],
    ).fetchall()
    lower = {c.lower(): c for c in columns}
    close = difflib.get_close_matches(missing.column.lower(), list(lower), 1, 0.75)
    return lower[close[0]] if close else None
