"""The people behind the records: who they are, with whom they live, how they can be reached.

This is the truth. Nothing here is misspelled; `spelling.py` does that, record by record.
"""

import datetime as dt
import unicodedata

import numpy as np
import polars as pl

from personalization_assets.sample import lists
from personalization_assets.sample.draw import Array, Draw, runs

DAY = 86_400

_DOMAINS = {
    "de": [
        "mail.example.com",
        "post.example.org",
        "webpost.example",
        "tmail.example",
        "freinet.example",
    ],
    "en": [
        "mail.example.com",
        "inbox.example.net",
        "bmail.example",
        "skyline.example",
        "post.example.org",
    ],
    "fr": [
        "mail.example.com",
        "orangenet.example",
        "lettre.example",
        "boite.example",
        "inbox.example.net",
    ],
    "es": ["mail.example.com", "correo.example", "inbox.example.net", "telmail.example"],
    "it": ["mail.example.com", "posta.example", "liberamail.example", "inbox.example.net"],
    "pl": ["mail.example.com", "poczta.example", "wpost.example", "onmail.example"],
    "tr": ["mail.example.com", "post.example.org", "inbox.example.net", "mektup.example"],
}
_COMPANIES = [
    "haldenbau",
    "kontor-ost",
    "brightwater",
    "atelier-nord",
    "studio-lumen",
    "praxis-linde",
    "westgate",
    "grupo-alba",
    "medtech",
    "officina",
    "uni-campus",
    "stadtwerke",
    "northbank",
    "biuro-plus",
    "logistik-hafen",
    "greenroof",
    "verlag-rabe",
    "cobalt-it",
]


def make_people(count: int, seed: int, end: dt.datetime) -> pl.DataFrame:
    """People and their households, one row per person in order of household.

    Columns `old_*` and `moved_at` are null for those who never moved; `maiden`, `renamed_at` for
    those who never changed their name. Times are seconds since 1970 (UTC).
    """
    draw = Draw(seed, "people")
    now = int(end.replace(tzinfo=dt.UTC).timestamp())
    sizes = draw.pick(np.array([1, 2, 3, 4]), count, [48, 33, 12, 7])
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), count)) + 1]
    household = np.repeat(np.arange(len(sizes)), sizes)[:count]
    place = runs(sizes)[:count]
    homes = _homes(len(sizes), draw)
    frame = homes[household].with_columns(household=household, place=place)
    frame = frame.with_columns(**_names(frame, draw))
    frame = frame.with_columns(**_births(frame, draw, end))
    frame = _special_families(frame, draw)
    frame = frame.with_columns(**_life(frame, draw, now))
    frame = frame.with_columns(**_contact_points(frame, draw))
    ids = [f"p{number:07d}" for number in draw.rng.permutation(count)]
    return frame.with_columns(person=pl.Series(ids), row=pl.int_range(pl.len()))


def folded(text: str) -> str:
    """A name as it stands in an e-mail address: plain lower-case letters."""
    for letter, plain in (
        ("ä", "ae"),
        ("ö", "oe"),
        ("ü", "ue"),
        ("ß", "ss"),
        ("ł", "l"),
        ("ø", "o"),
        ("ı", "i"),
        ("Ł", "L"),
        ("İ", "I"),
        ("đ", "d"),
    ):
        text = text.replace(letter, plain)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "".join(letter for letter in plain if letter.isalnum())


def _given(values: Array, where: Array) -> Array:
    """Keep values only where they are given, None elsewhere."""
    kept: Array = values.astype(object)
    kept[~where] = None
    return kept


