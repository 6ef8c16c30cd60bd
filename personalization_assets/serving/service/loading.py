"""Reads a publication into memory: some seconds with a million customers, on one core.

Every publication is attached to a DuckDB instance of its own. `duckdb.connect` on its path would be
given the instance that is open on that path already, and with it the file before the replacement.

Columns leave DuckDB as numbers, in pieces of some milliseconds, so that requests are answered
between them.
"""

import threading
import weakref
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from personalization_assets.errors import UserError
from personalization_assets.serving.service.columns import (
    Interactions,
    Keys,
    Lists,
    csr,
    entries,
    texts,
)
from personalization_assets.serving.service.publication import (
    Identity,
    Product,
    Products,
    Publication,
    Scorer,
    identity_of,
    published_at,
)
from personalization_assets.serving.settings import ServingSettings
from personalization_assets.sql_text import quoted

PREFERENCES = ("stated_categories", "frequency", "language", "preferences_stated_at")
"""Columns of golden_profiles that hold what a customer stated last"""

NEEDED = {
    "profiles.golden_profiles": ("customer_id", "consent_personalisation", *PREFERENCES),
    "recommendations.top_products": ("customer_id", "rank", "product_id", "score", "source"),
    "recommendations.catalogue": ("product_id", "name", "category", "is_sellable"),
    "recommendations.als_model": ("model_version", "is_current", "algorithm", "recipe"),
    "recommendations.als_factors": ("model_version", "side"),
    "identity.redirects": ("retired_id", "customer_id"),
    "serving.customer_products": ("customer_id", "product_id", "weight", "barred"),
    "standardized.products": ("product_id", "price_base", "brand", "url", "image_url"),
}

NO_MODEL = "none"
"""The name of the version where best sellers are listed, as in top_products"""

KEPT = "128MB"
"""What DuckDB may keep of the file in memory once it is read: profiles are looked up in it"""

PLACES = 1_000_000
"""More than any list has places; makes one number of an owner and a place"""


def load(path: Path, settings: ServingSettings, rest: float = 0.0) -> Publication:
    """Read the publication at a path.

    Args:
        path: of the file
        settings: of the service
        rest: how long to rest after each piece of work, as a multiple of what it took

    Raises:
        UserError: there is no file, or it lacks a table or column that the service reads.
        duckdb.Error: DuckDB can't read the file.
    """
    try:
        identity = identity_of(path)
    except FileNotFoundError:
        raise UserError(
            f"There is no publication at {path}: run `personalize run` first."
        ) from None
    con = duckdb.connect(config={"threads": 1})
    try:
        con.execute("SET enable_progress_bar = false")
        con.execute(f"ATTACH {quoted(str(path))} AS published (READ_ONLY)")
        _check(con, path, settings)
        publication = _read(con, identity, rest)
        con.execute(f"SET memory_limit = '{KEPT}'")
        parts = [con, *(getattr(publication, name) for name in ("lists", "interactions"))]
        weakref.finalize(publication, _let_go, parts).atexit = False
        return publication
    except BaseException:
        con.close()
        raise


def _let_go(parts: list[Any]) -> None:
    """Close a publication's file, and give back its memory, on a thread of its own.

    The file was replaced and is deleted with its last handle: with a million customers that takes
    150 ms, and whoever let go of the publication last is answering requests.
    """

    def work() -> None:
        parts[0].close()
        parts.clear()

    threading.Thread(target=work, name="closing", daemon=True).start()


def _check(con: duckdb.DuckDBPyConnection, path: Path, settings: ServingSettings) -> None:
    """Refuse a file without what the service reads, before anything is read from it."""
    there: dict[str, set[str]] = {}
    for table, column in con.execute(
        "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns()"
        " WHERE database_name = 'published'"
    ).fetchall():
        there.setdefault(table, set()).add(column)
    for table, columns in NEEDED.items():
        missing = [c for c in columns if c not in there.get(table, ())]
        if missing:
            what = f"the column {missing[0]} of {table}" if table in there else f"the table {table}"
            raise UserError(
                f"The publication {path} lacks {what}: publish it anew with `personalize run`."
            )
    for name in ("profile_fields", "personal_profile_fields"):
        unknown = [f for f in getattr(settings, name) if f not in there["profiles.golden_profiles"]]
        if unknown:
            raise UserError(
                f"The setting serving.{name} names {unknown[0]!r}, which is no column of "
                "profiles.golden_profiles: correct or remove it."
            )


