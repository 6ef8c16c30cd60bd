"""How alike strangers are, and people who live together: the two classes that are not one person.

Strangers: a random sample holds too few pairs that share an e-mail address, and those few are
matches. So near-unique identifiers get their chance from pairs whose names conflict among all pairs
that share the identifier. Households: pairs that are certainly two people, in one home.
"""

import math

import duckdb

from personalization_assets.identity.blocking import (
    block_sql,
    filled,
    first_names_conflict,
    named,
    strangers,
)
from personalization_assets.identity.comparison import (
    Comparison,
    ComparisonSet,
    Level,
    filled_shares,
)
from personalization_assets.identity.model import Household, Levels
from personalization_assets.identity.settings import IdentitySettings

NAME_COLUMNS = {"first_name", "last_name", "first_canon", "first_initial"}
NOTHING_SHARED = ("email", "phone", "dob", "device", "street", "postcode")
FEW_FAMILIES = 100  # with fewer, how housemates write their address is not measured
SAMPLE_PRIOR_PAIRS = 1000.0  # weight of a level's prior u beside a random sample
PRIOR_HOUSEHOLD_CONFLICT = 0.9  # share of housemates whose first names conflict, if not measurable


def learn_strangers(
    work: duckdb.DuckDBPyConnection, usable: ComparisonSet, settings: IdentitySettings
) -> Levels:
    """Chance that two strangers fall into each level of each comparison."""
    conflict_share = _sample(work, usable, settings)
    u: Levels = {}
    for comparison in usable.comparisons:
        counts = gamma_counts(work, "sampled", comparison)
        total = sum(counts.values())
        found: dict[int, float] = {}
        for number, level in comparison.scored[:-1]:
            if level.learn_u == "sample":
                found[number] = (counts.get(number, 0) + level.u * SAMPLE_PRIOR_PAIRS) / (
                    total + SAMPLE_PRIOR_PAIRS
                )
            elif level.learn_u == "prior":
                found[number] = level.u
            else:
                found[number] = _block_u(work, level, conflict_share, settings)
        found[comparison.scored[-1][0]] = max(1 - sum(found.values()), 1e-6)
        u[comparison.name] = found
    return u


def _sample(
    work: duckdb.DuckDBPyConnection, usable: ComparisonSet, settings: IdentitySettings
) -> float:
    """Build `sampled`: gammas of random pairs. Returns the share of them whose names conflict.

    Names are judged on pairs that share nothing else, all else on pairs with conflicting names:
    in a small shop even random pairs hold enough true matches to spoil the rare levels.
    """
    gammas = []
    for c in usable.comparisons:
        guard = (
            " AND ".join(f"NOT coalesce(l.{c} = r.{c}, false)" for c in NOTHING_SHARED)
            if c.columns <= NAME_COLUMNS
            else f"coalesce({strangers('l', 'r')}, NOT ({named('l', 'r')}), true)"
        )
        gammas.append(f"CASE WHEN {guard} THEN {c.gamma_sql()} ELSE -1 END AS gamma_{c.name}")
    work.execute(
        f"""
        CREATE OR REPLACE TABLE sample AS
        SELECT * FROM nodes ORDER BY md5(unique_id || ':{settings.seed}'), unique_id
        LIMIT {settings.sample_records};
        """
    )
    work.execute(
        f"""
        CREATE OR REPLACE TABLE sampled AS
        SELECT coalesce({strangers("l", "r")}, false) AS strangers,
            coalesce({named("l", "r")}, false) AS named, {", ".join(gammas)}
        FROM sample AS l JOIN sample AS r ON l.unique_id < r.unique_id
        """
    )
    conflicts, both = work.sql(
        "SELECT count(*) FILTER (strangers), count(*) FILTER (named) FROM sampled"
    ).fetchall()[0]
    return float((conflicts + 9) / (both + 10))


def _block_u(
    work: duckdb.DuckDBPyConnection,
    level: Level,
    conflict_share: float,
    settings: IdentitySettings,
) -> float:
    """Chance that two strangers agree on an identifier, from the pairs that share `level.block`."""
    columns = level.block
    have = number(work, f"SELECT count(*) FROM nodes WHERE {filled(columns)}")
    possible = max(have * (have - 1) / 2, 1.0)
    source, scale = thinned(work, columns, settings)
    pairs, both, conflicts = work.sql(
        f"""
        SELECT count(*), count(*) FILTER ({named("l", "r")}),
            count(*) FILTER ({strangers("l", "r")})
        FROM {source} AS l
        JOIN {source} AS r ON {" AND ".join(f"l.{c} = r.{c}" for c in columns)}
            AND l.unique_id < r.unique_id
        WHERE {level.condition()} AND {_different(level)}
        """
    ).fetchall()[0]
    if level.learn_u == "all_pairs":
        met = float(pairs)
    else:
        met = conflicts / conflict_share * (pairs / both) if both else 0.0
    met *= scale
    return (met + level.u * settings.prior_pairs) / (possible + settings.prior_pairs)


def _different(level: Level) -> str:
    """A weaker level of an e-mail does not hold where the stronger one does."""
    return (
        "l.email <> r.email"
        if "email" in " ".join(level.block) and level.block != ["email"]
        else "true"
    )


# ---------------------------------------------------------------- households


