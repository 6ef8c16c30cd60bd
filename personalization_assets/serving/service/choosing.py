"""Which products to show, from one publication: pure functions, no waiting, no clock.

Hard rules hold on every step of the ladder: a product is shown only if it can be sold, was not
bought too recently, lies neither in the cart nor among what was just viewed, is not excluded by the
request, and fits its category and price. Of the other rules of lists a live one keeps the most
products of a category and of a brand; price bands, places for new products and for something to buy
again are matters of the published list.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from personalization_assets.serving.service.columns import csr
from personalization_assets.serving.service.publication import Publication

IN_CART, VIEWED = "Goes with {} in your cart", "Because you looked at {}"
PICKED, POPULAR, POPULAR_IN = "Picked for you", "Popular right now", "Popular in {}"


MIXTURE = 4
"""So many times the products wanted are looked at where a list must not be of one kind"""


@dataclass(frozen=True)
class Rules:
    """How live lists are made."""

    cart: float
    """Added to a customer's interactions for a product in the cart"""
    view: float
    """The same for a product just viewed"""
    per_category: int
    """Most products of a category; 0 for no limit"""
    per_brand: int
    """Most products of a brand; 0 for no limit"""


@dataclass(frozen=True)
class Asked:
    """A request for a customer's products: their place (-1 for nobody) and codes of products."""

    customer: int
    n: int
    cart: tuple[int, ...] = ()
    viewed: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()
    category: str | None = None
    max_price: float | None = None

    @property
    def has_context(self) -> bool:
        """Whether there is more than a published list can know."""
        return bool(self.cart or self.viewed)


@dataclass(frozen=True)
class Choice:
    """A product of an answer."""

    product: int
    score: float
    source: str
    reason: str | None


def allowed(publication: Publication, asked: Asked) -> Any:
    """By product code: whether the hard rules let it be shown."""
    products = publication.products
    may = products.sellable.copy()
    if asked.category is not None:
        may &= products.category == products.categories.get(asked.category, -2)
    if asked.max_price is not None:
        may &= products.price <= asked.max_price  # not true where the price is unknown
    may[[*asked.cart, *asked.viewed, *asked.exclude]] = False
    own = publication.interactions.slices.of(asked.customer)
    barred = publication.interactions.barred[own]
    may[publication.interactions.product[own][barred]] = False
    return may


def scored(publication: Publication, asked: Asked, rules: Rules, may: Any) -> list[Choice]:
    """The best products by the model, from the customer's interactions and what they do now.

    Without a model, and where it has nothing to go by, there are none.
    """
    scorer = publication.scorer
    row = _weights(publication, asked, rules)
    if scorer is None or row is None:
        return []
    scores = np.asarray(scorer.model.scores(row))[0]
    # The share of own history is part of the recipe by which the published lists are ranked, too.
    scores[row.indices] += np.float32(scorer.model.recipe.history) * row.data / row.data.max()
    eligible = (scorer.code_of >= 0) & (scores > 0)
    eligible &= may[scorer.code_of]
    columns = np.nonzero(eligible)[0]
    wanted = MIXTURE * asked.n
    if len(columns) > wanted:
        columns = columns[np.argpartition(-scores[columns], wanted - 1)[:wanted]]
    columns = columns[np.lexsort((columns, -scores[columns]))]
    codes = scorer.code_of[columns].tolist()
    why = _reasons(publication, asked)
    best = [
        Choice(code, score, scorer.source, why.get(code, PICKED))
        for code, score in zip(codes, scores[columns].tolist(), strict=True)
    ]
    return _mixed(publication, best, rules, asked.category is not None)[: asked.n]


def published(publication: Publication, asked: Asked, may: Any) -> list[Choice]:
    """What of the customer's published list may be shown, in its order."""
    lists = publication.lists
    mine = lists.slices.of(asked.customer)
    return [
        Choice(
            code,
            score,
            publication.sources[source],
            publication.reasons[reason] if reason >= 0 else None,
        )
        for code, score, source, reason in zip(
            lists.product[mine].tolist(),
            lists.score[mine].tolist(),
            lists.source[mine].tolist(),
            lists.reason[mine].tolist(),
            strict=True,
        )
        if may[code]
    ]


