"""Learning how alike records of one person are, without labels.

Expectation maximisation over training blocks, with strangers and households held fixed as the other
two classes (see `populations`), so that couples who share a mailbox do not teach the model that
first names of one person differ. Splink's own EM knows two classes only; its model, scoring and
charts are used with what is learnt here. Prior probabilities count as a number of pairs, so small
data move them little and large data leave nothing of them.
"""

import hashlib
import json
from dataclasses import replace

import duckdb
import numpy as np
from numpy.typing import NDArray

from personalization_assets.identity.blocking import block_sql, with_affordable_rules
from personalization_assets.identity.comparison import Comparison, ComparisonSet, filled_shares
from personalization_assets.identity.frequencies import learn_frequencies
from personalization_assets.identity.model import Household, Levels, Model, significant
from personalization_assets.identity.populations import (
    NAME_COLUMNS,
    learn_households,
    learn_strangers,
    number,
    thinned,
)
from personalization_assets.identity.settings import IdentitySettings

TRAINING_SETTINGS = {
    "max_block_size",
    "junk_names",
    "mass_date_factor",
    "mass_date_minimum",
    "minimum_records",
    "minimum_filled",
    "sample_records",
    "prior_pairs",
    "em_max_pairs",
    "em_iterations",
    "em_prior_pairs",
    "retrain",
    "seed",
}


def train(
    work: duckdb.DuckDBPyConnection,
    comparisons: ComparisonSet,
    settings: IdentitySettings,
    signature: str = "",
) -> Model:
    """A model for the table `nodes` of the connection (see `normalise.prepare`).

    Never fails for lack of data: what can't be learnt keeps its prior and `notes` says so.
    """
    count = number(work, "SELECT count(*) FROM nodes")
    usable, notes = comparisons.reduced(filled_shares(work), settings.minimum_filled)
    usable = with_affordable_rules(work, usable, settings)
    pairs = max(count * (count - 1) / 2, 1.0)
    if count < settings.minimum_records or not usable.comparisons:
        notes.append(
            f"{int(count)} distinct records are too few to learn from: prior probabilities stand"
        )
        m, u, own = _priors(usable, "m"), _priors(usable, "u"), None
        share = _prior_share(count)
        house = None
    else:
        u = learn_strangers(work, usable, settings)
        house = learn_households(work, usable, u, settings, pairs)
        m, learnt, matched = _one_person(work, usable, u, house, settings)
        notes += [f"no training pairs for {name}: prior probabilities stand" for name in learnt]
        if house and house.address_as_one:
            house = replace(house, levels={**house.levels, "address": m["address"]})
        share = _deterministic_share(work, usable, settings, pairs, count)
        share, house = _shares(work, usable, m, u, house, share, settings, pairs)
        own = _own_namesakes(work, matched, settings)
        if house is None:
            notes.append("no street addresses or names to learn households from")
    return Model(
        comparisons=usable,
        share=significant(share),
        m=_rounded(m),
        u=_rounded(u),
        household=None
        if house is None
        else Household(significant(house.share), _rounded(house.levels)),
        records=int(count),
        signature=signature,
        notes=tuple(notes),
        frequencies=learn_frequencies(work, _name_columns(usable), own),
    )


