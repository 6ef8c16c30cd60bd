"""A shop may have few records, few columns, or none: that is said, and nothing fails."""

import polars as pl
import pytest

from personalization_assets.identity.comparison import load_comparisons
from personalization_assets.identity.evaluation import evaluate
from personalization_tests.identity.people import records, resolve
from personalization_tests.identity.test_who_is_who import ANNA


def test_no_records_give_empty_tables() -> None:
    found = resolve(records())
    assert found.links.is_empty()
    assert found.ledger.is_empty()
    assert found.review.is_empty()
    assert any("too few" in note for note in found.model.notes)


def test_few_records_are_matched_on_priors() -> None:
    other = {"given_name": "Viktor", "family_name": "Bergmann", "email": "vb@mail.example"}
    found = resolve(
        records({"id": "a", **ANNA}, {"id": "b", **ANNA, "phone": None}, {"id": "c", **other})
    )
    assert found.together("a", "b")
    assert not found.together("a", "c")


@pytest.mark.parametrize(
    ("absent", "at_least"),
    [
        (["email"], 0.8),
        (["street", "postcode"], 0.8),
        (["given_name"], 0.5),
        (["birth_date", "phone", "street"], 0.7),
    ],
)
def test_columns_may_be_missing(
    townsfolk: tuple[pl.DataFrame, pl.DataFrame], absent: list[str], at_least: float
) -> None:
    frame, truth = townsfolk
    poorer = frame.with_columns(pl.lit(None, frame.schema[c]).alias(c) for c in absent)
    found = resolve(poorer)
    left_out = {"email", "given_name"} & set(absent)
    assert all(any(name in note for note in found.model.notes) for name in left_out)
    scores = dict(evaluate(found.links, truth).iter_rows())
    assert scores["pair_f1"] > at_least
    assert scores["pair_precision"] > 0.85


def test_names_only() -> None:
    same = {"given_name": "Annabel", "family_name": "Kowalewski"}
    found = resolve(records(*({"id": str(i), **same} for i in range(3)), {"id": "x"}))
    assert found.links.height == 4


def test_the_shipped_comparisons_are_valid() -> None:
    assert len(load_comparisons().comparisons) == 7
