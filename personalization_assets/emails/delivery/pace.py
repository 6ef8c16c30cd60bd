"""How fast mails go out: evenly, and never above the rate."""

from collections import deque

CATCH_UP = 0.1
"""A late wake-up is made up for, so many seconds at most."""


class Pace:
    """At most `rate` mails in any second, by the times at which they are given to the server; a
    rate below one a second means one mail in 1 / rate seconds.

    Times are seconds of any clock that does not go back.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        most = max(1, int(rate))
        self._span = most / rate
        self._given: deque[float] = deque(maxlen=most)
        self._slot: float | None = None

    def next(self, now: float) -> float:
        """From when on the next mail may go."""
        slot = now if self._slot is None else self._slot
        if len(self._given) == self._given.maxlen:
            return max(slot, self._given[0] + self._span)
        return slot

    def take(self, now: float) -> None:
        """A mail is chosen to go now."""
        slot = now if self._slot is None else max(self._slot, now - CATCH_UP)
        self._slot = slot + 1 / self._rate
        self._given.append(now)

    def gone(self, mails: int, now: float) -> None:
        """So many mails that were chosen last go only now: the disk took its time."""
        for place in range(1, min(mails, len(self._given)) + 1):
            self._given[-place] = now
