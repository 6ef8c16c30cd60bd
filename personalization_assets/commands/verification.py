"""`personalize verify status`: what is known of the addresses, and what asking has cost."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from personalization_assets.commands.shared import moment
from personalization_assets.commands.wide import wide_console
from personalization_assets.errors import UserError

if TYPE_CHECKING:
    import duckdb

    from personalization_assets.settings import Settings
    from personalization_assets.standardized.verification.settings import VerificationSettings

PRIORITIES = {1: "that get mail next", 2: "that agreed to mail"}


@click.group()
def verify() -> None:
    """Whether mail to the addresses would arrive."""


@verify.command()
@click.option("--next", "shown", type=click.IntRange(0), default=0, help="Show so many addresses")
@click.option("--as-of", help="What would be asked at this time, UTC [now]")
@click.option("--warehouse", type=click.Path(path_type=Path), help="DuckDB file to read")
@click.pass_obj
def status(file: Path | None, shown: int, as_of: str | None, warehouse: Path | None) -> None:
    """Show the budget, the verdicts that count, and what the next run would ask."""
    from personalization_assets.settings import load_settings
    from personalization_assets.warehouse import exists, reading

    settings = load_settings(file, warehouse=warehouse)
    console = wide_console()
    with reading(settings.warehouse_file) as con:
        if not exists(con, "standardized.email_verifications"):
            raise UserError(
                "No address has been looked at yet: run `personalize run`, or `personalize run "
                "--select standardized/email_verifications`."
            )
        _print_service(console, con, settings.standardized.verification)
        _print_verdicts(console, con)
        _print_next(console, con, settings, moment(as_of), shown)


def _print_service(
    console: Console, con: "duckdb.DuckDBPyConnection", settings: "VerificationSettings"
) -> None:
    from personalization_assets.standardized.verification.asking import verifier_of

    verifier, why_not = verifier_of(settings)
    if verifier:
        console.print(f"{verifier.name}: up to {settings.daily_budget:,} addresses a day")
    else:
        console.print(f"Nobody is asked: {escape(why_not)}.", highlight=False)
    days = con.execute(
        "SELECT asked_on, provider, sum(addresses), sum(answers), sum(credits),"
        " count(*) FILTER (status = 'asked'), count(*) FILTER (status = 'failed'),"
        " arg_max(reason, batch_id) FILTER (status = 'failed')"
        " FROM standardized.email_verification_batches"
        " GROUP BY ALL ORDER BY asked_on DESC, provider LIMIT 7"
    ).fetchall()
    if not days:
        return
    table = Table(box=None, header_style="bold", title="The last days", title_justify="left")
    table.add_column("day (UTC)")
    table.add_column("service")
    for name in ("asked", "answered", "credits at most", "open batches", "failed"):
        table.add_column(name, justify="right")
    table.add_column("last failure")
    for day, provider, *numbers, reason in days:
        table.add_row(
            str(day), provider, *(f"{int(n):,}" for n in numbers), escape(str(reason or ""))
        )
    console.print(table)


def _print_verdicts(console: Console, con: "duckdb.DuckDBPyConnection") -> None:
    rows = con.execute(
        "SELECT verdict, provider, reason, count(*), min(expires_at)"
        " FROM standardized.email_verifications GROUP BY ALL ORDER BY verdict, 4 DESC, 2, 3"
    ).fetchall()
    table = Table(box=None, header_style="bold", title="Addresses", title_justify="left")
    for name in ("verdict", "says", "reason"):
        table.add_column(name)
    table.add_column("addresses", justify="right")
    table.add_column("first expires")
    for verdict, provider, reason, count, until in rows:
        day = f"{until:%Y-%m-%d}" if until else ""
        table.add_row(verdict, provider, escape(reason), f"{count:,}", day)
    console.print(table)


def _print_next(
    console: Console,
    con: "duckdb.DuckDBPyConnection",
    settings: "Settings",
    as_of: dt.datetime,
    shown: int,
) -> None:
    from personalization_assets.mailboxes import load_mailboxes
    from personalization_assets.standardized.verification.addresses import due_addresses

    days = settings.standardized.verification.delivered_days
    due = due_addresses(con, as_of, days, load_mailboxes(settings.data_dir))
    if not due.height:
        console.print("Nobody needs to be asked about.")
        return
    counts = due.group_by("ask_priority").len().sort("ask_priority").iter_rows()
    parts = [f"{count:,} {PRIORITIES[priority]}" for priority, count in counts]
    console.print(f"Addresses to be asked about: {', then '.join(parts)}.")
    for email in due["email"].head(shown):
        console.print(f"  {escape(email)}", highlight=False)
