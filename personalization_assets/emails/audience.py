"""Who gets which mail, and why not: one decision per campaign and candidate, in SQL.

Rules, in this order; the first that applies decides:

1. no_consent: a promotional mail needs consent to e-mail marketing, and a campaign may need
   consent to personalisation;
2. no_address: there is no address that mail can go to;
3. suppressed: the address bounced, complained, unsubscribed, or is on the shop's own list
   (a transactional mail is stopped by bounces and the list only);
4. capped: the same mail went out lately, another person of this run has the same address, or the
   address has had its promotional mails for the window (past deliveries first, then the campaigns
   of this run by priority);
5. holdout: left out on purpose, by a stable hash, to measure what the mail brings. Drawn after the
   caps and without giving the place to a lesser campaign, so that both groups differ in this mail
   only;
6. send.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from personalization_assets.emails.campaigns import Campaign
from personalization_assets.emails.problems import did_you_mean
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.errors import UserError

EMAIL_SHAPE = r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]{2,}"


def stable_share(text: str) -> str:
    """SQL for a number in [0, 1) that only depends on a text."""
    return f"(('0x' || substr(md5({text}), 1, 8))::BIGINT / 4294967296.0)"


def check_audience(con: duckdb.DuckDBPyConnection, campaign: Campaign) -> None:
    """Raise a sentence if the campaign's audience does not fit golden_profiles."""
    try:
        con.execute(f"EXPLAIN {_candidates_sql(campaign)}").fetchall()
    except duckdb.Error as error:
        text = str(error)
        where = campaign.folder / "campaign.yaml"
        columns = [
            row[0] for row in con.execute("DESCRIBE profiles.golden_profiles").fetchall()
        ] + ["as_of"]
        if 'Referenced column "' in text:
            word = text.split('Referenced column "')[1].split('"')[0]
            raise UserError(
                f"{where}: audience: golden_profiles has no column {word!r}"
                f"{did_you_mean(word, columns) or '.'}"
            ) from error
        reason = text.splitlines()[0].split(": ", 1)[-1].rstrip(".")
        raise UserError(f"{where}: audience: {reason}.") from error


def _candidates_sql(campaign: Campaign) -> str:
    name = campaign.name
    return f"""
        SELECT '{name}' AS campaign, customer_id FROM (
            SELECT *, getvariable('as_of')::TIMESTAMP AS as_of FROM profiles.golden_profiles
        ) WHERE ({campaign.file.audience}
        )"""


def decide(
    con: duckdb.DuckDBPyConnection,
    campaigns: Sequence[Campaign],
    settings: EmailsSettings,
    as_of: datetime,
    *,
    own_deliveries: bool = False,
) -> str:
    """The SELECT of emails.audience; needs the connection's variable `as_of`.

    `own_deliveries` counts mails in emails.deliveries of earlier days, beside those that the mail
    provider reported. Registers small tables of campaigns, variants and caps on the connection.

    Raises:
        UserError: a campaign's audience names a column that does not exist.
    """
    due = [c for c in campaigns if c.due(as_of.weekday())]
    for campaign in campaigns:
        check_audience(con, campaign)
    _register(con, due, settings)
    candidates = " UNION ALL ".join(_candidates_sql(c) for c in due) or (
        "SELECT ''::VARCHAR AS campaign, ''::VARCHAR AS customer_id WHERE false"
    )
    return _DECISIONS.format(
        candidates=candidates,
        own=_OWN if own_deliveries else "",
        email_shape=EMAIL_SHAPE,
        holdout_hash=stable_share("campaign || '|' || customer_id || '|holdout'"),
        variant_hash=stable_share("campaign || '|' || customer_id || '|variant'"),
        default_hour=settings.default_hour,
        earliest=settings.earliest_hour,
        latest=settings.latest_hour,
        zone=settings.default_time_zone.replace("'", "''"),
    )


