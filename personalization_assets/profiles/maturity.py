"""How far the shop's data carries each data point of a golden profile, and what would help most.

The score is the weighted mean of the shares that apply (weights: settings `maturity_weight_*`):
coverage, validity, freshness (1 while the median age is within `trusted_days`, then falling with
it), uniqueness (of what names a person) and consent (of those who have it, who may be reached or
personalised by it). What to fix next is ranked by `gain`: the share of all customers whom a fix
would reach, times the campaigns that use the data point. A customer counts who may be written to
and lacks the data point, or has it wrong; what somebody has not done yet is nothing to collect.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import polars as pl

from personalization_assets.profiles.settings import ProfilesSettings

TRUSTED_VALIDITY = 0.98
USABLE_VALIDITY = 0.9
AS_OF = "getvariable('as_of')::TIMESTAMP"

NOT_DATA_POINTS = {"customer_id", "household_id", "records", "identity_confidence"}
"""Columns of golden_profiles that identity makes; origins are left out by their name."""


@dataclass(frozen=True)
class Part:
    """One part of the profile: the facts it rests on.

    `known` is a condition on golden_profiles that holds when the customer has such facts at all (a
    count of 0 tells nothing about somebody who was never seen), `at` dates them.
    """

    known: str
    at: str
    tables: tuple[str, ...]


PARTS: dict[str, Part] = {
    "attributes": Part("true", "attributes_updated_at", ("crm_contacts", "loyalty_members")),
    "behaviour": Part("last_seen_at IS NOT NULL", "last_seen_at", ("web_events",)),
    "engagement": Part("last_delivered_at IS NOT NULL", "last_delivered_at", ("email_events",)),
    "transactions": Part("orders > 0", "last_order_at", ("orders",)),
    "preferences": Part(
        "true", "coalesce(preferences_stated_at, last_seen_at, last_order_at)", ("preferences",)
    ),
    "consents": Part("true", "consent_stated_at", ("preferences", "crm_contacts")),
    "enrichment": Part("true", "attributes_updated_at", ("crm_contacts", "loyalty_members")),
}

ASKABLE = {"attributes", "preferences", "consents", "enrichment"}
"""Parts in which a missing value is something that the shop can ask for."""

FOLLOWS = {"age_band", "region_name", "time_zone", "categories", "inferred_categories"}
"""Data points that follow from others: those are the ones to fix."""

NAMES_A_PERSON = ("email", "phone", "account_key")

REACH: dict[str, str] = {
    "email": "true",
    "consent_email_marketing": "email IS NOT NULL",
}
"""Whom a fix would reach, where it is not those who may be written to."""

ALLOWED: dict[str, str] = {
    **dict.fromkeys(
        ("email", "given_name", "family_name", "language", "country", "loyalty_tier"),
        "consent_email_marketing",
    ),
    "phone": "consent_sms_marketing",
}
"""The consent that a data point's use needs; for all others it is personalisation."""

MODELS: dict[str, tuple[str, ...]] = {
    "product lists": (
        "stated_categories",
        "favourite_category",
        "top_brand",
        "country",
        "region",
        "consent_personalisation",
    ),
    "imputation": (
        "given_name",
        "email",
        "birth_date",
        "country",
        "region",
        "language",
        "loyalty_tier",
        "loyalty_since",
        "device_type",
        "best_hour_web",
        "engagement_level",
        "orders",
        "average_order_base",
        "categories_bought",
        "favourite_category",
        "consent_personalisation",
    ),
}
"""What the models read of a profile: the lists of products (who is without history gets what people
of the same taste or place buy), and `dbt_like_sql/profiles/imputation_signals.sql`."""

VALID: dict[str, str] = {
    "given_name": r"regexp_matches(given_name, '^[^0-9]*\p{L}[^0-9]*$')",
    "family_name": r"regexp_matches(family_name, '^[^0-9]*\p{L}[^0-9]*$')",
    "email": r"regexp_matches(email, '^[^@\s]+@[^@\s]+\.[^@\s]+$') AND NOT hard_bounced",
    "phone": r"regexp_matches(phone, '^\+[0-9]{7,15}$')",
    "birth_date": (f"birth_date BETWEEN ({AS_OF} - INTERVAL 120 YEAR)::DATE AND ({AS_OF})::DATE"),
    "postcode": "regexp_matches(postcode, '[0-9]')",
    "country": "regexp_matches(country, '^[A-Z]{2}$')",
    "language": "regexp_matches(language, '^[a-z]{2}$')",
    "loyalty_points": "loyalty_points >= 0",
}
"""Data points whose values can be wrong in a way that shows: the condition of a right one."""


