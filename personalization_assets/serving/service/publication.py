"""One publication, opened: what `serving.duckdb` held at one moment, ready to be asked."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pyarrow as pa

from personalization_assets.serving.service.columns import (
    Floats,
    Interactions,
    Ints,
    Keys,
    Lists,
)

if TYPE_CHECKING:
    from personalization_assets.recommendations.models import Model

Identity = tuple[int, int, int]


class Product(NamedTuple):
    """What an answer says about a product. The price is in the base currency."""

    product_id: str
    name: str | None
    category: str | None
    brand: str | None
    price: float | None
    url: str | None
    image_url: str | None


@dataclass(frozen=True)
class Products:
    """The catalogue in the order of product ids: a product's place is its code."""

    shown: list[Product]
    codes: dict[str, int]
    sellable: Any
    price: Floats
    """NaN where unknown"""
    category: Ints
    """Code in `categories`, -1 where unknown"""
    categories: dict[str, int]
    popular: Ints
    """Codes of what can be sold, best sellers first"""


@dataclass(frozen=True)
class Scorer:
    """The current model, and which of its columns is which product of the catalogue."""

    model: "Model"
    column_of: Ints
    """By product code; -1 for products the model does not know"""
    code_of: Ints
    """By column; -1 for products that are no longer in the catalogue"""
    source: str
    """What answers call it: als for factors, similar for weights from product to product"""


@dataclass(frozen=True)
class Publication:
    """Everything that answers are made of. It never changes.

    Its file is closed when the last request that uses it lets go of it.
    """

    identity: Identity
    published_at: dt.datetime
    model_version: str
    products: Products
    customers: Keys
    agreed: Any
    """By customer: whether they agreed to personal contents"""
    row_of: Any
    """By customer: the row of golden_profiles"""
    retired: Keys
    heirs: pa.Array
    """By retired id: the customer that stands for it now, null for none"""
    lists: Lists
    similar: Lists
    """By product; without rows where the publication has no similar products"""
    sources: list[str]
    reasons: list[str]
    interactions: Interactions
    scorer: Scorer | None
    con: duckdb.DuckDBPyConnection

    def find(self, customer_id: str) -> tuple[str, int]:
        """The id that stands for a customer now, and their place; -1 for nobody we know."""
        place = self.customers.find(customer_id)
        if place < 0 and (left := self.retired.find(customer_id)) >= 0:
            heir = self.heirs[left].as_py()
            if heir is not None:
                return heir, self.customers.find(heir)
        return customer_id, place

    def recommendation_id(self, owner: str, product: int) -> str:
        """The id of a product shown to somebody, made as top_products makes it."""
        text = f"{owner}|{self.products.shown[product].product_id}|{self.model_version}"
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def profile(self, customer: int, columns: list[str]) -> dict[str, Any]:
        """Columns of a customer's row in golden_profiles; takes one to two milliseconds.

        Moments are UTC there, and say so here.
        """
        chosen = ", ".join(f'"{c}"' for c in columns)
        with self.con.cursor() as cursor:
            rows = cursor.execute(
                f"SELECT {chosen} FROM published.profiles.golden_profiles WHERE rowid = ?",
                [int(self.row_of[customer])],
            ).fetchall()
        values = [
            v.replace(tzinfo=dt.UTC) if isinstance(v, dt.datetime) and not v.tzinfo else v
            for v in rows[0]
        ]
        return dict(zip(columns, values, strict=True))


def identity_of(path: Path) -> Identity:
    """What tells a publication's file from the next.

    Raises:
        FileNotFoundError: there is none.
    """
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def published_at(identity: Identity) -> dt.datetime:
    """When the file of a publication was finished (UTC)."""
    return dt.datetime.fromtimestamp(identity[1] / 1e9, dt.UTC)
