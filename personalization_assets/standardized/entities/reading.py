"""The state of reading one source's rows: columns in, columns out, what went wrong per row."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from personalization_assets.mailboxes import Mailboxes, packaged_mailboxes
from personalization_assets.standardized.normalise import (
    dates,
    money,
    places,
    plausible,
    rates,
    text,
)
from personalization_assets.standardized.normalise.email import email
from personalization_assets.standardized.normalise.flags import boolean
from personalization_assets.standardized.normalise.labels import label
from personalization_assets.standardized.normalise.phone import phone

CLOCK_TOLERANCE = dt.timedelta(days=1)
"""Clocks differ and zones are mistaken: only what lies further ahead is in the future."""

OLDEST_BIRTH = dt.date(1900, 1, 2)
"""1900-01-01 and before is what systems write when they must write something."""

AGES = (13, 110)
"""Years between which customers are; younger ones need their parents' consent in most places."""

BAD_LINE = "_bad_line"
"""Column of a received row that holds a line which is no row."""

UNREADABLE = "row.unreadable"


@dataclass(frozen=True)
class SourceContext:
    """How one source writes what it writes."""

    name: str
    time_zone: str = "UTC"
    date_order: str = "ymd"
    currency: str | None = None
    country: str | None = None
    account_system: str | None = None
    decimal: str = "."
    orders_of: str | None = None


@dataclass(frozen=True)
class Lookups:
    """What a table needs of tables that were standardised before it.

    `order_times` has source, order_id, ordered_at; `spellings` maps a label's key to how the
    catalogue, or the user, writes it; `mailboxes` are the lists that addresses are held against.
    """

    order_times: pl.DataFrame | None = None
    spellings: Mapping[str, str] = field(default_factory=dict)
    mailboxes: Mailboxes = field(default_factory=packaged_mailboxes)


