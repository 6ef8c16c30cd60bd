"""The web log in the shape of GA4's export: one JSON object per event."""

import numpy as np
import polars as pl

from personalization_assets.sample import lists
from personalization_assets.sample.behaviour import WEB, WEB_DAYS, Habit, Visits
from personalization_assets.sample.catalogue import Catalogue
from personalization_assets.sample.draw import Draw
from personalization_assets.sample.people import DAY
from personalization_assets.sample.shop import RATES, Sales

_SOURCES = [
    '"name":"(direct)","medium":"(none)","source":"(direct)"',
    '"name":"(organic)","medium":"organic","source":"google"',
    '"name":"newsletter","medium":"email","source":"newsletter"',
    '"name":"brand","medium":"cpc","source":"google"',
    '"name":"(referral)","medium":"social","source":"instagram.com"',
]


def web_events(
    people: pl.DataFrame,
    habit: Habit,
    visits: Visits,
    sales: Sales,
    catalogue: Catalogue,
    seed: int,
    end: int,
) -> pl.DataFrame:
    """Events of the last year in order of time.

    Columns that stand in the JSON as they are (`at` in microseconds, `event_name`, `user_id`,
    `user_pseudo_id`) and the pieces `json_lines` puts together. `_person`: who did it.
    """
    draw = Draw(seed, "web")
    n = len(visits.person)
    shown = (visits.kind == WEB) & (visits.at >= end - WEB_DAYS * DAY)
    person = visits.person
    device = draw.pick(np.arange(3), n, [56, 40, 4])
    cookie = np.stack([habit.phone, habit.desktop, habit.tablet])[device, person]
    known = (sales.account > 0) & (draw.chance(n, 0.62) | visits.buys)
    late = known & draw.chance(n, 0.25)  # signs in on the way; the others never signed out
    looks = np.flatnonzero(shown[visits.look_visit])
    lv, li, la = visits.look_visit[looks], visits.look_item[looks], visits.look_at[looks]
    carted, removed = visits.carted[looks], visits.removed[looks]
    goods = catalogue.frame
    all_visits = np.flatnonzero(shown)
    searches = all_visits[draw.chance(len(all_visits), 0.16)]
    ends = np.zeros(n, dtype=np.int64)
    np.maximum.at(ends, lv, la + 40)
    buys = all_visits[visits.buys[all_visits]]
    kept = np.zeros(n, dtype=bool)
    kept[lv[carted & ~removed]] = True
    tries = all_visits[
        kept[all_visits] & (visits.buys[all_visits] | draw.chance(len(all_visits), 0.3))
    ]
    signs_in = all_visits[late[all_visits]]
    joined = people["joined"].to_numpy()
    new = all_visits[
        (visits.at[all_visits] - joined[person[all_visits]] < 40 * DAY) & known[all_visits]
    ]
    new = new[np.unique(person[new], return_index=True)[1]]
    none = np.int64(-1)
    parts = [
        ("page_view", all_visits, visits.at[all_visits], none, 0),
        ("search", searches, visits.at[searches] + 9, none, 1),
        ("login", signs_in, visits.at[signs_in] + 20, none, 2),
        ("sign_up", new, visits.at[new] + 21, none, 3),
        ("view_item", lv, la, li, 4),
        ("add_to_cart", lv[carted], la[carted] + 17, li[carted], 5),
        ("remove_from_cart", lv[removed], la[removed] + 38, li[removed], 6),
        ("begin_checkout", tries, ends[tries] + 15, none, 7),
        ("purchase", buys, np.maximum(ends[buys] + 60, visits.at[buys] + 590), none, 8),
    ]
    events = pl.concat(
        pl.DataFrame({"visit": visit, "s": at}).with_columns(
            item=pl.Series(item) if isinstance(item, np.ndarray) else pl.lit(-1, dtype=pl.Int64),
            event_name=pl.lit(name),
            rank=pl.lit(rank),
        )
        for name, visit, at, item, rank in parts
    ).filter(pl.col("s") < end)
    quantity = pl.DataFrame({"visit": lv, "item": li, "s": la + 17, "q": visits.quantity[looks]})
    quantity = quantity.unique(["visit", "item", "s"], keep="first", maintain_order=True)
    events = events.join(quantity, on=["visit", "item", "s"], how="left").with_columns(
        pl.col("q").fill_null(1)
    )
    events = events.sort("s", "visit", "rank", "item")
    visit = events["visit"].to_numpy()
    micro = events["s"].to_numpy() * 1_000_000 + draw.rng.integers(0, 1_000_000, events.height)
    signed = known[visit] & (~late[visit] | (events["s"].to_numpy() >= visits.at[visit] + 20))
    row = person[visit]
    country = people["country"].gather(row)
    currency = country.replace_strict({c: f["currency"] for c, f in lists.countries().items()})
    rate = currency.replace_strict(RATES).to_numpy().astype(float)
    item = events["item"].to_numpy()
    price = np.floor(catalogue.price[item] * rate) + 0.95
    worth = np.where(item >= 0, np.round(price * events["q"].to_numpy(), 2), np.nan)
    basket = _baskets(sales, catalogue)
    numbers = pl.Series(sales.number.tolist(), dtype=pl.String).gather(visit)
    terms = (
        goods["noun"].str.to_lowercase().gather(draw.rng.integers(0, goods.height, events.height))
    )
    favourite = np.full(n, -1)
    favourite[lv[::-1]] = li[::-1]
    wanted = goods["subcategory"].str.to_lowercase().gather(np.maximum(favourite[visit], 0))
    account = pl.Series(sales.account[visit].astype(str))
    frame = pl.DataFrame(
        {
            "at": micro,
            "event_name": events["event_name"],
            "user_id": account.to_frame("a").select(pl.when(pl.Series(signed)).then("a"))["a"],
            "user_pseudo_id": pl.Series(cookie[visit].astype(str)),
            "session": visits.at[visit],
            "country": country,
            "device": device[visit],
            "source": visits.source[visit],
            "sku": goods["sku"].gather(np.maximum(item, 0)),
            "item": item,
            "price": price,
            "quantity": events["q"],
            "value": worth,
            "currency": currency,
            "term": pl.select(
                pl.when(pl.Series(favourite[visit] >= 0)).then(wanted).otherwise(terms)
            ).to_series(),
            "order_id": numbers,
            "_person": row,
        }
    )
    frame = frame.join(basket, on="order_id", how="left", maintain_order="left")
    bought = pl.col("event_name") == "purchase"
    return frame.with_columns(
        value=pl.when(bought).then("total").when(pl.col("item") >= 0).then("value"),
        basket=pl.when(bought).then("basket"),
    ).with_columns(
        at=pl.col("at").cast(pl.String),
        value=pl.col("value").cast(pl.String),
        month=pl.from_epoch(pl.Series(micro), time_unit="us").dt.strftime("%Y%m"),
        day=pl.from_epoch(pl.Series(micro), time_unit="us").dt.strftime("%Y%m%d"),
    )


