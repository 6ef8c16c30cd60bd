"""Files of a marketer in YAML, and other libraries' complaints about them as half a sentence that a
person can act on."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import AfterValidator, ValidationError

Place = tuple[int | str, ...]
"""Names and numbers that lead to a field."""
NOT_UTF8 = "this is not UTF-8 text; save the file as UTF-8"
LONGEST = 40
"""Characters of a wrong value that are repeated."""
YAML_WORDS: Sequence[tuple[str, str]] = (
    (r"found character '\\t'", "there is a tab; indent with spaces"),
    (
        r"found character '(.+?)' that cannot start",
        r"a value that begins with \1 needs quotes around it",
    ),
    (r"found undefined alias|expected alphabetic", "a value that begins with * or & needs quotes"),
    (r"could not determine a constructor", "a value that begins with ! needs quotes around it"),
    (
        r"mapping values are not allowed here",
        "there is a ':' too many; put the value into quotes, or correct the indentation",
    ),
    (r"but found another document", "'---' begins another document; remove the line"),
    (r"could not find expected ':'", "there is no ':' after the name of the field"),
    (r"expected <block end>", "the indentation does not fit that of the lines before"),
    (r"unexpected end of stream", "a quotation mark is not closed"),
    (r"expected ',' or '([\]}])'", r"a ',' or '\1' is missing"),
    (r"expected the node content", "a bracket is not closed"),
)
"""What PyYAML says, as a pattern, and what it means."""


class YamlError(Exception):
    """A file that is not readable YAML: `problem` is half a sentence, `line` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = line, problem


class _Loader(yaml.SafeLoader):
    """YAML in which a name that stands twice is a mistake; PyYAML would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                problem = f"{key.value} stands here and in line {seen[key.value]}; remove one"
                raise YamlError(line, problem)
            seen[key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> tuple[str, Any]:
    """The text of a file and what it holds.

    Raises:
        YamlError: it is not UTF-8 or not YAML, or a name stands in it twice.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
        return text, yaml.load(text, _Loader)  # safe: it is a SafeLoader
    except UnicodeDecodeError as error:
        raise YamlError(line_of_bytes(data, error), NOT_UTF8) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        context = str(getattr(error, "context", None))
        if context.startswith(("while scanning a quoted", "while parsing a flow")):
            mark = getattr(error, "context_mark", mark)  # where the quotation or bracket opens
        said = str(getattr(error, "problem", None) or error).splitlines()[0].rstrip(".")
        for pattern, words in YAML_WORDS:
            found = re.search(pattern, said)
            if found is not None:
                said = found.expand(words)
                break
        problem = f"this is not valid YAML: {said}"
        raise YamlError(mark.line + 1 if mark is not None else 1, problem) from error


def line_of_bytes(data: bytes, error: UnicodeDecodeError) -> int:
    """The line, from 1, of the first byte that is not UTF-8."""
    return data.count(b"\n", 0, error.start) + 1


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`", did you mean X?"` for the closest known word, or nothing."""
    by_lower = {k.lower(): k for k in sorted(known)}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f", did you mean {by_lower[close[0]]!r}?" if close else ""


def fits(pattern: str, words: str) -> AfterValidator:
    """A validator of a text, for `Annotated`; `words` say what it must be."""

    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"must be {words}, not {_shown(value)}")
        return value

    return AfterValidator(check)


def all_problems(
    error: ValidationError, known_at: Callable[[Place], Sequence[str]]
) -> list[tuple[Place, str]]:
    """Everything that is wrong, and where; `known_at` are the names of fields at a place.

    A misspelt field is also a missing one: only the misspelling is told.
    """
    errors = error.errors(include_url=False)
    errors.sort(key=lambda e: e["type"] not in ("extra_forbidden", "invalid_key"))
    found: list[tuple[Place, str]] = []
    for error_ in errors:
        place = error_["loc"]
        if error_["type"] == "missing" and any(f"{place[-1]!r}" in says for _, says in found):
            continue
        found.append((place, _in_words(error_["type"], place, error_, known_at)))
    return found


def _in_words(
    kind: str, place: Place, error: Any, known_at: Callable[[Place], Sequence[str]]
) -> str:
    where = ".".join(str(part) for part in place) or "the file"
    if kind == "extra_forbidden":
        hint = did_you_mean(str(place[-1]), known_at(place)).rstrip("?")
        return f"{where} is not a known field{hint or '; remove it'}"
    if kind == "invalid_key":
        return f"{where} is not the name of a field; write a word, or put it into quotes"
    if kind == "missing":
        return f"{where} is missing; add it"
    if kind == "value_error":
        message = str(error["msg"]).removeprefix("Value error, ")
        return f"{where}{' ' if message.startswith('must ') else ': '}{message}".rstrip(".")
    return f"{where} must be {_wanted(kind, error)}, not {_shown(error['input'])}"


def _wanted(kind: str, error: Any) -> str:
    """What a field takes, by pydantic's kind of error."""
    for beginning, words in (
        ("int", "a whole number"),
        ("float", "a number"),
        ("bool", "true or false"),
        ("string_too_short", "a text with something in it"),
        ("string", "text"),
        ("list", "a list with a '-' before each entry"),
        ("model", "fields of its own, each with a name and a value"),
    ):
        if kind.startswith(beginning):
            return words
    said = str(error["msg"]).removeprefix("Input should be ")
    return f"{said[:1].lower()}{said[1:]}".rstrip(".")


def _shown(value: Any) -> str:
    """A value that was written, in short."""
    if isinstance(value, dict):
        return "fields with names"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "empty"
    text = f"'{value}'"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...'"


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
