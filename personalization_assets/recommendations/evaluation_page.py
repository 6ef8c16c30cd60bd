"""The page of plots over versions: one file that opens without a server and loads nothing.

It holds figures about lists and candidates, and no customer.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import duckdb
import polars as pl

from personalization_assets.errors import UserError
from personalization_assets.recommendations import evaluation_plots as plots
from personalization_assets.warehouse import exists

TEMPLATE = Path(__file__).with_name("evaluation_page.html")
TARGETS: Mapping[str, str] = {"new": "products new to the customer", "all": "all purchases"}
LIKE: Mapping[str, str] = {
    "coverage": "coverage",
    "gini": "gini",
    "novelty": "novelty, bits",
    "calibration": "calibration, bits",
}
MEASURES = ("ndcg", "recall", "map", "hit_rate", *LIKE)
BASELINES = ("popular", "recent", "category", "history")
OUTCOMES: Mapping[str, str] = {
    "first": "first version",
    "switched": "recipe changed",
    "refitted": "refitted",
    "kept": "earlier one kept",
    "nothing": "not published",
}


@dataclass(frozen=True)
class History:
    """The tables that the page and the list of versions are made of, versions by number."""

    models: pl.DataFrame
    evaluation: pl.DataFrame
    trials: pl.DataFrame
    promotions: pl.DataFrame


def read_history(con: duckdb.DuckDBPyConnection) -> History:
    """What the warehouse knows about versions.

    Raises:
        UserError: there is no version yet.
    """
    if not exists(con, "recommendations.als_model"):
        raise UserError("The recommender has no version yet: run `personalize run` first.")

    def read(table: str, order: str) -> pl.DataFrame:
        frame: pl.DataFrame = con.sql(
            f"SELECT * FROM recommendations.{table} ORDER BY {order}"
        ).pl()
        return frame

    models = read("als_model", "number")
    if models.is_empty():
        raise UserError(
            "The recommender has no version yet: no customer's interactions are known. "
            "recommendations.interactions says what is read."
        )
    promotions = (
        read("promotions", "promoted_at")
        if exists(con, "recommendations.promotions")
        else pl.DataFrame(schema={"model_version": pl.String, "holds": pl.Boolean})
    )
    return History(models, read("evaluation", "ALL"), read("trials", "trial"), promotions)


def candidate_of(model: Mapping[str, Any]) -> str:
    """Under which name the recipe of a version (a row of als_model) stands in its evaluation."""
    return "running" if model["outcome"] in ("refitted", "kept") else str(model["algorithm"])


def bounds_of(history: History, model: Mapping[str, Any]) -> tuple[float, float] | None:
    """The bootstrap bounds of what a version reached on the gate's metric."""
    metric, k, target = gate_metric(model)
    found = history.evaluation.filter(
        model_version=model["model_version"], candidate=candidate_of(model), metric=metric, k=k,
        target=target, segment="all",
    )  # fmt: skip
    return (found["low"][0], found["high"][0]) if found.height else None


def gate_metric(model: Mapping[str, Any]) -> tuple[str, int, str]:
    """What a version was judged by: metric, list length and target of a row of als_model."""
    name, target = str(model["metric"]).split()
    metric, k = name.split("@")
    return metric, int(k), target


def page(history: History) -> str:
    """The whole page. Plots are about the newest version and what it was judged by."""
    newest = history.models.row(-1, named=True)
    current = next(iter(history.models.filter("is_current").to_dicts()), None)
    number = history.models.height
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        subtitle=f"{number:,} version{'s' * (number != 1)}, the newest as of {_day(newest)}",
        body=_head(history, current)
        + f'<div class="grid">{"".join(_plots(history, newest, current))}</div>'
        + _verdicts(history)
        + _measures(history, newest),
    )


def _plots(
    history: History, newest: Mapping[str, Any], current: Mapping[str, Any] | None
) -> Iterator[str]:
    metric, k, target = gate_metric(newest)
    label = f"{_name(metric)}@{k}"
    mine = history.evaluation.filter(model_version=newest["model_version"], k=k)
    judged = mine.filter(metric=metric)
    series = _series(history, metric, k, target)
    if series:
        yield _card(
            f"{label} over versions",
            f"On {TARGETS[target]}, with bootstrap bounds. Each version is judged on the last "
            "weeks of its own data: compare within a version rather than between them.",
            plots.over_versions(series, current["number"] if current else None, label),
        )
    if not judged.filter(target=target).is_empty():
        yield _card(
            f"Candidates of version {newest['number']}",
            "Trained on what came before the test window, judged on purchases within it. "
            "running, where one does, is the recipe in service, fitted again.",
            plots.side_by_side(
                judged.filter(segment="all"), {t: TARGETS[t] for t in (target, *TARGETS)}, label
            ),
        )
        yield _card(
            "By how much is known of a customer",
            f"On {TARGETS[target]}. new: one or two products known before; heavy: the upper "
            "third of the others.",
            plots.by_segment(judged.filter(pl.col("segment") != "all", target=target), label),
        )
    tried = history.trials.filter(model_version=newest["model_version"])
    if not tried.is_empty():
        yield _card(
            "What the search tried",
            f"On the window before the test window; version {newest['number']}.",
            plots.trials(tried, label),
        )
    like = mine.filter(pl.col("metric").is_in(list(LIKE)), target=target, segment="all")
    if not like.is_empty():
        yield _card(
            "What the lists are like",
            f"Lists of {k} of {TARGETS[target]}. coverage: share of products that any list "
            "shows; gini: how unequally, 0 all alike; novelty: how rarely they were bought "
            "before; calibration: how far their categories are from the history's, 0 the same.",
            plots.what_lists_are_like(like, LIKE),
        )