def _register(
    con: duckdb.DuckDBPyConnection, campaigns: Sequence[Campaign], settings: EmailsSettings
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "campaign": c.name,
            "kind": c.file.kind,
            "priority": c.file.priority,
            "capped": c.capped,
            "again": c.file.again_after_days,
            "holdout": c.file.holdout,
            "personal": c.file.needs_personalisation,
            "utm_name": c.file.utm.campaign or c.name,
        }
        for c in campaigns
    ]
    arms: list[dict[str, Any]] = []
    for c in campaigns:
        low = 0.0
        for v in c.file.variants:
            arms.append({"campaign": c.name, "variant": v.name, "low": low, "high": low + v.share})
            low += v.share
        arms[-1]["high"] = 1.0
    levels = ("high", "medium", "low", "dormant", "new")
    caps = pl.DataFrame(
        {
            "level": levels,
            "cap": [getattr(settings, f"cap_{level}") for level in levels],
            "days": [
                settings.window_days_dormant if level == "dormant" else settings.window_days
                for level in levels
            ],
        },
        schema={"level": pl.String, "cap": pl.Int64, "days": pl.Int64},
    )
    frames = {
        "mail_campaigns": pl.DataFrame(
            rows,
            schema={
                "campaign": pl.String,
                "kind": pl.String,
                "priority": pl.Int64,
                "capped": pl.Boolean,
                "again": pl.Int64,
                "holdout": pl.Float64,
                "personal": pl.Boolean,
                "utm_name": pl.String,
            },
        ),
        "mail_variants": pl.DataFrame(
            arms,
            schema={
                "campaign": pl.String,
                "variant": pl.String,
                "low": pl.Float64,
                "high": pl.Float64,
            },
        ),
        "mail_caps": caps,
    }
    for name, frame in frames.items():
        con.register(f"{name}_rows", frame.to_arrow())
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {name}_rows")
        con.unregister(f"{name}_rows")


_OWN = """
        UNION ALL
        SELECT lower(to_email), campaign, send_id, handed_over_as_of
        FROM emails.deliveries
        WHERE kind = 'promotional'
"""

