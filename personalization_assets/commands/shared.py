"""What several commands need: the settings that they run with, and a sentence on the console."""

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


def say(console: Console, text: str) -> None:
    """A sentence, with markup, that is not broken where it would be copied from."""
    console.print(Text.from_markup(text), highlight=False, soft_wrap=True)
