"""Countries as ISO 3166-1 alpha-2 and languages as ISO 639-1, out of names in many languages."""

import gettext
from collections.abc import Callable, Iterator
from functools import cache

import polars as pl

from personalization_assets.standardized.normalise.distinct import map_distinct

NAME_LANGUAGES = (
    *("de", "fr", "es", "it", "pt", "nl", "pl", "da", "sv", "nb_NO", "fi", "cs", "sk", "hu", "ro"),
    *("tr", "el", "ru", "uk", "ja", "zh_CN", "ko", "ar"),
)
"""Languages whose names of countries and languages are understood."""

COUNTRY_ALIASES: dict[str, str] = {
    "uk": "GB",
    "gb": "GB",
    "great britain": "GB",
    "britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "angleterre": "GB",
    "schottland": "GB",
    "grossbritannien": "GB",
    "grosbritannien": "GB",
    "grande bretagne": "GB",
    "gran bretana": "GB",
    "inghilterra": "GB",
    "groot brittannie": "GB",
    "wielka brytania": "GB",
    "eire": "IE",
    "republic of ireland": "IE",
    "irish republic": "IE",
    "usa": "US",
    "u s a": "US",
    "u s": "US",
    "united states of america": "US",
    "america": "US",
    "amerika": "US",
    "vereinigte staaten von amerika": "US",
    "etats unis d amerique": "US",
    "etats unis": "US",
    "eeuu": "US",
    "ee uu": "US",
    "holland": "NL",
    "the netherlands": "NL",
    "pays bas": "NL",
    "osterreich": "AT",
    "oesterreich": "AT",
    "autriche": "AT",
    "deutschland": "DE",
    "brd": "DE",
    "federal republic of germany": "DE",
    "bundesrepublik deutschland": "DE",
    "allemagne": "DE",
    "schweiz": "CH",
    "suisse": "CH",
    "svizzera": "CH",
    "svizra": "CH",
    "belgie": "BE",
    "belgique": "BE",
    "czech republic": "CZ",
    "cesko": "CZ",
    "tschechei": "CZ",
    "slovak republic": "SK",
    "russia": "RU",
    "russland": "RU",
    "south korea": "KR",
    "korea": "KR",
    "sudkorea": "KR",
    "north korea": "KP",
    "vietnam": "VN",
    "turkey": "TR",
    "tuerkei": "TR",
    "rsa": "ZA",
    "uae": "AE",
    "emirates": "AE",
    "hong kong sar": "HK",
    "taiwan": "TW",
    "iran": "IR",
    "syria": "SY",
    "moldova": "MD",
    "macedonia": "MK",
    "bolivia": "BO",
    "venezuela": "VE",
    "tanzania": "TZ",
    "laos": "LA",
    "brunei": "BN",
    "palestine": "PS",
    "ivory coast": "CI",
    "cape verde": "CV",
    "swaziland": "SZ",
    "burma": "MM",
    "vatican": "VA",
    "kosovo": "XK",
    "xk": "XK",
}

LANGUAGE_ALIASES: dict[str, str] = {
    "deutsch": "de",
    "englisch": "en",
    "anglais": "en",
    "francais": "fr",
    "franzosisch": "fr",
    "castellano": "es",
    "espanol": "es",
    "greek": "el",
    "flemish": "nl",
    "vlaams": "nl",
    "mandarin": "zh",
    "norsk": "no",
    "bokmal": "nb",
    "iw": "he",
    "in": "id",
}


def country(values: pl.Series) -> pl.Series:
    """ISO 3166-1 alpha-2 of a code or of a name in many languages; null when it is none."""
    return map_distinct(
        values,
        lambda distinct: _key(distinct).replace_strict(
            country_names(), default=None, return_dtype=pl.String
        ),
    )


def language(values: pl.Series) -> pl.Series:
    """ISO 639-1 of a code ('de', 'deu', 'de-AT') or of a name in many languages; null if none."""
    return map_distinct(values, _language)


def _language(distinct: pl.Series) -> pl.Series:
    names = language_names()
    whole = _key(distinct).replace_strict(names, default=None, return_dtype=pl.String)
    tag = distinct.str.to_lowercase().str.extract(r"^([a-z]{2,3})[-_;,][a-z0-9_.;,=-]+$")
    first = tag.replace_strict(names, default=None, return_dtype=pl.String)
    return whole.zip_with(whole.is_not_null(), first)


def _key(values: pl.Series) -> pl.Series:
    """The form in which names are compared: lower case, no accents, no punctuation."""
    return (
        values.str.normalize("NFKD")
        .str.replace_all(r"\p{Mn}", "")
        .str.to_lowercase()
        .str.replace_all("ß", "ss", literal=True)
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
        .str.strip_chars()
    )


def _keyed(pairs: Iterator[tuple[str, str]], aliases: dict[str, str]) -> dict[str, str]:
    listed = list(pairs)
    keys = _key(pl.Series([name for name, _ in listed], dtype=pl.String))
    found = dict(aliases)
    for key, (_, code) in zip(keys.to_list(), listed, strict=True):
        if key:
            found.setdefault(key, code)
    return found


@cache
def country_names() -> dict[str, str]:
    """Every spelling of a country that is understood, as `_key` writes it, to its code."""
    return _keyed(_country_spellings(), COUNTRY_ALIASES)


def _country_spellings() -> Iterator[tuple[str, str]]:
    import pycountry

    countries = list(pycountry.countries)
    for c in countries:
        yield c.alpha_2, c.alpha_2
    for c in countries:
        yield c.alpha_3, c.alpha_2
        yield c.numeric, c.alpha_2
        for field in ("name", "common_name", "official_name"):
            if text := getattr(c, field, None):
                yield text, c.alpha_2
                yield text.split(",")[0], c.alpha_2
    for translate in _catalogues("iso3166-1", pycountry.LOCALES_DIR):
        for c in countries:
            for field in ("name", "common_name", "official_name"):
                if text := getattr(c, field, None):
                    yield translate(text), c.alpha_2


@cache
def language_names() -> dict[str, str]:
    """Every spelling of a language that is understood, as `_key` writes it, to its code."""
    return _keyed(_language_spellings(), LANGUAGE_ALIASES)


def _language_spellings() -> Iterator[tuple[str, str]]:
    import pycountry

    languages = [(x, x.alpha_2) for x in pycountry.languages if hasattr(x, "alpha_2")]
    for _, code in languages:
        yield code, code
    for x, code in languages:
        yield x.alpha_3, code
        yield getattr(x, "bibliographic", x.alpha_3), code
        yield x.name, code
    for translate in _catalogues("iso639-3", pycountry.LOCALES_DIR):
        for x, code in languages:
            yield translate(x.name), code


def _catalogues(domain: str, folder: str) -> Iterator[Callable[[str], str]]:
    for name in NAME_LANGUAGES:
        yield gettext.translation(domain, folder, languages=[name], fallback=True).gettext
