"""What the compiler does not take: the template is then python-liquid's, whole."""

from typing import Any


class UnsupportedError(Exception):
    """A part of a template that the compiler does not know, and its token if there is one."""

    def __init__(self, what: str, token: Any = None) -> None:
        self.what, self.token = what, token
        super().__init__(what)
