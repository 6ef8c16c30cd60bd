"""How often a place of a mail is looked at, compared with the first one.

The position-based model (Chuklin, Markov and de Rijke 2015, "Click Models for Web Search", chapter
3; Joachims, Swaminathan and Schnabel 2017) takes a click for two things that both happen: somebody
looks at the place, which depends on the place alone, and wants the product, which depends on the
product alone. Clicks on a product that stood at different places, because lists differ and because
some places try near ties, tell the two apart.

As clicks are rare, their numbers are taken as Poisson with mean shown x examination x relevance;
then the likelihood is maximised by turns in closed form, where expectation maximisation (Wang et
al. 2018) would need thousands of rounds. With few data examination stays near a stated curve, 1 / k
^ power: the curve counts as much as a number of shown places does.

What this cannot undo: where a list puts first what one person wants most, the first place also
looks better than it is, for products are told apart by person less finely than the list does.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from personalization_assets.feedback.settings import FeedbackSettings

ROUNDS = 200
RELEVANCE_SHOWN = 50.0
"""A product's relevance starts at the overall click rate, as if it had been looked at so often."""


def examine(counts: pl.DataFrame, settings: FeedbackSettings) -> pl.DataFrame:
    """Estimate examination from clicks.

    Args:
        counts: position, item, shown, clicked; one row per position and item, and an item is what
            is equally relevant wherever it stands
        settings: the prior curve and its weight

    Returns:
        One row per position from 1 to the last: position, shown, clicked, examination (1 for the
        first), prior, evidence (0: the prior alone speaks, near 1: the data do).
    """
    schema = {
        "position": pl.Int64,
        "shown": pl.Int64,
        "clicked": pl.Int64,
        "examination": pl.Float64,
        "prior": pl.Float64,
        "evidence": pl.Float64,
    }
    if counts.is_empty():
        return pl.DataFrame(schema=schema)
    place = counts["position"].to_numpy() - 1
    item = counts["item"].rank("dense").to_numpy().astype(np.int64) - 1
    shown = counts["shown"].to_numpy().astype(np.float64)
    clicked = counts["clicked"].to_numpy().astype(np.float64)
    last = int(place.max()) + 1
    prior = np.arange(1, last + 1, dtype=np.float64) ** -settings.examination_power
    rate = (clicked.sum() + 0.5) / ((shown * prior[place]).sum() + 1)
    by_item, by_place = np.bincount(item, clicked), np.bincount(place, clicked, last)
    expected: npt.NDArray[np.float64] = np.zeros(last)
    weight = settings.examination_shown * rate
    examination = prior
    for _ in range(ROUNDS):
        seen = np.bincount(item, shown * examination[place])
        relevance = (by_item + RELEVANCE_SHOWN * rate) / (seen + RELEVANCE_SHOWN)
        expected = np.bincount(place, shown * relevance[item], last).astype(np.float64)
        before = examination
        examination = (by_place + weight * prior) / (expected + weight)
        examination = examination / examination[0]
        if np.abs(examination - before).max() < 1e-9:
            break
    return pl.DataFrame(
        {
            "position": np.arange(1, last + 1),
            "shown": np.bincount(place, shown, last).astype(np.int64),
            "clicked": by_place.astype(np.int64),
            "examination": examination,
            "prior": prior,
            "evidence": expected / (expected + weight),
        },
        schema=schema,
    )


def counts_of(con: Any) -> pl.DataFrame:
    """What `examine` needs, of feedback.recommendation_outcomes: an item is a product by what put
    it into the list, for a product that a model picks is wanted more than as a best seller."""
    frame: pl.DataFrame = con.sql(
        """
        SELECT position, product_id || '|' || source AS item, count(*) AS shown,
               count(clicked_at) AS clicked
        FROM feedback.recommendation_outcomes WHERE counts
        GROUP BY ALL ORDER BY ALL
        """
    ).pl()
    return frame
