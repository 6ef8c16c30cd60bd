"""What each system holds about people: CRM, loyalty programme, preference centre, social media."""

import numpy as np
import polars as pl

from personalization_assets.sample.behaviour import Habit
from personalization_assets.sample.draw import Array, Draw
from personalization_assets.sample.mail import Mail
from personalization_assets.sample.people import DAY
from personalization_assets.sample.spelling import Habits, written

_YES_NO = {"yes": "Y", "no": "N"}
_TOPICS = [
    "Hiking",
    "Camping",
    "Climbing & Snow",
    "Clothing",
    "Running",
    "Cycling",
    "Kitchen",
    "Pantry",
    "Home & Hearth",
    "Garden",
]


def stamp(seconds: Array, form: str) -> pl.Series:
    """Seconds since 1970 as text."""
    return pl.from_epoch(pl.Series("at", seconds).cast(pl.Int64), time_unit="s").dt.strftime(form)


def berlin(seconds: Array, form: str) -> pl.Series:
    """Seconds since 1970 as text on a clock in Berlin."""
    moments = pl.from_epoch(pl.Series("at", seconds).cast(pl.Int64), time_unit="s")
    return (
        moments.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin").dt.strftime(form)
    )


def crm_contacts(
    people: pl.DataFrame, habit: Habit, mail: Mail, seed: int, end: int
) -> pl.DataFrame:
    """Contacts typed in by staff or imported: one in eight people stands there twice."""
    draw = Draw(seed, "crm")
    n = people.height
    copies = np.where(draw.chance(n, 0.8), 1 + draw.chance(n, 0.12) + draw.chance(n, 0.015), 0)
    rows = np.repeat(np.arange(n), copies)
    rows = rows[np.argsort(people["joined"].to_numpy()[rows], kind="stable")]
    count = len(rows)
    who = people[rows]
    joined = who["joined"].to_numpy()
    created = joined + (draw.rng.exponential(25, count) * DAY).astype(np.int64)
    created = np.where(created < end - DAY, created, joined + 60)
    changed = created + ((end - 3_600 - created) * draw.rng.beta(0.6, 1.3, count)).astype(np.int64)
    form = written(who, changed, draw, Habits())
    wants = np.where(mail.left[rows], 0, habit.wants_mail[rows])
    linked = (habit.account[rows] > 0) & draw.chance(count, 0.38)
    seen = draw.chance(count, 0.28)
    device = np.where(draw.chance(count, 0.6), habit.phone[rows], habit.desktop[rows])
    male = who["male"].to_numpy()
    word = np.where(male, "Mr", "Ms").astype(object)
    word = np.where(draw.chance(count, 0.08), np.where(male, "Herr", "Frau"), word)
    return pl.DataFrame(
        {
            "ContactID": draw.numbers(count, 200_000, 3).astype(str),
            "ShopCustomerNo": _some(habit.account[rows].astype(str), linked),
            "Salutation": _some(word, draw.chance(count, 0.8)),
            "FirstName": form["given"],
            "LastName": form["family"],
            "EmailAddress": form["email"],
            "Phone": form["phone"],
            "Birthday": form["born"].dt.strftime("%d/%m/%Y"),
            "Street": form["street"],
            "ZIP": form["postcode"],
            "City": form["city"],
            "Region": _when(form["region"], draw.chance(count, 0.55)),
            "Country": form["country"],
            "Language": _when(who["language"], draw.chance(count, 0.85)),
            "WebCookie": _some(device, seen),
            "EmailOptIn": pl.Series(wants).replace_strict(
                {1: "Y", 0: "N", -1: None}, return_dtype=pl.String
            ),
            "CreatedOn": berlin(created, "%d/%m/%Y %H:%M"),
            "ModifiedOn": berlin(changed, "%d/%m/%Y %H:%M"),
            "_person": rows,
        }
    )


