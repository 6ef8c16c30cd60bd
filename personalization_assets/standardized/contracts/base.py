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
