"""CSV files line by line, for what DuckDB's parser refuses: no line is lost or takes another along.

Knows nothing of the warehouse.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from personalization_assets.sources.config import Dialect
from personalization_assets.sources.files import RefusedError

LONGEST_RECORD = 500
"""Lines that one quoted record may span before its quote counts as never closed."""
OPEN_QUOTES = 100
"""After so many quotes that were never closed, one must close in its own line: looking for its end
costs the lines that follow, each time."""


def header(path: Path, dialect: Dialect) -> tuple[list[str], int, int]:
    """The names in the first record, the lines up to its end, and the blank lines before it.

    Raises:
        RefusedError: there is no such record.
    """
    blank = 0
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, **_options(dialect))
        try:
            for names in reader:
                if names:
                    return names, reader.line_num, blank
                blank = reader.line_num
        except csv.Error:
            raise RefusedError(
                "has a first line that is no CSV header: check `csv.quote`"
            ) from None
    raise RefusedError("holds no header and no rows: export it again, or delete it")


def csv_records(
    lines: Iterable[str], width: int, dialect: Dialect
) -> Iterator[tuple[str | None, list[str | None]]]:
    """Every record of a CSV file as (bad line, values): exactly one of the two says something.

    A record that does not have `width` values, or whose quotes do not match, gives its first line
    as bad, and the line after it is tried as a new record.
    """
    options = _options(dialect)
    quote, delimiter = dialect.quote, dialect.delimiter
    nothing: list[str | None] = [None] * width
    feed = iter(lines)
    ahead: list[str] = []
    open_quotes = 0
    while True:
        line = ahead.pop(0) if ahead else next(feed, None)
        if line is None:
            return
        bare = line.rstrip("\r\n")
        if not bare and width > 1:
            continue
        if not quote or quote not in bare:
            split = _fitting(bare.split(delimiter), width)
            if split is not None:
                yield None, [v or None for v in split]
            else:
                yield bare, nothing
            continue
        longest = LONGEST_RECORD if open_quotes < OPEN_QUOTES else 1
        values, used, closed = _quoted_record(line, feed, ahead, options, longest)
        open_quotes += not closed
        values = _fitting(values, width) if values is not None else None
        if values is None:
            yield bare, nothing
        else:
            del ahead[:used]
            yield None, [v or None for v in values]


def _fitting(values: list[str], width: int) -> list[str] | None:
    """The values if they are as many as the columns; delimiters at the end of a line are none."""
    if len(values) < width or any(values[width:]):
        return None
    return values[:width]


def _quoted_record(
    first: str, feed: Iterator[str], ahead: list[str], options: dict[str, Any], longest: int
) -> tuple[list[str] | None, int, bool]:
    """The record that starts in `first`, None if broken; the lines of `ahead` that it took; and
    whether its quotes are closed."""
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        yield first
        while taken < longest - 1:
            if taken == len(ahead):
                following = next(feed, None)
                if following is None:
                    return
                ahead.append(following)
            taken += 1
            yield ahead[taken - 1]

    try:
        return next(csv.reader(lines(), **options)), taken, True
    except (csv.Error, StopIteration) as error:
        return None, 0, "unexpected end of data" not in str(error)


def _options(dialect: Dialect) -> dict[str, Any]:
    csv.field_size_limit(1 << 30)
    return {
        "delimiter": dialect.delimiter,
        "quotechar": dialect.quote or None,
        "quoting": csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        "strict": True,
    }
