"""The SQL that fills mail contexts: one row per mail, products by reference.

A product that many mails show in the same place and for the same reason is one entry of an Arrow
dictionary, and a mail only holds numbers of entries. So a context is small, a million of them pass
through in batches, and the renderer writes the same product card once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.mail_context import CART_ITEM, PRODUCT, WITHOUT_CONSENT
from personalization_assets.sql_text import quoted

BLOCKS = ("products", "cart", "viewed")
"""Lists of products in a mail; the name is also the tag of their links (`utm_content`)."""
PARTS = ("product_id", "position", "source", "reason", "because_product_id", "quantity")
"""What an entry is made of beside its product."""

FIRST_NAME = """CASE WHEN regexp_full_match(n.word, '[\\p{L}][\\p{L}''’.-]{1,23}')
    THEN CASE WHEN n.word = upper(n.word) OR n.word = lower(n.word)
         THEN array_to_string(list_transform(string_split(n.word, '-'),
              lambda x: upper(left(x, 1)) || lower(substr(x, 2))), '-')
         ELSE n.word END END"""
"""How to address somebody: the first given name, in usual case; empty when it is no name."""

TAGGED_URL = """split_part(m.url, '#', 1)
    || CASE WHEN contains(m.url, '?') THEN '&' ELSE '?' END
    || $utm || '&utm_content=' || $block || '-' || i.position
    || CASE WHEN contains(m.url, '#') THEN '#' || split_part(m.url, '#', 2) ELSE '' END"""


def prepare(con: duckdb.DuckDBPyConnection, brand: Brand, bestseller_days: int) -> None:
    """Temporary tables that every campaign of a run reads: products as mails show them, and best
    sellers. The connection's variable `as_of` must be set.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE mail_products AS
        SELECT
            product_id, trim(regexp_replace(name, '\\s+', ' ', 'g')) AS name, category,
            subcategory, brand, description, price_base AS price,
            coalesce(nullif(trim(url), ''),
                     replace($product_url, '{product_id}', product_id)) AS url,
            nullif(trim(image_url), '') AS image_url,
            $tiles[1 + ('0x' || substr(md5(coalesce(category, '')), 1, 8))::BIGINT
                   % len($tiles)] AS tile,
            coalesce(stock BETWEEN 1 AND 5, false) AS few_left,
            coalesce(launched_at > getvariable('as_of')::TIMESTAMP - INTERVAL 45 DAY
                     AND launched_at <= getvariable('as_of')::TIMESTAMP, false) AS is_new,
            coalesce(is_active, true) AND coalesce(stock, 1) > 0 AS sellable
        FROM standardized.products
        WHERE name IS NOT NULL AND trim(name) <> '' AND price_base > 0
        QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY source) = 1
        """,
        {"product_url": brand.product_url, "tiles": brand.tile_colours},
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE mail_bestsellers AS
        WITH sold AS (
            SELECT l.product_id, sum(l.quantity) AS pieces
            FROM standardized.order_lines l
            LEFT JOIN standardized.orders o
                ON o.source = l.order_source AND o.order_id = l.order_id
            WHERE coalesce(l.ordered_at, o.ordered_at)
                  BETWEEN getvariable('as_of')::TIMESTAMP - to_days($days)
                  AND getvariable('as_of')::TIMESTAMP
              AND l.quantity > 0 AND coalesce(o.status, 'completed') <> 'cancelled'
            GROUP BY 1
        )
        SELECT product_id,
               row_number() OVER (ORDER BY coalesce(pieces, 0) DESC, product_id) AS place
        FROM mail_products LEFT JOIN sold USING (product_id)
        WHERE sellable
        ORDER BY place LIMIT 48
        """,
        {"days": bestseller_days},
    )