def json_lines(events: pl.DataFrame, catalogue: Catalogue) -> pl.Series:
    """One line of JSON per event."""
    goods = catalogue.frame.select(
        "sku",
        thing=pl.concat_str(
            pl.lit('{"item_id":"'),
            "sku",
            pl.lit('","item_name":"'),
            "name",
            pl.lit('","item_brand":"'),
            "brand",
            pl.lit('","item_category":"'),
            "category",
            pl.lit('"'),
        ),
        page="url",
    )
    frame = events.join(goods, on="sku", how="left", maintain_order="left")
    has = pl.col("item") >= 0
    name = pl.col("event_name")
    page = (
        pl.when(has)
        .then("page")
        .when(name == "search")
        .then(pl.lit("https://shop.example.com/search"))
        .when(name == "purchase")
        .then(pl.lit("https://shop.example.com/thank-you"))
        .when(name == "begin_checkout")
        .then(pl.lit("https://shop.example.com/checkout"))
        .otherwise(pl.lit("https://shop.example.com/"))
    )
    key = '{"key":"'
    params = [
        pl.lit(key + 'ga_session_id","value":{"int_value":"'),
        pl.col("session").cast(pl.String),
        pl.lit('"}},'),
        pl.lit(key + 'page_location","value":{"string_value":"'),
        page,
        pl.lit('"}}'),
        _maybe(name == "search", key + 'search_term","value":{"string_value":"', "term", '"}}'),
        _maybe(
            pl.col("value").is_not_null(), key + 'value","value":{"double_value":', "value", "}}"
        ),
        _maybe(
            pl.col("value").is_not_null(),
            key + 'currency","value":{"string_value":"',
            "currency",
            '"}}',
        ),
        _maybe(
            name == "purchase", key + 'transaction_id","value":{"string_value":"', "order_id", '"}}'
        ),
    ]
    kinds = pl.col("device").replace_strict(
        {0: "mobile", 1: "desktop", 2: "tablet"}, return_dtype=pl.String
    )
    system = pl.col("device").replace_strict(
        {0: "iOS", 1: "Windows", 2: "Android"}, return_dtype=pl.String
    )
    sources = pl.col("source").replace_strict(dict(enumerate(_SOURCES)), return_dtype=pl.String)
    one = pl.concat_str(
        "thing",
        pl.lit(',"price":'),
        pl.col("price").cast(pl.String),
        pl.lit(',"quantity":"'),
        pl.col("quantity").cast(pl.String),
        pl.lit('"}'),
    )
    user = (
        pl.when(pl.col("user_id").is_not_null())
        .then('"' + pl.col("user_id") + '"')
        .otherwise(pl.lit("null"))
    )
    cookie = (
        pl.when(pl.col("user_pseudo_id").is_not_null())
        .then('"' + pl.col("user_pseudo_id") + '"')
        .otherwise(pl.lit("null"))
    )
    return frame.select(
        line=pl.concat_str(
            pl.lit('{"event_date":"'),
            "day",
            pl.lit('","event_timestamp":"'),
            "at",
            pl.lit('","event_name":"'),
            name,
            pl.lit('","event_params":['),
            *params,
            pl.lit('],"user_id":'),
            user,
            pl.lit(',"user_pseudo_id":'),
            cookie,
            pl.lit(',"device":{"category":"'),
            kinds,
            pl.lit('","operating_system":"'),
            system,
            pl.lit('"},"geo":{"country":"'),
            "country",
            pl.lit('"},"traffic_source":{'),
            sources,
            pl.lit('},"platform":"WEB","items":['),
            pl.when(has).then(one).otherwise(pl.col("basket").fill_null("")),
            pl.lit("]}"),
        )
    )["line"]


def _maybe(where: pl.Expr, head: str, column: str, tail: str) -> pl.Expr:
    text = pl.concat_str(pl.lit("," + head), pl.col(column), pl.lit(tail))
    return pl.when(where).then(text).otherwise(pl.lit(""))


def _baskets(sales: Sales, catalogue: Catalogue) -> pl.DataFrame:
    text = pl.concat_str(
        pl.lit('{"item_id":"'),
        "sku",
        pl.lit('","item_name":"'),
        "title",
        pl.lit('","price":'),
        pl.col("unit_price").cast(pl.String),
        pl.lit(',"quantity":"'),
        pl.col("quantity").cast(pl.String),
        pl.lit('"}'),
    )
    return (
        sales.lines.filter(pl.col("quantity") > 0)
        .with_columns(text=text)
        .group_by("order_id", maintain_order=True)
        .agg(
            basket=pl.col("text").str.join(","),
            total=(pl.col("unit_price") * pl.col("quantity")).sum().round(2),
        )
    )