def _homes(count: int, draw: Draw) -> pl.DataFrame:
    known = lists.countries()
    country = draw.pick(list(known), count, [known[code]["weight"] for code in known])
    tongue = np.empty(count, dtype=object)
    columns: dict[str, Array] = {"country": country, "tongue": tongue}
    for prefix in ("", "old_"):
        for part in ("street", "number", "postcode", "city", "region", "city_alias"):
            columns[prefix + part] = np.empty(count, dtype=object)
    columns["landline"] = np.empty(count, dtype=object)
    for code, facts in known.items():
        rows = np.flatnonzero(country == code)
        tongue[rows] = draw.pick(list(facts["names"]), len(rows), list(facts["names"].values()))
        lines = draw.pick(facts["landline"], len(rows))
        columns["landline"][rows] = _given(draw.filled(lines), draw.chance(len(rows), 0.45))
        for prefix in ("", "old_"):
            places = lists.cities(code)
            which = draw.pick(np.arange(len(places)), len(rows), [city.weight for city in places])
            codes = np.array([city.postcode for city in places], dtype=object)[which]
            columns[prefix + "postcode"][rows] = draw.filled(codes)
            columns[prefix + "city"][rows] = [places[i].name for i in which]
            columns[prefix + "region"][rows] = [places[i].region for i in which]
            columns[prefix + "city_alias"][rows] = [
                places[i].aliases[int(u * len(places[i].aliases))]
                if places[i].aliases
                else places[i].name
                for i, u in zip(which, draw.rng.random(len(rows)), strict=True)
            ]
            columns[prefix + "street"][rows] = draw.ranked(facts["streets"], len(rows), 12)
            numbers = (
                np.ceil(draw.rng.gamma(1.3, 24, len(rows))).astype(int).astype(str).astype(object)
            )
            behind = {"PL": "/{}", "AT": "/{}"}.get(code)
            flat = draw.chance(len(rows), 0.5 if behind else 0.12)
            extra = draw.pick(list("123456789") if behind else list("aabbcd"), len(rows))
            joined = numbers + ("/" if behind else "") + extra
            columns[prefix + "number"][rows] = np.where(flat, joined, numbers)
    return pl.DataFrame(
        {name: pl.Series(list(values), dtype=pl.String) for name, values in columns.items()}
    )


def _names(frame: pl.DataFrame, draw: Draw) -> dict[str, pl.Series]:
    count = frame.height
    household = frame["household"].to_numpy()
    place = frame["place"].to_numpy()
    tongue = frame["tongue"].to_numpy()
    head = np.searchsorted(household, household)
    male = draw.chance(count, 0.47)
    couple = (place == 1) & draw.chance(count, 0.94)
    male = np.where(couple, ~male[head], male)
    given, family, second = (np.empty(count, dtype=object) for _ in range(3))
    for code, pools in lists.names().items():
        rows = np.flatnonzero(tongue == code)
        girls = draw.ranked(pools["female"], len(rows))
        boys = draw.ranked(pools["male"], len(rows))
        given[rows] = np.where(male[rows], boys, girls)
        family[rows] = _family_names(pools, len(rows), draw)
        if code == "es":
            second[rows] = _family_names(pools, len(rows), draw)
    own = (place == 1) & (draw.chance(count, 0.3) | (tongue == "es"))
    flatmates = draw.chance(count, 0.12)[head]  # whole households of people who aren't related
    shares = (place > 0) & ~own & ~flatmates
    maiden = _given(family, shares & (place == 1) & ~male)
    family = np.where(shares, family[head], family)
    child = shares & (place >= 2)
    partner = np.minimum(head + 1, count - 1)
    second = np.where(child & (tongue == "es"), family[partner], second)
    double = (place == 1) & shares & draw.chance(count, 0.06) & (tongue == "de")
    family = np.where(double, family + "-" + np.where(maiden == None, "", maiden), family)  # noqa: E711
    family = np.array([str(name).strip("-") for name in family], dtype=object)
    polish = (tongue == "pl") & ~male
    for rows_of in (family, maiden):
        for row in np.flatnonzero(polish):
            name = rows_of[row]
            if name and name.endswith(("ski", "cki", "dzki")):
                rows_of[row] = name[:-1] + "a"
    return {
        "male": pl.Series(male),
        "related": pl.Series(~flatmates | (place == 0)),
        "given": pl.Series(list(given), dtype=pl.String),
        "family": pl.Series(list(family), dtype=pl.String),
        "second_family": pl.Series(list(second), dtype=pl.String),
        "maiden": pl.Series(list(maiden), dtype=pl.String),
    }


