"""Dates and times: naive UTC out of everything a system may write.

Whether 03/04 is in March or in April is said once per source (`date_order`), never guessed per row.
"""

import datetime as dt

import polars as pl

from personalization_assets.standardized.normalise.distinct import map_distinct, settle

WALL = pl.Datetime("us")
HOUR = dt.timedelta(hours=1)

_TIME = r"(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp]\.?[Mm]\.?)?)?"
_OFFSET = r"\s*(Z|z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
_SOUND_OFFSET = r"(?:Z|z|UTC|GMT|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)$"
"""No place on earth is more than 14 hours away from UTC."""
_ORDERS = {
    "dmy": rf"^(?<d>\d{{1,2}})[./ -](?<m>\d{{1,2}})[./ -](?<y>\d{{4}}|\d{{2}}){_TIME}{_OFFSET}$",
    "mdy": rf"^(?<m>\d{{1,2}})[./ -](?<d>\d{{1,2}})[./ -](?<y>\d{{4}}|\d{{2}}){_TIME}{_OFFSET}$",
    "ymd": rf"^(?<y>\d{{2}})[./ -](?<m>\d{{1,2}})[./ -](?<d>\d{{1,2}}){_TIME}{_OFFSET}$",
}
_YEAR_FIRST = rf"^(?<y>\d{{4}})[./ -](?<m>\d{{1,2}})[./ -](?<d>\d{{1,2}}){_TIME}{_OFFSET}$"
_COMPACT = r"^(\d{4})(\d{2})(\d{2})(?:[T ]?(\d{2})(\d{2})(\d{2})?)?(Z|[+-]\d{2}:?\d{2})?$"

_MONTHS = {
    1: "january jan januar januari jänner janvier janv enero ene gennaio gen janeiro",
    2: "february feb februar februari februar févr février fevrier febrero febbraio fevereiro fev",
    3: "march mar märz mrz maerz maart mrt mars marzo março marco",
    4: "april apr avril avr abril abr aprile",
    5: "may mai mei mayo maggio mag maio",
    6: "june jun juni juin junio giugno giu junho",
    7: "july jul juli juillet juil julio luglio lug julho",
    8: "august aug août aout agosto ago augustus",
    9: "september sep sept septembre septiembre settembre set setembro",
    10: "october oct oktober okt octobre octubre ottobre ott outubro out",
    11: "november nov novembre noviembre novembro",
    12: "december dec dezember dez décembre decembre déc diciembre dic dicembre dezembro",
}
_MONTH_NUMBER = {name: f"{n:02d}" for n, names in _MONTHS.items() for name in names.split()}
_WEEKDAY = r"(?i)^[a-zäöüéèç]{2,10}\.?,\s+"
_DAY_MONTH = (
    rf"^(?<d>\d{{1,2}})(?:st|nd|rd|th)?\.?[ -]?(?:of |de )?(?<name>\p{{L}}{{3,10}})"
    rf"\.?,?[ -]?(?:de )?(?<y>\d{{4}}|\d{{2}}){_TIME}{_OFFSET}$"
)
_MONTH_DAY = (
    r"^(?<name>\p{L}{3,10})\.? (?<d>\d{1,2})(?:st|nd|rd|th)?,? (?<y>\d{4})"
    rf"{_TIME}{_OFFSET}$"
)

_EPOCH_UNITS = ((1e8, 1e11, 1_000_000), (1e11, 1e14, 1_000), (1e14, 1e17, 1), (1e17, 1e20, 0.001))
"""Seconds, milliseconds, microseconds, nanoseconds by size: years 1973 to 5138 each."""


def timestamp(
    values: pl.Series, *, time_zone: str, date_order: str, as_of: dt.datetime
) -> pl.Series:
    """Naive UTC. Times without an offset are read in `time_zone`.

    A time that daylight saving skips is taken an hour later, one that it repeats is the first.
    Two-digit years are read as at most next year's (seen from `as_of`).
    """
    found = settle(
        values,
        lambda v: _localise(_iso(v), time_zone),
        _iso_with_offset,
        _epoch,
        lambda v: _assemble(v, _YEAR_FIRST, time_zone, as_of),
        lambda v: _assemble(v, _ORDERS[date_order], time_zone, as_of),
        lambda v: _compact(v, time_zone),
        lambda v: _named(v, time_zone, as_of),
    )
    return _in_calendar(found.cast(WALL))


