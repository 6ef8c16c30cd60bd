"""The whole room on one table of records, without a warehouse: from a file to who is who.

The same functions as the assets, on one connection, so pairs and clusters stay numbers until the
end. What spans runs (the ledger, decisions, the gate) is not here; ids can be carried over from the
links of a run before.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personalization_assets.errors import UserError
from personalization_assets.identity.bonds import bonds
from personalization_assets.identity.comparison import ComparisonSet, Extra
from personalization_assets.identity.consolidation import carry_over
from personalization_assets.identity.evaluation import calibration, evaluate
from personalization_assets.identity.linking import cluster_pairs, households, put, remember
from personalization_assets.identity.matching import match_pairs
from personalization_assets.identity.model import Model
from personalization_assets.identity.normalise import prepare
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.identity.training import train
from personalization_assets.sql_text import quoted

FIRST_RUN = dt.datetime(1970, 1, 1)
"""Stands in for the run's time, so that the same file always gives the same ids."""


@dataclass(frozen=True)
class Report:
    """What was found in a file; scores and the calibration table only where the truth is known."""

    records: int
    customers: int
    households: int
    largest: int
    pairs: int
    model: Model
    scores: dict[str, float] | None = None
    calibration: pl.DataFrame | None = None


def train_model(
    work: duckdb.DuckDBPyConnection,
    comparisons: ComparisonSet,
    extras: list[Extra],
    settings: IdentitySettings,
) -> Model:
    """A model for the table `records`."""
    comparisons = comparisons.with_extras(extras)
    prepare(work, settings, comparisons.roles, extras)
    return train(work, comparisons, settings)


def link_table(
    work: duckdb.DuckDBPyConnection,
    model: Model,
    settings: IdentitySettings,
    as_of: dt.datetime = FIRST_RUN,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Work out who is who in the table `records`; leaves the view `linked`.

    `linked` has one row per record, in order of source and record_id: these, customer_id,
    household_id, confidence (as in `identity.links`). A table `previous`
    (source, record_id, customer_id) on the connection lets customers keep their ids; `as_of` then
    makes new ids differ from those of every run before. With a column `person` in `records`, the
    report holds how right it is.
    """
    progress("comparing records")
    match_pairs(work, model, settings)
    size, pairs = work.sql(
        "SELECT (SELECT count(*) FROM numbered), (SELECT count(*) FROM judged)"
    ).fetchall()[0]
    progress("finding out who is who")
    home_share = model.household.share if model.household else None
    clusters = cluster_pairs(work, size, model.share, home_share, settings)
    put(work, "cluster_of", {"rid": np.arange(size), "cluster": clusters.labels})
    bonds(work, clusters.labels)
    _name_customers(work, as_of)
    households(work, settings)
    found = _show(work, clusters.labels)
    sizes = np.bincount(clusters.labels)
    scores = table = None
    if "person" in [row[0] for row in work.execute("DESCRIBE records").fetchall()]:
        progress("comparing with the truth")
        truth = work.sql(
            "SELECT source, record_id AS key, person FROM records WHERE person IS NOT NULL"
        ).pl()
        links = work.sql("SELECT source, record_id, customer_id FROM linked").pl()
        scores = dict(evaluate(links, truth).iter_rows())
        table = calibration(work)
    return Report(
        size, int((sizes > 0).sum()), found, int(sizes.max(initial=0)), pairs, model, scores, table
    )


def _show(work: duckdb.DuckDBPyConnection, labels: NDArray[np.int64]) -> int:
    """Build `linked` from `numbered`, `carried`, `households` and `bonds`; counts households.

    Millions of records share an id with others: each id is there once, and its place per record.
    """
    names = work.sql(
        """
        SELECT DISTINCT cluster, customer_id, household_id
        FROM carried JOIN households USING (customer_id)
        """
    ).to_arrow_table()
    place = np.zeros(len(labels), np.int64)
    place[names["cluster"].to_numpy()] = np.arange(names.num_rows)
    numbered = work.sql("SELECT source, record_id FROM numbered ORDER BY rid").to_arrow_table()
    confidence = work.sql("SELECT confidence FROM bonds ORDER BY rid").to_arrow_table()
    columns: dict[str, Any] = {c: numbered[c] for c in numbered.column_names}
    for column in ("customer_id", "household_id"):
        values = names[column].combine_chunks()
        columns[column] = pa.DictionaryArray.from_arrays(pa.array(place[labels]), values)
    work.register("linked", pa.table({**columns, "confidence": confidence["confidence"]}))
    return len(pc.unique(names["household_id"]))


def write_links(work: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Write `linked` as Parquet, or as CSV if the name says so; the file is whole or not there."""
    out.parent.mkdir(parents=True, exist_ok=True)
    form = "CSV, HEADER" if out.suffix.lower() == ".csv" else "PARQUET"
    fresh = out.with_name(out.name + ".tmp")
    target = quoted(str(fresh))
    work.execute("SET preserve_insertion_order = true")
    work.execute(f"COPY linked TO {target} (FORMAT {form})")
    work.execute("SET preserve_insertion_order = false")
    fresh.replace(out)


def read_previous(work: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Build `previous` from a file that `write_links` wrote.

    Raises:
        UserError: it is not there, or no such file.
    """
    name = quoted(str(path))
    reader = "read_csv" if path.suffix.lower() == ".csv" else "read_parquet"
    options = ", all_varchar = true" if reader == "read_csv" else ""
    try:
        work.execute(
            f"""CREATE OR REPLACE TABLE previous AS
            SELECT source::VARCHAR AS source, record_id::VARCHAR AS record_id,
                customer_id::VARCHAR AS customer_id
            FROM {reader}({name}{options})"""
        )
    except duckdb.Error:
        raise UserError(
            f"{path} holds no links of a run before (source, record_id, customer_id): give the "
            "file that --out wrote then."
        ) from None


def _name_customers(work: duckdb.DuckDBPyConnection, as_of: dt.datetime) -> None:
    """Build `carried` (cluster, customer_id and more): ids of before, or of the first record."""
    known = work.sql(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'previous'"
    ).fetchall()[0][0]
    if not known:
        work.execute(
            f"""
            CREATE OR REPLACE TABLE carried AS
            SELECT cluster, 'c_' || sha256(concat_ws(chr(31), n.source, n.record_id,
                '{as_of.isoformat()}'))[1:16] AS customer_id
            FROM (SELECT cluster, min(rid) AS rid FROM cluster_of GROUP BY cluster)
            JOIN numbered AS n USING (rid)
            """
        )
        return
    work.execute(
        """
        CREATE OR REPLACE TABLE clusters AS
        SELECT n.source, n.record_id, c.cluster, b.linked_by
        FROM numbered AS n JOIN cluster_of AS c USING (rid) JOIN bonds AS b USING (rid)
        """
    )
    work.execute(
        """CREATE TABLE IF NOT EXISTS ledger (event_id VARCHAR, as_of TIMESTAMP, event VARCHAR,
        customer_id VARCHAR, other_customer_id VARCHAR, records BIGINT, cause VARCHAR)"""
    )
    remember(work)
    carry_over(work, as_of)
