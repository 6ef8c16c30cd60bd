"""How the truth about a person gets into a form: shortened, mistyped, out of date."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from personalization_assets.sample import lists
from personalization_assets.sample.draw import Array, Draw

_TRANSLIT = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
_PLAIN = dict(
    zip(
        "áàâãåçéèêëíìîïñóòôõúùûýøąćęłńśźżğışİŞĞÁÀÂÅÇÉÈÊËÍÎÑÓÔÚŁŚŹŻĆäöüÄÖÜ",
        "aaaaaceeeeiiiinoooouuuyoacelnszzgisISGAAAACEEEEIINOOULSZZCaouAOU",
        strict=True,
    )
) | {"œ": "oe", "æ": "ae", "ß": "ss"}
_SHORT = {
    "straße": "str.",
    "Straße": "Str.",
    "strasse": "str.",
    " Street": " St",
    " Road": " Rd",
    " Avenue": " Ave",
    " Lane": " Ln",
    "avenue ": "av. ",
    "boulevard ": "bd ",
    "place ": "pl. ",
    "Calle ": "C/ ",
    "Avenida ": "Avda. ",
    "Via ": "V. ",
    "ul. ": "",
    "gasse": "g.",
    " Close": " Cl",
    "Saint-": "St ",
}
_KEYS = {
    "a": "s",
    "e": "r",
    "i": "o",
    "o": "p",
    "u": "i",
    "n": "m",
    "m": "n",
    "s": "d",
    "r": "t",
    "t": "z",
    "l": "k",
    "c": "v",
    "d": "f",
    "h": "g",
    "k": "l",
    "b": "v",
    "g": "h",
    "y": "z",
    "z": "y",
}


@dataclass(frozen=True)
class Habits:
    """How carefully one system's forms get filled in; every number is a share of its records."""

    nickname: float = 0.08
    typo: float = 0.022
    plain_letters: float = 0.15
    shouting: float = 0.03
    whispering: float = 0.02
    swapped_names: float = 0.008
    initial: float = 0.015
    second_mailbox: float = 0.5  # of those who have one
    no_email: float = 0.05
    odd_email_case: float = 0.06
    plus_tag: float = 0.015
    no_phone: float = 0.35
    landline: float = 0.3  # of those who have one
    no_birth_date: float = 0.35
    swapped_day: float = 0.015
    no_address: float = 0.1
    short_street: float = 0.2
    old_address: float = 0.25  # of those who moved and ought to have told
    country_labels: tuple[float, ...] = (60, 14, 12, 5, 5, 2, 1, 1)


def written(who: pl.DataFrame, at: Array, draw: Draw, habits: Habits) -> pl.DataFrame:
    """What a form holds of each row of people at a time.

    Takes rows of `make_people` and seconds since 1970; gives given, family, full, email, phone,
    born, street, postcode, city, region, country and iso (the true country), one row per row.
    """
    n = who.height
    names = _names(who, at, draw, habits)
    full = names["given"] + " " + names["family"]
    comma = _some(draw, n, 0.02)
    doctor = _some(draw, n, 0.012)
    backwards = names["family"] + ", " + names["given"]
    full = pl.select(
        full=pl.when(comma).then(backwards).when(doctor).then("Dr. " + full).otherwise(full)
    )["full"]
    return pl.DataFrame(
        {
            **names,
            "full": full,
            "email": _emails(who, draw, habits),
            "phone": _phones(who, draw, habits),
            "born": _births(who, draw, habits),
            **addresses(who, at, draw, habits),
        }
    )


