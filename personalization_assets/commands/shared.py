"""What several commands need: the settings that they run with, their time, the warehouse if there
is one, and a sentence on the console."""

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from personalization_assets.errors import UserError

if TYPE_CHECKING:
    import duckdb

    from personalization_assets.settings import Settings


def load(file: Path | None, warehouse: Path | None, **more: Any) -> "Settings":
    """The settings of a command; imported late, so that help is shown at once."""
    from personalization_assets.settings import load_settings

    return load_settings(file, warehouse=warehouse, **more)


def moment(as_of: str | None = None) -> dt.datetime:
    """The time at which a command works, as a run has it: naive UTC, whole seconds. `as_of` is what
    the user wrote; without it, now.

    Raises:
        UserError: it is no date or time.
    """
    from personalization_assets.tables import parse_as_of

    if as_of:
        return parse_as_of(as_of)
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)


@contextmanager
def warehouse_if_any(
    settings: "Settings", table: str, needed: bool
) -> "Iterator[tuple[duckdb.DuckDBPyConnection | None, str]]":
    """A connection to read the warehouse in which there is a table, or none, and why, in a
    sentence.

    Raises:
        UserError: that sentence, where the warehouse is `needed`: somebody has named it, or asks
            for what only it holds.
    """
    from personalization_assets.warehouse import exists, reading

    why_not = ""
    with ExitStack() as stack:
        con = None
        try:
            con = stack.enter_context(reading(settings.warehouse_file))
            if not exists(con, table):
                con = None
                why_not = (
                    f"The warehouse {settings.warehouse_file} has no table {table} yet: run "
                    f"`personalize run` first."
                )
        except UserError as refused:
            why_not = str(refused)
        if con is None and needed:
            raise UserError(why_not)
        yield con, why_not


def say(console: Console, text: str) -> None:
    """A sentence, with markup, that is not broken where it would be copied from."""
    console.print(Text.from_markup(text), highlight=False, soft_wrap=True)
