"""A shop where tastes change half way: what the loop of feedback notices, and what it is worth.

Two groups of customers like two categories each. On one day one category of each changes sides:
what goes with what is no longer what the model learnt. With the loop, clicks in mails become
outcomes, outcomes become signals, and a signal that is due trains the model anew; without it the
first model stays, although it sees every new interaction of its customers.

    python -m personalization_tests.benchmarks.feedback_loop

prints both, day by day.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from personalization_assets.feedback.examination import counts_of, examine
from personalization_assets.recommendations import exploring, models, training
from personalization_assets.recommendations.matrix import to_matrix
from personalization_assets.settings import Settings
from personalization_tests.feedback.mails import DDL
from personalization_tests.recommendations import shop
from personalization_tests.recommendations.test_training import STATEMENT, nothing

FIRST = dt.datetime(2026, 3, 1, 3)
WARM_UP = 12
"""Days of visits before the first mail."""
CHANGE = 8
"""Days of mails before tastes change."""
DAYS = 25
"""Days of mails."""
CUSTOMERS, PER_CATEGORY, PLACES = 200, 60, 6
LOOKED_AT = np.arange(1, PLACES + 1) ** -0.6
LIKED, OTHER = 0.30, 0.02
"""Chance of a click on a product that was looked at, of a liked category and of another one."""

SETTINGS = Settings.model_validate(
    {
        "recommendations": {
            "tune": False,
            "algorithms": ["ease"],
            "half_life_days": 2,
            "history": 0,
            "test_days": 3,
            "bootstrap_samples": 50,
            "explore_share": 0.1,
            "explore_within": 0.3,
        },
        "feedback": {
            "click_days": 0.9,
            "recent_days": 2,
            "level_days": 12,
            "drop_shown": 1000,
            "model_days": 6,
        },
    }
)


@dataclass
class Day:
    """What happened on one day of mails, the first is 0."""

    number: int
    shown: int
    clicked: int
    due: list[str] = field(default_factory=list)
    trained: bool = False

    @property
    def rate(self) -> float:
        """Share of the places shown that were clicked."""
        return self.clicked / self.shown


def simulate(loop: bool, seed: int = 1, change: bool = True, days: int = DAYS) -> list[Day]:
    """Every day of mails, with the loop or with the first model for ever."""
    town = _Town(seed, change)
    for number in range(WARM_UP):
        town.visits(number - WARM_UP)
    records = town.train(0)
    past = []
    for number in range(days):
        town.data(number)
        due = town.signals() if loop else []
        if due:
            records = town.train(number, records)
        shown, clicked = town.mails(number, learn=loop)
        past.append(Day(number, shown, clicked, due, bool(due)))
        town.visits(number)
    return past


def level(days: list[Day], first: int, last: int) -> float:
    """Click rate of the days from `first` up to but not including `last`."""
    part = days[first:last]
    return sum(d.clicked for d in part) / sum(d.shown for d in part)


class _Town:
    """Customers, their tastes, and the platform's tables about them."""

    def __init__(self, seed: int, change: bool) -> None:
        self.seed, self.change = seed, change
        self.con = shop.connect(SETTINGS, FIRST, threads=1)
        self.con.execute(DDL)
        self.ids = np.array([f"u{i:04d}" for i in range(CUSTOMERS)])
        self.products = np.array([f"p{i:03d}" for i in range(4 * PER_CATEGORY)])
        self.version, self.model = "", Any
        links = pl.DataFrame({"record_id": self.ids}).with_columns(
            source=pl.lit("shop"), customer_id="c_" + pl.col("record_id")
        )
        shop.add(self.con, "identity.links", links)
        shop.add(self.con, "standardized.products", shop.products(len(self.products), 4))
        self.con.execute(
            "UPDATE standardized.products SET category ="
            f" 'c' || CAST(substr(product_id, 2) AS INT) // {PER_CATEGORY}"
        )

    def as_of(self, number: int) -> dt.datetime:
        return FIRST + dt.timedelta(days=number)

    def likes(self, number: int, customer: Any, product: Any) -> Any:
        """Whether customers like products: the even ones categories 0 and 1, the odd ones 2 and 3,
        and once tastes have changed 0 and 3, or 2 and 1."""
        category = product // PER_CATEGORY
        if self.change and number >= CHANGE:
            category = np.where(category % 2 == 1, 4 - category, category)
        return category // 2 == customer % 2

    def visits(self, number: int) -> None:
        """Two products a day that each customer looks at of their own accord."""
        chance = np.random.default_rng([self.seed, 1, number + 100])
        who = np.repeat(np.arange(CUSTOMERS), 2)
        half = chance.integers(0, 2, len(who))
        second = 3 if self.change and number >= CHANGE else 1
        even = np.where(half == 0, 0, second)
        odd = np.where(half == 0, 2, 4 - second)
        category = np.where(who % 2 == 0, even, odd)
        what = category * PER_CATEGORY + chance.integers(0, PER_CATEGORY, len(who))
        at = self.as_of(number) + dt.timedelta(hours=8)
        shop.add(
            self.con,
            "standardized.web_events",
            pl.DataFrame({"record_id": self.ids[who], "product_id": self.products[what]})
            .with_row_index("n")
            .select(
                "record_id",
                "product_id",
                event_id=pl.format("v{}-{}", pl.lit(number), "n"),
                source=pl.lit("shop"),
                occurred_at=pl.lit(at),
                event_name=pl.lit("view_item"),
            ),
        )
        self._orders(number, self.ids[who[::3]], self.products[what[::3]], at)

    def data(self, number: int) -> None:
        """What the refresh of a day makes before the model."""
        self.con.execute("SET VARIABLE as_of = ?", [self.as_of(number)])
        shop.build(self.con, *shop.ROOM)

    def train(self, number: int, before: training.Records | None = None) -> training.Records:
        """A version, published if the gate says so."""
        if before is None:
            self.data(number)
            before = nothing()
        after = training.train_version(
            self.con,
            STATEMENT,
            self.as_of(number),
            SETTINGS.recommendations,
            self.seed,
            1,
            before,
        )
        for name, frame in (("als_model", after.models), ("als_factors", after.factors)):
            self.con.register("frame", frame.to_arrow())
            self.con.execute(f"CREATE OR REPLACE TABLE recommendations.{name} AS FROM frame")
            self.con.unregister("frame")
        row = after.models.filter("is_current").row(0, named=True)
        self.version = row["model_version"]
        factors = after.factors.filter(pl.col("model_version") == self.version)
        self.model = models.from_rows(row["recipe"], factors)
        return after

    def signals(self) -> list[str]:
        """What the feedback of the mails so far says about the model."""
        shop.build(self.con, "feedback/attribution", "feedback/recommendation_outcomes")
        self.con.register("frame", examine(counts_of(self.con), SETTINGS.feedback).to_arrow())
        self.con.execute("CREATE OR REPLACE TABLE feedback.examination AS FROM frame")
        self.con.unregister("frame")
        shop.build(self.con, "feedback/recommendation_performance", "feedback/retraining_signals")
        rows = self.con.execute(
            "SELECT signal FROM feedback.retraining_signals WHERE is_due ORDER BY 1"
        ).fetchall()
        return [row[0] for row in rows]

    def lists(self, number: int, learn: bool) -> pl.DataFrame:
        """Places of today's mails: products that somebody has not yet clicked or bought."""
        model = self.model
        pairs = self.con.sql(
            "SELECT customer_id, product_id, weight, clicks + purchases AS taken"
            " FROM recommendations.interactions ORDER BY 1, 2"
        ).pl()
        known = to_matrix(pairs, products=model.products)
        taken = to_matrix(pairs.filter(pl.col("taken") > 0), known.customers, model.products)
        found = model.best(known.weights, 2 * PLACES, skip=taken.weights, threads=1)
        both = found.select(
            customer_id=known.customers.gather(found["row"]),
            rank=(pl.int_range(pl.len()).over("row") + 1).cast(pl.Int64),
            product_id=model.products.gather(found["column"]),
            score=pl.col("score").cast(pl.Float64),
            source=pl.lit("als"),
        )
        outcomes = pl.DataFrame(
            schema={"product_id": pl.String, "shown": pl.Float64, "clicked": pl.Float64}
        )
        if learn:
            outcomes = exploring.outcomes_of(self.con)
        return exploring.explore(
            both.filter(pl.col("rank") <= PLACES),
            both.filter(pl.col("rank") > PLACES),
            outcomes,
            SETTINGS.recommendations,
            self.seed,
            self.as_of(number),
        )

    def mails(self, number: int, learn: bool) -> tuple[int, int]:
        """Send today's lists, and let people look, click and buy; places shown and clicked."""
        chance = np.random.default_rng([self.seed, 2, number])
        places = self.lists(number, learn).with_columns(
            send_id=pl.col("customer_id").map_elements(
                lambda c: f"{int(c[3:]) * 1000 + number:032x}", return_dtype=pl.String
            )
        )
        sent = self.as_of(number)
        shop.add(
            self.con,
            "emails.shown_products",
            places.select(
                "send_id",
                "product_id",
                "customer_id",
                "rank",
                "source",
                "propensity",
                "explored",
                position="rank",
                campaign=pl.lit("weekly"),
                variant=pl.lit("a"),
                recommendation_id="send_id",
                model_version=pl.lit(self.version),
                send_at=pl.lit(sent),
                as_of=pl.lit(sent),
            ),
        )
        shop.add(
            self.con,
            "emails.deliveries",
            places.select("send_id", channel=pl.lit("smtp"), status=pl.lit("sent")).unique(),
        )
        who = places["customer_id"].str.slice(3).cast(pl.Int64).to_numpy()
        what = places["product_id"].str.slice(1).cast(pl.Int64).to_numpy()
        wanted = np.where(self.likes(number, who, what), LIKED, OTHER)
        looked = LOOKED_AT[places["rank"].to_numpy() - 1]
        clicked = chance.random(places.height) < wanted * looked
        at = sent + dt.timedelta(hours=5)
        clicks = places.filter(clicked)
        shop.add(
            self.con,
            "standardized.email_events",
            clicks.with_row_index("n").select(
                "send_id",
                "product_id",
                event_id=pl.format("k{}-{}", pl.lit(number), "n"),
                source=pl.lit("shop"),
                record_id=pl.col("customer_id").str.slice(2),
                event_type=pl.lit("click"),
                occurred_at=pl.lit(at),
                is_machine=pl.lit(False),
            ),
        )
        buys = clicks.filter(chance.random(clicks.height) < 0.2)
        self._orders(
            number + 1000,
            buys["customer_id"].str.slice(2).to_numpy(),
            buys["product_id"].to_numpy(),
            at + dt.timedelta(hours=1),
        )
        return places.height, int(clicked.sum())

    def _orders(self, number: int, records: Any, products: Any, at: dt.datetime) -> None:
        orders = pl.DataFrame({"record_id": records, "product_id": products}).with_row_index("n")
        orders = orders.with_columns(
            source=pl.lit("shop"),
            order_id=pl.format("o{}-{}", pl.lit(number), "n"),
            ordered_at=pl.lit(at),
        )
        shop.add(
            self.con,
            "standardized.orders",
            orders.select(
                "source", "order_id", "record_id", "ordered_at", status=pl.lit("completed")
            ),
        )
        shop.add(
            self.con,
            "standardized.order_lines",
            orders.select(
                "source",
                "order_id",
                "product_id",
                "ordered_at",
                order_source="source",
                line_number=pl.lit(1),
                quantity=pl.lit(1),
                line_base=pl.lit(10.0),
            ),
        )


def main() -> None:
    """Print both runs beside each other."""
    loop, without = simulate(loop=True), simulate(loop=False)
    print("day  click rate: with the loop  without   signals that were due (each trains)")
    for one, other in zip(loop, without, strict=True):
        mark = "  <- tastes change" if one.number == CHANGE else ""
        print(
            f"{one.number:>3}  {one.rate:>25.1%}  {other.rate:>7.1%}   {', '.join(one.due)}{mark}"
        )
    before = level(loop, CHANGE - 6, CHANGE)
    for name, days in (("with the loop", loop), ("without", without)):
        after = level(days, DAYS - 6, DAYS)
        print(f"last 6 days {name}: {after:.1%}, {after / before:.0%} of the level before")


if __name__ == "__main__":
    main()
