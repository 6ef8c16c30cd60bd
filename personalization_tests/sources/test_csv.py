"""No line of a CSV file is lost, whatever it looks like."""

import io
from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.sources.config import Dialect
from personalization_assets.sources.csv_lines import csv_records
from personalization_assets.sources.readers import unique_names

HEAD = "ID,First,Mail\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("1,a,b\n2,a\n3,a,b\n", [("1", None), (None, "2,a"), ("3", None)]),
        ("1,a,b,c\n2,a,b\n", [(None, "1,a,b,c"), ("2", None)]),
        ('1,"open,b\n2,a,b\n3,a,b\n', [(None, '1,"open,b'), ("2", None), ("3", None)]),
        ('1,"x"y,b\n2,a,b\n', [(None, '1,"x"y,b'), ("2", None)]),
        ('1,"two\nlines",b\n2,a\n', [("1", None), (None, "2,a")]),
        ('1,"say ""hi""",b\n2\n\n3,a,b\n', [("1", None), (None, "2"), ("3", None)]),
        ("1,a,b\r\n2,a\r\n3,a,b\n", [("1", None), (None, "2,a"), ("3", None)]),
    ],
)
def test_ragged_lines_are_kept(
    con: duckdb.DuckDBPyConnection,
    shop: Callable[..., Any],
    load: Callable[..., Any],
    body: str,
    expected: list[Any],
) -> None:
    report = load(shop(crm__a_csv=HEAD + body))
    rows = con.execute("SELECT ID, _bad_line FROM sources.crm ORDER BY _row_key").fetchall()
    assert rows == expected
    assert report.bad_lines == sum(1 for _, bad in expected if bad)


def test_a_header_with_doubles_blanks_and_our_own_names() -> None:
    assert unique_names(["ID", " id", "", "_row_key", "x", "ID"]) == [
        "ID",
        "id_2",
        "column_3",
        "_row_key_2",
        "x",
        "ID_3",
    ]


values = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(values, min_size=2, max_size=2), max_size=8))
def test_what_a_csv_writer_writes_is_read_back(rows: list[list[str]]) -> None:
    import csv

    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    read = list(csv_records(io.StringIO(out.getvalue(), newline=""), 2, Dialect()))
    assert read == [(None, [v or None for v in row]) for row in rows]


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from('ab,"\n'), max_size=60))
def test_every_character_of_a_broken_file_arrives(text: str) -> None:
    lines = io.StringIO(text, newline="").readlines()
    read = list(csv_records(lines, 2, Dialect()))
    got = "".join(bad or "".join(v or "" for v in row) for bad, row in read)
    letters = [c for c in text if c in "ab"]
    assert [c for c in got if c in "ab"] == letters