def popular(publication: Publication, n: int, may: Any, category: str | None) -> list[Choice]:
    """The best sellers that may be shown."""
    ranked = publication.products.popular
    found = ranked[may[ranked]][:n].tolist()
    reason = POPULAR if category is None else POPULAR_IN.format(category)
    source = "popular" if category is None else "category"
    return [Choice(code, 1.0 / (i + 1), source, reason) for i, code in enumerate(found)]


def alike(publication: Publication, product: int, n: int, may: Any) -> list[Choice]:
    """What goes with a product, by the published list of similar products."""
    similar = publication.similar
    found = similar.slices.of(product)
    name = publication.products.shown[product].name
    choices = [
        Choice(code, score, publication.sources[source], name and f"Goes with {name}")
        for code, score, source in zip(
            similar.product[found].tolist(),
            similar.score[found].tolist(),
            similar.source[found].tolist(),
            strict=True,
        )
        if may[code]
    ]
    return choices[:n]


def filled(n: int, *kinds: Iterable[Choice]) -> list[Choice]:
    """The first n products of several lists after one another, each product once."""
    chosen: dict[int, Choice] = {}
    for kind in kinds:
        for choice in kind:
            if len(chosen) >= n:
                break
            chosen.setdefault(choice.product, choice)
    return list(chosen.values())


def codes_of(publication: Publication, product_ids: Sequence[str]) -> tuple[int, ...]:
    """Codes of products, each once; those we don't know are left out."""
    codes = publication.products.codes
    return tuple(dict.fromkeys(codes[p] for p in product_ids if p in codes))


def _weights(publication: Publication, asked: Asked, rules: Rules) -> Any:
    """The customer's interactions with what they do now, as one CSR row over the model's columns;
    None where there are none."""
    scorer = publication.scorer
    if scorer is None:
        return None
    own = publication.interactions.slices.of(asked.customer)
    codes = np.concatenate(
        [
            publication.interactions.product[own],
            np.array([*asked.cart, *asked.viewed], dtype=np.int32),
        ]
    )
    values = np.concatenate(
        [
            publication.interactions.weight[own],
            np.full(len(asked.cart), rules.cart, dtype=np.float32),
            np.full(len(asked.viewed), rules.view, dtype=np.float32),
        ]
    )
    columns = scorer.column_of[codes]
    known = (columns >= 0) & (values > 0)
    if not known.any():
        return None
    return csr((values[known], columns[known], [0, int(known.sum())]), len(scorer.code_of))


def _mixed(
    publication: Publication, best: list[Choice], rules: Rules, one_category: bool
) -> list[Choice]:
    """Those beyond the most of their category or brand after all others, as a list that would be
    short otherwise needs them."""
    within: list[Choice] = []
    beyond: list[Choice] = []
    taken: Counter[tuple[str, str]] = Counter()
    for choice in best:
        product = publication.products.shown[choice.product]
        kinds = [("brand", product.brand, rules.per_brand)]
        if not one_category:
            kinds.append(("category", product.category, rules.per_category))
        limited = [((what, name), most) for what, name, most in kinds if name and most]
        if any(taken[kind] >= most for kind, most in limited):
            beyond.append(choice)
            continue
        taken.update(kind for kind, _ in limited)
        within.append(choice)
    return within + beyond


def _reasons(publication: Publication, asked: Asked) -> dict[int, str]:
    """Why a product fits, by product: what is in the cart first, then what was just viewed, then
    what the published list says."""
    reasons: dict[int, str] = {}
    for words, products in ((IN_CART, asked.cart), (VIEWED, asked.viewed)):
        for product in products:
            name = publication.products.shown[product].name
            if name:
                near = publication.similar.product[publication.similar.slices.of(product)]
                for other in near.tolist():
                    reasons.setdefault(other, words.format(name))
    mine = publication.lists.slices.of(asked.customer)
    for code, reason in zip(
        publication.lists.product[mine].tolist(),
        publication.lists.reason[mine].tolist(),
        strict=True,
    ):
        if reason >= 0:
            reasons.setdefault(code, publication.reasons[reason])
    return reasons
