"""The lists of names, places and goods in `data/`, read once."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class City:
    """A place people live in, and how else they write it."""

    name: str
    region: str
    postcode: str
    weight: float
    aliases: tuple[str, ...]


@functools.cache
def names() -> dict[str, dict[str, list[str]]]:
    """Names per language area: female, male, family (commonest first), stems, endings."""
    return dict(_yaml("names.yaml"))


@functools.cache
def countries() -> dict[str, dict[str, Any]]:
    """Countries by ISO code, with their ways of writing places and phone numbers."""
    return dict(_yaml("places.yaml"))


@functools.cache
def cities(country: str) -> list[City]:
    """Cities of one country, the largest first."""
    found = []
    for line in countries()[country]["cities"]:
        name, region, postcode, weight, aliases = line.split("|")
        others = tuple(alias for alias in aliases.split(";") if alias)
        found.append(City(name, region, postcode, float(weight), others))
    return found


@functools.cache
def assortment() -> dict[str, Any]:
    """Categories, series, brands and tastes of the shop."""
    return dict(_yaml("catalogue.yaml"))


@functools.cache
def nicknames() -> dict[str, list[str]]:
    """Short forms by given name."""
    found: dict[str, list[str]] = {}
    with (DATA / "nicknames.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            found.setdefault(row["name"], []).append(row["nickname"])
    return found


def _yaml(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DATA / name).read_text(encoding="utf-8"))
    return loaded
