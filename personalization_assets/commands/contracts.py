"""`personalize contracts list | show | export | validate`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from personalization_assets.commands.wide import wide_console
from personalization_assets.errors import UserError

if TYPE_CHECKING:
    from personalization_assets.contracts import Contract, Rule
    from personalization_assets.contracts.records import RecordVerdict

FILE = click.Path(path_type=Path)
SHOWN = 20
"""Rejected records that `validate` lists; the counts are of all."""


@click.group()
def contracts() -> None:
    """What every table promises, with your settings applied."""


@contracts.command("list")
@click.pass_obj
def list_(file: Path | None) -> None:
    """List the tables that have a contract."""
    table = Table(box=None, header_style="bold")
    for head in ("table", "grain", "key", "columns", "rules", "errors", "stops above"):
        table.add_column(head, justify="right" if head in ("columns", "rules") else "left")
    for contract in _contracts(file).values():
        errors = sum(r.severity == "error" for r in contract.rules)
        table.add_row(
            contract.name,
            contract.grain,
            ", ".join(contract.key),
            str(len(contract.columns)),
            str(len(contract.rules)),
            str(errors),
            f"{contract.reject_limit:.0%} rejected" if contract.reject_limit else "any error",
        )
    wide_console().print(table)


@contracts.command()
@click.argument("table")
@click.pass_obj
def show(file: Path | None, table: str) -> None:
    """Show a table's columns and rules: what they ask, what may be changed, what a break costs."""
    from personalization_assets.contracts import contract_of

    contract = _contract(file, table)
    # Only contracts that are written in Python can be changed by the settings.
    written = contract_of(contract.model) if contract.model else contract
    console = wide_console()
    console.print(Text(f"{contract.name}, version {contract.version}", style="bold"))
    console.print(Text(f"{contract.description} {contract.grain.capitalize()}."))
    console.print(_columns(contract))
    console.print(_rules(contract, written))
    gone = sorted({r.name for r in written.rules} - {r.name for r in contract.rules})
    if gone:
        console.print(Text(f"Not asked, by the settings: {', '.join(gone)}."))
    if contract.reject_limit:
        console.print(
            Text(f"Nothing is published when more than {contract.reject_limit:.0%} are rejected.")
        )


@contracts.command()
@click.argument("tables", nargs=-1)
@click.option("--out", type=FILE, required=True, help="Folder to write <room>.<table>.odcs.yaml to")
@click.pass_obj
def export(file: Path | None, tables: tuple[str, ...], out: Path) -> None:
    """Write contracts (all, or those named) in the Open Data Contract Standard 3.1.0."""
    from personalization_assets.contracts.exchange import odcs_yaml

    chosen = [_contract(file, t) for t in tables] or list(_contracts(file).values())
    try:
        out.mkdir(parents=True, exist_ok=True)
        for contract in chosen:
            path = out / f"{contract.name}.odcs.yaml"
            path.write_text(odcs_yaml(contract), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}.") from None
    click.echo(f"{len(chosen)} contracts written to {out}.")


@contracts.command()
@click.argument("table")
@click.argument("records", type=FILE)
@click.option("--source", default="file", show_default=True, help="The source of the records")
@click.pass_obj
def validate(file: Path | None, table: str, records: Path, source: str) -> None:
    """Judge records (JSON, one per line) as the platform would, and touch nothing.

    A record has the contract's columns; times and dates are in ISO 8601. Exit code 1 where one is
    rejected. Values are not printed.
    """
    from personalization_assets.contracts.records import RecordValidator

    contract = _contract(file, table)
    given = {"source": source, "_batch_id": records.name}
    validator = RecordValidator(contract, given)
    counts: dict[str, int] = {}
    rejected: list[tuple[int, RecordVerdict]] = []
    total = 0
    for line, record in _records(records):
        total += 1
        verdict = validator.judge({"_row_key": f"{records.name}:{line}", **record})
        for rule in (*verdict.reasons, *verdict.flags):
            counts[rule] = counts.get(rule, 0) + 1
        if not verdict.accepted:
            rejected.append((line, verdict))
    click.echo(f"{total:,} records: {total - len(rejected):,} accepted, {len(rejected):,} rejected")
    words = {r.name: r for r in contract.rules}
    for rule, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        known = words.get(rule)
        meaning = f" ({known.severity}: {known.description})" if known else " (error)"
        click.echo(f"  {rule}: {count:,}{meaning}")
    for line, verdict in rejected[:SHOWN]:
        click.echo(f"line {line}: {', '.join(verdict.reasons)}")
    if len(rejected) > SHOWN:
        click.echo(f"and {len(rejected) - SHOWN:,} more")
    if rejected:
        raise click.exceptions.Exit(1)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise UserError(f"{path}, line {number}: write one JSON object per line.")
                yield number, record
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: convert it.") from None
    except (json.JSONDecodeError, RecursionError):
        raise UserError(f"{path}, line {number}: this is no JSON object.") from None


def _contract(file: Path | None, table: str) -> "Contract":
    import difflib

    known = _contracts(file)
    found = [c for c in known.values() if table in (c.name, c.table, f"{c.room}/{c.table}")]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(c.name for c in found)
        raise UserError(f"{table} is the name of several tables: write one of {names}.")
    close = difflib.get_close_matches(table, [*known, *(c.table for c in known.values())], n=1)
    hint = f"did you mean {close[0]}" if close else "`personalize contracts list` names them"
    raise UserError(f"{table} is no table with a contract: {hint}?")


def _contracts(file: Path | None) -> dict[str, "Contract"]:
    from personalization_assets.definitions import contracts_of
    from personalization_assets.settings import load_settings

    return contracts_of(load_settings(file))


def _columns(contract: "Contract") -> Table:
    table = Table(box=None, header_style="bold")
    for head in ("column", "type", "empty", "meaning"):
        table.add_column(head)
    for column in contract.columns:
        key = " (key)" if column.name in contract.key else ""
        table.add_row(
            column.name + key,
            column.duckdb_type,
            "may be" if column.nullable else "never",
            column.meaning,
        )
    return table


def _rules(contract: "Contract", written: "Contract") -> Table:
    table = Table(box=None, header_style="bold")
    for head in ("rule", "severity", "asks", "parameters", "limit"):
        table.add_column(head)
    before = {r.name: r for r in written.rules}
    for rule in contract.rules:
        changed = " *" if before[rule.name] != rule else ""
        table.add_row(
            rule.name + changed,
            rule.severity,
            Text(rule.description),
            Text(_parameters(rule)),
            "" if rule.limit is None else f"{rule.limit:.1%}",
        )
    if any(before[r.name] != r for r in contract.rules):
        table.caption = "* changed by the settings"
        table.caption_justify = "left"
    return table


def _parameters(rule: "Rule") -> str:
    if rule.predicate is None:
        return ""
    return ", ".join(f"{n}: {_short(v)}" for n, v in rule.predicate.settings().items())


def _short(value: Any) -> str:
    return f"{len(value)} values" if isinstance(value, tuple) else str(value)
