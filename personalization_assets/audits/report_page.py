"""The report of a night: one file that opens without a server and loads nothing.

It holds counts, shares, ranges and labels of columns that are not personal, and no row.
"""

import datetime as dt
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from personalization_assets.audits import report_plots as plots
from personalization_assets.audits.profiling import STEPS_PER_OCTAVE
from personalization_assets.audits.report import Report, Row
from personalization_assets.errors import UserError

REPORT = "audits.html"
TEMPLATE = Path(__file__).with_name("report_page.html")
NAMES: Mapping[str, str] = {
    "psi": "distribution (PSI)",
    "js": "distribution (JS)",
    "ks": "distribution (KS)",
    "nulls": "empty values",
    "rows": "rows",
    "distinct": "different values",
    "label_share": "share of a label",
    "new_labels": "new label",
    "vanished_labels": "label gone",
    "range": "out of range",
    "hours": "hour of day",
    "late": "late data",
}
SHAPES = ("psi", "js", "ks", "label_share", "new_labels", "vanished_labels", "range")
SEEN_AT_MOST = 24
"""Columns of a plot: neighbouring bins are put together."""

LABELS = 10
"""Labels of a plot, the most frequent ones."""

PLOTS = 8
"""Plots of columns per table; the list above them has all findings."""

QUARANTINE_ROWS = 12
SCHEMA_ROWS = 10
EPOCH = dt.date(1970, 1, 1)


def write(report: Report, target: Path) -> None:
    """Put the page in its place at once: somebody may be reading the one before.

    Raises:
        UserError: the file cannot be written.
    """
    fresh = target.with_name(target.name + ".tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(page(report), encoding="utf-8")
        fresh.replace(target)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}.") from None


def page(report: Report) -> str:
    """The whole page: what changed first, then table by table, those with findings open."""
    weights = {
        t: sum(100 if f["level"] == "fail" else 1 for f in _of(report, t)) for t in report.history
    }
    tables = sorted(report.history, key=lambda t: (-weights[t], t))
    references = {p["reference_as_of"] for p in report.profiles} - {None}
    compared = (
        f"compared with {_day(min(references))}"
        + (f" to {_day(max(references))}" if len(references) > 1 else "")
        if references
        else "the first profiles: there is nothing to compare with yet"
    )
    columns = len(report.profiles)
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        day=_moment(report.as_of),
        subtitle=f"{len(tables):,} tables, {columns:,} columns, {compared}",
        body=_tonight(report)
        + _quarantine(
            report.quarantine, {r["as_of"] for rows in report.history.values() for r in rows}
        )
        + "".join(_table_card(report, table) for table in tables),
    )


def _of(report: Report, table: str) -> list[Row]:
    return [f for f in report.findings if f["table_name"] == table]


def _tonight(report: Report) -> str:
    shapes = [c for c in report.schema_changes if c["first_seen"] == report.as_of]
    failed = sum(f["level"] == "fail" for f in report.findings)
    facts = [
        (failed, "to act on", "fail" if failed else "ok"),
        (len(report.findings) - failed, "to watch", "warn" if report.findings else "ok"),
        (len({f["table_name"] for f in report.findings}), "tables with findings", ""),
        (len(shapes), "tables with a new shape", "warn" if shapes else ""),
    ]
    head = "".join(
        f'<div><b class="{kind}">{count:,}</b><span class="soft small">{words}</span></div>'
        for count, words, kind in facts
    )
    by_column: dict[tuple[str, str], list[Row]] = {}
    for finding in report.findings:
        by_column.setdefault((finding["table_name"], finding["column_name"]), []).append(finding)
    rows = [
        f'<tr><td>{_chip(same[0]["level"])}</td><td class="place">{_link(same[0])}</td>'
        f'<td class="words">{_words(same)}</td>'
        f'<td class="measures small">{"<br>".join(_value(f) for f in same)}</td></tr>'
        for same in by_column.values()
    ] + [
        f"<tr><td>{_chip('warn' if c['compatible'] else 'fail')}</td>"
        f'<td class="place">{html.escape(c["table_name"])}</td>'
        f'<td class="words">{html.escape(c["difference"])}</td>'
        f'<td class="measures small">compatible: {html.escape(c["compatibility"])}</td></tr>'
        for c in shapes
    ]
    found = (
        '<div class="scroll"><table class="found"><thead><tr><th></th><th>Column</th>'
        "<th>What changed</th><th>Measure: value (limit)</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        if rows
        else '<p class="ok">Nothing moved by more than the limits and chance allow.</p>'
    )
    return (
        f'<section class="card"><h2>What changed</h2><div class="facts">{head}</div></section>'
        f'<section class="card">{found}<p class="soft small">A limit is that of the settings, or '
        "what chance alone brings at this number of rows, if that is more. In the plots below, "
        "blue is tonight and grey the reference (the mark, of labels); bins of numbers grow by "
        "their size.</p></section>"
    )


