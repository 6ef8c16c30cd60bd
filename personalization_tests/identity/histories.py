"""A crowded little world that changes from night to night, and both ways to link it.

Everybody shares something with somebody, limits are low, and so whatever may flip does: values
become junk and stop being it, blocks overflow, handles come to restate a name, homes get another
first record, components are cut.
"""

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from personalization_assets.identity.comparison import load_comparisons
from personalization_assets.identity.descriptions import COLUMNS
from personalization_assets.identity.gate import Totals, measure
from personalization_assets.identity.incremental.changed import find_changed
from personalization_assets.identity.incremental.relinking import Relinked, relink
from personalization_assets.identity.linking import areas, link, whole_ledger
from personalization_assets.identity.matching import match_pairs, matches_table
from personalization_assets.identity.model import Model
from personalization_assets.identity.normalise import prepare
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.training import train
from personalization_assets.identity.workspace import workspace
from personalization_assets.warehouse import Change
from personalization_tests.identity.people import (
    AS_OF,
    DECISIONS,
    FORMER,
    LEDGER,
    RECORDS,
    word,
)

SETTINGS = IdentitySettings(
    sample_records=500,
    max_block_size=6,
    junk_names=2,
    mass_date_minimum=6,
    mass_date_factor=4,
    max_component_size=20,
    max_cluster_size=7,
    max_household_size=4,
    one_per_person={"loyalty": ["birth_date"], "shop": ["account_key"]},
)
SOURCES = ("crm", "shop", "loyalty", "mails")
KEYS = {
    "matches": ["source_l", "record_id_l", "source_r", "record_id_r"],
    "descriptions": ["source", "record_id"],
    "links": ["source", "record_id"],
    "ledger": ["event_id"],
    "review_queue": ["item_id"],
    "links_strict": ["source", "record_id"],
    "former_ids": ["source", "record_id", "customer_id"],
}