def loyalty_members(
    people: pl.DataFrame, habit: Habit, spent: Array, seed: int, end: int
) -> pl.DataFrame:
    """Card holders, as a German till system writes them."""
    draw = Draw(seed, "loyalty")
    n = people.height
    eager = 0.28 + 0.3 * (spent > 150) + 0.1 * (spent > 600)
    rows = np.flatnonzero(draw.chance(n, eager))
    rows = np.sort(np.concatenate([rows, rows[draw.chance(len(rows), 0.02)]]))
    count = len(rows)
    who = people[rows]
    joined = who["joined"].to_numpy()
    since = joined + ((end - joined) * draw.rng.beta(1, 3, count)).astype(np.int64)
    changed = since + ((end - 3_600 - since) * draw.rng.random(count)).astype(np.int64)
    cards = Habits(
        nickname=0.03,
        no_email=0.22,
        no_birth_date=0.1,
        no_phone=0.5,
        landline=0.45,
        old_address=0.45,
        no_address=0.03,
        country_labels=(10, 4, 70, 3),
    )
    form = written(who, since, draw, cards)
    total = spent[rows]
    tier = np.select(
        [total > 1_500, total > 700, total > 250], ["Platin", "Gold", "Silber"], "Bronze"
    )
    linked = (habit.account[rows] > 0) & draw.chance(count, 0.25)
    german = form["iso"].replace({"DE": "Deutschland", "AT": "Österreich", "CH": "Schweiz"})
    return pl.DataFrame(
        {
            "Mitgliedsnummer": pl.Series(draw.numbers(count, 7_000_000, 5)).cast(pl.String),
            "Kundennummer": _some(habit.account[rows].astype(str), linked),
            "Vorname": form["given"],
            "Nachname": form["family"],
            "E-Mail": form["email"],
            "Telefon": form["phone"],
            "Geburtsdatum": form["born"].dt.strftime("%d.%m.%Y"),
            "Straße": form["street"],
            "PLZ": form["postcode"],
            "Ort": form["city"],
            "Land": pl.select(
                pl.when(pl.Series(draw.chance(count, 0.6))).then(german).otherwise(form["country"])
            ).to_series(),
            "Stufe": tier.astype(str),
            "Punkte": pl.Series((total * draw.between(0.4, 1.1, count)).astype(np.int64)).cast(
                pl.String
            ),
            "Eintritt": berlin(since, "%d.%m.%Y"),
            "Geändert": berlin(changed, "%d.%m.%Y %H:%M:%S"),
            "_person": rows,
        }
    )


def preference_centre(
    people: pl.DataFrame, habit: Habit, mail: Mail, likes: Array, seed: int, end: int
) -> pl.DataFrame:
    """What people ticked themselves. An empty box is a question nobody answered."""
    draw = Draw(seed, "preferences")
    n = people.height
    rows = np.flatnonzero(
        draw.chance(n, np.where(habit.wants_mail == 1, 0.62, 0.3))
        & ~people["shares_email"].to_numpy()
    )
    count = len(rows)
    who = people[rows]
    joined = who["joined"].to_numpy()
    changed = joined + ((end - 3_600 - joined) * draw.rng.random(count)).astype(np.int64)
    wants = np.where(mail.left[rows], 0, habit.wants_mail[rows])
    boxes = pl.Series(wants).replace_strict({1: "yes", 0: "no", -1: None}, return_dtype=pl.String)
    picks = draw.rng.random((count, len(_TOPICS)))
    stated = (picks < 0.04) | ((picks < 0.7) & (likes[rows] > 0))
    topics = ["|".join(np.array(_TOPICS, dtype=object)[row]) or None for row in stated]
    form = written(who, changed, draw, Habits(typo=0.004, no_email=0.0, plus_tag=0.0))
    linked = (habit.account[rows] > 0) & draw.chance(count, 0.55)
    return pl.DataFrame(
        {
            "subscriber_id": pl.Series(draw.numbers(count, 40_000, 4)).cast(pl.String),
            "customer_no": _some(habit.account[rows].astype(str), linked),
            "email": form["email"],
            "newsletter": boxes,
            "profiling": _answers(draw, count, [70, 14, 16]),
            "sms": _answers(draw, count, [16, 40, 44]),
            "partners": _answers(draw, count, [8, 56, 36]),
            "topics": _when(pl.Series(topics, dtype=pl.String), draw.chance(count, 0.6)),
            "how_often": _some(
                draw.pick(["weekly", "monthly", "daily"], count, [62, 32, 6]),
                draw.chance(count, 0.7),
            ),
            "locale": _when(who["language"] + "-" + who["country"], draw.chance(count, 0.8)),
            "updated": stamp(changed, "%Y-%m-%dT%H:%M:%SZ"),
            "_person": rows,
        }
    )


