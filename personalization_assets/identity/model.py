"""A trained model: everything that is needed to score pairs, as JSON."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from personalization_assets.identity.comparison import ComparisonSet, suffixed
from personalization_assets.identity.splink_sql import Prediction, predicting

Levels = dict[str, dict[int, float]]
"""Probability of each level (Splink's number for it) of each comparison, by comparison."""


@dataclass(frozen=True)
class Household:
    """People who live together: neither one person nor strangers.

    `share` is the share of all pairs that live together, `levels` how often such pairs agree.
    `address_as_one`: no two housemates could be seen writing their address by anything but the
    address, so they write it as differently as one person does.
    """

    share: float
    levels: Levels
    address_as_one: bool = False


@dataclass(frozen=True)
class Frequencies:
    """How common the values of name columns are; see `frequencies`.

    `values` holds, by column, the share of each value above `floor`; every other value counts as
    `floor`. The column `full_name` holds by how much namesakes exceed the product of the parts.
    """

    floor: float = 1.0
    values: dict[str, dict[str, float]] = field(default_factory=dict)


UNKNOWN = Frequencies()
"""Of no names at all."""


@dataclass(frozen=True)
class Model:
    """How alike two records of one person are, and two of strangers.

    `share` is the share of all pairs of nodes that are one person; `m` and `u` say how often pairs
    of one person and pairs of strangers fall into each level.
    """

    comparisons: ComparisonSet
    share: float
    m: Levels
    u: Levels
    household: Household | None
    records: int
    signature: str
    notes: tuple[str, ...] = field(default=())
    frequencies: Frequencies = UNKNOWN
    known_prediction: Prediction | None = field(default=None, compare=False, repr=False)
    """What was written with it; a newer version may predict in another way."""
    written: str = field(default="", init=False, compare=False, repr=False)
    """The JSON that it was read from, if it was: writing it again takes a while."""

    @cached_property
    def version(self) -> str:
        """First 12 hex digits of the sha256 of the model's JSON."""
        return hashlib.sha256((self.written or self.to_json()).encode()).hexdigest()[:12]

    def splink_settings(self) -> dict[str, Any]:
        """The model as Splink reads it; its charts open it too."""
        comparisons = []
        for comparison in self.comparisons.comparisons:
            numbers = {id(level): number for number, level in comparison.scored}
            levels: list[dict[str, Any]] = [
                {
                    "sql_condition": suffixed(comparison.missing),
                    "label_for_charts": "missing",
                    "is_null_level": True,
                }
            ]
            for level in comparison.levels:
                entry: dict[str, Any] = {
                    "sql_condition": level.splink_sql,
                    "label_for_charts": level.label,
                }
                if level.neutral:
                    entry["is_null_level"] = True
                else:
                    number = numbers[id(level)]
                    entry["m_probability"] = self.m[comparison.name][number]
                    entry["u_probability"] = self.u[comparison.name][number]
                    if level.tf in self.frequencies.values:
                        entry["tf_adjustment_column"] = level.tf
                levels.append(entry)
            comparisons.append(
                {
                    "output_column_name": comparison.name,
                    "comparison_description": comparison.name,
                    "comparison_levels": levels,
                }
            )
        if "full_name" in self.frequencies.values:
            comparisons.append(_NAMESAKES)
        rules = [
            " AND ".join(f"l.{c} = r.{c}" for c in rule) for rule in self.comparisons.blocking
        ] or ["l.unique_id = r.unique_id"]
        return {
            "link_type": "dedupe_only",
            "sql_dialect": "duckdb",
            "unique_id_column_name": "unique_id",
            "probability_two_random_records_match": self.share,
            "comparisons": comparisons,
            "blocking_rules_to_generate_predictions": [{"blocking_rule": r} for r in rules],
            "retain_matching_columns": True,
            "retain_intermediate_calculation_columns": False,
        }

    @cached_property
    def prediction(self) -> Prediction:
        """See `splink_sql`; the nodes are those of `frequencies.with_frequencies`."""
        read = {c for comparison in self.comparisons.comparisons for c in comparison.columns}
        frequent = list(self.frequencies.values)
        columns = dict.fromkeys(sorted({*read, *frequent}), "VARCHAR")
        columns |= dict.fromkeys((f"tf_{column}" for column in frequent), "DOUBLE")
        return predicting(self.splink_settings(), columns, self.known_prediction)

    def household_sql(self) -> str:
        """Log2 odds, against strangers, that a scored pair lives together.

        Reads Splink's `gamma_*` and `mw_tf_adj_*`: a rare family name says as much for a household
        as for one person. A given name does not: housemates bear one as strangers do.
        """
        if self.household is None:
            return "-1000.0"
        terms = [f"{math.log2(self.household.share):.5f}"]
        for name, levels in sorted(self.household.levels.items()):
            cases = " ".join(
                f"WHEN {number} THEN {math.log2(h / self.u[name][number]):.5f}"
                for number, h in sorted(levels.items())
            )
            terms.append(f"CASE gamma_{name} {cases} ELSE 0 END")
            if levels != self.u[name] and self._counts_frequency(name):
                terms.append(f"mw_tf_adj_{name}")
        if "full_name" in self.frequencies.values:
            terms.append("mw_tf_adj_namesakes")
        return f"({' + '.join(terms)})"

    def _counts_frequency(self, name: str) -> bool:
        levels = next(c for c in self.comparisons.comparisons if c.name == name).levels
        return any(level.tf in self.frequencies.values for level in levels)

    def to_json(self) -> str:
        """Canonical JSON; the key `splink` alone is a model file for Splink."""
        return json.dumps(
            {
                "splink": self.splink_settings(),
                "comparisons": self.comparisons.model_dump(),
                "share": self.share,
                "m": self.m,
                "u": self.u,
                "household": None
                if self.household is None
                else {"share": self.household.share, "levels": self.household.levels},
                "records": self.records,
                "signature": self.signature,
                "notes": list(self.notes),
                "frequencies": {
                    "floor": self.frequencies.floor,
                    "values": self.frequencies.values,
                },
                "prediction": asdict(self.prediction) if self.comparisons.comparisons else None,
            },
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, text: str) -> "Model":
        """The model that `to_json` wrote."""
        raw = json.loads(text)
        house = raw["household"]
        model = cls(
            comparisons=ComparisonSet.model_validate(raw["comparisons"]),
            share=raw["share"],
            m=_numbered(raw["m"]),
            u=_numbered(raw["u"]),
            household=None
            if house is None
            else Household(house["share"], _numbered(house["levels"])),
            records=raw["records"],
            signature=raw["signature"],
            notes=tuple(raw["notes"]),
            frequencies=Frequencies(**raw.get("frequencies", {})),
            known_prediction=Prediction(**kept) if (kept := raw.get("prediction")) else None,
        )
        object.__setattr__(model, "written", text)
        return model


# Says nothing itself: its term frequency takes back what common full names were given twice.
_NAMESAKES = {
    "output_column_name": "namesakes",
    "comparison_description": "namesakes",
    "comparison_levels": [
        {
            "sql_condition": "full_name_l IS NULL OR full_name_r IS NULL",
            "label_for_charts": "missing",
            "is_null_level": True,
        },
        {
            "sql_condition": "full_name_l = full_name_r",
            "label_for_charts": "same full name",
            "m_probability": 0.5,
            "u_probability": 0.5,
            "tf_adjustment_column": "full_name",
        },
        {
            "sql_condition": "ELSE",
            "label_for_charts": "not the same full name",
            "m_probability": 0.5,
            "u_probability": 0.5,
        },
    ],
}


def significant(value: float) -> float:
    """Five significant digits: sums may differ in the last bits with the number of threads."""
    return float(f"{value:.5g}")


def _numbered(levels: dict[str, dict[str, float]]) -> Levels:
    return {name: {int(n): p for n, p in by.items()} for name, by in levels.items()}
