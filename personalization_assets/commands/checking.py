"""`personalize campaign check` and `list`: what is wrong with campaigns, and which there are."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from personalization_assets.commands.profile_columns import PROFILES, declared_columns
from personalization_assets.commands.shared import load, moment, warehouse_if_any

if TYPE_CHECKING:
    from personalization_assets.emails.checking.campaign import Checked
    from personalization_assets.emails.checking.findings import Finding

FILE = click.Path(path_type=Path)
COLOURS = {"error": "red", "warning": "yellow"}


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too")
@click.option("--json", "as_json", is_flag=True, help="Write findings as JSON, for editors and CI")
@click.option("--warehouse", type=FILE, help="DuckDB file to read [data/warehouse.duckdb]")
@click.pass_obj
def check(
    file: Path | None, names: tuple[str, ...], strict: bool, as_json: bool, warehouse: Path | None
) -> None:
    """Check all campaigns, or those named: every mistake, with file and line."""
    from personalization_assets.emails.brand import load_brand
    from personalization_assets.emails.checking.campaign import check_campaigns
    from personalization_assets.emails.mail_context import mail_contract, profile_columns

    settings = load(file, warehouse)
    with warehouse_if_any(settings, PROFILES, needed=warehouse is not None) as (con, why_not):
        columns = profile_columns(con) if con is not None else declared_columns(settings)
    checked = check_campaigns(
        settings.campaigns_dir,
        list(names) or None,
        load_brand(settings.data_dir / "brand.yaml"),
        mail_contract(columns),
        settings.emails,
        moment(),
    )
    if as_json:
        click.echo(json.dumps([_shown(f) for f in checked.findings], indent=2))
    else:
        print_findings(checked)
        if why_not:
            words = "The columns that the SQL models give were taken for those of the profiles."
            click.echo(f"{why_not} {words}", err=True)
    wrong = checked.findings if strict else [f for f in checked.findings if f.severity == "error"]
    sys.exit(1 if wrong else 0)


@click.command(name="list")
@click.pass_obj
def list_(file: Path | None) -> None:
    """Show the campaigns: kind, priority, schedule, variants."""
    from personalization_assets.emails.campaigns import load_campaigns

    settings = load(file, None)
    campaigns = load_campaigns(settings.campaigns_dir)
    if not campaigns:
        click.echo(f"There is no campaign in {settings.campaigns_dir}.")
        return
    rows = [("campaign", "kind", "priority", "schedule", "variants")]
    for campaign in sorted(campaigns, key=lambda c: (-c.file.priority, c.name)):
        of = campaign.file
        variants = ", ".join(f"{v.name} {v.share:.0%}" for v in of.variants)
        again = f"{of.schedule}, every {of.again_after_days} days"
        rows.append((campaign.name, of.kind, str(of.priority), again, variants))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def print_findings(checked: "Checked") -> None:
    """Findings by file, then a line that sums them up."""
    places = [_place(f) for f in checked.findings]
    width = max(map(len, places), default=0)
    last: Path | None = None
    for finding, place in zip(checked.findings, places, strict=True):
        if last is not None and finding.file != last:
            click.echo()
        last = finding.file
        severity = click.style(f"{finding.severity:<7}", fg=COLOURS[finding.severity])
        click.echo(f"{place:<{width}}  {severity}  {finding.code}  {finding.says}")
    if checked.findings:
        click.echo()
    names = checked.campaigns
    what = names[0] if len(names) == 1 else _number(len(names), "campaign")
    counts = [_number(checked.count(s), s) for s in ("error", "warning") if checked.count(s)]
    click.echo(f"{what} checked: {', '.join(counts) or 'nothing found'}.")


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _place(finding: "Finding") -> str:
    column = f":{finding.column}" if finding.column else ""
    return f"{_relative(finding.file)}:{finding.line}{column}"


def _shown(finding: "Finding") -> dict[str, object]:
    return finding.as_dict() | {"file": str(_relative(finding.file))}


def _relative(path: Path) -> Path:
    """As seen from where the command was called, where that is shorter."""
    here = Path.cwd()
    return path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path


COMMANDS: Iterable[click.Command] = (check, list_)
