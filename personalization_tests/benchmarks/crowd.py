"""Records of the sample shop's people at any size, straight into the columns of identity.records.

The whole shop is not needed to measure who is who: the same people and the same slips of the pen
are taken, and seven systems write down each person as often as the shop's systems do, with noise
of their own. It is stronger than the shop's: more people have two mailboxes and use both, move
without telling everybody, change their name, share the family's mailbox and landline, leave fields
empty; clerks type placeholders into required fields.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from personalization_assets.sample.draw import Array, Draw
from personalization_assets.sample.people import make_people
from personalization_assets.sample.spelling import Habits, written

END = dt.datetime(2026, 11, 1)
RECORDS_PER_PERSON = 3.84


@dataclass(frozen=True)
class System:
    """One system: how many people it knows, how often twice, and how its forms get filled in."""

    reach: float
    again: float
    habits: Habits
    keeps: tuple[str, ...]
    device: float = 0.0
    verified: float = 0.0


PERSON = ("given_name", "family_name", "email", "phone", "birth_date", "street", "postcode", "city")
_SLOPPY = {"typo": 0.04, "old_address": 0.6, "second_mailbox": 0.6, "nickname": 0.2}
SYSTEMS = {
    "crm": System(0.8, 0.15, Habits(**{**_SLOPPY, "no_birth_date": 0.4}), PERSON, device=0.1),
    "shop": System(0.6, 0.1, Habits(typo=0.015, no_email=0.0, no_birth_date=1.0), PERSON, 0.25),
    "guest": System(
        0.45, 0.4, Habits(typo=0.03, no_email=0.05, no_birth_date=1.0, no_phone=0.5), PERSON
    ),
    "loyalty": System(
        0.5,
        0.04,
        Habits(**{**_SLOPPY, "no_email": 0.3, "no_birth_date": 0.1, "no_phone": 0.5}, landline=0.5),
        PERSON,
    ),
    "newsletter": System(
        0.5,
        0.1,
        Habits(no_email=0.0, initial=0.1, no_phone=1.0, no_birth_date=0.8, no_address=0.9),
        ("given_name", "family_name", "email", "birth_date", "postcode"),
    ),
    "survey": System(
        0.25,
        0.0,
        Habits(**{**_SLOPPY, "no_email": 0.4, "no_phone": 0.6}, swapped_names=0.03),
        PERSON,
    ),
    "app": System(
        0.3, 0.0, Habits(no_email=0.1, no_phone=0.6), ("given_name", "email", "phone"), device=1.0
    ),
}
PLACEHOLDERS = {
    "email": ["none@none.example", "keine@mail.example.com", "x@x.example"],
    "phone": ["+49301234560", "+49000000001"],
    "birth_date": [dt.date(1900, 1, 1), dt.date(1970, 1, 1)],
}


def write_crowd(folder: Path, records: int, seed: int = 20) -> tuple[Path, Path]:
    """Write about that many records and their truth (source, key, person); gives both files."""
    people = make_people(int(records / RECORDS_PER_PERSON), seed, END)
    draw = Draw(seed, "crowd")
    devices = draw.numbers(people.height * 2, 10_000_000, 3).astype(str)
    parts = []
    for name, system in SYSTEMS.items():
        parts.append(_records(name, system, people, devices, Draw(seed, f"crowd {name}")))
    frame = pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    out, truth = folder / "records.parquet", folder / "truth.csv"
    frame.drop("person").write_parquet(out)
    frame.select("source", key="record_id", person="person").write_csv(truth)
    return out, truth


def _records(
    name: str, system: System, people: pl.DataFrame, devices: Array, draw: Draw
) -> pl.DataFrame:
    known = draw.chance(people.height, system.reach)
    copies = known * (1 + draw.rng.poisson(system.again, people.height))
    rows = np.repeat(np.arange(people.height), copies)
    who = people[rows]
    now = int(END.replace(tzinfo=dt.UTC).timestamp())
    joined = who["joined"].to_numpy()
    at = joined + ((now - joined) * draw.rng.random(len(rows))).astype(np.int64)
    form = written(who, at, draw, system.habits).rename(
        {"given": "given_name", "family": "family_name", "born": "birth_date", "iso": "iso_country"}
    )
    n = len(rows)
    frame = form.select(
        *(
            pl.col(c) if c in system.keeps else pl.lit(None, form.schema[c]).alias(c)
            for c in PERSON
        ),
        source=pl.lit(name),
        record_id=pl.Series(draw.numbers(n, 100_000, 2).astype(str)),
        country=pl.col("iso_country"),
        device_id=_some(devices[rows + people.height * draw.chance(n, 0.3)], draw, system.device),
        updated_at=pl.from_epoch(pl.Series(at)).cast(pl.Datetime("us")),
        person=who["person"],
    )
    for column, values in PLACEHOLDERS.items():
        junk = pl.Series(draw.pick(values, n).tolist(), dtype=frame.schema[column])
        planted = pl.Series(draw.chance(n, 0.002)) & pl.Series([column in system.keeps] * n)
        frame = frame.with_columns(pl.when(planted).then(junk).otherwise(column).alias(column))
    return frame


def _some(values: Array, draw: Draw, share: float) -> pl.Series:
    kept = pl.Series(draw.chance(len(values), share))
    return pl.select(pl.when(kept).then(pl.Series(values.tolist(), dtype=pl.String))).to_series()