def _read(con: duckdb.DuckDBPyConnection, identity: Identity, rest: float) -> Publication:
    products = _products(con)
    con.execute(
        """
        CREATE TEMP TABLE customers AS
        SELECT customer_id, rowid AS place, coalesce(consent_personalisation, false) AS agreed,
            row_number() OVER (ORDER BY customer_id) - 1 AS code
        FROM published.profiles.golden_profiles
        """
    )
    about = con.sql("SELECT place, agreed FROM customers ORDER BY code").fetchnumpy()
    customers = Keys(texts(con, "SELECT customer_id FROM customers ORDER BY code"))
    redirects = con.sql(
        "SELECT retired_id, customer_id FROM published.identity.redirects ORDER BY retired_id"
    ).to_arrow_table()
    lists, similar, sources, reasons = _lists(con, len(customers), len(products.shown), rest)
    interactions = _interactions(con, len(customers), rest)
    version, scorer = _scorer(con, products)
    for table in ("products", "customers", "sources", "reasons"):
        con.execute(f"DROP TABLE temp.{table}")
    return Publication(
        identity=identity,
        published_at=published_at(identity),
        model_version=version,
        products=products,
        customers=customers,
        agreed=np.asarray(about["agreed"], dtype=bool),
        row_of=np.asarray(about["place"], dtype=np.int64),
        retired=Keys(redirects.column(0).combine_chunks()),
        heirs=redirects.column(1).combine_chunks(),
        lists=lists,
        similar=similar,
        sources=sources,
        reasons=reasons,
        interactions=interactions,
        scorer=scorer,
        con=con,
    )


def _products(con: duckdb.DuckDBPyConnection) -> Products:
    con.execute(
        """
        CREATE TEMP TABLE products AS
        SELECT c.*, s.brand, s.price_base AS price, s.url, s.image_url,
            row_number() OVER (ORDER BY c.product_id) - 1 AS code
        FROM (
            SELECT product_id, name, category, coalesce(is_sellable, false) AS is_sellable,
                popularity_rank
            FROM published.recommendations.catalogue
        ) AS c
        LEFT JOIN (
            FROM published.standardized.products
            QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY source) = 1
        ) AS s USING (product_id)
        """
    )
    rows = con.execute(f"SELECT {', '.join(Product._fields)} FROM products ORDER BY code")
    shown: list[Product] = []
    while some := rows.fetchmany(2_000):
        shown += [Product(*row) for row in some]
    categories = {c: i for i, c in enumerate(sorted({p.category for p in shown if p.category}))}
    popular = con.sql(
        "SELECT code FROM products WHERE is_sellable ORDER BY popularity_rank NULLS LAST, code"
    ).fetchnumpy()["code"]
    sellable = con.sql("SELECT is_sellable FROM products ORDER BY code").fetchnumpy()["is_sellable"]
    return Products(
        shown=shown,
        codes={p.product_id: i for i, p in enumerate(shown)},
        sellable=np.asarray(sellable, dtype=bool),
        price=np.array([np.nan if p.price is None else p.price for p in shown], dtype=np.float32),
        category=np.array([categories.get(p.category or "", -1) for p in shown], dtype=np.int32),
        categories=categories,
        popular=np.asarray(popular, dtype=np.int32),
    )