def _words(same: Sequence[Row]) -> str:
    return "; ".join(html.escape(words) for words in dict.fromkeys(f["words"] for f in same))


def _value(finding: Row) -> str:
    limit = finding["fail_at"] if finding["level"] == "fail" else finding["warn_at"]
    shown = f"{finding['value']:.3g} ({max(limit, finding['by_chance']):.3g})"
    return f'{NAMES[finding["measure"]]}: <span class="{finding["level"]}">{shown}</span>'


def _link(finding: Row) -> str:
    table, column = finding["table_name"], finding["column_name"]
    name = table if column == "*" else f"{table}.{column}"
    return f'<a href="#{html.escape(table, quote=True)}">{html.escape(name)}</a>'


def _chip(level: str) -> str:
    words = {"fail": "act", "warn": "watch", "ok": "quiet"}[level]
    return f'<span class="chip {level}">{words}</span>'


def _table_card(report: Report, table: str) -> str:
    found = _of(report, table)
    runs = report.history[table]
    worst = next((f["level"] for f in found), "ok")
    named = f"{len(found):,} finding{'s' * (len(found) != 1)}, " if found else ""
    lag = runs[-1]["lag_hours"]
    age = f", newest moment {lag:,.0f} h old" if lag is not None else ""
    figures = [
        _figure(
            "Rows by run",
            plots.trend([(_day(r["as_of"]), r["rows"]) for r in runs], "", f"rows of {table}"),
        )
    ]
    if any(r["lag_hours"] is not None for r in runs):
        points = [(_day(r["as_of"]), r["lag_hours"]) for r in runs]
        figures.append(
            _figure("Age of the newest moment", plots.trend(points, " h", f"age of {table}"))
        )
    drawn = list(_columns(report, table, found))
    figures += drawn[:PLOTS]
    more = (
        f'<p class="soft small">{len(drawn) - PLOTS} more plots are left out.</p>'
        if len(drawn) > PLOTS
        else ""
    )
    shapes = [c for c in report.schema_changes if c["table_name"] == table][:SCHEMA_ROWS]
    changes = "".join(
        f'<p class="small">Version {c["version"]} since {_day(c["first_seen"])}: '
        f"{html.escape(c['difference'])} ({html.escape(c['compatibility'])})</p>"
        for c in shapes
    )
    return (
        f'<details class="card" id="{html.escape(table, quote=True)}"{" open" * bool(found)}>'
        f"<summary><h2>{html.escape(table)}</h2> {_chip(worst)}"
        f'<span class="soft small">{named}{runs[-1]["rows"]:,} rows{age}</span></summary>'
        f'<div class="plots">{"".join(figures)}</div>{more}{changes}</details>'
    )


def _columns(report: Report, table: str, found: Sequence[Row]) -> Iterator[str]:
    """One plot per column and kind of finding, the worst first."""
    profiles = {p["column_name"]: p for p in report.profiles if p["table_name"] == table}
    done: set[tuple[str, str]] = set()
    for finding in found:
        column, measure = finding["column_name"], finding["measure"]
        kind = "shape" if measure in SHAPES else measure
        if column == "*" or (column, kind) in done:
            continue
        done.add((column, kind))
        runs = report.columns[table, column]
        words = f"{column}: {finding['words']}"
        if kind in ("shape", "hours"):
            svg = _shape(profiles[column], kind == "hours")
        elif kind == "nulls":
            points = [(_day(r["as_of"]), 100 * r["nulls"] / max(r["rows"], 1)) for r in runs]
            svg = plots.trend(points, " % empty", words)
        elif kind == "distinct":
            points = [(_day(r["as_of"]), r["distinct_values"]) for r in runs]
            svg = plots.trend(points, "", words)
        else:
            svg = plots.trend([(_day(r["as_of"]), r["lag_hours"]) for r in runs], " h", words)
        yield _figure(words, svg)


