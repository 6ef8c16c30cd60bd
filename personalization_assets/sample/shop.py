"""What the shop system exports: orders with the names people gave, lines, products."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from personalization_assets.sample import lists
from personalization_assets.sample.behaviour import OFFLINE, Habit, Visits
from personalization_assets.sample.catalogue import Catalogue
from personalization_assets.sample.draw import Array, Draw
from personalization_assets.sample.people import DAY
from personalization_assets.sample.records import stamp
from personalization_assets.sample.spelling import Habits, addresses, written

RATES = {"EUR": 1.0, "GBP": 0.86, "CHF": 0.95, "PLN": 4.28, "USD": 1.11}
_CAREFUL = Habits(
    nickname=0.04,
    typo=0.014,
    plain_letters=0.1,
    no_email=0.0,
    no_phone=0.35,
    no_address=0.02,
    old_address=0.1,
    country_labels=(70, 18, 4, 2, 1),
)


@dataclass(frozen=True)
class Sales:
    """Orders and their lines, with what only the generator knows (`_person`, `_named`)."""

    orders: pl.DataFrame
    lines: pl.DataFrame
    spent: Array  # EUR per person
    number: Array  # order id per visit, None where nothing was bought
    account: Array  # account used on a visit, -1 for none


def make_sales(
    people: pl.DataFrame, habit: Habit, visits: Visits, catalogue: Catalogue, seed: int, end: int
) -> Sales:
    """Turn visits that bought something into orders."""
    draw = Draw(seed, "sales")
    person = visits.person
    account = np.where(
        visits.at >= habit.account2_at[person], habit.account2[person], habit.account[person]
    )
    buys = np.flatnonzero(visits.buys)
    count = len(buys)
    who_row, at = person[buys], visits.at[buys] + 600
    offline = visits.kind[buys] == OFFLINE
    guest = (account[buys] < 0) | draw.chance(count, np.where(offline, 0.5, 0.1))
    names = np.char.add(
        "FH", (1_000_000 + np.cumsum(draw.rng.integers(1, 4, count))).astype(str)
    ).astype(object)
    number = np.full(len(person), None, dtype=object)
    number[buys] = names
    lines = _lines(people, visits, catalogue, number, draw)
    money = lines.group_by("order_id").agg(gross=pl.col("_worth").sum(), eur=pl.col("_eur").sum())
    who = people[who_row]
    named = _identity(people, habit, who_row, at, guest, visits, buys, draw)
    walk_in = offline & guest & draw.chance(count, 0.6)
    currency = who["country"].replace_strict(
        {c: f["currency"] for c, f in lists.countries().items()}
    )
    status = draw.pick(
        ["paid", "cancelled", "refunded", "partially_refunded"], count, [935, 30, 25, 10]
    )
    status = np.where((at > end - 2 * DAY) & draw.chance(count, 0.4), "pending", status)
    rebate = np.where(draw.chance(count, 0.16), draw.pick(np.array([0.05, 0.1, 0.15]), count), 0.0)
    frame = pl.DataFrame({"order_id": names.tolist()}).join(
        money, on="order_id", how="left", maintain_order="left"
    )
    gross = frame["gross"].to_numpy()
    channel = np.where(
        offline, draw.pick(["store", "phone", "marketplace"], count, [70, 15, 15]), "web"
    )
    blank = pl.Series(walk_in)
    orders = pl.DataFrame(
        {
            "order_id": names.tolist(),
            "customer_id": pl.Series(account[buys].astype(str))
            .to_frame("a")
            .select(pl.when(~pl.Series(guest)).then("a"))["a"],
            "created_at": stamp(at, "%Y-%m-%dT%H:%M:%SZ"),
            "financial_status": status.tolist(),
            "currency": currency,
            "total": np.round(gross * (1 - rebate), 2),
            "discount": np.round(gross * rebate, 2),
            "billing_name": named["full"],
            "email": named["email"],
            "phone": named["phone"],
            "billing_street": named["street"],
            "billing_zip": named["postcode"],
            "billing_city": named["city"],
            "billing_province": named["region"],
            "billing_country": named["country"],
            "channel": channel.tolist(),
            "_person": who_row,
        }
    )
    hidden = [
        "billing_name",
        "email",
        "phone",
        "billing_street",
        "billing_zip",
        "billing_city",
        "billing_province",
    ]
    orders = orders.with_columns(pl.when(~blank).then(pl.col(name)).alias(name) for name in hidden)
    spent = np.bincount(who_row, weights=frame["eur"].to_numpy(), minlength=people.height)
    return Sales(orders, lines.drop("_worth", "_eur"), spent, number, account)


def products(catalogue: Catalogue, seed: int) -> pl.DataFrame:
    """The assortment as the shop exports it, category names as different buyers typed them."""
    draw = Draw(seed, "products")
    frame = catalogue.frame
    n = frame.height
    style = draw.pick(np.arange(4), n, [90, 4, 3, 3])
    category = pl.col("category")
    return frame.select(
        sku="sku",
        title="name",
        category=pl.when(pl.Series(style == 1))
        .then(category.str.to_uppercase())
        .when(pl.Series(style == 2))
        .then(category.str.replace("&", "and", literal=True) + " ")
        .when(pl.Series(style == 3))
        .then(category.str.to_lowercase())
        .otherwise(category),
        subcategory="subcategory",
        vendor="brand",
        price=pl.col("price").round(2).cast(pl.String),
        currency=pl.lit("EUR"),
        stock=pl.when(pl.Series(draw.chance(n, 0.03)))
        .then(None)
        .otherwise(pl.col("stock").cast(pl.String)),
        consumable=pl.when("consumable").then(pl.lit("yes")).otherwise(pl.lit("no")),
        image_url="image",
        url="url",
        description="description",
        launched=pl.from_epoch("launched", time_unit="s").dt.strftime("%Y-%m-%d"),
        active=pl.when("active").then(pl.lit("true")).otherwise(pl.lit("false")),
    ).sort("sku")


def _lines(
    people: pl.DataFrame, visits: Visits, catalogue: Catalogue, number: Array, draw: Draw
) -> pl.DataFrame:
    looks = np.flatnonzero(visits.bought)
    visit, item = visits.look_visit[looks], visits.look_item[looks]
    frame = pl.DataFrame({"visit": visit, "item": item, "quantity": visits.quantity[looks]})
    frame = (
        frame.group_by("visit", "item", maintain_order=True)
        .agg(pl.col("quantity").sum())
        .sort("visit", "item")
    )
    n = frame.height
    owner = visits.person[frame["visit"].to_numpy()]
    currency = (
        people["country"]
        .gather(owner)
        .replace_strict({c: f["currency"] for c, f in lists.countries().items()})
    )
    rate = currency.replace_strict(RATES).to_numpy().astype(float)
    age = (visits.at[-1] - visits.at[frame["visit"].to_numpy()]) / (365 * DAY)
    base = catalogue.price[frame["item"].to_numpy()] * (1 - 0.03 * age)
    sale = np.where(draw.chance(n, 0.14), draw.pick(np.array([0.9, 0.8, 0.75]), n), 1.0)
    eur = base * sale.astype(float)
    price = np.maximum(0.95, np.floor(eur * rate) + 0.95)
    back = draw.chance(n, 0.012)
    goods = catalogue.frame
    quantity = frame["quantity"].to_numpy()
    ids = pl.Series(number[frame["visit"].to_numpy()].tolist(), dtype=pl.String)
    lines = pl.DataFrame(
        {
            "order_id": ids,
            "sku": goods["sku"].gather(frame["item"]),
            "title": goods["name"].gather(frame["item"]),
            "quantity": quantity,
            "unit_price": price,
            "currency": currency,
            "_worth": price * quantity,
            "_eur": eur * quantity,
        }
    )
    returned = lines.filter(pl.Series(back)).with_columns(
        quantity=-pl.col("quantity"), _worth=-pl.col("_worth"), _eur=-pl.col("_eur")
    )
    both = pl.concat([lines, returned]).sort(
        "order_id", "quantity", "sku", descending=[False, True, False]
    )
    position = pl.int_range(1, pl.len() + 1).over("order_id")
    return both.select(
        "order_id",
        position.alias("line"),
        "sku",
        "title",
        pl.col("quantity").cast(pl.Int64),
        "unit_price",
        "currency",
        "_worth",
        "_eur",
    )


def _identity(
    people: pl.DataFrame,
    habit: Habit,
    rows: Array,
    at: Array,
    guest: Array,
    visits: Visits,
    buys: Array,
    draw: Draw,
) -> pl.DataFrame:
    """Account holders are spelled once, guests each time they order."""
    joined = people["joined"].to_numpy()
    fields = ["full", "email", "phone"]
    place = ["street", "postcode", "city", "region", "country"]
    accounts = written(people, joined, draw, _CAREFUL)
    moved = people["moved_at"].to_numpy()
    before = pl.DataFrame(addresses(people, np.zeros(people.height), draw, _CAREFUL))
    after = pl.DataFrame(addresses(people, np.full(people.height, 2**40), draw, _CAREFUL))
    early = pl.Series((moved[rows] > 0) & (at < moved[rows]))
    old, new = before[rows], after[rows]
    mine = (
        accounts[rows]
        .select(fields)
        .with_columns(
            pl.select(pl.when(early).then(old[name]).otherwise(new[name])).to_series().alias(name)
            for name in place
        )
    )
    fresh = written(people[rows], at, draw, _CAREFUL).select(fields + place)
    stranger = pl.Series(guest)
    return pl.DataFrame(
        {
            name: pl.select(pl.when(stranger).then(fresh[name]).otherwise(mine[name])).to_series()
            for name in fields + place
        }
    )
