"""What the compiler does not take: the template is then python-liquid's, whole."""

from typing import Any

from personalization_assets.emails.liquid_batch.scope import line_of


class UnsupportedError(Exception):
    """A part of a template that the compiler does not know, and its line."""

    def __init__(self, what: str, token: Any = None) -> None:
        self.what = what
        self.line = line_of(token) if token is not None else None
        super().__init__(what)
