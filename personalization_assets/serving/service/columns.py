"""What the service looks up per customer, in arrays: tens of microseconds instead of milliseconds.

DuckDB answers the question for one customer in one to two milliseconds, most of it planning; with
a million customers these arrays answer in some ten microseconds and take about 20 bytes per entry
of a list and of the interactions. Profiles are wide and asked for less often: they stay in the file
and are read by row number.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

BATCH = 65_536
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
    con: duckdb.DuckDBPyConnection, query: str, owners: int, types: dict[str, Any]
) -> tuple[Slices, dict[str, Any]]:
    """Read a query whose rows are ordered by `owner`, the numbers 0 to `owners`, into arrays.

    Columns are named and typed as `types` says. Rows are taken in pieces, so that requests are
    answered between them.
    """
    counts = np.zeros(owners + 1, dtype=np.int64)
    pieces: dict[str, list[Any]] = {name: [] for name in types}
    for batch in _batches(con, query):
        owner = batch.column("owner").to_numpy(zero_copy_only=False)
        if not len(owner):
            continue
        here = np.bincount(owner - owner[0])
        counts[owner[0] + 1 : owner[0] + 1 + len(here)] += here
        for name, kind in types.items():
            pieces[name].append(
                batch.column(name).to_numpy(zero_copy_only=False).astype(kind, copy=False)
            )
    arrays = {
        name: np.concatenate(pieces.pop(name) or [np.empty(0, kind)])
        for name, kind in types.items()
    }
    return Slices(np.cumsum(counts)), arrays


def _batches(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[pa.RecordBatch]:
    yield from con.sql(query).to_arrow_reader(BATCH)


def csr(parts: tuple[Any, Any, Any], width: int) -> Any:
    """One customer's weights as a CSR matrix of one row: values, columns, bounds."""
    from scipy import sparse

    row = sparse.csr_matrix(parts, shape=(1, width), dtype=np.float32)
    row.sum_duplicates()  # sorts, too
    return row