def contexts(
    con: duckdb.DuckDBPyConnection,
    campaign: Campaign,
    variant: str,
    brand: Brand,
    utm: str,
    fields: Iterable[str],
    columns: Mapping[str, pa.DataType],
    rows: int,
    customers: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Contexts of the mails that emails.audience sends, in order of send_id, `rows` at a time.

    Columns: send_id, customer_id, to_email, profile_version and the roots of
    `mail_context.mail_contract` that differ from mail to mail. Reads emails.audience,
    profiles.golden_profiles, recommendations.top_products and what `prepare` made. `utm` is the
    query that tags links; `fields` are the columns of golden_profiles that the templates use, of
    those in `columns`; `customers` takes only some people. Yields one batch without rows if there
    is no mail.
    """
    values = {
        "campaign": campaign.name,
        "variant": variant,
        "count": campaign.file.products.count,
        "minimum": campaign.file.products.minimum,
        "customers": list(customers or []),
    }
    for statement in _CHOICES:
        used = {name: value for name, value in values.items() if f"${name}" in statement}
        con.execute(statement, used)
    entries = {block: _entries(con, block, utm) for block in BLOCKS}
    wanted = set(columns) if "*" in fields else set(fields) & set(columns)
    sql, parameters = _rows_sql(brand, variant, sorted(wanted | {"customer_id"}))
    reader = con.sql(sql, params=parameters).to_arrow_reader(rows)
    empty = True
    for batch in reader:
        empty = False
        yield _with_products(batch, entries)
    if empty:
        nobody = pa.RecordBatch.from_arrays(
            [pa.array([], f.type) for f in reader.schema], schema=reader.schema
        )
        yield _with_products(nobody, entries)


_CHOICES = (
    """
    CREATE OR REPLACE TEMP TABLE mail_sends AS
    SELECT a.send_id, a.customer_id, a.personalised
    FROM emails.audience a
    WHERE a.campaign = $campaign AND a.variant = $variant AND a.decision = 'send'
      AND (len($customers) = 0 OR a.customer_id IN (SELECT unnest($customers)))
    """,
    """
    CREATE OR REPLACE TEMP TABLE mail_cart AS
    SELECT s.send_id, i.place AS position, i.line.product_id AS product_id, 'cart' AS source,
           NULL::VARCHAR AS reason, NULL::VARCHAR AS because_product_id,
           greatest(coalesce(i.line.quantity, 1), 1) AS quantity
    FROM mail_sends s JOIN profiles.golden_profiles p USING (customer_id)
    CROSS JOIN LATERAL (
        SELECT unnest(p.open_cart) AS line, generate_subscripts(p.open_cart, 1) AS place
    ) i
    WHERE s.personalised
    """,
    """
    CREATE OR REPLACE TEMP TABLE mail_products_shown AS
    WITH picks AS (
        SELECT s.send_id, t.rank AS place, t.product_id, t.source, t.reason, t.because_product_id
        FROM mail_sends s JOIN recommendations.top_products t USING (customer_id)
        JOIN mail_products m USING (product_id)
        LEFT JOIN mail_cart l ON l.send_id = s.send_id AND l.product_id = t.product_id
        WHERE s.personalised AND m.sellable AND l.product_id IS NULL
        QUALIFY row_number() OVER (PARTITION BY s.send_id ORDER BY t.rank, t.product_id) <= $count
    ), personal AS (
        SELECT send_id, count(*) AS n FROM picks GROUP BY 1
    ), filled AS (
        FROM picks
        UNION ALL
        SELECT s.send_id, 1000 + b.place, b.product_id, 'bestseller', NULL, NULL
        FROM mail_sends s CROSS JOIN mail_bestsellers b
        LEFT JOIN personal n USING (send_id)
        LEFT JOIN picks k ON k.send_id = s.send_id AND k.product_id = b.product_id
        LEFT JOIN mail_cart l ON l.send_id = s.send_id AND l.product_id = b.product_id
        WHERE coalesce(n.n, 0) < $minimum AND k.product_id IS NULL AND l.product_id IS NULL
    )
    SELECT send_id, row_number() OVER (PARTITION BY send_id ORDER BY place, product_id) AS position,
           product_id, source, reason, because_product_id, NULL::BIGINT AS quantity
    FROM filled QUALIFY position <= $count
    """,
    """
    CREATE OR REPLACE TEMP TABLE mail_viewed AS
    SELECT s.send_id, v.place AS position, v.product_id, 'viewed' AS source,
           NULL::VARCHAR AS reason, NULL::VARCHAR AS because_product_id, NULL::BIGINT AS quantity
    FROM mail_sends s JOIN profiles.golden_profiles p USING (customer_id)
    CROSS JOIN LATERAL (
        SELECT unnest(p.last_viewed_products) AS product_id,
               generate_subscripts(p.last_viewed_products, 1) AS place
    ) v
    WHERE s.personalised
    """,
)

TABLE = {"products": "mail_products_shown", "cart": "mail_cart", "viewed": "mail_viewed"}


def _entries(con: duckdb.DuckDBPyConnection, block: str, utm: str) -> pa.Array:
    """Number the different entries of a block (mail_entries_<block>), and give them in that order
    as a struct array. Products that can't be bought any more are left out of carts and views."""
    keys = ", ".join(f"c.{part}" for part in PARTS)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE mail_entries_{block} AS
        SELECT row_number() OVER () - 1 AS entry, *
        FROM (SELECT DISTINCT {keys} FROM {TABLE[block]} c
              JOIN mail_products m USING (product_id) WHERE m.sellable OR '{block}' = 'products')
        """
    )
    kind = CART_ITEM if block == "cart" else PRODUCT
    own = {
        "url": TAGGED_URL,
        "position": "i.position",
        "source": "i.source",
        "reason": "i.reason",
        "because": "w.name",
        "quantity": "i.quantity",
        "line_total": "i.quantity * m.price",
    }
    selected = ", ".join(f'{own.get(f.name, f"m.{f.name}")} AS "{f.name}"' for f in kind)
    table = con.sql(
        f"""
        SELECT {selected} FROM mail_entries_{block} i JOIN mail_products m USING (product_id)
        LEFT JOIN mail_products w ON w.product_id = i.because_product_id
        ORDER BY i.entry
        """,
        params={"utm": utm, "block": block},
    ).to_arrow_table()
    arrays = [table.column(f.name).combine_chunks().cast(f.type) for f in kind]
    flat = [a.chunk(0) if isinstance(a, pa.ChunkedArray) else a for a in arrays]
    return pa.StructArray.from_arrays(flat, fields=list(kind))


def _rows_sql(brand: Brand, variant: str, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    customer = ", ".join(
        f'"{n}": p."{n}"'
        if n in WITHOUT_CONSENT
        else f'"{n}": CASE WHEN s.personalised THEN p."{n}" END'
        for n in names
    )
    same = " AND ".join(f"e.{part} IS NOT DISTINCT FROM c.{part}" for part in PARTS)

    def listed(block: str) -> str:
        return f"""
            SELECT c.send_id, list(e.entry::INTEGER ORDER BY c.position, c.product_id) AS entries,
                   count(*) AS size, sum(c.quantity)::BIGINT AS quantity,
                   sum(c.quantity * m.price ORDER BY c.position, c.product_id) AS total,
                   bool_and(c.source IN ('bestseller', 'popular', 'region')) AS bestsellers
            FROM {TABLE[block]} c JOIN mail_entries_{block} e ON {same}
            JOIN mail_products m ON m.product_id = c.product_id
            GROUP BY 1"""

    offers = {c: o.text for o in reversed(brand.regional_offers) for c in o.countries}
    literal = ", ".join(f"{quoted(c)}: {quoted(t)}" for c, t in sorted(offers.items()))
    offer = f"coalesce(MAP {{{literal}}}[p.country], '')" if offers else "''"
    return (
        f"""
        WITH recs AS ({listed("products")}), carts AS ({listed("cart")}),
        views AS ({listed("viewed")}),
        names AS (
            SELECT customer_id, string_split_regex(trim(given_name), '\\s+')[1] AS word
            FROM profiles.golden_profiles
        )
        SELECT s.send_id, s.customer_id, p.email AS to_email,
            {{{customer}, first_name: {FIRST_NAME}}} AS customer,
            substr(md5(customer::VARCHAR), 1, 12) AS profile_version,
            coalesce(r.entries, []) AS recommendations,
            {{items: coalesce(c.entries, []), size: coalesce(c.size, 0),
              quantity: coalesce(c.quantity, 0), total: coalesce(c.total, 0),
              updated_at: CASE WHEN s.personalised THEN p.cart_updated_at END,
              hours: CASE WHEN s.personalised THEN date_diff(
                  'hour', p.cart_updated_at, getvariable('as_of')::TIMESTAMP) END}} AS cart,
            coalesce(v.entries, []) AS viewed,
            {{send_id: s.send_id, variant: $variant, personalised: s.personalised,
              bestsellers: coalesce(r.bestsellers, true),
              year: year(getvariable('as_of')::TIMESTAMP), regional_offer: {offer}}} AS mail
        FROM mail_sends s
        JOIN profiles.golden_profiles p USING (customer_id)
        JOIN names n USING (customer_id)
        LEFT JOIN recs r USING (send_id)
        LEFT JOIN carts c USING (send_id)
        LEFT JOIN views v USING (send_id)
        ORDER BY s.send_id
        """,
        {"variant": variant},
    )


def _with_products(batch: pa.RecordBatch, entries: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Lists of entry numbers become lists of dictionary entries."""

    def listed(numbers: pa.Array, block: str) -> pa.Array:
        values = pc.cast(numbers.values, pa.int32())
        products = pa.DictionaryArray.from_arrays(values, entries[block])
        return pa.ListArray.from_arrays(numbers.offsets, products)

    cart = batch.column("cart")
    names = [cart.type.field(i).name for i in range(cart.type.num_fields)]
    fields = dict(zip(names, cart.flatten(), strict=True))
    fields["items"] = listed(fields["items"], "cart")
    new = {
        "recommendations": listed(batch.column("recommendations"), "products"),
        "cart": pa.StructArray.from_arrays(list(fields.values()), names),
        "viewed": listed(batch.column("viewed"), "viewed"),
    }
    columns = [new.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
