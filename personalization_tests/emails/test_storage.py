"""Mails on disk: as many workers as wanted, never half a run, shown again byte for byte."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalization_assets.emails.building import (
    BatchReport,
    _Crew,
    compile_all,
    render_parts,
)
from personalization_assets.emails.links import Signer
from personalization_assets.emails.render import MAIL_COLUMNS
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.storage import (
    GROUP_ROWS,
    MailStore,
    select_mails,
    write_parquet,
)
from personalization_assets.errors import UserError
from personalization_tests.emails.conftest import Shop
from personalization_tests.emails.shop import AS_OF, PROJECT

SIGNER = Signer(b"0123456789abcdef")


def rendered(shop: Shop, folder: Path, **settings: object) -> list[tuple]:
    """All mails of the shop, rendered with other settings."""
    chosen = EmailsSettings.model_validate(settings)
    compiled = compile_all(shop.con, shop.campaigns, shop.brand, chosen, AS_OF)
    report = render_parts(shop.con, compiled, SIGNER, folder)
    with duckdb.connect() as con:
        return con.execute(f"{select_mails(report.parts)} ORDER BY send_id").fetchall()


def mails(count: int, first: int = 0) -> pa.RecordBatch:
    """Mails that only differ in their numbers."""
    columns = []
    for field in MAIL_COLUMNS:
        if field.type == pa.string():
            columns.append(pa.array([f"{field.name} {i}" for i in range(first, first + count)]))
        elif field.type == pa.int64():
            columns.append(pa.array(range(first, first + count), pa.int64()))
        else:
            columns.append(pa.array([AS_OF] * count, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=MAIL_COLUMNS)


def test_workers_and_chunks_change_nothing_about_a_mail(shop: Shop, tmp_path: Path) -> None:
    alone = rendered(shop, tmp_path / "alone", workers=1)
    assert len(alone) > 100
    assert rendered(shop, tmp_path / "small", workers=1, chunk_rows=7) == alone
    assert rendered(shop, tmp_path / "two", workers=2, parallel_from=1) == alone
    names = [sorted(p.name for p in (tmp_path / f).iterdir()) for f in ("alone", "two")]
    assert names[0] == names[1]
    assert all(name.endswith(".parquet") for name in names[0])


def test_a_worker_passes_on_what_a_batch_was_refused_for(shop: Shop, tmp_path: Path) -> None:
    for workers in (1, 2):
        with pytest.raises(UserError, match=r"took more than 1e-09 seconds \(setting"):
            rendered(shop, tmp_path / "x", workers=workers, parallel_from=1, chunk_seconds=1e-9)


def test_the_cut_into_batches_does_not_show_in_a_file(tmp_path: Path) -> None:
    count = GROUP_ROWS * 2 + 17
    whole = [mails(count)]
    pieces = [mails(min(100, count - at), at) for at in range(0, count, 100)]
    for name, batches in (("whole", whole), ("pieces", pieces)):
        assert write_parquet(tmp_path / name, batches, MAIL_COLUMNS) == count
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()
    groups = pq.ParquetFile(tmp_path / "whole").metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [
        GROUP_ROWS,
        GROUP_ROWS,
        17,
    ]


def stored(store: MailStore, when: datetime, *batches: pa.RecordBatch) -> Path:
    folder = store.begin(when)
    for number, batch in enumerate(batches):
        write_parquet(folder / f"weekly-a-{number:05d}.parquet", [batch], MAIL_COLUMNS)
    return store.finish(folder)


def test_an_earlier_mail_is_shown_again_until_its_body_is_dropped(tmp_path: Path) -> None:
    store = MailStore(tmp_path / "mails")
    old, new = AS_OF - timedelta(days=10), AS_OF
    first = stored(store, old, mails(5), mails(5, 5))
    stored(store, new, mails(5, 100))
    before = store.find("send_id 7")
    assert before is not None
    assert before["html"] == "html 7"
    assert store.find("send_id 200") is None

    assert store.drop_bodies(AS_OF, days=30) == 0
    assert store.drop_bodies(AS_OF, days=5) == 1
    assert store.drop_bodies(AS_OF, days=5) == 0
    after = store.find("send_id 7")
    assert after is not None
    assert {k for k in before if before[k] != after[k]} == {
        "subject",
        "preheader",
        "html",
        "text",
        "headers",
    }
    assert after["content_hash"] == before["content_hash"]
    assert b"html 7" not in (first / "weekly-a-00001.parquet").read_bytes()
    kept = store.find("send_id 101")
    assert kept is not None
    assert kept["html"] == "html 101"


def test_a_second_run_of_the_same_time_keeps_what_the_first_one_handed_over(
    tmp_path: Path,
) -> None:
    store = MailStore(tmp_path / "mails")
    first = stored(store, AS_OF, mails(5))
    assert stored(store, AS_OF, mails(5)) == first
    other = mails(5).set_column(
        MAIL_COLUMNS.get_field_index("content_hash"), "content_hash", pa.array(["new"] * 5)
    )
    second = stored(store, AS_OF, other)
    assert second.name == first.name + ".2"
    assert store.runs() == [first, second]
    latest, handed_over = store.find("send_id 1"), store.find("send_id 1", "content_hash 1")
    assert latest is not None
    assert latest["content_hash"] == "new"
    assert handed_over is not None
    assert handed_over["content_hash"] == "content_hash 1"


KILLED = """
import sys
from datetime import datetime
from pathlib import Path
from personalization_assets.emails.storage import MailStore
from personalization_tests.emails.test_storage import MAIL_COLUMNS, mails, write_parquet
folder = MailStore(Path(sys.argv[1])).begin(datetime(2026, 6, 20))
write_parquet(folder / "weekly-a-00000.parquet", [mails(3)], MAIL_COLUMNS)
print("half way", flush=True)
sys.stdin.read()
"""


def test_a_killed_run_leaves_the_last_one_and_is_cleared_away(tmp_path: Path) -> None:
    store = MailStore(tmp_path / "mails")
    last = stored(store, AS_OF, mails(5))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(store.folder)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"half way\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert store.runs() == [last]
    assert len(list(store.folder.iterdir())) == 2
    store.finish(store.begin(datetime(2026, 6, 21)))
    assert [run.name for run in store.runs()] == [last.name, "20260621T000000"]
    assert len(list(store.folder.iterdir())) == 2


def test_workers_end_with_the_process_that_started_them(shop: Shop, tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "personalization_assets.emails.worker"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    worker.stdin.close()
    deadline = time.monotonic() + 20
    while worker.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert worker.returncode == 0


def test_workers_that_inherit_an_ignored_signal_end_too() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        crew = _Crew(2, BatchReport(), lambda _: None)
        end = threading.Thread(target=crew.__exit__, daemon=True)
        end.start()
        end.join(timeout=20)
        still = end.is_alive()
        for worker in crew._workers:
            worker.kill()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not still
