"""`personalize campaign why`: why somebody gets a campaign's mail or not."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personalization_assets.commands.shared import load, moment

if TYPE_CHECKING:
    from personalization_assets.emails.why import Account, Answer

FILE = click.Path(path_type=Path)
COLOURS = {"send": "green", "capped": "yellow", "holdout": "cyan"}
LONGEST = 60
"""Characters of a value that are shown."""


@click.command()
@click.argument("who", metavar="CUSTOMER_ID|EMAIL")
@click.option("--campaign", "only", help="Only this campaign")
@click.option("--warehouse", type=FILE, help="DuckDB file to read [data/warehouse.duckdb]")
@click.pass_obj
def why(file: Path | None, who: str, only: str | None, warehouse: Path | None) -> None:
    """Show what the last run decided about a person, why, and what would change it."""
    from personalization_assets.emails.campaigns import load_campaigns
    from personalization_assets.emails.why import explain, find_people
    from personalization_assets.warehouse import reading

    settings = load(file, warehouse)
    campaigns = load_campaigns(settings.campaigns_dir)
    if only is not None:
        load_campaigns(settings.campaigns_dir, [only])  # a misspelt name is one sentence
    now = moment()
    console = Console()
    with reading(settings.warehouse_file) as con:
        people, remark = find_people(con, who)
        if remark:
            _say(console, remark)
        for customer_id in people:
            print_account(explain(con, customer_id, campaigns, settings.emails, now, only), console)


def print_account(account: "Account", console: Console) -> None:
    """The person, a row per campaign, then what the rows refer to."""
    _say(
        console,
        f"\n[bold]{account.customer_id}[/bold], by the run of {account.as_of:%Y-%m-%d %H:%M} UTC",
    )
    for name, words in account.facts.items():
        _say(console, f"  {name}: {words}")
    if not account.answers:
        _say(console, "\nThere is no campaign.")
        return
    grid = Table(box=None, padding=(0, 2, 1, 0))
    for column in ("\nCampaign", "\nDecision", "\nWhy", "\nWhat would change it"):
        grid.add_column(column, overflow="fold")
    for answer in account.answers:
        grid.add_row(
            Text(answer.campaign, "bold"), _decision(answer), _why(answer), Text(answer.change)
        )
    console.print(grid)
    for answer in account.answers:
        if answer.parts:
            _print_parts(answer, console)
    if account.counted:
        _say(console, "[bold]Promotional mails that count now[/bold] (day and time in UTC)")
        for campaign, at in account.counted:
            console.print(Text(f"  {at:%Y-%m-%d %H:%M}  {campaign}"))


def _decision(answer: "Answer") -> Text:
    text = Text(answer.decision, COLOURS.get(answer.decision, "red"))
    if answer.rule not in ("all_rules_passed", "audience", "schedule", answer.decision):
        text.append(f"\n{answer.rule}", "dim")
    return text


def _why(answer: "Answer") -> Text:
    if answer.send_at is None:
        return Text(answer.detail)
    return Text(f"{answer.detail}\nleaves {answer.send_at:%Y-%m-%d %H:%M} UTC")


def _print_parts(answer: "Answer", console: Console) -> None:
    _say(console, f"[bold]{answer.campaign}[/bold]: what does not hold")
    for part in answer.parts:
        values = ", ".join(f"{name} is {_value(value)}" for name, value in part.values.items())
        state = "" if part.holds is False else " (undecided)"
        looked_at = f": {values}" if values else ""
        console.print(Text(f"  {part.condition}{state}{looked_at}"), soft_wrap=True)
    console.print()


def _value(value: Any) -> str:
    if value is None:
        return "empty"
    text = f"{value:%Y-%m-%d %H:%M}" if isinstance(value, dt.datetime) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


COMMANDS = [why]
