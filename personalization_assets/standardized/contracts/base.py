"""What every standardized table shares: where a row came from, and what was odd about it."""

from collections.abc import Sequence
from typing import Any

import pandera.polars as pa
import polars as pl

from personalization_assets.contracts import frame_rule
from personalization_assets.contracts.predicates import AtLeastOne, InOrder, NotFlagged

CONTRACT_VERSION = 1
REJECT_LIMIT = 0.2

EMAIL_PATTERN = r"^[^\s@<>(),;:\\\"]{1,64}@[^\s@.]+(\.[^\s@.]+)+$"
PHONE_PATTERN = r"^\+[1-9][0-9]{6,14}$"
COUNTRY_PATTERN = r"^[A-Z]{2}$"
LANGUAGE_PATTERN = r"^[a-z]{2}$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"

MONEY_LIMIT = 10_000_000.0
QUANTITY_LIMIT = 1_000_000

EMAIL_WARNINGS = ["email.type", "email.role", "email.disposable"]
PERSON_WARNINGS = [
    "name.implausible",
    *EMAIL_WARNINGS,
    "phone.type",
    "phone.invalid",
    "postcode.shape",
    "country.unknown",
]
"""Rules of the columns that every table about a person has."""

BASE_UNIT = {"unit": "base currency"}


class StandardizedRow(pa.DataFrameModel):
    """One row of a source, traceable to the file and line it was read from."""

    source: str = pa.Field(description="Name of the source the row came from")
    batch_id: str = pa.Field(
        alias="_batch_id", description="Version of the file the row was read from"
    )
    row_key: str = pa.Field(
        alias="_row_key", description="Batch and row number: finds the row as received"
    )
    flags: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]
        alias="_flags",
        description="Warnings about the row, such as 'phone.type'; empty when nothing was odd",
    )


def flag_rule(name: str, words: str) -> Any:
    """A rule that the standardiser judges, because it needs more than the row itself.

    The standardiser writes `name` into the row's `_flags`: a date after the run (which no contract
    can know), a value it set to null because it could not be understood.
    """
    return frame_rule(name, words, NotFlagged(name))


def at_least_one(name: str, columns: Sequence[str], words: str) -> Any:
    """One of these columns is filled."""
    return frame_rule(name, words, AtLeastOne(tuple(columns)))


def in_order(name: str, first: str, second: str, words: str) -> Any:
    """The first time or number is not above the second; either may be empty."""
    return frame_rule(name, words, InOrder(first, second))


def not_in_the_future(column: str) -> Any:
    """The time does not lie more than a day after the run; a day covers time zones."""
    return flag_rule(f"{column}.future", f"{column} does not lie after the run")


def known(column: str, what: str) -> Any:
    """The value could be understood; one that could not is null."""
    return flag_rule(f"{column}.unknown", f"{column} is {what}; anything else becomes empty")


def born_in_range() -> Any:
    """Nobody is born after the run; a birth before 1900 is a placeholder."""
    return flag_rule(
        "birth_date.range", "birth_date lies between 1900 and the run; others become empty"
    )


def believable_age() -> Any:
    """A child or a record of age is kept: it may be true, and it may be the wrong field."""
    return flag_rule("birth_date.age", "the person is 13 to 110 years old on the day of the run")


def real_name() -> Any:
    """What stands in the name is a name; what else it may be is in `normalise/plausible.py`."""
    return flag_rule(
        "name.implausible", "the name has letters, no digits and no @, and is no word like 'test'"
    )


def no_task() -> Any:
    """The address is a person's; names of tasks can be changed in data/role_accounts.csv."""
    return flag_rule("email.role", "the address is a person's and not a task's, such as info@")


def lasting_address() -> Any:
    """The address will last; domains can be changed in data/disposable_domains.csv."""
    return flag_rule("email.disposable", "the address is of no service of throw-away addresses")


def given_out() -> Any:
    """The number is valid to libphonenumber; a possible one that is not may still be dialled."""
    return flag_rule("phone.invalid", "the phone number fits its country's numbering plan")


def countrys_postcode() -> Any:
    """The postal code has the shape of its country's, where `normalise` knows it."""
    return flag_rule("postcode.shape", "the postal code has the shape that its country's have")


def fresh_rate() -> Any:
    """The amount was converted at a rate of that day, or of the seven days before."""
    return flag_rule(
        "currency.stale_rate", "a rate of at most seven days before is known for the amount"
    )


def has_rate() -> Any:
    """Some rate of the currency is known; without one the base amount is null."""
    return flag_rule("currency.no_rate", "the currency has a rate to the base currency")


def readable_row() -> Any:
    """The line of the file was a row at all."""
    return flag_rule("row.unreadable", "the line could be read as a row of its file")


def contract_metadata(
    key: list[str],
    grain: str,
    *,
    pii: bool,
    warnings: list[str],
    unreadable: list[str],
    reject_limit: float = REJECT_LIMIT,
) -> dict[str, Any]:
    """The facts about a table that its columns cannot say.

    `unreadable` names the columns that are read from text into another type: a value that cannot
    be read breaks `<column>.type`. `reject_limit` is the share of received rows that may be
    rejected before the publish stops.
    """
    return {
        "room": "standardized",
        "key": key,
        "grain": grain,
        "version": CONTRACT_VERSION,
        "owner": "team:crm",
        "pii": pii,
        "warnings": warnings,
        "reported": {f"{c}.type": f"{c} could be read" for c in unreadable},
        "reject_limit": reject_limit,
    }
