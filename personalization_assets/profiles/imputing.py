"""Which missing attributes are predicted from what, and the signals as a matrix.

Gender is not here, on purpose: a guess at it would put words into a mail that hurt when they are
wrong, and no campaign of ours needs it. It is no signal either. Nobody is guessed to be a minor.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl

from personalization_assets.profiles.settings import ProfilesSettings

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from personalization_assets.profiles.prediction import Ints, Model, Quality

SEEN = 5
"""A word that fewer known customers have says nothing."""

MOST_WORDS = 500
"""Words per signal, commonest first; given names have a long tail."""

MOST_VALUES = 40
FEWEST = 10
"""Values that are learned: the commonest, each known of so many customers at least."""

PIECE = 200_000
"""Customers whose matrix is in memory at a time."""


@dataclass(frozen=True)
class Target:
    """An attribute: the columns of profiles.imputation_signals that it is predicted from, and
    values that are neither learned nor given."""

    signals: tuple[str, ...]
    never: tuple[str, ...] = ()


TARGETS: dict[str, Target] = {
    "age_band": Target(
        signals=(
            "given_name",
            "birth_year_hint",
            "country",
            "region_name",
            "language",
            "loyalty_tier",
            "loyalty_years",
            "device_type",
            "web_hours",
            "engagement_level",
            "order_count",
            "basket",
            "channel",
            "categories_bought",
            "favourite_category",
            "social_category",
            "household_members",
            "household_age_band",
        ),
        never=("under_18",),
    ),
    # What somebody looked at and bought decides the category where it is known, and is missing
    # where it is not; so it cannot be a signal. The same for the kind of device.
    "favourite_category": Target(
        signals=(
            "age_band",
            "country",
            "region_name",
            "language",
            "loyalty_tier",
            "loyalty_years",
            "engagement_level",
            "clicked_category",
            "social_category",
            "household_members",
            "household_category",
        ),
    ),
}


@dataclass(frozen=True)
class Imputed:
    """What came of one attribute. `filled` has customer_id, value and confidence; it is empty when
    the model was not used. `quality` is None when too few values are known to learn from."""

    attribute: str
    model_version: str
    known: int
    missing: int
    confidence: float
    quality: "Quality | None"
    filled: pl.DataFrame

    @property
    def used(self) -> bool:
        """Whether the model was good enough to fill anything."""
        return self.quality is not None and self.quality.holds(self.confidence)

    @property
    def reason(self) -> str:
        """Why it is used or not, in one sentence."""
        if self.quality is None:
            return f"Too few known values to learn from ({self.known:,})."
        if not self.quality.beats_the_majority:
            return "Not used: no better than saying the commonest value, beyond chance."
        if self.quality.confident_accuracy is None:
            return f"Not used: it is never {self.confidence:.0%} sure."
        if not self.used:
            return (
                f"Not used: where it is {self.confidence:.0%} sure, it is right in "
                f"{self.quality.confident_accuracy:.0%} of cases."
            )
        return (
            f"Used where it is {self.confidence:.0%} sure: there it is right in "
            f"{self.quality.confident_accuracy:.0%} of cases."
        )


def impute(
    con: duckdb.DuckDBPyConnection, attribute: str, settings: ProfilesSettings, seed: int
) -> Imputed:
    """Predict one attribute for the customers of profiles.imputation_signals who lack it."""
    from personalization_assets.profiles.prediction import learn

    target, confidence = TARGETS[attribute], settings.imputation_confidence
    columns = ", ".join(f'"{name}"' for name in target.signals)
    allowed = " AND ".join(
        [f"{attribute} IS NOT NULL", *(f"{attribute} <> '{value}'" for value in target.never)]
    )
    # md5 keeps the fold and the sample of a household the same when others come and go.
    known: pl.DataFrame = con.sql(
        f"SELECT customer_id, household_id, {attribute} AS label, {columns},"
        f" (md5_number_lower('{seed}/fold/' || household_id) % 5)::BIGINT AS fold"
        f" FROM profiles.imputation_signals WHERE {allowed} ORDER BY"
        f" md5('{seed}/sample/' || household_id), customer_id"
        f" LIMIT {settings.imputation_training_rows}"
    ).pl()
    missing: int = con.execute(
        f"SELECT count(*) FROM profiles.imputation_signals WHERE {attribute} IS NULL"
    ).fetchall()[0][0]
    counts = known.group_by("label").len().sort(["len", "label"], descending=[True, False])
    values = counts.filter(pl.col("len") >= FEWEST)["label"].head(MOST_VALUES).to_list()
    version = f"{attribute}-{_digest(known, settings, seed)}"
    nothing = pl.DataFrame(
        schema={"customer_id": pl.String, "value": pl.String, "confidence": pl.Float64}
    )
    if known.height < settings.imputation_min_known or len(values) < 2:
        return Imputed(attribute, version, known.height, missing, confidence, None, nothing)
    words = vocabulary(known, target.signals)
    model, quality = learn(
        matrix(known, words),
        _places(known["label"], values),
        values,
        known["household_id"].rank("dense").cast(pl.Int64).to_numpy(),
        known["fold"].to_numpy(),
        confidence,
        seed,
    )
    filled = nothing
    if quality.holds(confidence) and missing:
        filled = _fill(con, attribute, columns, words, model, confidence)
    return Imputed(attribute, version, known.height, missing, confidence, quality, filled)


def _fill(
    con: duckdb.DuckDBPyConnection,
    attribute: str,
    columns: str,
    words: Mapping[str, pl.DataFrame],
    model: "Model",
    confidence: float,
) -> pl.DataFrame:
    lacking: pl.DataFrame = con.sql(
        f"SELECT customer_id, {columns} FROM profiles.imputation_signals"
        f" WHERE {attribute} IS NULL ORDER BY customer_id"
    ).pl()
    parts = []
    for piece in lacking.iter_slices(PIECE):
        best, sure = model.predict(matrix(piece, words))
        parts.append(
            piece.select("customer_id")
            .with_columns(
                value=pl.Series(np.array(model.values, dtype=object)[best], dtype=pl.String),
                confidence=pl.Series(sure),
            )
            .filter(pl.col("confidence") >= confidence)
        )
    return pl.concat(parts)


def vocabulary(known: pl.DataFrame, signals: Sequence[str]) -> dict[str, pl.DataFrame]:
    """Per signal, the words that enough known customers have, each with its column's number."""
    words: dict[str, pl.DataFrame] = {}
    width = 0
    for name in signals:
        found = (
            _long(known, name)
            .group_by("word")
            .len()
            .filter(pl.col("len") >= SEEN)
            .sort(["len", "word"], descending=[True, False])
            .head(MOST_WORDS)
            .select("word", column=pl.int_range(pl.len(), dtype=pl.Int64) + width)
        )
        words[name] = found
        width += found.height
    return words


