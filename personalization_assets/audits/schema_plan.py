"""The SQL of one move of a table from one shape to another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from personalization_assets.audits.parking import Move, Parked
from personalization_assets.audits.schema_changes import Shape, ShapeColumn, type_change
from personalization_assets.errors import UserError

Execute = Callable[[str], list[tuple[object, ...]]]
"""Runs a statement, remembers it, and gives its rows."""


@dataclass
class Plan:
    """The expressions of one move. Prefixes (`old `, `new `) keep the two shapes' names apart."""

    con: duckdb.DuckDBPyConnection
    table: str
    before: Shape
    target: Shape
    former: dict[str, str]
    undone: Move | None

    def __post_init__(self) -> None:
        self.old = {c.name: c for c in self.before}
        self.later = {before: after for after, before in self.former.items()}
        self.new = {c.name: c for c in self.target}

    def select(self) -> str:
        """The moved rows in three steps: as stored, in the new shape, with what will not fit."""
        olds = ", ".join(f"{ident(n)} AS {in_old(n)}" for n in self.old)
        source = f"SELECT rowid AS row, {olds} FROM {qualified(self.table)}"
        join = ""
        if self.undone is not None and self.undone.parked is not None:
            parked = self.undone.parked
            if not parked.key:
                source = numbered(source, [in_old(n) for n in sorted(self.old)], "was_")
            join = f" LEFT JOIN {parked.table} p ON {matched(parked)}"
        news = ", ".join(f"{self._value(c)} AS {in_new(c.name)}" for c in self.target)
        moved = f"SELECT o.*, {news} FROM ({source}) o{join}"
        extras = "".join(
            f", {expression} AS {ident(prefix + name)}"
            for name in self.old
            for prefix, expression in self._misfit(name)
        )
        return f"SELECT *{extras} FROM ({moved})"

    def _value(self, column: ShapeColumn) -> str:
        """A column of the new shape, out of the old one and of what was parked."""
        found = self.undone.parked if self.undone else None
        value = ident(found.values[column.name][0]) if found and column.name in found.values else ""
        source = self.former.get(column.name)
        if source is None:
            return f"p.{value}" if value else f"NULL::{column.data_type}"
        mine = f"o.{in_old(source)}"
        if self.old[source].data_type == column.data_type:
            return mine
        base = self._cast(mine, self.old[source].data_type, column.data_type)
        if not value or found is None:
            return base
        left = ident(str(found.values[column.name][1]))
        untouched = _same(mine, f"p.{left}")
        return f"CASE WHEN p.{value} IS NOT NULL AND {untouched} THEN p.{value} ELSE {base} END"

    def _cast(self, value: str, before: str, after: str) -> str:
        try:
            self.con.execute(f"SELECT TRY_CAST(NULL::{before} AS {after})").fetchall()
        except duckdb.Error:
            return f"NULL::{after}"  # no cast between these types: nothing fits
        return f"TRY_CAST({value} AS {after})"

    def _misfit(self, name: str) -> list[tuple[str, str]]:
        """What of an old column the new shape cannot give back: its value, and what is left."""
        old = self.old[name]
        if name not in self.later:
            return [("parked ", in_old(name))]
        new = self.new[self.later[name]]
        if new.data_type == old.data_type:
            return []
        back = self._cast(in_new(new.name), new.data_type, old.data_type)
        lost = f"NOT ({_same(back, in_old(name))})"
        return [
            ("parked ", f"CASE WHEN {lost} THEN {in_old(name)} END"),
            ("left ", f"CASE WHEN {lost} THEN {in_new(new.name)} END"),
        ]

    def misfits(self) -> list[str]:
        """Old columns of which something may have to be parked."""
        return [name for name in self.old if self._misfit(name)]

    def refuse_holes(self, execute: Execute) -> None:
        """Stop where a mandatory column of the new shape would be empty.

        Raises:
            UserError: names the first such column.
        """
        mandatory = [c.name for c in self.target if c.nullable is False]
        if not mandatory:
            return
        filled = ", ".join(f"count({in_new(name)})" for name in mandatory)
        ((rows, *counts),) = execute(f"SELECT count(*), {filled} FROM temp.moving")
        for name, count in zip(mandatory, counts, strict=True):
            if count != rows:
                raise UserError(
                    f"{self.table} cannot be moved: {name} is never empty in that version, and "
                    f"{int(str(rows)) - int(str(count)):,} of {rows:,} rows have no value for it; "
                    "let a run under the contract of that version build the table instead."
                )

    def is_unique(self, execute: Execute, names: Sequence[str], key: Sequence[str]) -> bool:
        """Whether the key tells the moved rows apart.

        Raises:
            UserError: it did before the move and would not after it.
        """

        def unique(columns: Sequence[str]) -> bool:
            listed = ", ".join(columns)
            empty = " OR ".join(f"{c} IS NULL" for c in columns)
            ((rows, distinct, holes),) = execute(
                f"SELECT count(*), count(DISTINCT ({listed})),"
                f" count(*) FILTER (WHERE {empty}) FROM temp.moving"
            )
            return rows == distinct and not holes

        if unique([in_new(n) for n in names]):
            return True
        sources = [self.former[n] for n in key if n in self.former]
        if len(sources) == len(key) and unique([in_old(n) for n in sources]):
            raise UserError(
                f"{self.table} cannot be moved: rows that differ in {', '.join(key)} would have "
                "the same key after it; let a run under the contract of that version build the "
                "table instead."
            )
        return False

    def steps(self, counts: Mapping[str, int]) -> list[str]:
        """The move in words, with the number of values parked of each old column."""
        lines: list[str] = []
        for column in self.target:
            source = self.former.get(column.name)
            if source is None:
                back = self.undone.parked if self.undone else None
                if back is not None and column.name in back.values:
                    lines.append(f"bring back {column.name} {column.data_type} from {back.table}")
                else:
                    lines.append(f"add {column.name} {column.data_type}, empty")
                continue
            if source != column.name:
                lines.append(f"rename {source} to {column.name}")
            was = self.old[source].data_type
            if was != column.data_type:
                kind = {"widened": "widen", "narrowed": "narrow", "retyped": "convert"}[
                    type_change(was, column.data_type)
                ]
                lines.append(
                    f"{kind} {column.name} {was} -> {column.data_type}" + _parked(counts, source)
                )
        lines += [
            f"drop {c.name} {c.data_type}" + _parked(counts, c.name)
            for c in self.before
            if c.name not in self.later
        ]
        return lines


