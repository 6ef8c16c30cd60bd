"""Files come into the warehouse once, whole, in order, and what cannot be read says why."""

import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from personalization_assets.sources import load as load_module
from personalization_assets.sources.load import Report, load_source
from personalization_assets.sources.settings import SourcesSettings
from personalization_tests.sources.conftest import AS_OF, AT_ONCE, CRM, WEB, put

Con = duckdb.DuckDBPyConnection
Shop = Callable[..., Any]
Load = Callable[..., Report]
HEAD = "ID,First,Mail\n"


def ids(con: Con, table: str = "crm", column: str = "ID") -> list[Any]:
    query = f'SELECT "{column}" FROM sources.{table} ORDER BY _row_key'
    return [row[0] for row in con.execute(query).fetchall()]


def files(con: Con) -> list[Any]:
    return con.execute("SELECT path, status, reason FROM sources.files ORDER BY ALL").fetchall()


def everything(con: Con) -> list[Any]:
    tables = con.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'sources' ORDER BY 1"
    ).fetchall()
    return [con.execute(f"SELECT * FROM sources.{t} ORDER BY ALL").fetchall() for (t,) in tables]


def test_a_file_is_loaded_once(con: Con, shop: Shop, load: Load) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,a@x.org\n2,Bob,\n")
    assert load(config).loaded == ["crm/a.csv"]
    before = everything(con)
    again = load(config, as_of=AS_OF.replace(day=2))
    assert (again.unchanged, again.changed, again.rows) == (["crm/a.csv"], False, 2)
    assert everything(con) == before
    row = con.execute("SELECT * FROM sources.crm ORDER BY _row_key").fetchall()[1]
    batch = row[0]
    assert row == (batch, AS_OF, f"{batch}:000000002", None, "2", "Bob", None)


