"""Comparisons, blocking rules and training blocks as data, read once and checked."""

import re
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from personalization_assets.errors import UserError
from personalization_assets.identity.spelling import domain, local_part

COLUMNS = frozenset(
    {
        "first_name",
        "last_name",
        "first_canon",
        "first_initial",
        "last_start",
        "names",
        "name_starts",
    }
    | {"email", "email_local", "email_domain", "email_handle", "email_start"}
    | {"phone", "dob", "street", "house_no", "postcode", "city", "device"}
)
"""Columns of `nodes` that a comparison or a block may name."""

DERIVED = {
    "first_initial": "substring({row}.first_name, 1, 1)",
    "email_local": local_part("{row}.email"),
    "email_domain": domain("{row}.email"),
    "email_digits": f"regexp_replace({local_part('{row}.email')}, '[^0-9]+', '', 'g')",
}
"""What conditions read of another column: few pairs get so far, so it is not carried to all."""

Kind = Literal["identifier", "text", "exact"]


class Extra(BaseModel):
    """A column that the room does not know, and how two values of it compare.

    identifier: nearly unique, like a tax number; text: similar spellings count, like a middle name;
    exact: equal or not, like a region. `name` begins with 'x_' and is a column of `records`.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    compare: Kind

    def comparison(self) -> "Comparison":
        """Its comparison, with prior probabilities that training moves."""
        n = self.name
        same: dict[str, Any] = {"label": "same", "sql": f"l.{n} = r.{n}"}
        if self.compare == "identifier":
            slip = (
                f"CASE WHEN abs(length(l.{n}) - length(r.{n})) <= 1 "
                f"THEN damerau_levenshtein(l.{n}, r.{n}) = 1 ELSE false END"
            )
            levels = [
                {**same, "learn_u": "strangers", "block": [n], "m": 0.8, "u": 1e-7},
                {"label": "one slip", "sql": slip, "learn_u": "prior", "m": 0.05, "u": 1e-6},
                {"label": "different", "m": 0.15, "u": 0.999},
            ]
        elif self.compare == "text":
            similar = f"jaro_winkler_similarity(l.{n}, r.{n})"
            levels = [
                {**same, "tf": n, "m": 0.7, "u": 0.01},
                {"label": "typing error", "sql": f"{similar} >= 0.92", "m": 0.1, "u": 0.005},
                {"label": "similar", "sql": f"{similar} >= 0.8", "m": 0.05, "u": 0.02},
                {"label": "different", "m": 0.15, "u": 0.96},
            ]
        else:
            levels = [
                {**same, "m": 0.9, "u": 0.1},
                {"label": "different", "m": 0.1, "u": 0.9},
            ]
        missing = f"l.{n} IS NULL OR r.{n} IS NULL"
        return Comparison.model_validate(
            {"name": n, "needs": [n], "missing": missing, "levels": levels}
        )


class Level(BaseModel):
    """One degree of agreement. The level without `sql` is what remains."""

    model_config = ConfigDict(extra="forbid")

    label: str
    sql: str = ""
    m: float = Field(0.5, gt=0, lt=1)
    u: float = Field(0.5, gt=0, lt=1)
    tf: str | None = None
    neutral: bool = False
    learn_u: Literal["sample", "strangers", "all_pairs", "prior"] = "sample"
    block: list[str] = []

    def condition(self, left: str = "l.", right: str = "r.") -> str:
        """The level's condition with `l.x` and `r.x` spelled as the caller's columns."""
        return _aliased(_expanded(self.sql), left, right) if self.sql else "true"

    @property
    def splink_sql(self) -> str:
        """The condition as Splink spells it: `x_l` and `x_r`."""
        return suffixed(_expanded(self.sql)) if self.sql else "ELSE"


class Comparison(BaseModel):
    """How one aspect of two records is compared; the first level that holds counts."""

    model_config = ConfigDict(extra="forbid")

    name: str
    needs: list[str] = Field(min_length=1)
    missing: str
    levels: list[Level] = Field(min_length=2)

    @property
    def scored(self) -> list[tuple[int, Level]]:
        """Levels that carry evidence, with the number Splink gives them in `gamma_<name>`."""
        levels = [level for level in self.levels if not level.neutral]
        return [(len(levels) - 1 - i, level) for i, level in enumerate(levels)]

    @property
    def columns(self) -> set[str]:
        """Columns that the levels read."""
        text = " ".join([self.missing, *(level.condition() for level in self.levels)])
        return set(re.findall(r"\b[lr]\.(\w+)", text))

    def gamma_sql(self) -> str:
        """The level that a pair `l`, `r` falls into, numbered as Splink does; -1 says nothing."""
        numbers = {id(level): number for number, level in self.scored}
        cases = [f"WHEN {self.missing} THEN -1"]
        cases += [
            f"WHEN {level.condition()} THEN {numbers.get(id(level), -1)}" for level in self.levels
        ]
        return f"CASE {' '.join(cases)} END"


class ComparisonSet(BaseModel):
    """All of `comparisons.yaml`."""

    model_config = ConfigDict(extra="forbid")

    comparisons: list[Comparison]
    blocking: list[list[str]]
    home: list[str] = []
    wide_blocking: list[list[str]] = []
    pairs_per_record: float = Field(6.0, ge=0)
    wide_pairs_free: float = Field(100000.0, ge=0)
    training: list[list[str]]
    deterministic: list[list[str]]
    deterministic_recall: float = Field(0.6, gt=0, le=1)
    role_mailboxes: str = ""
    extras: list[Extra] = []

    @property
    def roles(self) -> tuple[str, ...]:
        """Local parts of mailboxes of a role."""
        return tuple(self.role_mailboxes.split())

    def with_extras(self, extras: list[Extra]) -> "ComparisonSet":
        """The same, and comparisons of these columns; a shared identifier makes a pair."""
        blocks = [[e.name] for e in extras if e.compare == "identifier"]
        return self.model_copy(
            update={
                "comparisons": [*self.comparisons, *(e.comparison() for e in extras)],
                "blocking": [*self.blocking, *blocks],
                "training": [*self.training, *blocks],
                "extras": [*self.extras, *extras],
            }
        )

    @model_validator(mode="after")
    def _known_columns(self) -> "ComparisonSet":
        named = {
            c
            for rule in [
                *self.blocking,
                self.home,
                *self.wide_blocking,
                *self.training,
                *self.deterministic,
            ]
            for c in rule
        }
        for comparison in self.comparisons:
            named |= comparison.columns | set(comparison.needs)
            named |= {c for level in comparison.levels for c in level.block}
            named |= {level.tf for level in comparison.levels if level.tf}
            if comparison.levels[-1].sql:
                raise ValueError(f"the last level of {comparison.name!r} must have no sql")
        unknown = sorted(named - COLUMNS - {extra.name for extra in self.extras})
        if unknown:
            raise ValueError(f"unknown column(s) {', '.join(unknown)}")
        return self

    def reduced(
        self, filled: dict[str, float], minimum: float
    ) -> tuple["ComparisonSet", list[str]]:
        """What can be compared where columns are filled to the given shares, and what cannot.

        Returns the smaller set and one note per comparison that was left out.
        """
        kept = [
            c
            for c in self.comparisons
            if max(filled.get(column, 0.0) for column in c.needs) > minimum
        ]
        left_out = [c.name for c in self.comparisons if c not in kept]
        have = {column for column, share in filled.items() if share > 0}

        def possible(rules: list[list[str]]) -> list[list[str]]:
            return [rule for rule in rules if set(rule) <= have]

        reduced = self.model_copy(
            update={
                "comparisons": kept,
                "blocking": possible(self.blocking),
                "home": (possible([self.home]) or [[]])[0],
                "wide_blocking": possible(self.wide_blocking),
                "training": possible(self.training),
                "deterministic": possible(self.deterministic),
            }
        )
        return reduced, [f"no usable {name}: left out of the model" for name in left_out]


def load_comparisons(path: Path | None = None) -> ComparisonSet:
    """The comparisons of the given file, else those that come with the package.

    Raises:
        UserError: the file is not what a comparison file should be.
    """
    if path is not None and path.exists():
        text, name = path.read_text(), path.name
    else:
        package = resources.files("personalization_assets.identity")
        text, name = package.joinpath("comparisons.yaml").read_text(), "comparisons.yaml"
    try:
        raw: Any = yaml.safe_load(text)
        return ComparisonSet.model_validate(raw)
    except yaml.YAMLError as error:
        raise UserError(f"{name} is not valid YAML: {str(error).splitlines()[0]}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise UserError(f"{name}: {where}: {first['msg']}. Correct it and run again.") from error


def filled_shares(work: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Share of nodes that hold a value, by column of `nodes`."""
    columns = [row[0] for row in work.execute("DESCRIBE nodes").fetchall()]
    counts = ", ".join(f"count({c}) / greatest(count(*), 1)" for c in columns)
    row = work.sql(f"SELECT {counts} FROM nodes").fetchall()[0]
    return dict(zip(columns, map(float, row), strict=True))


def _expanded(sql: str) -> str:
    """With derived columns written as what they are read from."""
    names = "|".join(DERIVED)
    return re.sub(rf"\b([lr])\.({names})\b", lambda m: DERIVED[m[2]].format(row=m[1]), sql)


def _aliased(sql: str, left: str, right: str) -> str:
    return re.sub(r"\br\.(?=\w)", right, re.sub(r"\bl\.(?=\w)", left, sql))


def suffixed(sql: str) -> str:
    """`l.x` and `r.x` as Splink spells them, `x_l` and `x_r`."""
    return re.sub(r"\b([lr])\.(\w+)", r"\2_\1", sql)