def addresses(who: pl.DataFrame, at: Array, draw: Draw, habits: Habits) -> dict[str, pl.Series]:
    """Where people lived at a time, as they would write it."""
    n = who.height
    moved = who["moved_at"].to_numpy()
    old = pl.Series((moved > 0) & (at < moved)) | (
        pl.Series(moved > 0) & _some(draw, n, habits.old_address)
    )
    blank = _some(draw, n, habits.no_address)
    frame = who.select(
        pl.when(old).then(pl.col("old_" + part)).otherwise(pl.col(part)).alias(part)
        for part in ("street", "number", "postcode", "city", "region", "city_alias")
    ).with_columns(country=who["country"])
    front = pl.col("country").is_in(["GB", "FR", "US"])
    french = pl.when(_some(draw, n, 0.4)).then(pl.lit(", ")).otherwise(pl.lit(" "))
    gap = pl.when(pl.col("country") == "FR").then(french).otherwise(pl.lit(" "))
    short = _some(draw, n, habits.short_street)
    street = pl.when(short).then(_replaced(pl.col("street"), _SHORT)).otherwise(pl.col("street"))
    street = (
        pl.when(front)
        .then(pl.col("number") + gap + street)
        .otherwise(street + " " + pl.col("number"))
    )
    street = _plain(street, _some(draw, n, habits.plain_letters), _some(draw, n, 0.5))
    street = (
        pl.when(_some(draw, n, habits.shouting)).then(street.str.to_uppercase()).otherwise(street)
    )
    city = pl.when(_some(draw, n, 0.07)).then(pl.col("city_alias")).otherwise(pl.col("city"))
    tight = _some(draw, n, 0.08)
    postcode = (
        pl.when(tight)
        .then(pl.col("postcode").str.replace_all("[ -]", ""))
        .otherwise(pl.col("postcode"))
    )
    done = frame.select(street=street, postcode=postcode, city=city, region=pl.col("region"))
    done = done.with_columns(_mistyped(done["street"], _some(draw, n, habits.typo), draw))
    done = done.with_columns(_mistyped(done["city"], _some(draw, n, habits.typo / 3), draw))
    done = done.with_columns(pl.when(~blank).then(pl.all()))
    labels = np.empty(n, dtype=object)
    countries = who["country"].to_numpy()
    for code, facts in lists.countries().items():
        rows = np.flatnonzero(countries == code)
        weights = list(habits.country_labels[: len(facts["labels"])])
        choice = facts["labels"][: len(weights)]
        labels[rows] = draw.pick(choice, len(rows), weights)
    return {
        **{column.name: column for column in done.get_columns()},
        "country": pl.Series(list(labels), dtype=pl.String),
        "iso": who["country"],
    }


def _names(who: pl.DataFrame, at: Array, draw: Draw, habits: Habits) -> dict[str, pl.Series]:
    n = who.height
    renamed = who["renamed_at"].to_numpy()
    former = pl.Series((renamed > 0) & (at < renamed)) | (
        pl.Series(renamed > 0) & _some(draw, n, 0.15)
    )
    double = pl.col("second_family").is_not_null() & (_some(draw, n, 0.5))
    nick = pl.col("nickname").is_not_null() & (_some(draw, n, habits.nickname))
    letters = pl.Series(draw.pick(list("ABCEFGHJKLMPRST"), n).astype(str))
    middle = _some(draw, n, 0.02)
    given = (
        pl.when(nick)
        .then(pl.col("nickname"))
        .when(_some(draw, n, habits.initial))
        .then(pl.col("given").str.slice(0, 1) + ".")
        .when(middle)
        .then(pl.col("given") + " " + letters + ".")
        .otherwise(pl.col("given"))
    )
    family = (
        pl.when(former)
        .then(pl.col("maiden"))
        .when(double)
        .then(pl.col("family") + " " + pl.col("second_family"))
        .when(pl.col("junior") & (_some(draw, n, 0.5)))
        .then(pl.col("family") + " jr.")
        .otherwise(pl.col("family"))
    )
    plain, long = _some(draw, n, habits.plain_letters), _some(draw, n, 0.65)
    loud, quiet = _some(draw, n, habits.shouting), _some(draw, n, habits.whispering)
    frame = who.select(given=_plain(given, plain, long), family=_plain(family, plain, long))
    for name in ("given", "family"):
        frame = frame.with_columns(_mistyped(frame[name], _some(draw, n, habits.typo), draw))
    frame = frame.with_columns(
        pl.when(loud)
        .then(pl.all().str.to_uppercase())
        .when(quiet)
        .then(pl.all().str.to_lowercase())
        .otherwise(pl.all())
    )
    swapped = _some(draw, n, habits.swapped_names)
    frame = frame.select(
        given=pl.when(swapped).then(pl.col("family")).otherwise(pl.col("given")),
        family=pl.when(swapped).then(pl.col("given")).otherwise(pl.col("family")),
    )
    return {"given": frame["given"], "family": frame["family"]}


def _emails(who: pl.DataFrame, draw: Draw, habits: Habits) -> pl.Series:
    n = who.height
    other = pl.col("email2").is_not_null() & (_some(draw, n, habits.second_mailbox))
    chosen = pl.when(other).then(pl.col("email2")).otherwise(pl.col("email"))
    tag = pl.Series(draw.pick(["shop", "fjell", "news", "web"], n).astype(str))
    local = chosen.str.split("@").list.get(0)
    host = chosen.str.split("@").list.get(1)
    tagged = local + "+" + tag + "@" + host
    chosen = pl.when(_some(draw, n, habits.plus_tag)).then(tagged).otherwise(chosen)
    odd = _some(draw, n, habits.odd_email_case)
    loud = _some(draw, n, 0.3)
    chosen = (
        pl.when(odd & loud)
        .then(chosen.str.to_uppercase())
        .when(odd)
        .then(chosen.str.slice(0, 1).str.to_uppercase() + chosen.str.slice(1))
        .otherwise(chosen)
    )
    chosen = pl.when(_some(draw, n, habits.no_email)).then(None).otherwise(chosen)
    done = who.select(email=chosen)["email"]
    return _mistyped(done, _some(draw, n, habits.typo / 2), draw, until="@")


