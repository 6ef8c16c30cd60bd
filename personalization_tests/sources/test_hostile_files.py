"""Hostile files: refused with one sentence, in bounded time and memory; the others are read."""

import gzip
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from personalization_assets.sources import readers
from personalization_assets.sources.load import load_source
from personalization_assets.sources.readers import stage
from personalization_tests.sources.conftest import AS_OF, AT_ONCE, WEB, put

Con = duckdb.DuckDBPyConnection
Shop = Callable[..., Any]
Load = Callable[..., Any]
HEAD = "ID,First,Mail\n"
GOOD = HEAD + "1,Ann,\n"
PACKED = gzip.compress((HEAD + "1,Ann,a@x.org\n" * 5_000).encode())
ZST = bytes(pa.compress((HEAD + "1,Ann,a@x.org\n" * 5_000).encode(), "zstd", asbytes=True))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("crm__a_csv", HEAD.encode() + b"1,\xed\xa0\x80,a\n", "byte is in line 2: name the"),
        ("crm__a_csv", HEAD.encode() + b"1,a,\xc0\xaf\n", "byte is in line 2: name the"),
        ("crm__a_csv", (HEAD + "1,é,a\n").encode() + b"2,\xe9,a\n", "byte is in line 3: name the"),
        ("crm__a_csv", HEAD.encode("utf-16-le"), "is UTF-16 text without a byte order mark"),
        ("crm__a_csv", b"PK\x03\x04" + bytes(range(256)), "is not utf-8 text"),
        ("crm__a_csv_gz", PACKED[:40] + b"zzzz" + PACKED[44:], "is not a sound gzip file"),
        ("crm__a_csv_gz", PACKED + b"garbage", "is not a sound gzip file"),
        ("crm__a_csv_gz", PACKED[:-20], "is cut off in the middle: export or copy it again"),
        ("crm__a_csv_zst", ZST[:-9], "is cut off in the middle: export or copy it again"),
        ("crm__a_csv_zst", ZST + b"garbage", "is not a sound zstd file"),
        ("crm__a_csv", HEAD.encode() + b"x" * 66_000_000, "has a line of more than 64 MB, near li"),
        ("crm__a_csv_gz", "bomb", "unpacks to more than 250 times its size"),
        ("crm__a_csv_zst", "bomb", "unpacks to more than 250 times its size"),
    ],
    ids=lambda v: v[:24] if isinstance(v, str) else "",
)
def test_a_hostile_file_is_refused_with_one_sentence(
    con: Con, shop: Shop, load: Load, tmp_path: Path, name: str, content: bytes | str, reason: str
) -> None:
    if content == "bomb":
        content = bomb(name)
    config = shop(crm__b_csv=GOOD, **{name: content})
    path = next((tmp_path / "crm").glob("a*"))
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = load(config)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    (sentence,) = report.problems()
    assert reason in sentence
    assert sentence.startswith(f"crm/{path.name} ")
    assert "\n" not in sentence
    assert report.loaded == ["crm/b.csv"]
    assert con.execute("SELECT ID FROM sources.crm").fetchall() == [("1",)]
    assert grown < 300


def bomb(name: str) -> bytes:
    """300 MB of one line again and again, in a megabyte or less."""
    chunk = b"1,Ann,\n" * 150_000
    if name.endswith("gz"):
        return gzip.compress(HEAD.encode(), 9) + gzip.compress(chunk, 9) * 290
    return bytes(pa.compress(chunk * 290, "zstd", asbytes=True))


def test_what_is_no_file_is_refused(con: Con, shop: Shop, load: Load, tmp_path: Path) -> None:
    config = shop(crm__b_csv=GOOD)
    os.mkfifo(tmp_path / "crm/fifo.csv")
    (tmp_path / "crm/folder.csv").mkdir()
    (tmp_path / "crm/archive").mkdir()
    (tmp_path / "crm/gone.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "crm/loop.csv").symlink_to(tmp_path / "crm/loop.csv")
    (tmp_path / "crm/link.csv").symlink_to(tmp_path / "crm/b.csv")
    done = threading.Event()
    threading.Timer(20, lambda: done.is_set() or os._exit(3)).start()  # a pipe hangs for ever
    report = load(config)
    done.set()
    assert report.loaded == ["crm/b.csv", "crm/link.csv"]
    assert set(report.refused) == {f"crm/{n}.csv" for n in ("fifo", "folder", "gone", "loop")}
    assert all("is a folder, a pipe or a broken link" in r for r in report.refused.values())
    assert not load(config).changed


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"new\nline.csv", "crm/new\\nline.csv"),
        (b"latin\xe9.csv", "crm/latin\\udce9.csv"),
        ("rtl\u202evsc.csv".encode(), "crm/rtl\\u202evsc.csv"),
        ("é 日本 🎁.csv".encode(), "crm/é 日本 🎁.csv"),
        (b"quote'\"; DROP.csv", "crm/quote'\"; DROP.csv"),
        (b"star*[a]{b}?.csv", "crm/star*[a]{b}?.csv"),
        (b"-n $(id) %s.csv", "crm/-n $(id) %s.csv"),
    ],
)
def test_file_names(
    con: Con, shop: Shop, load: Load, tmp_path: Path, name: bytes, shown: str
) -> None:
    config = shop(crm__z_csv=GOOD)
    (Path(os.fsdecode(bytes(tmp_path / "crm") + b"/" + name))).write_text(GOOD)
    assert set(load(config).loaded) == {"crm/z.csv", shown}
    assert not load(config).changed


def test_a_file_that_grows_while_it_is_parsed_waits(
    con: Con, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = shop(crm__a_csv=GOOD, crm__b_csv=GOOD)

    def grows(*arguments: Any) -> Any:
        put(tmp_path, "crm__a_csv", GOOD + "2,Bob,\n")
        return stage(*arguments)

    monkeypatch.setattr(readers, "stage", grows)
    report = load_source(con, config, "crm", AS_OF, AT_ONCE)
    assert report.waiting == {"crm/a.csv": "it changed while it was read"}
    assert report.loaded == ["crm/b.csv"]


def test_many_columns_and_a_million_empty_lines(con: Con, shop: Shop, load: Load) -> None:
    wide = "ID,First,Mail," + ",".join(f"c{n}" for n in range(997))
    config = shop(
        crm__a_csv=f"{wide}\n1,a,b{',x' * 997}\n", crm__b_csv=HEAD + "\n" * 1_000_000 + "2,a,b\n"
    )
    started = time.process_time()
    assert load(config).rows == 2
    assert time.process_time() - started < 20


def test_headers_alone_give_no_row(con: Con, shop: Shop, load: Load) -> None:
    report = load(shop(crm__a_csv=HEAD, crm__b_csv=HEAD.strip()))
    assert (report.rows, report.refused) == (0, {})


def test_a_json_file_in_another_encoding_says_so(shop: Shop, load: Load) -> None:
    report = load(shop(WEB, web__a_json='{"event": "é"}\n'.encode("cp1252")), "web")
    assert "is not utf-8 text" in report.refused["web/a.json"]