def _family_names(pools: dict[str, list[str]], count: int, draw: Draw) -> Array:
    common = draw.ranked(pools["family"], count, 9)
    rare = draw.pick(pools["stems"], count) + draw.pick(pools["endings"], count)
    drawn: Array = np.where(draw.chance(count, 0.27), rare, common)
    return drawn


def _births(frame: pl.DataFrame, draw: Draw, end: dt.datetime) -> dict[str, pl.Series]:
    count = frame.height
    household = frame["household"].to_numpy()
    place = frame["place"].to_numpy()
    head = np.searchsorted(household, household)
    age = 22 + 62 * draw.rng.beta(1.9, 2.6, count)
    family = (np.bincount(household)[household] > 2) & frame["related"].to_numpy()
    age = np.where(family & (place < 2), 44 + 22 * draw.rng.random(count), age)
    age = np.where(place == 1, np.clip(age[head] + draw.rng.normal(-1, 4, count), 19, 88), age)
    # grown-up children of the first two; 17 is the youngest anybody here gets
    child = np.maximum(17.2, age[head] - 24 - 10 * draw.rng.random(count))
    age = np.where(family & (place >= 2), child, age)
    born = np.datetime64(end.date()) - (age * 365.25).astype(int)
    return {"born": pl.Series(born.astype("datetime64[D]"), dtype=pl.Date)}


def _special_families(frame: pl.DataFrame, draw: Draw) -> pl.DataFrame:
    """Twins who share a birthday, and sons who bear their father's name."""
    count = frame.height
    place, household = frame["place"].to_numpy(), frame["household"].to_numpy()
    male, related = frame["male"].to_numpy(), frame["related"].to_numpy()
    given, born = frame["given"].to_numpy().copy(), frame["born"].to_numpy().copy()
    head = np.searchsorted(household, household)
    twin = (place == 3) & related & draw.chance(count, 0.25)
    born[twin] = born[np.flatnonzero(twin) - 1]
    same = twin & (given == given[np.maximum(np.arange(count) - 1, 0)])
    given[same] = np.where(male[same], "Daniel", "Sara")
    junior = (place == 2) & related & male & male[head] & draw.chance(count, 0.05)
    given[junior] = given[head][junior]
    short = lists.nicknames()
    spin = draw.rng.random(count)
    nickname = [
        short[name][int(u * len(short[name]))] if name in short else None
        for name, u in zip(given, spin, strict=True)
    ]
    return frame.with_columns(
        given=pl.Series(list(given), dtype=pl.String),
        born=pl.Series(born, dtype=pl.Date),
        nickname=pl.Series(nickname, dtype=pl.String),
        twin=pl.Series(twin),
        junior=pl.Series(junior),
    )


def _life(frame: pl.DataFrame, draw: Draw, now: int) -> dict[str, pl.Series]:
    """When somebody came to the shop, moved, took another name."""
    count = frame.height
    household = frame["household"].to_numpy()
    homes = int(household[-1]) + 1
    ago = 1_100 * draw.rng.random(count) ** 1.25
    ago = np.where(draw.chance(count, 0.025), 12 * draw.rng.random(count), ago)
    joined = now - (ago * DAY).astype(np.int64) - draw.rng.integers(3_600, DAY, count)
    moved_home = draw.chance(homes, 0.13)
    moved = now - (draw.between(20, 900, homes) * DAY).astype(np.int64)
    known_maiden = frame["maiden"].is_not_null().to_numpy() & draw.chance(count, 0.22)
    renamed = now - (draw.between(30, 1_000, count) * DAY).astype(np.int64)
    return {
        "joined": pl.Series(joined),
        "moved_at": pl.Series(np.where(moved_home, moved, -1)[household]),
        "renamed_at": pl.Series(np.where(known_maiden, renamed, -1)),
    }


