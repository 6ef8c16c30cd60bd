"""What the report of a night is made of, read from the audits and the quarantine."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import duckdb

from personalization_assets.errors import UserError
from personalization_assets.warehouse import exists

Row = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """The newest night, by table: findings, profiles, history, shapes, quarantine."""

    as_of: dt.datetime
    findings: list[Row]
    """Worst first; not those that are ok."""
    profiles: list[Row]
    history: dict[str, list[Row]]
    """By table, a row per run: rows, lag_hours of its freshest column."""
    columns: dict[tuple[str, str], list[Row]]
    """By table and column that has a finding, a row per run."""
    schema_changes: list[Row] = field(default_factory=list)
    quarantine: list[Row] = field(default_factory=list)
    """Per table and rule: waiting rows, their share, and how many each run added."""


def read_report(con: duckdb.DuckDBPyConnection) -> Report:
    """The newest night of this warehouse.

    Raises:
        UserError: the audits have not run yet.
    """
    for table in ("audits.drift", "audits.column_history", "audits.table_profiles"):
        if not exists(con, table):
            raise UserError(f"There is no {table} yet: run `personalize run` first.")
    as_of = con.execute("SELECT max(as_of) FROM audits.table_profiles").fetchall()[0][0]
    if as_of is None:
        raise UserError("No table has been profiled yet: run `personalize run` first.")
    found = findings(con)
    history: dict[str, list[Row]] = {}
    for row in _rows(
        con,
        "SELECT table_name, as_of, max(rows) AS rows, min(lag_hours) AS lag_hours"
        " FROM audits.column_history GROUP BY table_name, as_of ORDER BY table_name, as_of",
    ):
        history.setdefault(row["table_name"], []).append(row)
    columns: dict[tuple[str, str], list[Row]] = {}
    for row in _rows(
        con,
        "SELECT h.* FROM audits.column_history AS h SEMI JOIN"
        " (SELECT table_name, column_name FROM audits.drift WHERE level <> 'ok') AS d"
        " USING (table_name, column_name) ORDER BY h.table_name, h.column_name, h.as_of",
    ):
        columns.setdefault((row["table_name"], row["column_name"]), []).append(row)
    return Report(
        as_of=as_of,
        findings=found,
        profiles=_rows(con, "SELECT * FROM audits.table_profiles ORDER BY table_name, position"),
        history=history,
        columns=columns,
        schema_changes=_schema_changes(con),
        quarantine=_quarantine(con),
    )


def findings(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Tonight's findings, worst first: failures, then by how far beyond the limit.

    Raises:
        UserError: the audits have not run yet, or with an earlier release.
    """
    if not exists(con, "audits.drift"):
        raise UserError("There are no findings yet: run `personalize run` first.")
    try:
        return _rows(
            con,
            "SELECT * FROM audits.drift WHERE level <> 'ok' ORDER BY level,"
            " value / greatest(warn_at, by_chance) DESC, table_name, column_name, measure",
        )
    except duckdb.BinderException:
        raise UserError(
            "audits.drift was written by an earlier release: run `personalize run` first."
        ) from None


def _schema_changes(con: duckdb.DuckDBPyConnection) -> list[Row]:
    if not exists(con, "audits.schema_versions"):
        return []
    return _rows(
        con,
        "SELECT table_name, version, difference, compatibility, compatible, first_seen"
        " FROM audits.schema_versions WHERE version > 1 ORDER BY first_seen DESC, table_name",
    )


def _quarantine(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Counts by rule; what a row holds stays where it is."""
    if not exists(con, "standardized.quarantine"):
        return []
    found = _rows(
        con,
        "WITH broken AS (SELECT table_name, unnest(reasons) AS rule, status, first_seen_as_of"
        " FROM standardized.quarantine)"
        " SELECT table_name, rule, count(*) FILTER (status = 'waiting') AS waiting,"
        " map_entries(histogram(first_seen_as_of)) AS by_run FROM broken"
        " GROUP BY ALL ORDER BY waiting DESC, table_name, rule",
    )
    for row in found:
        table = f"standardized.{row['table_name']}"
        rows = (
            con.execute(f'SELECT count(*) FROM standardized."{row["table_name"]}"').fetchall()[0][0]
            if exists(con, table)
            else 0
        )
        row["share"] = row["waiting"] / max(rows + row["waiting"], 1)
        row["by_run"] = sorted((e["key"], e["value"]) for e in row["by_run"])
    return found


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    found: list[Row] = con.sql(sql).pl().to_dicts()
    return found