def test_a_touched_file_is_not_loaded_again(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,\n")
    load(config)
    os.utime(tmp_path / "crm/a.csv", (1, 1))
    assert not load(config).changed


def test_a_changed_file_replaces_its_former_version(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,\n", crm__b_csv=HEAD + "9,Zoe,\n")
    load(config)
    put(tmp_path, "crm__a_csv", HEAD + "1,Anne,\n2,Bob,\n")
    report = load(config)
    assert (report.loaded, report.unchanged) == (["crm/a.csv"], ["crm/b.csv"])
    assert sorted(ids(con)) == ["1", "2", "9"]
    assert [f[:2] for f in files(con)] == [
        ("crm/a.csv", "current"),
        ("crm/a.csv", "superseded"),
        ("crm/b.csv", "current"),
    ]


def test_a_former_version_may_come_back(con: Con, shop: Shop, load: Load, tmp_path: Path) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,\n")
    load(config)
    before = everything(con)[0]
    put(tmp_path, "crm__a_csv", HEAD + "2,Bob,\n")
    load(config)
    put(tmp_path, "crm__a_csv", HEAD + "1,Ann,\n")
    load(config)
    assert everything(con)[0] == before
    assert [f[1] for f in files(con)] == ["current", "superseded"]


def test_another_dialect_reads_the_file_again(con: Con, shop: Shop, load: Load) -> None:
    text = HEAD.replace(",", ";") + "1;Ann;\n"
    refused = load(shop(crm__a_csv=text)).refused["crm/a.csv"]
    assert "is the delimiter ';'? Correct `csv.delimiter`" in refused
    assert (
        load(shop(CRM.replace("format: csv", "format: csv\n    csv: {delimiter: ';'}"))).rows == 1
    )
    assert files(con) == [("crm/a.csv", "current", None)]


def test_rows_of_a_vanished_file_stay(con: Con, shop: Shop, load: Load, tmp_path: Path) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,\n")
    load(config)
    (tmp_path / "crm/a.csv").unlink()
    report = load(config)
    assert (report.rows, report.vanished) == (1, ["crm/a.csv"])
    assert "1 files are gone, their rows stay" in report.notes


def test_an_absent_source_gives_an_empty_table(con: Con, shop: Shop, load: Load) -> None:
    report = load(shop())
    assert (report.rows, report.notes) == (0, ["no file matches crm/*.csv*"])
    columns = [row[0] for row in con.execute("DESCRIBE sources.crm").fetchall()]
    assert columns == ["_batch_id", "_extracted_at", "_row_key", "_bad_line", "ID", "First", "Mail"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("crm__a_csv", b"", "is empty: export it again"),
        ("crm__a_csv", b"\n\n", "holds no header and no rows"),
        ("crm__a_csv", b"some,other\n1,A\n", "has no column `ID`, correct the mapping, or have"),
        ("crm__a_csv", HEAD.encode() + b"1,Ann,\n2,J\xf6rg,\n", "undecodable byte is in line 3"),
        ("crm__a_csv_gz", b"no gzip at all, but long", "is not a sound gzip file"),
        ("crm__a_csv_zst", b"no zstd at all, but long", "is not a sound zstd file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_stops_nothing(
    con: Con, shop: Shop, load: Load, name: str, content: bytes, reason: str
) -> None:
    config = shop(crm__b_csv=HEAD + "1,Ann,\n", **{name: content})
    report = load(config)
    assert report.loaded == ["crm/b.csv"]
    (sentence,) = report.problems()
    assert reason in sentence
    assert "\n" not in sentence
    path = name.replace("__", "/").replace("_", ".")
    expected = sorted([(path, "refused"), ("crm/b.csv", "current")])
    assert [f[:2] for f in files(con)] == expected
    before = everything(con)
    again = load(config)
    assert (again.refused, again.changed) == (report.refused, False)
    assert everything(con) == before


def test_a_broken_new_version_leaves_the_old_rows(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,\n")
    load(config)
    put(tmp_path, "crm__a_csv", "something,else\n1,2\n")
    assert load(config).refused
    assert ids(con) == ["1"]
    put(tmp_path, "crm__a_csv", HEAD + "3,Cat,\n")
    load(config)
    assert ids(con) == ["3"]
    assert [f[1] for f in files(con)] == ["current", "superseded", "superseded"]


def test_an_unknown_parquet_and_a_corrupt_one(con: Con, shop: Shop, load: Load) -> None:
    yaml = CRM.replace("format: csv", "format: parquet").replace("*.csv*", "*.parquet")
    good = pa.BufferOutputStream()
    import pyarrow.parquet as pq

    table = pa.table({"ID": [1, 2], "First": [["a"], []], "Mail": [{"x": 1}, None]})
    pq.write_table(table, good)
    data = good.getvalue().to_pybytes()
    broken = data[:20] + bytes(40) + data[60:-200] + bytes(192) + data[-8:]
    config = shop(
        yaml, crm__a_parquet=data, crm__b_parquet=b"ID,First\n" * 9, crm__c_parquet=broken
    )
    report = load(config)
    assert report.loaded == ["crm/a.parquet"]
    assert "is not a parquet file" in report.refused["crm/b.parquet"]
    assert "is not a sound parquet file" in report.refused["crm/c.parquet"]
    assert con.execute("SELECT ID, First, Mail FROM sources.crm ORDER BY 1").fetchall() == [
        ("1", '["a"]', '{"x":1}'),
        ("2", "[]", None),
    ]


def test_half_written_files_are_left_for_the_next_run(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    whole = gzip.compress((HEAD + "1,Ann,\n" * 5000).encode())
    config = shop(
        crm__a_csv_gz=whole[: len(whole) // 2],
        crm__b_csv_part=HEAD,
        crm__c_csv=HEAD + "3,Cat,c@x.org\n4,Do",
        crm__d_csv=HEAD + "5,Eve,e@x.org",
    )
    report = load(config)
    assert report.loaded == ["crm/d.csv"]
    assert report.waiting == {
        "crm/a.csv.gz": "it is cut off in the middle",
        "crm/b.csv.part": "its name says that it is still being written",
        "crm/c.csv": "its last line is not finished",
    }
    put(tmp_path, "crm__a_csv_gz", whole)
    put(tmp_path, "crm__c_csv", HEAD + "3,Cat,c@x.org\n4,Don,\n")
    assert load(config).loaded == ["crm/a.csv.gz", "crm/c.csv"]
    assert len(ids(con)) == 5003


def test_a_cut_off_file_that_nobody_writes_to_is_taken_as_it_is(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    whole = gzip.compress((HEAD + "1,Ann,\n" * 5000).encode())
    config = shop(crm__a_csv_gz=whole[:40], crm__c_csv=HEAD + "3,Cat,c@x.org\n4,Do")
    for path in (tmp_path / "crm").iterdir():
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    report = load(config)
    assert "is cut off in the middle: export" in report.refused["crm/a.csv.gz"]
    assert (report.rows, report.bad_lines) == (2, 1)


def test_a_young_file_is_watched(con: Con, shop: Shop, tmp_path: Path) -> None:
    config = shop(crm__a_csv=HEAD, crm__b_csv=HEAD + "1,Ann,\n")
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        put(tmp_path, "crm__a_csv", HEAD + "2,Bob,\n")

    report = load_source(con, config, "crm", AS_OF, SourcesSettings(settle_seconds=9), sleep=sleep)
    assert report.waiting == {"crm/a.csv": "it changed while it was watched"}
    assert report.loaded == ["crm/b.csv"]
    assert len(naps) == 1
    assert 0 < naps[0] <= 9


def test_columns_may_come(con: Con, shop: Shop, load: Load, tmp_path: Path) -> None:
    config = shop(
        crm__a_csv="ID,First\n1,Ann\n",
        crm__b_csv="ID,First,Mail,Extra\n2,Bob,b@x.org,e\n",
    )
    report = load(config)
    assert (report.refused, report.missing) == ({}, [])
    assert con.execute('SELECT ID, "Mail", "Extra" FROM sources.crm ORDER BY 1').fetchall() == [
        ("1", None, None),
        ("2", "b@x.org", "e"),
    ]
    put(tmp_path, "crm__b_csv", "ID,First,Mail,New\n2,Bob,b@x.org,n\n")
    assert load(config).notes == ["crm/b.csv: columns new: New; gone: Extra"]


def test_a_log_that_starts_anew_keeps_what_was_before(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    yaml = CRM.replace("format: csv", "format: csv\n    growing: true")
    config = shop(yaml, crm__a_csv=HEAD + "1,Ann,\n")
    load(config)
    put(tmp_path, "crm__a_csv", HEAD + "1,Ann,\n2,Bob,\n")
    load(config)
    assert ids(con) == ["1", "2"]
    put(tmp_path, "crm__a_csv", HEAD + "3,Cat,\n")
    load(config)
    assert sorted(ids(con)) == ["1", "2", "3"]


def test_a_run_that_dies_while_publishing_changes_nothing(
    con: Con, shop: Shop, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,\n")
    load(config)
    before = everything(con)
    put(tmp_path, "crm__a_csv", HEAD + "2,Bob,\n")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(load_module, "_remember", die)
        with pytest.raises(KeyboardInterrupt):
            load(config)
    assert everything(con) == before
    load(config)
    assert ids(con) == ["2"]


def test_the_order_of_a_large_file_is_kept(con: Con, shop: Shop, load: Load) -> None:
    lines = "".join(f"{n},{'x' * 50},m\n" for n in range(200_000))
    config = shop(crm__a_csv=HEAD + lines)
    load(config)
    wrong = con.execute(
        "SELECT count(*) FROM sources.crm WHERE ID::BIGINT + 1 <> right(_row_key, 9)::BIGINT"
    ).fetchall()
    assert wrong == [(0,)]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-8-sig", "utf-8"), ("utf-16", "utf-8"), ("cp1252", "cp1252"), ("utf-16-le", "utf-16-le")],
)
def test_encodings(con: Con, shop: Shop, load: Load, encoding: str, named: str) -> None:
    yaml = CRM.replace("format: csv", f"format: csv\n    csv: {{encoding: {named}}}")
    load(shop(yaml, crm__a_csv=(HEAD + "1,Jörg,\r\n").encode(encoding)))
    assert ids(con, column="First") == ["Jörg"]


@pytest.mark.parametrize("pack", [gzip.compress, lambda b: pa.compress(b, "zstd", asbytes=True)])
def test_compression_is_seen_by_content(con: Con, shop: Shop, load: Load, pack: Any) -> None:
    load(shop(crm__a_csv=pack((HEAD + "1,Ann,\n").encode())))
    assert ids(con) == ["1"]


def test_names_that_mean_something_to_a_glob(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    config = shop()
    put(tmp_path, "crm/export [1] {a}.csv", HEAD + "1,Ann,\n")
    assert load(config).rows == 1


def test_ndjson_keeps_broken_lines_and_their_place(con: Con, shop: Shop, load: Load) -> None:
    lines = [
        '{"event": "view", "device": {"id": "d1"}, "n": 1.5, "list": [1, {"a": null}]}',
        '{"event": "view", "device": {"id"',
        "",
        "[1, 2]",
        '{"event": "späť", "Event": "other", "n": null}',
    ]
    config = shop(WEB, web__a_ndjson="\n".join(lines) + "\n", web__b_jsonl=b"{]\n")
    report = load(config, "web")
    assert report.bad_lines == 3
    rows = con.execute(
        "SELECT right(_row_key, 1), _bad_line, event, device, n, list, event_2 FROM sources.web"
        " WHERE _batch_id = (SELECT batch_id FROM sources.files WHERE path = 'web/a.ndjson')"
        " ORDER BY _row_key"
    ).fetchall()
    assert rows == [
        ("1", None, "view", '{"id":"d1"}', "1.5", '[1,{"a":null}]', None),
        ("2", lines[1], None, None, None, None, None),
        ("4", "[1, 2]", None, None, None, None, None),
        ("5", None, "späť", None, None, None, "other"),
    ]


def test_ndjson_unfinished_last_line_waits(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    config = shop(WEB, web__a_ndjson='{"event": "view"}\n{"event": "vi')
    assert load(config, "web").waiting == {"web/a.ndjson": "its last line is not finished"}
    put(tmp_path, "web__a_ndjson", '{"event": "view"}\n{"event": "view"}')
    assert load(config, "web").rows == 2


def test_ndjson_with_mixed_line_ends_and_stray_separators(con: Con, shop: Shop, load: Load) -> None:
    text = '{"event": "a"}\r\n{"event": "b"}\n{"event": "c\x1f"}\n{"event": "\u2028d"}\r\n'
    report = load(shop(WEB, web__a_ndjson=text), "web")
    assert (report.rows, report.bad_lines) == (4, 1)
    assert ids(con, "web", "event") == ["a", "b", None, "\u2028d"]


def test_a_json_array_is_refused(con: Con, shop: Shop, load: Load) -> None:
    report = load(shop(WEB, web__a_json='[{"event": "a"}, {"event": "b"}]\n'), "web")
    assert "is a JSON array: export one object per line" in report.refused["web/a.json"]


def test_settings_are_what_the_tests_think() -> None:
    assert AT_ONCE.settle_seconds == 0
