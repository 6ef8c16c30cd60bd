"""`personalize audit ...`: what the audits of the newest night found, from a shell."""

from pathlib import Path

import click
from rich.console import Console

from personalization_assets.errors import UserError

FILE = click.Path(path_type=Path)
STYLES = {"fail": "red", "warn": "yellow"}
_warehouse = click.option("--warehouse", type=FILE, help="DuckDB file [data/warehouse.duckdb]")


@click.group()
def audit() -> None:
    """See what moved tonight: findings, and a page with trends."""


@audit.command()
@click.option("--table", help="Only of this table, like standardized.orders")
@click.option("--level", type=click.Choice(["warn", "fail"]), help="Only of this level")
@_warehouse
@click.pass_obj
def findings(
    settings_file: Path | None, table: str | None, level: str | None, warehouse: Path | None
) -> None:
    """Print the findings of the newest night, worst first."""
    from rich.markup import escape
    from rich.table import Table

    from personalization_assets.audits import report as reading_audits
    from personalization_assets.settings import load_settings
    from personalization_assets.warehouse import reading, tables

    settings = load_settings(settings_file, warehouse=warehouse)
    with reading(settings.warehouse_file) as con:
        found = reading_audits.findings(con)
        if table and table not in tables(con):
            raise UserError(f"There is no table {table}: write it like standardized.orders.")
    console = Console()
    chosen = [
        f
        for f in found
        if (not table or f["table_name"] == table) and (not level or f["level"] == level)
    ]
    if not chosen:
        console.print("No findings.")
        return
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("level", "column", "measure", "value", "limit", "what changed"):
        figures = name in ("value", "limit")
        grid.add_column(
            name,
            justify="right" if figures else "left",
            overflow="fold",
            no_wrap=name != "what changed",
        )
    for row in chosen:
        limit = row["fail_at"] if row["level"] == "fail" else row["warn_at"]
        column = "" if row["column_name"] == "*" else f".{row['column_name']}"
        grid.add_row(
            f"[{STYLES[row['level']]}]{row['level']}[/]",
            escape(row["table_name"] + column),
            row["measure"],
            f"{row['value']:.3g}",
            f"{max(limit, row['by_chance']):.3g}",
            escape(row["words"]),
        )
    console.print(grid)


@audit.command()
@click.option("--out", type=FILE, help="Page to write [data/exports/audits.html]")
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser")
@_warehouse
@click.pass_obj
def report(
    settings_file: Path | None, out: Path | None, open_it: bool, warehouse: Path | None
) -> None:
    """Write a page of the newest night: what changed, trends, histograms, shapes, quarantine."""
    from personalization_assets.audits.report import read_report
    from personalization_assets.audits.report_page import REPORT, write
    from personalization_assets.settings import load_settings
    from personalization_assets.warehouse import reading

    settings = load_settings(settings_file, warehouse=warehouse)
    with reading(settings.warehouse_file) as con:
        night = read_report(con)
    target = out or settings.exports_dir / REPORT
    write(night, target)
    Console().print(f"To read: [bold]{target}[/bold]", soft_wrap=True)
    if open_it:
        click.launch(str(target))
