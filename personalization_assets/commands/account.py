"""What is in the warehouse, in a page of the terminal: rows, rejects, people and e-mails."""

from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from personalization_assets.commands.run import require
from personalization_assets.errors import UserError
from personalization_assets.settings import Settings
from personalization_assets.warehouse import exists, held_message, tables

ROOMS = (
    "sources",
    "standardized",
    "identity",
    "profiles",
    "recommendations",
    "emails",
    "feedback",
    "audits",
)


def print_account(settings: Settings, console: Console) -> None:
    """Print the account of a warehouse that no run is writing.

    Raises:
        UserError: there is no warehouse, or a run holds it.
    """
    path = settings.warehouse_file
    require(path, "warehouse", "run `personalize run` first.")
    try:
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.IOException as error:
        raise UserError(held_message(str(path), str(error))) from None
    with con:
        _rooms(con, console)
        _quarantine(con, console)
        _people(con, console)
        _recommender(con, console)
        _emails(con, console)
    console.print(
        f"\nWhere to look next: the tables in [bold]{path}[/bold]; why rows were rejected in "
        "[bold]standardized.quarantine[/bold]; why somebody got no mail in "
        "[bold]emails.audience[/bold]; what readers may open in "
        f"[bold]{settings.serving_file}[/bold]."
    )


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return con.execute(sql).fetchall()


def _rooms(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    grid = Table(title="Rows per room", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column, justify in (("room", "left"), ("tables", "right"), ("rows", "right")):
        grid.add_column(column, justify=justify)  # type: ignore[arg-type]
    grid.add_column("the largest")
    found = tables(con)
    for room in ROOMS:
        counts = {
            t: int(str(_rows(con, f"SELECT count(*) FROM {t}")[0][0]))
            for t in found
            if t.startswith(f"{room}.")
        }
        largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
        words = ", ".join(f"{name.split('.')[1]} {count:,}" for name, count in largest)
        grid.add_row(room, str(len(counts)), f"{sum(counts.values()):,}", words)
    console.print(grid)


def _quarantine(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    if not exists(con, "standardized.quarantine"):
        return
    rows = _rows(
        con,
        """
        WITH waiting AS (
            SELECT table_name, source, row_key, unnest(reasons) AS reason
            FROM standardized.quarantine WHERE status = 'waiting'
        ), by_reason AS (
            SELECT table_name, reason, count(*) AS n FROM waiting GROUP BY ALL
        ), by_table AS (
            SELECT table_name, count(DISTINCT (source, row_key)) AS n FROM waiting GROUP BY 1
        )
        SELECT t.table_name, t.n, list(r.reason || ' ' || r.n ORDER BY r.n DESC, r.reason)
        FROM by_table AS t JOIN by_reason AS r USING (table_name)
        GROUP BY ALL ORDER BY 1
        """,
    )
    grid = Table(title="\nRejected rows, waiting in quarantine", title_justify="left", box=None)
    grid.add_column("table")
    grid.add_column("rows", justify="right")
    grid.add_column("because of")
    for table, count, reasons in rows:
        more = f" and {len(reasons) - 4} more" if len(reasons) > 4 else ""
        grid.add_row(table, f"{count:,}", ", ".join(reasons[:4]) + more)
    if rows:
        console.print(grid)
    else:
        console.print("\nNo row was rejected.")


def _people(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    if not exists(con, "identity.links"):
        return
    records, customers, merged = _rows(
        con,
        """
        SELECT sum(n), count(*), count(*) FILTER (WHERE n > 1)
        FROM (SELECT customer_id, count(*) AS n FROM identity.links GROUP BY 1)
        """,
    )[0]
    console.print(
        f"\n[bold]People:[/bold] {records or 0:,} records are {customers:,} people; "
        f"{merged:,} of them have more than one record."
    )
    if exists(con, "identity.evaluation"):
        metrics = dict(_rows(con, "SELECT metric, value FROM identity.evaluation"))
        if metrics:
            console.print(
                "Against the truth: "
                + ", ".join(f"{name} {value:.4f}" for name, value in sorted(metrics.items()))
            )


def _recommender(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    if not exists(con, "recommendations.als_model"):
        return
    rows = _rows(
        con,
        """
        SELECT metric, metric_value, popularity_value, published
        FROM recommendations.als_model ORDER BY trained_as_of DESC, model_version LIMIT 1
        """,
    )
    for metric, value, popular, published in rows:
        verdict = "published" if published else "not published, lists fall back"
        console.print(
            f"[bold]Recommender:[/bold] {metric} {value or 0:.4f} on the last weeks against "
            f"{popular or 0:.4f} for popularity: {verdict}."
        )


def _emails(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    if not exists(con, "emails.audience"):
        return
    grid = Table(title="\nE-mails", title_justify="left", box=None)
    grid.add_column("campaign")
    grid.add_column("rendered", justify="right")
    grid.add_column("not sent, by reason")
    rows = _rows(
        con,
        """
        WITH decided AS (
            SELECT campaign, decision, count(*) AS n FROM emails.audience GROUP BY ALL
        ), rendered AS (
            SELECT campaign, count(*) AS n FROM emails.batches
            WHERE status = 'rendered' GROUP BY 1
        )
        SELECT d.campaign, max(r.n),
            string_agg(d.decision || ' ' || d.n, ', ' ORDER BY d.n DESC, d.decision)
                FILTER (WHERE d.decision <> 'send')
        FROM decided AS d LEFT JOIN rendered AS r USING (campaign)
        GROUP BY d.campaign ORDER BY d.campaign
        """,
    )
    for campaign, rendered, reasons in rows:
        grid.add_row(str(campaign), f"{rendered or 0:,}", str(reasons or ""))
    console.print(grid)
