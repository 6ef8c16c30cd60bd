"""Turning other libraries' complaints into half a sentence that a person can act on."""

import difflib
from collections.abc import Iterable, Sequence

import yaml
from pydantic import ValidationError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`", did you mean X?"` for the closest known word, or nothing."""
    by_lower = {k.lower(): k for k in sorted(known)}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f", did you mean {by_lower[close[0]]!r}?" if close else ""


def first_problem(error: Exception, known: Sequence[str] = ()) -> str:
    """The first thing that is wrong, without a full stop at its end."""
    if isinstance(error, ValidationError):
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        # A misspelt field is also a missing one; the misspelling says more.
        first = min(errors, key=lambda e: e["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(str(first["loc"][-1]), known).rstrip("?")
            return f"{where} is not a known field{hint or '; remove it'}"
        if first["type"] == "missing":
            return f"{where} is missing; add it"
        message = first["msg"].removeprefix("Value error, ")
        return f"{where}: {message[0].lower()}{message[1:]}".rstrip(".")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