def _shape(profile: Row, hours: bool) -> str:
    """Tonight's histogram beside the reference."""
    if not profile["bins"] or not profile["reference_bins"]:
        return ""
    now, then = json.loads(profile["bins"]), json.loads(profile["reference_bins"])
    label = f"{profile['column_name']}, now and in the reference"
    if profile["kind"] == "label":
        names = sorted({*now, *then}, key=lambda n: (-max(now.get(n, 0), then.get(n, 0)), n))
        return plots.rows(names[:LABELS], _shares(then, names), _shares(now, names), label)
    if profile["kind"] == "time":
        part = "hour" if hours else "day"
        now, then = now[part], then[part]
    bins = [str(b) for b in sorted(map(int, {*now, *then}))]
    size = -(-len(bins) // SEEN_AT_MOST)
    groups = [bins[i : i + size] for i in range(0, len(bins), size)]
    before, tonight = (
        [sum(side.get(b, 0) for b in group) / max(sum(side.values()), 1) for group in groups]
        for side in (then, now)
    )
    ends = [_bin_name(b, profile["kind"], hours) for b in (bins[0], bins[-1])]
    return plots.columns((ends[0], ends[1]), before, tonight, label)


def _shares(side: Mapping[str, int], names: Sequence[str]) -> list[float]:
    whole = max(sum(side.values()), 1)
    return [side.get(name, 0) / whole for name in names[:LABELS]]


def _bin_name(bin_: str, kind: str, hours: bool) -> str:
    number = int(bin_)
    if hours:
        return f"{number}:00"
    if kind == "time":
        return f"{EPOCH + dt.timedelta(days=number)}"
    if not number:
        return "0"
    size = 2 ** ((abs(number) - 1000) / STEPS_PER_OCTAVE)
    shown = f"{size:,.0f}" if size >= 100 else f"{size:.3g}"
    return shown if number > 0 else f"-{shown}"


def _quarantine(found: Sequence[Row], nights: set[dt.datetime]) -> str:
    if not found:
        return ""
    days = sorted(nights | {moment for row in found for moment, _ in row["by_run"]})
    lines = []
    for row in found[:QUARANTINE_ROWS]:
        by_run: dict[Any, int] = dict(row["by_run"])
        added = [by_run.get(day, 0) for day in days]
        lines.append(
            f'<tr><td class="place">{html.escape(row["table_name"])}</td>'
            f"<td><code>{html.escape(row['rule'])}</code></td>"
            f'<td class="num">{row["waiting"]:,}</td><td class="num">{row["share"]:.2%}</td>'
            f'<td class="num">{added[-1]:,}</td>'
            f"<td>{plots.spark(added, 'rows added by run')}</td></tr>"
        )
    per_day = [(_day(d), float(sum(dict(r["by_run"]).get(d, 0) for r in found))) for d in days]
    more = (
        f'<p class="soft small">{len(found) - QUARANTINE_ROWS:,} more in standardized.quarantine.'
        "</p>"
        if len(found) > QUARANTINE_ROWS
        else ""
    )
    trend = _figure(
        "Broken rules by run that saw the row first", plots.trend(per_day, "", "broken rules")
    )
    return (
        '<section class="card"><h2>Quarantine</h2><p class="soft small">Rows that broke a rule, by '
        "rule. Share: of the rows that the table has or waits for.</p>"
        f'<div class="plots">{trend}</div>'
        '<div class="scroll"><table><thead><tr><th>Table</th><th>Rule</th>'
        '<th class="num">Waiting</th><th class="num">Share</th>'
        f'<th class="num">Added {_day(days[-1])}</th><th>By run</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>{more}</section>"
    )


def _figure(words: str, svg: str) -> str:
    return f"<figure>{svg}<figcaption>{html.escape(words)}</figcaption></figure>"


def _day(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _moment(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
