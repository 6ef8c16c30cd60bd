"""A console for tables of many columns."""

from rich.console import Console

WIDTH = 140
"""Columns of what goes to a file or a pipe"""


def wide_console() -> Console:
    """As wide as the terminal; where there is none, wide enough for a table to stay readable."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
