"""Plots of how versions and candidates did, as SVG that takes the colours of the page around it."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE = "#1b1f27", "#667085", "#e3e6ec"
THEMED: Mapping[str, str] = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)"}
"""Colours that the page decides about: light or dark."""

COLOURS: Mapping[str, str] = {
    "als": "#2f6fdb",
    "ease": "#0f9d8a",
    "knn": "#8a63c9",
    "running": INK,
    "popular": "#d9631e",
    "recent": "#d6457a",
    "category": "#b98a00",
    "history": "#7a8699",
}
OTHERS = ("#5b8c2a", "#9a5b3c", "#3b7ea1", "#a04fb0")
"""Colours of candidates that have none of their own, in turn."""

SEGMENTS = ("new", "light", "heavy")
WIDE = 5.0
"""Width of a plot in inches; on a phone its letters then are about as large as a footnote's."""


def colours(candidates: Sequence[str]) -> dict[str, str]:
    """A colour for each candidate, the same in every plot."""
    strangers = sorted(set(candidates) - set(COLOURS))
    return {**COLOURS, **{c: OTHERS[i % len(OTHERS)] for i, c in enumerate(strangers)}}


def over_versions(series: Mapping[str, pl.DataFrame], current: int | None, label: str) -> str:
    """Lines over versions: frames with `number, value, low, high` by name, `served` with bounds."""
    figure, [axes] = _figure(3.0)
    shades = {**colours(list(series)), "served": COLOURS["als"]}
    for name, frame in series.items():
        x, y = frame["number"].to_numpy(), frame["value"].to_numpy()
        if name == "served":
            axes.fill_between(
                x,
                frame["low"].to_numpy(),
                frame["high"].to_numpy(),
                color=shades[name],
                alpha=0.15,
                linewidth=0,
            )
            axes.errorbar(
                x,
                y,
                _reach(frame),
                color=shades[name],
                marker="o",
                capsize=3,
                label=name,
                linewidth=2,
            )
        else:
            axes.plot(x, y, color=shades[name], marker=".", label=name, linewidth=1.2)
    numbers = sorted({n for frame in series.values() for n in frame["number"]})
    if current in numbers:
        axes.axvline(current, color=SOFT, linestyle=":", linewidth=1, zorder=0)
        axes.annotate(
            "current",
            (current, 0),
            xycoords=("data", "axes fraction"),
            color=SOFT,
            xytext=(4, 3),
            textcoords="offset points",
            va="bottom",
            fontsize=9,
        )
    axes.set_xticks(_few(numbers))
    axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("version")
    axes.set_ylabel(label)
    _legend(figure, axes)
    return _svg(figure, f"{label} over versions")


def side_by_side(rows: pl.DataFrame, targets: Mapping[str, str], label: str) -> str:
    """Candidates with their bounds, one panel per target: rows `target, candidate, value, ...`."""
    there = [t for t in targets if not rows.filter(target=t).is_empty()]
    order = rows.filter(target=there[0]).sort("value", "candidate")["candidate"].to_list()
    order = [c for c in rows["candidate"].unique().sort() if c not in order] + order
    figure, panels = _figure(0.9 + 0.3 * len(order), len(there))
    shades = colours(order)
    for axes, target in zip(panels, there, strict=True):
        for row in rows.filter(target=target).to_dicts():
            _dot(axes, row, order.index(row["candidate"]), shades[row["candidate"]])
        axes.set_yticks(range(len(order)), order)
        axes.set_title(targets[target], fontsize=10, color=INK)
        axes.set_xlim(left=0)
        axes.set_xlabel(label)
        axes.grid(axis="y", visible=False)
    return _svg(figure, f"{label} of every candidate")


def by_segment(rows: pl.DataFrame, label: str) -> str:
    """Candidates within each segment: rows `segment, candidate, value, low, high, customers`."""
    there = [s for s in SEGMENTS if not rows.filter(segment=s).is_empty()]
    candidates = rows["candidate"].unique().sort().to_list()
    figure, [axes] = _figure(3.2)
    shades = colours(candidates)
    for place, candidate in enumerate(candidates):
        mine = {r["segment"]: r for r in rows.filter(candidate=candidate).to_dicts()}
        found = [(i, mine[s]) for i, s in enumerate(there) if s in mine]
        shift = (place - (len(candidates) - 1) / 2) * 0.8 / max(len(candidates), 1)
        frame = pl.DataFrame([row for _, row in found])
        axes.errorbar(
            [i + shift for i, _ in found],
            frame["value"].to_numpy(),
            _reach(frame),
            color=shades[candidate],
            marker="o",
            markersize=4,
            capsize=2,
            linestyle="",
            label=candidate,
        )
    sizes = dict(rows.group_by("segment").agg(pl.col("customers").max()).iter_rows())
    axes.set_xticks(range(len(there)), [f"{s}\n{sizes[s]:,} customers" for s in there])
    axes.set_ylim(bottom=0)
    axes.set_ylabel(label)
    axes.grid(axis="x", visible=False)
    _legend(figure, axes)
    return _svg(figure, f"{label} by segment")


