"""A run over what has changed gives the tables of a run over everything, row for row."""

import datetime as dt
import os

import polars as pl
import pytest

from personalization_assets.identity.incremental.relinking import TooMuchError
from personalization_assets.identity.model import Model
from personalization_tests.identity.histories import (
    KEYS,
    Night,
    frame_of,
    histories,
    in_full,
    in_order,
    in_part,
    learn,
)
from personalization_tests.identity.people import AS_OF

SIZES = [(30, 90), (60, 120), (120, 200), (250, 300)]
"""People and records: from a crowd where all hangs together to one of many small circles."""

HISTORIES = int(os.environ.get("FUZZ_HISTORIES", "10"))


@pytest.fixture(scope="module")
def crowd_model() -> Model:
    """Learnt from a crowd of thousands, so that every comparison and the households are known."""
    return learn()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_any_history_of_changes_gives_the_tables_of_full_runs(
    seed: int, crowd_model: Model
) -> None:
    people, records = SIZES[seed % len(SIZES)]
    night, by_parts = Night.none(), 0
    for day, (frame, decisions) in enumerate(histories(seed, people, records, nights=3)):
        as_of = AS_OF + dt.timedelta(days=day)
        full = in_full(frame, decisions, night, crowd_model, as_of)
        if not day:
            night = full
            continue
        try:
            part, _ = in_part(frame, decisions, night, crowd_model, as_of)
        except TooMuchError:
            night = full
            continue
        expected, found = in_order(full), in_order(part)
        for table in KEYS:
            columns = expected[table].columns
            assert expected[table].equals(found[table].select(columns)), (day, table)
        assert part.totals == full.totals
        night, by_parts = part, by_parts + 1
    # Of more histories than usual, some are too crowded on all nights.
    assert by_parts or seed >= 10


def test_a_night_without_changes_looks_at_nothing(crowd_model: Model) -> None:
    (frame, decisions), *_ = histories(1, 60, 120, nights=0)
    first = in_full(frame, decisions, Night.none(), crowd_model, AS_OF)
    again, found = in_part(frame, decisions, first, crowd_model, AS_OF + dt.timedelta(days=1))
    assert (found.changed, found.relinked) == (0, 0)
    assert all(again.tables[t].equals(first.tables[t]) for t in KEYS)


def test_a_change_reaches_no_further_than_its_circle(crowd_model: Model) -> None:
    (frame, decisions), *_ = histories(3, 250, 300, nights=0)
    first = in_full(frame, decisions, Night.none(), crowd_model, AS_OF)
    named = frame.filter(pl.col("given_name").is_not_null())["record_id"][0]
    changed = frame.with_columns(
        given_name=pl.when(record_id=named).then(pl.lit("wilhelmine")).otherwise("given_name")
    )
    _, found = in_part(changed, decisions, first, crowd_model, AS_OF + dt.timedelta(days=1))
    assert found.changed == 1
    assert 1 <= found.relinked < frame.height / 3


def test_a_circle_too_large_for_all_its_pairs_asks_for_a_full_run(crowd_model: Model) -> None:
    # One person, written down more often than a component may be large, each sharing with the next.
    rows = [
        {
            "source": "crm",
            "entity": "crm_contacts",
            "record_id": f"{i:02d}",
            "updated_at": AS_OF,
            "given_name": "annabel",
            "family_name": "kowalewski",
            "birth_date": dt.date(1984, 3, 12),
            "phone": f"+49171555{(i + 1) // 2:04d}",
            "email": f"annabel{i // 2}@mail.example",
        }
        for i in range(24)
    ]
    first = in_full(frame_of(rows[:20]), [], Night.none(), crowd_model, AS_OF)
    with pytest.raises(TooMuchError, match="records that look alike"):
        in_part(frame_of(rows), [], first, crowd_model, AS_OF)