def signature(
    work: duckdb.DuckDBPyConnection, comparisons: ComparisonSet, settings: IdentitySettings
) -> str:
    """What a model depends on besides the data: comparisons, settings, columns in use."""
    usable, _ = comparisons.reduced(filled_shares(work), settings.minimum_filled)
    text = json.dumps(
        [usable.model_dump(), settings.model_dump(include=TRAINING_SETTINGS)], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def needs_training(
    work: duckdb.DuckDBPyConnection, current: Model, sign: str, settings: IdentitySettings
) -> bool:
    """Whether the current model is of other settings, other columns or a far smaller shop."""
    count = number(work, "SELECT count(*) FROM nodes")
    outgrown = count > max(current.records, 1) * settings.retrain_growth
    enough_now = current.records < settings.minimum_records <= count
    return current.signature != sign or outgrown or enough_now


# ---------------------------------------------------------------- one person


def _one_person(
    work: duckdb.DuckDBPyConnection,
    usable: ComparisonSet,
    u: Levels,
    house: Household | None,
    settings: IdentitySettings,
) -> tuple[Levels, list[str], dict[tuple[str, ...], float]]:
    """m by EM over all training blocks at once; each block is silent on what it blocks on.

    Also the comparisons that no block could teach, and how many pairs of one person each block
    holds.
    """
    found = [(tuple(r), _training_block(work, usable, r, settings)) for r in usable.training]
    rules = [rule for rule, b in found if b is not None and len(b[0])]
    blocks = [b for _, b in found if b is not None and len(b[0])]
    m = _priors(usable, "m")
    prior = _priors(usable, "m")
    start = [0.6, 0.1, 0.3] if house else [0.6, 0.0, 0.4]
    class_shares = [np.array(start) for _ in blocks]
    seen: set[str] = set()
    for _ in range(settings.em_iterations):
        sums = {
            c.name: {n: prior[c.name][n] * settings.em_prior_pairs for n, _ in c.scored}
            for c in usable.comparisons
        }
        for b, block in enumerate(blocks):
            patterns, counts, active, _ = block
            weights = (
                np.stack(
                    [
                        _likelihood(patterns, usable, active, m),
                        _likelihood(patterns, usable, active, house.levels if house else u),
                        _likelihood(patterns, usable, active, u),
                    ],
                    axis=1,
                )
                * class_shares[b]
            )
            belongs = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
            mass = belongs * counts[:, None]
            class_shares[b] = (mass.sum(axis=0) + start) / (counts.sum() + 1)
            for j, comparison in enumerate(usable.comparisons):
                if comparison.name not in active:
                    continue
                seen.add(comparison.name)
                for n, _level in comparison.scored:
                    sums[comparison.name][n] += float(mass[patterns[:, j] == n, 0].sum())
        m = {name: _normal(by) for name, by in sums.items()}
    unlearnt = [c.name for c in usable.comparisons if c.name not in seen]
    matched = {
        rule: float(class_shares[b][0] * blocks[b][1].sum() * blocks[b][3])
        for b, rule in enumerate(rules)
    }
    return m, unlearnt, matched


def _own_namesakes(
    work: duckdb.DuckDBPyConnection,
    matched: dict[tuple[str, ...], float],
    settings: IdentitySettings,
) -> float | None:
    """How many other nodes of the same person and the same full name a node has on average."""
    pairs = matched.get(("first_name", "last_name"))
    if pairs is None:
        return None
    named = number(
        work,
        f"""SELECT sum(n) FROM (SELECT count(*) AS n FROM nodes WHERE full_name IS NOT NULL
        GROUP BY first_name, last_name HAVING count(*) <= {settings.max_block_size})""",
    )
    return significant(2 * pairs / max(named, 1.0))


def _name_columns(usable: ComparisonSet) -> list[str]:
    """Columns whose agreement counts by how common the value is."""
    return sorted({level.tf for c in usable.comparisons for level in c.levels if level.tf})


Block = tuple[NDArray[np.int64], NDArray[np.float64], set[str], float]


def _training_block(
    work: duckdb.DuckDBPyConnection,
    usable: ComparisonSet,
    rule: list[str],
    settings: IdentitySettings,
) -> Block | None:
    """Patterns of gammas among pairs that share the rule's columns, with their counts.

    The third part names the comparisons that are independent of the rule, the fourth says how many
    pairs one of them stands for.
    """
    related = set(rule)
    active = {c.name for c in usable.comparisons if not _touches(c, related)}
    if not active:
        return None
    source, stands_for = thinned(work, rule, settings)
    gammas = ", ".join(f"{c.gamma_sql()} AS gamma_{c.name}" for c in usable.comparisons)
    names = ", ".join(f"gamma_{c.name}" for c in usable.comparisons)
    rows = work.sql(
        f"""
        WITH scored AS (
            SELECT {gammas}
            FROM ({block_sql(rule, settings.max_block_size, source)}) AS p
            JOIN nodes AS l ON l.unique_id = p.l JOIN nodes AS r ON r.unique_id = p.r
        )
        SELECT {names}, count(*) FROM scored GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    width = len(usable.comparisons) + 1
    table = np.array(rows, dtype=np.int64).reshape(-1, width)
    return table[:, :-1], table[:, -1].astype(np.float64), active, stands_for


def _touches(comparison: Comparison, columns: set[str]) -> bool:
    families = [
        NAME_COLUMNS | {"names", "last_start", "name_starts"},
        {"email", "email_local", "email_domain", "email_handle", "email_start"},
        {"dob"},
        {"phone"},
        {"device"},
        {"street", "house_no", "postcode", "city"},
    ]
    needs = set(comparison.needs)
    return bool(needs & columns) or any(needs & f and columns & f for f in families)


def _likelihood(
    patterns: NDArray[np.int64], usable: ComparisonSet, active: set[str], levels: Levels
) -> NDArray[np.float64]:
    result = np.ones(len(patterns))
    for j, comparison in enumerate(usable.comparisons):
        if comparison.name in active:
            table = np.ones(len(comparison.scored) + 1)  # the last place serves gamma -1
            for n, p in levels[comparison.name].items():
                table[n] = p
            result *= table[patterns[:, j]]
    return result


# ---------------------------------------------------------------- shares of the classes


def _deterministic_share(
    work: duckdb.DuckDBPyConnection,
    usable: ComparisonSet,
    settings: IdentitySettings,
    pairs: float,
    count: float,
) -> float:
    """Share of pairs that agree on a deterministic rule, corrected by the rules' recall."""
    rules = [block_sql(rule, settings.max_block_size) for rule in usable.deterministic]
    if not rules:
        return _prior_share(count)
    found = number(work, f"SELECT count(*) FROM ({' UNION '.join(rules)})")
    return min(max(found / usable.deterministic_recall, 1.0) / pairs, 0.1)


def _shares(
    work: duckdb.DuckDBPyConnection,
    usable: ComparisonSet,
    m: Levels,
    u: Levels,
    house: Household | None,
    share: float,
    settings: IdentitySettings,
    pairs: float,
) -> tuple[float, Household | None]:
    """Correct the share of matches by what the model itself says of the candidate pairs."""
    rules = [block_sql(rule, settings.max_block_size) for rule in usable.blocking]
    if not rules:
        return share, house
    # Pairs are thinned by their left record, so at most about em_max_pairs are read.
    work.execute(f"CREATE OR REPLACE TABLE pairs AS {' UNION '.join(rules)}")
    total = number(work, "SELECT count(*) FROM pairs")
    part = min(1.0, settings.em_max_pairs / max(total, 1))
    gammas = ", ".join(f"{c.gamma_sql()} AS gamma_{c.name}" for c in usable.comparisons)
    names = ", ".join(f"gamma_{c.name}" for c in usable.comparisons)
    rows = work.sql(
        f"""
        WITH scored AS (
            SELECT {gammas} FROM pairs AS p
            JOIN nodes AS l ON l.unique_id = p.l JOIN nodes AS r ON r.unique_id = p.r
            WHERE ('0x' || md5(p.l || ':s{settings.seed}')[1:8])::UBIGINT < {part * 2**32:.0f}
        )
        SELECT {names}, count(*) FROM scored GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    table = np.array(rows, dtype=np.int64).reshape(-1, len(usable.comparisons) + 1)
    patterns, counts = table[:, :-1], table[:, -1] / part
    active = {c.name for c in usable.comparisons}
    like = [_likelihood(patterns, usable, active, levels) for levels in (m, u)]
    home = _likelihood(patterns, usable, active, house.levels) if house else np.zeros(len(counts))
    home_share = house.share if house else 0.0
    for _ in range(settings.em_iterations):
        mine = share * like[0]
        rest = home_share * home + (1 - share - home_share) * like[1]
        found = float((counts * mine / np.maximum(mine + rest, 1e-300)).sum())
        share = min(max(found, 1.0) / pairs, 0.2)
    return share, house


# ---------------------------------------------------------------- small things


def _priors(usable: ComparisonSet, which: str) -> Levels:
    return {
        c.name: _normal({n: getattr(level, which) for n, level in c.scored})
        for c in usable.comparisons
    }


def _prior_share(count: float) -> float:
    """As many pairs of one person as there are records."""
    return min(0.1, 2 / max(count, 20.0))


def _normal(weights: dict[int, float]) -> dict[int, float]:
    total = sum(weights.values())
    return {n: w / total for n, w in weights.items()}


def _rounded(levels: Levels) -> Levels:
    return {
        name: {n: significant(max(p, 1e-9)) for n, p in by.items()} for name, by in levels.items()
    }
