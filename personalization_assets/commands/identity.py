"""`personalize identity ...`: who is who, from a shell."""

import click


@click.group()
def identity() -> None:
    """Work out which records are one person, explain it, and correct it."""
