"""How a table becomes a Dagster asset: build the rows, audit them, publish all of them or none.

`table_asset` turns a function into an asset whose table has a contract; `sql_models.py` does the
same for a SELECT in a file. Both end in `publish`, the only code that replaces a table:

1. the rows are staged beside the table, inside one transaction;
2. the contract judges them, and each rule reports one Dagster check;
3. only then is the staged table renamed over the old one.

A broken rule, an exception or a killed process leaves the old table as it was.
"""

import datetime as dt
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import duckdb
import pandera.polars as pa
import polars as pl

from personalization_assets import warehouse as wh
from personalization_assets.catalog import (
    Published,
    Verdict,
    asset_spec,
    check_results,
    check_specs,
    column_schema,
    verdict_results,
    verdict_specs,
)
from personalization_assets.contracts import Contract, contract_of
from personalization_assets.errors import UserError
from personalization_assets.settings import Settings
from personalization_assets.warehouse import Change, Query, Rows, Warehouse

POOL = "duckdb"
"""The concurrency pool of every asset: one writer at a time holds the warehouse file."""

QUOTING_ERRORS = (
    duckdb.ConversionException,
    duckdb.ConstraintException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    pl.exceptions.ComputeError,
    pl.exceptions.InvalidOperationError,
)
"""Errors whose text quotes cells."""


