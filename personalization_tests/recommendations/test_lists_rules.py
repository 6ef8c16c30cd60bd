"""What a shop's rules make of the model's scores: settings that are data, one at a time."""

import datetime as dt
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from personalization_assets.recommendations import lists, models, past
from personalization_assets.recommendations.lists import building
from personalization_assets.recommendations.matrix import to_matrix
from personalization_assets.recommendations.settings import RecommendationsSettings
from personalization_tests.recommendations import shop

STATEMENT = (shop.SQL_MODELS / "recommendations/interactions.sql").read_text()
PLAIN = {
    "list_length": 8, "max_per_category": 0, "max_per_brand": 0, "diversity": 0, "stated_boost": 0,
    "new_places": 0, "explore_share": 0,
}  # fmt: skip
DAY = dt.timedelta(days=1)


def settings(**values: Any) -> RecommendationsSettings:
    return RecommendationsSettings.model_validate({**PLAIN, **values})


def fitted(con: Any, algorithm: str = "als") -> models.Model:
    values = {**models.ALGORITHMS[algorithm].defaults}
    if algorithm == "als":
        values["factors"] = 16
    recipe = models.Recipe.of(algorithm, 60.0, 0.3, values)
    return models.fit(to_matrix(past.interactions(con, STATEMENT, 60.0)), recipe, 7, 2)


def listed(
    con: Any, algorithm: str | None = None, model: models.Model | None = None, **values: Any
) -> pl.DataFrame:
    """top_products of the shop, with category, brand and price of what is listed."""
    chosen = settings(**values)
    for name, value in chosen:
        if isinstance(value, bool | int | float | str):
            con.execute(f"SET VARIABLE recommendations__{name} = ?", [value])
    con.execute("DELETE FROM recommendations.exclusions")
    rules = [{"rule": i, **rule.model_dump()} for i, rule in enumerate(chosen.exclude)]
    if rules:
        shop.add(con, "recommendations.exclusions", rules)
    shop.build(con, *shop.ROOM)
    if algorithm:
        model = fitted(con, algorithm)
    outcomes = pl.DataFrame(
        schema={"product_id": pl.String, "shown": pl.Float64, "clicked": pl.Float64}
    )
    query = lists.build(
        con, STATEMENT, shop.AS_OF, chosen, model, "0123456789ab" if model else lists.NO_MODEL,
        True, outcomes, 7, 2,
    )  # fmt: skip
    catalogue = con.sql(
        "SELECT product_id, category, brand, price_base FROM recommendations.catalogue"
    ).pl()
    rows: pl.DataFrame = con.sql(query).pl()
    return rows.join(catalogue, on="product_id", how="left", maintain_order="left")


@pytest.fixture(scope="module")
def tastes() -> Any:
    """150 customers with tastes; a product's brand is b0 to b5, its price its number."""
    con = shop.connect()
    shop.with_tastes(con, people=150)
    con.execute("""
        UPDATE standardized.products SET price_base = CAST(substr(product_id, 2) AS INT) + 1,
            brand = 'b' || CAST(substr(product_id, 2) AS INT) % 6
    """)
    return con


def most_of(rows: pl.DataFrame, column: str) -> int:
    """The most places that one value of a column has in any list."""
    return int(rows.group_by("customer_id", column).len()["len"].max())  # type: ignore[arg-type]


@pytest.mark.parametrize(("setting", "column"), [("max_per_category", "category"),
                                                 ("max_per_brand", "brand")])  # fmt: skip
def test_no_category_or_brand_has_more_places_than_its_cap(
    tastes: Any, setting: str, column: str
) -> None:
    free = listed(tastes, "als")
    assert most_of(free, column) > 3
    capped = listed(tastes, "als", **{setting: 3})
    assert most_of(capped, column) == 3
    assert not capped["relaxed"].any()
    assert capped.height == free.height


def test_caps_fall_last_so_that_lists_are_full_and_say_so(tastes: Any) -> None:
    rows = listed(tastes, "als", max_per_category=1)
    assert rows.group_by("customer_id").len()["len"].unique().to_list() == [8]
    assert rows.filter(pl.col("rank") <= 4)["relaxed"].any() is False
    assert rows.filter(pl.col("rank") > 4)["relaxed"].all()


