"""The evidence as a page: two records side by side, and a waterfall from the prior to the sum."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from personalization_assets.identity.stewardship.evidence import FIELDS, Evidence, Record
from personalization_assets.identity.stewardship.steps import Step
from personalization_assets.identity.stewardship.style import bits, page, percent, say

_Place = Callable[[float], str]
"""A weight to its place on the chart."""

CAUSES: Mapping[str, str] = {
    "exact": "Both say the same, or one says nothing that the other does not say too: they are "
    "compared as one.",
    "account": "Both belong to one account, which counts more than anything the model says.",
    "decision": "A person decided about this pair; that counts more than anything else.",
    "model": "The model scored this pair.",
    "veto": "They differ in what a person has one of, by the setting one_per_person.",
    "owner_l": "A mailbox or device is all that the second record holds, and the first one uses "
    "it. The probability is the chance that it is theirs, were nobody else known to use it.",
    "owner_r": "A mailbox or device is all that the first record holds, and the second one uses "
    "it. The probability is the chance that it is theirs, were nobody else known to use it.",
    "name_l": "A name is all that the second record holds: it goes to whoever most probably bears "
    "it, if that is clear.",
    "name_r": "A name is all that the first record holds: it goes to whoever most probably bears "
    "it, if that is clear.",
}
NEVER_SCORED = (
    "The run did not compare this pair: the records share nothing that makes pairs worth "
    "comparing. The figures were worked out now."
)
OUTDATED = (
    "The records or the settings have changed since the run that published its weight: the "
    "figures here are those of now."
)
AT_HOME = "Two people who live together explain the evidence better than one person does."
NOT_COMPARED = "There is too little in one of the records to compare them by the model."


def words(step: Step) -> str:
    """What a step says, in words: the level, and what a rare or common value adds to it."""
    if abs(step.rarity) < 0.005:
        return step.level
    kind = "rare" if step.rarity > 0 else "common"
    return f"{step.level}; {kind} value {bits(step.rarity)}"


def silent(step: Step) -> bool:
    """Whether the step says nothing, because a value is missing or already accounted for."""
    return abs(step.bits) < 0.005


def title_of(name: str) -> str:
    """A name of a field or comparison as a heading."""
    return name.replace("_", " ").capitalize()


def explanation(evidence: Evidence, threshold: float) -> str:
    """Why the pair counts as it does, in a sentence or two."""
    if evidence.cause is None:
        return NEVER_SCORED if evidence.steps else NOT_COMPARED
    text = CAUSES[evidence.cause]
    if evidence.cause == "decision":
        verdict = "the same person" if (evidence.published or 0) > 0.5 else "two people"
        text = f"A person decided that these are {verdict}; that counts more than anything else."
    elif evidence.cause == "model":
        text = _model_says(evidence, threshold)
    return text + (f" {OUTDATED}" if evidence.outdated else "")


def _model_says(evidence: Evidence, threshold: float) -> str:
    p, home = evidence.published or 0.0, evidence.p_household or 0.0
    text = CAUSES["model"]
    if home > p:
        text += f" {AT_HOME}"
    if evidence.together and p < threshold:
        text += " Not this pair, but the other records that they share make them one customer."
    elif not evidence.together and p >= threshold:
        text += " Other records of theirs speak against making them one customer."
    return text


def records_table(evidence: Evidence) -> str:
    """Both records as received, differing values marked."""
    sides = (evidence.left, evidence.right)
    rows = []
    for field in FIELDS:
        values = [side.fields[field] for side in sides]
        if not any(values):
            continue
        differ = all(values) and values[0].casefold().strip() != values[1].casefold().strip()
        cells = "".join(
            f'<td><span class="differ">{say(v)}</span></td>'
            if differ
            else f"<td>{say(v) if v else '<span class=soft>–</span>'}</td>"
            for v in values
        )
        rows.append(f"<tr><th scope=row>{title_of(field)}</th>{cells}</tr>")
    heads = "".join(
        f"<th scope=col><code>{say(r.name)}</code><br><span class=soft>{say(r.entity)}</span></th>"
        for r in sides
    )
    customers = "".join(f"<td><code>{say(r.customer_id or '–')}</code></td>" for r in sides)
    return (
        f'<table class="pair"><thead><tr><td></td>{heads}</tr></thead><tbody>{"".join(rows)}'
        f"<tr><th scope=row>Customer</th>{customers}</tr></tbody></table>"
    )


def waterfall(evidence: Evidence, threshold: float) -> str:
    """The steps from the prior to the weight, each with its bar; empty when nothing was compared.

    `threshold` is the probability from which pairs bring records together.
    """
    if not evidence.steps or evidence.weight is None:
        return ""
    spans = [("prior", 0.0, evidence.prior)]
    total = evidence.prior
    for step in evidence.steps:
        spans.append(("for" if step.bits > 0 else "against", total, total + step.bits))
        total += step.bits
    least = math.log2(threshold / (1 - threshold)) if threshold < 1 else 0.0
    ends = [0.0, least, *(end for _, _, end in spans)]
    low, high = min(ends), max(ends)
    margin = max(high - low, 1.0) * 0.04
    low, high = low - margin, high + margin

    def at(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    rows = [
        _row(
            "Before looking",
            "chance that any two records are one person",
            "",
            evidence.prior,
            _bar("prior", 0.0, evidence.prior, at, least),
        )
    ]
    for step, (kind, start, end) in zip(evidence.steps, spans[1:], strict=True):
        quiet = silent(step)
        chart = _lines(at, least, start) if quiet else _bar(kind, start, end, at, least)
        compared = "" if step.left == step.right == "" else _compared(step)
        rows.append(
            _row(title_of(step.comparison), words(step), compared, step.bits, chart, quiet=quiet)
        )
    bar = _bar("sum", 0.0, total, at, least)
    rows.append(_row("Sum", "match weight", "", total, bar, total=True))
    return (
        f'<div class="falls">{"".join(rows)}</div><p class="legend soft">'
        f"{_legend('for', 'speaks for one person')}{_legend('against', 'speaks against')}"
        f'<span><svg class="dot"><line class="least" x1="5" x2="5" y1="0" y2="10"/></svg>'
        f"as likely as the match threshold ({percent(threshold)})</span>"
        "<span>One bit doubles the odds.</span></p>"
    )


def _compared(step: Step) -> str:
    left, right = step.left or "–", step.right or "–"
    if step.left == step.right:
        return f"<span class=level><code>{say(left)}</code></span>"
    return f"<span class=level><code>{say(left)}</code> · <code>{say(right)}</code></span>"


def _row(
    title: str,
    level: str,
    compared: str,
    value: float,
    chart: str,
    quiet: bool = False,
    total: bool = False,
) -> str:
    extra = " quiet" if quiet else " total" if total else ""
    return (
        f'<div class="what{extra}"><b>{say(title)}</b><span class="level">{say(level)}</span>'
        f'{compared}</div><div class="bits num{extra}">{"–" if quiet else bits(value)}</div>'
        f'<div class="chart{extra}"><svg class="bars" aria-hidden="true">{chart}</svg></div>'
    )


def _lines(at: _Place, least: float, running: float) -> str:
    zero, bar, now = at(0.0), at(least), at(running)
    return (
        f'<line class="axis" x1="{zero}" x2="{zero}" y1="0" y2="100%"/>'
        f'<line class="least" x1="{bar}" x2="{bar}" y1="0" y2="100%"/>'
        f'<line class="step" x1="{now}" x2="{now}" y1="0" y2="100%"/>'
    )


def _bar(kind: str, start: float, end: float, at: _Place, least: float) -> str:
    first, last = min(start, end), max(start, end)
    width = float(at(last)[:-1]) - float(at(first)[:-1])
    return _lines(at, least, start) + (
        f'<rect class="f-{kind}" x="{at(first)}" width="{max(width, 0.4):.2f}%" y="28%" '
        f'height="44%" rx="3"/>'
    )


def _legend(kind: str, text: str) -> str:
    return (
        f'<span><svg class="dot"><rect class="f-{kind}" width="10" height="10" rx="3"/></svg>'
        f"{text}</span>"
    )


def shares(evidence: Evidence) -> str:
    """How the probability divides between one person, a household and strangers."""
    if evidence.p is None or evidence.weight is None:
        return ""
    home = evidence.p_household or 0.0
    rest = max(0.0, 1 - evidence.p - home)
    parts = [("for", "one person", evidence.p, evidence.weight)]
    if evidence.household is not None:
        parts.append(("home", "two people who live together", home, evidence.household))
    parts.append(("prior", "strangers", rest, 0.0))
    start = 0.0
    rects, legend = [], []
    for kind, label, share, odds in parts:
        rects.append(
            f'<rect class="f-{kind}" x="{100 * start:.2f}%" width="{100 * share:.2f}%" '
            'height="100%"/>'
        )
        start += share
        weight = f" <span class=soft>({bits(odds)} bits)</span>" if kind != "prior" else ""
        legend.append(_legend(kind, f"{label} <b class=num>{percent(share)}</b>{weight}"))
    return (
        f'<svg class="shares" aria-hidden="true">{"".join(rects)}</svg>'
        f'<div class="legend">{"".join(legend)}</div>'
    )


def pair_card(evidence: Evidence, threshold: float, heading: str = "") -> str:
    """Everything about one pair."""
    together = evidence.together
    chip = f'<span class="chip {"yes" if together else "no"}">' + (
        "one customer</span>" if together else "two customers</span>"
    )
    probability = evidence.published if evidence.published is not None else evidence.p
    return (
        f'<section class="card"><div class="top"><div>{heading}{chip}</div>'
        f'<div class="big num" title="Probability that both are one person">{percent(probability)}'
        f'</div></div><p class="note">{say(explanation(evidence, threshold))}</p>'
        f"{records_table(evidence)}{evidence_part(evidence, threshold)}</section>"
    )


def evidence_part(evidence: Evidence, threshold: float) -> str:
    """The waterfall and what follows from it, with headings."""
    if not evidence.steps:
        return ""
    return (
        f"<h3>Evidence, in bits</h3>{waterfall(evidence, threshold)}"
        f"<h3>What the model makes of it</h3>{shares(evidence)}"
    )


def pair_page(evidence: Evidence, threshold: float) -> str:
    """The page of one pair of records."""
    body = (
        "<main><h1>Are these one person?</h1><p class=soft>The evidence between two records.</p>"
        f"{pair_card(evidence, threshold)}</main>"
    )
    return page("Evidence between two records", body)


def customer_page(
    customer_id: str,
    records: Sequence[Record],
    bonds: Sequence[Evidence],
    left_out: int,
    threshold: float,
    nonce: str = "",
) -> str:
    """The page of a customer: why each record is there, and its pairs, strongest first."""
    rows = "".join(
        f"<tr><td><code>{say(r.name)}</code></td><td>{say(who(r))}</td>"
        f"<td>{say(r.linked_by or '')}</td><td class=num>{percent(r.confidence)}</td></tr>"
        for r in records
    )
    pairs = "".join(
        f"<details{' open' if i == 0 else ''}><summary><span><code>{say(e.left.name)}</code> · "
        f"<code>{say(e.right.name)}</code></span><span class=soft>{say(e.cause or '')}</span>"
        f'<span class="bits num">{percent(e.published)}'
        f"{f' · {bits(e.weight)} bits' if e.weight is not None else ''}</span></summary>"
        f"<p class=note>{say(explanation(e, threshold))}</p>{records_table(e)}"
        f"{evidence_part(e, threshold)}</details>"
        for i, e in enumerate(bonds)
    )
    more = f"<p class=soft>{left_out:,} weaker pairs are not shown.</p>" if left_out else ""
    none = "<p class=soft>It is the only record, so there is no pair.</p>"
    body = (
        f"<main><h1>Why these records are one person</h1><p class=soft>Customer "
        f"<code>{say(customer_id)}</code>, {len(records):,} records.</p>"
        f'<section class="card"><h2>Why each record is here</h2><div class="scroll"><table>'
        "<thead><tr><th>Record</th><th>Who it names</th><th>Tied by</th><th>Confidence</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></div></section>"
        f'<section class="card"><h2>Pairs, strongest bonds first</h2>{pairs or none}{more}'
        "</section></main>"
    )
    return page(f"Customer {customer_id}", body, nonce=nonce)


def who(record: Record) -> str:
    """The record in a few words: its name, else what it holds."""
    names = [record.fields[f] for f in ("given_name", "family_name") if record.fields[f]]
    others = [record.fields[f] for f in ("email", "phone", "account_key", "device_id")]
    return " ".join(names) or next((v for v in others if v), "")


def file_name(evidence: Evidence) -> str:
    """A name for the page of a pair; ids of records can be addresses, so they are not in it."""
    text = "\x1f".join((*evidence.left.key, *evidence.right.key))
    return f"pair-{hashlib.sha256(text.encode()).hexdigest()[:12]}.html"


def write_page(text: str, target: Path) -> None:
    """Put a page in place at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".tmp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(target)