def date(values: pl.Series, *, date_order: str, as_of: dt.datetime) -> pl.Series:
    """The calendar day as written; a time or an offset beside it does not move it."""
    zone = "UTC"

    def written(step: pl.Series) -> pl.Series:
        return step.dt.date()

    days = values.str.replace(r"[T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?$", "")
    # A century has 36,525 days: there are never many distinct ones.
    return map_distinct(
        days,
        lambda distinct: _in_calendar(
            settle(
                distinct,
                lambda v: written(_iso(v)),
                lambda v: written(_compact(v, zone)),
                lambda v: written(_assemble(v, _YEAR_FIRST, zone, as_of)),
                lambda v: written(_assemble(v, _ORDERS[date_order], zone, as_of)),
                lambda v: written(_named(v, zone, as_of)),
            )
        ),
    )


def _in_calendar(found: pl.Series) -> pl.Series:
    """Years 1 to 9999: no other has a date in Python or in most systems that read ours."""
    outside = ~found.dt.year().is_between(1, 9999)
    return found.set(outside, None) if outside.any() else found


def _four_digit_year(values: pl.Series, found: pl.Series) -> pl.Series:
    """Without years of two digits: 24-01-05 is no day of the year 24, and of which, others say."""
    early = found.dt.year() < 1000
    if not early.any():
        return found
    return found.set((early & ~values.str.contains(r"^\d{4}-")).fill_null(value=False), None)


def _iso(values: pl.Series) -> pl.Series:
    """2024-01-31, with a time or without; by far the most common, and fast."""
    plain = values.str.replace("T", " ", literal=True)
    found = settle(
        plain,
        lambda v: v.str.strptime(WALL, "%Y-%m-%d %H:%M:%S%.f", strict=False),
        lambda v: v.str.strptime(pl.Date, "%Y-%m-%d", strict=False).cast(WALL),
        lambda v: v.str.strptime(WALL, "%Y-%m-%d %H:%M", strict=False),
    )
    return _four_digit_year(values, found)


def _iso_with_offset(values: pl.Series) -> pl.Series:
    """RFC 3339: the offset says which moment is meant."""
    plain = values.str.replace(r"\s*(?:Z|z|UTC|GMT)$", "+00:00")
    plain = plain.str.replace(r"([+-]\d{2})$", "$1:00").str.replace("T", " ", literal=True)
    plain = plain.str.replace(r"\s+([+-]\d{2}:?\d{2})$", "$1")
    plain = plain.set(~plain.str.contains(_SOUND_OFFSET), None)
    utc = pl.Datetime("us", "UTC")
    found = settle(
        plain,
        lambda v: v.str.strptime(utc, "%Y-%m-%d %H:%M:%S%.f%:z", strict=False),
        lambda v: v.str.strptime(utc, "%Y-%m-%d %H:%M:%S%.f%z", strict=False),
        lambda v: v.str.strptime(utc, "%Y-%m-%d %H:%M%z", strict=False),
    ).dt.replace_time_zone(None)
    return _four_digit_year(values, found)


def _epoch(values: pl.Series) -> pl.Series:
    """Seconds since 1970, or thousandths, millionths, billionths of them, told by their size."""
    shape = values.str.contains(r"^\d{9,19}(\.\d+)?$|^\d\.\d+[eE]\+?\d{1,2}$").fill_null(
        value=False
    )
    # 14 digits that begin like a year are a date written without separators.
    shape &= ~values.str.contains(r"^(19|20)\d{12}$").fill_null(value=False)
    text = values.set(~shape, None)
    numbers = text.cast(pl.Float64, strict=False)
    exact = text.cast(pl.Int64, strict=False)
    frame = pl.DataFrame({"n": numbers, "i": exact})
    micros: pl.Expr = pl.lit(None, dtype=pl.Int64)
    for low, high, factor in _EPOCH_UNITS:
        inside = (pl.col("n") >= low) & (pl.col("n") < high)
        whole = pl.col("i") * int(factor) if factor >= 1 else pl.col("i") // 1_000
        broken = (pl.col("n") * factor).round(0).cast(pl.Int64)
        micros = pl.when(inside).then(pl.coalesce(whole, broken)).otherwise(micros)
    return frame.select(micros.cast(WALL).alias("at"))["at"]


def _compact(values: pl.Series, time_zone: str) -> pl.Series:
    """20240131, 20240131T123000Z, 20240131123000."""
    parts = values.str.extract_groups(_COMPACT).struct.unnest()
    y, m, d, hour, minute, second, offset = parts.get_columns()
    return _moment(y, m, d, [hour, minute, second, None, None], offset, time_zone)


def _assemble(values: pl.Series, pattern: str, time_zone: str, as_of: dt.datetime) -> pl.Series:
    parts = values.str.extract_groups(pattern).struct.unnest()
    others = [c for c in parts.columns if c not in {"d", "m", "y"}]
    *time, offset = (parts[c] for c in others)
    return _moment(
        _four_digits(parts["y"], as_of), parts["m"], parts["d"], list(time), offset, time_zone
    )


