"""Places of a list that try a near tie, and the odds at which they do.

A model that only ever shows its own best never hears of anything else. So one place in some lists
goes to a product that the model likes almost as much: one from further down the list, and the two
change places, or one that is not on it. It is chosen by Thompson sampling (Thompson 1933; Chapelle
and Li 2011, "An empirical evaluation of Thompson sampling"): each product is drawn as often as it
is likely to be the best of those that compete, given what they were clicked. Products that change
places also tell how often each place is looked at (`feedback/examination.py`).

Thompson sampling usually draws a click rate per product and takes the largest; the odds of the
result are then unknown, and estimates have to be logged. Here the probability of being the best is
computed first, by integrating over the Beta posteriors of the competitors, a share of even odds is
mixed in, and one product is drawn from exactly these probabilities. The policy is the same, the
logged propensity is the one that was used (not an estimate of it), and it is never 0. A new model
can then be judged by what earlier lists showed (`feedback/offline.py`).

Chance starts from the seed, the customer and the day: the same input gives the same lists, in
whatever order rows come, and other customers change nothing.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from personalization_assets.recommendations.exploring_settings import ExploringSettings

Doubles = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

CELLS = 64
"""Steps of the integral over click rates."""
CHUNK = 4_096
"""Places whose odds are computed at a time."""


def explore(
    places: pl.DataFrame,
    reserve: pl.DataFrame,
    outcomes: pl.DataFrame,
    settings: ExploringSettings,
    seed: int,
    as_of: dt.datetime,
) -> pl.DataFrame:
    """The same places, in some of them another product, with `explored` and `propensity`.

    Scores are compared within a customer and source only. With probability `explore_share` x its
    first places a list tries at one of those that have near ties below them, each as likely as the
    others. At such a place the products compete; the one that stood there may win.

    Args:
        places: customer_id, rank, product_id, score, source, and any other columns
        reserve: customer_id, product_id (once per customer), score, source of products that could
            stand in a list but do not (they have been through the shop's rules); columns that it
            shares with `places` come from it where a product is swapped in
        outcomes: product_id, shown, clicked of the past, as `outcomes_of` gives them; may be empty
        settings: of exploring
        seed: of chance
        as_of: its day is part of the seed; running the same day again gives the same lists

    Returns:
        `places`, ordered by customer_id and rank, with two columns more. explored: whether the
        place was one that tries, or gave its product to one. propensity: the probability with which
        this product came to stand at this place, over all that chance could have done; 1 where
        nothing could. What belongs to a product comes along with it.
    """
    ordered = places.sort("customer_id", "rank").with_columns(
        explored=pl.lit(False), propensity=pl.lit(1.0)
    )
    ties = _ties(ordered, reserve, settings)
    if ties.is_empty() or not settings.explore_share:
        return ordered
    slate = _slates(ties, outcomes, settings)
    chosen, chance = _chosen_places(slate, ordered, settings, seed, as_of)
    moves = chance[:, None] * slate.odds
    stays = np.ones(ordered.height)
    np.subtract.at(stays, slate.place, moves[:, 1:].sum(axis=1))
    partner = slate.other >= 0
    np.subtract.at(stays, slate.other[partner], moves[partner])
    explored = np.zeros(ordered.height, dtype=bool)
    explored[slate.place[chosen.rows]] = True
    winner = _drawn(slate.odds[chosen.rows], chosen.second)
    rows, winner = chosen.rows[winner > 0], winner[winner > 0]
    place, other = slate.place[rows], slate.other[rows, winner]
    stays[place] = moves[rows, winner]
    swapped = other >= 0
    stays[other[swapped]] = stays[place[swapped]]
    explored[other[swapped]] = True
    # where each place's product comes from: a row of the list, or beyond its end one of the reserve
    origin = np.arange(ordered.height)
    origin[place] = np.where(swapped, other, ordered.height + slate.spare[rows, winner])
    origin[other[swapped]] = place[swapped]
    return _moved(ordered, reserve, origin).with_columns(
        explored=pl.Series(explored), propensity=pl.Series(stays)
    )


def outcomes_of(con: Any) -> pl.DataFrame:
    """What products of earlier lists were clicked: product_id, shown, clicked, for `explore`.

    Reads feedback.recommendation_outcomes as the run before left it, which must exist. `shown`
    counts examinations where feedback.examination knows how often a place is looked at, so that a
    product is not blamed for standing low.
    """
    found: pl.DataFrame = con.sql(
        """
        SELECT o.product_id,
               CAST(sum(CAST(coalesce(e.examination, 1) AS DECIMAL(18, 6))) AS DOUBLE) AS shown,
               CAST(count(o.clicked_at) AS DOUBLE) AS clicked
        FROM feedback.recommendation_outcomes o
        LEFT JOIN feedback.examination e ON o.position = e.position
        WHERE o.counts GROUP BY 1 ORDER BY 1
        """
    ).pl()
    return found


@dataclass(frozen=True)
class _Slates:
    """Places that can try, and who competes; column 0 is who stands there, -1 is nobody."""

    place: Codes
    """Rows of the places"""
    other: Codes
    """Rows of the places that competitors stand at"""
    spare: Codes
    """Rows of the reserve that competitors are"""
    odds: Doubles
    """Of each competitor to be drawn"""


@dataclass(frozen=True)
class _Chosen:
    """Rows of the slates that do try, and a number of chance for each."""

    rows: Codes
    second: Doubles


def _ties(
    ordered: pl.DataFrame, reserve: pl.DataFrame, settings: ExploringSettings
) -> pl.DataFrame:
    """Competitors of each place that has any, best first: place (row of `ordered`), slot (0 stands
    there), other (row of `ordered`, or null), spare (row of `reserve`, or null), product_id."""
    keys = ["customer_id", "source"]
    listed = ordered.select(
        *keys, "product_id", "rank", pl.col("score").cast(pl.Float64)
    ).with_row_index("place")
    first = listed.filter(
        (pl.col("rank") <= settings.explore_places) & pl.col("score").is_finite()
    ).with_columns(floor=pl.col("score") - settings.explore_within * pl.col("score").abs())
    lowest = first.group_by(keys).agg(pl.col("floor").min())
    spare = (
        reserve.select(*keys, "product_id", pl.col("score").cast(pl.Float64))
        .with_row_index("spare")
        .join(listed, on=["customer_id", "product_id"], how="anti")
    )
    pool = (
        pl.concat([listed.rename({"place": "other"}), spare], how="diagonal")
        .join(lowest, on=keys)
        .filter(pl.col("score").is_finite() & (pl.col("score") >= pl.col("floor")))
        .drop("floor")
    )
    rivals = (
        first.join(pool, on=keys, suffix="_rival")
        .filter(
            (pl.col("score_rival") >= pl.col("floor"))
            & (pl.col("rank_rival").is_null() | (pl.col("rank_rival") > pl.col("rank")))
        )
        .sort("place", "score_rival", "product_id_rival", descending=[False, True, False])
        .select(
            "place",
            pl.int_range(1, pl.len() + 1).over("place").alias("slot"),
            "other",
            "spare",
            product_id="product_id_rival",
        )
        .filter(pl.col("slot") < settings.explore_among)
    )
    own = first.join(rivals, on="place", how="semi").select(
        "place",
        pl.lit(0, dtype=pl.Int64).alias("slot"),
        pl.lit(None, dtype=pl.UInt32).alias("other"),
        pl.lit(None, dtype=pl.UInt32).alias("spare"),
        "product_id",
    )
    return pl.concat([own, rivals]).sort("place", "slot")


def _slates(ties: pl.DataFrame, outcomes: pl.DataFrame, settings: ExploringSettings) -> _Slates:
    places, counts = np.unique(ties["place"].to_numpy(), return_counts=True)
    a, b, known = _posteriors(outcomes, settings)
    # the first posterior is that of a product nobody has seen yet
    code = (
        ties.select("product_id")
        .join(known, on="product_id", how="left", maintain_order="left")["posterior"]
        .fill_null(0)
    )
    row = np.repeat(np.arange(len(places)), counts)
    slot = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)

    def table(values: pl.Series) -> Codes:
        filled = np.full((len(places), int(counts.max())), -1, dtype=np.int64)
        filled[row, slot] = values.cast(pl.Int64).fill_null(-1).to_numpy()
        return filled

    posterior = table(code)
    best = best_odds(a, b, posterior)
    even = (posterior >= 0) / counts[:, None]
    odds = (1 - settings.explore_evenly) * best + settings.explore_evenly * even
    return _Slates(places.astype(np.int64), table(ties["other"]), table(ties["spare"]), odds)


def _posteriors(
    outcomes: pl.DataFrame, settings: ExploringSettings
) -> tuple[Doubles, Doubles, pl.DataFrame]:
    """Beta posteriors of click rates, the first one without data, and which of them each product
    has: product_id, posterior. They depend on the outcomes alone, not on who is asked about."""
    shown = np.append(0.0, outcomes["shown"].cast(pl.Float64).to_numpy())
    clicked = np.append(0.0, outcomes["clicked"].cast(pl.Float64).to_numpy())
    rate = (clicked.sum() + 0.5) / (max(shown.sum(), clicked.sum()) + 1)
    a = settings.explore_prior_shown * rate + clicked
    b = settings.explore_prior_shown * (1 - rate) + np.maximum(shown - clicked, 0)
    pairs, code = np.unique(np.column_stack([a, b]), axis=0, return_inverse=True)
    code = code.ravel()
    # numbered so that the first posterior comes first
    order = np.concatenate([code[:1], np.delete(np.arange(len(pairs)), code[0])])
    place = np.empty(len(pairs), dtype=np.int64)
    place[order] = np.arange(len(pairs))
    known = pl.DataFrame({"product_id": outcomes["product_id"], "posterior": place[code[1:]]})
    return pairs[order, 0], pairs[order, 1], known


def best_odds(a: Doubles, b: Doubles, table: Codes) -> Doubles:
    """The probability that each competitor of a row has the highest click rate of the row.

    The rates are independent and Beta(a, b). A row of `table` holds numbers of posteriors, -1
    beyond its last competitor. The integral over rates is a sum over `CELLS` cells; two in one cell
    share it. Each row sums to 1.
    """
    from scipy.special import betainc

    mean = a / (a + b)
    spread = np.sqrt(mean * (1 - mean) / (a + b + 1))
    points = mean[:, None] + spread[:, None] * np.linspace(-3.5, 3.5, 29)[None, :]
    inner = np.quantile(np.clip(points, 0, 1), np.linspace(0, 1, CELLS + 1)[1:-1])
    edges = np.concatenate([[0.0], inner, [1.0]])
    below = betainc(a[:, None], b[:, None], edges[None, :])
    mass = np.diff(below, axis=1)
    middle = np.log(np.maximum(below[:, :-1] + mass / 2, 1e-300))
    # the competitor that is not there: never the best, and below everybody
    mass = np.vstack([mass, np.zeros(CELLS)])
    middle = np.vstack([middle, np.zeros(CELLS)])
    odds = np.empty(table.shape)
    for start in range(0, len(table), CHUNK):
        part = table[start : start + CHUNK]
        lower = middle[part]
        others = lower.sum(axis=1, keepdims=True) - lower
        raw = (mass[part] * np.exp(others)).sum(axis=2)
        odds[start : start + CHUNK] = raw / raw.sum(axis=1, keepdims=True)
    return odds


def _chosen_places(
    slate: _Slates,
    ordered: pl.DataFrame,
    settings: ExploringSettings,
    seed: int,
    as_of: dt.datetime,
) -> tuple[_Chosen, Doubles]:
    """Which places try, and the probability of each slate that it does."""
    first = pl.col("rank") <= settings.explore_places
    lengths = ordered.filter(first).group_by("customer_id").agg(length=pl.len())
    owners = (
        ordered["customer_id"]
        .gather(slate.place)
        .to_frame()
        .with_columns(
            able=pl.len().over("customer_id"), nth=pl.int_range(pl.len()).over("customer_id")
        )
        .join(lengths, on="customer_id", how="left", maintain_order="left")
    )
    able, nth = owners["able"].to_numpy(), owners["nth"].to_numpy()
    whole = np.minimum(settings.explore_share * owners["length"].to_numpy(), 1.0)
    chance = whole / able
    draw, second = _chances(owners["customer_id"], seed, as_of)
    rows = np.flatnonzero((draw >= nth * chance) & (draw < (nth + 1) * chance))
    return _Chosen(rows, second[rows]), chance


def _chances(customers: pl.Series, seed: int, as_of: dt.datetime) -> tuple[Doubles, Doubles]:
    """Two numbers in [0, 1) for each customer, of the seed, the customer and the day."""
    keys = customers.unique(maintain_order=True)
    salt = hashlib.blake2b(f"explore|{seed}|{as_of.date()}".encode(), digest_size=32).digest()
    digests = b"".join(
        hashlib.blake2b(key.encode(), digest_size=16, key=salt).digest() for key in keys.to_list()
    )
    numbers = (np.frombuffer(digests, dtype="<u8") >> np.uint64(11)) * 2.0**-53
    pairs = pl.DataFrame({"customer_id": keys, "first": numbers[0::2], "second": numbers[1::2]})
    found = customers.to_frame("customer_id").join(
        pairs, on="customer_id", how="left", maintain_order="left"
    )
    return found["first"].to_numpy(), found["second"].to_numpy()


def _drawn(odds: Doubles, chance: Doubles) -> Codes:
    """Which competitor of each row is drawn."""
    steps = np.cumsum(odds, axis=1)
    drawn: Codes = (chance[:, None] * steps[:, -1:] < steps).argmax(axis=1)
    return drawn


def _moved(ordered: pl.DataFrame, reserve: pl.DataFrame, origin: Codes) -> pl.DataFrame:
    """The places with the products that come from `origin`: rows of the list, or beyond its end
    rows of the reserve. Of those, columns that the reserve does not have stay as they are."""
    stay = ("customer_id", "rank", "explored", "propensity")
    shared = [c for c in ordered.columns if c in reserve.columns and c not in stay]
    own = [c for c in ordered.columns if c not in reserve.columns and c not in stay]
    known = pl.Schema({c: ordered.schema[c] for c in shared})
    both = pl.concat([ordered.select(shared), reserve.select(shared).cast(known)])
    listed = np.where(origin < ordered.height, origin, np.arange(ordered.height))
    return ordered.with_columns(
        *both.select(pl.all().gather(origin)).iter_columns(),
        *ordered.select(pl.col(own).gather(listed)).iter_columns(),
    )