def _series(history: History, metric: str, k: int, target: str) -> dict[str, pl.DataFrame]:
    """Values over versions, the served recipe first."""
    rows = history.evaluation.filter(metric=metric, k=k, target=target, segment="all").join(
        history.models.select("model_version", "number", "outcome", "algorithm"),
        on="model_version",
    )
    served = (
        pl.when(pl.col("outcome").is_in(["refitted", "kept"]))
        .then(pl.lit("running"))
        .otherwise("algorithm")
    )
    parts = {
        "served": rows.filter(pl.col("candidate") == served, pl.col("outcome") != "nothing"),
        **{name: rows.filter(candidate=name) for name in BASELINES},
    }
    return {n: f.sort("number") for n, f in parts.items() if not f.is_empty()}


def _head(history: History, current: Mapping[str, Any] | None) -> str:
    if current is None:
        why = html.escape(history.models["verdict"][-1])
        return (
            '<section class="card"><h2>No version makes lists</h2><p>They show best sellers.</p>'
            f'<p class="note">{why}</p></section>'
        )
    holds = history.promotions.filter("holds", model_version=current["model_version"])
    metric, k, target = gate_metric(current)
    reached = f"{_name(metric)}@{k}, {TARGETS[target]}" + _span(bounds_of(history, current))
    facts = [
        (f"version {current['number']}", f"{current['algorithm']}, as of {_day(current)}"),
        (_value(current["metric_value"]), reached),
        (_value(current["popularity_value"]), "popularity of the last weeks"),
        (f"{current['products']:,}", f"products, {current['customers']:,} customers learned from"),
    ]
    shown = "".join(
        f"<div><b>{html.escape(figure)}</b>"
        f'<span class="soft small">{html.escape(words)}</span></div>'
        for figure, words in facts
    )
    note = html.escape(current["verdict"])
    for row in holds.to_dicts():
        words = f"Promoted by {row['author'] or 'somebody'}"
        words += f" on {row['promoted_at']:%Y-%m-%d}" if row["promoted_at"] else ""
        words += f": {row['reason']}. " if row["reason"] else ". "
        note = html.escape(words + "It makes the lists until that is withdrawn.")
    return (
        '<section class="card"><h2>What makes the lists now</h2>'
        f'<div class="facts">{shown}</div><p class="note">{note}</p></section>'
    )


def _card(title: str, words: str, svg: str) -> str:
    return (
        f'<section class="card"><h2>{html.escape(title)}</h2>'
        f'<p class="soft small">{html.escape(words)}</p>{svg}</section>'
    )


def _verdicts(history: History) -> str:
    rows = []
    for model in history.models.reverse().to_dicts():
        state = "yes" if model["published"] else "no"
        chips = f'<span class="chip {state}">{OUTCOMES[model["outcome"]]}</span>'
        if model["is_current"]:
            chips += ' <span class="chip yes">current</span>'
        if history.promotions.filter("holds", model_version=model["model_version"]).height:
            chips += ' <span class="chip">promoted</span>'
        rows.append(
            [
                ("num", str(model["number"])),
                ("", f"<code>{model['model_version']}</code>"),
                ("", html.escape(model["algorithm"])),
                ("num", _day(model)),
                ("num", _value(model["metric_value"])),
                ("num", _value(model["popularity_value"])),
                ("", chips),
                ("words", html.escape(model["verdict"])),
            ]
        )
    heads = ["#", "Version", "Algorithm", "As of", "Reached", "Popularity", "Outcome", "Verdict"]
    return f'<section class="card verdicts"><h2>Verdicts</h2>{_table(heads, rows)}</section>'


def _measures(history: History, newest: Mapping[str, Any]) -> str:
    """Every measure of the newest version's candidates, for those who want the figures."""
    _, k, _ = gate_metric(newest)
    whole = history.evaluation.filter(model_version=newest["model_version"], k=k, segment="all")
    parts = []
    for target, words in TARGETS.items():
        mine = whole.filter(target=target)
        if mine.is_empty():
            continue
        there = [m for m in MEASURES if not mine.filter(metric=m).is_empty()]
        values = {(r["candidate"], r["metric"]): r["value"] for r in mine.to_dicts()}
        rows = [
            [("", html.escape(c)), *(("num", _value(values.get((c, m)))) for m in there)]
            for c in mine["candidate"].unique().sort()
        ]
        heads = ["Candidate", *(_name(m) for m in there)]
        parts.append(f"<h2>{words.capitalize()}</h2>{_table(heads, rows)}")
    if not parts:
        return ""
    title = f"All measures of version {newest['number']}, lists of {k}"
    return (
        f'<section class="card"><details><summary>{title}</summary>{"".join(parts)}</details>'
        "</section>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Cells are (class, finished markup); a head stands like the first cell below it."""
    classes = [c for c, _ in rows[0]]
    head = "".join(
        f'<th class="{c}">{html.escape(h)}</th>' for h, c in zip(heads, classes, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f'<td class="{c}">{text}</td>' for c, text in row) + "</tr>"
        for row in rows
    )
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{whole}</div>'


def _name(metric: str) -> str:
    return {"ndcg": "NDCG", "map": "MAP", "hit_rate": "Hit rate"}.get(metric, metric.capitalize())


def _day(model: Mapping[str, Any]) -> str:
    return f"{model['trained_as_of']:%Y-%m-%d}"


def _value(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.4f}"


def _span(limits: tuple[float, float] | None) -> str:
    return f", {limits[0]:.4f} to {limits[1]:.4f}" if limits else ""
