"""What a person has one of keeps people apart, whatever else they share."""

import datetime as dt
from typing import Any

import pytest

from personalization_assets.identity.model import Model
from personalization_tests.identity.people import SETTINGS, Result, records, resolve
from personalization_tests.identity.test_who_is_who import ANNA


def found(
    model: Model,
    columns: list[str],
    *rows: dict[str, Any],
    decisions: list[tuple[str, str, str]] | None = None,
) -> Result:
    """The records linked under a setting of what a person has one of."""
    settings = SETTINGS.model_copy(update={"one_per_person": {"crm": columns}})
    return resolve(records(*rows), model, decisions=decisions, settings=settings)


@pytest.mark.parametrize(
    ("columns", "other", "together"),
    [
        (["account_key"], {"account_key": "shop:2"}, False),
        (["account_key"], {"account_key": "forum:2"}, True),
        (["account_key"], {}, True),
        (["birth_date"], {"birth_date": dt.date(1984, 3, 13)}, False),
        (["record_id"], {}, False),
        ([], {"account_key": "shop:2"}, True),
    ],
)
def test_two_values_of_one_system_are_two_people(
    model: Model, columns: list[str], other: dict[str, Any], together: bool
) -> None:
    one = {**ANNA, "account_key": "shop:1"}
    result = found(model, columns, {"id": "a", **one}, {"id": "b", **ANNA, **other})
    assert result.together("a", "b") is together


def test_a_third_record_does_not_bridge_a_veto(model: Model) -> None:
    rows = [{"id": k, **ANNA, "account_key": f"shop:{k}"} for k in ("1", "2")]
    result = found(model, ["account_key"], *rows, {"id": "3", **ANNA})
    assert not result.together("1", "2")
    assert result.matches.filter(cause="veto").height == 1


def test_a_decision_overrules_a_veto(model: Model) -> None:
    rows = [{"id": k, **ANNA, "account_key": f"shop:{k}"} for k in ("1", "2")]
    result = found(model, ["account_key"], *rows, decisions=[("1", "2", "same")])
    assert result.together("1", "2")
