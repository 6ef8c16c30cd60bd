"""`personalize recommend ...`: the recommender, from a shell."""

import click

from personalization_assets.commands.recommend_evaluate import evaluate
from personalization_assets.commands.recommend_offline import offline
from personalization_assets.commands.recommend_versions import COMMANDS as VERSIONS


@click.group()
def recommend() -> None:
    """See how the recommender does, and decide which version makes the lists."""


for command in (evaluate, offline, *VERSIONS):
    recommend.add_command(command)
