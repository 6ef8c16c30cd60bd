"""How `break` and `continue` leave the Python loop around a place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Jump:
    """Lines that end the loop, and lines that begin its next turn."""

    leave: tuple[str, ...]
    next_turn: tuple[str, ...]