def social_activity(
    people: pl.DataFrame, likes: Array, items: pl.DataFrame, seed: int, end: int
) -> pl.DataFrame:
    """Follows, likes and comments of people who don't always use their own name."""
    draw = Draw(seed, "social")
    n = people.height
    active = np.flatnonzero(draw.chance(n, 0.13))
    network = draw.pick(
        ["instagram", "facebook", "pinterest", "strava"], len(active), [48, 30, 14, 8]
    )
    base = people["email"].gather(active).str.split("@").list.get(0).to_numpy()
    handle = base + draw.pick(["", "_", ".x", "_outdoor", "7"], len(active), [5, 1, 1, 1, 1])
    number = pl.DataFrame({"w": network, "h": handle}, schema={"w": pl.String, "h": pl.String})
    fresh = number.select(pl.struct("w", "h").is_first_distinct())["w"].to_numpy()
    handle = np.where(fresh, handle, handle + active.astype(str).astype(object))
    times = 1 + draw.rng.poisson(2.4, len(active))
    spot = np.repeat(np.arange(len(active)), times)
    count = len(spot)
    rows = active[spot]
    who = people[rows]
    joined = np.maximum(who["joined"].to_numpy(), end - 365 * DAY)
    at = joined + ((end - 600 - joined) * draw.rng.random(count)).astype(np.int64)
    order = np.lexsort((spot, at))
    spot, rows, at, who = spot[order], rows[order], at[order], who[order]
    kind = draw.pick(["follow", "like", "comment", "share", "mention"], count, [18, 52, 16, 9, 5])
    liked = likes[rows] * draw.rng.random((count, len(_TOPICS))) + 0.05 * draw.rng.random(
        (count, len(_TOPICS))
    )
    category = np.array(_TOPICS, dtype=object)[liked.argmax(axis=1)]
    item = items.with_row_index("i").group_by("category", maintain_order=True).agg("sku")
    pools = {row[0]: row[1] for row in item.iter_rows()}
    u = draw.rng.random(count)
    sku = [pools[name][int(x * x * len(pools[name]))] for name, x in zip(category, u, strict=True)]
    phrases = [
        "Love it!",
        "Does it come in green?",
        "Took it up Galdhøpiggen, held up well",
        "Need this",
        "Mine broke after a week :(",
        "Schon bestellt!",
        "J'adore",
        "Top!",
        "Is it back in stock?",
    ]
    words = kind == "comment"
    named = draw.chance(len(active), 0.7)[spot]
    mailed = draw.chance(len(active), 0.25)[spot]
    return pl.DataFrame(
        {
            "id": pl.Series(draw.numbers(count, 5_000_000, 7)).cast(pl.String),
            "network": _text(network[spot]),
            "handle": _text(handle[spot]),
            "display_name": _when(who["given"] + " " + who["family"], named),
            "email": _when(who["email"], mailed),
            "action": _text(kind),
            "sku": _when(pl.Series(sku, dtype=pl.String), kind != "follow"),
            "topic": _text(category),
            "message": _some(draw.pick(phrases, count), words),
            "created_time": stamp(at, "%Y-%m-%dT%H:%M:%S+0000"),
            "_person": rows,
        }
    )


def _answers(draw: Draw, count: int, weights: list[float]) -> pl.Series:
    return _text(draw.pick(["yes", "no", None], count, weights))


def _text(values: Array) -> pl.Series:
    return pl.Series(values.tolist(), dtype=pl.String)


def _some(values: Array, where: Array) -> pl.Series:
    return _when(_text(values), where)


def _when(values: pl.Series, where: Array) -> pl.Series:
    """Keep a value only where it was given."""
    return values.to_frame("v").select(pl.when(pl.Series(where)).then(pl.col("v")))["v"]
