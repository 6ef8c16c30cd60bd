"""Hostile content: every record is a row or a bad line as received, or the file is refused."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_assets.sources import csv_lines, readers
from personalization_assets.sources.config import Dialect
from personalization_assets.sources.csv_lines import csv_records
from personalization_assets.sources.files import Content, Found
from personalization_assets.sources.readers import BATCH
from personalization_tests.sources.conftest import CRM, WEB

Con = duckdb.DuckDBPyConnection
Shop = Callable[..., Any]
Load = Callable[..., Any]
HEAD = "ID,First,Mail\n"
PARQUET = CRM.replace("format: csv", "format: parquet").replace("*.csv*", "*.parquet")


def rows(con: Con, columns: str = "_bad_line, ID, First, Mail", table: str = "crm") -> list[Any]:
    query = f"SELECT {columns} FROM sources.{table} ORDER BY _row_key"
    return con.execute(query).fetchall()


def test_no_record_is_lost_where_one_batch_of_a_broken_file_ends(
    con: Con, shop: Shop, load: Load
) -> None:
    count = 2 * BATCH + 5
    body = "".join(f"{n},x,y\n" for n in range(count))
    report = load(shop(crm__a_csv=f"{HEAD}{body}ragged\n"))
    assert (report.rows, report.bad_lines) == (count + 1, 1)
    assert [r[1] for r in rows(con)] == [*map(str, range(count)), None]


def test_blank_lines_before_the_header_are_no_header(con: Con, shop: Shop, load: Load) -> None:
    load(shop(crm__a_csv="\n\r\n" + HEAD + "1,a,b\n"))
    assert rows(con) == [(None, "1", "a", "b")]


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("ID,First,Mail,id,ID", ["id_2", "ID_3"]),
        ("\ufeffID,\u200bFirst, Mail\u00a0,é,É", ["é", "É"]),
        ('ID,First,Mail,"a""b","x\ny"', ['a"b', "x y"]),
        ("ID,First,Mail,,_row_key", ["column_4", "_row_key_2"]),
        ("ID,First,Mail,a\x00,'); DROP TABLE x;--", ["a", "'); DROP TABLE x;--"]),
    ],
)
def test_odd_headers(con: Con, shop: Shop, load: Load, head: str, names: list[str]) -> None:
    load(shop(crm__a_csv=f"{head}\n1,a,b,c,d\n"))
    columns = [row[0] for row in con.execute("DESCRIBE sources.crm").fetchall()]
    assert columns[-2:] == names
    assert rows(con)[0] == (None, "1", "a", "b")
    assert con.execute("SELECT * FROM sources.crm").fetchall()[0][-2:] == ("c", "d")


def test_columns_that_differ_in_the_case_of_an_umlaut_are_two(
    con: Con, shop: Shop, load: Load
) -> None:
    report = load(
        shop(crm__a_csv="ID,First,Mail,é\n1,,,x\n", crm__b_csv="ID,First,Mail,É\n2,,,y\n")
    )
    assert report.rows == 2
    assert set(rows(con, "é, É")) == {("x", None), (None, "y")}


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("ID,First,Mail," + ",".join(f"c{n}" for n in range(2001)), "has 2,004 columns, at most"),
        ("ID,First,Mail," + "h" * 501, "has a column name of more than 500 characters"),
        ('ID,"First"x,Mail', "has a first line that is no CSV header"),
    ],
)
def test_headers_beyond_measure_are_refused(shop: Shop, load: Load, head: str, reason: str) -> None:
    assert reason in load(shop(crm__a_csv=f"{head}\n1,a,b\n")).refused["crm/a.csv"]


def test_a_cell_of_ten_megabytes_and_one_with_a_zero_byte(con: Con, shop: Shop, load: Load) -> None:
    load(shop(crm__a_csv=f"{HEAD}1,{'x' * 10_000_000},c\n2,a\x00b,c\n"))
    assert rows(con, "length(First)") == [(10_000_000,), (3,)]
    assert rows(con)[1] == (None, "2", "a\x00b", "c")


def test_a_file_of_quotes_that_never_close_is_read_in_bounded_time() -> None:
    """Each open quote is looked for in the lines that follow; not for ever and not each time."""
    lines = [f'{n},"{"y" * 500}""\n' for n in range(4_000)]
    pulled = 0

    def counted() -> Any:
        nonlocal pulled
        for line in lines:
            pulled += 1
            yield line

    found = list(csv_records(counted(), 2, Dialect()))
    assert [bad for bad, _ in found] == [line.rstrip("\n") for line in lines]
    assert pulled == len(lines)
    assert csv_lines.OPEN_QUOTES * csv_lines.LONGEST_RECORD < 100_000


PIECES = st.sampled_from(["a", "b", ",", '"', "\n", "\r\n", '""', "é", "\t", ";", "'"])


@settings(max_examples=int(os.environ.get("FUZZ_FILES", "60")), deadline=None)
@given(
    st.lists(PIECES, max_size=40).map("".join), st.integers(2, 3), st.sampled_from(["\n", "\r\n"])
)
def test_the_fast_reader_and_the_careful_one_agree(text: str, width: int, end: str) -> None:
    """What DuckDB accepts as a whole, the line by line reading gives as the same rows.

    Blanks between quote and delimiter are left out: DuckDB takes them away, the other keeps them.
    """
    head = ",".join(f"c{n}" for n in range(width)) + end
    careful = list(csv_records(io.StringIO(text, newline=""), width, Dialect()))
    assert all((bad is None) or not any(values) for bad, values in careful)
    fast = _fast(head + text, width)
    if fast is None:
        return
    assert [bad for bad, _ in careful if bad] == []
    assert fast == [values for _, values in careful]


def _fast(text: str, width: int) -> list[list[str | None]] | None:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        path = Path(folder) / "f.csv"
        path.write_bytes(text.encode())
        content = Content(Found(path, "f.csv", len(text), 0), "0", path, whole=True)
        staged = readers._stage_csv(con, content, Dialect(), "t")
        listed = con.execute("DESCRIBE t").fetchall()
        if len(listed) != width:  # read line by line
            return None
        return [list(r[2:]) for r in con.execute(staged.select).fetchall()]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["ID", "First", "Mail"]),
            st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none()),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_every_json_value_arrives(objects: list[dict[str, Any]]) -> None:
    objects = [{"ID": "first"}, *objects]
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        path = Path(folder) / "f.ndjson"
        path.write_text("".join(json.dumps(o) + "\n" for o in objects), encoding="utf-8")
        content = Content(Found(path, "f.ndjson", 1, 0), "0", path, whole=True)
        staged = readers._stage_ndjson(con, content, ["ID"], "t")
        found = con.execute(staged.select).fetchall()
    assert staged.bad_lines == 0
    expected = [tuple(_json_text(o.get(c)) for c in staged.columns) for o in objects]
    assert [row[2:] for row in found] == expected


def _json_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def test_json_that_is_not_one_object_per_line(con: Con, shop: Shop, load: Load) -> None:
    lines = [
        '{"event": "a", "n": 123456789012345678901234567890}',
        '{"event": "b", "event": "c"}',
        '{"event": "d"}{"event": "e"}',
        '{"event": ' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"event": "\\ud800"}',
        '{"event": NaN, "n": 1e400}',
        "\x00\x00",
        "null",
        '"text"',
        '{"event": "last", "n',
    ]
    report = load(shop(WEB, web__a_ndjson="\n".join(lines) + "\n"), "web")
    assert report.rows == len(lines)
    found = rows(con, "_bad_line, event, n", "web")
    assert [bad for bad, _, _ in found if bad is not None] == [
        lines[i] for i in (1, 2, 4, 6, 7, 8, 9)
    ]
    assert found[0] == (None, "a", "123456789012345678901234567890")
    assert found[5] == (None, "NaN", "1e400")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[\n  {"event": "a"},\n  {"event": "b"}\n]\n', "is a JSON array: export one object per"),
        ('\n{\n  "event": "a"\n}\n', "is one JSON object over many lines: export one object"),
        ('{"event": 1, "' + "k" * 501 + '": 1}\n', "has a column name of more than 500"),
    ],
)
def test_one_json_document_is_refused(shop: Shop, load: Load, text: str, reason: str) -> None:
    assert reason in load(shop(WEB, web__a_json=text), "web").refused["web/a.json"]


def test_parquet_of_odd_types(con: Con, shop: Shop, load: Load) -> None:
    import datetime as dt
    import decimal

    table = pa.table(
        {
            "ID": pa.array([1.0, 2.0]),
            "First": pa.array(["Jörg".encode(), b"\xff"]),
            "Mail": pa.array([decimal.Decimal("1.10"), None]),
            "file_row_number": pa.array([7, 8]),
            "time": pa.array([dt.time(1, 2, 3), None]),
            "at": pa.array([dt.datetime(9999, 12, 31), None], pa.timestamp("us", "Asia/Tokyo")),
            "word": pa.array(["a", None]).dictionary_encode(),
            "single": pa.array([1.1, float("nan")], pa.float32()),
        }
    )
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    load(shop(PARQUET, crm__a_parquet=out.getvalue().to_pybytes()))
    assert rows(con, "* EXCLUDE (_batch_id, _extracted_at, _row_key, _bad_line)") == [
        ("1.0", "Jörg", "1.10", "7", "01:02:03", "9999-12-31 00:00:00+00", "a", "1.1"),
        ("2.0", "\\xFF", None, "8", None, None, None, "nan"),
    ]


@pytest.mark.parametrize("change", ["magic", "length", "middle", "short"])
def test_a_damaged_parquet_file_is_refused(shop: Shop, load: Load, change: str) -> None:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"ID": ["1"], "First": ["a"], "Mail": ["b"]}), out)
    data = out.getvalue().to_pybytes()
    damaged = {
        "magic": b"PARX" + data[4:],
        "length": data[:-8] + b"\xff\xff\xff\x7fPAR1",
        "middle": data[:40] + bytes(len(data) - 60) + data[-20:],
        "short": b"PAR1PAR1",
    }[change]
    report = load(shop(PARQUET, crm__a_parquet=damaged))
    reasons: list[str] = [*report.refused.values(), *report.waiting.values()]
    (reason,) = reasons
    assert "parquet file" in reason or "is cut off" in reason


def test_what_python_counts_is_what_arrives(con: Con, shop: Shop, load: Load) -> None:
    """Another reader, of the standard library, finds as many records in a file of all dialects."""
    body = '1,"a\nb",c\r\n2,"say ""x""",d\n\n3, spaced ,"e,f"\r\n4,,\n'
    expected = [r for r in csv.reader(io.StringIO(body, newline="")) if r]
    load(shop(crm__a_csv=HEAD + body))
    assert [[v or "" for v in r[1:]] for r in rows(con)] == expected
