"""`personalize identity ...`: who is who, from a shell."""

import click

from personalization_assets.commands.stewardship import COMMANDS


@click.group()
def identity() -> None:
    """Work out which records are one person, explain it, and correct it."""


for command in COMMANDS:
    identity.add_command(command)
