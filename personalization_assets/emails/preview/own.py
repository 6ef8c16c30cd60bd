"""A campaign's own scenarios: `scenarios.yaml` beside its templates."""

import copy
from collections.abc import Collection
from typing import Any

import pyarrow as pa

from personalization_assets.emails.campaigns import CampaignError
from personalization_assets.emails.mail_context import in_words
from personalization_assets.emails.preview.scenarios import (
    Maker,
    Scenario,
    general_scenarios,
)
from personalization_assets.emails.preview.values import Context
from personalization_assets.emails.problems import (
    Place,
    YamlError,
    did_you_mean,
    read_yaml,
    yaml_line,
)

FILE = "scenarios.yaml"
ROOTS = ("customer", "recommendations", "cart", "viewed", "mail")
DERIVED = {
    "cart": ("size", "quantity", "total"),
    "mail": ("subject", "preheader", "send_id", "variant"),
}
"""Fields that follow from others."""


def own_scenarios(maker: Maker) -> list[Scenario]:
    """The scenarios of `scenarios.yaml`; none where there is no such file.

    Raises:
        CampaignError: what is wrong in the file, where, and what to write.
    """
    path = maker.campaign.folder / FILE
    if not path.is_file():
        return []
    try:
        text, raw = read_yaml(path)
    except YamlError as error:
        raise CampaignError(path, [(error.line, error.problem)]) from error
    if not isinstance(raw, dict | None):
        problem = "this must hold names of scenarios, each with the values that differ"
        raise CampaignError(path, [(1, problem)])
    taken = {scenario.key for scenario in general_scenarios(maker)}
    try:
        return [_scenario(maker, name, values, taken) for name, values in (raw or {}).items()]
    except _WrongError as wrong:
        raise CampaignError(path, [(yaml_line(text, wrong.place), str(wrong))]) from None


class _WrongError(Exception):
    """What is wrong at a place in the file."""

    def __init__(self, place: Place, says: str) -> None:
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        where = "".join(parts).removeprefix(".")
        super().__init__(f"{where} {says}".replace(" ,", ",").rstrip(".?"))
        self.place = place


def _scenario(maker: Maker, name: Any, values: Any, taken: Collection[str]) -> Scenario:
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
        raise _WrongError((name,), "is no name; use letters, digits and underscores.")
    if name in taken:
        raise _WrongError((name,), "is a scenario of every campaign; choose another name.")
    if not isinstance(values, dict):
        raise _WrongError((name,), "must hold values, such as customer: {is_vip: true}.")
    title = str(values.pop("title", name.replace("_", " ").capitalize()))
    return Scenario(name, title, _made(maker, name, values), "own")


def _made(maker: Maker, name: str, values: dict[Any, Any]) -> Context:
    context = maker.typical()
    for root, given in values.items():
        where: Place = (name, root)
        if root not in ROOTS:
            hint = did_you_mean(str(root), ROOTS) or f"; known here: {', '.join(ROOTS)}."
            raise _WrongError(where, f"is no part of a mail's context{hint}")
        if root in ("recommendations", "viewed"):
            _list(maker, context, root, given, where)
            continue
        if not isinstance(given, dict):
            raise _WrongError(where, "must hold fields with their values.")
        fields = dict(given)
        if root == "cart" and "items" in fields:
            _list(maker, context, root, fields.pop("items"), (*where, "items"))
        if root == "mail" and "bestsellers" in fields:
            maker.put(context, ("mail", "bestsellers"), fields.pop("bestsellers"))
        for field in DERIVED.get(root, ()):
            if field in fields:
                raise _WrongError((*where, field), "follows from other values; leave it out.")
        _fields(context[root], maker.contract[root], fields, where)
    return maker.settle(context)


def _list(maker: Maker, context: Context, root: str, given: Any, where: Place) -> None:
    """A number of products, or products by the fields in which they differ from the usual ones."""
    if isinstance(given, bool) or not isinstance(given, int | list):
        raise _WrongError(where, "must be a number of products, or a list of them.")
    count = len(given) if isinstance(given, list) else given
    if not 0 <= count <= 100:
        raise _WrongError(where, "must be a number from 0 to 100.")
    maker.resize(context, root, count)
    if isinstance(given, list):
        for number, fields in enumerate(given):
            if not isinstance(fields, dict):
                raise _WrongError((*where, number), "must hold fields, such as name: Mug.")
            item = maker.products(context, root)[number]
            _fields(item, maker.item_type(root), fields, (*where, number))


def _fields(values: dict[str, Any], kind: pa.DataType, given: dict[Any, Any], where: Place) -> None:
    names = [field.name for field in kind]
    for name, value in given.items():
        if name not in names:
            hint = did_you_mean(str(name), names) or "; take it out."
            raise _WrongError((*where, name), f"is not there{hint}")
        try:
            made = pa.scalar(copy.deepcopy(value), kind.field(name).type).as_py()
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
            words = in_words(kind.field(name).type)
            raise _WrongError((*where, name), f"must be {words}, not {value!r}.") from error
        values[name] = made
