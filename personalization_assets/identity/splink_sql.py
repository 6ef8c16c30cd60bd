"""The SQL by which Splink predicts pairs, to be run on tables of any connection.

Splink would write every compared value of every pair, and read its settings anew for every table of
pairs. Its SELECT alone can be asked for what is needed, and written once.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import duckdb

NODES, PAIRS = "nodes", "splink_pairs"
"""Tables that the SELECT reads; pairs as (match_key, join_key_l, join_key_r)."""

_INPUT = r"__splink__df_pruned_predict_input_[lr]_\w{9}\b"
_PREDICTED = re.compile(r"\s*CREATE TABLE __splink__df_predict_\w+ AS")


@dataclass(frozen=True)
class Prediction:
    """A SELECT of what Splink predicts of the pairs in `splink_pairs` of rows of `nodes`.

    `made_from` is a digest of all that Splink made it from, and of Splink's version.
    """

    sql: str
    made_from: str


def predicting(
    settings: Mapping[str, Any], columns: Mapping[str, str], known: Prediction | None = None
) -> Prediction:
    """The prediction under these settings; the one that is known, if it was made from the same.

    `columns` are those of `nodes` that the settings read and their types, `tf_<column>` among them
    for each `<column>` whose term frequency counts. Loading Splink and asking it takes half a
    second, so a run that knows its prediction does without.
    """
    text = json.dumps([settings, columns, version("splink")], sort_keys=True)
    made_from = hashlib.sha256(text.encode()).hexdigest()[:16]
    if known is not None and known.made_from == made_from:
        return known
    return Prediction(_overhear(settings, columns), made_from)


def _overhear(settings: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """What Splink runs while it predicts nothing from empty tables.

    Raises:
        RuntimeError: this version of Splink goes about it in another way.
    """
    from splink import DuckDBAPI, Linker

    overheard: list[str] = []

    class OverheardAPI(DuckDBAPI):  # type: ignore[misc]
        """Splink's own, keeping what the predictions are made of."""

        def _execute_sql_against_backend(self, final_sql: str) -> Any:
            begin = _PREDICTED.match(final_sql)
            if begin:
                overheard.append(re.sub(_INPUT, NODES, final_sql[begin.end() :]))
            return super()._execute_sql_against_backend(final_sql)

    quiet = logging.getLogger("splink")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    con = duckdb.connect()
    try:
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        con.execute(f"CREATE TABLE {NODES} (unique_id BIGINT, {typed})")
        con.execute(
            f"CREATE TABLE {PAIRS} (match_key VARCHAR, join_key_l BIGINT, join_key_r BIGINT)"
        )
        con.execute("CREATE TABLE no_frequencies (value VARCHAR)")
        api = OverheardAPI(con)
        given = {
            **settings,
            "retain_intermediate_calculation_columns": True,
            # The pairs are given; columns of blocking rules would only be carried along.
            "blocking_rules_to_generate_predictions": [
                {"blocking_rule": "l.unique_id = r.unique_id"}
            ],
        }
        linker = Linker(api.register(NODES), given, log_level=None, validate_settings=False)
        # `nodes` has the frequencies; without a look-up table Splink would count them again.
        for column in (c.removeprefix("tf_") for c in columns if c.startswith("tf_")):
            linker.table_management.register_term_frequency_lookup(
                api.register("no_frequencies", table_name=f"no_frequencies_{column}"), column
            )
        linker.table_management.register_blocked_pairs_for_predict(api.register(PAIRS))
        linker.inference.predict(threshold_match_weight=-1000, warning_mode="never")
    finally:
        con.close()
        quiet.setLevel(level)
    if len(overheard) != 1:
        raise RuntimeError(
            "Splink predicts in another way than this version expects: install the version that "
            "requirements.lock names."
        )
    return overheard[0]
