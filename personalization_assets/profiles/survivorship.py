"""Survivorship: which record's value stands in a golden profile, decided by rules that are data.

Here are the rules: what a file may say, and which tables and columns it may draw on. What they mean
in SQL is in `survivorship_sql.py`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personalization_assets.errors import UserError

ATTRIBUTES: dict[str, str] = {
    "given_name": "VARCHAR",
    "family_name": "VARCHAR",
    "email": "VARCHAR",
    "phone": "VARCHAR",
    "birth_date": "DATE",
    "gender": "VARCHAR",
    "street": "VARCHAR",
    "postcode": "VARCHAR",
    "city": "VARCHAR",
    "region": "VARCHAR",
    "country": "VARCHAR",
    "language": "VARCHAR",
    "account_key": "VARCHAR",
    "loyalty_tier": "VARCHAR",
    "loyalty_points": "BIGINT",
    "loyalty_since": "TIMESTAMP",
}
"""The attributes of a profile and their types in DuckDB, in the order of the table."""

_PERSON = ("given_name", "family_name", "full_name", "email", "phone", "account_key")
_ADDRESS = ("street", "postcode", "city", "region", "country")


@dataclass(frozen=True)
class Facts:
    """A standardized table that says something about people: its columns, and when it was true.

    `event_id` names the column that tells the events of a record apart, for tables that hold many
    per record: those after the run's time are not known yet. The other tables hold the state as it
    was exported, one row per record.
    """

    columns: Mapping[str, str]
    at: str
    event_id: str | None = None


def _text(*columns: str) -> dict[str, str]:
    return dict.fromkeys(columns, "VARCHAR")


TABLES: dict[str, Facts] = {
    "crm_contacts": Facts(
        {**_text(*_PERSON, *_ADDRESS, "gender", "language"), "birth_date": "DATE"},
        "coalesce(f.updated_at, f.created_at)",
    ),
    "loyalty_members": Facts(
        {
            **_text(*_PERSON, *_ADDRESS, "tier"),
            "birth_date": "DATE",
            "points": "BIGINT",
            "enrolled_at": "TIMESTAMP",
        },
        "coalesce(f.updated_at, f.enrolled_at)",
    ),
    "preferences": Facts(_text("account_key", "email", "language"), "f.updated_at"),
    "orders": Facts(_text(*_PERSON, *_ADDRESS), "f.ordered_at", "order_id"),
    "web_events": Facts(_text("account_key", "country"), "f.occurred_at", "event_id"),
    "email_events": Facts(_text("email"), "f.occurred_at", "event_id"),
    "social_activity": Facts(_text("full_name", "email"), "f.occurred_at", "activity_id"),
}
"""The standardized tables that rules may draw on."""


class Rule(BaseModel):
    """How one attribute is chosen; see the head of `data/survivorship.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    candidates: tuple[tuple[str, str], ...] = Field(default=(), alias="from")
    wins: Literal["rank", "recency", "completeness", "agreement"] = "rank"
    sources: tuple[str, ...] = ()
    together_with: str | None = Field(default=None, alias="with")
    fill_gaps: bool = False
    avoid: tuple[Literal["hard_bounced", "no_opt_in"], ...] = ()


class RuleFile(BaseModel):
    """The whole of `survivorship.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    attributes: dict[str, Rule]


def read_rules(path: Path, known_sources: Collection[str]) -> dict[str, Rule]:
    """The rules in a file, one per attribute.

    Raises:
        UserError: the file cannot be read, or names an attribute, table, column or source that
            there is not.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        rules = RuleFile.model_validate(content).attributes
    except FileNotFoundError:
        raise UserError(
            f"There is no survivorship file {path}: copy the one that ships in data/."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} is not readable YAML: {reason}. Correct the line it names."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path}: `{where}` is not valid: {first['msg']}.") from None
    check_rules(rules, known_sources, str(path))
    return rules


def check_rules(rules: Mapping[str, Rule], known_sources: Collection[str], where: str) -> None:
    """Make sure that everything the rules name exists.

    Raises:
        UserError: it does not, or an attribute has no rule.
    """
    for name in rules:
        if name not in ATTRIBUTES:
            raise UserError(
                f"{where}: profiles have no attribute '{name}'; use one of {_listed(ATTRIBUTES)}."
            )
    for name, kind in ATTRIBUTES.items():
        if name not in rules:
            raise UserError(
                f"{where}: attribute '{name}' has no rule; add one, or `{name}: {{from: []}}` to "
                f"keep it empty."
            )
        _check_rule(name, kind, rules, known_sources, where)


def _check_rule(
    name: str, kind: str, rules: Mapping[str, Rule], known_sources: Collection[str], where: str
) -> None:
    rule = rules[name]
    seen: set[str] = set()
    for table, column in rule.candidates:
        if table not in TABLES:
            raise UserError(
                f"{where}: '{name}' draws on the table '{table}', which holds nothing about "
                f"people; use one of {_listed(TABLES)}."
            )
        columns = TABLES[table].columns
        if column not in columns:
            raise UserError(
                f"{where}: '{name}' draws on the column '{column}' that {table} does not offer; "
                f"use one of {_listed(columns)}."
            )
        if columns[column] != kind:
            raise UserError(
                f"{where}: '{name}' is {kind}, but {table}.{column} is {columns[column]}; draw on "
                f"a column of the same type."
            )
        if table in seen:
            raise UserError(f"{where}: '{name}' names {table} twice; keep one of its columns.")
        seen.add(table)
    for source in rule.sources:
        if source not in known_sources:
            raise UserError(
                f"{where}: '{name}' ranks the source '{source}', which sources.yaml does not have; "
                f"use one of {_listed(sorted(known_sources))}."
            )
    if rule.wins == "agreement" and kind != "VARCHAR":
        raise UserError(
            f"{where}: '{name}' is {kind}, and `wins: agreement` is for text; use recency or rank."
        )
    if rule.avoid and name != "email":
        raise UserError(f"{where}: `avoid` is for 'email' only; remove it from '{name}'.")
    leader = rule.together_with
    if leader is None:
        if rule.fill_gaps:
            raise UserError(f"{where}: '{name}' has `fill_gaps` without `with`; remove it.")
    elif leader == name or leader not in rules or rules[leader].together_with:
        raise UserError(
            f"{where}: '{name}' goes with '{leader}', which is not an attribute that is chosen by "
            f"itself; name one without `with`."
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)