def matrix(frame: pl.DataFrame, words: Mapping[str, pl.DataFrame]) -> "csr_matrix":
    """Customers x words, 1 where the customer has the word."""
    from scipy.sparse import csr_matrix

    width = sum(found.height for found in words.values())
    cells = pl.concat(
        _long(frame, name).join(found, on="word").select("row", "column")
        for name, found in words.items()
    )
    rows, columns = cells["row"].to_numpy(), cells["column"].to_numpy()
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(frame.height, width))


def _long(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """One row per customer and word of a signal; lists hold several words."""
    pairs = frame.select(
        row=pl.int_range(pl.len(), dtype=pl.Int64),
        word=pl.col(name),
    )
    if isinstance(pairs.schema["word"], pl.List):
        pairs = pairs.explode("word")
    return pairs.filter(pl.col("word").is_not_null())


def _places(labels: pl.Series, values: Sequence[str]) -> "Ints":
    return labels.replace_strict(
        list(values), range(len(values)), default=-1, return_dtype=pl.Int64
    ).to_numpy()


def _digest(known: pl.DataFrame, settings: ProfilesSettings, seed: int) -> str:
    """Names a model by all that it was made of: the same input, the same name."""
    content = known.with_columns(pl.col(pl.List(pl.String)).list.join("\x1f"))
    made_of = content.write_csv().encode()
    chosen = f"{seed}/{settings.imputation_confidence}".encode()
    return hashlib.sha256(made_of + chosen).hexdigest()[:8]
