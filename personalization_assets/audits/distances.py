"""How far two histograms of a column are apart, as effect sizes, and how far chance takes them.

Population stability index over about ten bins of the reference, Jensen-Shannon distance (square
root of the divergence in bits), Kolmogorov-Smirnov distance of the binned distributions. PSI alone
is blind to a change of scale in a skewed column: 30 % more on every order gives a PSI of 0.06.

Two samples of one shop differ, too: for 500 rows each, a KS distance of 0.06 is nothing. Each
measure has a bound that two samples of the same distribution stay under but for a chance `alpha`:
PSI and JS by their chi-squared limit (Yurdakul 2018, "Statistical Properties of Population
Stability Index"; Lin 1991 for JS), KS by the two-sample form of the bound by Dvoretzky, Kiefer,
Wolfowitz and Massart.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

PSI_BIN_SHARE = 0.10
"""Neighbouring bins are joined until they hold this share of the reference."""

EXPECTED_ROWS = 10.0
"""Bins and labels in which fewer rows are to be expected are joined: with five, the chi-squared
limits are passed five times as often as they say in samples of very different sizes."""


@dataclass(frozen=True)
class Histograms:
    """Two histograms over the same bins, in their order; `ordered` where neighbours are alike."""

    then: Sequence[int]
    now: Sequence[int]
    ordered: bool

    @property
    def spread(self) -> float:
        """1/n + 1/m: how much chance there is in a difference of shares."""
        return 1 / sum(self.then) + 1 / sum(self.now)


@dataclass(frozen=True)
class Distance:
    """A distance with what its bound by chance depends on."""

    value: float
    bins: int
    spread: float


def histograms(then: Mapping[str, int], now: Mapping[str, int], ordered: bool) -> Histograms:
    """Both over the bins of either; bins of numbers in their order."""
    names = sorted({*then, *now}, key=int if ordered else str)
    return Histograms([then.get(n, 0) for n in names], [now.get(n, 0) for n in names], ordered)


def psi_of(pair: Histograms) -> Distance:
    """PSI over joined bins."""
    if pair.ordered:
        enough = sum(pair.then) * PSI_BIN_SHARE
        joined = _join_neighbours(pair, lambda then, _: then >= enough)
    else:
        joined = _join_rare(pair)
    return Distance(psi(*joined), len(joined[0]), pair.spread)


def js_of(pair: Histograms) -> Distance:
    """Jensen-Shannon distance over bins that hold enough rows to tell."""
    whole_then, whole_now = sum(pair.then), sum(pair.now)
    fewest, whole = min(whole_then, whole_now), whole_then + whole_now
    enough = EXPECTED_ROWS * whole / fewest
    joined = (
        _join_neighbours(pair, lambda then, now: then + now >= enough)
        if pair.ordered
        else _join_rare(pair)
    )
    return Distance(js_distance(*joined), len(joined[0]), pair.spread)


def ks_of(pair: Histograms) -> Distance:
    """Kolmogorov-Smirnov distance."""
    return Distance(ks_distance(pair.then, pair.now), len(pair.then), pair.spread)


def psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """Population stability index of two histograms over the same bins, half a row added to each."""
    whole_reference = sum(reference) + 0.5 * len(reference)
    whole_current = sum(current) + 0.5 * len(current)
    total = 0.0
    for then, now in zip(reference, current, strict=True):
        p, q = (then + 0.5) / whole_reference, (now + 0.5) / whole_current
        total += (q - p) * math.log(q / p)
    return total


def js_distance(reference: Sequence[int], current: Sequence[int]) -> float:
    """Jensen-Shannon distance in base 2: 0 for equal shares, 1 where nothing overlaps."""
    whole_reference, whole_current = sum(reference), sum(current)
    divergence = 0.0
    for then, now in zip(reference, current, strict=True):
        p, q = then / whole_reference, now / whole_current
        middle = (p + q) / 2
        divergence += sum(share * math.log2(share / middle) / 2 for share in (p, q) if share)
    return math.sqrt(max(divergence, 0.0))


def ks_distance(reference: Sequence[int], current: Sequence[int]) -> float:
    """The largest gap between the two cumulative shares, seen at the edges of the bins."""
    whole_reference, whole_current = sum(reference), sum(current)
    p = q = 0
    widest = 0.0
    for then, now in zip(reference, current, strict=True):
        p, q = p + then, q + now
        widest = max(widest, abs(p / whole_reference - q / whole_current))
    return widest


def psi_by_chance(distance: Distance, alpha: float) -> float:
    """What PSI stays under without a change, but for a chance `alpha`.

    Its mean then is (B - 1) (1/n + 1/m) for B bins.
    """
    return _chi_squared(distance.bins - 1, alpha) * distance.spread


def js_by_chance(distance: Distance, alpha: float) -> float:
    """The same for JS: for small changes its square in nats is an eighth of the PSI."""
    return math.sqrt(psi_by_chance(distance, alpha) / (8 * math.log(2)))


def ks_by_chance(distance: Distance, alpha: float) -> float:
    """The same for the KS distance; binned, it can only be smaller."""
    return math.sqrt(-math.log(alpha / 2) / 2 * distance.spread)


def cohens_h(hits: int, rows: int, hits_then: int, rows_then: int) -> float:
    """Cohen's h of two shares: from 0 to pi, and 5 points weigh more near 0 and 1 than in between.

    One row more of each sort is counted on both sides, or chance near 0 would pass for a change.
    """
    p, q = (hits + 1) / (rows + 2), (hits_then + 1) / (rows_then + 2)
    return abs(2 * math.asin(math.sqrt(p)) - 2 * math.asin(math.sqrt(q)))


def h_by_chance(rows: int, rows_then: int, alpha: float) -> float:
    """The same for Cohen's h, whose spread does not depend on the share."""
    return NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(1 / rows + 1 / rows_then)


