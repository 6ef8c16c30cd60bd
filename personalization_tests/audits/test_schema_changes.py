"""Kinds of change, and for whom each of them breaks something."""

import duckdb
import pytest

from personalization_assets.audits.schema_changes import (
    WIDER,
    ShapeColumn,
    changes_from_json,
    changes_to_json,
    compare,
    compatibility,
    from_json,
    in_words,
    to_json,
    type_change,
)


def column(name: str, data_type: str = "BIGINT", nullable: bool | None = True) -> ShapeColumn:
    return ShapeColumn(name, data_type, nullable)


@pytest.mark.parametrize(
    ("after", "words", "compatible"),
    [
        ([column("a"), column("b")], "added nullable b BIGINT", "full"),
        ([column("a"), column("b", nullable=False)], "added mandatory b BIGINT", "forward"),
        ([column("a"), column("b", nullable=None)], "added nullable b BIGINT", "full"),
        ([], "dropped a BIGINT", "backward"),
        ([column("new")], "renamed a to new", "backward"),
        ([column("a", "DOUBLE")], "widened a BIGINT -> DOUBLE", "full"),
        ([column("a", "INTEGER")], "narrowed a BIGINT -> INTEGER", "none"),
        ([column("a", "VARCHAR")], "retyped a BIGINT -> VARCHAR", "none"),
        ([column("a", nullable=False)], "a is never empty any more", "forward"),
        ([column("new", "DOUBLE")], "renamed a to new; widened new BIGINT -> DOUBLE", "backward"),
        ([column("b", nullable=False)], "added mandatory b BIGINT; dropped a BIGINT", "none"),
    ],
)
def test_kinds_of_change(after: list[ShapeColumn], words: str, compatible: str) -> None:
    changes = compare((column("a"),), tuple(after), {"new": "a"})
    assert (in_words(changes), compatibility(changes)) == (words, compatible)
    assert changes_from_json(changes_to_json(changes)) == changes
    assert from_json(to_json(tuple(after))) == tuple(after)


def test_a_name_that_still_stands_was_not_renamed() -> None:
    changes = compare((column("a"),), (column("a"), column("new")), {"new": "a"})
    assert [c.kind for c in changes] == ["added nullable"]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("DECIMAL(9,2)", "DECIMAL(12,4)", "widened"),
        ("DECIMAL(9,2)", "DECIMAL(9,4)", "retyped"),
        ("BIGINT", "DECIMAL(18,0)", "retyped"),
        ("INTEGER", "DECIMAL(12,2)", "widened"),
        ("INTEGER[]", "BIGINT[]", "widened"),
        ("TIMESTAMP", "DATE", "narrowed"),
    ],
)
def test_types_with_parts(before: str, after: str, kind: str) -> None:
    assert type_change(before, after) == kind


def test_every_widening_keeps_the_extremes() -> None:
    """Against DuckDB's own casts; BIGINT to DOUBLE is the one that Avro allows and is not exact."""
    extremes = {
        "TINYINT": ("-128", "127"),
        "SMALLINT": ("-32768", "32767"),
        "INTEGER": ("-2147483648", "2147483647"),
        "BIGINT": ("-9223372036854775808", "9223372036854775807"),
        "UTINYINT": ("0", "255"),
        "USMALLINT": ("0", "65535"),
        "UINTEGER": ("0", "4294967295"),
        "FLOAT": ("-3.4028235e38", "1.1754944e-38"),
        "DATE": ("0001-01-01", "9999-12-31"),
        "TIMESTAMP_S": ("1677-09-22 00:00:00", "2262-04-10 23:59:59"),
        "TIMESTAMP_MS": ("1677-09-22 00:00:00.123", "2262-04-10 23:59:59.999"),
    }
    with duckdb.connect() as con:
        for narrow, wider in WIDER.items():
            for wide in wider:
                if (narrow, wide) == ("BIGINT", "DOUBLE"):
                    continue
                for value in extremes[narrow]:
                    one = f"'{value}'::{narrow}"
                    back = f"SELECT {one}::{wide}::{narrow} = {one}"
                    assert con.execute(back).fetchall() == [(True,)], (narrow, wide, value)
