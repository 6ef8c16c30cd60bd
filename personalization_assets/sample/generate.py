"""Builds the sample shop: people and behaviour first, then what each system would export."""

import datetime as dt
import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.sample import behaviour, dirt, lists, records, shop, web
from personalization_assets.sample import mail as mailing
from personalization_assets.sample.catalogue import make_catalogue
from personalization_assets.sample.draw import Array
from personalization_assets.sample.people import make_people
from personalization_assets.sample.write import Landing, plain_lines

MOST_PEOPLE = 2_000_000


@dataclass(frozen=True)
class SampleSummary:
    """What was written. `rows` per file, `dirty` rows per kind, `records` that name a person."""

    people: int
    seed: int
    end: str
    rows: dict[str, int]
    dirty: dict[str, int]
    records: int
    files: list[str]


def generate(
    out: Path, people: int, seed: int, end: dt.datetime, progress: Callable[[str], None]
) -> SampleSummary:
    """Write the extracts of a shop with that many customers under `out`.

    The same people, seed and end give the same bytes. `end` is naive UTC; nothing happens at or
    after it, but for rows that are wrong on purpose. `out/sample.json` is written last.

    Raises:
        UserError: the number of people is out of range, or `out` holds files of somebody else.
    """
    if not 20 <= people <= MOST_PEOPLE:
        raise UserError(
            f"The sample shop can have 20 to {MOST_PEOPLE:,} people, not {people:,}: "
            "change --people."
        )
    if end.tzinfo is not None:
        end = end.astimezone(dt.UTC).replace(tzinfo=None)
    now = int(end.replace(tzinfo=dt.UTC).timestamp())
    spoiler = dirt.Dirt(seed)
    with Landing(out) as landing:
        progress(f"inventing {people:,} people and their households")
        crowd = make_people(people, seed, end)
        goods = make_catalogue(seed, end)
        habit = behaviour.make_habits(crowd, goods, seed, now)
        progress("sending newsletters, letting people visit the shop")
        mail = mailing.newsletters(crowd, habit, goods, seed, now)
        visits = behaviour.make_visits(crowd, habit, goods, mail.clicks, seed, now)
        progress("taking orders")
        sales = shop.make_sales(crowd, habit, visits, goods, seed, now)
        likes = _likes(habit, goods.frame)
        progress("writing the CRM, the loyalty programme, the preference centre, social media")
        contacts = records.crm_contacts(crowd, habit, mail, seed, now)
        members = records.loyalty_members(crowd, habit, sales.spent, seed, now)
        choices = records.preference_centre(crowd, habit, mail, likes, seed, now)
        social = records.social_activity(crowd, likes, goods.frame, seed, now)
        truth = [
            _truth("crm_contacts", contacts, "ContactID"),
            _truth("loyalty_members", members, "Mitgliedsnummer"),
            _truth("preference_centre", choices, "subscriber_id"),
            _truth(
                "social_activity",
                social.with_columns(k=pl.col("network") + ":" + pl.col("handle")),
                "k",
            ),
        ]
        contacts = dirt.crm(spoiler, contacts, end)
        truth.append(_truth("crm_contacts", contacts.filter(pl.col("_person") < 0), "ContactID"))
        landing.csv("crm/contacts.csv", contacts)
        landing.csv(
            "loyalty/members.csv", dirt.loyalty(spoiler, members), separator=";", encoding="cp1252"
        )
        landing.csv("preferences/preferences.csv", dirt.preferences(spoiler, choices))
        landing.lines("social/activity.ndjson", plain_lines(dirt.social(spoiler, social)))
        progress("writing orders and products")
        truth += _order_truth(sales.orders)
        landing.csv("shop/orders.csv", dirt.orders(spoiler, sales.orders, end))
        landing.parquet("shop/order_lines.parquet", dirt.lines(spoiler, sales.lines))
        landing.csv("shop/products.csv", dirt.products(spoiler, shop.products(goods, seed)))
        progress("writing e-mail events")
        bought = np.flatnonzero(visits.buys & (visits.kind == behaviour.WEB))
        mail = mailing.with_confirmations(
            mail, visits.person[bought], visits.at[bought] + 600, seed, now
        )
        events = mailing.webhook_lines(mail, crowd, goods, seed)
        # a mailbox that a family shares is its owner's: the person who was first in the household
        owners = crowd.select("email", "row").unique("email", keep="first", maintain_order=True)
        boxes = events.select(pl.col("email").unique(maintain_order=True)).join(
            owners, on="email", how="left", maintain_order="left"
        )
        truth.append(_truth("esp_events", boxes.rename({"row": "_person"}), "email"))
        months = pl.from_epoch(events["timestamp"], time_unit="s").dt.strftime("%Y%m")
        events = events.with_columns(timestamp=pl.col("timestamp").cast(pl.String), month=months)
        events = dirt.esp(spoiler, events).rename({"person": "_person"})
        for part in _by_month(events):
            name = f"esp/events_{part['month'][0]}.ndjson"
            landing.lines(
                name, plain_lines(part.drop("month"), bare=("timestamp", "sg_machine_open"))
            )
        del events, mail
        gc.collect()
        progress("writing web events")
        hits = web.web_events(crowd, habit, visits, sales, goods, seed, now)
        used = hits.filter(pl.col("user_id").is_not_null()).select(
            k="shop:" + pl.col("user_id"), _person="_person"
        )
        truth.append(_truth("web_events", used.unique("k", keep="first", maintain_order=True), "k"))
        hits = dirt.web(spoiler, hits, end)
        for part in _by_month(hits):
            landing.lines(f"web/events_{part['month'][0]}.ndjson.gz", web.json_lines(part, goods))
        progress("writing the truth")
        keys = _named(pl.concat(truth), crowd)
        landing.csv("truth/truth.csv", keys)
        summary = SampleSummary(
            people,
            seed,
            end.isoformat(),
            landing.rows,
            spoiler.counts,
            keys.height,
            sorted(landing.rows),
        )
        landing.finish(asdict(summary))
    return summary


