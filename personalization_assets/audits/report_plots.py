"""Small plots as SVG text that takes the colours of the page around it.

Lines and bars of a few dozen numbers: written out directly they cost microseconds, where a plotting
library costs a tenth of a second each, every night.
"""

import html
from collections.abc import Sequence

WIDE, HIGH = 360, 120
SPARK_BARS = 14
LEFT, RIGHT, TOP, BOTTOM = 4, 4, 20, 18


def trend(points: Sequence[tuple[str, float | None]], unit: str, label: str) -> str:
    """A line over runs, (day, value) in their order; a run without a value interrupts it."""
    values = [value for _, value in points if value is not None]
    if not values:
        return ""
    top = max(max(values), 1e-9)
    step = (WIDE - LEFT - RIGHT) / max(len(points) - 1, 1)
    drawn: list[list[str]] = [[]]
    for number, (_, value) in enumerate(points):
        if value is None:
            drawn.append([])
            continue
        x = LEFT + step * number if len(points) > 1 else WIDE / 2
        y = HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * value / top
        drawn[-1].append(f"{x:.1f},{y:.1f}")
    lines = "".join(
        f'<polyline class="now" points="{" ".join(part)}"/>' for part in drawn if len(part) > 1
    )
    dots = "".join(
        _dot(part[-1]) for part in drawn if part and (part is drawn[-1] or len(part) == 1)
    )
    base = HIGH - BOTTOM
    last = points[-1][1]
    shown = f"{_figure(last)}{unit}" if last is not None else "none"
    return _svg(
        f'<line class="axis" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{base}" y2="{base}"/>{lines}{dots}'
        f"{_text(LEFT, 12, f'highest {_figure(top)}{unit}')}"
        f"{_text(WIDE - RIGHT, 12, f'now {shown}', 'end', 'strong')}"
        f"{_ends(points[0][0], points[-1][0])}",
        label,
    )


def spark(values: Sequence[float], label: str) -> str:
    """Bars of the newest runs, as high as a line of text."""
    shown = values[-SPARK_BARS:]
    top = max([*shown, 1e-9])
    bars = "".join(
        f'<rect class="now" x="{number * 6}" y="{16 - 16 * value / top:.1f}" width="4"'
        f' height="{16 * value / top:.1f}"/>'
        for number, value in enumerate(shown)
    )
    named = html.escape(label, quote=True)
    return (
        f'<svg class="spark" viewBox="0 0 {SPARK_BARS * 6} 16" role="img" aria-label="{named}">'
        f"{bars}</svg>"
    )


def columns(ends: tuple[str, str], then: Sequence[float], now: Sequence[float], label: str) -> str:
    """Shares of ordered bins, the reference as outlined steps behind tonight's filled columns."""
    top = max(*then, *now, 1e-9)
    step = (WIDE - LEFT - RIGHT) / len(now)
    base, room = HIGH - BOTTOM, HIGH - TOP - BOTTOM
    drawn = []
    for number, (before, tonight) in enumerate(zip(then, now, strict=True)):
        x = LEFT + step * number
        for kind, share, inset in (("then", before, 0.04), ("now", tonight, 0.22)):
            high = room * share / top
            drawn.append(
                f'<rect class="{kind}" x="{x + step * inset:.1f}" y="{base - high:.1f}"'
                f' width="{step * (1 - 2 * inset):.1f}" height="{high:.1f}"/>'
            )
    return _svg(
        f'<line class="axis" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{base}" y2="{base}"/>'
        f"{''.join(drawn)}{_text(LEFT, 12, f'highest {top:.0%} of rows')}"
        f"{_ends(*ends)}",
        label,
    )


def rows(names: Sequence[str], then: Sequence[float], now: Sequence[float], label: str) -> str:
    """Shares of labels, one line each: tonight's bar and a mark where the reference was."""
    top = max(*then, *now, 1e-9)
    line, left, room = 22, 122, WIDE - 122 - 112
    drawn = []
    for number, (name, before, tonight) in enumerate(zip(names, then, now, strict=True)):
        y = 4 + line * number
        shown = name if len(name) <= 18 else name[:17] + "\u2026"
        mark = left + room * before / top
        drawn.append(
            f"{_text(left - 6, y + 14, shown, 'end')}"
            f'<rect class="now" x="{left}" y="{y + 3}" width="{room * tonight / top:.1f}"'
            f' height="{line - 8}"/>'
            f'<line class="mark" x1="{mark:.1f}" x2="{mark:.1f}" y1="{y}" y2="{y + line - 3}"/>'
            f"{_text(WIDE - RIGHT, y + 14, f'{before:.1%} to {tonight:.1%}', 'end')}"
        )
    return _svg("".join(drawn), label, 8 + line * len(names))


def _ends(first: str, last: str) -> str:
    return _text(LEFT, HIGH - 4, first) + _text(WIDE - RIGHT, HIGH - 4, last, "end")


def _dot(place: str) -> str:
    x, y = place.split(",")
    return f'<circle class="dot" cx="{x}" cy="{y}" r="3"/>'


def _text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f'<text{of_kind} x="{x}" y="{y}" text-anchor="{anchor}">{html.escape(words)}</text>'


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _svg(inner: str, label: str, high: float = HIGH) -> str:
    named = html.escape(label, quote=True)
    return f'<svg viewBox="0 0 {WIDE} {high}" role="img" aria-label="{named}">{inner}</svg>'