def count_by_chance(then: int, now: int, alpha: float) -> float:
    """The change of a count of independent events that chance alone brings, relative to `then`."""
    return NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(then + now) / then


def one_sided_rows(here: int, there: int, alpha: float) -> int:
    """How many rows with a mark can all lie in one of two samples of the same shop by chance.

    The chance that `c` marked rows are all among the `here` of `here + there` rows is at most
    (here / (here + there)) ** c; from the returned count on it is under `alpha`.
    """
    return math.ceil(math.log(alpha) / math.log(here / (here + there)))


def _chi_squared(freedom: int, alpha: float) -> float:
    from scipy.special import chdtri

    return float(chdtri(freedom, alpha)) if freedom > 0 else 0.0


def _join_neighbours(
    pair: Histograms, is_enough: Callable[[int, int], bool]
) -> tuple[list[int], list[int]]:
    joined: list[tuple[int, int]] = []
    then = now = 0
    for r, c in zip(pair.then, pair.now, strict=True):
        then, now = then + r, now + c
        if is_enough(then, now):
            joined.append((then, now))
            then = now = 0
    if (then or now) and joined:
        last = joined.pop()
        then, now = last[0] + then, last[1] + now
    if then or now:
        joined.append((then, now))
    return [j[0] for j in joined], [j[1] for j in joined]


def _join_rare(pair: Histograms) -> tuple[list[int], list[int]]:
    fewest = min(sum(pair.then), sum(pair.now))
    enough = EXPECTED_ROWS / fewest * (sum(pair.then) + sum(pair.now))
    pairs = list(zip(pair.then, pair.now, strict=True))
    common = [p for p in pairs if sum(p) >= enough]
    rare = [p for p in pairs if sum(p) < enough]
    if rare:
        common.append((sum(p[0] for p in rare), sum(p[1] for p in rare)))
    return [p[0] for p in common], [p[1] for p in common]
