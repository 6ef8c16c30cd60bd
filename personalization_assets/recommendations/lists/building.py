"""The steps of a list put together, in batches of customers so that memory stays where it is."""

import datetime as dt
from typing import Any

import duckdb
import numpy as np
import polars as pl

from personalization_assets.recommendations import models, past
from personalization_assets.recommendations.exploring import explore
from personalization_assets.recommendations.lists import candidates, words
from personalization_assets.recommendations.lists.arrays import Lists, People, Rules, Shop
from personalization_assets.recommendations.lists.choosing import MODEL, STEPS, choose
from personalization_assets.recommendations.matrix import csr
from personalization_assets.recommendations.models import Model
from personalization_assets.recommendations.settings import RecommendationsSettings
from personalization_assets.warehouse import Query

NO_MODEL = "none"

POOL = 4
"""The model proposes so many times the length of a list: rules need something to choose from."""

NEIGHBOURS = 100
"""So many of a product's nearest count as like it."""

BATCH = 50_000
"""Customers at a time."""


def build(
    con: duckdb.DuckDBPyConnection,
    statement: str,
    as_of: dt.datetime,
    settings: RecommendationsSettings,
    model: Model | None,
    version: str,
    fresh: bool,
    outcomes: pl.DataFrame,
    seed: int,
    threads: int,
) -> Query:
    """The rows of top_products, as a query over temporary tables of the connection.

    Args:
        con: connection with the tables of this room, identity.links and profiles
        statement: the SELECT of interactions.sql
        as_of: purchases are recent or not at this time
        settings: of this room
        model: the current model; None lists best sellers only
        version: its name, or `NO_MODEL`
        fresh: whether the model was trained on these very interactions; else customers are folded
            in from those of today
        outcomes: what earlier lists came to, for `exploring.explore`; may be empty
        seed: of exploring
        threads: of scoring; results do not depend on it
    """
    products = None if model is None else model.products
    half_life = (
        {} if model is None else {"recommendations__half_life_days": model.recipe.half_life_days}
    )
    with past.variables(con, half_life):
        candidates.prepare(con, statement, as_of, settings, products)
    columns = con.sql("SELECT * FROM list_products ORDER BY code").pl()
    shop = _shop(con, columns, model)
    rules = _rules(settings)
    people = con.sql("SELECT max(person) FROM list_people").fetchall()[0][0]
    con.execute("CREATE OR REPLACE TEMP TABLE list_rows " + _ROWS)
    for first in range(0, -1 if people is None else people + 1, BATCH):
        persons = (first, first + BATCH)
        customers, batch = _batch(con, columns, settings, model, fresh, threads, persons)
        places, reserve = _frames(choose(shop, batch, rules), first, customers, columns)
        tried = explore(places, reserve, outcomes, settings, seed, as_of)
        con.register("rows_to_add", tried.select(ROW).to_arrow())
        con.execute("INSERT INTO list_rows BY NAME SELECT * FROM rows_to_add")
        con.unregister("rows_to_add")
    source = "als" if model is None else models.ALGORITHMS[model.recipe.algorithm].source
    return Query(words.in_words(version, source))


def _rules(settings: RecommendationsSettings) -> Rules:
    return Rules(
        settings.list_length,
        settings.max_per_category or settings.list_length,
        settings.max_per_brand or settings.list_length,
        settings.repeat_places,
        settings.diversity,
        settings.stated_boost,
        settings.new_places,
        settings.explore_among - 1 if settings.explore_share else 0,
    )


def _shop(con: duckdb.DuckDBPyConnection, columns: pl.DataFrame, model: Model | None) -> Any:
    ladders = con.sql("SELECT ladder, code, score FROM list_ladders").pl()
    size = int(ladders["ladder"].max() or 0) + 1 if ladders.height else 0
    alike_start, alike_other, alike_score = _alike(columns, model)
    return _owned(
        Shop,
        columns["category_code"].to_numpy(),
        columns["brand_code"].to_numpy(),
        columns["price"].to_numpy(),
        _starts(ladders["ladder"].to_numpy(), size),
        ladders["code"].to_numpy(),
        ladders["score"].to_numpy(),
        alike_start,
        alike_other,
        alike_score,
    )


def _alike(columns: pl.DataFrame, model: Model | None) -> tuple[Any, Any, Any]:
    """The model's nearest products of each: row starts, codes, likeness.

    The nearest counts 1: models differ in the size of what they call similarity.
    """
    if model is None:
        nothing = np.zeros(0, dtype=np.int32)
        return np.zeros(columns.height + 1, np.int64), nothing, nothing.astype(np.float32)
    codes = columns.filter("is_modelled")["code"].to_numpy()
    found = model.similar(NEIGHBOURS)
    nearest = pl.DataFrame(
        {
            "code": codes[found["column"].to_numpy()],
            "other": codes[found["other"].to_numpy()],
            "score": found["score"],
        }
    )
    alike = nearest.select((pl.col("score") / pl.col("score").max().over("code")).cast(pl.Float32))
    return (
        _starts(nearest["code"].to_numpy(), columns.height),
        nearest["other"].to_numpy(),
        alike["score"].to_numpy(),
    )


