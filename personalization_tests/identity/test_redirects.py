"""A retired id leads to whoever has its records now, for ever, and is never given again."""

import datetime as dt

import duckdb
import polars as pl

from personalization_assets.identity.model import Model
from personalization_assets.settings import PROJECT
from personalization_assets.sql_models import read_sql_model
from personalization_tests.identity.people import (
    AS_OF,
    FORMER,
    LEDGER,
    LINKED,
    Result,
    records,
    resolve,
)
from personalization_tests.identity.test_who_is_who import ANNA

MODEL = read_sql_model(PROJECT / "dbt_like_sql" / "identity" / "redirects.sql")
Row = tuple[str | None, str | None]
Event = tuple[int, str, str, str | None]


def redirects(links: pl.DataFrame, ledger: pl.DataFrame, former: pl.DataFrame) -> dict[str, Row]:
    """Retired id -> where it leads, and how that was found; the model's rules hold."""
    con = duckdb.connect()
    con.execute("CREATE SCHEMA identity")
    for name, frame in (("links", links), ("ledger", ledger), ("former_ids", former)):
        con.register("incoming", frame.to_arrow())
        con.execute(f"CREATE TABLE identity.{name} AS SELECT * FROM incoming")
    con.execute(f"CREATE TABLE redirects AS {MODEL.sql}")
    for rule in MODEL.contract.rules:
        if rule.sql:
            broken = con.execute(f"SELECT count(*) FROM redirects WHERE NOT ({rule.sql})")
            assert broken.fetchall() == [(0,)], rule.name
    rows = con.execute("SELECT retired_id, customer_id, found_by FROM redirects").fetchall()
    assert len({r[0] for r in rows}) == len(rows)
    return {r[0]: (r[1], r[2]) for r in rows}


def of(result: Result) -> dict[str, Row]:
    return redirects(result.links, result.ledger, result.former)


def written(events: list[Event], alive: list[str]) -> dict[str, Row]:
    """Redirects of a ledger of (day, event, customer, other), when no record is remembered."""
    ledger = pl.DataFrame(
        [
            {
                "event_id": f"e{n}",
                "as_of": AS_OF + dt.timedelta(days=day),
                "event": event,
                "customer_id": customer,
                "other_customer_id": other,
                "records": 1,
                "cause": "matching",
            }
            for n, (day, event, customer, other) in enumerate(events)
        ],
        schema=LEDGER,
    )
    links = pl.DataFrame(
        [{"source": "s", "record_id": c, "customer_id": c} for c in alive], schema=LINKED
    )
    return redirects(links, ledger, pl.DataFrame(schema=FORMER))


def night(
    frame: pl.DataFrame,
    model: Model,
    before: Result | None,
    day: int,
    decisions: list[tuple[str, str, str]] | None = None,
) -> Result:
    return resolve(frame, model, before, decisions, AS_OF + dt.timedelta(days=day))


FOUR = records(
    {"id": "a", **ANNA},
    *({"id": i, "email": f"{i}lsewhere@mail.example"} for i in "bcd"),
)


def test_a_chain_of_merges_leads_to_its_end(model: Model) -> None:
    first = night(FOUR, model, None, 0)
    assert of(first) == {}
    two = night(FOUR, model, first, 1, [("b", "c", "same")])
    pairs = [("b", "c", "same"), ("a", "b", "same"), ("a", "d", "same")]
    four = night(FOUR, model, two, 2, pairs)
    last = four.customer("a")
    gone = {first.customer(i) for i in "abcd"} - {last}
    assert len(gone) == 3
    assert of(four) == dict.fromkeys(gone, (last, "records"))


def test_after_a_split_an_id_follows_its_own_records(model: Model) -> None:
    first = night(FOUR, model, None, 0)
    joined = night(FOUR, model, first, 1, [("a", "b", "same")])
    parted = night(FOUR, model, joined, 2)
    (gone,) = of(joined)
    mine = next(i for i in "ab" if first.customer(i) == gone)
    # Whichever part kept the id: the retired one goes where its record went.
    assert of(joined)[gone] == (joined.customer(mine), "records")
    assert of(parted) == {gone: (parted.customer(mine), "records")}
    assert gone not in set(parted.links["customer_id"])


def test_a_retired_id_is_not_revived_by_its_records(model: Model) -> None:
    first = night(FOUR, model, None, 0)
    without = night(FOUR.filter(pl.col("record_id") != "b"), model, first, 1)
    gone = first.customer("b")
    assert of(without) == {gone: (None, None)}
    back = night(FOUR, model, without, 2)
    assert back.customer("b") != gone
    assert of(back) == {gone: (None, None)}
    # Nor by a rerun of the very night that first gave it.
    again = night(FOUR, model, without, 0)
    assert gone not in set(again.links["customer_id"])


def test_an_id_whose_records_are_erased_keeps_nothing_of_them(model: Model) -> None:
    first = night(FOUR, model, None, 0)
    joined = night(FOUR, model, first, 1, [("a", "b", "same")])
    (gone,) = of(joined)
    mine = next(i for i in "ab" if first.customer(i) == gone)
    left = "b" if mine == "a" else "a"
    erased = night(FOUR.filter(pl.col("record_id") != mine), model, joined, 2)
    assert erased.former.filter(record_id=mine).is_empty()
    # The customer it was merged into lives on, and gave nothing away.
    assert of(erased) == {gone: (erased.customer(left), "merges")}


def test_without_records_the_ledger_is_followed() -> None:
    chain: list[Event] = [(1, "merge", "b", "a"), (2, "merge", "c", "b")]
    assert written(chain, ["c"]) == {"a": ("c", "merges"), "b": ("c", "merges")}
    gone: list[Event] = [*chain, (3, "retire", "c", None)]
    assert written(gone, []) == dict.fromkeys("abc", (None, None))
    # c gave records away since: whose they were is not known, so nobody is named.
    assert written([*chain, (3, "split", "d", "c")], ["c", "d"]) == dict.fromkeys(
        "ab", (None, None)
    )
    # A split before the merge says nothing about what was merged.
    before: list[Event] = [(1, "split", "d", "c"), (2, "merge", "c", "b")]
    assert written(before, ["c", "d"]) == {"b": ("c", "merges")}


def test_a_damaged_ledger_ends_all_the_same() -> None:
    circle: list[Event] = [(1, "merge", "b", "a"), (2, "merge", "a", "b")]
    assert written(circle, ["c"]) == dict.fromkeys("ab", (None, None))
