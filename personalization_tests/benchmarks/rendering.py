"""How many mails of the shipped weekly campaign a CPU second renders.

Baselines, on the same contexts and the same compiled templates: python-liquid as it comes with our
filters, one mail after the other, templates parsed once; and the same with `from_string` for each
mail. They render subject, preheader, HTML and text only: no signed links, headers or hashes. Jinja2
can't run Liquid templates, so it is not compared.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from personalization_tests.benchmarks.measure import COST, measured, show, times

PARTS = ("subject", "preheader", "html", "text")


def _contexts(people: int) -> tuple[Any, list[pa.RecordBatch]]:
    """The weekly campaign's first variant, and a context for each of its mails."""
    from personalization_assets.emails import mail_context
    from personalization_assets.emails.audience import decide
    from personalization_assets.emails.brand import load_brand
    from personalization_assets.emails.building import compile_all
    from personalization_assets.emails.campaigns import load_campaigns
    from personalization_assets.emails.render import utm_query
    from personalization_assets.emails.settings import EmailsSettings
    from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop, publish

    con, settings = make_shop(people), EmailsSettings()
    campaigns = load_campaigns(PROJECT / "data" / "campaigns")
    weekly = [c for c in campaigns if c.name == "weekly_recommendations"]
    brand = load_brand(PROJECT / "data" / "brand.yaml")
    publish(con, "emails.audience", decide(con, weekly, settings, AS_OF))
    templates = compile_all(con, weekly, brand, settings, AS_OF)[0]
    mail_context.prepare(con, brand, settings.bestseller_days)
    sql, values = mail_context.context_sql(
        con,
        templates.campaign,
        templates.variant.name,
        brand,
        utm_query(templates),
        templates.customer_fields,
        mail_context.profile_columns(con),
    )
    reader = con.sql(sql, params=values).to_arrow_reader(settings.chunk_rows)
    return templates, list(reader)


def shipped(people: int) -> Callable[[], tuple[int, int]]:
    """Work that renders with the room; gives mails and bytes of HTML."""
    from personalization_assets.emails.links import Signer
    from personalization_assets.emails.render import render
    from personalization_tests.emails.shop import AS_OF

    templates, batches = _contexts(people)

    def work() -> tuple[int, int]:
        mails = size = 0
        for batch in render(templates, batches, Signer(b"0123456789abcdef"), AS_OF):
            mails += batch.num_rows
            size += sum(batch["bytes"].to_pylist())
        return mails, size

    return work


def one_by_one(people: int, parse_each: bool) -> Callable[[], tuple[int, int]]:
    """Work that renders with python-liquid as it comes; gives mails and bytes of HTML."""
    from liquid import DictLoader, Environment

    from personalization_assets.emails.liquid_env import AbortMail, AbortTag
    from personalization_assets.emails.mail_context import constants
    from personalization_assets.emails.render import shop_links

    templates, batches = _contexts(people)
    blocks = templates.campaign.folder.parent / "_blocks"
    loader = DictLoader({p.stem: p.read_text("utf-8") for p in blocks.glob("*.liquid")})
    environments = {}
    for part in PARTS:
        corrected = templates.environments[0 if part == "html" else 1]
        environment = Environment(autoescape=part == "html", loader=loader)
        environment.add_tag(AbortTag)
        environment.filters.update(corrected.filters)
        environments[part] = environment
    sources = {part: getattr(templates, part).nodes[0].token.source for part in PARTS}
    links = {**shop_links(templates), "unsubscribe": "u", "preferences": "p"}
    fixed = {**constants(templates.brand, templates.campaign), "links": links}

    def parsed() -> dict[str, Any]:
        return {part: environments[part].from_string(sources[part]) for part in PARTS}

    once = parsed()

    def rows() -> Iterator[dict[str, Any]]:
        for batch in batches:
            yield from batch.to_pylist()

    def work() -> tuple[int, int]:
        mails = size = 0
        for row in rows():
            current = parsed() if parse_each else once
            context = {**fixed, **row}
            try:
                done = {part: current[part].render(**context) for part in PARTS}
            except AbortMail:
                continue
            mails += 1
            size += len(done["html"].encode())
        return mails, size

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000, help="about a third get this mail")
    people = parser.parse_args().people
    done = {
        "python-liquid, parsed once": measured(one_by_one, people, False),
        "python-liquid, from_string each": measured(one_by_one, max(people // 10, 1), True),
        "emails.render": measured(shipped, people),
    }
    (mails, _), plain = done["python-liquid, parsed once"]
    rows = []
    for name, ((count, size), cost) in done.items():
        speed = count / cost.cpu
        figures = [f"{count:,}", f"{size / max(count, 1) / 1000:.1f}", *cost.cells()]
        rows.append([name, *figures, f"{speed:,.0f}", times(speed, mails / plain.cpu)])
    heads = ["what", "mails", "KB each", *COST, "mails/CPU s", "to parsed once"]
    show("Weekly campaign, one process", heads, rows)


if __name__ == "__main__":
    main()
