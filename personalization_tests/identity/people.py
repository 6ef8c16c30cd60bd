"""Made-up people and what source systems hold about them, for tests of this room."""

import datetime as dt
import random
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from personalization_assets.identity.comparison import load_comparisons
from personalization_assets.identity.gate import Figures, measure
from personalization_assets.identity.linking import Linked, link, whole_ledger
from personalization_assets.identity.matching import match_pairs, matches_table
from personalization_assets.identity.model import Model
from personalization_assets.identity.normalise import prepare
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.training import train
from personalization_assets.identity.workspace import workspace

AS_OF = dt.datetime(2026, 11, 1, 6)
SETTINGS = IdentitySettings(sample_records=500)

RECORDS: dict[str, Any] = {
    "source": pl.String,
    "record_id": pl.String,
    "entity": pl.String,
    "account_key": pl.String,
    "given_name": pl.String,
    "family_name": pl.String,
    "email": pl.String,
    "phone": pl.String,
    "birth_date": pl.Date,
    "street": pl.String,
    "postcode": pl.String,
    "city": pl.String,
    "country": pl.String,
    "device_id": pl.String,
    "updated_at": pl.Datetime("us"),
}
LEDGER: dict[str, Any] = {
    "event_id": pl.String,
    "as_of": pl.Datetime("us"),
    "event": pl.String,
    "customer_id": pl.String,
    "other_customer_id": pl.String,
    "records": pl.Int64,
    "cause": pl.String,
}
DECISIONS = ["source_l", "record_id_l", "source_r", "record_id_r", "verdict"]
FORMER = {"source": pl.String, "record_id": pl.String, "customer_id": pl.String}
LINKED = {**FORMER, "linked_by": pl.String}

SYLLABLES = ["ba", "do", "ki", "lu", "me", "no", "pa", "ri", "sa", "te", "vo", "zu", "ga", "he"]


def records(*rows: dict[str, Any]) -> pl.DataFrame:
    """A frame of identity.records; `id` is short for record_id, the source is `crm`."""
    full = [
        {"source": "crm", "entity": "crm_contacts", "updated_at": AS_OF, **r, "record_id": r["id"]}
        for r in rows
    ]
    return (
        pl.DataFrame(full, schema=RECORDS, orient="row") if full else pl.DataFrame(schema=RECORDS)
    )


def word(rng: random.Random, syllables: int) -> str:
    """A name nobody bears."""
    return "".join(rng.choice(SYLLABLES) for _ in range(syllables))


def town(people: int, seed: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records of people in households, two or three each, with slips; and who is who."""
    rng = random.Random(seed)
    firsts = [word(rng, 3) for _ in range(150)] + ["robert", "elizabeth"] * 3
    lasts = [word(rng, 3) for _ in range(people // 2)]
    rows: list[dict[str, Any]] = []
    truth: list[tuple[str, str, str]] = []
    person = 0
    while person < people:
        last = rng.choice(lasts)
        street = f"{word(rng, 3).capitalize()}strasse {rng.randint(1, 90)}"
        postcode = str(rng.randint(10000, 10000 + people))
        for _ in range(rng.choice([1, 1, 2, 3])):
            first = rng.choice(firsts)
            born = dt.date(1950, 1, 1) + dt.timedelta(days=rng.randint(0, 18000))
            email = f"{first}.{last}{rng.randint(1, 9999)}@mail.example"
            phone = f"+4917{rng.randint(10**7, 10**8)}"
            for copy in range(rng.choice([1, 2, 2, 3])):
                given, family = first, last
                if rng.random() < 0.08:
                    family = family[:2] + family[3:]
                if given == "robert" and rng.random() < 0.5:
                    given = "Bob"
                rows.append(
                    {
                        "source": ["crm", "loyalty", "shop"][copy],
                        "id": f"r{person}",
                        "given_name": given.capitalize(),
                        "family_name": family.capitalize(),
                        "email": email.upper() if rng.random() < 0.7 else None,
                        "phone": phone if rng.random() < 0.5 else None,
                        "birth_date": born if rng.random() < 0.6 else None,
                        "street": street if rng.random() < 0.7 else None,
                        "postcode": postcode,
                    }
                )
                truth.append((rows[-1]["source"], f"r{person}", f"p{person}"))
            person += 1
    return records(*rows), pl.DataFrame(truth, schema=["source", "key", "person"], orient="row")


@dataclass
class Result:
    """One run of the room on frames."""

    model: Model
    matches: pl.DataFrame
    links: pl.DataFrame
    ledger: pl.DataFrame
    review: pl.DataFrame
    strict: pl.DataFrame
    former: pl.DataFrame
    figures: Figures

    def customer(self, record_id: str, source: str = "crm") -> str:
        """The customer of a record."""
        found = self.links.filter(source=source, record_id=record_id)["customer_id"]
        assert len(found) == 1
        return str(found[0])

    def together(self, a: str, b: str) -> bool:
        """Whether two CRM records are one customer."""
        return self.customer(a) == self.customer(b)


def learn(frame: pl.DataFrame, settings: IdentitySettings = SETTINGS, threads: int = 2) -> Model:
    """A model trained on the frame."""
    comparisons = load_comparisons()
    with workspace({"records": frame.to_arrow()}) as work:
        work.execute(f"SET threads = {threads}")
        prepare(work, settings, comparisons.roles)
        return train(work, comparisons, settings)


def resolve(
    frame: pl.DataFrame,
    model: Model | None = None,
    before: Result | None = None,
    decisions: list[tuple[str, str, str]] | None = None,
    as_of: dt.datetime = AS_OF,
    settings: IdentitySettings = SETTINGS,
    threads: int = 2,
) -> Result:
    """Match and link; decisions are (record, record, verdict) of the CRM."""
    model = model or learn(frame, settings, threads)
    verdicts = pl.DataFrame(
        [("crm", a, "crm", b, v) for a, b, v in decisions or []],
        schema=dict.fromkeys(DECISIONS, pl.String),
        orient="row",
    )
    previous = before.links.select(list(LINKED)) if before else pl.DataFrame(schema=LINKED)
    ledger = before.ledger if before else pl.DataFrame(schema=LEDGER)
    former = before.former if before else pl.DataFrame(schema=FORMER)
    tables: dict[str, pa.Table] = {
        "records": frame.to_arrow(),
        "decisions": verdicts.to_arrow(),
        "previous": previous.to_arrow(),
        "ledger": ledger.to_arrow(),
        "former": former.to_arrow(),
    }
    with workspace(tables) as work:
        work.execute(f"SET threads = {threads}")
        match_pairs(work, model, settings, keep=True)
        matches = matches_table(work, model.version)
        home = model.household.share if model.household else None
        linked: Linked = link(
            work,
            model.share,
            home,
            settings,
            as_of,
            model.version,
            before is not None and before.model.version != model.version,
        )
        figures, ledger = measure(work), whole_ledger(work)
    return Result(
        model,
        pl.DataFrame(matches),
        pl.DataFrame(linked.links),
        pl.DataFrame(ledger),
        pl.DataFrame(linked.review_queue),
        pl.DataFrame(linked.links_strict),
        pl.DataFrame(linked.former_ids),
        figures,
    )
