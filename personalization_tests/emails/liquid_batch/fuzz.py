"""A search for templates and rows on which compiled code and python-liquid disagree.

    python -m personalization_tests.emails.liquid_batch.fuzz --seconds 600 --seed 7

Prints a case for each disagreement, as small as it could be made, and ends with status 1.
"""

import argparse
import itertools
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

from personalization_assets.emails import liquid_batch
from personalization_assets.emails.liquid_batch import AbortMail, BatchEnvironment, Limits, filters
from personalization_assets.emails.liquid_batch.columns import merged
from personalization_assets.emails.liquid_batch.runtime import Memo
from personalization_assets.emails.liquid_batch.template import EXPECTED, described
from personalization_tests.emails.liquid_batch import data
from personalization_tests.emails.liquid_batch.grammar import Grammar

NOW = datetime(2026, 11, 1, 8, 30)
EXTRA = {
    "money": filters.money("EUR", "en"),
    "number": filters.number("nl"),
    "utm": filters.utm({"utm_source": "mail", "utm_campaign": "a b"}),
}
Outcome = tuple[str, str | None, str | None, int]
"""Status, text, reason, and outputs that had nothing to print."""


@dataclass(frozen=True)
class Case:
    """A template, what it is rendered with, and how."""

    template: str
    partials: Mapping[str, str]
    rows: list[dict[str, Any]]
    typed: bool
    """Whether rows are Arrow data of `data.CONTRACT`, or mappings of anything."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    profile: liquid_batch.environment.Profile = "shopify"
    html: bool = False
    limits: Limits = field(default_factory=Limits)
    memo_bytes: int | None = None
    """What each memory of texts may hold, where it is not the usual."""

    def environment(self) -> BatchEnvironment:
        """Where the template is parsed: all of python-liquid's syntax is on."""
        env = BatchEnvironment(
            html=self.html,
            now=NOW,
            profile=self.profile,
            limits=self.limits,
            partials=self.partials,
            extra_filters=EXTRA,
        )
        env.ternary_expressions = env.logical_not_operator = env.logical_parentheses = True
        return env


class Surprise(Exception):  # noqa: N818
    """python-liquid failed with something that is no failure of a template."""


def wanted(template: BoundTemplate, row: Mapping[str, Any]) -> Outcome:
    """What python-liquid makes of a row."""
    env = template.env
    assert isinstance(env, BatchEnvironment)
    env.holes = 0
    try:
        text = template.render(row)
    except AbortMail as stop:
        return "aborted", None, str(stop), 0
    except EXPECTED as error:
        return "error", None, described(error), 0
    except Exception as error:
        raise Surprise(repr(error)) from error
    return "rendered", text, None, env.holes


