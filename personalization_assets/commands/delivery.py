"""`personalize mails send`, `status`, `resolve`: mails to a mail server, and what came of it."""

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from personalization_assets.emails.delivery.journal import Journal

PASSWORD_VARIABLE = "PERSONALIZE_SMTP_PASSWORD"
WAREHOUSE = click.option(
    "--warehouse", type=click.Path(path_type=Path), help="DuckDB file the mails belong to"
)
LISTED = 20


@click.command()
@click.option("--campaign", help="Only this campaign")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many mails")
@click.option("--as-of", help="Send what is due at this time, UTC [now]")
@click.option("--dry-run", is_flag=True, help="Make the messages, but send none")
@WAREHOUSE
@click.pass_obj
def send(
    settings_file: Path | None,
    campaign: str | None,
    limit: int | None,
    as_of: str | None,
    dry_run: bool,
    warehouse: Path | None,
) -> None:
    """Give the mails of the latest run that are due to the mail server, each once."""
    from rich.progress import Progress

    from personalization_assets.emails.delivery.journal import Journal
    from personalization_assets.emails.delivery.sending import Due, Sender, messages, spool_due
    from personalization_assets.errors import UserError
    from personalization_assets.settings import load_settings
    from personalization_assets.tables import parse_as_of
    from personalization_assets.warehouse import exists, reading

    settings = load_settings(settings_file, warehouse=warehouse)
    chosen = settings.emails.delivery
    if chosen.channel != "smtp" and not dry_run:
        raise UserError(
            "emails.delivery.channel is file, so mails leave as files: set it to smtp to send them "
            "from here."
        )
    password = os.environ.get(PASSWORD_VARIABLE)
    if chosen.username and not password and not dry_run:
        raise UserError(
            f"emails.delivery.username is set, but {PASSWORD_VARIABLE} is not: put the password "
            "into the environment."
        )
    now = parse_as_of(as_of) if as_of else dt.datetime.now(dt.UTC).replace(tzinfo=None)
    console = Console()
    journal = Journal(settings.mails_dir)
    with journal.alone():
        with reading(settings.warehouse_file) as con:
            if not exists(con, "emails.batches"):
                raise UserError("There are no mails yet: run `personalize run` first.")
            spool, count = spool_due(con, journal, now, campaign, limit)
        try:
            mails = messages(spool, chosen.envelope_from)
            if dry_run:
                good = sum(isinstance(mail, Due) for mail in mails)
                console.print(
                    f"{good:,} mails would be sent, {count - good:,} cannot be written as messages."
                )
                return
            with Progress(console=console, transient=True, disable=not count) as progress:
                task = progress.add_task("sending", total=count)
                sender = Sender(chosen, password, journal, lambda _: progress.advance(task))
                if count:
                    sender.send(mails)
        finally:
            spool.unlink(missing_ok=True)
    summary = sender.summary
    parts = [f"{number:,} {status}" for status, number in sorted(summary.counts.items())]
    console.print(f"Of {count:,} mails that were due: {', '.join(parts) or 'none to send'}.")
    for code, number in sorted(summary.codes.items()):
        console.print(f"  {number:,} with the answer {code}")
    _say_uncertain(journal, console)


@click.command()
@WAREHOUSE
@click.pass_obj
def status(settings_file: Path | None, warehouse: Path | None) -> None:
    """Count the mails that went to the mail server, by campaign and status."""
    from personalization_assets.emails.delivery.journal import Journal
    from personalization_assets.settings import load_settings

    settings = load_settings(settings_file, warehouse=warehouse)
    console = Console()
    journal = Journal(settings.mails_dir)
    grid = Table(box=None, padding=(0, 2, 0, 0))
    grid.add_column("campaign")
    grid.add_column("status")
    grid.add_column("mails", justify="right")
    counts = journal.counts()
    for campaign, state, number in counts:
        grid.add_row(campaign, state, f"{number:,}")
    console.print(grid if counts else "No mail has been given to a mail server.")
    _say_uncertain(journal, console)


@click.command()
@click.argument("send_id")
@click.option("--sent/--not-sent", "sent", required=True, help="Whether the server took the mail")
@WAREHOUSE
@click.pass_obj
def resolve(settings_file: Path | None, send_id: str, sent: bool, warehouse: Path | None) -> None:
    """Decide about an uncertain mail; one that was not sent is tried again by the next send."""
    from personalization_assets.emails.delivery.journal import Journal
    from personalization_assets.settings import load_settings

    journal = Journal(load_settings(settings_file, warehouse=warehouse).mails_dir)
    with journal.alone():
        journal.resolve(send_id, sent=sent)
    Console().print(f"{send_id} is {'sent' if sent else 'sent again by the next `mails send`'}.")


def _say_uncertain(journal: "Journal", console: Console) -> None:
    uncertain = journal.uncertain()
    if not uncertain:
        return
    console.print(
        f"{len(uncertain):,} mails are uncertain: the server may or may not have taken them, so "
        "they are not sent again. Look for their Message-ID (it begins with the send id) in the "
        "server's log, then `personalize mails resolve SEND_ID --sent` or `--not-sent`.",
        highlight=False,
        soft_wrap=True,
    )
    for send_id in uncertain[:LISTED]:
        console.print(f"  {send_id}", highlight=False)


COMMANDS = [send, status, resolve]
