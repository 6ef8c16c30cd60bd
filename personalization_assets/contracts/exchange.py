"""A contract in the Open Data Contract Standard (ODCS 3.1.0), for catalogs and people elsewhere.

https://bitol-io.github.io/open-data-contract-standard/v3.1.0/ . Rules become ODCS quality checks:
its own metrics where it has one for them, else SQL that counts the rows which break the rule, else
text. What ODCS has no word for (the share of rejects that stops a publish, personal data) stands in
`customProperties`.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl
import yaml

from personalization_assets.contracts.contract import UNIQUE_KEY, Column, Contract, Rule
from personalization_assets.contracts.predicates import (
    InOrder,
    Known,
    Length,
    NotNull,
    Pattern,
    Range,
)

API_VERSION = "v3.1.0"

DIMENSIONS: dict[type[Any], str] = {
    Known: "conformity",
    Length: "conformity",
    Pattern: "conformity",
    Range: "accuracy",
    InOrder: "consistency",
    NotNull: "completeness",
}


def to_odcs(contract: Contract) -> dict[str, Any]:
    """The contract as an ODCS document: plain dicts and lists, ready for YAML or JSON."""
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": contract.name,
        "name": contract.table,
        "version": f"{contract.version}.0.0",
        "status": "active",
        "domain": contract.room,
        "description": {"purpose": contract.description},
        "team": {"name": contract.owner.removeprefix("team:")},
        "schema": [
            {
                "name": contract.table,
                "physicalName": contract.name,
                "physicalType": "table",
                "logicalType": "object",
                "description": contract.description,
                "dataGranularityDescription": contract.grain,
                "properties": [_property(contract, column) for column in contract.columns],
                "quality": [
                    _check(contract, rule)
                    for rule in contract.rules
                    if rule.column is None and not isinstance(rule.predicate, NotNull)
                ],
            }
        ],
        "customProperties": [
            {"property": "personalData", "value": contract.pii},
            {"property": "rejectLimit", "value": contract.reject_limit},
        ],
    }


def odcs_yaml(contract: Contract) -> str:
    """The ODCS document as YAML, in the order that a person would read it."""
    text: str = yaml.safe_dump(
        to_odcs(contract), sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    return text


def _property(contract: Contract, column: Column) -> dict[str, Any]:
    rules = [r for r in contract.rules if r.column == column.name]
    checks = [r for r in rules if not isinstance(r.predicate, NotNull)]
    found: dict[str, Any] = {
        "name": column.name,
        "physicalName": column.name,
        "logicalType": _logical_type(column),
        "physicalType": column.duckdb_type or "ANY",
        "description": column.meaning,
        "required": not column.nullable,
    }
    if column.name in contract.key:
        found["primaryKey"] = True
        found["primaryKeyPosition"] = contract.key.index(column.name) + 1
        found["unique"] = len(contract.key) == 1
    options = _options(checks)
    if options:
        found["logicalTypeOptions"] = options
    if isinstance(column.dtype, pl.List):
        found["items"] = {"logicalType": "string" if column.dtype.inner == pl.String else "object"}
    if checks:
        found["quality"] = [_check(contract, rule) for rule in checks]
    return found


def _logical_type(column: Column) -> str:
    dtype = column.dtype
    if dtype is None:
        return "object"
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    names: list[tuple[Any, str]] = [
        (pl.String, "string"),
        (pl.Boolean, "boolean"),
        (pl.Date, "date"),
        (pl.Datetime, "timestamp"),
        (pl.List, "array"),
    ]
    return next((name for kind, name in names if dtype == kind), "object")


def _options(rules: Sequence[Rule]) -> dict[str, Any]:
    """Bounds that every value keeps: those of rules which reject."""
    options: dict[str, Any] = {}
    for predicate in (r.predicate for r in rules if r.severity == "error"):
        if isinstance(predicate, Range):
            low = "exclusiveMinimum" if predicate.above_min else "minimum"
            high = "exclusiveMaximum" if predicate.below_max else "maximum"
            options |= {low: predicate.min, high: predicate.max}
        elif isinstance(predicate, Length):
            options |= {"minLength": predicate.min, "maxLength": predicate.max}
        elif isinstance(predicate, Pattern):
            options["pattern"] = predicate.pattern
    return {name: value for name, value in options.items() if value is not None}


def _check(contract: Contract, rule: Rule) -> dict[str, Any]:
    check: dict[str, Any] = {
        "id": rule.check_name,
        "name": rule.name,
        "description": rule.description,
        "dimension": DIMENSIONS.get(type(rule.predicate), "conformity"),
        "severity": rule.severity,
    }
    if rule.name == UNIQUE_KEY:
        return check | {
            "dimension": "uniqueness",
            "type": "library",
            "metric": "duplicateValues",
            "arguments": {"properties": list(contract.key)},
            "mustBe": 0,
        }
    if isinstance(rule.predicate, Known):
        arguments: dict[str, Any] = {"validValues": list(rule.predicate.values)}
    elif isinstance(rule.predicate, Pattern):
        arguments = {"pattern": rule.predicate.pattern}
    elif rule.sql:
        query = f"SELECT count(*) FROM {contract.name} WHERE NOT ({rule.sql})"
        return check | {"type": "sql", "query": query, "mustBe": 0}
    else:
        return check | {"type": "text"}
    metric = {"type": "library", "metric": "invalidValues", "arguments": arguments}
    return check | metric | {"mustBe": 0}