def test_diversity_trades_score_for_difference_and_keeps_the_first_place(tastes: Any) -> None:
    def measured(rows: pl.DataFrame) -> tuple[float, float]:
        mine = rows.group_by("customer_id")
        return (
            float(mine.agg(pl.struct("category", "brand").n_unique())["category"].mean()),
            float(mine.agg(pl.col("score").mean())["score"].mean()),
        )

    alike = listed(tastes, "als", repeat_places=0)
    varied = listed(tastes, "als", repeat_places=0, diversity=0.5)
    assert measured(varied)[0] > measured(alike)[0]
    assert measured(varied)[1] < measured(alike)[1]
    first = pl.col("rank") == 1
    assert varied.filter(first)["product_id"].equals(alike.filter(first)["product_id"])


@pytest.mark.parametrize("algorithm", ["ease", "knn"])
def test_models_of_products_make_lists_with_reasons_too(tastes: Any, algorithm: str) -> None:
    rows = listed(tastes, algorithm)
    assert rows.group_by("customer_id").len()["len"].unique().to_list() == [8]
    assert set(rows["source"]) <= {"similar", "popular"}
    named = rows.filter(pl.col("reason_code").is_in(["bought", "viewed"]))
    taste = [pl.col(c).str.slice(1).cast(pl.Int32) // 20
             for c in ("product_id", "because_product_id")]  # fmt: skip
    assert named.height > 200
    assert named.select((taste[0] == taste[1]).mean()).item() > 0.6


def test_excluded_products_are_shown_to_nobody_whatever_names_them(tastes: Any) -> None:
    rules = [{"product": "^p00"}, {"category": "c1", "brand": "b1"}]
    rows = listed(tastes, "als", exclude=rules)
    assert not rows["product_id"].str.contains("^p00").any()
    both = (pl.col("category") == "c1") & (pl.col("brand") == "b1")
    assert rows.filter(both).is_empty()
    assert not rows.filter((pl.col("category") == "c1") & (pl.col("brand") == "b5")).is_empty()