def _lists(
    con: duckdb.DuckDBPyConnection, customers: int, products: int, rest: float
) -> tuple[Lists, Lists, list[str], list[str]]:
    """Lists of customers and of products, and the texts that their small numbers stand for."""
    has_similar = bool(
        con.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = 'published'"
            " AND schema_name = 'recommendations' AND table_name = 'similar_products'"
        ).fetchall()
    )
    listed = "published.recommendations.top_products"
    similar = (
        "published.recommendations.similar_products"
        if has_similar
        else "(SELECT '' AS product_id, '' AS similar_product_id, 0 AS rank, 0.0 AS score,"
        " '' AS source WHERE false)"
    )
    con.execute(
        f"""
        CREATE TEMP TABLE sources AS
        SELECT source, CAST(row_number() OVER (ORDER BY source) - 1 AS UTINYINT) AS code
        FROM (SELECT source FROM {listed} UNION SELECT source FROM {similar});
        CREATE TEMP TABLE reasons AS
        SELECT reason, CAST(row_number() OVER (ORDER BY reason) - 1 AS INTEGER) AS code
        FROM (SELECT DISTINCT reason FROM {listed} WHERE reason IS NOT NULL)
        """
    )
    types = {"product": np.int32, "score": np.float32, "source": np.uint8, "reason": np.int32}
    for_customers = f"""
        SELECT o.code AS owner, o.code * {PLACES} + t.rank AS place, p.code AS product,
            CAST(t.score AS FLOAT) AS score, s.code AS source, coalesce(r.code, -1) AS reason
        FROM {listed} AS t
        INNER JOIN customers AS o ON t.customer_id = o.customer_id
        INNER JOIN products AS p ON t.product_id = p.product_id
        INNER JOIN sources AS s ON t.source = s.source
        LEFT JOIN reasons AS r ON t.reason = r.reason
    """
    for_products = f"""
        SELECT o.code AS owner, o.code * {PLACES} + t.rank AS place, p.code AS product,
            CAST(t.score AS FLOAT) AS score, s.code AS source, -1 AS reason
        FROM {similar} AS t
        INNER JOIN products AS o ON t.product_id = o.product_id
        INNER JOIN products AS p ON t.similar_product_id = p.product_id
        INNER JOIN sources AS s ON t.source = s.source
        WHERE p.is_sellable
    """
    mine, found = entries(con, for_customers, customers, types, rest)
    theirs, alike = entries(con, for_products, products, types)
    return (
        Lists(mine, **found),
        Lists(theirs, **alike),
        [row[0] for row in con.execute("SELECT source FROM sources ORDER BY code").fetchall()],
        [row[0] for row in con.execute("SELECT reason FROM reasons ORDER BY code").fetchall()],
    )


def _interactions(con: duckdb.DuckDBPyConnection, customers: int, rest: float) -> Interactions:
    slices, arrays = entries(
        con,
        """
        SELECT o.code AS owner, o.code AS place, p.code AS product,
            CAST(w.weight AS FLOAT) AS weight, w.barred
        FROM published.serving.customer_products AS w
        INNER JOIN customers AS o ON w.customer_id = o.customer_id
        INNER JOIN products AS p ON w.product_id = p.product_id
        """,
        customers,
        {"product": np.int32, "weight": np.float32, "barred": np.bool_},
        rest,
    )
    return Interactions(slices, **arrays)


def _scorer(con: duckdb.DuckDBPyConnection, products: Products) -> tuple[str, Scorer | None]:
    """The current model; none where none was good enough to list by."""
    current = con.execute(
        "SELECT model_version, algorithm FROM published.recommendations.als_model WHERE is_current"
    ).fetchall()
    if not current:
        return NO_MODEL, None
    version, algorithm = current[0]
    # The model is read by the code that trained it, from tables of the names that it knows. The
    # factors of customers are left out: everybody is scored by their interactions as they are now.
    con.execute(
        """
        CREATE SCHEMA recommendations;
        CREATE VIEW recommendations.als_model AS FROM published.recommendations.als_model;
        CREATE VIEW recommendations.als_factors AS
            FROM published.recommendations.als_factors WHERE side <> 'customer'
        """
    )
    from personalization_assets.recommendations import models

    model = models.load(con, version)
    code_of = np.array([products.codes.get(p, -1) for p in model.products], dtype=np.int32)
    column_of = np.full(len(products.shown), -1, dtype=np.int32)
    known = np.nonzero(code_of >= 0)[0]
    column_of[code_of[known]] = known
    # Scored with once: what is imported and compiled at the first use, the first request has ready.
    model.scores(csr(([1.0], [0], [0, 1]), len(code_of)))
    source = models.ALGORITHMS[algorithm].source
    return version, Scorer(model, column_of, code_of, source)


__all__ = ["PREFERENCES", "load"]
