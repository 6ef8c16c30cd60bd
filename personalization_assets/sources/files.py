"""Find the files of a source, decide whether they are whole, and make them plain UTF-8 text.

Knows nothing of the warehouse. What keeps a file from being read is an exception with one sentence:
`WaitError` (try again in the next run) or `RefusedError` (somebody has to act).
"""

import codecs
import errno
import glob
import gzip
import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from personalization_assets.sources.config import Source
from personalization_assets.sources.settings import SourcesSettings

UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", "~")
ENDINGS = {
    "csv": (".csv", ".tsv", ".txt"),
    "ndjson": (".ndjson", ".jsonl", ".json"),
    "parquet": (".parquet", ".pq"),
}
COMPRESSED = (".gz", ".zst")
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
BLOCK = 1 << 20
LONGEST_LINE = 64
"""Megabytes that a line may have: it is held in memory."""
UNPACKED = 1 << 28
MOST_PACKED = 250
"""A file that unpacks to more than so many bytes, and to so many times its size, is a bomb."""


class ReadError(Exception):
    """Why a file was not read: one sentence without its name and without its content."""


class WaitError(ReadError):
    """The file is being written; the next run looks again."""


class RefusedError(ReadError):
    """The file cannot be read as it is."""


@dataclass(frozen=True)
class Found:
    """A file on disk; `name` is its path relative to the sources' base folder, printable."""

    path: Path
    name: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Content:
    """What is in a file: its fingerprint, and where to read it as plain UTF-8 (or parquet).

    `prefixes` maps a number of bytes to the fingerprint that the file had when it was that long.
    """

    found: Found
    batch_id: str
    text: Path
    whole: bool
    prefixes: dict[int, str] = field(default_factory=dict)


def discover(pattern: Path, base: Path, kind: str) -> list[Found]:
    """Files that a path, folder or glob names, hidden ones left out, in order of their names."""
    if pattern.is_dir():
        endings = ENDINGS[kind]
        paths = [
            str(p)
            for p in pattern.rglob("*")
            if _plain_name(p.name).endswith(endings) or p.name.endswith(UNFINISHED)
        ]
    else:
        paths = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - may be absolute
        if pattern.is_file():  # its name may hold signs that mean something in a glob
            paths = [str(pattern)]
    found = []
    for text in sorted(set(paths)):
        path = Path(text)
        if path.name.startswith(".") or _folder_without_ending(path, kind):
            continue
        try:
            stat = path.stat()
            size, modified = stat.st_size, stat.st_mtime_ns
        except OSError:  # a broken link, a folder that may not be entered: `read` refuses it
            size, modified = 0, 0
        found.append(Found(path, printable(os.path.relpath(path, base)), size, modified))
    return sorted(found, key=lambda f: f.name)


def _folder_without_ending(path: Path, kind: str) -> bool:
    return os.path.isdir(path) and not _plain_name(path.name).endswith(ENDINGS[kind])  # noqa: PTH112


def printable(name: str) -> str:
    """A path as it can be stored and shown in one line: what is no printable sign is escaped."""
    return "".join(
        c if c.isprintable() or c == "\u00a0" else c.encode("unicode_escape").decode()
        for c in Path(name).as_posix()
    )


def settled(
    files: Sequence[Found],
    settings: SourcesSettings,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], Any] = time.sleep,
) -> dict[str, str]:
    """Files that are still being written, by name, with the reason.

    A file that changed within `settle_seconds` is watched for the rest of that time, once for all.
    This is the one place that reads the wall clock: it decides when a file is read, never a value.
    """
    waiting = {
        f.name: "its name says that it is still being written"
        for f in files
        if f.name.endswith(UNFINISHED)
    }
    ages = {f.name: now() - f.modified_ns / 1e9 for f in files if f.name not in waiting}
    young = {name for name, age in ages.items() if age < settings.settle_seconds}
    if young:
        sleep(settings.settle_seconds - max(0.0, min(ages[name] for name in young)))
    for file in files:
        if file.name in young and not unchanged(file):
            waiting[file.name] = "it changed while it was watched"
    return waiting


