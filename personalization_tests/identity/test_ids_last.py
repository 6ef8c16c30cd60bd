"""Customer ids survive new records, changed minds and reruns; the ledger tells what happened."""

import datetime as dt
from dataclasses import replace

import polars as pl

from personalization_assets.identity.model import Model
from personalization_tests.identity.people import AS_OF, Result, records, resolve, town
from personalization_tests.identity.test_who_is_who import ANNA

LATER = AS_OF + dt.timedelta(days=1)


def test_a_second_run_changes_nothing(
    resolved: Result, townsfolk: tuple[pl.DataFrame, pl.DataFrame], model: Model
) -> None:
    again = resolve(townsfolk[0], model, before=resolved, as_of=LATER)
    assert again.links.equals(resolved.links)
    assert again.ledger.equals(resolved.ledger)
    assert again.review.equals(resolved.review)


def test_threads_and_row_order_do_not_matter(
    resolved: Result, townsfolk: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    shuffled = townsfolk[0].sample(fraction=1.0, shuffle=True, seed=3)
    other = resolve(shuffled, threads=1)
    assert other.model.version == resolved.model.version
    assert other.matches.equals(resolved.matches)
    assert other.links.equals(resolved.links)


def test_ids_stay_when_a_tenth_more_records_arrive(
    resolved: Result, townsfolk: tuple[pl.DataFrame, pl.DataFrame], model: Model
) -> None:
    newcomers, _ = town(80, seed=9)
    newcomers = newcomers.with_columns(record_id=pl.lit("a-") + pl.col("record_id"))
    after = resolve(pl.concat([newcomers, townsfolk[0]]), model, before=resolved, as_of=LATER)
    both = resolved.links.join(after.links, on=["source", "record_id"])
    kept = (both["customer_id"] == both["customer_id_right"]).mean()
    assert isinstance(kept, float)
    assert kept > 0.995
    assert after.ledger.filter(as_of=LATER)["event"].unique().to_list() == ["create"]


def test_the_ledger_records_merges_splits_and_retirement(model: Model) -> None:
    frame = records({"id": "a", **ANNA}, {"id": "b", "email": "elsewhere@mail.example"})
    first = resolve(frame, model)
    merged = resolve(frame, model, first, [("a", "b", "same")], LATER)
    parted = resolve(frame, model, merged, None, LATER + dt.timedelta(days=1))
    gone = resolve(frame.filter(record_id="a"), model, parted, None, LATER + dt.timedelta(days=2))

    def events(result: Result, before: Result | None) -> list[tuple[str, str, str | None]]:
        known = before.ledger.height if before else 0
        assert result.ledger.height >= known
        return result.ledger.tail(result.ledger.height - known).select(
            "event", "customer_id", "other_customer_id"
        ).rows()  # fmt: skip

    one, two = first.customer("a"), first.customer("b")
    assert sorted(e for e, *_ in events(first, None)) == ["create", "create"]
    lasting = merged.customer("a")
    assert lasting in {one, two}
    assert events(merged, first) == [("merge", lasting, two if lasting == one else one)]
    # The retired id does not come back: the part that leaves gets a fresh one.
    fresh = {parted.customer("a"), parted.customer("b")} - {lasting}
    assert not fresh & {one, two}
    assert events(parted, merged) == [("split", fresh.pop(), lasting)]
    assert events(gone, parted) == [("retire", parted.customer("b"), None)]
    assert gone.customer("a") == parted.customer("a")


def test_an_id_is_not_reused_even_by_a_rerun_of_the_same_time(model: Model) -> None:
    frame = records({"id": "a", **ANNA})
    first = resolve(frame, model)
    empty = resolve(records(), model, first)
    assert empty.ledger["event"].to_list() == ["create", "retire"]
    back = resolve(frame, model, empty)
    assert back.customer("a") != first.customer("a")


def causes(result: Result, as_of: dt.datetime) -> list[tuple[str, str]]:
    """Event and cause of what a run added to the ledger, but for new customers."""
    new = result.ledger.filter(pl.col("as_of") == as_of, pl.col("event") != "create")
    return sorted(new.select("event", "cause").rows())


def test_the_ledger_tells_why(model: Model) -> None:
    alone = {"id": "b", "email": "elsewhere@mail.example"}
    apart = records({"id": "a", **ANNA}, alone)
    first = resolve(apart, model)
    joined = resolve(apart, model, first, [("a", "b", "same")], LATER)
    assert causes(joined, LATER) == [("merge", "decision")]
    # The same verdict again is no news; its withdrawal is.
    assert causes(resolve(apart, model, joined, [("a", "b", "same")], LATER), LATER) == [
        ("merge", "decision")
    ]
    later = LATER + dt.timedelta(days=1)
    assert causes(resolve(apart, model, joined, None, later), later) == [("split", "decision")]
    verdict = [("a", "b", "different")]
    assert causes(resolve(apart, model, joined, verdict, later), later) == [("split", "decision")]


def test_the_ledger_tells_a_new_model_from_new_contents_and_new_records(model: Model) -> None:
    half = {**ANNA, "email": None, "phone": None}
    other = {"given_name": "Zuzana", "family_name": "Oyelaran", "birth_date": dt.date(1961, 5, 30)}
    apart = records({"id": "a", **ANNA}, {"id": "b", **half, **other})
    together = records({"id": "a", **ANNA}, {"id": "b", **half})
    bridged = records({"id": "a", **ANNA}, {"id": "b", **half}, {"id": "c", **ANNA})
    first = resolve(apart, model)
    assert not first.together("a", "b")
    assert causes(resolve(together, model, first, None, LATER), LATER) == [("merge", "matching")]
    first.model = replace(model, records=model.records + 1)
    assert causes(resolve(together, model, first, None, LATER), LATER) == [("merge", "new model")]
    assert causes(resolve(bridged, model, first, None, LATER), LATER) == [("merge", "new records")]


def test_a_customer_that_falls_apart_when_its_bridge_goes_says_so(model: Model) -> None:
    frame = records(
        {"id": "a", "email": "one@mail.example"},
        {"id": "b", "email": "two@mail.example"},
        {"id": "c", "email": "three@mail.example"},
    )
    ties = [("a", "b", "same"), ("b", "c", "same")]
    first = resolve(frame, model, None, ties)
    assert first.together("a", "c")
    without = resolve(frame.filter(pl.col("record_id") != "b"), model, first, ties, LATER)
    assert causes(without, LATER) == [("split", "records gone")]


def test_whose_id_it_was_keeps_it_when_a_merge_is_undone(model: Model) -> None:
    second_owns = False
    for name in "abcd":
        one, two = f"{name}1", f"{name}2"
        frame = records({"id": one, **ANNA}, {"id": two, "email": "elsewhere@mail.example"})
        first = resolve(frame, model)
        merged = resolve(frame, model, first, [(one, two, "same")], LATER)
        lasting = merged.customer(one)
        owner = one if first.customer(one) == lasting else two
        second_owns |= owner == two
        parted = resolve(frame, model, merged, None, LATER + dt.timedelta(days=1))
        # Both sides have one record; the id goes back to whom it was given first.
        assert parted.customer(owner) == lasting
    assert second_owns, "no case in which the order of records would give the id to the other"