def _batch(
    con: duckdb.DuckDBPyConnection,
    columns: pl.DataFrame,
    settings: RecommendationsSettings,
    model: Model | None,
    fresh: bool,
    threads: int,
    persons: tuple[int, int],
) -> tuple[pl.Series, Any]:
    """Ids of the customers, and everything that `choose` wants to know of them."""

    def rows_of(table: str, names: str) -> pl.DataFrame:
        where = f"person >= {persons[0]} AND person < {persons[1]}"
        rows: pl.DataFrame = con.sql(f"SELECT {names} FROM {table} WHERE {where}").pl()
        return rows.with_columns(person=pl.col("person") - persons[0])

    people = rows_of("list_people", "person, customer_id, spread, stated")
    size = people.height
    pairs = rows_of("list_pairs", "person, code, weight")
    again = rows_of("list_again", "person, code, score")
    barred = rows_of("list_barred", "person, code")
    tired = rows_of("list_tired", "person, code")
    ids = people["customer_id"]
    trained = ids if fresh else None
    found = _proposed(model, columns, pairs, barred, trained, size, settings, threads)
    steps = np.full((size, len(STEPS)), -1, dtype=np.int32)
    named = rows_of("list_steps", "person, step, ladder")
    steps[named["person"].to_numpy(), named["step"].to_numpy()] = named["ladder"].to_numpy()
    limits = np.full(size, np.inf, dtype=np.float32)
    limited = rows_of("list_limits", "person, price")
    limits[limited["person"].to_numpy()] = limited["price"].to_numpy()
    return ids, _owned(
        People,
        _starts(found["row"].to_numpy(), size),
        found["code"].to_numpy(),
        found["score"].to_numpy(),
        _starts(again["person"].to_numpy(), size),
        again["code"].to_numpy(),
        again["score"].to_numpy(),
        _starts(barred["person"].to_numpy(), size),
        barred["code"].to_numpy(),
        _starts(tired["person"].to_numpy(), size),
        tired["code"].to_numpy(),
        _starts(pairs["person"].to_numpy(), size),
        pairs["code"].to_numpy(),
        pairs["weight"].to_numpy(),
        steps,
        people["spread"].to_numpy(),
        limits,
        _stated(people, columns),
    )


def _proposed(
    model: Model | None,
    columns: pl.DataFrame,
    pairs: pl.DataFrame,
    barred: pl.DataFrame,
    customers: pl.Series | None,
    size: int,
    settings: RecommendationsSettings,
    threads: int,
) -> pl.DataFrame:
    """The model's candidates: row, code, score, best first within a row."""
    if model is None:
        return pl.DataFrame(schema={"row": pl.Int32, "code": pl.Int32, "score": pl.Float32})
    modelled = columns.filter("is_modelled")
    codes = modelled["code"].to_numpy()
    column_of = np.full(columns.height, -1, dtype=np.int32)
    column_of[codes] = np.arange(len(codes), dtype=np.int32)

    def matrix(rows: pl.DataFrame, values: Any) -> Any:
        places = column_of[rows["code"].to_numpy()]
        known = places >= 0
        starts = _starts(rows["person"].to_numpy()[known], size)
        return csr((values[known], places[known], starts), shape=(size, len(codes)))

    weights = matrix(pairs, pairs["weight"].to_numpy())
    skip = matrix(barred, np.ones(barred.height, dtype=np.float32))
    asked = np.nonzero(np.diff(weights.indptr))[0]
    found = model.best(
        weights[asked],
        POOL * settings.list_length,
        customers=None if customers is None else customers.gather(asked),
        skip=skip[asked],
        skip_products=np.nonzero(~modelled["is_sellable"].to_numpy())[0].astype(np.int32),
        threads=threads,
    )
    return pl.DataFrame(
        {
            "row": asked[found["row"].to_numpy()].astype(np.int32),
            "code": codes[found["column"].to_numpy()],
            "score": found["score"].cast(pl.Float32),
        }
    )


def _owned(kind: Any, *arrays: Any) -> Any:
    """Copies of one type that may be written to: `choose` is compiled anew for any others."""
    return kind(
        *(
            np.array(a, dtype=np.int64 if np.issubdtype(a.dtype, np.integer) else a.dtype)
            for a in arrays
        )
    )


def _stated(people: pl.DataFrame, columns: pl.DataFrame) -> Any:
    """Customers x categories: whether the customer said they like it."""
    coded = (
        columns.filter(pl.col("category_code") >= 0)
        .unique("category")
        .select(stated="category", category_code="category_code")
    )
    said = people.select("stated").with_row_index("row").explode("stated").join(coded, on="stated")
    table = np.zeros((people.height, coded.height), dtype=np.bool_)
    table[said["row"].to_numpy(), said["category_code"].to_numpy()] = True
    return table


def _frames(
    lists: Lists, first: int, customers: pl.Series, columns: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The places of a batch, and the model's next best that are not listed."""

    def frame(product: Any, **values: Any) -> pl.DataFrame:
        row, place = np.nonzero(product >= 0)
        code = product[row, place]
        return pl.DataFrame(
            {
                "customer_id": customers.gather(row),
                "product_id": columns["product_id"].gather(code),
                "person": (row + first).astype(np.int32),
                "rank": (place + 1).astype(np.int32),
                "code": code,
                **{name: value[row, place] for name, value in values.items()},
            }
        )

    places = frame(
        lists.product,
        source=lists.source,
        score=lists.score,
        relaxed=lists.relaxed,
        because=lists.because,
    )
    reserve = frame(
        lists.reserve_product, score=lists.reserve_score, because=lists.reserve_because
    ).with_columns(source=pl.lit(MODEL, pl.Int8), relaxed=pl.lit(False))
    return places, reserve.drop("person", "rank")


_ROWS = """(
    person INTEGER, rank INTEGER, code INTEGER, source TINYINT, score DOUBLE, relaxed BOOLEAN,
    because INTEGER, explored BOOLEAN, propensity DOUBLE)"""

ROW = ("person", "rank", "code", "source", "score", "relaxed", "because", "explored", "propensity")


def _starts(rows: Any, size: int) -> Any:
    """Where each row starts in arrays that are sorted by row, and where the last one ends."""
    starts = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=size), out=starts[1:])
    return starts
