"""Scores of pairs under a trained model: Splink's weight and the odds of a shared household."""

import re

import duckdb

from personalization_assets.identity.model import Model
from personalization_assets.identity.splink_sql import PAIRS


def score(work: duckdb.DuckDBPyConnection, model: Model, pairs: str, out: str) -> None:
    """Build `out` with one row per row (l, r) of the table `pairs`.

    Columns: l, r, weight (log2 odds of one person against strangers), home (the same for people who
    live together), p and p_home (probabilities among one person, household and strangers). A model
    that compares nothing leaves these null. Reads `nodes` with the model's frequencies.
    """
    count = work.sql(f"SELECT count(*) FROM {pairs}").fetchall()[0][0]
    if not count or not model.comparisons.comparisons:
        work.execute(
            f"""CREATE OR REPLACE TABLE {out} AS SELECT l, r, NULL::DOUBLE AS weight,
            NULL::DOUBLE AS home, NULL::DOUBLE AS p, NULL::DOUBLE AS p_home FROM {pairs}"""
        )
        return
    predict(
        work,
        model,
        pairs,
        f"""
        WITH odds AS (
            SELECT unique_id_l AS l, unique_id_r AS r,
                greatest(-100, least(100, match_weight)) AS weight,
                greatest(-100, least(100, {model.household_sql()})) AS home
            FROM predicted
        ),
        against_strangers AS (SELECT *, pow(2, weight) AS one, pow(2, home) AS two FROM odds)
        SELECT l, r, weight, home, one / (1 + one + two) AS p, two / (1 + one + two) AS p_home
        FROM against_strangers
        """,
        out,
    )


def predict(
    work: duckdb.DuckDBPyConnection, model: Model, pairs: str, select: str, out: str
) -> None:
    """Build `out` as `select` from `predicted`, Splink's prediction for the table `pairs` (l, r).

    `predicted` has whatever Splink's predictions have (`match_weight`, `gamma_<comparison>`, the
    compared values, ...), but only what `select` names is ever computed and stored.
    """
    rest = re.sub(r"^\s*WITH\s", ", ", select)
    work.execute(
        f"""
        CREATE OR REPLACE VIEW {PAIRS} AS
        SELECT '0' AS match_key, l AS join_key_l, r AS join_key_r FROM {pairs};
        CREATE OR REPLACE TABLE {out} AS
        WITH predicted AS NOT MATERIALIZED ({model.prediction.sql}) {rest}
        """
    )