def matched(parked: Parked) -> str:
    """The condition that parked row `p` is of the moved row `o`."""
    return " AND ".join(
        f"o.{in_old(mine) if parked.key else mine} = p.{ident(theirs)}"
        for mine, theirs in parked.matched_by("was_")
    )


def numbered(rows: str, columns: Sequence[str], prefix: str) -> str:
    """The rows with a hash of these columns, and a number among the rows that share it."""
    # JSON quotes: a list of texts with a comma and two texts do not look the same.
    hashed = f"md5(json_array({', '.join(columns)})::VARCHAR) AS {prefix}hash"
    number = f"row_number() OVER (PARTITION BY {prefix}hash ORDER BY row) AS {prefix}copy"
    return f"SELECT *, {number} FROM (SELECT *, {hashed} FROM ({rows}))"


def in_old(name: str) -> str:
    """A stored column among the rows that are moved."""
    return ident("old " + name)


def in_new(name: str) -> str:
    """A column of the new shape among the rows that are moved."""
    return ident("new " + name)


def qualified(table: str) -> str:
    """`room.table` as SQL identifiers."""
    room, _, name = table.partition(".")
    return f"{ident(room)}.{ident(name)}"


def ident(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _same(one: str, other: str) -> str:
    """Equal as values and as text: -0.0 is 0.0, and 1.0 is 1, but they do not read the same."""
    return (
        f"{one} IS NOT DISTINCT FROM {other}"
        f" AND ({one})::VARCHAR IS NOT DISTINCT FROM ({other})::VARCHAR"
    )


def _parked(counts: Mapping[str, int], name: str) -> str:
    count = counts.get(name, 0)
    return f": {count:,} values are parked" if count else ""
