"""Checks of this room that look across tables."""

import dagster as dg

from personalization_assets.warehouse import Warehouse


def _count(warehouse: Warehouse, sql: str) -> int:
    with warehouse.connect() as con:
        return int(con.execute(sql).fetchall()[0][0])


@dg.asset_check(
    asset=["emails", "batches"],
    description="Every send of the audience has a row in batches, and nobody else has one.",
)
def every_send_has_a_mail(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Compare audience and batches, both ways."""
    wrong = _count(
        warehouse,
        """
        SELECT count(*)
        FROM (SELECT send_id FROM emails.audience WHERE decision = 'send') a
        FULL JOIN emails.batches b USING (send_id)
        WHERE a.send_id IS NULL OR b.send_id IS NULL
        """,
    )
    return dg.AssetCheckResult(passed=wrong == 0, metadata={"mails": wrong})


@dg.asset_check(
    asset=["emails", "batches"],
    blocking=True,
    description="No mail goes to a suppressed address, or without the consent that it needs.",
)
def nobody_against_their_will(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Look each rendered mail up again, past the audience's own decision."""
    wrong = _count(
        warehouse,
        """
        SELECT count(*)
        FROM emails.batches b
        JOIN emails.audience a USING (send_id)
        JOIN profiles.golden_profiles p ON p.customer_id = b.customer_id
        LEFT JOIN emails.suppressions s ON s.email = lower(trim(b.to_email))
        WHERE (a.kind = 'promotional' AND p.consent_email_marketing IS DISTINCT FROM true)
           OR s.stops = 'everything'
           OR (a.kind = 'promotional'
               AND (s.stops = 'promotional' OR list_contains(s.lists, a.mailing_list)))
        """,
    )
    return dg.AssetCheckResult(passed=wrong == 0, metadata={"mails": wrong})


@dg.asset_check(
    asset=["emails", "audience"],
    blocking=True,
    description="No address gets more promotional mails than its window allows, counting this run.",
)
def nobody_above_their_cap(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Add up the sends of this run per address."""
    wrong = _count(
        warehouse,
        """
        SELECT count(*) FROM (
            SELECT lower(trim(p.email)) AS email
            FROM emails.audience a JOIN profiles.golden_profiles p USING (customer_id)
            WHERE a.decision = 'send' AND a.mails_allowed IS NOT NULL
            GROUP BY 1
            HAVING count(*) + min(a.mails_before) > max(a.mails_allowed)
                OR bool_or(a.mails_before + a.place > a.mails_allowed)
        )
        """,
    )
    return dg.AssetCheckResult(passed=wrong == 0, metadata={"addresses": wrong})


@dg.asset_check(
    asset=["emails", "batches"],
    description="No mail has a place where a value was missing and nothing stood in for it.",
)
def no_holes(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Outputs that printed nothing, counted while rendering."""
    wrong = _count(warehouse, "SELECT count(*) FROM emails.batches WHERE holes > 0")
    return dg.AssetCheckResult(
        passed=wrong == 0, severity=dg.AssetCheckSeverity.WARN, metadata={"mails": wrong}
    )


@dg.asset_check(
    asset=["emails", "deliveries"],
    description="Every rendered mail of the run was handed over exactly once.",
)
def every_mail_is_handed_over(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Rendered mails that no delivery names."""
    wrong = _count(
        warehouse,
        """
        SELECT count(*) FROM emails.batches b ANTI JOIN emails.deliveries d USING (send_id)
        WHERE b.status = 'rendered'
        """,
    )
    return dg.AssetCheckResult(passed=wrong == 0, metadata={"mails": wrong})


CHECKS = [
    every_send_has_a_mail,
    nobody_against_their_will,
    nobody_above_their_cap,
    no_holes,
    every_mail_is_handed_over,
]
