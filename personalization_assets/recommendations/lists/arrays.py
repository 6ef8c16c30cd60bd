"""What `choosing` takes and gives: arrays over products and over a batch of customers.

Compiled code is kept on the disk and made anew when `choosing.py` changes; after fields here have
changed places, save that file too.
"""

from typing import Any, NamedTuple


class Shop(NamedTuple):
    """Products by their code. Whole numbers are int64, here and below."""

    category: Any
    """-1 unknown"""
    brand: Any
    """-1 unknown"""
    price: Any
    """float32, 0 unknown"""
    ladder_start: Any
    ladder_product: Any
    ladder_score: Any
    alike_start: Any
    """Rows are products, columns their nearest; all empty without a model"""
    alike_other: Any
    alike_score: Any
    """float32, 0 to 1"""


class People(NamedTuple):
    """A batch of customers; `<x>_start` are the row starts of the columns that follow it."""

    model_start: Any
    model_product: Any
    model_score: Any
    """float32, best first within a row"""
    again_start: Any
    again_product: Any
    again_score: Any
    barred_start: Any
    barred_product: Any
    tired_start: Any
    """Products shown to the customer often enough"""
    tired_product: Any
    pair_start: Any
    pair_product: Any
    pair_weight: Any
    steps: Any
    """Customers x `STEPS`: ladders, -1 where there is none"""
    spread: Any
    price_limit: Any
    """float32, infinite without a limit"""
    stated: Any
    """bool, customers x categories: said to be liked"""


class Rules(NamedTuple):
    """Settings of lists; caps are at least 1."""

    length: int
    category_cap: int
    brand_cap: int
    repeat_cap: int
    diversity: float
    stated_boost: float
    new_places: int
    reserve: int
    """So many of the model's candidates that fit but are not listed are given too"""


class Lists(NamedTuple):
    """Customers x places, in list order; `product` is -1 where nothing was left."""

    product: Any
    source: Any
    score: Any
    relaxed: Any
    because: Any
    """The customer's product to name as the reason, the product itself, or -1"""
    reserve_product: Any
    """The model's next best, customers x reserve, -1 where there are fewer"""
    reserve_score: Any
    reserve_because: Any