class Clock(dg.ConfigurableResource[Any]):
    """The run's time. Nothing else in the platform reads a clock."""

    as_of: str | None = None

    def resolve(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> dt.datetime:
        """`as_of` of the run config, else when the run was created: naive UTC, whole seconds.

        Raises:
            UserError: the configured text is not an ISO 8601 date or time.
        """
        if self.as_of:
            return parse_as_of(self.as_of)
        record = context.instance.get_run_record_by_id(context.run_id)
        created = record.create_timestamp if record else dt.datetime.now(dt.UTC)
        return created.astimezone(dt.UTC).replace(tzinfo=None, microsecond=0)


def parse_as_of(text: str) -> dt.datetime:
    """An ISO 8601 date or time as naive UTC."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"as_of '{text}' is not a date or time: write it like 2026-11-01T06:00:00."
        ) from None
    if moment.tzinfo:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment


@dataclass
class Run:
    """What the function behind a table gets: a connection, the run's time and the settings."""

    con: duckdb.DuckDBPyConnection
    as_of: dt.datetime
    settings: Settings
    log: logging.Logger
    _metadata: dict[str, Any] = field(default_factory=dict)
    _verdicts: list[Verdict] = field(default_factory=list)

    def read(self, table: str) -> pl.DataFrame:
        """A whole table as a frame, columns in table order, rows in no promised order."""
        frame: pl.DataFrame = self.con.sql(f"SELECT * FROM {table}").pl()
        return frame

    def exists(self, table: str) -> bool:
        """Whether `room.table` has been published before: for tables that build on themselves."""
        return wh.exists(self.con, table)

    def progress(self, text: str) -> None:
        """Tell whoever waits what is going on. Never personal data."""
        self.log.info(text)

    def metadata(self, **values: float | int | str | bool) -> None:
        """Numbers and short words for the materialization in Dagster. Never personal data."""
        self._metadata.update(values)

    def judge(self, verdicts: Sequence[Verdict], refusal: str = "") -> None:
        """Report checks on the new rows as a whole; with a `refusal` nothing will be published.

        The checks are those that `table_asset(gate=...)` names; the refusal is a sentence that says
        why, and what to do.
        """
        self._verdicts += verdicts
        if refusal:
            raise RefusedError(refusal)


Builder = Callable[[Run], Rows | Mapping[type[pa.DataFrameModel], Rows]]
OnRejected = Callable[[Run, Contract, pl.DataFrame], None]


class RefusedError(UserError):
    """The new rows as a whole are not what anybody would want to see published."""


class NotPublishedError(Exception):
    """Rows broke the contract; the transaction was rolled back and the old tables stand."""

    def __init__(self, results: list[Published]) -> None:
        self.results = results
        super().__init__(" ".join(_why_not(r) for r in results if r.blocked_by))


def publish(
    run: Run, outputs: Sequence[tuple[Contract, Rows]], on_rejected: OnRejected | None = None
) -> list[Published]:
    """Audit and publish tables together, in one transaction.

    Raises:
        NotPublishedError: more rows of a table broke an `error` rule than its contract allows.
    """
    results: list[Published] = []
    with wh.transaction(run.con):
        for contract, rows in outputs:
            results.append(_stage_and_audit(run, contract, rows, on_rejected))
        if any(r.blocked_by for r in results):
            raise NotPublishedError(results)
        for contract, rows in outputs:
            if isinstance(rows, Change):
                wh.put_in(run.con, contract.name)
            else:
                wh.swap(run.con, contract.name, contract.description, contract.columns)
    return results


def _stage_and_audit(
    run: Run, contract: Contract, rows: Rows, on_rejected: OnRejected | None
) -> Published:
    if isinstance(rows, pl.DataFrame):
        audit = contract.audit(rows)
        wh.stage(run.con, contract.name, audit.accepted, contract.columns)
        received, kept, failures = rows.height, audit.accepted.height, audit.failures
        rejected = audit.rejected.height
        if on_rejected:
            on_rejected(run, contract, audit.rejected)
    else:
        typed = contract.columns if all(c.dtype is not None for c in contract.columns) else ()
        staged = wh.stage(run.con, contract.name, rows, typed)
        received, failures = _audit_in_duckdb(run.con, staged, contract)
        if isinstance(rows, Change):
            # A row that goes although nothing says so has the key of a new one.
            taken = wh.take_out(run.con, contract.name, rows.gone)
            failures["key.unique"] += abs(taken - rows.gone.num_rows)
            received += _count(run.con, contract.name)
        kept, rejected = received, 0
    errors = {r.name for r in contract.rules if r.severity == "error"}
    broken = {n: k for n, k in failures.items() if k and n in errors}
    share = rejected / received if received else 0.0
    # Without a quarantine there is nowhere to put a bad row: any error stops the publish.
    stop = share > contract.reject_limit if on_rejected else bool(broken)
    above = {
        r.name: n
        for r in contract.rules
        if r.limit is not None and (n := failures.get(r.name, 0)) > r.limit * received
    }
    return Published(contract, received, kept, failures, (broken if stop else {}) | above)


def _audit_in_duckdb(
    con: duckdb.DuckDBPyConnection, staged: str, contract: Contract
) -> tuple[int, dict[str, int]]:
    rules = [r for r in contract.rules if r.sql]
    unjudged = {r.name for r in contract.rules} - {r.name for r in rules} - {"key.unique"}
    if unjudged:
        raise ValueError(
            f"{contract.name}: {', '.join(sorted(unjudged))} cannot be judged inside DuckDB; "
            "return a polars frame."
        )
    # NULL makes `NOT (...)` unknown, so nullable columns pass; only `required` sees NULL.
    counts = ", ".join(["count(*)", *(f"count(*) FILTER (WHERE NOT ({r.sql}))" for r in rules)])
    received, *found = con.execute(f"SELECT {counts} FROM {staged}").fetchall()[0]
    failures = dict(zip((r.name for r in rules), found, strict=True))
    if contract.key:
        key = ", ".join(f'"{k}"' for k in contract.key)
        distinct = con.execute(
            f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {staged})"
        ).fetchall()[0][0]
        failures["key.unique"] = received - distinct
    return received, failures


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def _why_not(result: Published) -> str:
    broken = ", ".join(f"{rule} ({n:,})" for rule, n in sorted(result.blocked_by.items()))
    rejected = result.received - result.rows
    share = rejected / max(result.received, 1)
    own = [r for r in result.contract.rules if r.name in result.blocked_by and r.limit is not None]
    if result.contract.reject_limit and (share > result.contract.reject_limit or not own):
        limit = f"{share:.0%} of them would be rejected, the limit is "
        limit += f"{result.contract.reject_limit:.0%}"
    elif own:
        limit = "; ".join(f"the limit of {r.name} is {r.limit:.2%}" for r in own)
    else:
        limit = "none may"
    return (
        f"{result.contract.name} was not published: of {result.received:,} rows some broke "
        f"{broken}; {limit}. The previous table stands; correct the input or the contract and "
        "run again."
    )


