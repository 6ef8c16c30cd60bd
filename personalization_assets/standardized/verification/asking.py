"""A run's questions: open batches first, then new ones by priority, within the day's budget."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from personalization_assets.standardized.verification.journal import Journal
from personalization_assets.standardized.verification.settings import (
    KEY_VARIABLES,
    VerificationSettings,
)
from personalization_assets.standardized.verification.verdicts import (
    Answer,
    LostError,
    StoppedError,
    UnavailableError,
    VerificationError,
    Verifier,
)


@dataclass
class Outcome:
    """What came of it: addresses asked and answered, and why no more were asked (empty: all)."""

    asked: int = 0
    answered: int = 0
    stopped: str = ""


@dataclass
class _Notes:
    journal: Journal
    batch_id: str
    addresses: int
    left: int
    taken: bool = False

    def ticket(self, ticket: str) -> None:
        self.taken = True
        self.journal.note_ticket(self.batch_id, ticket)

    def charged_again(self) -> None:
        self.left -= self.addresses
        if self.left < 0:
            raise UnavailableError(
                "an answer was lost, and to ask again might cost more than the day's budget"
            )
        self.journal.note_charge(self.batch_id)


def verifier_of(settings: VerificationSettings) -> tuple[Verifier | None, str]:
    """The service that the settings name, with the key of the environment; or why there is none."""
    if settings.provider is None:
        return None, "no service is named (setting standardized.verification.provider)"
    variable = KEY_VARIABLES[settings.provider]
    key = os.environ.get(variable, "").strip()
    if not key:
        return None, f"{variable} is not set"
    if settings.provider == "neverbounce":
        from personalization_assets.standardized.verification.neverbounce import NeverBounce

        return NeverBounce(key, settings), ""
    from personalization_assets.standardized.verification.zerobounce import ZeroBounce

    return ZeroBounce(key, settings), ""


def ask(
    verifier: Verifier,
    journal: Journal,
    wanted: Callable[[], pl.Series],
    daily_budget: int,
    progress: Callable[[str], None],
) -> Outcome:
    """Ask about the addresses that `wanted` gives, in its order, and keep the answers.

    Trouble with the service ends the asking and not the run: `Outcome.stopped` says what it was.
    """
    outcome = Outcome()
    try:
        _collect_open(verifier, journal, outcome)
        _ask_new(verifier, journal, wanted(), daily_budget, progress, outcome)
    except VerificationError as error:
        outcome.stopped = str(error)
    return outcome


def _collect_open(verifier: Verifier, journal: Journal, outcome: Outcome) -> None:
    for batch in journal.open_batches(verifier.name):
        try:
            answers = verifier.resume(batch.batch_id, batch.ticket)
        except LostError as error:
            journal.fail(batch.batch_id, str(error), charged=True)
            continue
        if answers is None:
            journal.fail(batch.batch_id, "the run ended before the answers came", charged=True)
        else:
            journal.store(batch.batch_id, verifier.name, answers)
            outcome.answered += len(answers)


def _ask_new(
    verifier: Verifier,
    journal: Journal,
    wanted: pl.Series,
    daily_budget: int,
    progress: Callable[[str], None],
    outcome: Outcome,
) -> None:
    left = daily_budget - journal.spent(verifier.name)
    chosen = wanted.head(max(0, left))
    for start in range(0, chosen.len(), verifier.batch_size):
        addresses = chosen.slice(start, verifier.batch_size).to_list()
        # What was sent twice has been charged twice, maybe.
        left = daily_budget - journal.spent(verifier.name) - len(addresses)
        if left < 0:
            break
        answers = _ask_batch(verifier, journal, addresses, left)
        outcome.asked += len(addresses)
        outcome.answered += len(answers)
        progress(f"verification: {outcome.answered:,} of {chosen.len():,} addresses answered")
    if outcome.asked < wanted.len():
        outcome.stopped = (
            f"the budget of {daily_budget:,} addresses a day is used up"
            " (setting standardized.verification.daily_budget)"
        )


def _ask_batch(
    verifier: Verifier, journal: Journal, addresses: list[str], left: int
) -> list[Answer]:
    batch_id = journal.begin(verifier.name, len(addresses))
    notes = _Notes(journal, batch_id, len(addresses), left)
    try:
        answers = verifier.verify(batch_id, addresses, notes)
    except VerificationError as error:
        refused = isinstance(error, StoppedError) and not notes.taken
        if refused or isinstance(error, LostError) or not verifier.resumable:
            # A batch that was refused costs nothing; of others nobody knows.
            journal.fail(batch_id, str(error), charged=not refused)
        # Others stay open: their answers are fetched by the next run.
        raise
    asked = set(addresses)
    given = {answer.email: answer for answer in answers if answer.email in asked}
    silent = [Answer(email, "unknown", "no_answer") for email in addresses if email not in given]
    complete = [*given.values(), *silent]
    journal.store(batch_id, verifier.name, complete)
    return complete
