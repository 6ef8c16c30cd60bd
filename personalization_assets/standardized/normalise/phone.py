"""Phone numbers as E.164.

A number passes when its length is possible in its country's numbering plan, as in libphonenumber's
`is_possible_number`; whether it was ever given out is not asked. The lengths come from
libphonenumber's metadata; shapes that need more of its rules go to the library.
"""

from functools import cache

import polars as pl

from personalization_assets.standardized.normalise.distinct import settle

MIN_DIGITS = 6
SMALL_PLAN = 8
_SEPARATORS = r"[\s().\-/\u2010-\u2015]"


@cache
def _calling_codes() -> pl.DataFrame:
    """Possible (calling code, number of digits after it), with the prefix that must not follow."""
    import phonenumbers
    from phonenumbers.phonenumberutil import country_mobile_token

    rows: list[tuple[str, int, str]] = []
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        meta = phonenumbers.PhoneMetadata.metadata_for_region(regions[0])
        # A mobile token or rules that rewrite digits are left to the library.
        if meta is None or meta.general_desc is None or country_mobile_token(code):
            continue
        simple = meta.national_prefix_for_parsing in (None, meta.national_prefix)
        if not simple and regions[0] not in {"GB", "US"}:
            continue
        lengths = {
            n
            for region in regions
            if (m := phonenumbers.PhoneMetadata.metadata_for_region(region)) and m.general_desc
            for n in m.general_desc.possible_length
        }
        rows.extend(
            (str(code), n, meta.national_prefix or "")
            for n in sorted(lengths)
            if not _stub(n, max(lengths))
        )
    return pl.DataFrame(rows, schema=["code", "digits", "prefix"], orient="row").with_columns(
        pl.col("digits").cast(pl.UInt32)
    )


def _stub(digits: int, longest: int) -> bool:
    """Five digits are a number on a small island; elsewhere they are half a number."""
    return digits < MIN_DIGITS and longest > SMALL_PLAN


@cache
def _calling_code(region: str) -> str | None:
    import phonenumbers

    code = phonenumbers.country_code_for_region(region)
    return str(code) if code else None


def phone(values: pl.Series, regions: pl.Series) -> pl.Series:
    """E.164 numbers; null for what cannot be dialled.

    `regions` holds the country (ISO 3166-1 alpha-2) in which the number is written where it has no
    country code; null makes such a number unreadable.
    """
    frame = pl.DataFrame({"text": values, "region": regions})
    key = frame.select(
        pl.concat_str(
            pl.when(pl.col("text").str.contains(r"^\s*(?:\+|00[1-9])"))
            .then(pl.lit(""))
            .otherwise(pl.col("region").fill_null("")),
            pl.lit("|"),
            pl.col("text"),
        ).alias("key")
    )["key"]
    return settle(key, _by_shape, _by_library).alias(values.name)


def _by_shape(keys: pl.Series) -> pl.Series:
    """Numbers whose country code and length settle the matter."""
    frame = pl.DataFrame({"key": keys}).with_columns(
        region=pl.col("key").str.extract(r"^([A-Z]{2})\|"),
        text=pl.col("key")
        .str.replace(r"^[^|]*\|", "")
        # '+49 (0)30': the zero is for callers within the country; Italy's is part of the number.
        .str.replace(r"^\s*((?:\+|00)(?:[124-9]\d{0,2}|3[0-8]\d?))[\s./-]*\(0\)", "$1")
        .str.replace_all(_SEPARATORS, ""),
    )
    codes = {
        region: _calling_code(region) for region in frame["region"].drop_nulls().unique().sort()
    }
    text, code = pl.col("text"), pl.col("own_code")
    number = (
        pl.when(text.str.contains(r"^(?:\+|00)[1-9][0-9]{6,14}$"))
        .then(text.str.replace(r"^(?:\+|00)", ""))
        # One leading zero is the national prefix nearly everywhere; Italy keeps it.
        .when(text.str.contains(r"^0[1-9][0-9]{5,12}$") & code.is_not_null() & (code != "39"))
        .then(code + text.str.strip_prefix("0"))
        .when(text.str.contains(r"^[2-9][0-9]{9}$") & (code == "1"))
        .then(code + text)
        # Countries without a national prefix write the number as it is dialled.
        .when(text.str.contains(r"^[2-9][0-9]{7,8}$") & code.is_in(["34", "45", "47", "48", "351"]))
        .then(code + text)
    )
    frame = frame.select(
        own_code=pl.col("region").replace_strict(codes, default=None, return_dtype=pl.String),
        text="text",
        written_zero=text.str.starts_with("0") & ~text.str.starts_with("00"),
    ).select(number=number, written_zero="written_zero")
    table = _calling_codes()
    result = pl.Series("phone", [None], dtype=pl.String).new_from_index(0, frame.height)
    frame = frame.with_row_index("row").filter(pl.col("number").is_not_null())
    for width in (1, 2, 3):
        candidates = frame.with_columns(
            code=pl.col("number").str.slice(0, width),
            national=pl.col("number").str.slice(width),
        )
        possible = candidates.with_columns(digits=pl.col("national").str.len_bytes()).join(
            table, on=["code", "digits"], how="inner", maintain_order="left"
        )
        fits = possible.filter(
            ~pl.col("national").str.starts_with("0")
            & ((pl.col("prefix") == "") | ~pl.col("national").str.starts_with(pl.col("prefix")))
            # A written 0 is a prefix only where the country has it.
            & (~pl.col("written_zero") | (pl.col("prefix") == "0"))
        )
        result = result.scatter(fits["row"], "+" + fits["number"])
    return result


def _by_library(keys: pl.Series) -> pl.Series:
    import phonenumbers

    from personalization_assets.standardized.normalise.distinct import map_python

    def e164(key: str) -> str | None:
        region, _, text = key.partition("|")
        if text.startswith("00"):
            text = "+" + text[2:]
        try:
            parsed = phonenumbers.parse(text, region or None)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_possible_number(parsed):
            return None
        digits = phonenumbers.national_significant_number(parsed)
        if len(set(digits)) == 1:
            return None  # 0000000, 1111111: somebody had to fill in the field
        main = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
        meta = phonenumbers.PhoneMetadata.metadata_for_region(main)
        if (
            meta
            and meta.general_desc
            and _stub(len(digits), max(meta.general_desc.possible_length))
        ):
            return None
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)

    return map_python(keys, e164)
