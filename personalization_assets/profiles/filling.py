"""Put together what is filled in: third parties first, then models, and never over a fact."""

import datetime as dt
from collections.abc import Sequence

import duckdb
import polars as pl

from personalization_assets.profiles.imputing import Imputed

FACTS = (
    "SELECT customer_id, 'age_band' AS attribute FROM profiles.age_bands UNION ALL "
    "SELECT customer_id, 'favourite_category' FROM profiles.preferences"
    " WHERE favourite_category IS NOT NULL"
)
"""Who has a fact for an attribute that can be filled; the others are never facts."""


def fill(con: duckdb.DuckDBPyConnection, predicted: Sequence[Imputed]) -> pl.DataFrame:
    """One row per customer and attribute without a fact, key (customer_id, attribute)."""
    guesses = pl.concat(
        [
            pl.DataFrame(
                schema={
                    "customer_id": pl.String,
                    "attribute": pl.String,
                    "value": pl.String,
                    "confidence": pl.Float64,
                    "origin": pl.String,
                }
            ),
            *(
                found.filled.select(
                    "customer_id",
                    pl.lit(found.attribute).alias("attribute"),
                    "value",
                    "confidence",
                    pl.lit(f"imputed/{found.model_version}").alias("origin"),
                )
                for found in predicted
            ),
        ]
    )
    con.register("guesses", guesses.to_arrow())
    try:
        filled: pl.DataFrame = con.sql(
            "SELECT customer_id, attribute, value, confidence, origin FROM ("
            " SELECT customer_id, attribute, value, confidence,"
            " 'third_party/' || file || '/' || row AS origin, place FROM profiles.third_party"
            " UNION ALL SELECT customer_id, attribute, value, confidence, origin, NULL FROM guesses"
            f") AS said ANTI JOIN ({FACTS}) AS facts USING (customer_id, attribute)"
            " QUALIFY row_number() OVER (PARTITION BY customer_id, attribute"
            " ORDER BY place NULLS LAST) = 1 ORDER BY customer_id, attribute"
        ).pl()
    finally:
        con.unregister("guesses")
    return filled


def quality_of(
    predicted: Sequence[Imputed], filled: pl.DataFrame, as_of: dt.datetime
) -> pl.DataFrame:
    """The rows of `ImputationQuality`."""
    by_model = dict(
        filled.filter(pl.col("origin").str.starts_with("imputed/"))
        .group_by("attribute")
        .len()
        .iter_rows()
    )
    rows = []
    for found in predicted:
        quality = found.quality
        rows.append(
            {
                "attribute": found.attribute,
                "model_version": found.model_version,
                "used": found.used,
                "reason": found.reason,
                "known": found.known,
                "missing": found.missing,
                "filled": by_model.get(found.attribute, 0),
                "accuracy": quality and quality.accuracy,
                "baseline": quality and quality.baseline,
                "accuracy_gain_low": quality and quality.low,
                "accuracy_gain_high": quality and quality.high,
                "log_loss": quality and quality.log_loss,
                "baseline_log_loss": quality and quality.baseline_log_loss,
                "calibration_error": quality and quality.calibration_error,
                "confident_share": quality and quality.confident_share,
                "confident_accuracy": quality and quality.confident_accuracy,
                "trained_at": as_of,
            }
        )
    numbers = [name for name in rows[0] if name.startswith(("accuracy", "baseline", "log", "c"))]
    return pl.DataFrame(
        rows,
        schema_overrides={
            **dict.fromkeys(numbers, pl.Float64),
            "trained_at": pl.Datetime("us"),
        },
    )