class Reading:
    """Collects the columns of the result; every method gives the column that it has put."""

    def __init__(
        self,
        raw: pl.DataFrame,
        source: SourceContext,
        as_of: dt.datetime,
        base_currency: str,
        lookups: Lookups,
    ) -> None:
        self.raw = raw
        self.source = source
        self.as_of = as_of
        self.base_currency = base_currency
        self.lookups = lookups
        self.height = raw.height
        self._columns: dict[str, pl.Series] = {
            "source": self.constant(source.name).alias("source"),
            "_batch_id": raw["_batch_id"],
            "_row_key": raw["_row_key"],
        }
        self._failed: dict[str, pl.Series] = {}
        self._flags: dict[str, pl.Series] = {}
        if BAD_LINE in raw.columns:
            self.flag(UNREADABLE, raw[BAD_LINE].is_not_null())

    # In and out

    def constant(self, value: object, dtype: pl.DataType | None = None) -> pl.Series:
        """The same value for every row."""
        kind = dtype or pl.String()
        return pl.Series([value], dtype=kind).new_from_index(0, self.height)

    def received(self, column: str) -> pl.Series:
        """A column as received; nulls where the source has none."""
        if column in self.raw.columns:
            return self.raw[column].cast(pl.String)
        return self.constant(None)

    def put(self, column: str, values: pl.Series) -> pl.Series:
        """Make a series a column of the result."""
        self._columns[column] = values.alias(column)
        return values

    def __getitem__(self, column: str) -> pl.Series:
        return self._columns[column]

    def flag(self, rule: str, rows: pl.Series) -> None:
        """Note for some rows that they break a rule."""
        mask = rows.fill_null(value=False)
        if mask.any():
            self._flags[rule] = mask | self._flags[rule] if rule in self._flags else mask

    def read(self, column: str, asked: pl.Series, values: pl.Series) -> pl.Series:
        """Put what was read of a text; what could not be read has failed."""
        failed = asked.is_not_null() & values.is_null()
        if failed.any():
            self._failed[column] = failed
        return self.put(column, values)

    def result(self) -> pl.DataFrame:
        """The columns that were put, `_flags` and `_failed_casts`."""
        frame = pl.DataFrame(list(self._columns.values()))
        return frame.with_columns(
            _names_per_row(self._flags, self.height).alias("_flags"),
            _names_per_row(self._failed, self.height).alias("_failed_casts"),
        )

    # Kinds of columns

    def text(self, *columns: str) -> None:
        """Words that are kept as they are, tidied."""
        for column in columns:
            self.put(column, text.clean(self.received(column)))

    def identifier(self, *columns: str) -> None:
        """Ids of the source."""
        for column in columns:
            self.put(column, text.identifier(self.received(column)))

    def name(self, *columns: str) -> None:
        """Names of people and places."""
        for column in columns:
            self.put(column, text.name(self.received(column)))

    def account(self) -> pl.Series:
        """The shop account with its system in front, so that two systems' numbers differ."""
        ids = text.identifier(self.received("account_key"))
        prefix = f"{self.source.account_system or self.source.name}:"
        return self.put("account_key", prefix + ids)

    def email(self) -> pl.Series:
        """The e-mail address."""
        asked = text.clean(self.received("email"))
        return self.read("email", asked, email(asked))

    def persons_email(self) -> pl.Series:
        """The e-mail address of somebody; one that is no person's, or won't last, is flagged."""
        values = self.email()
        mailboxes = self.lookups.mailboxes
        self.flag("email.role", plausible.of_a_task(values, mailboxes.roles))
        self.flag("email.disposable", plausible.throw_away(values, mailboxes.disposable))
        return values

    def phone(self) -> pl.Series:
        """The phone number, read in the row's country; `country` must have been put."""
        asked = text.clean(self.received("phone"))
        regions = self["country"]
        if self.source.country:
            regions = regions.fill_null(self.source.country)
        values = self.read("phone", asked, phone(asked, regions))
        self.flag("phone.invalid", plausible.outside_numbering_plan(values))
        return values

    def postcode(self) -> pl.Series:
        """The postal code; `country` must have been put."""
        values = self.put("postcode", text.postcode(self.received("postcode")))
        self.flag("postcode.shape", plausible.odd_postcode(values, self["country"]))
        return values

    def country(self, *, default: bool = True) -> pl.Series:
        """The country; where the row names none, the source's."""
        asked = text.clean(self.received("country"))
        values = places.country(asked)
        self.flag("country.unknown", asked.is_not_null() & values.is_null())
        if default and self.source.country:
            # Only where nothing was said: an unreadable country is not the default one.
            stated = self.constant(self.source.country)
            values = values.zip_with(asked.is_not_null(), stated)
        return self.put("country", values)

    def language(self) -> pl.Series:
        """The language."""
        asked = text.clean(self.received("language"))
        values = places.language(asked)
        self.flag("language.unknown", asked.is_not_null() & values.is_null())
        return self.put("language", values)

    def moment(self, column: str, *, future: bool = False, fatal: bool = False) -> pl.Series:
        """A point in time. One after the run is flagged, and null unless `fatal`.

        `future` says that the time may lie ahead.
        """
        asked = text.clean(self.received(column))
        values = dates.timestamp(
            asked,
            time_zone=self.source.time_zone,
            date_order=self.source.date_order,
            as_of=self.as_of,
        )
        self.read(column, asked, values)
        if not future:
            ahead = (values > self.as_of + CLOCK_TOLERANCE).fill_null(value=False)
            self.flag(f"{column}.future", ahead)
            if not fatal and ahead.any():
                values = self.put(column, values.set(ahead, None))
        return values

    def birth_date(self) -> pl.Series:
        """The date of birth; one that nobody alive can have is flagged and null.

        One that makes somebody very young or very old is flagged and stays.
        """
        asked = text.clean(self.received("birth_date"))
        values = dates.date(asked, date_order=self.source.date_order, as_of=self.as_of)
        self.read("birth_date", asked, values)
        outside = (values < OLDEST_BIRTH) | (values > self.as_of.date())
        outside = outside.fill_null(value=False)
        self.flag("birth_date.range", outside)
        values = self.put("birth_date", values.set(outside, None))
        oldest, youngest = (_years_before(self.as_of.date(), years) for years in reversed(AGES))
        self.flag("birth_date.age", (values < oldest) | (values > youngest))
        return values

    def boolean(self, column: str, *, default: bool | None = None) -> pl.Series:
        """Yes or no; `default` where nothing, or nothing readable, is said."""
        asked = text.clean(self.received(column))
        values = self.read(column, asked, boolean(asked))
        return self.put(column, values.fill_null(default)) if default is not None else values

    def label(self, column: str, synonyms: Mapping[str, str]) -> pl.Series:
        """A label of a closed list; the contract flags those that are not in it."""
        return self.put(column, label(text.clean(self.received(column)), synonyms))

    def number(self, column: str, *, received: str | None = None) -> pl.Series:
        """An amount or another number, received under the same name or another."""
        asked = text.clean(self.received(received or column))
        return self.read(column, asked, money.number(asked, decimal=self.source.decimal))

    def whole_number(self, column: str) -> pl.Series:
        """A count."""
        asked = text.clean(self.received(column))
        return self.read(column, asked, money.whole_number(asked, decimal=self.source.decimal))

    def currency(self, amount_column: str, *, only_with_amount: bool = False) -> pl.Series:
        """The currency: of the row, else as written beside the amount, else of the source."""
        asked = text.clean(self.received("currency"))
        values = money.currency(asked)
        self.flag("currency.unknown", asked.is_not_null() & values.is_null())
        beside = money.currency_in(text.clean(self.received(amount_column)))
        beside = beside.fill_null(self.source.currency or self.base_currency)
        values = values.zip_with(asked.is_not_null(), beside)
        if only_with_amount:
            values = values.set(self[amount_column].is_null(), None)
        return self.put("currency", values)

    def into_base(self, columns: Mapping[str, str], days: pl.Series) -> None:
        """Amounts in the base currency at the rate of their day: `{new column: amount column}`.

        Without a day the rate is the run's.
        """
        at = days.cast(pl.Date).fill_null(self.as_of.date())
        at = at.set(at > self.as_of.date(), self.as_of.date())
        factor, stale = rates.factors(self["currency"], at, self.base_currency)
        amounts = [self[amount].is_not_null() for amount in columns.values()]
        any_amount = pl.DataFrame(amounts).select(pl.any_horizontal(pl.all()).alias("any"))["any"]
        self.flag("currency.stale_rate", stale & any_amount)
        self.flag(
            "currency.no_rate", factor.is_null() & self["currency"].is_not_null() & any_amount
        )
        for column, amount in columns.items():
            self.put(column, (self[amount] * factor).round(6))

    def drop(self, column: str) -> None:
        """Take a helper column out of the result."""
        del self._columns[column]


def _years_before(day: dt.date, years: int) -> dt.date:
    """The same day of an earlier year; of 29 February the 28th."""
    leap = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - years, day=28 if leap else day.day)


def _names_per_row(masks: Mapping[str, pl.Series], height: int) -> pl.Series:
    """For every row the names of the masks that hold, in alphabetical order."""
    empty = pl.Series("names", [[]], dtype=pl.List(pl.String)).new_from_index(0, height)
    if not masks:
        return empty
    found = pl.concat(
        pl.DataFrame({"row": mask.arg_true().cast(pl.UInt32)}).with_columns(name=pl.lit(name))
        for name, mask in sorted(masks.items())
    )
    if found.height == 0:
        return empty
    lists = found.sort("row", "name").group_by("row", maintain_order=True).agg("name")
    rows = pl.DataFrame({"row": pl.int_range(height, dtype=pl.UInt32, eager=True)})
    joined = rows.join(lists, on="row", how="left", maintain_order="left")
    return joined["name"].fill_null([])
