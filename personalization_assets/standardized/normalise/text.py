"""Plain text: white space, placeholders, Unicode form, the case of names."""

import polars as pl

from personalization_assets.standardized.normalise.distinct import settle

PLACEHOLDERS = frozenset(
    {
        *("-", "--", "---", "?", "??", ".", "_", "/", "n/a", "n.a.", "#n/a", "n/v", "k.a.", "null"),
        *("(null)", "none", "nil", "nan", "nat", "undefined", "unknown", "unbekannt", "inconnu"),
        *("desconocido", "unspecified", "not set", "(not set)", "not provided", "(not provided)"),
        *("not available", "not applicable", "keine angabe", "no data", "empty", "(empty)", "<na>"),
    }
)
"""What systems write when they have nothing to say; compared in lower case."""

AMBIGUOUS = frozenset({"na", "null", "none", "nil", "nan", "empty", "unknown"})
"""Placeholders that are also somebody's name when written with one capital."""

_SPACE = r"[\s\u00a0\u200b\u200e\u200f\u202f\u2060\ufeff]+"
_CONTROL = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u202a-\u202e\u2066-\u2069]"
"""Control characters, and marks that turn the direction of writing, so that exe.jpg is shown."""
_ODD_SPACE = rf"\s\s|[^\S ]|[\u00a0\u200b\u200e\u200f\u202f\u2060\ufeff]|{_CONTROL}"
_MASK_CHARACTERS = 20

_PARTICLES = (
    *("van der", "van den", "van de", "von der", "von den", "von dem", "de la", "de los"),
    *("de las", "van", "von", "vom", "zu", "zum", "zur", "der", "den", "de", "del", "della"),
    *("di", "da", "dos", "das", "do", "du", "ter", "ten", "te", "af", "av", "bin", "ibn", "y"),
)


def tidy(values: pl.Series) -> pl.Series:
    """White space trimmed and single, invisible characters gone, Unicode composed; '' is null."""
    if values.dtype != pl.String:
        values = values.cast(pl.String)
    values = values.str.strip_chars()
    if values.str.contains(_ODD_SPACE).any():
        values = values.str.replace_all(_CONTROL, "")
        values = values.str.replace_all(_SPACE, " ").str.strip_chars()
    composed = (values.str.len_bytes() != values.str.len_chars()).arg_true()
    if composed.len():
        values = values.scatter(composed, values.gather(composed).str.normalize("NFC"))
    return values.set(values == "", None) if (values == "").any() else values


def clean(values: pl.Series, *, keep: frozenset[str] = frozenset()) -> pl.Series:
    """`tidy`, and placeholders such as 'n/a' become null, except those in `keep`."""
    values = tidy(values)
    lowered = values.str.to_lowercase()
    empty = lowered.is_in(list(PLACEHOLDERS - keep))
    return values.set(empty.fill_null(value=False), None) if empty.any() else values


def identifier(values: pl.Series) -> pl.Series:
    """An id as text; the '.0' that a spreadsheet or a float column hung on a number is cut off."""
    values = clean(values)
    return values.str.replace(r"^([0-9]+)\.0+$", "$1")


def name(values: pl.Series) -> pl.Series:
    """A person's or a place's name: capitals only where all were, or none.

    'Null' and 'None' are names of people; 'NULL' and 'null' are placeholders.
    """
    values = tidy(values)
    lowered = values.str.to_lowercase()
    empty = lowered.is_in(list(PLACEHOLDERS | {"na"})) & ~(
        lowered.is_in(list(AMBIGUOUS)) & (values == values.str.to_titlecase())
    )
    if empty.any():
        values = values.set(empty.fill_null(value=False), None)
    uncased = (values == lowered) | (values == values.str.to_uppercase())
    rows = uncased.fill_null(value=False).arg_true()
    return values.scatter(rows, _proper_case(values.gather(rows))) if rows.len() else values


def _proper_case(values: pl.Series) -> pl.Series:
    cased = values.str.to_titlecase()
    special = cased.str.contains(_SPECIAL).fill_null(value=False).arg_true()
    if special.len():
        cased = cased.scatter(special, _special_case(cased.gather(special)))
    return cased


def _special_case(cased: pl.Series) -> pl.Series:
    """What a capital on every word gets wrong; for the few names that have it."""
    cased = cased.str.replace_all(r"(['’])S\b", "${1}s")
    for particle in _PARTICLES:
        # A particle stands before another word: 'Van' alone may be a given name.
        written = rf"(^|\s){particle.title()}\s+(\S)"
        cased = cased.str.replace_all(written, f"${{1}}{particle} $2")
    for number in ("II", "III", "IV"):
        cased = cased.str.replace(rf"\s{number.title()}$", f" {number}")
    for letter in "abcdefghijklmnopqrstuvwxyz":
        cased = cased.str.replace_all(rf"\bMc{letter}", f"Mc{letter.upper()}")
    return cased


_SPECIAL = (
    r"['’]S\b|\bMc[a-z]{3}|\s(?:Ii|Iii|Iv)$|(?:^|\s)(?:"
    + "|".join(p.title() for p in _PARTICLES)
    + r")\s"
)


_TITLES = (
    r"(?i)^((mrs?|ms|miss|dr|prof|professor|sir|herr|frau|fräulein|hr|fr|mme|mlle|m|sr|sra|dhr|mevr)"
    r"(\.\s*|\s+))+"
)
_SUFFIXES = r"(?i)[,\s]+(jr|sr|phd|md|esq|dipl\.?-ing)\.?$"


def split_full_name(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Given and family name of a whole name: 'Anna van Dyk', 'van Dyk, Anna', 'Dr. Anna van Dyk'.

    A name of one word is a given name.
    """
    plain = values.str.replace(_TITLES, "").str.replace(_SUFFIXES, "")
    particle = "|".join(_PARTICLES)
    turned = plain.str.extract_groups(r"^(?<family>[^,]+),\s*(?<given>.+)$").struct.unnest()
    straight = plain.str.extract_groups(
        rf"^(?<given>\S+(?:\s\S+)*?)\s(?<family>(?:(?i:{particle})\s)*\S+)$"
    ).struct.unnest()
    one_word = plain.set(plain.str.contains(r"[\s,]").fill_null(value=True), None)
    given = settle(values, lambda _: turned["given"])
    given = given.zip_with(given.is_not_null(), straight["given"])
    given = given.zip_with(given.is_not_null(), one_word)
    family = turned["family"].zip_with(turned["family"].is_not_null(), straight["family"])
    return given.str.strip_chars(), family.str.strip_chars()


def postcode(values: pl.Series) -> pl.Series:
    """A postal code in upper case, without the country prefix of 'D-10115'."""
    values = identifier(values).str.to_uppercase()
    return values.str.replace(r"^(?:[A-Z]{1,2})\s?-\s?([0-9]{4,5})$", "$1")
