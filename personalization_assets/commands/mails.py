"""`personalize mails ...`: rendered mails, from a shell: show one, send them, see what was sent."""

import click


@click.group()
def mails() -> None:
    """Show, send and account for rendered mails."""


for command in ():
    mails.add_command(command)