def got(compiled: liquid_batch.CompiledTemplate, case: Case) -> list[Outcome]:
    """What compiled code makes of the rows, all at once, and again now that it remembers them."""
    outcomes = []
    if case.typed:
        batch = data.batch(case.rows)
        for part in (batch, batch.slice(len(case.rows) // 2)):
            result = compiled.render(part)
            result.validate(full=True)
            for made in result.to_pylist():
                outcomes.append((made["status"], made["text"], made["reason"], made["holes"]))
        return outcomes
    for done in (*compiled.render_rows(case.rows), *compiled.render_rows(case.rows)):
        outcomes.append((done.status, done.text, done.reason, done.holes))
    return outcomes


def limit_memos(compiled: liquid_batch.CompiledTemplate, size: int) -> None:
    """Let compiled code remember less, so that it forgets within a test."""
    constants = compiled._run.__globals__ if compiled._run is not None else {}  # type: ignore[attr-defined]
    for memo in constants.values():
        if isinstance(memo, Memo):
            memo.limit = size


def whole(outcome: Outcome) -> Outcome:
    """The outcome without halves of characters, which Arrow can't hold."""
    status, text, *rest = outcome
    return (status, text.encode("utf-8", "replace").decode() if text else text, *rest)  # type: ignore[return-value]


def disagreement(case: Case, seen: Counter[str] | None = None) -> str | None:
    """How compiled code and python-liquid disagree; None where they agree.

    Raises:
        LiquidError: the template is not Liquid.
        Surprise: python-liquid can't be compared with.
    """
    env = case.environment()
    template = env.from_string(case.template)
    for partial in case.partials.values():
        env.from_string(partial)
    rows = data.batch(case.rows).to_pylist() if case.typed else case.rows
    expected = [wanted(template, merged(case.constants, row)) for row in rows]
    contract = data.CONTRACT if case.typed else None
    try:
        compiled = liquid_batch.compile(template, contract, case.constants)
        if case.memo_bytes is not None:
            limit_memos(compiled, case.memo_bytes)
        found = got(compiled, case)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    if seen is not None:
        report = compiled.report
        seen["templates"] += 1
        seen["compiled"] += report.compiled
        seen["rows"] += len(found)
        seen["sent back"] += report.sent_back
        for cause, count in report.causes.items():
            if "though" in cause:
                seen[f"sent back for nothing: {cause}"] += count
        seen["failed"] += sum(e[0] == "error" for e in expected)
        seen[f"not compiled: {re.sub('[0-9]+', 'N', report.why_not)}"] += not report.compiled
    again = expected[len(rows) // 2 :] if case.typed else expected
    for place, (want, have) in enumerate(zip([*expected, *again], found, strict=True)):
        if (whole(want) if case.typed else want) != have:
            turn = "" if place < len(rows) else ", the second time"
            return f"row {place % len(rows)}{turn}\n  python-liquid {want}\n  compiled      {have}"
    return None


# --- making cases --------------------------------------------------------------------------------

LIMITS = (
    Limits(),
    Limits(),
    Limits(loop_turns=50, local_bytes=2000, output_bytes=500),
    Limits(loop_turns=12),
    Limits(local_bytes=300),
    Limits(output_bytes=60),
    Limits(depth=6),
    Limits(output_bytes=None),
)


def make(seed: int) -> Case:
    """The case of a seed."""
    rng = random.Random(seed)
    template, partials = Grammar(rng).template()
    typed = rng.random() < 0.5
    rows = (data.typed_rows if typed else data.odd_rows)(rng, rng.choice((1, 4, 8)))
    known = rng.random()
    constants: dict[str, Any] = dict(data.CONSTANTS) if known < 0.6 else {}
    if not typed and known > 0.8:
        rows = [{**data.CONSTANTS, **row} for row in rows]
    if not typed and constants:
        rows = [{k: v for k, v in row.items() if k not in constants} for row in rows]
    return Case(
        template,
        partials,
        rows,
        typed,
        constants,
        profile=rng.choice(("shopify", "shopify", "python-liquid")),
        html=rng.random() < 0.5,
        limits=rng.choice(LIMITS),
        memo_bytes=rng.choice((None, None, 300)),
    )


def search(seeds: Iterable[int], seen: Counter[str]) -> Iterator[tuple[int, Case, str]]:
    """Cases on which there is disagreement."""
    for seed in seeds:
        case = make(seed)
        try:
            trouble = disagreement(case, seen)
        except LiquidError:
            seen["not Liquid"] += 1
            continue
        except Surprise as surprise:
            seen[f"python-liquid broke: {surprise}"] += 1
            continue
        if trouble is not None:
            yield seed, case, trouble


# --- making cases small --------------------------------------------------------------------------

PIECE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|[^{]+|\{", re.DOTALL)
PART = re.compile(
    r" \| [^|}%]+| (?:and|or) [^}%]+|\b(?:limit|offset|cols): ?\S+|reversed|, [^,}%|]+"
)


def smaller(case: Case, seconds: float = 20) -> Case:
    """The same disagreement with less around it, as far as it comes in the time."""
    until = time.monotonic() + seconds

    def fails(other: Case) -> bool:
        try:
            return disagreement(other) is not None
        except (LiquidError, Surprise):
            return False

    shrunk = True
    while shrunk and time.monotonic() < until:
        shrunk = False
        for other in _less(case):
            if time.monotonic() > until:
                break
            if fails(other):
                case, shrunk = other, True
                break
    return case


def _less(case: Case) -> Iterator[Case]:
    for n in {1, len(case.rows) // 2, len(case.rows) - 1} - {0, len(case.rows)}:
        for chosen in itertools.combinations(case.rows, n):
            yield replace(case, rows=list(chosen))
    for text in _shorter(case.template):
        yield replace(case, template=text)
    for name, partial in case.partials.items():
        if partial:
            yield replace(case, partials={**case.partials, name: ""})
        for text in _shorter(partial):
            yield replace(case, partials={**case.partials, name: text})
    if case.constants:
        yield replace(case, constants={})
    if case.html:
        yield replace(case, html=False)
    if case.memo_bytes is not None:
        yield replace(case, memo_bytes=None)
    if case.limits != Limits():
        yield replace(case, limits=Limits())
    for place, row in enumerate(case.rows):
        for less in _plainer(row, case.typed):
            yield replace(case, rows=[*case.rows[:place], less, *case.rows[place + 1 :]])


def _shorter(text: str) -> Iterator[str]:
    pieces = PIECE.findall(text)
    for length in range(len(pieces), 0, -1):
        for start in range(len(pieces) - length + 1):
            yield "".join(pieces[:start] + pieces[start + length :])
    for first, last in itertools.combinations(range(len(pieces)), 2):
        if pieces[first].startswith("{%") and pieces[last].startswith("{%"):
            yield "".join(pieces[:first] + pieces[first + 1 : last] + pieces[last + 1 :])
    for found in PART.finditer(text):
        yield text[: found.start()] + text[found.end() :]


def _plainer(row: Mapping[str, Any], typed: bool) -> Iterator[dict[str, Any]]:
    for name, value in row.items():
        if not typed:
            yield {k: v for k, v in row.items() if k != name}
        elif value is not None and name != "links":
            yield {**row, name: None}
    for name, value in row.items():
        if isinstance(value, dict):
            for inner in _plainer(value, typed):
                yield {**row, name: inner}
        elif isinstance(value, list) and value:
            for place in range(len(value)):
                yield {**row, name: value[:place] + value[place + 1 :]}
            for place, item in enumerate(value):
                if isinstance(item, dict):
                    for inner in _plainer(item, typed):
                        yield {**row, name: [*value[:place], inner, *value[place + 1 :]]}


def told(seed: int, case: Case, trouble: str) -> str:
    """A case as text that can be run again."""
    used = {n: t for n, t in case.partials.items() if n in case.template or t}
    lines = [
        f"seed {seed}: {trouble}",
        f"  template  {case.template!r}",
        f"  partials  {used!r}",
        f"  rows      {[{k: v for k, v in r.items() if v is not None} for r in case.rows]!r}",
        f"  constants {dict(case.constants)!r}",
        f"  {'typed' if case.typed else 'mappings'}, {case.profile}, html={case.html}",
        f"  {case.limits}, memo_bytes={case.memo_bytes}",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seconds", type=float, default=60, help="processor time")
    parser.add_argument("--seed", type=int, default=0, help="where the search begins")
    parser.add_argument("--most", type=int, default=10, help="stop after so many disagreements")
    given = parser.parse_args()
    until = time.process_time() + given.seconds
    start = given.seed * 10_000_000
    seeds = itertools.takewhile(lambda _: time.process_time() < until, itertools.count(start))
    seen: Counter[str] = Counter()
    found = 0
    for seed, case, trouble in search(seeds, seen):
        found += 1
        less = smaller(case)
        print(told(seed, less, disagreement(less) or trouble), "\n", flush=True)
        if found >= given.most:
            break
    for name, count in sorted(seen.items(), key=lambda pair: -pair[1]):
        print(f"{count:>9,} {name}")
    print(f"{found:>9,} disagreements")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
