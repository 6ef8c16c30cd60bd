"""What was found in a campaign's files, collected."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from personalization_assets.emails.checking.rules import RULES, Severity
from personalization_assets.errors import UserError


class Place(NamedTuple):
    """A place in an author's file, counted from 1."""

    path: Path
    line: int
    column: int | None = None

    def within(self, folder: Path) -> str:
        """`file line n`, the file as seen from a folder that it may lie in."""
        return f"{short_path(self.path, folder)} line {self.line}"


@dataclass(frozen=True)
class Finding:
    """A broken rule and where: the author's file, line and column (both from 1)."""

    severity: Severity
    code: str
    file: Path
    line: int
    column: int | None
    message: str
    hint: str

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """By file and line."""
        return (str(self.file), self.line, self.column or 0, self.code, self.message)

    @property
    def says(self) -> str:
        """What is wrong and what to do, as a sentence without its place."""
        if not self.hint:
            return f"{self.message}."
        if self.hint.startswith("did you mean"):
            return f"{self.message}, {self.hint}"
        return f"{self.message}; {self.hint}."

    @property
    def sentence(self) -> str:
        """The same with its place, as an error that stops a run says it."""
        return f"{self.file} line {self.line}: {self.says}"

    def as_dict(self) -> dict[str, Any]:
        """For editors and CI."""
        return asdict(self) | {"file": str(self.file)}


def short_path(path: Path, folder: Path) -> str:
    """A file as seen from a folder that it may lie in."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


class FoundError(UserError):
    """A finding after which a file can't be read on."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.sentence)
        self.finding = finding


def found(code: str, place: Place, /, **words: object) -> Finding:
    """A finding by the table of rules."""
    rule = RULES[code]
    given = {name: str(word) for name, word in words.items()}
    return Finding(
        rule.severity,
        code,
        place.path,
        place.line,
        place.column,
        Template(rule.says).substitute(given),
        Template(rule.hint).substitute(given),
    )


@dataclass
class Findings:
    """Findings of one campaign, in the order in which they were made, each once.

    `allowed` are the codes of warnings that the campaign has silenced.
    """

    allowed: Collection[str] = ()
    _found: dict[Finding, None] = field(default_factory=dict)
    _muted: int = 0

    def add(self, code: str, place: Place, /, **words: object) -> None:
        """Note a finding, unless the campaign allows it."""
        self.take(found(code, place, **words))

    def take(self, finding: Finding) -> None:
        """Note a finding that was made elsewhere."""
        silenced = finding.severity == "warning" and finding.code in self.allowed
        if not silenced and not self._muted:
            self._found[finding] = None

    @contextmanager
    def muted(self) -> Iterator[None]:
        """For a look that is repeated: what is found meanwhile is not noted."""
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1

    @property
    def is_muted(self) -> bool:
        """Whether nothing is noted at the moment."""
        return self._muted > 0

    @property
    def errors(self) -> tuple[Finding, ...]:
        """In the order in which they were made: what makes others follow comes first."""
        return tuple(f for f in self._found if f.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """By file and line."""
        return tuple(f for f in self.all if f.severity == "warning")

    @property
    def all(self) -> tuple[Finding, ...]:
        """By file and line."""
        return tuple(sorted(self._found, key=lambda f: f.order))

    def stop(self, campaign: str) -> None:
        """Raise the first error, if there is one.

        Raises:
            UserError: its sentence, and how to see the others.
        """
        if not self.errors:
            return
        first, more = self.errors[0].sentence, len(self.errors) - 1
        also = f" ({more} more: personalize campaign check {campaign})" if more else ""
        raise UserError(first + also)


def near_of(close: str, otherwise: str) -> Mapping[str, str]:
    """The words `near` of a rule: a suggestion by `did_you_mean`, or something else to do."""
    return {"near": close.removeprefix(", ") or otherwise}
