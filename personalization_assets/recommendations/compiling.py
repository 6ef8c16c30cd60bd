"""How loops that numpy has no word for are compiled. Imported only where they are run."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """The function compiled without the interpreter's lock, kept on disk where that is possible.

    None of numba's fast maths: NaN and infinity behave as IEEE 754 says.
    """
    try:
        return njit(function, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return njit(function, nogil=True, error_model="numpy")