def _named(values: pl.Series, time_zone: str, as_of: dt.datetime) -> pl.Series:
    """31 Jan 2024, 31. Januar 2024, Jan 31, 2024 and the like, weekday in front or not."""
    plain = values.str.replace(_WEEKDAY, "")

    def read(pattern: str) -> pl.Series:
        parts = plain.str.extract_groups(pattern).struct.unnest()
        month = (
            parts["name"]
            .str.to_lowercase()
            .replace_strict(_MONTH_NUMBER, default=None, return_dtype=pl.String)
        )
        others = [c for c in parts.columns if c not in {"d", "name", "y"}]
        *time, offset = (parts[c] for c in others)
        year = _four_digits(parts["y"], as_of)
        return _moment(year, month, parts["d"], list(time), offset, time_zone)

    first, second = read(_DAY_MONTH), read(_MONTH_DAY)
    return first.zip_with(first.is_not_null(), second)


def _four_digits(years: pl.Series, as_of: dt.datetime) -> pl.Series:
    pivot = (as_of.year + 1) % 100
    century = as_of.year // 100 * 100
    number = years.cast(pl.Int32, strict=False)
    frame = pl.DataFrame({"y": number, "short": years.str.len_bytes() == 2})
    full = (
        pl.when(pl.col("y") <= pivot)
        .then(pl.col("y") + century)
        .otherwise(pl.col("y") + century - 100)
    )
    return frame.select(pl.when("short").then(full).otherwise("y").cast(pl.String).alias("y"))["y"]


def _moment(
    year: pl.Series,
    month: pl.Series,
    day: pl.Series,
    time: list[pl.Series | None],
    offset: pl.Series,
    time_zone: str,
) -> pl.Series:
    """Put the parts together; 31 February and 25 o'clock give null."""
    hour, minute, second, fraction, half = (
        t if t is not None else pl.Series([None], dtype=pl.String).new_from_index(0, year.len())
        for t in time
    )
    frame = pl.DataFrame(
        {
            "y": year.cast(pl.Int32, strict=False),
            "mo": month.cast(pl.Int32, strict=False),
            "d": day.cast(pl.Int32, strict=False),
            "h": hour.cast(pl.Int32, strict=False).fill_null(0),
            "mi": minute.cast(pl.Int32, strict=False).fill_null(0),
            "s": second.cast(pl.Int32, strict=False).fill_null(0),
            "us": fraction.str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int32, strict=False),
            "half": half.str.to_lowercase().str.slice(0, 1),
            "offset": offset,
        }
    )
    h = (
        pl.when(pl.col("half") == "p")
        .then(pl.col("h") % 12 + 12)
        .when(pl.col("half") == "a")
        .then(pl.col("h") % 12)
        .otherwise("h")
    )
    text = pl.format(
        "{}-{}-{} {}:{}:{}.{}",
        pl.col("y").cast(pl.String).str.zfill(4),
        *(pl.col(c).cast(pl.String).str.zfill(2) for c in ("mo", "d")),
        h.cast(pl.String).str.zfill(2),
        *(pl.col(c).cast(pl.String).str.zfill(2) for c in ("mi", "s")),
        pl.col("us").fill_null(0).cast(pl.String).str.zfill(6),
    )
    sign = pl.when(pl.col("offset").str.starts_with("-")).then(-1).otherwise(1)
    digits = pl.col("offset").str.replace_all(r"\D", "")
    minutes = (
        pl.when(pl.col("offset").str.contains(r"^[+-]"))
        .then(
            sign
            * (
                digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60
                + digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0)
            )
        )
        .otherwise(0)
    )
    wall = frame.select(
        at=text.str.strptime(WALL, "%Y-%m-%d %H:%M:%S%.f", strict=False),
        moved=text.str.strptime(WALL, "%Y-%m-%d %H:%M:%S%.f", strict=False)
        - pl.duration(minutes=minutes),
        fixed=pl.col("offset").is_not_null(),
    )
    local = _localise(wall["at"], time_zone)
    wrong = (~offset.str.contains(rf"^{_SOUND_OFFSET}")).fill_null(value=False)
    if wrong.any():
        wall = wall.with_columns(moved=wall["moved"].set(wrong, None))
    return wall["moved"].cast(WALL).zip_with(wall["fixed"], local)


def _localise(wall: pl.Series, time_zone: str) -> pl.Series:
    """Wall-clock time of a zone as naive UTC."""
    if time_zone == "UTC":
        return wall

    def utc(series: pl.Series) -> pl.Series:
        return (
            series.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
            .dt.convert_time_zone("UTC")
            .dt.replace_time_zone(None)
        )

    moved = utc(wall)
    skipped = moved.is_null() & wall.is_not_null()
    # An hour before the gap plus an hour: what a clock that was not set would have meant.
    return moved.zip_with(~skipped, utc(wall - HOUR) + HOUR) if skipped.any() else moved
