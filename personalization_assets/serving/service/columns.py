"""What the service looks up per customer, in arrays: tens of microseconds instead of milliseconds.

DuckDB answers the question for one customer in one to two milliseconds, most of it planning; with
a million customers these arrays answer in some ten microseconds and take about 20 bytes per entry
of a list and of the interactions. Profiles are wide and asked for less often: they stay in the file
and are read by row number.
"""

import contextlib
import time
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

BATCH = 16_384
"""Rows that are turned into arrays at a time: some milliseconds, in which nobody else may run"""


class Keys:
    """Sorted, unique texts and the place of each."""

    def __init__(self, texts: pa.Array) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, place: int) -> str:
        text: str = self._texts[place].as_py()
        return text

    def find(self, text: str) -> int:
        """The place of a text, -1 if it is not there."""
        place = bisect_left(self, text)
        return place if place < len(self) and self[place] == text else -1


@dataclass(frozen=True)
class Slices:
    """Entries in the order of their owners: those of owner i are [starts[i], starts[i + 1])."""

    starts: npt.NDArray[np.int64]

    def of(self, owner: int) -> slice:
        """Where an owner's entries are; nowhere for owner -1."""
        if owner < 0:
            return slice(0, 0)
        return slice(int(self.starts[owner]), int(self.starts[owner + 1]))


@dataclass(frozen=True)
class Lists:
    """Products listed for each owner (a customer, or a product), best first."""

    slices: Slices
    product: Ints
    score: Floats
    source: npt.NDArray[np.uint8]
    reason: Ints
    """Place in a table of texts, -1 without a reason"""


@dataclass(frozen=True)
class Interactions:
    """Products that each customer had to do with, by weight, and whether they may be listed."""

    slices: Slices
    product: Ints
    weight: Floats
    barred: npt.NDArray[np.bool_]


def texts(con: duckdb.DuckDBPyConnection, query: str) -> pa.Array:
    """The one text column of a query, in one piece."""
    column = con.sql(query).to_arrow_table().column(0)
    pieces = [chunk.cast(pa.large_string()) for chunk in column.chunks]
    return pa.concat_arrays([pa.array([], pa.large_string()), *pieces])


def entries(
    con: duckdb.DuckDBPyConnection,
    query: str,
    owners: int,
    types: dict[str, Any],
    rest: float = 0.0,
) -> tuple[Slices, dict[str, Any]]:
    """Read the rows of a query into arrays, in the order of its column `place`.

    Column `owner` says whose a row is, a number from 0 to `owners`, and `place` does not fall from
    one owner to the next. Columns are named and typed as `types` says. Tables are published in this
    order; sorting them once more takes more time and memory than everything else, so it is done
    only where a table turns out not to be. After each piece of some milliseconds the thread rests
    `rest` times as long: while it works it takes a processor from those who answer.
    """
    with contextlib.suppress(_UnsortedError):
        return _in_order(con, query, owners, types, rest)
    return _in_order(con, f"FROM ({query}) ORDER BY place", owners, types, rest)


class _UnsortedError(Exception):
    """The rows of a query don't come in order."""


def _in_order(
    con: duckdb.DuckDBPyConnection, query: str, owners: int, types: dict[str, Any], rest: float
) -> tuple[Slices, dict[str, Any]]:
    counts = np.zeros(owners + 1, dtype=np.int64)
    pieces: dict[str, list[Any]] = {name: [] for name in types}
    last = -1
    started = time.thread_time()
    for batch in con.sql(query).to_arrow_reader(BATCH):
        if not batch.num_rows:
            continue
        place = batch.column("place").to_numpy()
        if place[0] < last or (np.diff(place) < 0).any():
            raise _UnsortedError
        last = place[-1]
        owner = batch.column("owner").to_numpy()
        here = np.bincount(owner - owner[0])
        counts[owner[0] + 1 : owner[0] + 1 + len(here)] += here
        for name, kind in types.items():
            column = batch.column(name).to_numpy(zero_copy_only=False)
            pieces[name].append(column.astype(kind, copy=True))
        if rest:
            time.sleep(rest * (time.thread_time() - started))
            started = time.thread_time()
    arrays = {
        name: np.concatenate(pieces.pop(name) or [np.empty(0, kind)])
        for name, kind in types.items()
    }
    return Slices(np.cumsum(counts)), arrays


def csr(parts: tuple[Any, Any, Any], width: int) -> Any:
    """One customer's weights as a CSR matrix of one row: values, columns, bounds."""
    from scipy import sparse

    row = sparse.csr_matrix(parts, shape=(1, width), dtype=np.float32)
    row.sum_duplicates()  # sorts, too
    return row
