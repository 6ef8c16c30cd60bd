"""Conversion into the base currency at the European Central Bank's reference rate of the day."""

import datetime as dt
from functools import cache
from io import BytesIO
from zipfile import ZipFile

import polars as pl

TOLERANCE = dt.timedelta(days=7)
"""No rates on weekends and holidays: a rate of up to a week before is the rate of the day."""


@cache
def ecb_rates() -> pl.DataFrame:
    """Units of a currency for one euro (currency, day, rate), sorted by day and currency."""
    from currency_converter import CURRENCY_FILE

    with ZipFile(CURRENCY_FILE) as archive:
        text = archive.read(archive.namelist()[0])
    wide = pl.read_csv(BytesIO(text), infer_schema=False)
    codes = [c for c in wide.columns if c not in {"Date", ""}]
    return (
        wide.unpivot(on=codes, index="Date", variable_name="currency", value_name="text")
        .select(
            pl.col("currency").str.strip_chars(),
            day=pl.col("Date").str.to_date("%Y-%m-%d"),
            rate=pl.col("text").str.strip_chars().cast(pl.Float64, strict=False),
        )
        .filter(pl.col("rate") > 0)
        .sort("day", "currency")
    )


def _rates_into(base: str) -> pl.DataFrame:
    """What one unit of a currency is worth in `base`, per day."""
    rates = ecb_rates()
    if base == "EUR":
        return rates.with_columns(factor=1.0 / pl.col("rate"))
    own = rates.filter(pl.col("currency") == base).select("day", base_rate="rate")
    euro = own.select(currency=pl.lit("EUR"), day="day", rate=pl.lit(1.0))
    return (
        pl.concat([rates, euro])
        .join(own, on="day")
        .with_columns(factor=pl.col("base_rate") / pl.col("rate"))
        .sort("day", "currency")
    )


def factors(currencies: pl.Series, days: pl.Series, base: str) -> tuple[pl.Series, pl.Series]:
    """What one unit is worth in the base currency on its day, and whether that rate is stale.

    A rate is stale when the last one known is more than a week older than the day, or the day lies
    before the first rate; the nearest one is used then. Null without any rate of the currency.
    """
    asked = pl.DataFrame({"currency": currencies, "day": days}).with_row_index("row")
    foreign = asked.filter((pl.col("currency") != base) & pl.col("day").is_not_null())
    same = asked.select(
        "row",
        factor=pl.when(pl.col("currency") == base).then(1.0),
        stale=pl.lit(value=False),
    )
    if foreign.height == 0:
        return same["factor"], same["stale"]
    table = _rates_into(base).select("currency", "day", "factor", rate_day="day").sort("day")
    pairs = foreign.select("currency", "day").unique().sort("day", "currency")
    found = pairs.join_asof(
        table, on="day", by="currency", strategy="backward", check_sortedness=False
    ).with_columns(stale=pl.col("day") - pl.col("rate_day") > TOLERANCE)
    early = found.filter(pl.col("factor").is_null()).select("currency", "day")
    first = early.join_asof(
        table, on="day", by="currency", strategy="forward", check_sortedness=False
    ).with_columns(stale=pl.col("factor").is_not_null())
    columns = ["currency", "day", "factor", "stale"]
    known = pl.concat(
        [found.filter(pl.col("factor").is_not_null()).select(columns), first.select(columns)]
    )
    joined = asked.join(known, on=["currency", "day"], how="left", maintain_order="left")
    factor = same["factor"].zip_with(same["factor"].is_not_null(), joined["factor"])
    return factor, joined["stale"].fill_null(value=False)
