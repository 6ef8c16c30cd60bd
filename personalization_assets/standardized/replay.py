"""Judging rows of the quarantine again, by what counts now, without running a table whole.

A replay is a run of the table over a part of its rows: those that were chosen, and all others of
the same records, in the table or out of it. Rows of different records do not depend on each other,
so these rows end up where a whole run would have put them. Of a record that two rows describe, the
newer may come in and the older go out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb
import polars as pl

from personalization_assets import warehouse as wh
from personalization_assets.contracts import Contract
from personalization_assets.errors import UserError
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.sources.readers import ident
from personalization_assets.sql_text import quoted
from personalization_assets.standardized import quarantine
from personalization_assets.standardized.building import TableBuild
from personalization_assets.standardized.quarantine import TABLE
from personalization_assets.tables import Run

WHOLE = frozenset({"products", "preferences", "social_activity"})
"""Tables with labels that are spelled as most rows spell them: all rows are judged together."""

LOG = "standardized.replays"
LOG_COLUMNS = {
    "replay_id": ("VARCHAR", "One command of a person"),
    "table_name": ("VARCHAR", "Standardized table"),
    "reason": ("VARCHAR", "Rule that rows had broken before or break now"),
    "command": ("VARCHAR", "replay, release, discard or withdraw"),
    "author": ("VARCHAR", "Who gave the command"),
    "replayed_as_of": ("TIMESTAMP", "Time that the rows were judged by (UTC)"),
    "contract_version": ("BIGINT", "Version of the contract that judged them"),
    "rows_before": ("BIGINT", "Judged rows that waited for this reason before"),
    "rows_admitted": ("BIGINT", "Rows among these that are in the table now"),
    "rows_discarded": ("BIGINT", "Rows among these that are discarded now"),
    "rows_after": ("BIGINT", "Judged rows that wait for this reason now"),
}
"""Columns of `standardized.replays`: type and meaning. Key: replay_id, table_name, reason."""

_SCOPE = "replay_scope"
_ACCEPTED = "replay_accepted"


@dataclass(frozen=True)
class Command:
    """What a person asked for: goes into `standardized.replays` with its outcome."""

    replay_id: str
    name: str
    author: str


@dataclass(frozen=True)
class Outcome:
    """What a replay did to the waiting rows of a table.

    `reasons` has reason, rows_before, rows_admitted, rows_discarded, rows_after; a row that broke
    two rules counts under both, and once in the totals. `displaced` rows were in the table and wait
    or are discarded now.
    """

    table: str
    judged: int
    admitted: int
    discarded: int
    waiting: int
    displaced: int
    reasons: pl.DataFrame


def replay(
    run: Run,
    config: SourcesConfig,
    contracts: Mapping[str, Contract],
    wanted: pl.DataFrame,
    command: Command,
) -> list[Outcome]:
    """Judge rows of the quarantine (table_name, source, row_key) again, one transaction per table.

    `contracts` are by table, in the order in which tables are built.

    Raises:
        UserError: a table has to be run whole, or would lose more rows than its contract allows.
            Tables before it are done, it is as it was.
    """
    chosen = set(wanted["table_name"].unique())
    refuse_other_files(run.con, config, contracts, chosen)
    outcomes = []
    for contract in (c for t, c in contracts.items() if t in chosen):
        build = TableBuild(config, contract)
        rows = wanted.filter(pl.col("table_name") == build.contract.table)
        keys = rows.select("source", pl.col("row_key").alias("_row_key")).unique()
        with wh.transaction(run.con):
            outcomes.append(_replay_table(run, build, keys, command))
    return outcomes


def _replay_table(run: Run, build: TableBuild, wanted: pl.DataFrame, command: Command) -> Outcome:
    con, contract = run.con, build.contract
    quarantine.create_table(con)
    try:
        received = _received(run, build, wanted)
        scope = None if contract.table in WHOLE else _SCOPE
        intake = build.intake(run, received, scope)
        audit = contract.audit(intake.rows)
        con.register(_ACCEPTED, audit.accepted.to_arrow())
        before = _places(con, contract, scope)
        mine = f"DELETE FROM {contract.name}"
        if scope:
            mine += (
                f" WHERE EXISTS (SELECT 1 FROM {scope} s WHERE s.source = {contract.table}.source"
                f" AND s._row_key = {contract.table}._row_key)"
            )
        con.execute(mine).fetchall()
        con.execute(f"INSERT INTO {contract.name} BY NAME SELECT * FROM {_ACCEPTED}").fetchall()
        quarantine.write(con, contract, audit.rejected, intake, run.as_of, _ACCEPTED, scope)
        outcome = _outcome(contract, before, _places(con, contract, scope))
        _refuse_too_many(con, contract, outcome)
        _remember(run, contract, command, outcome)
    finally:
        for name in (_SCOPE, _ACCEPTED):
            con.unregister(name)
    return outcome


def _received(run: Run, build: TableBuild, wanted: pl.DataFrame) -> pl.DataFrame:
    """The chosen rows and all others of their records, standardised; the scope is registered."""
    con, contract = run.con, build.contract
    if contract.table in WHOLE:
        return build.received(run)
    con.register(_SCOPE, wanted.to_arrow())
    known: pl.DataFrame = con.sql(
        f"SELECT DISTINCT source, record_key FROM {TABLE} q WHERE table_name ="
        f" {quoted(contract.table)} AND EXISTS (SELECT 1 FROM {_SCOPE} s"
        " WHERE s.source = q.source AND s._row_key = q.row_key)"
    ).pl()
    scope = pl.concat([wanted, _same_record(con, contract, known)]).unique()
    while True:
        con.register(_SCOPE, scope.to_arrow())
        rows = build.received(run, _SCOPE)
        # By the mapping of now a row may be of another record than it was when it was judged.
        records = rows.select("source", record_key=contract.key[1]).unique()
        more = _same_record(con, contract, records).join(
            scope, on=["source", "_row_key"], how="anti"
        )
        if more.is_empty():
            return rows
        scope = pl.concat([scope, more])


def _same_record(
    con: duckdb.DuckDBPyConnection, contract: Contract, records: pl.DataFrame
) -> pl.DataFrame:
    """Rows of these records (source, record_key), wherever they are; those without a key too."""
    con.register("replay_records", records.to_arrow())
    try:
        found: pl.DataFrame = con.sql(
            f"SELECT t.source, t._row_key FROM {contract.name} t SEMI JOIN replay_records r"
            f' ON t.source = r.source AND t."{contract.key[1]}" = r.record_key UNION ALL'
            f" SELECT q.source, q.row_key FROM {TABLE} q SEMI JOIN replay_records r"
            f" ON q.table_name = {quoted(contract.table)} AND q.source = r.source"
            " AND q.record_key IS NOT DISTINCT FROM r.record_key"
        ).pl()
    finally:
        con.unregister("replay_records")
    return found.unique()


def _places(con: duckdb.DuckDBPyConnection, contract: Contract, scope: str | None) -> pl.DataFrame:
    """Where each row of the scope is: source, row_key, status (`accepted` if never rejected)."""
    inside = (
        f" WHERE EXISTS (SELECT 1 FROM {scope} s WHERE s.source = p.source"
        " AND s._row_key = p.row_key)"
        if scope
        else ""
    )
    found: pl.DataFrame = con.sql(
        "SELECT * FROM (SELECT source, row_key, status, reasons FROM"
        f" {TABLE} WHERE table_name = {quoted(contract.table)} UNION ALL"
        f" SELECT source, _row_key, 'accepted', [] FROM {contract.name} t WHERE NOT EXISTS ("
        f" SELECT 1 FROM {TABLE} q WHERE q.table_name = {quoted(contract.table)}"
        f" AND q.source = t.source AND q.row_key = t._row_key)) p{inside}"
    ).pl()
    return found


def _outcome(contract: Contract, before: pl.DataFrame, after: pl.DataFrame) -> Outcome:
    row = ["source", "row_key"]
    both = before.filter(pl.col("status") == "waiting").join(
        after.select(*row, now="status"), on=row, how="left"
    )
    inside = ["accepted", "released", "replayed"]
    admitted, discarded = pl.col("now").is_in(inside), pl.col("now") == "discarded"
    old = (
        both.explode("reasons")
        .group_by(reason="reasons")
        .agg(rows_before=pl.len(), rows_admitted=admitted.sum(), rows_discarded=discarded.sum())
    )
    waiting = after.filter(pl.col("status") == "waiting")
    new = waiting.explode("reasons").group_by(reason="reasons").agg(rows_after=pl.len())
    reasons = old.join(new, on="reason", how="full", coalesce=True).with_columns(
        pl.col(pl.UInt32).fill_null(0).cast(pl.Int64)
    )
    gone = before.filter(pl.col("status").is_in(inside)).join(
        after.filter(~pl.col("status").is_in(inside)), on=row, how="semi"
    )
    return Outcome(
        contract.table,
        before.height,
        both.filter(admitted).height,
        both.filter(discarded).height,
        waiting.height,
        gone.height,
        reasons.sort("reason"),
    )


def refuse_other_files(
    con: duckdb.DuckDBPyConnection,
    config: SourcesConfig,
    contracts: Mapping[str, Contract],
    tables: Iterable[str],
) -> None:
    """A replay reads rows as they were received: they have to be there still, and their table.

    Raises:
        UserError: a table was made of other files or with other columns than there are now.
    """
    for table in tables:
        _refuse_other_file(con, config, contracts[table])


def _refuse_other_file(
    con: duckdb.DuckDBPyConnection, config: SourcesConfig, contract: Contract
) -> None:
    have = {row[0]: row[1] for row in con.execute(f"DESCRIBE {contract.name}").fetchall()}
    if set(have) != {c.name for c in contract.columns}:
        raise UserError(
            f"{contract.name} has other columns than its contract has now: `personalize run` makes "
            "it anew and judges all rows again."
        )
    current = [
        f"SELECT {quoted(name)} AS source, _batch_id FROM sources.{ident(name)}"
        for name, _, _ in config.feeds_of(contract.table)
        if wh.exists(con, f"sources.{name}")
    ] or ["SELECT '' AS source, '' AS _batch_id"]
    gone = con.execute(
        f"SELECT source, _batch_id FROM {contract.name} UNION"
        f" SELECT source, batch_id FROM {TABLE} WHERE table_name = {quoted(contract.table)}"
        f" EXCEPT ({' UNION '.join(current)}) ORDER BY ALL LIMIT 1"
    ).fetchall()
    if gone:
        raise UserError(
            f"{contract.name} was made of batch {gone[0][1]} of {gone[0][0]}, which has been "
            "replaced or feeds it no longer: `personalize run` judges all rows again."
        )


def _refuse_too_many(con: duckdb.DuckDBPyConnection, contract: Contract, outcome: Outcome) -> None:
    """What stops the publishing of a run stops a replay, if it is the replay that did it."""
    if not outcome.displaced:
        return
    accepted, waiting = con.execute(
        f"SELECT (SELECT count(*) FROM {contract.name}), (SELECT count(*) FROM {TABLE}"
        " WHERE table_name = ? AND status = 'waiting')",
        [contract.table],
    ).fetchall()[0]
    share = waiting / max(accepted + waiting, 1)
    if share > contract.reject_limit:
        raise UserError(
            f"{contract.name} is left as it was: {outcome.displaced:,} of its rows would be "
            f"rejected now, {share:.0%} with those that wait, and the limit is "
            f"{contract.reject_limit:.0%}; look at what changed in its contract or mapping."
        )


def _remember(run: Run, contract: Contract, command: Command, outcome: Outcome) -> None:
    ddl = ", ".join(f"{c} {t}" for c, (t, _) in LOG_COLUMNS.items())
    run.con.execute(f"CREATE TABLE IF NOT EXISTS {LOG} ({ddl})")
    for column, (_, meaning) in LOG_COLUMNS.items():
        run.con.execute(f"COMMENT ON COLUMN {LOG}.{column} IS {quoted(meaning)}")
    rows = outcome.reasons.with_columns(
        replay_id=pl.lit(command.replay_id),
        table_name=pl.lit(contract.table),
        command=pl.lit(command.name),
        author=pl.lit(command.author),
        replayed_as_of=pl.lit(run.as_of).cast(pl.Datetime("us")),
        contract_version=pl.lit(contract.version, dtype=pl.Int64),
    )
    run.con.register("replay_log", rows.to_arrow())
    try:
        run.con.execute(f"INSERT INTO {LOG} BY NAME SELECT * FROM replay_log").fetchall()
    finally:
        run.con.unregister("replay_log")