def learn_households(
    work: duckdb.DuckDBPyConnection,
    usable: ComparisonSet,
    u: Levels,
    settings: IdentitySettings,
    pairs: float,
) -> Household | None:
    """How alike people in one home are: all pairs in one home that are certainly two people.

    A home is a street address with postcode; where there are no streets, a last name with postcode.
    Two people are told by conflicting first names or, without first names, by birth dates.
    """
    by_name = {c.name: c for c in usable.comparisons}
    first = next((c for c in usable.comparisons if "first_name" in c.needs), None)
    filled = filled_shares(work)
    home = ["street", "house_no", "postcode"]
    if min(filled[c] for c in home) <= settings.minimum_filled:
        home = ["last_name", "postcode"]
    if "address" not in by_name or (first is None and "birth_date" not in by_name):
        return None
    # Equal birth dates under different names are twins or, more often, one person with a name that
    # went wrong. They would teach that housemates share birthdays.
    conflict = (
        f"{first_names_conflict('l', 'r')} AND NOT coalesce(l.dob = r.dob, false)"
        if first
        else "hamming(l.dob, r.dob) > 2"
    )
    told_by = first or by_name["birth_date"]
    pairs_at_home = block_sql(home, settings.max_block_size)
    met = _gammas_of_pairs(work, "housemates", usable.comparisons, pairs_at_home, conflict)
    if met < 20:
        return None
    levels: Levels = {told_by.name: u[told_by.name]}
    for c in usable.comparisons:
        if c is not told_by:
            levels[c.name] = _shares_of_levels(gamma_counts(work, "housemates", c), c)
    # The address itself: families that share a phone or a mailbox, and a last name.
    address = by_name["address"]
    shared = [
        block_sql([identifier, "last_name"], settings.max_block_size)
        for identifier in ("phone", "email")
        if identifier in by_name
    ]
    families = 0.0
    if shared and "street" in home:
        families = _gammas_of_pairs(work, "families", [address], " UNION ".join(shared), conflict)
        counts = gamma_counts(work, "families", address)
        levels["address"] = _shares_of_levels(counts, address, {address.scored[0][0]: 10.0})
    as_one = "street" in home and families < FEW_FAMILIES
    if as_one:
        total = sum(level.m for _, level in address.scored)
        levels["address"] = {n: level.m / total for n, level in address.scored}
    known = "length(first_name) > 1" if first else "dob IS NOT NULL"
    filled_in = " AND ".join([*(f"{c} IS NOT NULL" for c in home), known])
    coverage = number(work, f"SELECT avg(({filled_in})::INT) FROM nodes")
    at_home = levels["address"][address.scored[0][0]] if "street" in home else 1.0
    share = met / PRIOR_HOUSEHOLD_CONFLICT / coverage**2 / at_home / pairs
    return Household(min(share, 0.1), levels, as_one)


def _gammas_of_pairs(
    work: duckdb.DuckDBPyConnection,
    table: str,
    comparisons: list[Comparison],
    pairs: str,
    where: str = "true",
) -> float:
    gammas = ", ".join(f"{c.gamma_sql()} AS gamma_{c.name}" for c in comparisons) or "0 AS none"
    work.execute(
        f"""
        CREATE OR REPLACE TABLE {table} AS SELECT {gammas}
        FROM ({pairs}) AS p
        JOIN nodes AS l ON l.unique_id = p.l JOIN nodes AS r ON r.unique_id = p.r
        WHERE {where}
        """
    )
    return number(work, f"SELECT count(*) FROM {table}")


def _shares_of_levels(
    counts: dict[int, int], comparison: Comparison, extra: dict[int, float] | None = None
) -> dict[int, float]:
    weights = {n: counts.get(n, 0) + (extra or {}).get(n, 0.0) + 0.5 for n, _ in comparison.scored}
    total = sum(weights.values())
    return {n: w / total for n, w in weights.items()}


def thinned(
    work: duckdb.DuckDBPyConnection, columns: list[str], settings: IdentitySettings
) -> tuple[str, float]:
    """Nodes to join on the columns, sampled if they are many, and what a pair stands for."""
    names = ", ".join(columns)
    total = number(
        work,
        f"""SELECT coalesce(sum(n * (n - 1) / 2), 0)
        FROM (SELECT count(*) AS n FROM nodes WHERE {filled(columns)} GROUP BY {names})""",
    )
    limit = settings.em_max_pairs
    if total <= limit:
        return "nodes", 1.0
    share = math.sqrt(limit / total)
    work.execute(
        f"""CREATE OR REPLACE TABLE thinned AS SELECT * FROM nodes
        WHERE ('0x' || md5(unique_id || ':u{settings.seed}')[1:8])::UBIGINT < {share * 2**32:.0f}"""
    )
    return "thinned", 1 / share**2


def gamma_counts(
    work: duckdb.DuckDBPyConnection, table: str, comparison: Comparison
) -> dict[int, int]:
    """How many pairs of a table fall into each level; those that say nothing are left out."""
    column = f"gamma_{comparison.name}"
    return dict(
        work.sql(
            f"SELECT {column}, count(*) FROM {table} WHERE {column} >= 0 GROUP BY 1 ORDER BY 1"
        ).fetchall()
    )


def number(work: duckdb.DuckDBPyConnection, query: str) -> float:
    """The one number that a query gives; 0 for null."""
    return float(work.sql(query).fetchall()[0][0] or 0)
