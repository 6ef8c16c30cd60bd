"""The texts of a batch as an Arrow array, while they are made."""

from array import array

import pyarrow as pa

SMALLEST = 1 << 16
"""Bytes of memory to begin with, at least."""


class Texts:
    """A string array that is written text by text.

    Each text is copied as soon as it is made, when it is in the processor's cache: a builder that
    is given all of them at the end takes several times as long. Memory comes from Arrow's pool,
    which keeps it for the next batch.
    """

    def __init__(self, room: int = 0) -> None:
        """`room` is how many bytes the texts are expected to have; they may have more."""
        self.size = 0
        """Bytes written."""
        self._ends = array("i", [0])
        self._present = bytearray()
        self._take(max(room, SMALLEST))

    def append(self, text: bytes | None) -> None:
        """Add a text, in UTF-8; None is null.

        Raises:
            OverflowError: all texts together have more than 2 GB.
        """
        end = self.size
        if text is not None:
            end += len(text)
            if end > self._room:
                self._grow(end)
            self._view[self.size : end] = text
        self._ends.append(end)
        self._present.append(text is not None)
        self.size = end

    def array(self) -> pa.StringArray:
        """All of them."""
        count = len(self._present)
        valid = None
        if not all(self._present):
            valid = pa.array(map(bool, self._present), pa.bool_()).buffers()[1]
        buffers = [valid, pa.py_buffer(self._ends), self._memory.slice(0, self.size)]
        return pa.Array.from_buffers(pa.string(), count, buffers)

    def _grow(self, least: int) -> None:
        before = self._view[: self.size]
        self._take(max(least, 2 * self._room))
        self._view[: self.size] = before

    def _take(self, room: int) -> None:
        self._room, self._memory = room, pa.allocate_buffer(room)
        self._view = memoryview(self._memory).cast("B")