def _truth(source: str, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    keys = frame.select(
        source=pl.lit(source),
        key=pl.col(key).cast(pl.String),
        _person=pl.col("_person").cast(pl.Int64),
    )
    return keys.filter(pl.col("key").is_not_null() & (pl.col("key") != ""))


def _order_truth(orders: pl.DataFrame) -> list[pl.DataFrame]:
    accounts = orders.filter(pl.col("customer_id").is_not_null())
    guests = orders.filter(
        pl.col("customer_id").is_null()
        & pl.any_horizontal(pl.col("billing_name", "email", "phone").is_not_null())
    )
    return [
        _truth("shop_orders", accounts.with_columns(k="shop:" + pl.col("customer_id")), "k"),
        _truth("shop_orders", guests.with_columns(k="order:" + pl.col("order_id")), "k"),
    ]


def _named(truth: pl.DataFrame, crowd: pl.DataFrame) -> pl.DataFrame:
    """One line per record; who is nobody (a test contact) is a person of their own."""
    names = crowd["person"].gather(truth["_person"].clip(0))
    trial = pl.format("test{}", -pl.col("_person"))
    named = truth.with_columns(person=pl.when(pl.col("_person") < 0).then(trial).otherwise(names))
    return (
        named.select("source", "key", "person")
        .unique(["source", "key"], keep="first")
        .sort("source", "key")
    )


def _likes(habit: behaviour.Habit, goods: pl.DataFrame) -> Array:
    """Which categories somebody's tastes lead to: people x categories, 0 or 1."""
    known = lists.assortment()
    home = dict(goods.select("subcategory", "category").unique().iter_rows())
    order = list(known["categories"])
    share = np.zeros((len(known["tastes"]), len(order)))
    for row, wants in enumerate(known["tastes"].values()):
        for name, fond in wants.items():
            share[row, order.index(home[name])] += fond
    strong = (share / share.sum(axis=1, keepdims=True) > 0.3).astype(float)
    found: Array = np.maximum(strong[habit.tastes[:, 0]], strong[habit.tastes[:, 1]])
    return found


def _by_month(frame: pl.DataFrame) -> list[pl.DataFrame]:
    return frame.partition_by("month", maintain_order=True)
