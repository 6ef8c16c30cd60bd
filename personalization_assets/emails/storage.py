"""Where rendered mails lie: Parquet parts in a folder per run, which `emails.batches` looks into.

A run writes into a folder of its own beside the earlier ones and gives it its final name when all
parts are there; only then does the view point to it. So a killed run leaves the last one as it was,
and an earlier mail can be shown again byte for byte, until its body is dropped after the days that
the settings say. Hashes, decisions and deliveries stay.

Mails of a batch resemble each other: zstd at level 1 stores them 50 times smaller, in less time and
memory than rows of a DuckDB file take.
"""

import filecmp
import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from personalization_assets.emails.render import MAIL_COLUMNS
from personalization_assets.sql_text import quoted

STAMP = "%Y%m%dT%H%M%S"
UNFINISHED = ".unfinished"
DROPPED = "bodies-dropped"
BODIES = ("subject", "preheader", "html", "text", "headers")
GROUP_ROWS = 2_048
"""Mails in a row group: what is unpacked to show one of them."""


class MailStore:
    """The folder of all runs' mails: `<as_of>/<campaign>-<variant>-<part>.parquet`.

    A second run at the same time gets `<as_of>.2`; what the first one handed over can still be
    shown.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, as_of: datetime) -> Path:
        """An empty folder for a run; what a killed run left is removed."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self.folder.glob(f"*{UNFINISHED}"):
            _remove(old)
        stamp = as_of.strftime(STAMP)
        taken = {run.name for run in self.runs()}
        number = next(n for n in range(1, len(taken) + 2) if _name(stamp, n) not in taken)
        fresh = self.folder / f"{_name(stamp, number)}{UNFINISHED}"
        fresh.mkdir()
        return fresh

    def finish(self, unfinished: Path) -> Path:
        """Give a run's folder its name, once all of its parts are on the disk. Mails that a run at
        the same time has rendered already, byte for byte, are not kept twice."""
        before = [run for run in self.runs() if stamp_of(run) == stamp_of(unfinished)]
        if before and _same(before[-1], unfinished):
            _remove(unfinished)
            return before[-1]
        done = unfinished.with_name(unfinished.name.removesuffix(UNFINISHED))
        unfinished.rename(done)
        _sync(self.folder)
        return done

    def runs(self) -> list[Path]:
        """Folders of finished runs, oldest first."""
        if not self.folder.is_dir():
            return []
        found = [p for p in self.folder.iterdir() if re.fullmatch(r"\d{8}T\d{6}(\.\d+)?", p.name)]
        return sorted(found, key=lambda p: (stamp_of(p), int(p.name[16:] or 1)))

    def drop_bodies(self, as_of: datetime, days: int) -> int:
        """Take subject, text, HTML and headers from mails that are older than so many days; hashes
        and the rest stay. Returns the number of runs that lost theirs."""
        dropped = 0
        for run in self.runs():
            when = datetime.strptime(stamp_of(run), STAMP)
            if (run / DROPPED).exists() or when >= as_of - timedelta(days=days):
                continue
            for part in sorted(run.glob("*.parquet")):
                write_parquet(part, _without_bodies(part), MAIL_COLUMNS)
            (run / DROPPED).touch()
            dropped += 1
        return dropped

    def find(self, send_id: str, content_hash: str | None = None) -> dict[str, Any] | None:
        """A mail by its id, of the latest run that has it; with a hash, the one that has the hash
        before others."""
        found: dict[str, Any] | None = None
        for run in reversed(self.runs()):
            mail = _look_up(run, send_id)
            if mail is not None and (content_hash is None or mail["content_hash"] == content_hash):
                return mail
            found = found or mail
        return found


def stamp_of(run: Path) -> str:
    """The time of a run, as its folder is named; several runs may share one."""
    return run.name[:15]


def select_mails(parts: Iterable[Path]) -> str:
    """A SELECT of all mails in these files, in the columns of `MAIL_COLUMNS`."""
    files = ", ".join(quoted(str(p.resolve())) for p in parts)
    names = ", ".join(f'"{name}"' for name in MAIL_COLUMNS.names)
    return f"SELECT {names} FROM read_parquet([{files}])"


def write_parquet(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
    """Write batches to a file that appears whole or not at all; returns the number of rows.

    The same rows give the same bytes, however they are cut into batches.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".tmp")
    rows = 0
    with pq.ParquetWriter(
        fresh,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_statistics=["send_id"] if "send_id" in schema.names else False,
        data_page_size=8 * 1024 * 1024,
    ) as writer:
        for group in _groups(batches):
            writer.write_table(group)
            rows += group.num_rows
    _sync(fresh)
    fresh.replace(path)
    return rows


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of exactly `GROUP_ROWS` rows, but for the last."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while batch.num_rows + count >= GROUP_ROWS:
            room = GROUP_ROWS - count
            yield pa.Table.from_batches([*waiting, batch.slice(0, room)])
            batch, waiting, count = batch.slice(room), [], 0
        if batch.num_rows:
            waiting.append(batch)
            count += batch.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting)


def _without_bodies(part: Path) -> Iterator[pa.RecordBatch]:
    kept = [name for name in MAIL_COLUMNS.names if name not in BODIES]
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(GROUP_ROWS, columns=kept):
            columns = [
                pa.nulls(batch.num_rows, field.type)
                if field.name in BODIES
                else batch.column(field.name)
                for field in MAIL_COLUMNS
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=MAIL_COLUMNS)


def _look_up(run: Path, send_id: str) -> dict[str, Any] | None:
    parts = sorted(run.glob("*.parquet"))
    if not parts:
        return None
    with duckdb.connect() as con:
        cursor = con.execute(f"{select_mails(parts)} WHERE send_id = ?", [send_id])
        rows = cursor.fetchall()
    return dict(zip(MAIL_COLUMNS.names, rows[0], strict=True)) if rows else None


def _same(one: Path, other: Path) -> bool:
    names = sorted(p.name for p in one.iterdir())
    return names == sorted(p.name for p in other.iterdir()) and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in names
    )


def _name(stamp: str, number: int) -> str:
    return stamp if number == 1 else f"{stamp}.{number}"


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
