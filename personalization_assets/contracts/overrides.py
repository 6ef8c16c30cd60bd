"""What a user's settings change in a contract: severities, parameters and limits, no Python.

standardized:
  contracts:
    orders:
      reject_limit: 0.05                                  # share of rejected rows
      rules:
        total_amount.range: {severity: warning, max: 50000}
        status.known: {values: [paid, shipped, returned]}
        email.type: {severity: error, limit: 0.01}        # share that may break this one rule
        currency.stale_rate: {severity: "off"}
"""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from personalization_assets.contracts.contract import UNIQUE_KEY, Contract, Rule
from personalization_assets.contracts.predicates import NotNull, changed
from personalization_assets.errors import UserError


class RuleSettings(BaseModel):
    """What counts for one rule. Other names are parameters of the rule, such as `max`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    severity: Literal["error", "warning", "off"] | None = Field(
        default=None, description="error: to quarantine; warning: kept and flagged; off: not asked"
    )
    limit: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of rows that may break the rule before nothing is published",
    )

    @field_validator("severity", mode="before")
    @classmethod
    def off_is_a_word(cls, value: Any) -> Any:
        """YAML reads a bare `off` as false."""
        return "off" if value is False else value

    @property
    def parameters(self) -> dict[str, Any]:
        """The rule's own parameters."""
        return dict(self.model_extra or {})


class ContractSettings(BaseModel):
    """What counts for one table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reject_limit: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of rejected rows above which nothing is published",
    )
    rules: dict[str, RuleSettings] = Field(
        default={}, description="By the rule's name, as `personalize contracts show` lists them"
    )


def with_settings(contract: Contract, wanted: ContractSettings, place: str) -> Contract:
    """The contract as the user wants it; `place` is where the settings stand, for messages.

    Raises:
        UserError: a rule that the contract does not have, a parameter that the rule does not have,
            a value that it cannot take, or a rule that must hold.
    """
    rules = {rule.name: rule for rule in contract.rules}
    for name, settings in wanted.rules.items():
        where = f"{place}.rules.{name}"
        if name not in rules:
            close = difflib.get_close_matches(name, rules, n=1)
            hint = f"did you mean {close[0]}" if close else f"it has {', '.join(sorted(rules))}"
            raise UserError(f"`{where}` is not a rule of {contract.name}: {hint}?")
        rule = _changed(rules[name], settings, where)
        if rule:
            rules[name] = rule
        else:
            del rules[name]
    limit = contract.reject_limit if wanted.reject_limit is None else wanted.reject_limit
    return replace(contract, rules=tuple(rules.values()), reject_limit=limit)


def _changed(rule: Rule, wanted: RuleSettings, where: str) -> Rule | None:
    holds = rule.name == UNIQUE_KEY or isinstance(rule.predicate, NotNull)
    if holds and wanted.severity not in (None, "error"):
        raise UserError(
            f"`{where}` must be an error: later tables count on it. Leave its severity out."
        )
    if wanted.severity == "off":
        if rule.name.endswith(".type"):
            raise UserError(
                f"`{where}` cannot be off: a value that could not be read is lost to nobody's "
                "knowledge. Make it a warning."
            )
        return None
    rule = replace(rule, severity=wanted.severity or rule.severity, limit=wanted.limit)
    if not wanted.parameters:
        return rule
    if rule.predicate is None:
        names = ", ".join(wanted.parameters)
        raise UserError(f"`{where}` has no parameters: remove {names}.")
    try:
        predicate = changed(rule.predicate, wanted.parameters)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "value"
        said = first["msg"].removeprefix("Value error, ")
        raise UserError(f"`{where}`: {name}: {said[:1].lower()}{said[1:]}.") from None
    except ValueError as error:
        raise UserError(f"`{where}` {error}.") from None
    return replace(rule, predicate=predicate, sql=predicate.sql(), description=predicate.words())


def all_with_settings(
    contracts: Mapping[str, Contract], wanted: Mapping[str, ContractSettings], place: str
) -> dict[str, Contract]:
    """Several contracts by table name, each as the user wants it.

    Raises:
        UserError: settings of a table that is not there, or as `with_settings`.
    """
    unknown = [name for name in wanted if name not in contracts]
    if unknown:
        close = difflib.get_close_matches(unknown[0], contracts, n=1)
        hint = f"did you mean {close[0]}" if close else f"there are {', '.join(sorted(contracts))}"
        raise UserError(f"`{place}.{unknown[0]}` is not a table: {hint}?")
    return {
        name: with_settings(contract, wanted[name], f"{place}.{name}")
        if name in wanted
        else contract
        for name, contract in contracts.items()
    }
