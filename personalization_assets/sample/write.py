"""Writes the files of the sample: each whole or not at all, the same bytes every time."""

import io
import json
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow.parquet as pq

from personalization_assets.errors import UserError

MARKER = "sample.json"
_STARTED = "sample.started.json"
_CHUNK = 60_000  # lines compressed at a time
_FOLDERS = ("crm", "shop", "web", "esp", "preferences", "loyalty", "social", "truth")
# letters that Windows' Western European encoding lacks, as such systems write them
_WESTERN = str.maketrans("łŁśŚźŹżŻćĆńŃąĄęĘşŞğĞıİ", "lLsSzZzZcCnNaAeEsSgGiI")


class Landing:
    """The folder the sample goes to. It replaces an older sample, never somebody's own files."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        ours: set[str] = set()
        for name in (MARKER, _STARTED):
            marker = self.out / name
            if marker.exists():
                ours |= set(json.loads(marker.read_text(encoding="utf-8"))["files"])
        found = {
            path.relative_to(self.out).as_posix()
            for folder in _FOLDERS
            for path in (self.out / folder).glob("*")
            if not path.name.endswith(".part")
        }
        strangers = sorted(found - ours)
        if strangers:
            raise UserError(
                f"{self.out / strangers[0]} was not written by the sample shop: "
                "move it away or give another folder with --out."
            )
        self.out.mkdir(parents=True, exist_ok=True)
        self._old = ours
        self._note(sorted(ours))
        (self.out / MARKER).unlink(missing_ok=True)
        for name in ours:
            (self.out / name).unlink(missing_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for folder in _FOLDERS:
            for part in (self.out / folder).glob(".*.part"):
                part.unlink()

    def csv(
        self, name: str, frame: pl.DataFrame, separator: str = ",", encoding: str = "utf-8"
    ) -> None:
        """Write a table without the columns that start with an underscore."""
        frame = frame.drop([column for column in frame.columns if column.startswith("_")])
        buffer = io.BytesIO()
        frame.write_csv(buffer, separator=separator)
        content = buffer.getvalue()
        if encoding != "utf-8":
            text = content.decode().translate(_WESTERN)
            content = text.encode(encoding, "replace")
        self._put(name, content, frame.height)

    def parquet(self, name: str, frame: pl.DataFrame) -> None:
        """Write a table as Parquet."""
        frame = frame.drop([column for column in frame.columns if column.startswith("_")])
        buffer = io.BytesIO()
        pq.write_table(frame.to_arrow(), buffer, compression="zstd", store_schema=False)
        self._put(name, buffer.getvalue(), frame.height)

    def lines(self, name: str, lines: pl.Series) -> None:
        """Write one text per line, gzipped if the name says so."""
        chunks = [lines.slice(start, _CHUNK) for start in range(0, len(lines), _CHUNK)]
        squeeze = _squeezed if name.endswith(".gz") else _joined
        with ThreadPoolExecutor(2) as pool:
            self._put(name, b"".join(pool.map(squeeze, chunks)), len(lines))

    def finish(self, summary: dict[str, Any]) -> None:
        """Say that the sample is complete."""
        text = json.dumps(summary, indent=1, sort_keys=True) + "\n"
        part = self.out / f".{MARKER}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(self.out / MARKER)
        (self.out / _STARTED).unlink(missing_ok=True)

    def _put(self, name: str, content: bytes, rows: int) -> None:
        target = self.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        self._note(sorted({*self._old, *self.rows, name}))
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(content)
        part.replace(target)
        self.rows[name] = rows

    def _note(self, files: list[str]) -> None:
        part = self.out / f".{_STARTED}.part"
        part.write_text(json.dumps({"files": files}), encoding="utf-8")
        part.replace(self.out / _STARTED)


def plain_lines(frame: pl.DataFrame, bare: Sequence[str] = ()) -> pl.Series:
    """Each row as a JSON object that leaves out what is null.

    Columns named in `bare` stand without quotation marks where they are numbers or true/false.
    """
    parts: list[pl.Expr] = []
    for name in (column for column in frame.columns if not column.startswith("_")):
        text = pl.col(name).cast(pl.String)
        quoted = text.str.replace_all("\\", "\\\\", literal=True).str.replace_all(
            '"', '\\"', literal=True
        )
        value = '"' + quoted + '"'
        if name in bare:
            number = text.str.contains(r"^(?:-?[0-9]+|true|false)$")
            value = pl.when(number).then(text).otherwise(value)
        piece = pl.lit(f',"{name}":') + value
        parts.append(piece.fill_null(""))
    body = pl.concat_str(parts).str.strip_prefix(",")
    return frame.select(line=pl.lit("{") + body + pl.lit("}"))["line"]


def _joined(lines: pl.Series) -> bytes:
    buffer = io.BytesIO()
    lines.to_frame("line").write_csv(buffer, include_header=False, quote_style="never")
    return buffer.getvalue()


def _squeezed(lines: pl.Series) -> bytes:
    """One gzip member per chunk, without a time in its head; readers join the members."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    content = _joined(lines)
    body = packer.compress(content) + packer.flush()
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
    tail = zlib.crc32(content).to_bytes(4, "little") + (len(content) & 0xFFFFFFFF).to_bytes(
        4, "little"
    )
    return head + body + tail