def parts_of(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The data points of golden_profiles, in its order, and the part that each belongs to."""
    owner: dict[str, str] = {}
    for part in PARTS:
        for column in _columns(con, f"profiles.{part}"):
            name = f"consent_{column}" if part == "consents" else column
            owner.setdefault(name, part)
    owner.update(preferences_stated_at="preferences", attributes_updated_at="attributes")
    return {
        name: owner.get(name, "attributes")
        for name in _columns(con, "profiles.golden_profiles")
        if name not in NOT_DATA_POINTS and not name.endswith(("_origin", "_basis", "_confidence"))
    }


def measure(
    con: duckdb.DuckDBPyConnection,
    settings: ProfilesSettings,
    uses: Mapping[str, list[str]] | None = None,
) -> pl.DataFrame:
    """One row per data point of `profiles.golden_profiles`, key data_point; see `Maturity`.

    `uses` names the campaigns that use a data point.
    """
    uses = uses or {}
    types = _columns(con, "profiles.golden_profiles")
    points = parts_of(con)
    wanted: list[str] = []
    for name, part in points.items():
        known = _known(name, types, PARTS[part])
        valid = VALID.get(name, "true")
        age = f"date_diff('day', {PARTS[part].at}, {AS_OF})"
        wanted += [
            f"count(*) FILTER (WHERE {known})",
            f"count(*) FILTER (WHERE {known} AND {valid})",
            f"median({age}) FILTER (WHERE {known})",
            f"count(DISTINCT split_part({name}_origin, '/', 1)) FILTER (WHERE {known})"
            if f"{name}_origin" in types
            else "NULL",
            f"count(*) FILTER (WHERE {known} AND {ALLOWED.get(name, 'consent_personalisation')})",
            f"count(*) FILTER (WHERE ({REACH.get(name, 'consent_email_marketing')})"
            f" AND ({_to_fix(name, part, known, valid)}))",
            f"count(DISTINCT {name}) FILTER (WHERE {known})" if name in NAMES_A_PERSON else "NULL",
        ]
    row = con.execute(
        f"SELECT count(*), {', '.join(wanted)} FROM profiles.golden_profiles"
    ).fetchall()[0]
    sources = _sources(con)
    customers, found = row[0], row[1:]
    rows = []
    for i, (name, part) in enumerate(points.items()):
        known_count, valid_count, age_days, origins, allowed, to_fix, distinct = found[
            7 * i : 7 * i + 7
        ]
        coverage = known_count / customers if customers else 0.0
        validity = valid_count / known_count if known_count else None
        if origins is None:
            origins = len(set().union(*(sources[t] for t in PARTS[part].tables)))
        freshness = None if age_days is None else max(float(age_days), 0.0)
        stage = stage_of(coverage, validity, freshness, settings)
        uniqueness = distinct / known_count if distinct is not None and known_count else None
        consent = allowed / known_count if known_count else None
        campaigns = uses.get(name, [])
        models = [model for model, read in MODELS.items() if name in read]
        shares = {
            "coverage": coverage,
            "validity": validity,
            "freshness": None
            if freshness is None
            else settings.trusted_days / max(freshness, settings.trusted_days),
            "uniqueness": uniqueness,
            "consent": consent,
        }
        rows.append(
            {
                "data_point": name,
                "coverage": coverage,
                "validity": validity,
                "freshness_days": freshness,
                "origin_sources": origins if known_count else 0,
                "stage": stage,
                "advice": advice(stage, PARTS[part], coverage, validity, freshness, settings),
                "uniqueness": uniqueness,
                "consent": consent,
                "score": score_of(shares, settings),
                "campaigns": campaigns,
                "models": models,
                "customers_to_reach": to_fix,
                "gain": to_fix / customers * (len(campaigns) + len(models)) if customers else 0.0,
            }
        )
    frame = pl.DataFrame(
        rows,
        schema={
            "data_point": pl.String,
            "coverage": pl.Float64,
            "validity": pl.Float64,
            "freshness_days": pl.Float64,
            "origin_sources": pl.Int64,
            "stage": pl.String,
            "advice": pl.String,
            "uniqueness": pl.Float64,
            "consent": pl.Float64,
            "score": pl.Float64,
            "campaigns": pl.List(pl.String),
            "models": pl.List(pl.String),
            "customers_to_reach": pl.Int64,
            "gain": pl.Float64,
        },
    )
    gains = frame.filter(pl.col("gain") > 0).sort(["gain", "data_point"], descending=[True, False])
    ranks = gains.select("data_point", rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    return frame.join(ranks, on="data_point", how="left", maintain_order="left")


def score_of(shares: Mapping[str, float | None], settings: ProfilesSettings) -> float:
    """The weighted mean of the shares that apply, 0 to 1."""
    weights = {name: getattr(settings, f"maturity_weight_{name}") for name in shares}
    applies = {name: share for name, share in shares.items() if share is not None}
    total = sum(weights[name] for name in applies)
    return sum(weights[n] * share for n, share in applies.items()) / total if total else 0.0


def stage_of(
    coverage: float, validity: float | None, freshness: float | None, settings: ProfilesSettings
) -> str:
    """missing, emerging, usable or trusted, by the settings' thresholds."""
    if not coverage or validity is None:
        return "missing"
    if coverage < settings.usable_coverage or validity < USABLE_VALIDITY:
        return "emerging"
    fresh = freshness is None or freshness <= settings.trusted_days
    if coverage >= settings.trusted_coverage and validity >= TRUSTED_VALIDITY and fresh:
        return "trusted"
    return "usable"


def advice(
    stage: str,
    part: Part,
    coverage: float,
    validity: float | None,
    freshness: float | None,
    settings: ProfilesSettings,
) -> str:
    """What would help most, in one sentence."""
    tables = " or ".join(part.tables)
    if stage == "missing":
        return f"Nobody has it: connect a source that fills standardized {tables}."
    if stage == "trusted":
        lack = f"; {1 - coverage:.0%} of the customers lack it: collect it with {tables}"
        return f"Campaigns can rely on it{lack if coverage < 0.995 else ''}."
    if validity is not None and validity < TRUSTED_VALIDITY:
        return (
            f"{1 - validity:.0%} of the values cannot be right: correct them where they are kept."
        )
    if coverage < settings.trusted_coverage:
        use = "only as an extra" if stage == "emerging" else "with a fallback"
        return (
            f"{coverage:.0%} of the customers have it: use it {use}, and collect more of {tables}."
        )
    return f"It is {freshness or 0:.0f} days old in the median: refresh {tables} more often."


def _to_fix(name: str, part: str, known: str, valid: str) -> str:
    """Holds for customers whom a fix would help."""
    if name in FOLLOWS:
        return "false"
    wrong = f"({known}) AND NOT ({valid})"
    return f"NOT ({known}) OR ({wrong})" if part in ASKABLE else wrong


def _known(name: str, types: Mapping[str, str], part: Part) -> str:
    kind = types[name]
    if name.startswith("consent_") and f"{name}_origin" in types:
        return f"{name}_origin IS NOT NULL"
    if f"{name}_confidence" in types:  # what a model guessed is not known
        return f"{name} IS NOT NULL AND NOT starts_with({name}_origin, 'imputed/')"
    if kind.endswith("[]"):
        return f"len({name}) > 0"
    if kind in ("BOOLEAN", "BIGINT", "INTEGER", "DOUBLE"):
        return f"{part.known} AND {name} IS NOT NULL"
    return f"{name} IS NOT NULL"


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in con.execute(f"DESCRIBE {table}").fetchall()}


def _sources(con: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    return {
        table: {
            row[0]
            for row in con.execute(f"SELECT DISTINCT source FROM standardized.{table}").fetchall()
        }
        for table in sorted({t for part in PARTS.values() for t in part.tables})
    }
