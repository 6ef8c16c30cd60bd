"""Arrow columns as Python values: only those that a template uses, each read once."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pyarrow as pa

from personalization_assets.emails.liquid_batch.runtime import NOTHING

PathKey = tuple[str, ...]
MOST_ENTRIES = 50_000
"""Entries that are held as Python values before they are all let go."""
MOST_DICTIONARIES = 12


class Columns:
    """A record batch whose values are read as they are asked for, by path.

    Several templates that render the same batch share one of these. Items of a list of
    dictionary-encoded structs are read once per dictionary, so that equal items are one object.
    """

    def __init__(self, batch: pa.RecordBatch, dictionaries: "Dictionaries | None" = None) -> None:
        self.batch = batch
        self.dictionaries = dictionaries if dictionaries is not None else Dictionaries()
        self._arrays: dict[PathKey, pa.Array] = {}
        self._values: dict[PathKey, list[Any]] = {}

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def values(self, path: PathKey) -> list[Any]:
        """One Python value per row; undefined where a struct on the way is null."""
        if path not in self._values:
            found = self.dictionaries.read(self._array(path))
            parent = self._array(path[:-1]) if len(path) > 1 else None
            if parent is not None and parent.null_count:
                valid = parent.is_valid().to_pylist()
                found = [v if ok else NOTHING for v, ok in zip(found, valid, strict=True)]
            self._values[path] = found
        return self._values[path]

    def with_fields(self, root: str, fields: Mapping[str, list[str]]) -> "Columns":
        """The same rows with more text fields in one of their structs."""
        place = self.batch.schema.get_field_index(root)
        old = self.batch.column(place)
        names = [old.type.field(i).name for i in range(old.type.num_fields)]
        arrays = [*old.flatten(), *(pa.array(values, pa.string()) for values in fields.values())]
        new = pa.StructArray.from_arrays(arrays, [*names, *fields])
        wider = Columns(self.batch.set_column(place, root, new), self.dictionaries)
        wider._values = {path: v for path, v in self._values.items() if path != (root,)}
        return wider

    def row(self, index: int) -> dict[str, Any]:
        """A row as python-liquid takes it."""
        return {
            name: self.dictionaries.read(self.batch.column(i).slice(index, 1))[0]
            for i, name in enumerate(self.batch.schema.names)
        }

    def _array(self, path: PathKey) -> pa.Array:
        if len(path) == 1:
            return self.batch.column(path[0])
        if path not in self._arrays:
            parent = self._array(path[:-1])
            # `flatten` puts the struct's own nulls into its fields; `field` would not.
            for field, array in zip(parent.type, parent.flatten(), strict=True):
                self._arrays[(*path[:-1], field.name)] = array
        return self._arrays[path]


class Dictionaries:
    """Entries of Arrow dictionaries, each read when it is first used, however many batches share
    the dictionary.

    That equal items are one object shows in one place: `uniq` takes a NaN for equal to itself only.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[int, ...], tuple[pa.Array, dict[int | None, Any]]] = {}

    def read(self, array: pa.Array) -> list[Any]:
        """The values of an array; those of equal dictionary entries are the same object."""
        kind = array.type
        if pa.types.is_dictionary(kind):
            wanted = array.indices.to_pylist()
            known = self._known(array.dictionary)
            try:
                return [known[i] for i in wanted]
            except KeyError:
                missing = [i for i in dict.fromkeys(wanted) if i not in known]
                read = self.read(array.dictionary.take(pa.array(missing)))
                known.update(zip(missing, read, strict=True))
                return [known[i] for i in wanted]
        if is_list(kind) and shares(kind):
            offsets = array.offsets.to_pylist()
            inner = self.read(array.values.slice(offsets[0], offsets[-1] - offsets[0]))
            start = offsets[0]
            lists: list[Any] = [inner[a - start : b - start] for a, b in pairwise(offsets)]
            if array.null_count:
                valid = array.is_valid().to_pylist()
                lists = [x if ok else None for x, ok in zip(lists, valid, strict=True)]
            return lists
        if pa.types.is_struct(kind) and any(shares(kind.field(i).type) for i in range(len(kind))):
            names = [kind.field(i).name for i in range(len(kind))]
            fields = [self.read(field) for field in array.flatten()]
            rows: list[Any] = [
                dict(zip(names, row, strict=True)) for row in zip(*fields, strict=True)
            ]
            if array.null_count:
                valid = array.is_valid().to_pylist()
                rows = [x if ok else None for x, ok in zip(rows, valid, strict=True)]
            return rows
        values: list[Any] = array.to_pylist()
        return values

    def _known(self, dictionary: pa.Array) -> dict[int | None, Any]:
        # A dictionary that batches share is the same memory; holding on to it keeps that so.
        place = (len(dictionary), *(b.address for b in dictionary.buffers() if b is not None))
        held = sum(len(known) for _, known in self._entries.values())
        if held > MOST_ENTRIES or (
            place not in self._entries and len(self._entries) > MOST_DICTIONARIES
        ):
            self._entries.clear()
        if place not in self._entries:
            self._entries[place] = (dictionary, {None: None})
        return self._entries[place][1]


def is_list(kind: pa.DataType) -> bool:
    """A list, of whichever offsets."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def shares(kind: pa.DataType) -> bool:
    """Whether a type holds dictionary-encoded values somewhere."""
    if pa.types.is_dictionary(kind):
        return True
    if is_list(kind):
        return shares(kind.value_type)
    if pa.types.is_struct(kind):
        return any(shares(kind.field(i).type) for i in range(kind.num_fields))
    return False


def merged(constants: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What python-liquid renders a row with: constants, and the row's values over them. A root that
    both have (`links`) has the fields of both; a row that has none leaves the constant ones."""
    out = {**constants, **row}
    for name in constants.keys() & row.keys():
        if isinstance(constants[name], Mapping) and (row[name] is None or type(row[name]) is dict):
            out[name] = {**constants[name], **(row[name] or {})}
    return out
