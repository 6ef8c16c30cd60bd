"""What mails recommended, place by place: the impressions that feedback credits clicks to.

A recommendation block is the list `recommendations` of a template. What counts as shown is what a
mail links to: the first mails of a variant are looked through for the tags of these links
(`utm_content=products-3`), so a template that shows four products of six has four places.

No link differs from person to person: that would give every mail product entries of its own and
cost the renderer most of its speed. A click is joined to its place by mail and product, which the
provider's events name.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from personalization_assets.emails.storage import select_mails
from personalization_assets.emails.templates import MailTemplates
from personalization_assets.warehouse import Query

LOOKED_THROUGH = 512
"""Mails of a variant whose links are read."""


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """An empty temporary table for the places of this run."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE mail_places (
            send_id VARCHAR, position BIGINT, product_id VARCHAR, customer_id VARCHAR,
            campaign VARCHAR, variant VARCHAR, rank BIGINT, recommendation_id VARCHAR,
            model_version VARCHAR, source VARCHAR, reason_code VARCHAR, propensity DOUBLE,
            explored BOOLEAN)
        """
    )


def note(con: duckdb.DuckDBPyConnection, templates: MailTemplates, parts: Sequence[Path]) -> None:
    """Add the places of a variant's mails, while the temporary tables of its contexts stand.

    Best sellers that fill a list, or stand for it where somebody did not agree to personal
    contents, are places too: what a model is worth shows beside them. Their odds are 1.
    """
    if not parts:
        return
    mails = select_mails(parts)
    con.execute(
        f"""
        INSERT INTO mail_places BY NAME
        WITH looked_through AS (
            SELECT html || coalesce(text, '') AS mail
            FROM ({mails}) WHERE status = 'rendered' LIMIT {LOOKED_THROUGH}
        ), linked AS (
            SELECT DISTINCT unnest(regexp_extract_all(
                mail, 'utm_content=products-(\\d+)', 1))::BIGINT AS position
            FROM looked_through
        )
        SELECT i.send_id, i.position, i.product_id, s.customer_id,
               $campaign AS campaign, $variant AS variant, t.rank,
               coalesce(t.recommendation_id,
                        md5(s.customer_id || '|' || i.product_id || '|' || i.source))
                   AS recommendation_id,
               coalesce(t.model_version, 'none') AS model_version, i.source, t.reason_code,
               coalesce(t.propensity, 1) AS propensity, coalesce(t.explored, false) AS explored
        FROM mail_products_shown i
        JOIN mail_sends s USING (send_id)
        JOIN linked USING (position)
        JOIN ({mails}) m ON m.send_id = i.send_id AND m.status = 'rendered'
        LEFT JOIN recommendations.top_products t ON t.customer_id = s.customer_id
            AND t.product_id = i.product_id AND i.source <> 'bestseller'
        """,
        {"campaign": templates.campaign.name, "variant": templates.variant.name},
    )


def shown(as_of: datetime, days: int, earlier: bool, delivered: bool) -> Query:
    """The rows of emails.shown_products: this run's places, and those of earlier runs.

    A mail that was handed over keeps the places that it went out with, whatever a later run of the
    day renders; all others are as the latest run rendered them. `earlier` and `delivered` say
    whether emails.shown_products and emails.deliveries stand already; rows older than `days` go.
    """
    now = f"TIMESTAMP '{as_of}'"
    fresh = f"""
        SELECT p.*, a.send_at, {now} AS as_of
        FROM mail_places p JOIN emails.audience a USING (send_id)"""
    if not earlier:
        return Query(fresh)
    kept = f"SELECT * FROM emails.shown_products WHERE as_of >= {now} - to_days({days})"
    if not delivered:
        return Query(
            f"""{fresh} UNION ALL BY NAME SELECT * FROM ({kept}) e
            ANTI JOIN mail_places p ON p.send_id = e.send_id WHERE e.as_of <> {now}"""
        )
    return Query(
        f"""
        WITH kept AS ({kept}), gone AS (
            SELECT DISTINCT send_id FROM kept SEMI JOIN emails.deliveries USING (send_id)
        )
        SELECT * FROM ({fresh}) f ANTI JOIN gone USING (send_id)
        UNION ALL BY NAME
        SELECT k.* FROM kept k LEFT JOIN gone g USING (send_id)
        LEFT JOIN (SELECT DISTINCT send_id FROM mail_places) p USING (send_id)
        WHERE g.send_id IS NOT NULL OR (p.send_id IS NULL AND k.as_of <> {now})
        """
    )
