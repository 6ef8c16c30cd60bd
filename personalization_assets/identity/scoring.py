"""Scores of pairs under a trained model: Splink's weight and the odds of a shared household."""

import logging
from typing import Any

import duckdb

from personalization_assets.identity.frequencies import frequency_tables
from personalization_assets.identity.model import Model


def score(work: duckdb.DuckDBPyConnection, model: Model, pairs: str, out: str) -> None:
    """Build `out` with one row per row (l, r) of the table `pairs`.

    Columns: l, r, weight (log2 odds of one person against strangers), home (the same for people who
    live together), p and p_home (probabilities among one person, household and strangers).
    """
    count = work.sql(f"SELECT count(*) FROM {pairs}").fetchall()[0][0]
    if not count or not model.comparisons.comparisons:
        work.execute(
            f"""CREATE OR REPLACE TABLE {out} (l BIGINT, r BIGINT, weight DOUBLE, home DOUBLE,
            p DOUBLE, p_home DOUBLE)"""
        )
        return
    predicted, linker = _predict(work, model, pairs)
    work.execute(
        f"""
        CREATE OR REPLACE TABLE {out} AS
        WITH odds AS (
            SELECT unique_id_l AS l, unique_id_r AS r,
                greatest(-100, least(100, match_weight)) AS weight,
                greatest(-100, least(100, {model.household_sql()})) AS home
            FROM {predicted.physical_name}
        )
        SELECT l, r, weight, home,
            1 / (1 + pow(2, -weight) + pow(2, home - weight)) AS p,
            1 / (1 + pow(2, -home) + pow(2, weight - home)) AS p_home
        FROM odds
        """
    )
    predicted.drop_table_from_database_and_remove_from_cache()
    linker.table_management.invalidate_cache()


def _predict(work: duckdb.DuckDBPyConnection, model: Model, pairs: str) -> tuple[Any, Any]:
    from splink import DuckDBAPI, Linker

    work.execute(
        f"""CREATE OR REPLACE TABLE splink_pairs AS
        SELECT '0' AS match_key, l AS join_key_l, r AS join_key_r FROM {pairs}"""
    )
    quiet = logging.getLogger("splink")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        api = DuckDBAPI(work)
        linker = Linker(
            api.register("nodes"), model.splink_settings(), log_level=None, validate_settings=False
        )
        for column, table in frequency_tables(work, model.frequencies).items():
            linker.table_management.register_term_frequency_lookup(api.register(table), column)
        linker.table_management.register_blocked_pairs_for_predict(api.register("splink_pairs"))
        predicted = linker.inference.predict(threshold_match_weight=-1000, warning_mode="never")
    finally:
        quiet.setLevel(level)
    return predicted, linker
