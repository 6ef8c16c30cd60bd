"""How a model is made, as plain values: what versions are named, judged and refitted by."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """An algorithm and its values. Two equal recipes on the same data give the same model."""

    algorithm: str
    """A name in `models.ALGORITHMS`"""
    half_life_days: float
    """Age at which an interaction counts half"""
    history: float
    """Share of the customer's own interactions added to scores, see `ranking.own_history`"""
    values: tuple[tuple[str, float], ...]
    """The algorithm's own values, sorted by name"""

    @classmethod
    def of(
        cls, algorithm: str, half_life_days: float, history: float, values: Mapping[str, float]
    ) -> "Recipe":
        """A recipe from a mapping of the algorithm's own values."""
        own = tuple(sorted((name, float(value)) for name, value in values.items()))
        return cls(algorithm, float(half_life_days), float(history), own)

    def __getitem__(self, name: str) -> float:
        """One of the algorithm's own values."""
        return dict(self.values)[name]

    def with_value(self, name: str, value: float) -> "Recipe":
        """The same recipe with one value changed: its own, or `half_life_days` or `history`."""
        if name == "half_life_days":
            return replace(self, half_life_days=float(value))
        if name == "history":
            return replace(self, history=float(value))
        return Recipe.of(
            self.algorithm, self.half_life_days, self.history, {**dict(self.values), name: value}
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for people and for JSON."""
        return {
            "algorithm": self.algorithm,
            "half_life_days": self.half_life_days,
            "history": self.history,
            **dict(self.values),
        }

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back."""
        return json.dumps(self.as_dict())

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """The recipe that `to_json` wrote."""
        values = json.loads(text)
        algorithm = values.pop("algorithm")
        return cls.of(algorithm, values.pop("half_life_days"), values.pop("history"), values)
