"""A page that shows mails to people: a good choice of them side by side, and every decision.

The page is one static file. It shows the mails as they were rendered, at phone or desktop width,
in light or dark; it holds personal data, as the mails do.
"""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from personalization_assets.emails.gallery_page import DECISION_WORDS, PAGE, RULE_WORDS

SCENARIOS: tuple[tuple[str, str], ...] = (
    ("Best customer with a full basket", "is_vip AND cart_lines > 0 AND personalised"),
    ("Stated preferences", "len(stated_categories) > 0 AND personalised AND first_name"),
    ("No history: best sellers", "coalesce(orders, 0) = 0 AND cart_lines = 0 AND personalised"),
    ("No consent to personalisation", "NOT personalised"),
    ("Name unknown", "NOT first_name"),
    ("Longest name", "first_name AND name_length = longest_name"),
    ("Loyalty member", "loyalty_tier IS NOT NULL AND first_name AND personalised"),
)
PER_VARIANT = "Variant {}"


@dataclass(frozen=True)
class Gallery:
    """What was written: the page, and how many mails it shows."""

    page: Path
    mails: int


def write_gallery(
    con: duckdb.DuckDBPyConnection, out: Path, *, shop: str = "The shop", per_campaign: int = 8
) -> Gallery:
    """Write `out/index.html` from emails.batches and emails.audience.

    Per campaign it takes one mail for each scenario that occurs and for each variant; which one is
    decided by the send id, so that the same warehouse gives the same page.
    """
    out.mkdir(parents=True, exist_ok=True)
    campaigns = [
        row[0]
        for row in con.execute(
            "SELECT DISTINCT campaign FROM emails.audience ORDER BY 1"
        ).fetchall()
    ]
    sections: list[str] = []
    total = 0
    for campaign in campaigns:
        mails = _choose(con, campaign, per_campaign)
        total += len(mails)
        cards = "\n".join(_card(mail) for mail in mails)
        empty = "<p class='none'>No mail of this campaign was rendered in this run.</p>"
        sections.append(
            f'<section class="campaign" id="{html.escape(campaign)}">'
            f"<h2>{html.escape(_title(campaign))}</h2>{_summary(con, campaign)}"
            f'<div class="cards">{cards or empty}</div></section>'
        )
    numbers = con.execute(
        """SELECT count(*) FILTER (WHERE status = 'rendered'), count(DISTINCT customer_id),
                  max(as_of), (SELECT count(*) FROM emails.audience WHERE decision <> 'send')
           FROM emails.batches"""
    ).fetchall()[0]
    values = {
        "shop": html.escape(shop),
        "rendered": f"{numbers[0]:,}",
        "people": f"{numbers[1]:,}",
        "not_sent": f"{numbers[3]:,}",
        "as_of": numbers[2].strftime("%-d %B %Y, %H:%M UTC") if numbers[2] else "no run yet",
        "links": "".join(
            f'<a href="#{html.escape(c)}">{html.escape(_title(c))}</a>' for c in campaigns
        ),
        "decisions": _decisions(con),
        "sections": "\n".join(sections),
    }
    text = PAGE
    for name, value in values.items():
        text = text.replace(f"%%{name}%%", value)
    page = out / "index.html"
    fresh = page.with_name("index.html.tmp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(page)
    return Gallery(page, total)


def _choose(con: duckdb.DuckDBPyConnection, campaign: str, most: int) -> list[dict[str, Any]]:
    variants = [
        row[0]
        for row in con.execute(
            "SELECT DISTINCT variant FROM emails.batches WHERE campaign = ? ORDER BY 1", [campaign]
        ).fetchall()
    ]
    scenarios = list(SCENARIOS)
    if len(variants) > 1:
        scenarios[1:1] = [(PER_VARIANT.format(v), f"variant = '{v}'") for v in variants]
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE gallery_mails AS
        SELECT b.send_id, b.variant, a.personalised, p.is_vip, p.loyalty_tier, p.orders,
               p.stated_categories, coalesce(len(p.open_cart), 0) AS cart_lines,
               coalesce(p.given_name, '') <> '' AS first_name,
               length(coalesce(p.given_name, '')) AS name_length,
               max(name_length) OVER () AS longest_name
        FROM emails.batches b JOIN emails.audience a USING (send_id)
        JOIN profiles.golden_profiles p ON p.customer_id = b.customer_id
        WHERE b.campaign = ? AND b.status = 'rendered'
        """,
        [campaign],
    )
    chosen: dict[str, str] = {}
    for title, condition in scenarios:
        found = con.execute(
            f"SELECT send_id FROM gallery_mails WHERE ({condition}) ORDER BY send_id LIMIT 40"
        ).fetchall()
        fresh = next((row[0] for row in found if row[0] not in chosen), None)
        if fresh is not None and len(chosen) < most:
            chosen[fresh] = title
    mails = []
    for send_id, title in chosen.items():
        cursor = con.execute(
            """SELECT b.subject, b.preheader, b.html, b.text, b.headers, b.variant, b.bytes,
                      b.products, b.to_email, a.rule, a.detail, a.personalised, a.send_at,
                      p.engagement_level, b.from_email
               FROM emails.batches b JOIN emails.audience a USING (send_id)
               JOIN profiles.golden_profiles p ON p.customer_id = b.customer_id
               WHERE b.send_id = ?""",
            [send_id],
        )
        names = [d[0] for d in cursor.description or ()]
        mails.append({"title": title} | dict(zip(names, cursor.fetchall()[0], strict=True)))
    return mails


def _card(mail: Mapping[str, Any]) -> str:
    headers = json.loads(mail["headers"])
    sender = headers["From"].split('"')[1]
    facts = {
        "Variant": mail["variant"],
        "Engagement": mail["engagement_level"] or "new",
        "Behaviour used": "yes" if mail["personalised"] else "no, best sellers instead",
        "Decision": mail["detail"],
        "Send at": mail["send_at"].strftime("%-d %b, %H:%M UTC") if mail["send_at"] else "",
        "Size": f"{mail['bytes'] / 1024:.0f} KB of HTML",
    }
    rows = "".join(
        f"<dt>{html.escape(k)}</dt><dd>{html.escape(str(v))}</dd>" for k, v in facts.items()
    )
    shown = "\n".join(f"{k}: {v}" for k, v in headers.items())
    return f"""<article class="card">
<p class="scenario">{html.escape(mail["title"])}</p>
<div class="inbox"><span class="avatar">{html.escape(sender[:1])}</span><div>
<p class="from">{html.escape(sender)}</p>
<p class="subject">{html.escape(mail["subject"])}</p>
<p class="preheader">{html.escape(mail["preheader"])}</p></div></div>
<div class="frame"><iframe loading="lazy" sandbox="allow-same-origin allow-popups"
title="{html.escape(mail["subject"])}" srcdoc="{html.escape(mail["html"])}"></iframe></div>
<dl>{rows}</dl>
<details><summary>Plain text</summary><pre>{html.escape(mail["text"])}</pre></details>
<details><summary>Headers</summary><pre>{html.escape(shown)}</pre></details>
</article>"""


def _summary(con: duckdb.DuckDBPyConnection, campaign: str) -> str:
    rows = con.execute(
        "SELECT variant, status, count(*) FROM emails.batches WHERE campaign = ?"
        " GROUP BY ALL ORDER BY ALL",
        [campaign],
    ).fetchall()
    parts = [f"{n:,} {status} as variant {variant}" for variant, status, n in rows]
    return f"<p class='lead'>{html.escape('; '.join(parts))}</p>"


def _decisions(con: duckdb.DuckDBPyConnection) -> str:
    rows = con.execute(
        """
        SELECT campaign, decision, rule, n, n / sum(n) OVER (PARTITION BY campaign) AS share
        FROM (SELECT campaign, decision, rule, count(*) AS n FROM emails.audience GROUP BY ALL)
        ORDER BY campaign, decision = 'send' DESC, n DESC, rule
        """
    ).fetchall()
    out, last = [], ""
    for campaign, decision, rule, number, share in rows:
        first = html.escape(_title(campaign)) if campaign != last else ""
        last = campaign
        out.append(
            f'<tr class="{"first" if first else ""}"><th scope="row">{first}</th>'
            f'<td><span class="pill {decision}">{DECISION_WORDS[decision]}</span></td>'
            f"<td>{html.escape(RULE_WORDS[rule])}</td>"
            f'<td class="n">{number:,}</td><td class="bar"><i class="{decision}" '
            f'style="width:{max(share * 100, 0.6):.1f}%"></i><b>{share:.0%}</b></td></tr>'
        )
    return "".join(out)


def _title(campaign: str) -> str:
    return campaign.replace("_", " ").capitalize()
