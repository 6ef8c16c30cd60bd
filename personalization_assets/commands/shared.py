"""What several commands need: the settings that they run with, their time, and a sentence on the
console."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
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


def say(console: Console, text: str) -> None:
    """A sentence, with markup, that is not broken where it would be copied from."""
    console.print(Text.from_markup(text), highlight=False, soft_wrap=True)
