"""`personalize campaign ...`: what a marketer asks about a campaign, from a shell."""

import click

from personalization_assets.commands.checking import COMMANDS as CHECKING
from personalization_assets.commands.decisions import COMMANDS as DECISIONS
from personalization_assets.commands.preview import COMMANDS as PREVIEW


@click.group()
def campaign() -> None:
    """Check a campaign, look at its mails, and ask who gets them."""


for command in [*CHECKING, *DECISIONS, *PREVIEW]:
    campaign.add_command(command)
