"""A campaign's own scenarios: `scenarios.yaml` beside its templates."""

import copy
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from personalization_assets.emails.preview.scenarios import Maker, Scenario
from personalization_assets.emails.preview.values import Context
from personalization_assets.emails.problems import did_you_mean, first_problem
from personalization_assets.errors import UserError

FILE = "scenarios.yaml"
ROOTS = ("customer", "recommendations", "cart", "viewed", "mail")
DERIVED = {
    "cart": ("size", "quantity", "total"),
    "mail": ("subject", "preheader", "send_id", "variant"),
}
"""Fields that follow from others."""


def own_scenarios(maker: Maker, taken: Collection[str]) -> Iterator[Scenario]:
    """The scenarios of `scenarios.yaml`; none where there is no such file. `taken` are names of
    others.

    Raises:
        UserError: what is wrong in the file, where, and what to write.
    """
    path = maker.campaign.folder / FILE
    if not path.is_file():
        return
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {first_problem(error)}.") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold names of scenarios, each with the values that differ.")
    for name, values in raw.items():
        if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
            raise UserError(f"{path}: {name!r} is no name; use letters, digits and underscores.")
        if name in taken:
            raise UserError(f"{path}: there is a scenario {name!r} already; choose another name.")
        if not isinstance(values, dict):
            raise UserError(f"{path}: {name} must hold values, such as customer: {{is_vip: true}}.")
        title = str(values.pop("title", name.replace("_", " ").capitalize()))
        yield Scenario(name, title, _made(maker, path, name, values), "own")


def _made(maker: Maker, path: Path, name: str, values: dict[Any, Any]) -> Context:
    context = maker.typical()
    for root, given in values.items():
        where = f"{path}: {name}.{root}"
        if root not in ROOTS:
            hint = did_you_mean(str(root), ROOTS) or f"; known here: {', '.join(ROOTS)}."
            raise UserError(f"{where} is no part of a mail's context{hint}")
        if root in ("recommendations", "viewed"):
            _list(maker, context, root, given, where)
            continue
        if not isinstance(given, dict):
            raise UserError(f"{where} must hold fields with their values.")
        fields = dict(given)
        if root == "cart" and "items" in fields:
            _list(maker, context, root, fields.pop("items"), f"{where}.items")
        if root == "mail" and "bestsellers" in fields:
            maker.put(context, ("mail", "bestsellers"), fields.pop("bestsellers"))
        for field in DERIVED.get(root, ()):
            if field in fields:
                raise UserError(f"{where}.{field} follows from other values; leave it out.")
        _fields(context[root], maker.contract[root], fields, where)
    return maker.settle(context)


def _list(maker: Maker, context: Context, root: str, given: Any, where: str) -> None:
    """A number of products, or products by the fields in which they differ from the usual ones."""
    if isinstance(given, bool) or not isinstance(given, int | list):
        raise UserError(f"{where} must be a number of products, or a list of them.")
    count = len(given) if isinstance(given, list) else given
    if not 0 <= count <= 100:
        raise UserError(f"{where} must be a number from 0 to 100.")
    maker.resize(context, root, count)
    if isinstance(given, list):
        for number, fields in enumerate(given):
            if not isinstance(fields, dict):
                raise UserError(f"{where}[{number}] must hold fields, such as name: Mug.")
            item = maker.products(context, root)[number]
            _fields(item, maker.item_type(root), fields, f"{where}[{number}]")


def _fields(values: dict[str, Any], kind: pa.DataType, given: dict[Any, Any], where: str) -> None:
    names = [field.name for field in kind]
    for name, value in given.items():
        if name not in names:
            hint = did_you_mean(str(name), names) or "; take it out."
            raise UserError(f"{where}.{name} is not there{hint}")
        try:
            made = pa.scalar(copy.deepcopy(value), kind.field(name).type).as_py()
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
            raise UserError(
                f"{where}.{name} must be of type {kind.field(name).type}, which {value!r} is not."
            ) from error
        values[name] = made
