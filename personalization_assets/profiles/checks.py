"""Checks across the tables of the profiles room: nobody is missing, nobody is mailed by mistake."""

import dagster as dg
import duckdb

from personalization_assets.warehouse import Warehouse

PER_CUSTOMER = (
    "attributes",
    "places",
    "behaviour",
    "engagement",
    "transactions",
    "preferences",
    "consents",
    "enrichment",
    "golden_profiles",
)
"""The tables that have exactly one row per customer of identity.links."""


def customers_missing(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Per table, how many customers have no row there, plus rows that are nobody's."""
    found: dict[str, int] = {}
    for table in PER_CUSTOMER:
        row = con.execute(
            "SELECT count(*) FILTER (WHERE t.customer_id IS NULL OR c.customer_id IS NULL)"
            " FROM (SELECT DISTINCT customer_id FROM identity.links) AS c"
            f" FULL JOIN profiles.{table} AS t ON t.customer_id = c.customer_id"
        ).fetchall()[0]
        if row[0]:
            found[table] = row[0]
    return found


def consents_against_a_no(con: duckdb.DuckDBPyConnection) -> int:
    """Customers marked as consenting although a preference centre record of theirs says no."""
    row = con.execute(
        "SELECT count(DISTINCT g.customer_id) FROM profiles.golden_profiles AS g"
        " JOIN identity.links AS l ON l.customer_id = g.customer_id"
        " JOIN standardized.preferences AS p"
        " ON p.source = l.source AND p.record_id = l.record_id"
        " WHERE (g.consent_email_marketing AND NOT p.email_marketing)"
        " OR (g.consent_personalisation AND NOT p.personalisation)"
        " OR (g.consent_sms_marketing AND NOT p.sms_marketing)"
        " OR (g.consent_third_party AND NOT p.third_party)"
    ).fetchall()[0]
    return int(row[0])


def consents_without_origin(con: duckdb.DuckDBPyConnection) -> int:
    """Customers with a consent for which no record can be named."""
    row = con.execute(
        "SELECT count(*) FROM profiles.golden_profiles"
        " WHERE (consent_email_marketing AND consent_email_marketing_origin IS NULL)"
        " OR (consent_personalisation AND consent_personalisation_origin IS NULL)"
        " OR (consent_sms_marketing AND consent_sms_marketing_origin IS NULL)"
        " OR (consent_third_party AND consent_third_party_origin IS NULL)"
    ).fetchall()[0]
    return int(row[0])


def consents_of_others(con: duckdb.DuckDBPyConnection) -> int:
    """Customers with a consent to mail whose record is not certainly that of the address mailed."""
    row = con.execute(
        "SELECT count(*) FROM profiles.golden_profiles AS g"
        " LEFT JOIN identity.links_strict AS y"
        " ON y.source || '/' || y.record_id = g.consent_email_marketing_origin"
        " LEFT JOIN standardized.preferences AS p"
        " ON p.source = y.source AND p.record_id = y.record_id AND p.email = g.email"
        " LEFT JOIN standardized.crm_contacts AS c"
        " ON c.source = y.source AND c.record_id = y.record_id AND c.email = g.email"
        " WHERE g.consent_email_marketing AND p.email IS NULL AND c.email IS NULL AND NOT EXISTS ("
        "SELECT 1 FROM identity.links_strict AS h LEFT JOIN identity.records AS r"
        " ON r.source = h.source AND r.record_id = h.record_id"
        " WHERE h.certain_id = y.certain_id"
        " AND (r.email = g.email OR h.source || '/' || h.record_id = g.email_origin))"
    ).fetchall()[0]
    return int(row[0])


@dg.asset_check(
    asset=["profiles", "golden_profiles"],
    blocking=True,
    description="Every customer of identity/links has one row in each table of the room",
)
def one_row_per_customer(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Counts by table, so that the table at fault is named."""
    with warehouse.connect() as con:
        missing = customers_missing(con)
    tables = ", ".join(f"{table} ({count:,})" for table, count in missing.items())
    return dg.AssetCheckResult(
        passed=not missing,
        description=f"Customers and rows do not match in {tables}: materialize these tables again."
        if missing
        else "Every customer has one row in each table.",
        metadata={"tables_at_fault": len(missing)},
    )


@dg.asset_check(
    asset=["profiles", "golden_profiles"],
    blocking=True,
    description="No consent without a record behind it, none against a stated no, none of a record "
    "that a probability alone ties to the address",
)
def consent_is_backed(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Nobody may be mailed whose consent cannot be shown."""
    with warehouse.connect() as con:
        against = consents_against_a_no(con)
        without = consents_without_origin(con)
        others = consents_of_others(con)
    return dg.AssetCheckResult(
        passed=not against and not without and not others,
        description=f"{without:,} customers consent without a record that says so, {against:,} "
        f"against a record that says no, {others:,} by a record that may be somebody else's: no "
        "campaign should go out before this is corrected."
        if against or without or others
        else "Every consent has a record behind it and none that says no.",
        metadata={"without_origin": without, "against_a_no": against, "of_others": others},
    )


def third_party_files_refused(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of the files of enrichment.yaml that filled nothing because they were refused."""
    rows = con.execute(
        "SELECT file FROM profiles.third_party_refused WHERE row = 0 ORDER BY file"
    ).fetchall()
    return [row[0] for row in rows]


@dg.asset_check(
    asset=["profiles", "third_party_refused"],
    description="Every file that enrichment.yaml names could be read and may be used",
)
def third_party_files_fit(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Profiles are built without such a file, so somebody has to be told."""
    with warehouse.connect() as con:
        refused = third_party_files_refused(con)
    return dg.AssetCheckResult(
        passed=not refused,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Of enrichment.yaml these files filled nothing: {', '.join(refused)}. The log "
        "of profiles/third_party says why."
        if refused
        else "Every file could be read.",
        metadata={"files_refused": len(refused)},
    )


CHECKS: list[dg.AssetChecksDefinition] = [
    one_row_per_customer,
    consent_is_backed,
    third_party_files_fit,
]
