"""Customer ids survive new records, changed minds and reruns; the ledger tells what happened."""

import datetime as dt

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