def _phones(who: pl.DataFrame, draw: Draw, habits: Habits) -> pl.Series:
    n = who.height
    land = pl.col("landline").is_not_null() & (_some(draw, n, habits.landline))
    digits = pl.when(land).then(pl.col("landline")).otherwise(pl.col("mobile"))
    facts = lists.countries()
    code = pl.col("country").replace_strict({c: facts[c]["calling"] for c in facts})
    trunk = pl.col("country").replace_strict({c: facts[c]["trunk"] for c in facts})
    head, rest = digits.str.slice(0, 3), digits.str.slice(3)
    pairs = rest.str.replace_all(r"(\d\d)", "$1 ").str.strip_chars()
    shape = pl.lit(pl.Series(draw.pick(np.arange(8), n, [22, 20, 8, 20, 6, 12, 4, 8])))
    result = (
        pl.when(shape == 0)
        .then("+" + code + " " + head + " " + rest)
        .when(shape == 1)
        .then("+" + code + digits)
        .when((shape == 2) & (code == "1"))
        .then("1-" + head + "-" + rest)
        .when(shape == 2)
        .then("00" + code + " " + head + " " + rest)
        .when(shape == 3)
        .then(trunk + head + " " + rest)
        .when(shape == 4)
        .then(trunk + head + "/" + rest)
        .when(shape == 5)
        .then(trunk + digits)
        .when((shape == 6) & (trunk == "0"))
        .then("+" + code + " (0)" + head + " " + rest)
        .when(shape == 6)
        .then("+" + code + "-" + head + "-" + rest)
        .otherwise(trunk + head + " " + pairs)
    )
    result = pl.when(_some(draw, n, habits.no_phone)).then(None).otherwise(result)
    return who.select(phone=result)["phone"]


def _births(who: pl.DataFrame, draw: Draw, habits: Habits) -> pl.Series:
    n = who.height
    born = pl.col("born")
    swappable = (born.dt.day() <= 12) & (born.dt.day() != born.dt.month())
    swapped = pl.date(born.dt.year(), born.dt.day(), born.dt.month())
    # 29 February has no neighbour in most years, so slips go through days, not through parts
    slip = born + pl.duration(
        days=pl.lit(pl.Series(draw.pick(np.array([1, -1, 10, 365, -365, 3_652]), n)))
    )
    # what may be swapped is asked again after the choice: two true days can look alike
    day = (
        pl.when(swappable & (_some(draw, n, habits.swapped_day * 2.7)))
        .then(swapped)
        .when(_some(draw, n, habits.typo / 2))
        .then(slip)
        .otherwise(born)
    )
    return who.select(born=pl.when(_some(draw, n, habits.no_birth_date)).then(None).otherwise(day))[
        "born"
    ]


def _some(draw: Draw, n: int, share: float) -> pl.Series:
    """Chance as a series: `pl.when` would read a numpy array element by element."""
    return pl.Series(draw.chance(n, share))


def _plain(text: pl.Expr, where: pl.Series, long: pl.Series) -> pl.Expr:
    """Without accents: ü as ue or as u, as the keyboard or the clerk would have it."""
    simple = _replaced(text, _PLAIN)
    return (
        pl.when(where & long)
        .then(_replaced(_replaced(text, _TRANSLIT), _PLAIN))
        .when(where)
        .then(simple)
        .otherwise(text)
    )


def _replaced(text: pl.Expr, table: dict[str, str]) -> pl.Expr:
    return text.str.replace_many(list(table), list(table.values()))


def _mistyped(text: pl.Series, where: pl.Series, draw: Draw, until: str = "") -> pl.Series:
    """One slip of the finger in each chosen text: doubled, dropped, swapped, the next key."""
    rows = np.flatnonzero((where & text.is_not_null()).to_numpy())
    spots, kinds = draw.rng.random(len(rows)), draw.rng.integers(0, 4, len(rows))
    values: list[Any] = text.to_list()
    for row, spot, kind in zip(rows.tolist(), spots.tolist(), kinds.tolist(), strict=True):
        values[row] = _slip(values[row], spot, kind, until)
    return pl.Series(text.name, values, dtype=pl.String)


def _slip(text: str, spot: float, kind: int, until: str) -> str:
    room = text.index(until) if until and until in text else len(text)
    if room < 4:
        return text
    at = 1 + int(spot * (room - 2))
    if kind == 0:
        return text[:at] + text[at] + text[at:]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind == 2:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + _KEYS.get(text[at], text[at]) + text[at + 1 :]