def read(
    file: Found, source: Source, scratch: Path, prefixes: Sequence[int], stale: bool
) -> Content:
    """Fingerprint a file and make it plain: decompressed, UTF-8, without byte order mark.

    A file that needs none of this is read where it lies. `stale` says that nobody writes to it
    any more, so that a cut-off file is refused instead of waited for.

    Raises:
        WaitError: it is cut off, or changed while it was read.
        RefusedError: it is empty, corrupt, no file at all, a bomb, has a line beyond measure, or is
            not in the encoding that it should be in.
    """
    batch_id, at = _fingerprint(file, prefixes)
    if file.size == 0:
        raise RefusedError("is empty: export it again, or delete it")
    try:
        if source.format == "parquet":
            text, whole = _parquet(file), True
        else:
            text, whole = _plain_text(file, source.csv.encoding, scratch / batch_id)
    except EOFError:
        if stale:
            raise RefusedError("is cut off in the middle: export or copy it again") from None
        raise WaitError("it is cut off in the middle") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WaitError("the disk has no room for unpacking it") from None
        raise RefusedError(f"cannot be read ({error.strerror}): copy it again") from None
    if not unchanged(file):
        raise WaitError("it changed while it was read")
    # DuckDB would take the path for a glob, or cannot be told a name that is no UTF-8.
    if any(sign in str(text) for sign in "*?[]{}") or printable(str(text)) != text.as_posix():
        link = scratch / f"{batch_id}.plain"
        link.unlink(missing_ok=True)
        link.symlink_to(text.resolve())
        text = link
    return Content(file, batch_id, text, whole, at)


def fingerprint_or_name(file: Found) -> str:
    """The fingerprint; of the name alone if the content cannot be read."""
    try:
        return _fingerprint(file, ())[0]
    except RefusedError:
        return hashlib.sha256(file.name.encode()).hexdigest()[:16]


def unchanged(file: Found) -> bool:
    """Whether a file is still as it was found."""
    try:
        stat = file.path.stat()
    except OSError:
        return file.size == 0 and file.modified_ns == 0
    return (stat.st_size, stat.st_mtime_ns) == (file.size, file.modified_ns)


def _plain_name(name: str) -> str:
    lower = name.lower()
    for ending in COMPRESSED:
        lower = lower.removesuffix(ending)
    return lower


def _fingerprint(file: Found, prefixes: Sequence[int]) -> tuple[str, dict[int, str]]:
    """sha256 over path and content, the first 16 digits; the same after each prefix's length."""
    if not os.path.isfile(file.path):  # noqa: PTH113 - this one never raises
        raise RefusedError("is a folder, a pipe or a broken link: put a file there, or delete it")
    digest = hashlib.sha256(file.name.encode() + b"\0")
    stops = sorted({p for p in prefixes if 0 < p <= file.size})
    at: dict[int, str] = {}
    done = 0
    try:
        with file.path.open("rb") as stream:
            for stop in stops:
                while done < stop and (block := stream.read(min(BLOCK, stop - done))):
                    digest.update(block)
                    done += len(block)
                at[stop] = digest.copy().hexdigest()[:16]
            while block := stream.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise RefusedError(f"cannot be opened ({error.strerror}): check its permissions") from None
    return digest.hexdigest()[:16], at


def _parquet(file: Found) -> Path:
    with file.path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(-min(4, file.size), os.SEEK_END)
        tail = stream.read()
    if head != b"PAR1":
        raise RefusedError("is not a parquet file: export it again, or correct `format`")
    if tail != b"PAR1" or file.size < 12:
        raise EOFError
    return file.path