def table_asset(
    *,
    contract: type[pa.DataFrameModel] | Contract | Sequence[type[pa.DataFrameModel]],
    deps: Sequence[str] = (),
    kinds: set[str] | None = None,
    tags: Mapping[str, str] | None = None,
    on_rejected: OnRejected | None = None,
    lineage: Callable[[Run], dg.TableColumnLineage | None] | None = None,
    gate: Mapping[str, str] | None = None,
) -> Callable[[Builder], dg.AssetsDefinition]:
    """Make an asset of a function that returns the rows of a table (or, for several contracts, a
    dict from contract model to rows: these tables are published together).

    The function gets a `Run` and returns a polars frame, an Arrow table or reader, or a `Query`
    whose rows stay inside DuckDB. `on_rejected` takes the rows that broke an `error` rule, inside
    the transaction; without it such a row stops the publish. `gate` names and describes the checks
    that the function reports with `Run.judge`; they belong to the first table.
    """
    models = [contract] if isinstance(contract, Contract | type) else list(contract)
    contracts = [m if isinstance(m, Contract) else contract_of(m) for m in models]

    def decorate(build: Builder) -> dg.AssetsDefinition:
        first = contracts[0]

        @dg.multi_asset(
            name=f"{first.room}__{first.table}",
            specs=[asset_spec(c, deps, kinds or {"python"}, tags) for c in contracts],
            check_specs=[
                *verdict_specs(first, gate or {}),
                *(spec for c in contracts for spec in check_specs(c)),
            ],
            pool=POOL,
            can_subset=False,
        )
        def asset(
            context: dg.AssetExecutionContext,
            warehouse: dg.ResourceParam[Warehouse],
            clock: Clock,
            settings: dg.ResourceParam[Settings],
        ) -> Iterator[Any]:
            started = time.monotonic()
            with user_errors(), open_run(context, warehouse, clock, settings) as run:
                try:
                    built = build(run)
                except RefusedError:
                    yield from verdict_results(first, run._verdicts)
                    raise
                yield from verdict_results(first, run._verdicts)
                rows: list[Rows] = (
                    [built[m] for m in models if isinstance(m, type)]
                    if isinstance(built, Mapping)
                    else [built]
                )
                try:
                    results = publish(run, list(zip(contracts, rows, strict=True)), on_rejected)
                except NotPublishedError as stopped:
                    for result in stopped.results:
                        yield from check_results(result)
                    raise dg.Failure(description=str(stopped), allow_retries=False) from None
                for result in results:
                    yield from check_results(result)
                    yield materialized(run, result, time.monotonic() - started, lineage)

        return asset

    return decorate


def materialized(
    run: Run,
    result: Published,
    seconds: float,
    lineage: Callable[[Run], dg.TableColumnLineage | None] | None = None,
) -> dg.MaterializeResult[Any]:
    """The run-time metadata of a published table: counts, types, seconds, lineage."""
    contract = result.contract
    types = {row[0]: row[1] for row in run.con.execute(f"DESCRIBE {contract.name}").fetchall()}
    metadata: dict[str, Any] = {
        "dagster/row_count": result.rows,
        "dagster/column_schema": column_schema(contract, types),
        "seconds": round(seconds, 3),
        "as_of": run.as_of.isoformat(),
        **run._metadata,
    }
    if result.received != result.rows:
        metadata["rows_received"] = result.received
        metadata["rows_rejected"] = result.received - result.rows
    columns = lineage(run) if lineage else None
    if columns:
        metadata["dagster/column_lineage"] = columns
    return dg.MaterializeResult(
        asset_key=dg.AssetKey([contract.room, contract.table]), metadata=metadata
    )


@contextmanager
def open_run(
    context: dg.AssetExecutionContext, warehouse: Warehouse, clock: Clock, settings: Settings
) -> Iterator[Run]:
    """A `Run` on an open warehouse; assets that do not go through `table_asset` use it too."""
    as_of = clock.resolve(context)
    with warehouse.connect(settings.sql_variables(as_of)) as con:
        yield Run(con, as_of, settings, context.log)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a `UserError` into a Dagster failure that shows its sentence and is not retried.

    Errors of the libraries that quote the value they stumbled over would carry personal data into
    the event log, which keeps it for ever: only their kind goes there, unless somebody who looks
    for the cause sets `PERSONALIZE_SHOW_ERRORS`.
    """
    try:
        yield
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    except QUOTING_ERRORS as error:
        if os.environ.get("PERSONALIZE_SHOW_ERRORS"):
            raise
        kind = f"{type(error).__module__.split('.')[0]}'s {type(error).__name__}"
        raise dg.Failure(
            description=f"{kind} stopped the table. Its text may quote a customer's data and is "
            "not logged; set PERSONALIZE_SHOW_ERRORS=1 and run this table again to read it.",
            allow_retries=False,
        ) from None


__all__ = ["Clock", "Query", "Run", "open_run", "publish", "table_asset", "user_errors"]
