"""Values that can be read and are still odd: they stay as they are, and the row is flagged.

Every function gives for each value whether it is odd; null where the value is null.
"""

import csv
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

import polars as pl

from personalization_assets.standardized.normalise.distinct import map_distinct

SHAPES = Path(__file__).with_name("postcode_shapes.csv")
"""Shapes of postal codes without spaces and hyphens: N is a digit, A a letter, X either."""

NOT_NAMES = (
    *("test", "tester", "testing", "testuser", "testkunde", "prueba", "dummy", "fake"),
    *("asdf", "asdfg", "asdfgh", "asdfjkl", "sdf", "qwe", "qwer", "qwert", "qwerty", "qwertz"),
    *("azerty", "abc", "abcd", "abcde", "foobar", "lorem", "ipsum", "blah", "delete", "deleted"),
    *("anonym", "anonymous", "customer", "user", "admin", "firstname"),
    *("lastname", "vorname", "nachname", "noname", "nobody", "niemand"),
)
"""Words that people type, and systems write, where a name is asked for. None that is a family's:
Guest, Gast and Kunde are."""

# No letter three times over; but John Smith III is somebody.
_NO_NAME = (
    r"[0-9@]|^[^\p{L}]*$|(?i:\b(?:"
    + "|".join([*NOT_NAMES, *(f"{letter}{{3,}}" for letter in "abcdefghjklmnopqrstuvwxyz")])
    + r")\b)"
)


def no_name(names: pl.Series) -> pl.Series:
    """Whether a person's name has digits or an @, has no letter, or is a word such as 'test'."""
    return names.str.contains(_NO_NAME)


def of_a_task(emails: pl.Series, roles: Collection[str]) -> pl.Series:
    """Whether an address is a task's (info@, sales@) rather than a person's."""
    names = "|".join(re.escape(role) for role in sorted(roles))
    # The pattern is settled within the first letters of most addresses.
    return emails.str.contains(rf"^(?:{names})(?:\+[^@]*)?@")


def throw_away(emails: pl.Series, domains: Collection[str]) -> pl.Series:
    """Whether an address belongs to a service of throw-away addresses, or to a part of one."""
    known = pl.Series(sorted(domains), dtype=pl.String)

    def judge(distinct: pl.Series) -> pl.Series:
        # 'x.y.example' is part of 'y.example'; a top level alone is nobody's.
        parts = pl.DataFrame({"part": distinct.str.split(".")}).with_row_index("row")
        most = max(parts["part"].list.len().to_list(), default=0)
        tails = pl.concat(
            parts.select("row", tail=pl.col("part").list.slice(cut).list.join("."))
            for cut in range(max(1, most - 1))
        )
        hits = tails.filter(pl.col("tail").is_in(known.implode()))["row"].unique()
        return pl.Series([False]).new_from_index(0, distinct.len()).scatter(hits, True)

    return map_distinct(emails.str.split_exact("@", 1).struct.field("field_1"), judge)


@cache
def _numbering_plans() -> str:
    """One regular expression for all numbers that libphonenumber calls valid, as E.164.

    A number is valid if it fits one of the kinds (mobile, toll-free, ...) of a region of its
    calling code.
    """
    import phonenumbers
    from phonenumbers import PhoneMetadata

    kinds = (
        *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
        *("personal_number", "voip", "pager", "uan", "voicemail"),
    )
    plans = []
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        found = [PhoneMetadata.metadata_for_region(region) for region in regions]
        found.append(PhoneMetadata.metadata_for_nongeo_region(code))
        patterns = {
            pattern
            for meta in found
            for kind in kinds
            if (plan := getattr(meta, kind, None))
            and (pattern := plan.national_number_pattern)
            and pattern != "NA"
        }
        if patterns:
            plans.append(f"{code}(?:{'|'.join(sorted(patterns))})")
    return re.sub(r"\s", "", rf"^\+(?:{'|'.join(plans)})$").replace(r"\d", "[0-9]")


def outside_numbering_plan(phones: pl.Series) -> pl.Series:
    """Whether a number in E.164 lies in a range that its country has not given out."""
    return ~phones.str.contains(_numbering_plans())


@cache
def _shapes() -> tuple[list[str], str]:
    """Countries whose shapes are known, and the expression for a country with its code behind."""
    with SHAPES.open(encoding="utf-8", newline="") as file:
        rows = [(row["country"], row["shape"]) for row in csv.DictReader(file)]
    kinds = {"N": "[0-9]", "A": "[A-Z]", "X": "[A-Z0-9]"}
    forms = (f"{country}{'[ -]?'.join(kinds[sign] for sign in shape)}" for country, shape in rows)
    return sorted({country for country, _ in rows}), f"^(?:{'|'.join(forms)})$"


def odd_postcode(postcodes: pl.Series, countries: pl.Series) -> pl.Series:
    """Whether a postal code has another shape than its country's; null for other countries."""
    known, pattern = _shapes()
    odd = ~(countries + postcodes).str.contains(pattern)
    return odd.set(~countries.is_in(known).fill_null(value=False), None)
