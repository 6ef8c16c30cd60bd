"""`personalize campaign ...`: what a marketer asks about a campaign, from a shell."""

import click


@click.group()
def campaign() -> None:
    """Check a campaign, look at its mails, and ask who gets them."""


for command in ():
    campaign.add_command(command)
