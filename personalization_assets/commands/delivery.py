"""`personalize mails send`, `status`, `resolve`: mails to a mail server, and what came of it."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIG_DFL
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from personalization_assets.commands.shared import moment

if TYPE_CHECKING:
    from personalization_assets.emails.delivery.due import Spool
    from personalization_assets.emails.delivery.journal import Journal
    from personalization_assets.emails.delivery.sending import Summary

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

    from personalization_assets.emails.delivery.due import spool_due
    from personalization_assets.emails.delivery.journal import Journal
    from personalization_assets.emails.delivery.sending import Due, Sender, messages
    from personalization_assets.emails.suppression_list import StopList
    from personalization_assets.errors import UserError
    from personalization_assets.settings import load_settings
    from personalization_assets.warehouse import exists, reading

    settings = load_settings(settings_file, warehouse=warehouse)
    chosen = settings.emails.delivery
    if chosen.channel != "smtp" and not dry_run:
        raise UserError(
            f"emails.delivery.channel is {chosen.channel}, so mails leave as files: set it to smtp "
            "to send them from here."
        )
    password = os.environ.get(PASSWORD_VARIABLE)
    if chosen.username and not password and not dry_run:
        raise UserError(
            f"emails.delivery.username is set, but {PASSWORD_VARIABLE} is not: put the password "
            "into the environment."
        )
    now = moment(as_of)
    console = Console()
    stop_list = StopList(settings.data_dir / "suppressions.csv")
    listed = sorted(stop_list.emails())
    journal = Journal(settings.mails_dir)
    with journal.alone():
        with reading(settings.warehouse_file) as con:
            if not exists(con, "emails.batches"):
                raise UserError("There are no mails yet: run `personalize run` first.")
            spool = spool_due(con, journal, now, chosen.expire_hours, campaign, limit, listed)
        try:
            mails = messages(spool.files, chosen.envelope_from)
            if dry_run:
                good = sum(isinstance(mail, Due) for mail in mails)
                _say_due(spool, console)
                console.print(
                    f"{good:,} would be sent, {spool.mails - good:,} cannot be written as messages."
                )
                return
            with Progress(
                console=console, transient=True, disable=not console.is_terminal
            ) as progress:
                task = progress.add_task("sending", total=spool.mails)
                sender = Sender(
                    chosen,
                    password,
                    journal,
                    lambda _: progress.advance(task),
                    stop_list.emails,
                )
                try:
                    if spool.mails:
                        with _stopping(sender.stop):
                            sender.send(mails)
                finally:
                    progress.stop()
                    _say_due(spool, console)
                    _say_sent(sender.summary, console)
                    _say_uncertain(journal, console)
        finally:
            spool.remove()
    if sender.stopped_early:
        console.print("Stopped; the next `personalize mails send` goes on.")
        sys.exit(130)


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM let the mails under way come to their end; the same again kills."""

    def once(number: int, _frame: object) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else SIG_DFL)
        stop()

    before = {number: signal.signal(number, once) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command()
@click.option("--as-of", help="At this time, UTC [now]")
@WAREHOUSE
@click.pass_obj
def status(settings_file: Path | None, as_of: str | None, warehouse: Path | None) -> None:
    """Count the mails that went to the mail server or wait for it, by campaign and status."""
    from personalization_assets.emails.delivery.due import count_unsent, decide_due
    from personalization_assets.emails.delivery.journal import Journal
    from personalization_assets.errors import UserError
    from personalization_assets.settings import load_settings
    from personalization_assets.warehouse import reading

    settings = load_settings(settings_file, warehouse=warehouse)
    console = Console()
    journal = Journal(settings.mails_dir)
    journal.settle()
    now = moment(as_of)
    try:
        with reading(settings.warehouse_file) as con:
            decide_due(con, journal, now, settings.emails.delivery.expire_hours, not_yet=True)
            left = count_unsent(con)
    except UserError as error:
        left = []
        console.print(f"Mails that wait are not counted: {error}", highlight=False, soft_wrap=True)
    grid = Table(box=None, padding=(0, 2, 0, 0))
    grid.add_column("campaign")
    grid.add_column("status")
    grid.add_column("mails", justify="right")
    counts = sorted(journal.counts() + left)
    for campaign, state, number in counts:
        grid.add_row(campaign, state, f"{number:,}")
    console.print(grid if counts else "No mail has been given to a mail server, and none waits.")
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


def _say_due(spool: "Spool", console: Console) -> None:
    held = [f"{number:,} {why}" for why, number in sorted(spool.held.items())]
    kept = f" Kept back: {', '.join(held)}." if held else ""
    total = spool.mails + spool.held.total()
    console.print(f"Mails due: {total:,}.{kept}", end=" ", soft_wrap=True)


def _say_sent(summary: "Summary", console: Console) -> None:
    parts = [f"{number:,} {status}" for status, number in sorted(summary.counts.items())]
    console.print(f"Given to the server: {', '.join(parts) or 'none'}.", soft_wrap=True)
    for code, number in sorted(summary.codes.items()):
        console.print(f"  {number:,} with the answer {code}")
    for reason, number in sorted(summary.reasons.items()):
        console.print(f"  {number:,} refused: {reason}", highlight=False)


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
