"""The goods of the shop, and how likely somebody with a taste is to look at each of them."""

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from personalization_assets.sample import lists
from personalization_assets.sample.draw import Array, Draw
from personalization_assets.sample.people import DAY, folded

PERIOD = 30 * DAY  # demand and assortment change every thirty days
PERIODS = 37
BANDS = 3  # cheap, middle, dear
_SEASONS = {"winter": 0, "spring": 3, "summer": 6, "autumn": 9, "gift": 11}


@dataclass(frozen=True)
class Catalogue:
    """Products (one row each) and the demand for them."""

    frame: pl.DataFrame
    price: Array  # EUR
    consumable: Array
    demand: Array  # rising steps, one block per period, taste and band
    tastes: int
    start: int

    def look(self, taste: Array, band: Array, at: Array, draw: Draw) -> Array:
        """Which product somebody with a taste and a purse looks at, at a time."""
        period = np.clip((at - self.start) // PERIOD, 0, PERIODS - 1)
        block = (period * self.tastes + taste) * BANDS + band
        spots = np.searchsorted(self.demand, block + draw.rng.random(len(at)), side="right")
        count = len(self.price)
        found: Array = np.clip(spots - block * count, 0, count - 1)
        return found


def make_catalogue(seed: int, end: dt.datetime) -> Catalogue:
    """Some thousand products. Columns as the shop knows them, times in seconds since 1970."""
    draw = Draw(seed, "catalogue")
    now = int(end.replace(tzinfo=dt.UTC).timestamp())
    frame = _products(draw, now)
    count = frame.height
    frame = frame.with_columns(
        sku=frame["code"] + "-" + pl.Series(draw.numbers(count, 10_000, 8)).cast(pl.String)
    )
    slugs = [
        re.sub("-+", "-", "-".join(folded(word) for word in name.replace("-", " ").split()))
        for name in frame["name"]
    ]
    frame = frame.with_columns(slug=pl.Series(slugs))
    frame = frame.with_columns(
        url="https://shop.example.com/p/" + pl.col("sku") + "/" + pl.col("slug"),
        image="https://cdn.example.com/products/" + pl.col("sku") + ".jpg",
    )
    demand, tastes = _demand(frame, draw, now)
    return Catalogue(
        frame,
        frame["price"].to_numpy(),
        frame["consumable"].to_numpy(),
        demand,
        tastes,
        now - PERIODS * PERIOD,
    )


def _products(draw: Draw, now: int) -> pl.DataFrame:
    known = lists.assortment()
    rows: list[dict[str, object]] = []
    seen: set[str] = set()
    for category, facts in known["categories"].items():
        makers = [
            (name, level)
            for name, (level, made) in known["brands"].items()
            if not made or category in made
        ]
        for line in facts["lines"]:
            subcategory, prices, season, number, nouns = (part.strip() for part in line.split("|"))
            low, high = (float(price) for price in prices.split("-"))
            kinds = [noun.strip() for noun in nouns.split(",")]
            for _ in range(int(number)):
                name = ""
                while not name or name in seen:
                    series = known["series"][int(draw.rng.integers(len(known["series"])))]
                    adjective = facts["adjectives"][
                        int(draw.rng.integers(len(facts["adjectives"])))
                    ]
                    noun = kinds[int(draw.rng.integers(len(kinds)))]
                    name = (
                        f"{series} {adjective} {noun}"
                        if draw.rng.random() < 0.6
                        else f"{series} {noun}"
                    )
                seen.add(name)
                spot = min(len(makers) - 1, int(draw.rng.exponential(1.6)))
                brand, level = makers[spot]
                price = low * (high / low) ** draw.rng.beta(1.6, 2.2) * level
                ending = 0.95 if price < 60 else 0.0
                rows.append(
                    {
                        "code": facts["code"],
                        "name": name,
                        "category": category,
                        "subcategory": subcategory,
                        "brand": brand,
                        "season": season.rstrip("+"),
                        "consumable": season.endswith("+"),
                        "price": max(1.95, np.floor(price) + ending),
                        "noun": noun,
                    }
                )
    count = len(rows)
    old = draw.chance(count, 0.6)
    age = np.where(old, draw.between(1_110, 2_400, count), draw.between(3, 1_000, count))
    gone = ~draw.chance(count, 0.95)
    stock = np.where(draw.chance(count, 0.06), 0, np.ceil(draw.rng.lognormal(3.4, 1.1, count)))
    frame = pl.DataFrame(rows).with_columns(
        launched=pl.Series(now - (age * DAY).astype(np.int64)),
        active=pl.Series(~gone),
        stock=pl.Series(np.where(gone, 0, stock).astype(np.int64)),
    )
    text = (
        pl.col("noun")
        + " from "
        + pl.col("brand")
        + ", "
        + pl.col("subcategory").str.to_lowercase()
        + " for "
        + pl.col("season").replace({"all": "all seasons", "gift": "giving and keeping"})
        + "."
    )
    return frame.with_columns(description=text)


def _demand(frame: pl.DataFrame, draw: Draw, now: int) -> tuple[Array, int]:
    known = lists.assortment()
    count = frame.height
    popular = (draw.rng.permutation(count) + 6.0) ** -0.8
    share = frame.select(pl.col("price").rank().over("subcategory") / pl.len().over("subcategory"))[
        "price"
    ].to_numpy()
    subcategory = frame["subcategory"].to_numpy()
    brand = frame["brand"].to_numpy()
    brands = list(known["brands"])
    tastes = known["tastes"]
    base = np.zeros((len(tastes), count))
    for row, wants in enumerate(tastes.values()):
        liked = dict(zip(brands, draw.rng.lognormal(0, 0.9, len(brands)), strict=True))
        fond = np.array([float(wants.get(name, 0.03)) for name in subcategory])
        maker = np.array([liked[name] for name in brand])
        base[row] = fond * maker * popular * draw.rng.lognormal(0, 1.0, count)
    purse = np.stack(
        [np.exp(-((share - middle) ** 2) / 0.11) + 0.05 for middle in (0.15, 0.5, 0.85)]
    )
    season = frame["season"].to_numpy()
    launched = frame["launched"].to_numpy()
    gone = ~frame["active"].to_numpy()
    blocks = []
    for period in range(PERIODS):
        at = now - (PERIODS - period) * PERIOD
        month = dt.datetime.fromtimestamp(at + PERIOD // 2, dt.UTC).month
        lift = np.ones(count)
        for name, peak in _SEASONS.items():
            near = np.cos((month - 1 - peak) * np.pi / 6)
            lift[season == name] = 1 + (1.6 if name == "gift" else 0.75) * max(near, -0.8) ** (
                3 if name == "gift" else 1
            )
        fresh = np.where((at + PERIOD - launched) < 3 * PERIOD, 1.8, 1.0)
        there = (launched <= at) & ~(gone & (period > PERIODS - 5))
        weight = base[:, None, :] * purse[None] * (np.maximum(lift, 0.1) * fresh * there)
        steps = np.cumsum(weight, axis=2)
        steps /= steps[:, :, -1:]
        blocks.append(steps)
    stacked = np.stack(blocks)
    offsets = np.arange(PERIODS * len(tastes) * BANDS).reshape(PERIODS, len(tastes), BANDS, 1)
    return (stacked + offsets).ravel(), len(tastes)