def trials(rows: pl.DataFrame, label: str) -> str:
    """The search: rows `algorithm, trial, value, is_chosen`, in the order tried."""
    figure, [axes] = _figure(2.8)
    algorithms = rows["algorithm"].unique(maintain_order=True).to_list()
    shades = colours(algorithms)
    for algorithm in algorithms:
        mine = rows.filter(algorithm=algorithm).sort("trial")
        x, y = np.arange(1, mine.height + 1), mine["value"].to_numpy()
        axes.plot(x, y, color=shades[algorithm], marker=".", linestyle="", alpha=0.7)
        axes.step(
            x,
            np.maximum.accumulate(y),
            where="post",
            color=shades[algorithm],
            linewidth=1.5,
            label=algorithm,
        )
        chosen = mine["is_chosen"].to_numpy()
        axes.plot(
            x[chosen],
            y[chosen],
            marker="o",
            markersize=9,
            linestyle="",
            markerfacecolor="none",
            markeredgecolor=shades[algorithm],
        )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("trial of the algorithm; a ring marks what was chosen")
    axes.set_ylabel(label)
    _legend(figure, axes)
    return _svg(figure, f"trials of the search: {label}")


def what_lists_are_like(rows: pl.DataFrame, measures: Mapping[str, str]) -> str:
    """One panel per measure: rows `metric, candidate, value, low, high`."""
    there = [m for m in measures if not rows.filter(metric=m).is_empty()]
    order = rows["candidate"].unique().sort(descending=True).to_list()
    high = -(-len(there) // 2)
    figure, panels = _figure(high * (0.75 + 0.22 * len(order)), 2, high)
    shades = colours(order)
    for axes, metric in zip(panels, there, strict=False):
        for row in rows.filter(metric=metric).to_dicts():
            _dot(axes, row, order.index(row["candidate"]), shades[row["candidate"]])
        axes.set_yticks(range(len(order)), order)
        axes.set_title(measures[metric], fontsize=9, color=INK)
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
    for axes in panels[len(there) :]:
        axes.set_visible(False)
    return _svg(figure, "coverage, novelty and calibration of every candidate")


def _figure(height: float, columns: int = 1, rows: int = 1) -> tuple["Figure", Any]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    look = {
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": SOFT,
        "axes.edgecolor": LINE,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "grid.color": LINE,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with rc_context(look):
        figure = Figure((WIDE, height), layout="constrained", facecolor="none")
        panels = figure.subplots(rows, columns, sharey=columns > 1, squeeze=False).ravel()
        for axes in panels:
            axes.set_facecolor("none")
            axes.grid(visible=True, linewidth=0.8)
            axes.set_axisbelow(True)
            axes.tick_params(length=0)
    return figure, panels


def _legend(figure: "Figure", axes: "Axes") -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside upper left",
        ncols=4,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _dot(axes: "Axes", row: Mapping[str, Any], place: int, colour: str) -> None:
    if row["low"] is not None:
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2, alpha=0.5)
    axes.plot(row["value"], place, marker="o", color=colour, markersize=6, clip_on=False)


def _reach(frame: pl.DataFrame) -> Any:
    """How far bounds are from the value, below and above; 0 where there are none."""
    value = frame["value"]
    down = (value - frame["low"]).fill_null(0).clip(0)
    up = (frame["high"] - value).fill_null(0).clip(0)
    return np.vstack([down.to_numpy(), up.to_numpy()])


def _few(numbers: Sequence[int]) -> list[int]:
    """At most a dozen of them, the last one among them."""
    step = -(-len(numbers) // 12)
    return list(numbers)[::-step][::-1]


def _svg(figure: "Figure", label: str) -> str:
    """The figure as an element: letters stay text, no size of its own, the page's colours."""
    from matplotlib import rc_context

    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    for colour, name in THEMED.items():
        rest = rest.replace(colour, name)
    # Elements are named by their number in each figure, so names repeat within a page.
    rest = re.sub(r'<g id="[a-z]+_\d+">', "<g>", rest)
    rest = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px var(--letters)", rest)
    return f'{head} role="img" aria-label="{label}">{rest}'
