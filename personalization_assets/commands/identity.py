"""`personalize identity ...`: who is who, from a shell."""

import click

from personalization_assets.commands.linking import COMMANDS as LINKING
from personalization_assets.commands.stewardship import COMMANDS as STEWARDSHIP


@click.group()
def identity() -> None:
    """Work out which records are one person, explain it, and correct it."""


for command in [*LINKING, *STEWARDSHIP]:
    identity.add_command(command)
