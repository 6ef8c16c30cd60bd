"""What click rate other lists would have had, from what the lists that were shown were clicked.

Places that tried near ties were filled at known odds. Each place at which the other lists show the
product that was shown stands for 1 / propensity places: so places that were rare chances count for
those that were not drawn. The rate is their clicks over their number, the self-normalised inverse
propensity estimate (Swaminathan and Joachims 2015, "The Self-Normalized Estimator for
Counterfactual Learning"), place by place as in Li et al. 2018 ("Offline Evaluation of Ranking
Policies with Click Models").

It can only speak of what could have been shown: `support` is the share of the other lists' places
that the odds account for. Well below 1, the rate is that of a part of the lists.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Estimate:
    """The click rate that lists would have had; rates are null where nothing matches."""

    places: int
    """Places that were shown and looked at here"""
    matched: int
    """Of these, places at which the other lists show the same product"""
    support: float
    """Sum of the weights over the places"""
    effective: float
    """So many places of equal weight would know as much (Kish 1965)"""
    rate: float | None
    low: float | None
    high: float | None


def estimate(log: pl.DataFrame, z: float) -> Estimate:
    """The click rate of lists that match some of the places of a log.

    Args:
        log: mail, clicked, propensity, matches (whether the other list has the same product at this
            place); one row per place. Mails are independent of each other, places of a mail are not
        z: normal quantile of the interval

    Returns:
        The estimate; its interval is Wilson's for as many places as would have this variance.
    """
    matches = log["matches"].to_numpy().astype(bool)
    part = log.filter(pl.Series(matches))
    if part.is_empty():
        return Estimate(log.height, 0, 0.0, 0.0, None, None, None)
    weight = 1 / part["propensity"].to_numpy()
    clicked = part["clicked"].to_numpy().astype(np.float64)
    total = weight.sum()
    rate = float((weight * clicked).sum() / total)
    mail = part["mail"].rank("dense").to_numpy().astype(np.int64) - 1
    error = np.bincount(mail, weight * (clicked - rate))
    variance = float((error**2).sum() / total**2)
    effective = float(total**2 / (weight**2).sum())
    n = rate * (1 - rate) / variance if variance > 0 else effective
    middle = rate + z * z / (2 * n)
    half = z * np.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2)
    return Estimate(
        log.height,
        part.height,
        float(total / log.height),
        effective,
        rate,
        float(max(0.0, (middle - half) / (1 + z * z / n))),
        float(min(1.0, (middle + half) / (1 + z * z / n))),
    )