_DECISIONS = """
WITH run AS (SELECT getvariable('as_of')::TIMESTAMP AS as_of),
candidates AS ({candidates}),
zones AS (SELECT DISTINCT name FROM pg_timezone_names()),
facts AS (
    SELECT
        c.campaign, c.customer_id, k.kind, k.priority, k.capped, k.again, k.holdout, k.personal,
        k.utm_name, lower(trim(p.email)) AS email,
        coalesce(p.consent_email_marketing, false) AS may_market,
        coalesce(p.consent_personalisation, false) AS personalised,
        coalesce(l.level, 'new') AS level, coalesce(l.cap, n.cap) AS cap,
        coalesce(l.days, n.days) AS days, p.best_hour, coalesce(z.name, '{zone}') AS zone,
        s.reason AS suppression, s.since,
        md5(c.campaign || '|' || c.customer_id || '|' || strftime(r.as_of, '%Y-%m-%d')) AS send_id,
        {holdout_hash} AS holdout_hash, v.variant, r.as_of
    FROM candidates c
    CROSS JOIN run r
    JOIN mail_campaigns k USING (campaign)
    JOIN profiles.golden_profiles p USING (customer_id)
    JOIN mail_caps n ON n.level = 'new'
    LEFT JOIN mail_caps l ON l.level = p.engagement_level
    LEFT JOIN zones z ON z.name = p.time_zone
    LEFT JOIN emails.suppressions s ON s.email = lower(trim(p.email))
    JOIN mail_variants v ON v.campaign = c.campaign
        AND {variant_hash} >= v.low AND {variant_hash} < v.high
),
past AS (
    -- One row per mail that reached the provider, from its events and from our own hand-overs.
    SELECT email, max(campaign) AS campaign, max(sent_at) AS sent_at
    FROM (
        SELECT lower(email) AS email, campaign,
               coalesce(send_id, source || '|' || coalesce(campaign, '') || '|' ||
                        strftime(occurred_at, '%Y-%m-%d')) AS send_id,
               occurred_at AS sent_at
        FROM standardized.email_events
        WHERE event_type IN ('processed', 'delivered') AND email IS NOT NULL
        {own}
    ) m CROSS JOIN run r
    -- Mails of this day are this run's own: running it again must give the same answer.
    WHERE m.sent_at < date_trunc('day', r.as_of) AND m.sent_at >= r.as_of - INTERVAL 400 DAY
    GROUP BY email, send_id
),
windows AS (
    SELECT f.email, f.days, count(*) AS mails
    FROM (SELECT DISTINCT email, days, as_of FROM facts) f
    JOIN past ON past.email = f.email AND past.sent_at > f.as_of - to_days(f.days)
    LEFT JOIN mail_campaigns k ON k.campaign = past.campaign
    WHERE coalesce(k.capped, true)
    GROUP BY ALL
),
latest AS (
    SELECT f.email, f.campaign, max(past.sent_at) AS last_at
    FROM (SELECT DISTINCT email, campaign, utm_name FROM facts) f
    JOIN past ON past.email = f.email AND past.campaign IN (f.campaign, f.utm_name)
    GROUP BY ALL
),
first_rules AS (
    SELECT f.*, coalesce(w.mails, 0) AS past_mails, t.last_at AS last_same,
        CASE
            WHEN f.kind = 'promotional' AND NOT f.may_market THEN 'email_marketing'
            WHEN f.personal AND NOT f.personalised THEN 'personalisation'
            WHEN f.email IS NULL OR f.email = '' THEN 'address_missing'
            WHEN NOT regexp_full_match(f.email, '{email_shape}') THEN 'address_malformed'
            WHEN f.suppression IS NOT NULL
                 AND (f.kind = 'promotional' OR f.suppression IN ('hard_bounce', 'list'))
                THEN f.suppression
            WHEN t.last_at > f.as_of - to_days(f.again) THEN 'again_after_days'
        END AS first_rule
    FROM facts f
    LEFT JOIN windows w ON w.email = f.email AND w.days = f.days
    LEFT JOIN latest t ON t.email = f.email AND t.campaign = f.campaign
),
one_per_address AS (
    SELECT *,
        coalesce(first_rule, CASE WHEN row_number() OVER (
            PARTITION BY campaign, email, first_rule IS NULL ORDER BY customer_id) > 1
            THEN 'same_address' END) AS second_rule
    FROM first_rules
),
places AS (
    SELECT *,
        count(*) FILTER (WHERE capped AND second_rule IS NULL) OVER (
            PARTITION BY email ORDER BY priority DESC, campaign, customer_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS place
    FROM one_per_address
),
ruled AS (
    SELECT *,
        coalesce(second_rule,
            CASE WHEN capped AND past_mails + place > cap THEN 'cap'
                 WHEN holdout_hash < holdout THEN 'holdout'
                 ELSE 'all_rules_passed' END) AS rule
    FROM places
),
hours AS (
    SELECT *,
        least(greatest(coalesce(best_hour, {default_hour}), {earliest}), {latest}) AS hour,
        (as_of AT TIME ZONE 'UTC') AT TIME ZONE zone AS local_now
    FROM ruled
),
decided AS (
    SELECT *,
        CASE rule
            WHEN 'email_marketing' THEN 'no_consent'
            WHEN 'personalisation' THEN 'no_consent'
            WHEN 'address_missing' THEN 'no_address'
            WHEN 'address_malformed' THEN 'no_address'
            WHEN 'again_after_days' THEN 'capped'
            WHEN 'same_address' THEN 'capped'
            WHEN 'cap' THEN 'capped'
            WHEN 'holdout' THEN 'holdout'
            WHEN 'all_rules_passed' THEN 'send'
            ELSE 'suppressed'
        END AS decision,
        date_trunc('day', local_now) + to_hours(hour) AS today_at
    FROM hours
)
SELECT
    campaign, customer_id, decision, rule,
    CASE
        WHEN rule = 'email_marketing' THEN 'no consent to e-mail marketing on record'
        WHEN rule = 'personalisation' THEN 'no consent to personalisation on record'
        WHEN rule = 'address_missing' THEN 'the profile has no e-mail address'
        WHEN rule = 'address_malformed' THEN 'the e-mail address has no valid form'
        WHEN decision = 'suppressed'
            THEN coalesce('since ' || strftime(since, '%Y-%m-%d'), 'no date given')
        WHEN rule = 'again_after_days'
            THEN 'last sent ' || strftime(last_same, '%Y-%m-%d') || ', again after '
                 || again || ' days'
        WHEN rule = 'same_address' THEN 'another person with this address gets this campaign'
        WHEN capped AND rule IN ('cap', 'holdout', 'all_rules_passed')
            THEN (past_mails + place)
                 || CASE rule WHEN 'cap' THEN ' would be above ' ELSE ' of ' END
                 || cap || ' in ' || days || ' days (engagement ' || level || ', '
                 || past_mails || ' before this run)'
                 || CASE WHEN rule = 'holdout'
                    THEN printf('; hash %.4f below the holdout share %.4f', holdout_hash, holdout)
                    ELSE '' END
        WHEN rule = 'holdout'
            THEN printf('hash %.4f below the holdout share %.4f', holdout_hash, holdout)
        ELSE 'exempt from caps'
    END AS detail,
    variant, send_id,
    CASE WHEN decision = 'send' THEN
        ((CASE WHEN today_at >= local_now THEN today_at ELSE today_at + INTERVAL 1 DAY END)
         AT TIME ZONE zone) AT TIME ZONE 'UTC'
    END AS send_at,
    priority, kind, personalised,
    CASE WHEN capped THEN past_mails END AS mails_before,
    CASE WHEN capped THEN cap END AS mails_allowed,
    CASE WHEN capped THEN days END AS window_days
FROM decided
ORDER BY campaign, customer_id
"""
