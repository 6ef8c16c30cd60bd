"""Reading orders, their lines and products."""

import polars as pl

from personalization_assets.standardized.entities.people import person
from personalization_assets.standardized.entities.reading import Reading
from personalization_assets.standardized.normalise import labels, money, text

ROUNDING = 0.005
"""Half a cent: what rounding a price takes or adds."""


def read_orders(reading: Reading) -> None:
    """Orders, with whoever gave a name at check-out."""
    reading.identifier("order_id")
    account = reading.account()
    person(reading)
    named = pl.DataFrame(
        [reading[c] for c in ("given_name", "family_name", "full_name", "email", "phone")]
    ).select(pl.any_horizontal(pl.all().is_not_null()).alias("named"))["named"]
    guest = ("order:" + reading["order_id"]).set(~named, None)
    reading.put("record_id", account.zip_with(account.is_not_null(), guest))
    at = reading.moment("ordered_at", fatal=True)
    status = reading.label("status", labels.ORDER_STATUS)
    reading.put("status", status.fill_null("completed"))
    reading.number("total_amount")
    # Some systems write a discount as a negative amount. It is read under its final name, so that
    # an unreadable one is reported as such.
    discount = reading.number("discount_base", received="discount_amount")
    reading.put("_discount", discount.abs())
    reading.currency("total_amount")
    reading.into_base({"total_base": "total_amount", "discount_base": "_discount"}, at)
    reading.drop("_discount")
    reading.put("channel", labels.label(text.clean(reading.received("channel")), {}))


def read_order_lines(reading: Reading) -> None:
    """Lines of orders; numbered in file order where the source does not number them."""
    reading.put("order_source", reading.constant(_order_source(reading)))
    reading.identifier("order_id", "product_id")
    reading.text("description")
    given = reading.whole_number("line_number")
    in_file_order = pl.DataFrame({"id": reading["order_id"]}).select(
        n=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("id")
    )["n"]
    reading.put("line_number", given.zip_with(given.is_not_null(), in_file_order))
    quantity = reading.whole_number("quantity")
    price = reading.number("unit_price")
    reading.flag("line_amount.mismatch", _other_amount(reading, quantity, price))
    reading.currency("unit_price")
    at = reading.moment("ordered_at", fatal=True)
    at = reading.put("ordered_at", at.zip_with(at.is_not_null(), _time_of_order(reading)))
    reading.into_base({"unit_price_base": "unit_price"}, at)
    reading.put("line_base", (reading["unit_price_base"] * quantity).round(6))


def _other_amount(reading: Reading, quantity: pl.Series, price: pl.Series) -> pl.Series:
    """Where a stated amount of the line is not quantity x price, give or take what rounding does.

    A price is rounded to the cent, so each piece may be off by half of one, and the amount too.
    """
    asked = text.clean(reading.received("line_amount"))
    stated = money.number(asked, decimal=reading.source.decimal)
    # A return may be written with or without its sign.
    off = (stated.abs() - (quantity * price).abs()).abs()
    return off > (quantity.abs() + 1) * ROUNDING + 1e-9


def _order_source(reading: Reading) -> str:
    return reading.source.orders_of or reading.source.name


def _time_of_order(reading: Reading) -> pl.Series:
    """When the line's order was made: of its source, else of whoever knows the order."""
    times = reading.lookups.order_times
    if times is None or times.height == 0:
        return reading.constant(None, pl.Datetime("us"))
    own = times.filter(pl.col("source") == _order_source(reading))
    first = pl.concat([own, times]).unique("order_id", keep="first", maintain_order=True)
    return pl.DataFrame({"order_id": reading["order_id"]}).join(
        first, on="order_id", how="left", maintain_order="left"
    )["ordered_at"]


def read_products(reading: Reading) -> None:
    """The catalogue."""
    reading.identifier("product_id")
    reading.text("name", "category", "subcategory", "brand", "image_url", "url", "description")
    for column in ("category", "subcategory", "brand"):
        spellings = reading.lookups.spellings if column != "brand" else {}
        reading.put(column, labels.one_spelling(reading[column], spellings))
    reading.number("price")
    reading.currency("price", only_with_amount=True)
    # The price that counts is today's, so the rate is too.
    reading.into_base({"price_base": "price"}, reading.constant(None, pl.Date()))
    reading.whole_number("stock")
    reading.boolean("is_consumable")
    reading.moment("launched_at", future=True)
    reading.boolean("is_active", default=True)
