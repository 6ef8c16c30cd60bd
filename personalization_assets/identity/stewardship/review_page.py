"""Pages on which a data steward decides: the queue, one item, the decisions; and one to read."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import polars as pl

from personalization_assets.identity.stewardship.decision_log import group_of
from personalization_assets.identity.stewardship.evidence_page import (
    AT_HOME,
    evidence_part,
    explanation,
    pair_card,
    records_table,
    who,
)
from personalization_assets.identity.stewardship.review_queue import Item, Queue, Side
from personalization_assets.identity.stewardship.style import page, percent, say

STYLE = """
.bar{position:sticky;top:0;z-index:2;background:var(--page);border-bottom:1px solid var(--line)}
.bar>div{max-width:1040px;margin:0 auto;padding:10px 20px;display:flex;flex-wrap:wrap;gap:6px 18px;
align-items:center}.bar a{text-decoration:none}.bar .end{margin-left:auto}
.filters{display:flex;flex-wrap:wrap;gap:8px;margin:14px 0}
.filters a{text-decoration:none;color:inherit;background:var(--card)}
.filters a.on{background:var(--for);color:var(--page);border-color:var(--for)}
.items{list-style:none;padding:0 20px}.items li{border-bottom:1px solid var(--line)}
.items li:last-child{border:0}
.items a{display:grid;grid-template-columns:1fr 1fr 84px;gap:4px 16px;padding:12px 4px;
color:inherit;text-decoration:none;overflow-wrap:anywhere}
.items a:hover,.items a:focus-visible{background:var(--tint)}
.items .about{grid-column:1/-1;font-size:13px;color:var(--soft)}.items .num{text-align:right}
.act{position:sticky;bottom:0;background:var(--card);border:1px solid var(--line);
border-radius:12px;padding:12px 16px;margin:16px 0 0;display:flex;flex-wrap:wrap;gap:10px;
align-items:center;box-shadow:0 -4px 18px rgb(16 24 40/.10)}
.act input{flex:1 1 200px}.act .by{flex:0 1 150px}
input{font:inherit;color:inherit;background:var(--page);border:1px solid var(--line);
border-radius:8px;padding:7px 10px;min-width:0}
button{font:inherit;font-weight:600;border-radius:8px;border:1px solid var(--line);padding:7px 14px;
background:var(--card);color:var(--ink);cursor:pointer}
button.same{background:var(--for);border-color:var(--for);color:var(--page)}
button.different{background:var(--against);border-color:var(--against);color:var(--page)}
button.link{border:0;background:none;color:var(--for);padding:0;font-weight:400;
text-decoration:underline}form.line{display:inline}
kbd{font:12px/1 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;
border:1px solid currentColor;border-radius:4px;padding:1px 5px;margin-left:6px;opacity:.75}
:focus-visible{outline:2px solid var(--for);outline-offset:2px}
@media (max-width:640px){.act{border-radius:12px 12px 0 0;margin:16px -12px -80px;padding:10px 12px}
.act input{flex:1 1 55%}.act .by{flex:1 1 30%}.act button{flex:1 1 40%;padding:7px 4px}
kbd{display:none}.bar>div{padding:8px 12px}
.items a{grid-template-columns:1fr 1fr}.items .num{grid-column:1/-1;text-align:left}}
"""

SCRIPT = """
document.addEventListener("keydown", function (event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.tagName === "INPUT") { if (event.key === "Escape") event.target.blur(); return; }
  var target = document.querySelector('[data-key="' + CSS.escape(event.key) + '"]');
  if (target) { event.preventDefault(); target.focus(); target.click(); }
});
"""


@dataclass(frozen=True)
class View:
    """What every page of the server needs: secrets of this page, who decides, what just happened.

    `csrf` goes into every form, `nonce` marks the page's own style and script.
    """

    csrf: str
    nonce: str
    author: str
    threshold: float
    stale: bool = False
    done: str = ""


def queue_page(
    view: View, queue: Queue, reason: str, decided: Mapping[str, Mapping[str, str | None]]
) -> str:
    """The queue, filtered by `reason` if it is not empty; `decided` are decisions by item id."""
    shown = [i for i in queue.items if not reason or i.reason == reason]
    waiting = [i for i in shown if i.item_id not in decided]
    done = [i for i in shown if i.item_id in decided]
    chips = "".join(
        f'<a class="chip{" on" if r == reason else ""}" href="/?reason={quote(r)}">{say(label)} '
        f"<span class=num>{n:,}</span></a>"
        for r, label, n in [
            ("", "all", sum(queue.by_reason.values())),
            *((r, r, n) for r, n in queue.by_reason.items()),
        ]
    )
    of = queue.by_reason.get(reason, 0) if reason else queue.total
    more = (
        f"<p class=soft>The {len(shown):,} most valuable of {of:,}; start again with a larger "
        "<code>--limit</code> for more.</p>"
        if of > len(shown)
        else ""
    )
    body = (
        f"{_bar(view, '<b>Review</b>')}<main>{_notes(view)}<h1>Are these the same person?</h1>"
        f"<p class=soft>{len(waiting):,} doubtful pairs wait, those first where two customers with "
        "orders are concerned and a word of yours changes most. The next run obeys your decisions."
        f'</p><nav class="filters">{chips}</nav>'
        f"{_list(waiting, decided, reason) or '<p class=card>Nothing waits here.</p>'}{more}"
        + (f"<h2>Decided since the last run</h2>{_list(done, decided, reason)}" if done else "")
        + "</main>"
    )
    return page("Review", body, nonce=view.nonce, style=STYLE, script=SCRIPT)


def _list(items: Sequence[Item], decided: Mapping[str, Any], reason: str) -> str:
    rows = []
    for place, item in enumerate(items):
        e = item.evidence
        verdict = decided.get(item.item_id)
        end = say(_verdict(verdict["verdict"])) if verdict else percent(item.p)
        key = ' data-key="j"' if place == 0 and not verdict else ""
        rows.append(
            f'<li><a href="{_address(item.item_id, reason)}"{key}><span>{say(who(e.left))}</span>'
            f'<span>{say(who(e.right))}</span><span class="num">{end}</span>'
            f'<span class="about">{say(item.reason)} · {_orders(item.left)} · '
            f"{_orders(item.right)}</span></a></li>"
        )
    return f'<ul class="items card">{"".join(rows)}</ul>' if rows else ""


def item_page(
    view: View,
    item: Item,
    place: str,
    neighbours: tuple[str | None, str | None],
    reason: str,
    decided: Mapping[str, str | None] | None,
) -> str:
    """One item with its evidence and the buttons; `neighbours` are the items before and after."""
    e = item.evidence
    before, after = neighbours
    steps = "".join(
        f'<a href="{_address(other, reason)}" data-key="{key}">{text}<kbd>{key}</kbd></a>'
        for other, key, text in ((before, "k", "Back"), (after, "j", "Next"))
        if other
    )
    head = (
        f'<div class="top"><h1>{say(who(e.left))} <span class=soft>and</span> {say(who(e.right))}'
        f'</h1><div class="big num" title="Probability that both are one person">{percent(item.p)}'
        f'</div></div><p><span class="chip">{say(item.kind)}: {say(item.reason)}</span></p>'
        f'<p class="note">{say(_why(item, view.threshold))}</p>'
    )
    body = (
        f"{_bar(view, f'<span class=soft>{say(place)}</span>{steps}', reason)}<main>{_notes(view)}"
        f'<section class="card">{head}{records_table(e)}{_sides(item)}'
        f"{evidence_part(e, view.threshold)}</section>"
        f"{_decided(view, item, decided, reason) if decided else _buttons(view, item, reason)}"
        "</main>"
    )
    return page("Review", body, nonce=view.nonce, style=STYLE, script=SCRIPT)


def _why(item: Item, threshold: float) -> str:
    """Why the item waits, and what is known beyond that."""
    e = item.evidence
    if e.cause != "model":
        return f"{item.why} {explanation(e, threshold)}"
    at_home = (e.p_household or 0.0) > (e.p or 0.0)
    return f"{item.why} {AT_HOME}" if at_home else item.why


def _sides(item: Item) -> str:
    cells = [
        f'<a href="/customer/{quote(side.customer_id)}"><code>{say(side.customer_id)}</code></a> '
        f"<span class=soft>{side.records:,} records, {_orders(side)}</span>"
        for side in ({s.customer_id: s for s in (item.left, item.right)}).values()
    ]
    more = f" {item.records:,} records are involved." if item.kind == "cluster" else ""
    return f"<h3>Customers</h3><p>{'<br>'.join(cells)}</p><p class=soft>{more}</p>"


def _orders(side: Side) -> str:
    if side.orders is None:
        return "orders unknown"
    return "1 order" if side.orders == 1 else f"{side.orders:,} orders"


def _buttons(view: View, item: Item, reason: str) -> str:
    return (
        f'<form class="act" method="post" action="/item/{quote(item.item_id)}">{_hidden(view)}'
        f'<input type="hidden" name="filter" value="{say(reason)}">'
        '<input name="reason" placeholder="Why (optional)" aria-label="Why" maxlength="500" '
        'autocomplete="off" data-key="w">'
        f'<input class="by" name="author" value="{say(view.author)}" aria-label="Who decides" '
        'required maxlength="100">'
        '<button class="same" name="verdict" value="same" data-key="s">Same person<kbd>s</kbd>'
        '</button><button class="different" name="verdict" value="different" data-key="d">'
        "Different people<kbd>d</kbd></button></form>"
    )


def _decided(view: View, item: Item, decided: Mapping[str, str | None], reason: str) -> str:
    why = f": {decided['reason']}" if decided["reason"] else ""
    by = " ".join(filter(None, [decided["author"], decided["decided_at"]]))
    return (
        f'<form class="act" method="post" action="/withdraw">{_hidden(view)}'
        f'<input type="hidden" name="filter" value="{say(reason)}">'
        f'<input type="hidden" name="item" value="{say(item.item_id)}">'
        f'<input type="hidden" name="decision" value="{say(decided["decision_id"])}">'
        f"<span><b>{say(_verdict(decided['verdict']))}</b>{say(why)} "
        f'<span class=soft>({say(by)})</span></span><span class="end"></span>'
        '<button data-key="u">Withdraw<kbd>u</kbd></button></form>'
    )


def decisions_page(view: View, frame: pl.DataFrame) -> str:
    """All decisions, the latest first; those made together are one row and withdrawn together."""
    ordered = frame.sort("decided_at", "decision_id", descending=True, nulls_last=True)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in ordered.iter_rows(named=True):
        groups.setdefault(group_of(row["decision_id"]), []).append(row)
    rows = "".join(_group(view, name, members) for name, members in groups.items())
    table = (
        '<div class="card scroll"><table><thead><tr><th>Decision</th><th>Records</th>'
        f"<th>Why and who</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        if rows
        else "<p class=card>Nobody has decided anything yet.</p>"
    )
    body = f"{_bar(view, '')}<main>{_notes(view)}<h1>Decisions</h1>{table}</main>"
    return page("Decisions", body, nonce=view.nonce, style=STYLE, script=SCRIPT)


def _group(view: View, name: str, members: Sequence[dict[str, Any]]) -> str:
    """A row of the table: one decision, or all that were made together."""
    pairs = "".join(
        f"<p><code>{say(row['source_l'])}/{say(row['record_id_l'])}</code><br>"
        f"<code>{say(row['source_r'])}/{say(row['record_id_r'])}</code><br>"
        f"<span class=soft>{say(_verdict(row['verdict']))}</span></p>"
        for row in members
    )
    first = members[0]
    if len(members) > 1:
        pairs = f"<details><summary>{len(members):,} pairs</summary>{pairs}</details>"
    withdrawn = [row["withdrawn_at"] for row in members if row["withdrawn_at"]]
    end = (
        f"<span class=soft>withdrawn<br>{_time(max(withdrawn))}</span>"
        if len(withdrawn) == len(members)
        else f'<form class="line" method="post" action="/withdraw">{_hidden(view)}'
        f'<input type="hidden" name="decision" value="{say(name)}">'
        '<button class="link">withdraw</button></form>'
    )
    return (
        f"<tr><td><code>{say(name)}</code></td><td>{pairs}</td>"
        f"<td>{say(first['reason'] or '')}{'<br>' if first['reason'] else ''}"
        f"<span class=soft>{say(first['author'] or '')} "
        f"{_time(first['decided_at'])}</span></td><td>{end}</td></tr>"
    )


def message_page(view: View, title: str, text: str) -> str:
    """A page that says one thing, mostly what went wrong and what to do."""
    body = f'{_bar(view, "")}<main><h1>{say(title)}</h1><p class="note warn">{say(text)}</p></main>'
    return page(title, body, nonce=view.nonce, style=STYLE)


def export_page(queue: Queue, threshold: float) -> str:
    """All items on one page to read, without buttons."""
    cards = "".join(
        pair_card(
            item.evidence,
            threshold,
            heading=f"<h2>{number}. {say(who(item.evidence.left))} <span class=soft>and</span> "
            f"{say(who(item.evidence.right))}</h2><p class=soft>{say(item.why)}</p>",
        )
        for number, item in enumerate(queue.items, 1)
    )
    body = (
        f"<main><h1>Are these the same person?</h1><p class=soft>{len(queue.items):,} doubtful "
        f"pairs, the most valuable first.</p>{cards or '<p class=card>Nothing waits.</p>'}</main>"
    )
    return page("Review queue", body, style=STYLE)


def _bar(view: View, middle: str, reason: str = "") -> str:
    home = f"/?reason={quote(reason)}" if reason else "/"
    return (
        f'<header class="bar"><div><a href="{home}" data-key="q">Queue</a>{middle}'
        '<a class="end" href="/decisions">Decisions</a></div></header>'
    )


def _notes(view: View) -> str:
    notes = ""
    if view.stale:
        notes += (
            f'<div class="note warn">The warehouse was written since this list was read. '
            f'<form class="line" method="post" action="/reload">{_hidden(view)}'
            '<button class="link">Read it again</button></form></div>'
        )
    if view.done:
        notes += (
            f'<div class="note">Written as <code>{say(view.done)}</code>. '
            f'<form class="line" method="post" action="/withdraw">{_hidden(view)}'
            f'<input type="hidden" name="decision" value="{say(view.done)}">'
            '<button class="link" data-key="u">Withdraw it</button></form></div>'
        )
    return notes


def _hidden(view: View) -> str:
    return f'<input type="hidden" name="csrf" value="{say(view.csrf)}">'


def _address(item_id: str, reason: str) -> str:
    return f"/item/{quote(item_id)}" + (f"?reason={quote(reason)}" if reason else "")


def _verdict(verdict: str | None) -> str:
    return "same person" if verdict == "same" else "different people"


def _time(moment: dt.datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M") if moment else ""
