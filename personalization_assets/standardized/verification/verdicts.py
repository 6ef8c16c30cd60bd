"""What is said of an address, in words that are the same for all services."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Verdict = Literal["deliverable", "undeliverable", "risky", "unknown"]
VERDICTS: tuple[Verdict, ...] = ("deliverable", "undeliverable", "risky", "unknown")


@dataclass(frozen=True)
class Answer:
    """What a service says of one address; `reason` is the service's own word."""

    email: str
    verdict: Verdict
    reason: str


class VerificationError(Exception):
    """No answer. The text names the service and what is wrong, never an address or a key."""


class StoppedError(VerificationError):
    """The service will not answer until somebody changes something: key, credits, request."""


class UnavailableError(VerificationError):
    """The service does not answer now; a later run may try again."""


class LostError(VerificationError):
    """The service gave this batch up; its addresses are asked about again."""


class WorkingError(VerificationError):
    """The service has the batch and is not done; a later run collects the answers."""


class Notes(Protocol):
    """Where a verifier notes at once what must outlive the process."""

    def ticket(self, ticket: str) -> None:
        """The service has taken the batch under this number."""

    def charged_again(self) -> None:
        """The batch is sent once more although the service may have worked on it already."""


class Verifier(Protocol):
    """A paid service. Addresses are in small letters, each once, at most `batch_size` of them."""

    name: str
    batch_size: int
    resumable: bool
    """Whether answers can be fetched later that were not received at once."""

    def verify(self, batch_id: str, addresses: Sequence[str], notes: Notes) -> list[Answer]:
        """Ask about a batch that was not asked about before; costs one credit an address.

        Raises:
            VerificationError: no answer; its kind says whether trying again helps.
        """

    def resume(self, batch_id: str, ticket: str | None) -> list[Answer] | None:
        """Answers to a batch whose run was killed or did not wait; None where they are lost.

        Raises:
            VerificationError: as `verify`.
        """
