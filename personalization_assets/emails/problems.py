"""Turning other libraries' complaints into half a sentence that a person can act on."""

import difflib
from collections.abc import Callable, Iterable, Sequence

import yaml
from pydantic import ValidationError

Place = tuple[int | str, ...]
"""Names and numbers that lead to a field."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`", did you mean X?"` for the closest known word, or nothing."""
    by_lower = {k.lower(): k for k in sorted(known)}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f", did you mean {by_lower[close[0]]!r}?" if close else ""


def first_problem(error: Exception, known: Sequence[str] = ()) -> str:
    """The first thing that is wrong, without a full stop at its end."""
    if isinstance(error, ValidationError):
        return all_problems(error, lambda _: known)[0][1]
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def all_problems(
    error: ValidationError, known_at: Callable[[Place], Sequence[str]]
) -> list[tuple[Place, str]]:
    """Everything that is wrong, and where; `known_at` are the names of fields at a place.

    A misspelt field is also a missing one: only the misspelling is told.
    """
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    errors.sort(key=lambda e: e["type"] != "extra_forbidden")
    found: list[tuple[Place, str]] = []
    for error_ in errors:
        place = error_["loc"]
        if error_["type"] == "missing" and any(f"{place[-1]!r}" in says for _, says in found):
            continue
        found.append((place, _in_words(error_["type"], place, error_["msg"], known_at)))
    return found


def _in_words(
    kind: str, place: Place, message: str, known_at: Callable[[Place], Sequence[str]]
) -> str:
    where = ".".join(str(part) for part in place) or "the file"
    if kind == "extra_forbidden":
        hint = did_you_mean(str(place[-1]), known_at(place)).rstrip("?")
        return f"{where} is not a known field{hint or '; remove it'}"
    if kind == "missing":
        return f"{where} is missing; add it"
    message = message.removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}".rstrip(".")


def yaml_line(text: str, place: Place) -> int:
    """The line of a YAML text (from 1) that holds the field at a place, or what should hold it."""
    node = yaml.compose(text)
    line = node.start_mark.line if node is not None else 0
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1
