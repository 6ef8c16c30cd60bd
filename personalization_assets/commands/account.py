"""What is in the warehouse, in a page of the terminal: rows, rejects, people and e-mails."""

from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from personalization_assets.settings import Settings
from personalization_assets.warehouse import exists, reading, tables

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
    with reading(path) as con:
        _rooms(con, console)
        _empty(con, console)
        _quarantine(con, console)
        _people(con, console)
        _recommender(con, console)
        _emails(con, console, settings.campaigns_dir)
        places = [("the tables", str(path))]
        if exists(con, "standardized.quarantine"):
            places.append(("why rows were rejected", "standardized.quarantine"))
        if exists(con, "emails.audience"):
            places.append(("why somebody got no mail", "emails.audience"))
    if settings.serving_file.exists():
        places.append(("what readers may open", str(settings.serving_file)))
    _say(console, "\n[bold]Where to look next[/bold]")
    for what, where in places:
        _say(console, f"  {what}: {where}")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


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


def _empty(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    """Standardized tables without a row: what depends on them can say nothing either."""
    names = [
        table.split(".")[1]
        for table in tables(con)
        if table.startswith("standardized.")
        and table not in ("standardized.quarantine", "standardized.email_verification_batches")
        and not _rows(con, f"SELECT 1 FROM {table} LIMIT 1")
    ]
    if names:
        _say(console, f"\nEmpty, because no source gives it a row: {', '.join(names)}.")


def _quarantine(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    if not exists(con, "standardized.quarantine"):
        return
    rows = _rows(
        con,
        """
        WITH by_reason AS (
            SELECT table_name, reason, count(*) AS n
            FROM (SELECT table_name, unnest(reasons) AS reason FROM standardized.quarantine
                WHERE status IN ('waiting', 'discarded'))
            GROUP BY ALL
        ), reasons AS (
            SELECT table_name, list(reason || ' ' || n ORDER BY n DESC, reason) AS reasons
            FROM by_reason GROUP BY 1
        )
        SELECT q.table_name, count(*) FILTER (WHERE q.status = 'waiting'),
            count(*) FILTER (WHERE q.status = 'discarded'), r.reasons
        FROM standardized.quarantine AS q JOIN reasons AS r USING (table_name)
        GROUP BY ALL ORDER BY 1
        """,
    )
    if not rows:
        console.print("\nNo row was rejected.")
        return
    grid = Table(title="\nRows received and kept", title_justify="left", box=None)
    grid.add_column("table")
    for column in ("received", "kept", "rejected", "repeats"):
        grid.add_column(column, justify="right")
    grid.add_column("because of")
    for table, rejected, repeats, reasons in rows:
        kept = int(_rows(con, f"SELECT count(*) FROM standardized.{table}")[0][0])
        counts = (kept + rejected + repeats, kept, rejected, repeats)
        more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
        grid.add_row(table, *(f"{n:,}" for n in counts), ", ".join(reasons[:3]) + more)
    console.print(grid)


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
    if not customers:
        _say(console, "\n[bold]People:[/bold] none; no record of any source names somebody.")
        return
    _say(
        console,
        f"\n[bold]People:[/bold] {records or 0:,} records are {customers:,} people; "
        f"{merged:,} of them have more than one record.",
    )
    if exists(con, "identity.evaluation"):
        metrics = sorted(_rows(con, "SELECT metric, value FROM identity.evaluation"))
        if metrics:
            words = ", ".join(f"{name} {_number(value, name)}" for name, value in metrics)
            _say(console, f"Against the truth: {words}")


def _number(value: float | None, name: str) -> str:
    """A rate with four digits, a count as a whole number."""
    if value is None:
        return "unknown"
    rate = name.split("_")[-1] in ("precision", "recall", "f1", "rate", "share")
    return f"{value:.4f}" if rate or value != int(value) else f"{value:,.0f}"


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
    if not rows:
        _say(
            console,
            "[bold]Recommender:[/bold] no model, for nobody did anything to learn from; lists "
            "hold what sells best, where anything was sold.",
        )
    for metric, value, popular, published in rows:
        verdict = "it is used" if published else "it is not used, simpler lists take its place"
        found = (
            f"{metric} {value:.4f} on the last weeks against {popular:.4f} for popularity"
            if value is not None and popular is not None
            else "there is too little to judge the model by"
        )
        _say(console, f"[bold]Recommender:[/bold] {found}: {verdict}.")


DECISIONS = {
    "no_consent": "no consent to promotional mail",
    "no_address": "no address",
    "suppressed": "bounced, complained, unsubscribed or not deliverable",
    "capped": "had enough mail lately",
    "holdout": "held out to measure the effect",
}


def _emails(con: duckdb.DuckDBPyConnection, console: Console, campaigns: Path) -> None:
    if not exists(con, "emails.audience") or not exists(con, "emails.batches"):
        return
    rows = _rows(
        con,
        """
        WITH decided AS (
            SELECT campaign, decision, count(*) AS n FROM emails.audience GROUP BY ALL
        ), batches AS (
            SELECT campaign, count(*) FILTER (WHERE status = 'rendered') AS rendered,
                count(*) FILTER (WHERE status = 'aborted') AS stopped,
                count(*) FILTER (WHERE status = 'error') AS broken
            FROM emails.batches GROUP BY 1
        )
        SELECT d.campaign, max(b.rendered), max(b.stopped), max(b.broken),
            list({'decision': d.decision, 'n': d.n} ORDER BY d.n DESC, d.decision)
                FILTER (WHERE d.decision <> 'send')
        FROM decided AS d LEFT JOIN batches AS b USING (campaign)
        GROUP BY d.campaign ORDER BY d.campaign
        """,
    )
    if not rows:
        why = (
            "no person fits the audience of any campaign"
            if any(campaigns.glob("*/campaign.yaml"))
            else f"there is no campaign in {campaigns}"
        )
        _say(console, f"\n[bold]E-mails:[/bold] nothing rendered, because {why}.")
        return
    grid = Table(title="\nE-mails", title_justify="left", box=None)
    grid.add_column("campaign")
    grid.add_column("rendered", justify="right")
    grid.add_column("not sent, by reason")
    reasons: dict[str, int] = {}
    for campaign, rendered, stopped, broken, others in rows:
        counts = {str(o["decision"]): int(o["n"]) for o in others or []}
        if stopped:
            counts["stopped by the template"] = stopped
        if broken:
            counts["could not be rendered"] = broken
        for reason, count in counts.items():
            reasons[reason] = reasons.get(reason, 0) + count
        words = ", ".join(f"{DECISIONS.get(r, r)} {n:,}" for r, n in counts.items())
        grid.add_row(str(campaign), f"{rendered or 0:,}", words)
    console.print(grid)
    if not sum(rendered or 0 for _, rendered, *_ in rows):
        most = max(reasons, key=lambda r: (reasons[r], r), default="")
        why = DECISIONS.get(most, most) or "nobody was chosen"
        hint = (
            "; consent comes from a preferences source (email_marketing) or from the CRM "
            "(email_opt_in)"
            if most == "no_consent"
            else ""
        )
        _say(console, f"Nothing rendered, most often because of: {why}{hint}.")
