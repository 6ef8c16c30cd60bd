"""From candidates to places: one pass over the customers, compiled.

A list is filled place by place with the model's candidates, by maximal marginal relevance. What is
to be bought again is among them, up to its cap; where none has come up by the third place, or not
two by the seventh and so on, that place goes to the next. Every fourth place from the sixth on
goes to a new product, as long as there are any. Where candidates run out, what is left to buy again
follows, then best sellers, ladder by ladder.

No category or brand gets more places than its cap, nothing costs more than the customer's limit,
nothing is shown once more that was shown too often. Only if that leaves a list short do these rules
fall, for the places that are left: everybody has a full list.

Method: Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking" (1998). The worth of a
candidate is (1 - d) x relevance - d x likeness to the most similar product listed already.
Relevance runs from 0 for the worst to 1 for the best candidate of a customer. Likeness is the mean
of what is known of three: same category (0 or 1), same brand (0 or 1), the model's similarity (0
where a candidate is not among the nearest of what is listed).
"""

from typing import Any

import numpy as np

from personalization_assets.recommendations.compiling import compiled
from personalization_assets.recommendations.lists.arrays import Lists, People, Rules, Shop

STEPS = (
    ("new", "category 1"),
    ("new", "category 2"),
    ("new", "category 3"),
    ("new_of_brand", "brand"),
    ("category", "category 1"),
    ("category", "category 2"),
    ("category", "category 3"),
    ("region", "region"),
    ("country", "country"),
    ("popular", ""),
)
"""The ladders of a customer in order: what kind, and what of the customer names it. Places for new
products go down the first four; whoever has places left goes down the others."""

NEW_STEPS = 4

AGAIN, MODEL, FIRST_STEP = 0, 1, 2
"""Sources in the output: what was to be bought again, the model's, then one for each of `STEPS`."""

LOOK_BACK = 20
"""So many of a customer's products, by weight, can be named as the reason."""

ALIKE = 0.3
"""Likeness by the model from which one product may be named as the reason for another; 1 is what
it is most like. On the sample shop 57 of 100 reasons are then of the product's own category: by
chance it would be 32, and the best choice among a customer's products 62."""

KEPT_RUNGS = 1000
"""Caps and limit are kept among so many best sellers of a ladder: the search for one that still
fits must end where a single brand is nearly the whole shop."""

_STEPS = len(STEPS)


@compiled
def choose(shop: Shop, people: People, rules: Rules) -> Lists:
    """Fill the lists of a batch. Nobody's list depends on who else is in the batch."""
    rows, length = len(people.spread), rules.length
    product = np.full((rows, length), -1, dtype=np.int64)
    source = np.zeros((rows, length), dtype=np.int8)
    score = np.zeros((rows, length), dtype=np.float64)
    relaxed = np.zeros((rows, length), dtype=np.bool_)
    because = np.full((rows, length), -1, dtype=np.int64)
    next_rung = np.zeros(_STEPS, dtype=np.int64)
    near = np.zeros(len(shop.category), dtype=np.float32)
    reserve_product = np.full((rows, rules.reserve), -1, dtype=np.int64)
    reserve_score = np.zeros((rows, rules.reserve), dtype=np.float64)
    reserve_because = np.full((rows, rules.reserve), -1, dtype=np.int64)
    for row in range(rows):
        first, last = people.model_start[row], people.model_start[row + 1]
        relevance = _relevance(shop, people, rules, row)
        likeness = np.zeros(last - first, dtype=np.float32)
        heaviest = _heaviest(people, row)
        repeats = _repeats(people, row)
        size = new = again = 0
        for attempt in range(2):
            free = attempt == 1
            next_again = people.again_start[row]
            next_rung[:] = 0
            while size < length:
                listed = product[row, :size]
                chosen, kind, worth = -1, AGAIN, 0.0
                may_repeat = free or again < rules.repeat_cap
                if may_repeat and size % 4 == 2 and again <= size // 4:
                    chosen, worth, next_again = _again(
                        shop, people, rules, row, listed, free, next_again
                    )
                if chosen < 0 and size % 4 == 1 and size > 4 and new < rules.new_places:
                    chosen, kind, worth = _down_the_ladders(
                        shop, people, rules, row, listed, free, next_rung, 0, NEW_STEPS
                    )
                    new += chosen >= 0
                if chosen < 0:
                    place = _best_candidate(
                        shop,
                        people,
                        rules,
                        row,
                        listed,
                        free,
                        relevance,
                        likeness,
                        repeats,
                        may_repeat,
                    )
                    if place >= 0:
                        chosen = people.model_product[first + place]
                        if repeats[place] > 0:
                            kind, worth = AGAIN, repeats[place]
                        else:
                            kind, worth = MODEL, float(people.model_score[first + place])
                if chosen < 0 and may_repeat:
                    kind = AGAIN
                    chosen, worth, next_again = _again(
                        shop, people, rules, row, listed, free, next_again
                    )
                if chosen < 0:
                    chosen, kind, worth = _down_the_ladders(
                        shop, people, rules, row, listed, free, next_rung, NEW_STEPS, _STEPS
                    )
                if chosen < 0:
                    break
                product[row, size], source[row, size] = chosen, kind
                score[row, size], relaxed[row, size] = worth, free
                _mark(shop, chosen, near, True)
                if kind == MODEL:
                    because[row, size] = _because(people, row, chosen, near, heaviest)
                if rules.diversity > 0:
                    _update(shop, people, row, chosen, near, likeness)
                _mark(shop, chosen, near, False)
                again += kind == AGAIN
                size += 1
        more, listed, strict = 0, product[row, :size], np.bool_(False)
        for i in range(first, last):
            chosen = people.model_product[i]
            if (
                more < rules.reserve
                and repeats[i - first] == 0
                and _fits(shop, people, rules, row, listed, strict, chosen)
            ):
                reserve_product[row, more] = chosen
                reserve_score[row, more] = people.model_score[i]
                _mark(shop, chosen, near, True)
                reserve_because[row, more] = _because(people, row, chosen, near, heaviest)
                _mark(shop, chosen, near, False)
                more += 1
    return Lists(
        product, source, score, relaxed, because, reserve_product, reserve_score, reserve_because
    )