def _plain_text(file: Found, encoding: str, target: Path) -> tuple[Path, bool]:
    """A UTF-8 file with the same text, and whether its last line is ended."""
    with file.path.open("rb") as stream:
        compressed = _compression(file, stream.read(4))
    try:
        with _opened(file.path, compressed) as stream:
            first = stream.read(BLOCK)
            if not first:
                raise RefusedError("is empty: export it again, or delete it")
            if compressed:
                stream = _Unpacked(stream, file.size)
            mark, name = next(((m, n) for m, n in MARKS if first.startswith(m)), (b"", encoding))
            if (
                not mark
                and codecs.lookup(name).name == "utf-8"
                and (first[:1] == b"\0") != (first[1:2] == b"\0")
            ):
                raise RefusedError(
                    "is UTF-16 text without a byte order mark: name utf-16-le or utf-16-be as "
                    "`csv.encoding`"
                )
            blocks = _blocks(first[len(mark) :], stream)
            if compressed or mark or codecs.lookup(name).name not in ("utf-8", "ascii"):
                last = _write(_decoded(blocks, name), target)
            else:
                target = file.path
                last = ""
                for text in _decoded(blocks, "utf-8"):
                    last = text[-1:] or last
    except (gzip.BadGzipFile, zlib.error, OSError) as error:
        if "truncated" in str(error).lower():
            raise EOFError from None
        if compressed and not getattr(error, "errno", None):
            raise RefusedError(
                f"is not a sound {compressed} file: compress or copy it again"
            ) from None
        raise
    return target, last in ("\n", "\r")


class _Unpacked:
    """What comes out of a compressed file, as long as it is in proportion."""

    def __init__(self, stream: Any, packed: int) -> None:
        self._stream = stream
        self._most = max(UNPACKED, MOST_PACKED * packed)
        self._size = 0

    def read(self, size: int) -> bytes:
        block: bytes = self._stream.read(size)
        self._size += len(block)
        if self._size > self._most:
            raise RefusedError(
                f"unpacks to more than {MOST_PACKED} times its size: look at it, and put it there "
                "unpacked if it is right"
            )
        return block


def _compression(file: Found, head: bytes) -> str:
    """By what is in the file; a name that promises compression is held to it."""
    name = file.name.lower()
    if name.endswith(".gz") or head[:2] == b"\x1f\x8b":
        return "gzip"
    if name.endswith(".zst") or head == b"\x28\xb5\x2f\xfd":
        return "zstd"
    return ""


def _opened(path: Path, compression: str) -> Any:
    if compression == "gzip":
        return gzip.open(path, "rb")
    if compression == "zstd":
        import pyarrow

        return pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")
    return path.open("rb")


def _blocks(first: bytes, stream: "IO[bytes] | _Unpacked") -> Iterator[bytes]:
    yield first
    while block := stream.read(BLOCK):
        yield block


def _decoded(blocks: Iterator[bytes], encoding: str) -> Iterator[str]:
    """Text, block by block; a byte that is no character ends it with its position."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    unended = 0
    try:
        for block in blocks:
            text = decoder.decode(block)
            lines += text.count("\n")
            end = max(text.rfind("\n"), text.rfind("\r"))
            unended = len(text) - end if end >= 0 else unended + len(text)
            if unended > LONGEST_LINE * 1_000_000:
                raise RefusedError(
                    f"has a line of more than {LONGEST_LINE} MB, near line {lines:,}: export it "
                    "with one record per line"
                )
            yield text
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        start = bytes(error.object[: error.start])
        line = lines + start.count(b"\n")
        other = "cp1252" if encoding.lower().startswith("utf") else "utf-8 or latin-1"
        raise RefusedError(
            f"is not {encoding} text, the first undecodable byte is in line {line:,}: name the "
            f"file's encoding as `csv.encoding`, for example {other}"
        ) from None


def _write(texts: Iterator[str], target: Path) -> str:
    last = ""
    with target.open("w", encoding="utf-8", newline="") as out:
        for text in texts:
            out.write(text)
            last = text[-1:] or last
    return last
