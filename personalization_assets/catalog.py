"""How a contract and its verdicts show in Dagster: catalog entry, column schema, checks.

What belongs here: turning a `Contract` into what the Dagster UI displays. No table is read or
written here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from personalization_assets.contracts import Contract, Rule


@dataclass(frozen=True)
class Published:
    """What `publish` did with one table."""

    contract: Contract
    received: int
    rows: int
    failures: dict[str, int]
    blocked_by: dict[str, int]


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a table's new rows as a whole, before they are published.

    `says` is one sentence; `counts` are its numbers. `stops`: nothing is published because of it.
    """

    check: str
    passed: bool
    says: str
    counts: Mapping[str, float | int] = field(default_factory=dict)
    stops: bool = False


def verdict_specs(contract: Contract, checks: Mapping[str, str]) -> list[dg.AssetCheckSpec]:
    """One Dagster check per verdict on the table, by name and description."""
    return [
        dg.AssetCheckSpec(
            name=name,
            asset=dg.AssetKey([contract.room, contract.table]),
            description=description,
            blocking=True,
        )
        for name, description in checks.items()
    ]


def verdict_results(
    contract: Contract, verdicts: Sequence[Verdict]
) -> Iterator[dg.AssetCheckResult]:
    """Each verdict with its numbers. Red only for what stopped the publish."""
    for verdict in verdicts:
        yield dg.AssetCheckResult(
            asset_key=dg.AssetKey([contract.room, contract.table]),
            check_name=verdict.check,
            passed=verdict.passed,
            severity=dg.AssetCheckSeverity.ERROR if verdict.stops else dg.AssetCheckSeverity.WARN,
            description=verdict.says[:1].upper() + verdict.says[1:],
            metadata=dict(verdict.counts),
        )


def check_specs(contract: Contract) -> list[dg.AssetCheckSpec]:
    """One Dagster check per rule; those that can stop a publish are blocking."""
    return [
        dg.AssetCheckSpec(
            name=name,
            asset=dg.AssetKey([contract.room, contract.table]),
            description="; ".join(rule.description for rule in rules),
            blocking=any(r.severity == "error" or r.limit is not None for r in rules),
        )
        for name, rules in _rules_by_check(contract).items()
    ]


def _rules_by_check(contract: Contract) -> dict[str, list[Rule]]:
    checks: dict[str, list[Rule]] = {}
    for rule in contract.rules:
        checks.setdefault(rule.check_name, []).append(rule)
    return checks


def check_results(result: Published) -> Iterator[dg.AssetCheckResult]:
    """How many rows broke each rule. Red only for what stopped the publish."""
    undeclared = sorted(set(result.failures) - {r.name for r in result.contract.rules})
    if undeclared:
        raise ValueError(
            f"{result.contract.name}: reasons without a rule in the contract: "
            f"{', '.join(undeclared)}"
        )
    for name, rules in _rules_by_check(result.contract).items():
        counts = {r: result.failures.get(r.name, 0) for r in rules}
        broken = {r: count for r, count in counts.items() if count}
        stopped = any(r.name in result.blocked_by for r in rules)
        yield dg.AssetCheckResult(
            asset_key=dg.AssetKey([result.contract.room, result.contract.table]),
            check_name=name,
            passed=not broken,
            severity=dg.AssetCheckSeverity.ERROR if stopped else dg.AssetCheckSeverity.WARN,
            description=" ".join(_in_words(r, count, stopped) for r, count in broken.items()),
            metadata={"rows_failed": sum(counts.values()), "rows": result.received},
        )


def _in_words(rule: Rule, count: int, stopped: bool) -> str:
    if stopped:
        return f"{count:,} rows broke this and the table was not published: {rule.description}."
    kept = "were kept and flagged" if rule.severity == "warning" else "wait in quarantine"
    return f"{count:,} rows broke this and {kept}: {rule.description}."


def column_schema(contract: Contract, types: Mapping[str, str] | None = None) -> dg.TableSchema:
    """The contract's columns for the Dagster catalog."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=c.name,
                type=(types or {}).get(c.name, c.duckdb_type) or "known after the first run",
                description=c.meaning,
                constraints=dg.TableColumnConstraints(
                    nullable=c.nullable, unique=contract.key == (c.name,)
                ),
                tags={"renamed_from": c.renamed_from} if c.renamed_from else None,
            )
            for c in contract.columns
        ]
    )


def asset_spec(
    contract: Contract,
    deps: Sequence[str],
    kinds: set[str],
    tags: Mapping[str, str] | None = None,
) -> dg.AssetSpec:
    """An asset's face in the catalog, from its contract."""
    key = f" Key: {', '.join(contract.key)}." if contract.key else ""
    own = f"{contract.room}/{contract.table}"
    return dg.AssetSpec(
        key=dg.AssetKey([contract.room, contract.table]),
        deps=[dg.AssetKey(d.split("/")) for d in deps if d != own],
        description=f"{contract.description}\n\nGrain: {contract.grain}.{key}",
        group_name=contract.room,
        owners=[contract.owner],
        kinds={"duckdb", *kinds},
        tags={**({"pii": "true"} if contract.pii else {}), **(tags or {})},
        metadata={
            "dagster/column_schema": column_schema(contract),
            "dagster/table_name": contract.name,
            "contract_version": contract.version,
        },
    )