@compiled
def _relevance(shop: Shop, people: People, rules: Rules, row: int) -> Any:
    """Scores of the model's candidates from 0 to 1, and more in categories said to be liked."""
    first, last = people.model_start[row], people.model_start[row + 1]
    relevance = np.zeros(last - first, dtype=np.float32)
    if last > first:
        most, least = people.model_score[first], people.model_score[last - 1]
        for i in range(last - first):
            if most > least:
                relevance[i] = (people.model_score[first + i] - least) / (most - least)
            category = shop.category[people.model_product[first + i]]
            if category >= 0 and people.stated[row, category]:
                relevance[i] += rules.stated_boost
    return relevance


@compiled
def _repeats(people: People, row: int) -> Any:
    """For each of the model's candidates its score among what is to be bought again, else 0."""
    first, last = people.model_start[row], people.model_start[row + 1]
    scores = np.zeros(last - first, dtype=np.float64)
    for i in range(people.again_start[row], people.again_start[row + 1]):
        for place in range(last - first):
            if people.model_product[first + place] == people.again_product[i]:
                scores[place] = people.again_score[i]
    return scores


@compiled
def _best_candidate(
    shop: Shop, people: People, rules: Rules, row: int, listed: Any, free: bool,
    relevance: Any, likeness: Any, repeats: Any, may_repeat: bool,
) -> int:  # fmt: skip
    """Place among the model's candidates of the one worth most, -1 if none is left."""
    first, best, most = people.model_start[row], -1, -np.inf
    for i in range(len(relevance)):
        worth = (1 - rules.diversity) * relevance[i] - rules.diversity * likeness[i]
        if repeats[i] > 0 and not may_repeat:
            continue
        if worth > most and _fits(
            shop, people, rules, row, listed, free, people.model_product[first + i]
        ):
            best, most = i, worth
    return best


@compiled
def _again(
    shop: Shop, people: People, rules: Rules, row: int, listed: Any, free: bool,
    start: int,
) -> tuple[int, float, int]:  # fmt: skip
    """The next product to buy again, its score, and where to go on."""
    for i in range(start, people.again_start[row + 1]):
        product = people.again_product[i]
        if _fits(shop, people, rules, row, listed, free, product):
            return product, people.again_score[i], i + 1
    return -1, 0.0, people.again_start[row + 1]


