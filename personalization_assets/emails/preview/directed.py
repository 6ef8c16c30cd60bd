"""Scenarios for the branches of a campaign's own templates.

A search in place of a solver: start from a context that came close (it reached the branch before,
or the one around it), change what the condition depends on to the values that it is compared with
and their neighbours, one place at a time, then two, then three, and ask the template itself. So
whatever a condition is made of, filters and loops included, is tried in the same way, and a
scenario is only kept if it does reach its branch.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations, islice, product
from typing import Any

import pyarrow as pa

from personalization_assets.emails.preview.branches import Branch, Target, Traced
from personalization_assets.emails.preview.depends import type_at
from personalization_assets.emails.preview.scenarios import (
    LISTS,
    NEVER_NULL,
    Location,
    Maker,
    Scenario,
)
from personalization_assets.emails.preview.values import Context

MOST_TRIES = 300
"""Contexts that are tried for one branch, from each start."""
MOST_CHANGES = 3
DERIVED = {("mail", name) for name in ("subject", "preheader", "send_id", "variant", "year")} | {
    ("customer", "customer_id"),
    ("customer", "email"),
}
"""Places that no scenario sets."""
WORDS: Mapping[str, tuple[str, ...]] = {
    "loyalty_tier": ("bronze", "silver", "gold", "platinum"),
    "engagement_level": ("high", "medium", "low", "dormant", "new"),
    "source": ("als", "repeat", "category", "popular"),
    "country": ("IE", "DE", "US"),
    "regional_offer": ("Free delivery to Ireland this week.",),
}
SIGNS = {"==": "is", "!=": "is not", "<=": "at most", ">=": "at least", "<": "below", ">": "above"}


@dataclass
class Found:
    """The scenarios of a campaign, and which branches each of them reaches, by key."""

    scenarios: list[Scenario]
    reached: dict[str, set[Branch]]
    by_branch: dict[Branch, Context] = field(default_factory=dict)

    def add(self, scenario: Scenario, reached: set[Branch]) -> None:
        """Note a scenario."""
        self.scenarios.append(scenario)
        self.reached[scenario.key] = reached
        for branch in sorted(reached, key=_place):
            self.by_branch.setdefault(branch, scenario.context)


def find_scenarios(
    maker: Maker,
    variants: Sequence[Traced],
    given: Sequence[Scenario],
    constants: Mapping[str, Any],
) -> Found:
    """`given` (the first one is `typical`), and scenarios for branches that none of them reaches,
    as far as some context can reach them."""

    def run(context: Context) -> set[Branch]:
        whole = {**constants, **context}
        return {branch for traced in variants for branch in traced.run(whole)}

    found = Found([], {})
    for scenario in given:
        found.add(scenario, run(scenario.context))
    targets = {t.branch: (t, traced) for traced in variants for t in traced.targets.values()}
    tried: set[tuple[Branch, int]] = set()
    before = -1
    while before < len(found.scenarios):  # a branch that is found brings others within reach
        before = len(found.scenarios)
        for branch, (target, traced) in targets.items():
            if branch in found.by_branch:
                continue
            context = _search(maker, target, traced, found, constants, run, tried)
            if context is not None:
                key = _key(branch, found.reached)
                scenario = Scenario(key, _title(branch), context, "branch")
                found.add(scenario, run(context))
    return found


def _search(
    maker: Maker,
    target: Target,
    traced: Traced,
    found: Found,
    constants: Mapping[str, Any],
    run: Callable[[Context], set[Branch]],
    tried: set[tuple[Branch, int]],
) -> Context | None:
    """A context that reaches the target. `tried` are the starts (by identity) that led nowhere."""
    typical = found.scenarios[0].context
    near = [found.by_branch[b] for b in target.near if b in found.by_branch]
    starts = [s for i, s in enumerate([*near, typical]) if s not in near[:i]][:4]
    for start in starts:
        if (target.branch, id(start)) in tried:
            continue
        tried.add((target.branch, id(start)))
        for changes in islice(_changes(maker, target), MOST_TRIES):
            context = copy.deepcopy(start)
            try:
                for location, value in changes:
                    maker.put(context, location, value)
                maker.settle(context)
            except (LookupError, TypeError):
                continue  # the place is not there: in a list that this context has no items in
            if target.branch in traced.run_part(target.part, {**constants, **context}) and (
                target.branch in run(context)
            ):
                return context
    return None


def _changes(maker: Maker, target: Target) -> Iterator[tuple[tuple[Location, Any], ...]]:
    """Changes of one place, then of two, then of three; those that matter most first."""
    places = {
        location: values
        for location, literals in target.knobs.items()
        if (values := candidates(maker, location, literals))
    }
    for count in range(1, MOST_CHANGES + 1):
        for chosen in combinations(places, count):
            for picked in product(*(places[location] for location in chosen)):
                yield tuple(zip(chosen, picked, strict=True))


def candidates(maker: Maker, location: Location, literals: Sequence[Any]) -> list[Any]:
    """Values to try at a place: what it is compared with, what is next to that, and the usual
    suspects of its type."""
    if location in DERIVED or location[0] not in ("customer", "mail", "cart", *LISTS):
        return []
    name = str(location[-1])
    kind = type_at(maker.contract, location)
    numbers = [n for n in literals if isinstance(n, int | float) and not isinstance(n, bool)]
    values: list[Any] = []
    if name == "size":
        counts = [n + d for n in (*map(int, numbers), 0, 2) for d in (0, 1, -1)]
        values = [n for n in counts if 0 <= n <= 50]
    elif pa.types.is_boolean(kind):
        values = [True, False]
    elif pa.types.is_integer(kind):
        values = [n + d for n in (*map(int, numbers), 0, 2) for d in (0, 1, -1)]
    elif pa.types.is_floating(kind):
        values = [float(n) + d for n in (*numbers, 0) for d in (0.0, 1.0, -1.0)]
    elif pa.types.is_string(kind):
        texts = [str(t) for t in literals if isinstance(t, str)]
        values = [*texts, *WORDS.get(name, ("Something else",)), *(f"a {t} b" for t in texts), ""]
    elif pa.types.is_timestamp(kind):
        values = [maker.as_of - timedelta(days=d) for d in (0, 1, 30, 400)]
    elif pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        values = [[str(t)] for t in literals if isinstance(t, str)] + [["Garden"], []]
    if name not in (*NEVER_NULL, "size") and location[0] != "mail":
        values.append(None)
    return [v for i, v in enumerate(values) if v not in values[:i] or isinstance(v, bool)]


def _key(branch: Branch, taken: Mapping[str, Any]) -> str:
    words = f"{branch.kind} {branch.text}"
    for sign, word in SIGNS.items():
        words = words.replace(f" {sign} ", f" {word} ")
    words = words.replace('""', "empty")
    key = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:56].strip("_")
    return next(k for n in range(1, 1000) if (k := key if n == 1 else f"{key}_{n}") not in taken)


def _title(branch: Branch) -> str:
    where = f"{branch.file.name} line {branch.line}"
    return f"{branch.words[0].upper()}{branch.words[1:]} ({where})"


def _place(branch: Branch) -> tuple[str, int, int, str]:
    return str(branch.file), branch.line, branch.column, branch.kind
