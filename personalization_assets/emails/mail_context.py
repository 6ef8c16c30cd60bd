"""What a template may use: the mail context, its contract, and the SQL that fills it.

Roots: `customer` (columns of profiles.golden_profiles and a few derived ones),
`recommendations[]`, `cart` (`cart.items[]`), `viewed[]`, `mail`, `links`, and the constants `brand`
and `campaign`. The contract is a mapping from root to Arrow type, so that a template is checked
against the same types that the batch is filled with.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

import duckdb
import pyarrow as pa
from pydantic import BaseModel

from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import Campaign

TEXT = pa.string()
PRODUCT = pa.struct(
    {
        "product_id": TEXT,
        "name": TEXT,
        "category": TEXT,
        "subcategory": TEXT,
        "brand": TEXT,
        "description": TEXT,
        "price": pa.float64(),  # in the base currency
        "url": TEXT,  # tagged for this campaign
        "image_url": TEXT,
        "tile": TEXT,  # background colour behind the picture
        "position": pa.int64(),
        "few_left": pa.bool_(),
        "is_new": pa.bool_(),
        "source": TEXT,  # als | repeat | category | popular | bestseller
        "reason": TEXT,
        "because": TEXT,  # name of the product that led here
    }
)
CART_ITEM = pa.struct(
    [*PRODUCT, pa.field("quantity", pa.int64()), pa.field("line_total", pa.float64())]
)
CART = pa.struct(
    {
        "items": pa.list_(CART_ITEM),
        "size": pa.int64(),
        "quantity": pa.int64(),
        "total": pa.float64(),
        "updated_at": pa.timestamp("us"),
        "hours": pa.int64(),
    }
)
LINKS = pa.struct(
    dict.fromkeys(("home", "bestsellers", "cart", "preferences", "unsubscribe", "one_click"), TEXT)
)
MAIL = pa.struct(
    {
        "send_id": TEXT,
        "variant": TEXT,
        "personalised": pa.bool_(),
        "bestsellers": pa.bool_(),  # the products shown are best sellers, not personal
        "subject": TEXT,
        "preheader": TEXT,
        "year": pa.int64(),
        "regional_offer": TEXT,
    }
)
CAMPAIGN = pa.struct({"name": TEXT, "description": TEXT, "kind": TEXT})
DERIVED = {"first_name": TEXT}
"""Fields of `customer` that golden_profiles does not have."""

WITHOUT_CONSENT = frozenset(
    {
        "customer_id",
        "first_name",
        "given_name",
        "family_name",
        "email",
        "language",
        "country",
        "loyalty_tier",
        "loyalty_points",
    }
)
"""What a mail may say to somebody who did not agree to personalisation: how to address them, and
the state of their loyalty account. Everything else that we know of them is empty in their mail."""


def mail_contract(profile_columns: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """Roots that a template may use, given the columns of golden_profiles."""
    return {
        "customer": pa.struct({**profile_columns, **DERIVED}),
        "recommendations": pa.list_(PRODUCT),
        "cart": CART,
        "viewed": pa.list_(PRODUCT),
        "links": LINKS,
        "mail": MAIL,
        "brand": _model_type(Brand),
        "campaign": CAMPAIGN,
    }


def profile_columns(con: duckdb.DuckDBPyConnection) -> dict[str, pa.DataType]:
    """Columns of profiles.golden_profiles as they are in the warehouse."""
    schema = con.sql("SELECT * FROM profiles.golden_profiles LIMIT 0").to_arrow_table().schema
    return {f.name: f.type for f in schema}


def constants(brand: Brand, campaign: Campaign) -> dict[str, Any]:
    """The roots that are the same in every mail of a campaign."""
    return {
        "brand": brand.model_dump(mode="json"),
        "campaign": {
            "name": campaign.name,
            "description": campaign.file.description,
            "kind": campaign.file.kind,
        },
    }


def _model_type(model: type[BaseModel]) -> pa.DataType:
    def of(annotation: Any) -> pa.DataType:
        if get_origin(annotation) is list:
            return pa.list_(of(get_args(annotation)[0]))
        for part in (annotation, *get_args(annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                return _model_type(part)
        return TEXT

    return pa.struct({name: of(f.annotation) for name, f in model.model_fields.items()})


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


def context_sql(
    con: duckdb.DuckDBPyConnection,
    campaign: Campaign,
    variant: str,
    brand: Brand,
    utm: str,
    fields: Iterable[str],
    columns: Mapping[str, pa.DataType],
) -> tuple[str, dict[str, Any]]:
    """One row per mail to render: send_id, customer_id, to_email, and the context's row roots.

    Reads emails.audience, profiles.golden_profiles, recommendations.top_products and what
    `prepare` made; `utm` is the query that tags links. Rows come in order of send_id. Returns the
    SQL and its parameters.
    """
    wanted = set(columns) if "*" in fields else set(fields) & set(columns)
    names = sorted(wanted | {"customer_id"})
    customer = ", ".join(
        f'"{n}": p."{n}"'
        if n in WITHOUT_CONSENT
        else f'"{n}": CASE WHEN s.personalised THEN p."{n}" END'
        for n in names
    )
    product = ", ".join(
        f"{f.name}: m.{f.name}" if f.name not in _PER_ROW else f"{f.name}: {_PER_ROW[f.name]}"
        for f in PRODUCT
    )
    products = campaign.file.products

    def shown(block: str) -> str:
        return product.replace("$block", f"'{block}'")

    sql = f"""
    WITH s AS (
        SELECT a.send_id, a.customer_id, a.personalised
        FROM emails.audience a
        WHERE a.campaign = $campaign AND a.variant = $variant AND a.decision = 'send'
    ), lines AS (
        SELECT s.send_id, i.line.product_id AS product_id, 'cart' AS source, NULL AS reason,
               greatest(coalesce(i.line.quantity, 1), 1) AS quantity, i.place AS position
        FROM s JOIN profiles.golden_profiles p USING (customer_id)
        CROSS JOIN LATERAL (
            SELECT unnest(p.open_cart) AS line, generate_subscripts(p.open_cart, 1) AS place
        ) i
        WHERE s.personalised
    ), picks AS (
        SELECT s.send_id, t.rank AS place, t.product_id, t.source, t.reason, t.because_product_id
        FROM s JOIN recommendations.top_products t USING (customer_id)
        JOIN mail_products m USING (product_id)
        LEFT JOIN lines l ON l.send_id = s.send_id AND l.product_id = t.product_id
        WHERE s.personalised AND m.sellable AND l.product_id IS NULL
        QUALIFY row_number() OVER (PARTITION BY s.send_id ORDER BY t.rank, t.product_id) <= $count
    ), personal AS (
        SELECT send_id, count(*) AS n FROM picks GROUP BY 1
    ), filled AS (
        SELECT send_id, place, product_id, source, reason, because_product_id FROM picks
        UNION ALL
        SELECT s.send_id, 1000 + b.place, b.product_id, 'bestseller', NULL, NULL
        FROM s CROSS JOIN mail_bestsellers b
        LEFT JOIN personal n USING (send_id)
        LEFT JOIN picks k ON k.send_id = s.send_id AND k.product_id = b.product_id
        LEFT JOIN lines l ON l.send_id = s.send_id AND l.product_id = b.product_id
        WHERE coalesce(n.n, 0) < $minimum AND k.product_id IS NULL AND l.product_id IS NULL
    ), chosen AS (
        SELECT *, row_number() OVER (PARTITION BY send_id ORDER BY place, product_id) AS position
        FROM filled QUALIFY position <= $count
    ), recs AS (
        SELECT t.send_id,
               list({{{shown("products")}}} ORDER BY t.position) AS items,
               bool_and(t.source IN ('bestseller', 'popular')) AS bestsellers
        FROM chosen t JOIN mail_products m USING (product_id)
        LEFT JOIN mail_products w ON w.product_id = t.because_product_id
        GROUP BY 1
    ), carts AS (
        SELECT t.send_id,
               list({{{shown("cart")}, quantity: t.quantity, line_total: t.quantity * m.price}}
                    ORDER BY t.position, t.product_id) AS items,
               count(*) AS size, sum(t.quantity)::BIGINT AS quantity,
               sum(t.quantity * m.price ORDER BY t.position, t.product_id) AS total
        FROM lines t JOIN mail_products m USING (product_id)
        LEFT JOIN mail_products w ON false
        WHERE m.sellable
        GROUP BY 1
    ), looked AS (
        SELECT s.send_id, v.product_id, 'viewed' AS source, NULL AS reason, v.place AS position
        FROM s JOIN profiles.golden_profiles p USING (customer_id)
        CROSS JOIN LATERAL (
            SELECT unnest(p.last_viewed_products) AS product_id,
                   generate_subscripts(p.last_viewed_products, 1) AS place
        ) v
        WHERE s.personalised
    ), views AS (
        SELECT t.send_id, list({{{shown("viewed")}}} ORDER BY t.position, t.product_id) AS items
        FROM looked t JOIN mail_products m USING (product_id)
        LEFT JOIN mail_products w ON false
        WHERE m.sellable
        GROUP BY 1
    ), names AS (
        SELECT customer_id, string_split_regex(trim(given_name), '\\s+')[1] AS word
        FROM profiles.golden_profiles
    )
    SELECT s.send_id, s.customer_id, p.email AS to_email,
        {{{customer}, first_name: {_FIRST_NAME}}} AS customer,
        coalesce(r.items, []) AS recommendations,
        {{items: coalesce(c.items, []), size: coalesce(c.size, 0),
          quantity: coalesce(c.quantity, 0), total: coalesce(c.total, 0),
          updated_at: CASE WHEN s.personalised THEN p.cart_updated_at END,
          hours: CASE WHEN s.personalised THEN date_diff(
              'hour', p.cart_updated_at, getvariable('as_of')::TIMESTAMP) END}} AS cart,
        coalesce(v.items, []) AS viewed,
        {{send_id: s.send_id, variant: $variant, personalised: s.personalised,
          bestsellers: coalesce(r.bestsellers, true),
          year: year(getvariable('as_of')::TIMESTAMP),
          regional_offer: $offers[p.country][1]}} AS mail
    FROM s
    JOIN profiles.golden_profiles p USING (customer_id)
    JOIN names n USING (customer_id)
    LEFT JOIN recs r USING (send_id)
    LEFT JOIN carts c USING (send_id)
    LEFT JOIN views v USING (send_id)
    ORDER BY s.send_id
    """
    offers = {c: o.text for o in reversed(brand.regional_offers) for c in o.countries}
    literal = ", ".join(f"{_quoted(c)}: {_quoted(t)}" for c, t in sorted(offers.items()))
    sql = sql.replace(
        "$offers[p.country][1]", f"coalesce(MAP {{{literal}}}[p.country], '')" if offers else "''"
    )
    return sql, {
        "campaign": campaign.name,
        "variant": variant,
        "utm": utm,
        "count": products.count,
        "minimum": products.minimum,
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_PER_ROW = {
    "url": """split_part(m.url, '#', 1)
        || CASE WHEN contains(m.url, '?') THEN '&' ELSE '?' END
        || $utm || '&utm_content=' || $block || '-' || t.position
        || CASE WHEN contains(m.url, '#') THEN '#' || split_part(m.url, '#', 2) ELSE '' END""",
    "position": "t.position",
    "source": "t.source",
    "reason": "t.reason",
    "because": "w.name",
}
"""Fields of a product that depend on where it is shown."""

_FIRST_NAME = """CASE WHEN regexp_full_match(n.word, '[\\p{L}][\\p{L}''’.-]{1,23}')
    THEN CASE WHEN n.word = upper(n.word) OR n.word = lower(n.word)
         THEN array_to_string(list_transform(string_split(n.word, '-'),
              lambda x: upper(left(x, 1)) || lower(substr(x, 2))), '-')
         ELSE n.word END END"""
"""How to address somebody: the first given name, in usual case; empty when it is no name."""