@compiled
def _down_the_ladders(
    shop: Shop, people: People, rules: Rules, row: int, listed: Any, free: bool,
    next_rung: Any, first_step: int, last_step: int,
) -> tuple[int, int, float]:  # fmt: skip
    """The next product of the ladders, its source and score. `next_rung` remembers where each is.

    Ladders of new products are gone down from the customer's own rung on, and round.
    """
    for step in range(first_step, last_step):
        ladder = people.steps[row, step]
        if ladder < 0:
            continue
        bottom = shop.ladder_start[ladder]
        rungs = shop.ladder_start[ladder + 1] - bottom
        spread = people.spread[row] if step < NEW_STEPS else 0
        deepest = rungs if free else min(rungs, KEPT_RUNGS)
        while next_rung[step] < deepest:
            rung = bottom + (next_rung[step] + spread) % rungs
            next_rung[step] += 1
            product = shop.ladder_product[rung]
            if _fits(shop, people, rules, row, listed, free, product):
                return product, FIRST_STEP + step, shop.ladder_score[rung]
    return -1, 0, 0.0


@compiled
def _fits(
    shop: Shop, people: People, rules: Rules, row: int, listed: Any, free: bool,
    product: int,
) -> bool:  # fmt: skip
    """Whether a product may take the next place; `free` of the rules that fall last."""
    category, brand = shop.category[product], shop.brand[product]
    same_category = same_brand = 0
    for other in listed:
        if other == product:
            return False
        same_category += category >= 0 and shop.category[other] == category
        same_brand += brand >= 0 and shop.brand[other] == brand
    if not free and (
        same_category >= rules.category_cap
        or same_brand >= rules.brand_cap
        or shop.price[product] > people.price_limit[row]
        or _place(people.tired_product, people.tired_start, row, product) >= 0
    ):
        return False
    return bool(_place(people.barred_product, people.barred_start, row, product) < 0)


@compiled
def _mark(shop: Shop, product: int, near: Any, on: bool) -> None:
    """Write the model's similarities of a product into an array over products, or wipe them."""
    if len(shop.alike_other):
        for i in range(shop.alike_start[product], shop.alike_start[product + 1]):
            near[shop.alike_other[i]] = shop.alike_score[i] if on else np.float32(0)


@compiled
def _update(shop: Shop, people: People, row: int, listed: int, near: Any, likeness: Any) -> None:
    """Raise the candidates' likeness to what is listed by that to a new entry, 0 to 1."""
    first = people.model_start[row]
    category, brand = shop.category[listed], shop.brand[listed]
    for i in range(len(likeness)):
        product = people.model_product[first + i]
        total, known = np.float32(0), 0
        if category >= 0 and shop.category[product] >= 0:
            total += shop.category[product] == category
            known += 1
        if brand >= 0 and shop.brand[product] >= 0:
            total += shop.brand[product] == brand
            known += 1
        if len(shop.alike_other):
            total += near[product]
            known += 1
        if known:
            likeness[i] = max(likeness[i], total / known)


@compiled
def _heaviest(people: People, row: int) -> Any:
    """The customer's products of the largest weights, largest first, at most `LOOK_BACK`."""
    first, last = people.pair_start[row], people.pair_start[row + 1]
    places = np.zeros(min(LOOK_BACK, last - first), dtype=np.int64)
    size = 0
    for i in range(first, last):
        weight = people.pair_weight[i]
        if size == len(places) and weight <= people.pair_weight[places[size - 1]]:
            continue
        size = min(size + 1, len(places))
        spot = size - 1
        while spot > 0 and people.pair_weight[places[spot - 1]] < weight:
            places[spot] = places[spot - 1]
            spot -= 1
        places[spot] = i
    return people.pair_product[places]


@compiled
def _because(people: People, row: int, product: int, near: Any, heaviest: Any) -> int:
    """The product itself where the customer had to do with it, else what is most like it."""
    if _place(people.pair_product, people.pair_start, row, product) >= 0:
        return product
    nearest, most = -1, ALIKE
    for theirs in heaviest:
        if near[theirs] >= most and (nearest < 0 or near[theirs] > most):
            nearest, most = theirs, near[theirs]
    return nearest


@compiled
def _place(values: Any, starts: Any, row: int, value: int) -> int:
    """Where a value is in a row of sorted values, -1 if it is not there."""
    low, high = starts[row], starts[row + 1]
    while low < high:
        middle = (low + high) // 2
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < starts[row + 1] and values[low] == value else -1
