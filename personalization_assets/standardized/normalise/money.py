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
_NUMBER = r"[.,]?[0-9][0-9.,'’\s]*"
_DASHES = r"[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]"
_NO_CENTS = r"([0-9])[.,]\s*-+"
"""12,- and 12.-- are whole amounts, not negative ones."""
_ABBREVIATED = r"(?i)\b(rs|fr|sfr)\.\s*"
"""The point of 'Fr.50' is not the decimal point of .50."""
_AROUND = r"[^0-9()+-]{0,12}?"
_PARTS = (
    rf"^(?<s1>[(+-])?\s*(?<before>{_AROUND})\s*(?<s2>[(+-])?\s*"
    r"(?<digits>[.,]?[0-9](?:[0-9.,'’\s]*[0-9.,])?)"
    rf"\s*(?<s3>[)+-])?\s*(?<after>{_AROUND})\s*(?<s4>[)+-])?$"
)
_UNGROUPED = r"^[0-9]*[.,]?[0-9]*$"
_GROUPED = r"^[1-9][0-9]{0,2}[.,][0-9]{3}$"
"""What a single mark is here, no rule can tell; a group never starts with a zero."""
_COMMA_GROUPS = (
    r"^(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3})(?:\.[0-9]*)?$"
)
"""Western and Indian groups: 1,234,567.89 and 12,34,567.89."""
_POINT_GROUPS = r"^[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]*)?$"
_OTHER_GROUPS = r"^[1-9][0-9]{0,2}(?:(?:\s[0-9]{3})+|(?:['’][0-9]{3})+)(?:[.,][0-9]*)?$"
_COUNTED = (
    r"(?i)^([0-9.,'’\s]*[0-9])\s*(?:x|pcs?\.?|pieces?|units?|st\.?|stk\.?|stück|pts?\.?|points?)$"
)


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
    plain = values.str.replace_all(_DASHES, "-")
    words = plain.str.replace(_NUMBER, "").str.replace_all(r"[()+\s-]", "")
    return currency(words.set(words == "", None))


def number(values: pl.Series, *, decimal: str = ".") -> pl.Series:
    """A finite number out of text such as '1.234,50 €', '(12.00)', '1 000', '12,-', '-3'.

    `decimal` says what a single separator before exactly three digits is, which no rule can
    guess; where both marks stand, the last one is the decimal. Null is what is no number beyond
    doubt: groups of odd sizes, two signs, or words beside it that are no currency, since '1.5k',
    '99 cents' and '50 %' are not what their digits say.
    """
    if decimal == ".":
        return settle(values, _plain, lambda left: _free(left, decimal))
    return settle(values, _comma, lambda left: _free(left, decimal))


def _plain(values: pl.Series) -> pl.Series:
    """Most columns are plain numbers; exponents are numbers too, 'nan' and 'inf' are not."""
    return _finite(values.cast(pl.Float64, strict=False))


def _comma(values: pl.Series) -> pl.Series:
    """Plain numbers with a decimal comma, whole numbers, and exponents."""
    plain = values.str.contains(r"^[+-]?[0-9]+(?:,[0-9]+)?$")
    exponent = values.str.contains(r"(?i)^[+-]?[0-9]+(?:\.[0-9]+)?e[+-]?[0-9]+$")
    return _plain(
        values.set(~(plain | exponent).fill_null(value=False), None).str.replace(
            ",", ".", literal=True
        )
    )


def _finite(numbers: pl.Series) -> pl.Series:
    wrong = ~numbers.is_finite()
    return numbers.set(wrong.fill_null(value=False), None) if wrong.any() else numbers


def _free(values: pl.Series, decimal: str) -> pl.Series:
    tidy = values.str.replace_all(_DASHES, "-").str.replace(_NO_CENTS, "${1}")
    parts = tidy.str.replace(_ABBREVIATED, "${1} ").str.extract_groups(_PARTS).struct.unnest()
    before, after = (_word(parts[c]) for c in ("before", "after"))
    frame = parts.with_columns(
        before=before,
        after=after,
        first=currency(before),
        second=currency(after),
        digits=parts["digits"].str.strip_chars(),
    )
    digits = pl.col("digits")
    grouped = digits.str.contains(_GROUPED) & ~digits.str.contains(decimal, literal=True)
    bare = digits.str.replace_all(r"['’\s]", "")
    without_commas = bare.str.replace_all(",", "", literal=True)
    without_points = bare.str.replace_all(".", "", literal=True)
    point_for_comma = without_points.str.replace(",", ".", literal=True)
    any_mark = bare.str.replace(",", ".", literal=True)
    plain = (
        pl.when(grouped)
        .then(digits.str.replace_all(r"[.,]", ""))
        .when(digits.str.contains(_UNGROUPED) | digits.str.contains(_OTHER_GROUPS))
        .then(any_mark)
        .when(digits.str.contains(_COMMA_GROUPS))
        .then(without_commas)
        .when(digits.str.contains(_POINT_GROUPS))
        .then(point_for_comma)
    )
    return _finite(
        frame.select(
            pl.when(_one_sign() & _currencies_agree()).then(
                plain.str.strip_suffix(".").cast(pl.Float64, strict=False)
                * pl.when(_negative()).then(-1.0).otherwise(1.0)
            )
        ).to_series()
    )


def _word(values: pl.Series) -> pl.Series:
    words = values.str.strip_chars()
    return words.set((words == "").fill_null(value=False), None)


_SIGNS = [pl.col(c) for c in ("s1", "s2", "s3", "s4")]


def _count(*signs: str) -> pl.Expr:
    return pl.sum_horizontal(s.is_in(list(signs)).fill_null(value=False) for s in _SIGNS)


def _one_sign() -> pl.Expr:
    """At most one sign, or one pair of brackets and no sign."""
    bare = (_count("(", ")") == 0) & (_count("+", "-") <= 1)
    return bare | ((_count("(") == 1) & (_count(")") == 1) & (_count("+", "-") == 0))


def _negative() -> pl.Expr:
    return _count("(", "-") > 0


def _currencies_agree() -> pl.Expr:
    """Beside the number stand currencies only, and no two different ones.

    A number that starts with its mark, after letters, may as well follow an abbreviation.
    """
    known = [
        pl.col(word).is_null() | pl.col(code).is_not_null()
        for word, code in (("before", "first"), ("after", "second"))
    ]
    differ = (pl.col("first") != pl.col("second")).fill_null(value=False)
    abbreviated = pl.col("before").str.contains(r"\p{L}$").fill_null(value=False)
    return known[0] & known[1] & ~differ & ~(abbreviated & pl.col("digits").str.contains(r"^[.,]"))


def whole_number(values: pl.Series, *, decimal: str = ".") -> pl.Series:
    """A whole number; '3.0' is one, '3.5' is not, '3 pcs' and '200 points' are."""
    numbers = number(values.str.replace(_COUNTED, "${1}"), decimal=decimal)
    whole = (numbers == numbers.round(0)) & (numbers.abs() < 2.0**53)
    return numbers.set(~whole.fill_null(value=False), None).cast(pl.Int64)
