"""The evidence and the decisions as tables of the terminal."""

from collections.abc import Sequence

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personalization_assets.identity.stewardship.evidence import FIELDS, Evidence, Record
from personalization_assets.identity.stewardship.evidence_page import (
    explanation,
    silent,
    title_of,
    who,
    words,
)
from personalization_assets.identity.stewardship.review_queue import Queue
from personalization_assets.identity.stewardship.style import bits, percent

WIDE = 24
"""Cells of the longest bar."""


def print_pair(evidence: Evidence, threshold: float, console: Console) -> None:
    """The two records, then every step from the prior to the weight, then what follows from it."""
    grid = _grid("", Text(evidence.left.name), Text(evidence.right.name))
    for field in FIELDS:
        left, right = evidence.left.fields[field], evidence.right.fields[field]
        if left or right:
            differ = left and right and left.casefold().strip() != right.casefold().strip()
            style = "bold yellow" if differ else ""
            grid.add_row(title_of(field), Text(left or "–", style), Text(right or "–", style))
    grid.add_row("Customer", evidence.left.customer_id or "–", evidence.right.customer_id or "–")
    console.print(grid)
    _say(console, Text(explanation(evidence, threshold)))
    if evidence.steps and evidence.weight is not None:
        _print_steps(evidence, evidence.weight, console)


def _print_steps(evidence: Evidence, weight: float, console: Console) -> None:
    grid = _grid("\nEvidence", "what it says", "bits", "")
    grid.columns[2].justify = "right"
    most = max(abs(evidence.prior), abs(weight), *(abs(s.bits) for s in evidence.steps), 1.0)

    def bar(value: float, style: str = "") -> Text:
        cells = round(abs(value) / most * WIDE)
        return Text("█" * max(cells, 1), style or ("blue" if value > 0 else "yellow"))

    grid.add_row(
        "Before looking", "any two records", bits(evidence.prior), bar(evidence.prior, "dim")
    )
    for step in evidence.steps:
        if silent(step):
            grid.add_row(title_of(step.comparison), words(step), "–", "", style="dim")
        else:
            grid.add_row(
                title_of(step.comparison), Text(words(step)), bits(step.bits), bar(step.bits)
            )
    grid.add_section()
    grid.add_row("Sum", "match weight", bits(weight), bar(weight, "bold"), style="bold")
    console.print(grid)
    parts = [f"one person {percent(evidence.p)}"]
    if evidence.household is not None:
        parts.append(
            f"two people who live together {percent(evidence.p_household)} "
            f"({bits(evidence.household)} bits)"
        )
    rest = 1 - (evidence.p or 0) - (evidence.p_household or 0)
    parts.append(f"strangers {percent(max(rest, 0.0))}")
    _say(console, Text("The model: " + ", ".join(parts)))


def print_customer(
    customer_id: str,
    records: Sequence[Record],
    bonds: Sequence[Evidence],
    left_out: int,
    console: Console,
) -> None:
    """Why each record of a customer is there, and the customer's pairs, strongest first."""
    _say(console, Text(f"Customer {customer_id}: {len(records):,} records", "bold"))
    grid = _grid("record", "who it names", "tied by", "confidence")
    for record in records:
        grid.add_row(
            Text(record.name), Text(who(record)), record.linked_by, percent(record.confidence)
        )
    console.print(grid)
    if not bonds:
        return
    grid = _grid("\nstrongest bonds", "", "because", "probability", "bits", "speaks for", "against")
    for e in bonds:
        loud = sorted((s for s in e.steps if not silent(s)), key=lambda s: -abs(s.bits))
        grid.add_row(
            Text(e.left.name),
            Text(e.right.name),
            e.cause,
            percent(e.published),
            bits(e.weight) if e.weight is not None else "",
            ", ".join(title_of(s.comparison).lower() for s in loud if s.bits > 0),
            ", ".join(title_of(s.comparison).lower() for s in loud if s.bits < 0),
        )
    console.print(grid)
    if left_out:
        _say(console, Text(f"{left_out:,} weaker pairs are not shown.", "dim"))


def print_queue(queue: Queue, decided: int, console: Console) -> None:
    """The items for a person to decide on, most valuable first."""
    if not queue.total:
        _say(console, Text("Nothing waits for a decision."))
        return
    grid = _grid("item", "records", "", "probability", "reason", "orders")
    for item in queue.items:
        orders = [str(s.orders) if s.orders is not None else "–" for s in (item.left, item.right)]
        grid.add_row(
            item.item_id,
            Text(item.evidence.left.name),
            Text(item.evidence.right.name),
            percent(item.p),
            f"{item.kind}: {item.reason}",
            " / ".join(orders),
        )
    console.print(grid)
    more = queue.total - len(queue.items) - decided
    if more > 0:
        _say(console, Text(f"and {more:,} more; --limit shows them.", "dim"))
    if decided:
        _say(console, Text(f"Decided since the last run: {decided:,}.", "dim"))
    _say(
        console,
        Text("Decide on the page of `personalize identity review`, or with `decide`.", "dim"),
    )


def print_decisions(frame: pl.DataFrame, console: Console) -> None:
    """Decisions, rows of `read_decisions`, the latest last."""
    grid = _grid("decision", "verdict", "record", "record", "by", "on (UTC)", "reason")
    for row in frame.sort("decided_at", "decision_id", nulls_last=False).iter_rows(named=True):
        gone = row["withdrawn_at"] is not None
        grid.add_row(
            row["decision_id"],
            "withdrawn" if gone else row["verdict"],
            Text(f"{row['source_l']}/{row['record_id_l']}"),
            Text(f"{row['source_r']}/{row['record_id_r']}"),
            Text(row["author"] or ""),
            row["decided_at"].strftime("%Y-%m-%d %H:%M") if row["decided_at"] else "",
            Text(row["reason"] or ""),
            style="dim" if gone else "",
        )
    console.print(grid)


def _grid(*columns: str | Text) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    return grid


def _say(console: Console, text: Text) -> None:
    console.print(text, highlight=False, soft_wrap=True)
