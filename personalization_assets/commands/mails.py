"""`personalize mails ...`: rendered mails, from a shell: show one, send them, see what was sent."""

import click

from personalization_assets.commands.delivery import COMMANDS as DELIVERY
from personalization_assets.commands.showing import COMMANDS as SHOWING


@click.group()
def mails() -> None:
    """Show, send and account for rendered mails."""


for command in [*SHOWING, *DELIVERY]:
    mails.add_command(command)
