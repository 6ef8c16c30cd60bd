"""What goes with a product: by model, by basket, by category, and full whatever is known."""

from typing import Any

import polars as pl
import pytest

from personalization_assets.recommendations import similar
from personalization_tests.recommendations import shop
from personalization_tests.recommendations.test_lists_rules import fitted


def of(con: Any, algorithm: str | None = None, length: int = 6) -> pl.DataFrame:
    shop.build(con, *shop.ROOM)
    model = fitted(con, algorithm) if algorithm else None
    rows: pl.DataFrame = con.sql(similar.build(con, model, length)).pl()
    return rows


@pytest.fixture(scope="module")
def tastes() -> Any:
    """Tastes are blocks of twenty neighbours. p005 is sold out, and nobody ever saw p120."""
    con = shop.connect()
    shop.with_tastes(con, people=300)
    con.execute("UPDATE standardized.products SET stock = 0 WHERE product_id = 'p005'")
    shop.add(con, "standardized.products", shop.products(121, 4).tail(1))
    return con


@pytest.mark.parametrize("algorithm", ["als", "ease", "knn", None])
def test_every_product_has_a_full_list_of_others_that_are_on_sale(
    tastes: Any, algorithm: str | None
) -> None:
    rows = of(tastes, algorithm)
    assert rows.height == 121 * 6
    assert rows.select("product_id", "similar_product_id").is_unique().all()
    assert not (rows["product_id"] == rows["similar_product_id"]).any()
    assert "p005" not in set(rows["similar_product_id"])
    assert rows.filter(product_id="p005").height == 6
    assert rows.filter(product_id="p120")["source"].unique().to_list() == ["category"]


@pytest.mark.parametrize("algorithm", ["als", "ease", "knn"])
def test_what_the_model_finds_alike_is_of_one_taste(tastes: Any, algorithm: str) -> None:
    taste = [pl.col(c).str.slice(1).cast(pl.Int32) // 20
             for c in ("product_id", "similar_product_id")]  # fmt: skip
    found = of(tastes, algorithm).filter(source="model")
    assert found.height > 500
    assert found.select((taste[0] == taste[1]).mean()).item() > 0.5


def basket(con: Any, number: int, products: list[str]) -> None:
    """An order of one customer on a day of its own."""
    head = {"source": "shop", "order_id": f"o{number}"}
    at = shop.AS_OF - shop.dt.timedelta(days=number + 1)
    shop.add(con, "standardized.orders",
             [{**head, "record_id": "a", "ordered_at": at, "status": "completed"}])  # fmt: skip
    shop.add(con, "standardized.order_lines", [
        {**head, "order_source": "shop", "line_number": i, "product_id": p, "quantity": 1}
        for i, p in enumerate(products)
    ])  # fmt: skip


def test_without_a_model_baskets_say_what_goes_together() -> None:
    con = shop.connect()
    con.execute("INSERT INTO identity.links VALUES ('shop', 'a', 'c_a')")
    shop.add(con, "standardized.products", shop.products(70, 7))
    for number in range(4):
        basket(con, number, ["p000", "p001"])
    basket(con, 10, ["p000", "p002"])  # once is chance
    for number in range(20, 23):
        basket(con, number, [f"p{i:03d}" for i in range(60)])  # a wholesaler
    rows = of(con, length=3).filter(product_id="p000").select("similar_product_id", "source")
    assert rows["source"].to_list() == ["bought_together", "category", "category"]
    assert rows["similar_product_id"][0] == "p001"
    together = con.sql(
        "SELECT product_id, baskets, score FROM recommendations.bought_together ORDER BY 1"
    ).fetchall()
    # p000 is in five small baskets, p001 in four; four hold both
    score = pytest.approx(4 / 20**0.5 * 4 / 9)
    assert together == [("p000", 4, score), ("p001", 4, score)]


def test_a_small_catalogue_gives_what_it_has() -> None:
    con = shop.connect()
    shop.add(con, "standardized.products", shop.products(3, 3))
    rows = of(con).select("product_id", "similar_product_id", "source").rows()
    assert rows == [
        (one, other, "popular")
        for one in ("p000", "p001", "p002") for other in ("p000", "p001", "p002") if one != other
    ]  # fmt: skip