class World:
    """People, homes and what systems write down of them; small pools make chance meetings."""

    def __init__(self, seed: int, people: int) -> None:
        self.rng = random.Random(seed)
        size = max(people // 3, 6)
        self.firsts = [word(self.rng, 2) for _ in range(size)] + ["robert", "bob", "elizabeth"]
        self.lasts = [word(self.rng, 3) for _ in range(size)]
        self.homes = [
            (f"{word(self.rng, 3)}strasse {self.rng.randint(1, 9)}", str(10000 + i // 2))
            for i in range(size)
        ]
        self.phones = [f"+4917{self.rng.randint(10**7, 10**8)}" for _ in range(size)]
        self.people = [self._person(i) for i in range(people)]
        self.made = 0

    def _person(self, number: int) -> dict[str, Any]:
        rng = self.rng
        first, last = rng.choice(self.firsts), rng.choice(self.lasts)
        street, postcode = rng.choice(self.homes)
        local = rng.choice([f"{first}.{last}", word(rng, 3) + "77", f"{last}{rng.randint(1, 9)}"])
        return {
            "given_name": first,
            "family_name": last,
            "email": f"{local}@{rng.choice(['mail', 'post'])}.example",
            "phone": rng.choice(self.phones),
            "birth_date": dt.date(1980, 1, 1) + dt.timedelta(days=rng.randint(0, 60) * 97),
            "street": street,
            "postcode": postcode,
            "city": "town",
            "account_key": f"shop:{number // 2}",
            "device_id": f"d{number // 3}",
        }

    def record(self) -> dict[str, Any]:
        """One more record of somebody: whole, partly filled in, a mere mailbox or a mere name."""
        rng = self.rng
        person = dict(rng.choice(self.people))
        kind = rng.random()
        if kind < 0.12:
            keep = {"email"} | ({"device_id"} if rng.random() < 0.3 else set())
        elif kind < 0.17:
            keep = {"given_name", "family_name"}
        elif kind < 0.27:
            keep = {"account_key", "device_id"}
        else:
            keep = {c for c in person if rng.random() < 0.6}
        row = {c: v for c, v in person.items() if c in keep}
        if "given_name" in row and rng.random() < 0.15:
            row["given_name"] = row["given_name"][:-1]
        if "account_key" in row and kind >= 0.27 and rng.random() < 0.7:
            del row["account_key"]
        self.made += 1
        return {
            "source": rng.choice(SOURCES),
            "entity": "crm_contacts",
            "record_id": f"{rng.randint(0, 999):03d}-{self.made}",
            "updated_at": AS_OF,
            **row,
        }


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a frame of identity.records."""
    return pl.DataFrame(rows, schema=RECORDS, orient="row")


def learn(seed: int = 5) -> Model:
    """A model of a large world: households and names are learnt, every column is in use."""
    world = World(seed, 900)
    comparisons = load_comparisons()
    settings = SETTINGS.model_copy(update={"max_block_size": 100, "junk_names": 4})
    with workspace({"records": frame_of([world.record() for _ in range(3000)]).to_arrow()}) as work:
        prepare(work, settings, comparisons.roles)
        return train(work, comparisons, settings)


@dataclass
class Night:
    """What one run publishes."""

    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)

    @classmethod
    def none(cls) -> "Night":
        """Before the first run."""
        linked = {**FORMER, "linked_by": pl.String}
        return cls(
            {
                "links": pl.DataFrame(schema=linked),
                "ledger": pl.DataFrame(schema=LEDGER),
                "former_ids": pl.DataFrame(schema=FORMER),
            }
        )


def _given(frame: pl.DataFrame, decisions: list[tuple[str, ...]]) -> dict[str, pa.Table]:
    verdicts = pl.DataFrame(decisions, schema=dict.fromkeys(DECISIONS, pl.String), orient="row")
    return {"records": frame.to_arrow(), "decisions": verdicts.to_arrow()}


def in_full(
    frame: pl.DataFrame,
    decisions: list[tuple[str, ...]],
    before: Night,
    model: Model,
    as_of: dt.datetime,
    settings: IdentitySettings = SETTINGS,
) -> Night:
    """All records again."""
    tables = _given(frame, decisions) | {
        "previous": before.tables["links"]
        .select("source", "record_id", "customer_id", "linked_by")
        .to_arrow(),
        "ledger": before.tables["ledger"].to_arrow(),
        "former": before.tables["former_ids"].to_arrow(),
    }
    with workspace(tables) as work:
        match_pairs(work, model, settings, keep=True)
        matches = matches_table(work, model.version)
        home = model.household.share if model.household else None
        linked = link(work, model.share, home, settings, as_of, model.version)
        totals = measure(work).totals
        ledger = whole_ledger(work)
        areas(work, settings)
        descriptions = work.sql(
            f"SELECT {', '.join(f'd.{c}' for c in COLUMNS)}, a.area, a.neighbourhood"
            " FROM descriptions AS d JOIN area_of AS a ON a.rid = d.number"
        ).to_arrow_table()
    return Night(
        {
            "matches": pl.DataFrame(matches),
            "descriptions": pl.DataFrame(descriptions),
            "links": pl.DataFrame(linked.links),
            "ledger": pl.DataFrame(ledger),
            "review_queue": pl.DataFrame(linked.review_queue),
            "links_strict": pl.DataFrame(linked.links_strict),
            "former_ids": pl.DataFrame(linked.former_ids),
        },
        totals,
    )


def in_part(
    frame: pl.DataFrame,
    decisions: list[tuple[str, ...]],
    before: Night,
    model: Model,
    as_of: dt.datetime,
    settings: IdentitySettings = SETTINGS,
) -> tuple[Night, Relinked]:
    """What has changed since the night before, put into its tables."""
    names = {
        "links": "links_before",
        "links_strict": "strict_before",
        "review_queue": "review_before",
        "former_ids": "former_before",
        "ledger": "ledger_before",
        "matches": "matches_before",
        "descriptions": "descriptions_before",
    }
    tables = _given(frame, decisions) | {
        name: before.tables[table].to_arrow() for table, name in names.items()
    }
    with workspace(tables) as work:
        find_changed(work)
        found = relink(work, model, settings, as_of, before.totals)
    after = {t: _put(before.tables[t], getattr(found, t), KEYS[t]) for t in KEYS}
    return Night(after, found.figures.totals), found


def _put(table: pl.DataFrame, change: Change, key: list[str]) -> pl.DataFrame:
    gone, fresh = pl.DataFrame(change.gone), pl.DataFrame(change.fresh)
    left = table.join(gone, on=gone.columns, how="anti") if gone.height else table
    after = pl.concat([left, fresh.select(table.columns).cast(dict(table.schema))])
    assert not after.select(key).is_duplicated().any()
    return after


def in_order(night: Night) -> dict[str, pl.DataFrame]:
    """Tables that can be compared: numbers, which are only names of records, as record keys."""
    names = night.tables["descriptions"].select(
        "number", pl.concat_str("source", "record_id", separator="/").alias("name")
    )
    known = dict(names.iter_rows())
    ordered = {}
    for name, table in night.tables.items():
        if name == "descriptions":
            record = pl.concat_str("source", "record_id", separator="/")
            table = table.with_columns(
                pl.col("lead", "node").replace_strict(known, return_dtype=pl.String),
                *(record.min().over(c).alias(c) for c in ("area", "neighbourhood")),
            ).drop("number")
        ordered[name] = table.sort(pl.all())
    return ordered


def histories(
    seed: int, people: int, records: int, nights: int
) -> Iterator[tuple[pl.DataFrame, list[tuple[str, ...]]]]:
    """Records and decisions of one night after the other; the first is the start."""
    world = World(seed, people)
    rng = world.rng
    rows = [world.record() for _ in range(records)]
    decisions: dict[tuple[str, ...], tuple[str, ...]] = {}
    yield frame_of(rows), []
    for _ in range(nights):
        rows += [world.record() for _ in range(rng.choice([0, 1, 2, 8]))]
        for _ in range(rng.choice([0, 1, 2, 6])):
            rows.pop(rng.randrange(len(rows)))
        for _ in range(rng.choice([0, 1, 2, 6])):
            place = rng.randrange(len(rows))
            key = {c: rows[place][c] for c in ("source", "record_id")}
            rows[place] = {**world.record(), **key}
        if rng.random() < 0.4:
            one, two = sorted((r["source"], r["record_id"]) for r in rng.sample(rows, 2))
            decisions[(*one, *two)] = (*one, *two, rng.choice(["same", "different"]))
        if decisions and rng.random() < 0.3:
            decisions.pop(rng.choice(list(decisions)))
        yield frame_of(rows), list(decisions.values())
