"""Amounts and quantities as numbers, whatever marks thousands and decimals, and currencies."""

from functools import cache

import polars as pl

from personalization_assets.standardized.normalise.distinct import map_distinct, settle

SYMBOLS: dict[str, str] = {
    "€": "EUR",
    "eur": "EUR",
    "euro": "EUR",
    "euros": "EUR",
    "us$": "USD",
    "$": "USD",
    "dollar": "USD",
    "dollars": "USD",
    "a$": "AUD",
    "au$": "AUD",
    "c$": "CAD",
    "ca$": "CAD",
    "nz$": "NZD",
    "hk$": "HKD",
    "s$": "SGD",
    "r$": "BRL",
    "£": "GBP",
    "pound": "GBP",
    "pounds": "GBP",
    "stg": "GBP",
    "¥": "JPY",
    "円": "JPY",
    "元": "CNY",
    "rmb": "CNY",
    "₹": "INR",
    "rs": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "tl": "TRY",
    "zł": "PLN",
    "zl": "PLN",
    "kč": "CZK",
    "ft": "HUF",
    "sfr": "CHF",
    "fr": "CHF",
    "sfr.": "CHF",
    "fr.": "CHF",
    "₩": "KRW",
    "₴": "UAH",
    "₪": "ILS",
    "฿": "THB",
}
_DECIMAL_POINT = r"^[+-]?[0-9]+(?:\.[0-9]+)?$"
_NUMBER = r"[0-9][0-9.,'’\s]*"


@cache
def currency_codes() -> dict[str, str]:
    """Every spelling of a currency that is understood, in lower case, to its ISO 4217 code."""
    import pycountry

    codes = {c.alpha_3.lower(): c.alpha_3 for c in pycountry.currencies}
    numeric = {c.numeric: c.alpha_3 for c in pycountry.currencies}
    names = {c.name.lower(): c.alpha_3 for c in pycountry.currencies}
    # Currencies that are gone but stand in old orders.
    old = {c.lower(): c for c in ("HRK", "EEK", "LVL", "LTL", "SKK", "SIT", "CYP", "MTL", "BGN")}
    return {**old, **numeric, **names, **codes, **SYMBOLS}


def currency(values: pl.Series) -> pl.Series:
    """The ISO 4217 code of a code, symbol or name; null when it is none. A bare $ is the US's."""
    return map_distinct(
        values,
        lambda distinct: distinct.str.to_lowercase().replace_strict(
            currency_codes(), default=None, return_dtype=pl.String
        ),
    )


def currency_in(values: pl.Series) -> pl.Series:
    """The currency named beside an amount ('12,50 €', 'GBP 3'); null when there is none."""
    if not values.str.contains(r"[^0-9.,'’\s()+−-]").any():
        return pl.Series(values.name, [None], dtype=pl.String).new_from_index(0, values.len())
    words = values.str.replace(_NUMBER, "").str.replace_all(r"[()+−\s-]", "")
    return currency(words.set(words == "", None))


def number(values: pl.Series, *, decimal: str = ".") -> pl.Series:
    """A finite number out of text such as '1.234,50 €', '(12.00)', '1 000', '-3'.

    `decimal` says what a single separator before exactly three digits is, which no rule can
    guess; where both marks stand, the last one is the decimal.
    """
    if decimal == ".":
        return settle(values, _plain, lambda left: _free(left, decimal))
    return settle(values, lambda all_: _free(all_, decimal))


def _plain(values: pl.Series) -> pl.Series:
    """Most columns are plain numbers; exponents are numbers too, 'nan' and 'inf' are not."""
    return _finite(values.cast(pl.Float64, strict=False))


def _finite(numbers: pl.Series) -> pl.Series:
    wrong = ~numbers.is_finite()
    return numbers.set(wrong.fill_null(value=False), None) if wrong.any() else numbers


def _free(values: pl.Series, decimal: str) -> pl.Series:
    frame = pl.DataFrame({"text": values.str.replace_all("−", "-", literal=True)})
    text = pl.col("text")
    digits = text.str.extract(rf"({_NUMBER})").str.replace_all(r"['’\s]", "")
    # One number, and around it nothing but a sign and a currency.
    shape = text.str.contains(
        rf"^\(?\s*[-+]?\s*(?:\D{{1,6}}?\s*)?[-+]?{_NUMBER}(?:\s*[^0-9]{{1,8}})?\)?$"
    )
    last_comma = digits.str.reverse().str.find(",", literal=True)
    last_point = digits.str.reverse().str.find(".", literal=True)
    commas = digits.str.count_matches(",", literal=True)
    points = digits.str.count_matches(".", literal=True)
    grouped_comma = digits.str.contains(r"^[0-9]{1,3}(,[0-9]{3})+$")
    grouped_point = digits.str.contains(r"^[0-9]{1,3}(\.[0-9]{3})+$")
    comma_is_decimal = (
        pl.when((commas > 0) & (points > 0))
        .then(last_comma < last_point)
        .when(commas > 0)
        .then((commas == 1) & (~grouped_comma | (decimal == ",")))
        .otherwise((points > 1) | ((points == 1) & grouped_point & (decimal == ",")))
    )
    plain = (
        pl.when(comma_is_decimal)
        .then(digits.str.replace_all(".", "", literal=True).str.replace_all(",", ".", literal=True))
        .otherwise(digits.str.replace_all(",", "", literal=True))
    )
    # Two marks of one kind group thousands, so three digits follow each.
    torn = ((points > 1) & (commas == 0) & ~grouped_point) | (
        (commas > 1) & (points == 0) & ~grouped_comma
    )
    negative = text.str.contains(r"^\s*\(.*\)\s*$|^[^0-9]*-|-\s*$|-\s*\D{1,6}$")
    result = frame.select(
        pl.when(shape & ~torn)
        .then(
            plain.str.strip_suffix(".").cast(pl.Float64, strict=False)
            * pl.when(negative).then(-1.0).otherwise(1.0)
        )
        .alias("number")
    )["number"]
    # Exponents are read here too when the decimal mark is a comma.
    exponent = values.str.contains(r"(?i)^[+-]?[0-9]+(?:[.][0-9]+)?e[+-]?[0-9]+$")
    plain_exponent = _plain(values.set(~exponent.fill_null(value=False), None))
    return _finite(result.zip_with(result.is_not_null(), plain_exponent))


def whole_number(values: pl.Series, *, decimal: str = ".") -> pl.Series:
    """A whole number; '3.0' is one, '3.5' is not."""
    numbers = number(values, decimal=decimal)
    whole = (numbers == numbers.round(0)) & (numbers.abs() < 2.0**53)
    return numbers.set(~whole.fill_null(value=False), None).cast(pl.Int64)