@pytest.mark.parametrize(("rule", "words"), [
    ({"product": "("}, "is not a regular expression"),
    ({}, "must name a product, a category or a brand"),
])  # fmt: skip
def test_a_mistake_in_a_rule_is_named(rule: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(exclude=[rule])


def test_nothing_costs_much_more_than_what_the_customer_buys(tastes: Any) -> None:
    rows = listed(tastes, "als", max_price_ratio=1.2)
    usual = tastes.sql("""
        SELECT customer_id, 1.2 * median(price_base) AS most
        FROM recommendations.interactions JOIN recommendations.catalogue USING (product_id)
        WHERE purchases > 0 GROUP BY customer_id
    """).pl()  # fmt: skip
    kept = rows.filter(~pl.col("relaxed")).join(usual, on="customer_id")
    assert (kept["price_base"] <= kept["most"] + 1e-3).all()
    assert kept.height > 0.9 * rows.height
    dear = listed(tastes, "als").join(usual, on="customer_id")
    assert (dear["price_base"] > dear["most"]).mean() > 0.1


def test_too_few_in_stock_is_out_of_stock(tastes: Any) -> None:
    tastes.execute("UPDATE standardized.products SET stock = 2 WHERE product_id LIKE 'p_1_'")
    rows = listed(tastes, "als", min_stock=3)
    assert not rows["product_id"].str.contains("^p.1").any()
    tastes.execute("UPDATE standardized.products SET stock = 5")


def test_what_people_say_they_like_moves_up(tastes: Any) -> None:
    tastes.execute("""
        INSERT INTO profiles.preferences BY NAME
        SELECT customer_id, ['c2'] AS stated_categories FROM identity.links
    """)
    said, unsaid = listed(tastes, "als", stated_boost=0.3), listed(tastes, "als")
    tastes.execute("DELETE FROM profiles.preferences")
    liked = pl.col("category") == "c2"
    assert said.filter(liked).height > 1.3 * unsaid.filter(liked).height


def test_what_mails_showed_often_and_nobody_clicked_gives_way(tastes: Any) -> None:
    first = listed(tastes, "als", max_shown=2).filter(pl.col("rank") == 1)
    tastes.execute("CREATE SCHEMA IF NOT EXISTS emails")
    shown = pl.concat(
        first.select("customer_id", "product_id", send_id=pl.format("s{}", pl.lit(days)),
                     as_of=pl.lit(shop.AS_OF - days * DAY))
        for days in (7, 14)
    )  # fmt: skip
    tastes.register("shown", shown.to_arrow())
    tastes.execute("CREATE TABLE emails.shown_products AS SELECT * FROM shown")
    clicker, product = first.row(0, named=True)["customer_id"], first["product_id"][0]
    tastes.execute("INSERT INTO identity.links VALUES ('esp', 'x@example.com', ?)", [clicker])
    shop.add(tastes, "standardized.email_events", [
        {"source": "esp", "event_id": "1", "event_type": "click", "product_id": product,
         "record_id": "x@example.com", "occurred_at": shop.AS_OF - 6 * DAY, "is_machine": False}
    ])  # fmt: skip
    model = fitted(tastes)
    again = listed(tastes, model=model, max_shown=2)
    seen = again.join(first, on=["customer_id", "product_id"], how="semi")
    assert seen["customer_id"].to_list() == [clicker]
    fewer = listed(tastes, model=model, max_shown=3)
    assert fewer.join(first, on=["customer_id", "product_id"], how="semi").height == first.height
    tastes.execute("DROP TABLE emails.shown_products; DELETE FROM standardized.email_events")
    tastes.execute("DELETE FROM identity.links WHERE source = 'esp'")


def test_new_products_get_a_place_with_those_who_like_their_kind() -> None:
    con = shop.connect()
    shop.add(con, "standardized.products", shop.products(40, 4, brand="plain"))
    con.execute("""
        UPDATE standardized.products SET launched_at = TIMESTAMP '2026-05-20'
        WHERE product_id IN ('p037', 'p033', 'p038');
        UPDATE standardized.products SET brand = 'fine' WHERE product_id = 'p038';
        INSERT INTO identity.links SELECT 'crm', 'r' || i, 'c_' || i FROM range(40) AS r (i);
        INSERT INTO profiles.preferences BY NAME
        SELECT 'c_' || i AS customer_id, 'c1' AS favourite_category FROM range(30) AS r (i);
        INSERT INTO profiles.preferences BY NAME SELECT 'c_30' AS customer_id;
        INSERT INTO profiles.transactions BY NAME SELECT 'c_30' AS customer_id, 'fine' AS top_brand
    """)
    # Somebody looked at everything that is not new.
    con.execute("""
        INSERT INTO standardized.web_events BY NAME
        SELECT 'crm' AS source, 'e' || p.product_id AS event_id, TIMESTAMP '2026-05-01'
            AS occurred_at, 'view_item' AS event_name, 'r39' AS record_id, p.product_id
        FROM standardized.products AS p WHERE launched_at IS NULL
    """)
    rows = listed(con, new_places=1).filter(pl.col("source") == "new")
    assert rows["rank"].unique().to_list() == [6]
    shown = dict(rows.filter(pl.col("category") == "c1")["product_id"].value_counts().rows())
    assert set(shown) == {"p037", "p033"}
    assert min(shown.values()) >= 8
    assert rows.height == 31
    assert rows.filter(customer_id="c_30").select("product_id", "reason").rows() == [
        ("p038", "New from fine")
    ]
    assert rows.filter(customer_id="c_0")["reason"].to_list() == ["New in c1"]


def test_without_history_best_sellers_of_the_region_come_before_the_shops() -> None:
    con = shop.connect()
    shop.with_tastes(con, people=200)
    # Those of the first taste live in Bayern, the others somewhere in France.
    con.execute("""
        INSERT INTO profiles.attributes
        SELECT customer_id, CASE WHEN n % 2 = 0 THEN 'DE' ELSE 'FR' END
        FROM (
            SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS n FROM identity.links
        );
        INSERT INTO profiles.places
        SELECT customer_id, 'Bayern' FROM profiles.attributes WHERE country = 'DE';
        INSERT INTO identity.links SELECT 'crm', 'n' || i, 'c_n' || i FROM range(4) AS r (i);
        INSERT INTO profiles.attributes VALUES ('c_n0', 'DE'), ('c_n1', 'FR'), ('c_n2', 'PL');
        INSERT INTO profiles.places VALUES ('c_n0', 'Bayern'), ('c_n1', 'Elsass')
    """)
    rows = listed(con, region_min_buyers=10)

    def of(customer: str) -> tuple[list[str], str]:
        mine = rows.filter(customer_id=customer)
        return mine["product_id"].to_list(), mine["reason"][0]

    def best(place: str) -> list[str]:
        return [p for (p,) in con.execute(
            "SELECT product_id FROM recommendations.regional_popularity WHERE place = ?"
            " ORDER BY popularity_rank LIMIT 8", [place]).fetchall()]  # fmt: skip

    assert of("c_n0") == (best("DE/Bayern"), "Popular in your region")
    assert of("c_n1") == (best("FR"), "Popular in your country")
    assert of("c_n2")[1] == of("c_n3")[1] == "Popular right now"
    assert best("DE") != best("FR")
    # Where too few buy, a region has no best sellers of its own.
    assert listed(con, region_min_buyers=1000)["source"].unique().to_list() == ["popular"]


def test_people_without_products_and_products_without_people() -> None:
    con = shop.connect()
    con.execute("INSERT INTO identity.links VALUES ('crm', 'a', 'c_a')")
    assert listed(con).is_empty()
    shop.add(con, "standardized.products", shop.products(4, 2))
    assert listed(con).select("product_id", "source", "model_version").rows() == [
        (f"p{i:03d}", "popular", "none") for i in range(4)
    ]
    con.execute("DELETE FROM identity.links")
    assert listed(con).is_empty()


def test_a_shop_without_a_product_table_recommends_what_it_sold() -> None:
    con = shop.connect()
    shop.with_tastes(con, people=150)
    con.execute("DELETE FROM standardized.products")
    con.execute("UPDATE standardized.order_lines SET description = 'Thing ' || product_id")
    rows = listed(con, "als", exclude=[{"product": "^p00"}])
    assert rows.height == 150 * 8
    assert not rows["product_id"].str.starts_with("p00").any()
    assert rows["reason"].str.starts_with("Because you bought Thing p").any()


def test_lists_do_not_depend_on_threads_or_the_order_of_rows() -> None:
    def rows(threads: int, order: str) -> pl.DataFrame:
        con = shop.connect(threads=threads)
        shop.with_tastes(con, people=150)
        for table in ("standardized.orders", "standardized.web_events", "identity.links"):
            con.execute(f"CREATE OR REPLACE TABLE {table} AS FROM {table} ORDER BY ALL {order}")
        return listed(con, "als", diversity=0.2, explore_share=0.05)

    assert rows(1, "ASC").equals(rows(2, "DESC"))


@pytest.mark.parametrize("algorithm", [None, "als", "knn"])
def test_lists_do_not_depend_on_the_batch_they_are_made_in(
    tastes: Any, algorithm: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted(tastes, algorithm) if algorithm else None
    values = {"diversity": 0.2, "explore_share": 0.05, "max_per_category": 2}
    whole = listed(tastes, model=model, **values)
    monkeypatch.setattr(building, "BATCH", 37)
    assert listed(tastes, model=model, **values).equals(whole)


def test_products_to_buy_again_have_their_share_of_places_and_are_scored_alike() -> None:
    con = shop.connect()
    shop.with_tastes(con, people=150)
    con.execute("UPDATE standardized.products SET is_consumable = TRUE")
    values = {"repeat_after_days": 0, "list_length": 8}
    rows = listed(con, "als", **values)
    repeats = rows.filter(source="repeat").group_by("customer_id").len()["len"]
    assert repeats.max() == 3
    none = listed(con, "als", repeat_places=0, **values)
    assert none.filter(source="repeat").is_empty()
    weights = con.sql("SELECT customer_id, product_id, weight FROM recommendations.interactions")
    scored = rows.filter(source="repeat").join(weights.pl(), on=["customer_id", "product_id"])
    assert (scored["score"] == scored["weight"]).all()


@pytest.mark.parametrize("algorithm", ["als", "ease"])
def test_ten_customers_more_change_at_most_one_entry_in_a_hundred(algorithm: str) -> None:
    con = shop.connect()
    shop.with_tastes(con, people=2010)
    more = "SELECT record_id FROM identity.links ORDER BY record_id DESC LIMIT 10"
    everybody = listed(con, algorithm, list_length=10)
    con.execute(f"CREATE TEMP TABLE late AS {more}")
    con.execute("DELETE FROM identity.links WHERE record_id IN (FROM late)")
    before = listed(con, algorithm, list_length=10)
    assert before["customer_id"].n_unique() == 2000
    same = before.join(everybody, on=["customer_id", "product_id"], how="semi").height
    assert same / before.height >= 0.99
