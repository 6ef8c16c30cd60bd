"""Scores of pairs under a trained model: Splink's weight and the odds of a shared household."""

import logging
import re
from typing import Any

import duckdb

from personalization_assets.identity.frequencies import known_frequencies
from personalization_assets.identity.model import Model


def score(work: duckdb.DuckDBPyConnection, model: Model, pairs: str, out: str) -> None:
    """Build `out` with one row per row (l, r) of the table `pairs`.

    Columns: l, r, weight (log2 odds of one person against strangers), home (the same for people who
    live together), p and p_home (probabilities among one person, household and strangers). A model
    that compares nothing leaves these null.
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
        )
        SELECT l, r, weight, home,
            1 / (1 + pow(2, -weight) + pow(2, home - weight)) AS p,
            1 / (1 + pow(2, -home) + pow(2, weight - home)) AS p_home
        FROM odds
        """,
        out,
    )


def predict(
    work: duckdb.DuckDBPyConnection, model: Model, pairs: str, select: str, out: str
) -> None:
    """Build `out` as `select` from `predicted`, Splink's prediction for the table `pairs` (l, r).

    `predicted` has whatever Splink's predictions have (`match_weight`, `gamma_<comparison>`, the
    compared values, ...), but only what `select` names is ever computed and stored: Splink alone
    would write every compared value of every pair, which costs more than the comparing.
    """
    from splink import DuckDBAPI, Linker

    class SelectingAPI(DuckDBAPI):  # type: ignore[misc]
        """Runs Splink's SQL and puts our SELECT around its last step."""

        def _execute_sql_against_backend(self, final_sql: str) -> Any:
            pruned = re.match(
                r"\s*CREATE TABLE (__splink__df_pruned_predict_input_[lr]_\w+) AS", final_sql
            )
            begin = re.match(r"\s*CREATE TABLE (__splink__df_predict_\w+) AS", final_sql)
            if pruned:
                final_sql = f"CREATE VIEW {pruned[1]} AS SELECT * FROM compared"
            elif begin:
                final_sql = (
                    f"CREATE TABLE {begin[1]} AS WITH predicted AS NOT MATERIALIZED "
                    f"({final_sql[begin.end() :]}) {_after_with(select)}"
                )
            return super()._execute_sql_against_backend(final_sql)

    _compared(work, model)
    work.execute(
        f"""CREATE OR REPLACE VIEW splink_pairs AS
        SELECT '0' AS match_key, l AS join_key_l, r AS join_key_r FROM {pairs}"""
    )
    settings = {
        **model.splink_settings(),
        "retain_intermediate_calculation_columns": True,
        # The pairs are given; columns of blocking rules would only be carried along.
        "blocking_rules_to_generate_predictions": [{"blocking_rule": "l.unique_id = r.unique_id"}],
    }
    quiet = logging.getLogger("splink")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        api = SelectingAPI(work)
        linker = Linker(api.register("compared"), settings, log_level=None, validate_settings=False)
        # `compared` has the frequencies; without a look-up table Splink would count them again.
        work.execute("CREATE OR REPLACE TABLE no_frequencies (value VARCHAR)")
        for column in model.frequencies.values:
            linker.table_management.register_term_frequency_lookup(
                api.register("no_frequencies", table_name=f"no_frequencies_{column}"), column
            )
        linker.table_management.register_blocked_pairs_for_predict(api.register("splink_pairs"))
        predicted = linker.inference.predict(threshold_match_weight=-1000, warning_mode="never")
        work.execute(f"DROP TABLE IF EXISTS {out}")
        work.execute(f"ALTER TABLE {predicted.physical_name} RENAME TO {out}")
        linker.table_management.invalidate_cache()
    finally:
        quiet.setLevel(level)


def _compared(work: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Build `compared`: what the comparisons read of `nodes`, and how frequent the names are."""
    built = work.sql(
        f"SELECT 1 FROM duckdb_tables()"
        f" WHERE table_name = 'compared' AND comment = '{model.version}'"
    ).fetchall()
    if built:
        return
    columns = {"unique_id", *model.frequencies.values}
    for comparison in model.comparisons.comparisons:
        columns |= comparison.columns
    known = known_frequencies(work, model.frequencies)
    shares = "".join(
        f", CASE WHEN n.{column} IS NOT NULL THEN {share} END AS tf_{column}"
        for column, share in known.items()
    )
    joins = "".join(
        f" LEFT JOIN known_{column} ON known_{column}.name = n.{column}" for column in known
    )
    work.execute(
        f"""CREATE OR REPLACE TABLE compared AS
        SELECT {", ".join(f"n.{c}" for c in sorted(columns))}{shares} FROM nodes AS n{joins}"""
    )
    work.execute(f"COMMENT ON TABLE compared IS '{model.version}'")


def _after_with(select: str) -> str:
    """A SELECT as it goes on after another WITH clause."""
    return re.sub(r"^\s*WITH\s", ", ", select)
