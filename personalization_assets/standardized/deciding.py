"""Releasing and discarding rows of the quarantine, and taking that back: at once, and for good.

A decision is written to the file first, then the rows are judged again by what counts now, the
decision included. A process that dies in between leaves a decision that the next run obeys.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import polars as pl

from personalization_assets.contracts import Contract
from personalization_assets.errors import UserError
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.standardized import decisions
from personalization_assets.standardized.decisions import FILE, Decided, Kind
from personalization_assets.standardized.quarantine import TABLE
from personalization_assets.standardized.releasing import refusal
from personalization_assets.standardized.replay import (
    Command,
    Outcome,
    refuse_other_files,
    replay,
)
from personalization_assets.tables import Run


@dataclass(frozen=True)
class Desk:
    """What judging rows takes: a run, the sources, and by table the contracts in force."""

    run: Run
    config: SourcesConfig
    contracts: Mapping[str, Contract]


def decide(
    desk: Desk, kind: Kind, rows: pl.DataFrame, command: Command, reason: str | None
) -> tuple[list[str], list[Outcome]]:
    """Release or discard waiting rows; gives the ids of the decisions and what came of them.

    `rows` has table_name, source, row_key and reasons. Rows that were received alike share a
    decision.

    Raises:
        UserError: a row breaks a rule that nobody can set aside, or a table has to be run whole.
    """
    refuse_other_files(desk.run.con, desk.config, desk.contracts, rows["table_name"].unique())
    if kind == "release":
        _refuse_unreleasable(desk.contracts, rows)
    path = desk.run.settings.data_dir / FILE
    ids = decisions.record(path, kind, _decided(desk.run.con, rows), command.author, reason)
    return ids, replay(desk.run, desk.config, desk.contracts, rows, command)


def withdraw(desk: Desk, decision_id: str, command: Command) -> tuple[int, list[Outcome]]:
    """Withdraw decisions; gives how many, and what came of the rows that they bound.

    Raises:
        UserError: no such decision binds, or a table has to be run whole.
    """
    path = desk.run.settings.data_dir / FILE
    ids = decisions.binding(path, decision_id)
    desk.run.con.register("withdrawn_ids", pl.DataFrame({"decision_id": ids}).to_arrow())
    try:
        rows: pl.DataFrame = desk.run.con.sql(
            f"SELECT table_name, source, row_key FROM {TABLE}"
            " SEMI JOIN withdrawn_ids USING (decision_id)"
        ).pl()
    finally:
        desk.run.con.unregister("withdrawn_ids")
    refuse_other_files(desk.run.con, desk.config, desk.contracts, rows["table_name"].unique())
    decisions.withdraw(path, ids)
    return len(ids), replay(desk.run, desk.config, desk.contracts, rows, command)


def _refuse_unreleasable(contracts: Mapping[str, Contract], rows: pl.DataFrame) -> None:
    refused = 0
    first: tuple[str, str, str] | None = None
    for table, reasons in rows.select("table_name", "reasons").iter_rows():
        found = [(r, why) for r in reasons if (why := refusal(contracts[table], r))]
        refused += bool(found)
        if found and first is None:
            first = (table, *found[0])
    if first is None:
        return
    table, rule, why = first
    some = f"{refused:,} of the {rows.height:,} chosen rows"
    many = some if refused < rows.height else "The chosen rows"
    raise UserError(
        f"{many} cannot be released: one of {table} breaks {rule}: {why}. Correct it at the source"
        " or in sources.yaml and replay, or discard it; --reason narrows the choice."
    )


def _decided(con: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> list[Decided]:
    """One for each digest of a table and source, with all rules that such rows broke."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for (source,), part in rows.group_by("source", maintain_order=True):
        keys = part.select("source", pl.col("row_key").alias("_row_key")).unique()
        con.register("decided_keys", keys.to_arrow())
        try:
            pairs = con.execute(decisions.digests(con, str(source), "decided_keys")).fetchall()
        finally:
            con.unregister("decided_keys")
        digest_of = dict(pairs)
        for table, key, reasons in part.select("table_name", "row_key", "reasons").iter_rows():
            found.setdefault((table, str(source), digest_of[key]), set()).update(reasons)
    return [Decided(*row, tuple(sorted(rules))) for row, rules in found.items()]