def _contact_points(frame: pl.DataFrame, draw: Draw) -> dict[str, pl.Series]:
    count = frame.height
    known = lists.countries()
    country, tongue = frame["country"].to_numpy(), frame["tongue"].to_numpy()
    mobile = np.empty(count, dtype=object)
    for code, facts in known.items():
        rows = np.flatnonzero(country == code)
        mobile[rows] = draw.filled(draw.pick(facts["mobile"], len(rows)))
    domain = np.empty(count, dtype=object)
    for code, choices in _DOMAINS.items():
        rows = np.flatnonzero(tongue == code)
        domain[rows] = draw.ranked(choices, len(rows), 1)
    first = np.array([folded(name) for name in frame["given"]], dtype=object)
    last = np.array([folded(name) for name in frame["family"]], dtype=object)
    short = np.array(
        [
            folded(name or given)
            for name, given in zip(frame["nickname"], frame["given"], strict=True)
        ],
        dtype=object,
    )
    initial = np.array([name[:1] for name in first], dtype=object)
    year = frame["born"].dt.year().cast(pl.String).to_numpy().astype(object)
    lucky = draw.rng.integers(1, 999, count).astype(str).astype(object)
    shapes = [
        first + "." + last,
        first + last,
        initial + "." + last,
        first + "_" + last,
        first + "." + last + np.array([y[2:] for y in year], dtype=object),
        short + lucky,
        last + "." + first,
        short + "." + last,
        initial + last + year,
    ]
    local = _mixed(shapes, draw, [38, 12, 10, 4, 10, 8, 5, 8, 5])
    email = _distinct(local, domain, draw)
    company = draw.pick([f"{name}.example" for name in _COMPANIES], count)
    other = draw.pick(["inbox.example.net", "post.example.org", "freemail.example"], count)
    work = draw.chance(count, 0.5)
    second_local = np.where(
        work, first + "." + last, _mixed(shapes, draw, [2, 2, 3, 1, 3, 6, 1, 3, 2])
    )
    second = _distinct(second_local, np.where(work, company, "2." + other), draw)
    second = np.array([address.replace("@2.", "@") for address in second], dtype=object)
    taken = pl.Series(list(second)).is_in(set(email.tolist())).to_numpy()
    second = _given(second, draw.chance(count, 0.3) & ~taken)
    household = frame["household"].to_numpy()
    head = np.searchsorted(household, household)
    family_box = draw.chance(count, 0.13)[head] & (frame["place"].to_numpy() > 0)
    family_box &= frame["related"].to_numpy()
    same_phone = (frame["place"].to_numpy() > 0) & draw.chance(count, 0.05)
    known_language = np.array([known[code]["language"] for code in country], dtype=object)
    language = np.where(draw.chance(count, 0.05), "en", known_language)
    language = np.where((country == "CH") & ((tongue == "fr") | (tongue == "it")), tongue, language)
    return {
        "email": pl.Series(list(np.where(family_box, email[head], email)), dtype=pl.String),
        "shares_email": pl.Series(family_box),
        "email2": pl.Series(list(second), dtype=pl.String),
        "mobile": pl.Series(list(np.where(same_phone, mobile[head], mobile)), dtype=pl.String),
        "language": pl.Series(list(language), dtype=pl.String),
    }


def _mixed(shapes: list[Array], draw: Draw, weights: list[float]) -> Array:
    count = len(shapes[0])
    which = draw.pick(np.arange(len(shapes)), count, weights)
    mixed: Array = np.stack(shapes)[which, np.arange(count)]
    return mixed


def _distinct(local: Array, domain: Array, draw: Draw) -> Array:
    """A mailbox belongs to one person: whoever comes later has to take a number."""
    address: Array = local + "@" + domain
    suffix = np.empty(len(address), dtype=object)
    for width in (90, 900, 9_000, 90_000, 900_000, 9_000_000):
        repeated = pl.Series(list(address)).to_frame("a").select(~pl.col("a").is_first_distinct())
        rows = np.flatnonzero(repeated["a"].to_numpy())
        if not len(rows):
            break
        suffix[rows] = draw.rng.integers(width // 9, width, len(rows)).astype(str)
        address[rows] = local[rows] + suffix[rows] + "@" + domain[rows]
    return address
