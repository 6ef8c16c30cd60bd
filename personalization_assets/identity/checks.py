"""Checks of this room that span more than one row."""

import dagster as dg

from personalization_assets.warehouse import Warehouse

LINKS = dg.AssetKey(["identity", "links"])
RECORDS = dg.AssetKey(["identity", "records"])
STRICT = dg.AssetKey(["identity", "links_strict"])
REDIRECTS = dg.AssetKey(["identity", "redirects"])
EVALUATION = dg.AssetKey(["identity", "evaluation"])


@dg.asset_check(
    asset=LINKS,
    additional_deps=[RECORDS],
    blocking=True,
    description="Every record has exactly one customer, and no customer holds a record we lack.",
)
def every_record_is_linked(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Links and records name the same records."""
    with warehouse.connect() as con:
        unlinked, unknown = con.execute(
            """
            SELECT
                (SELECT count(*) FROM identity.records ANTI JOIN identity.links
                    USING (source, record_id)),
                (SELECT count(*) FROM identity.links ANTI JOIN identity.records
                    USING (source, record_id))
            """
        ).fetchall()[0]
    return dg.AssetCheckResult(
        passed=unlinked == 0 and unknown == 0,
        metadata={"records_without_customer": unlinked, "links_without_record": unknown},
    )


@dg.asset_check(
    asset=LINKS,
    additional_deps=[dg.AssetKey(["identity", "ledger"])],
    description="No retired customer id is in use again.",
)
def retired_ids_stay_retired(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """An id that was merged away or lost its records must not come back."""
    with warehouse.connect() as con:
        back = con.execute(
            """
            SELECT count(DISTINCT l.customer_id) FROM identity.links AS l
            JOIN (
                SELECT other_customer_id AS id FROM identity.ledger WHERE event = 'merge'
                UNION SELECT customer_id FROM identity.ledger WHERE event = 'retire'
            ) AS gone ON gone.id = l.customer_id
            """
        ).fetchall()[0][0]
    return dg.AssetCheckResult(passed=back == 0, metadata={"ids": back})


@dg.asset_check(
    asset=STRICT,
    additional_deps=[LINKS],
    blocking=True,
    description="links_strict divides the customers of links, and mixes none of them.",
)
def strict_links_divide_customers(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Certain groups lie within strict ones, and those within the customers that links names."""
    with warehouse.connect() as con:
        different, mixed, torn = con.execute(
            """
            SELECT
                (SELECT count(*) FROM identity.links AS l
                    FULL JOIN identity.links_strict AS s USING (source, record_id)
                    WHERE l.customer_id IS DISTINCT FROM s.customer_id),
                (SELECT count(*) FROM (SELECT strict_id FROM identity.links_strict
                    GROUP BY strict_id HAVING count(DISTINCT customer_id) > 1)),
                (SELECT count(*) FROM (SELECT certain_id FROM identity.links_strict
                    GROUP BY certain_id HAVING count(DISTINCT strict_id) > 1))
            """
        ).fetchall()[0]
    return dg.AssetCheckResult(
        passed=different == mixed == torn == 0,
        metadata={
            "records_of_another_customer": different,
            "strict_ids_of_several_customers": mixed,
            "certain_ids_of_several_strict_ids": torn,
        },
    )


@dg.asset_check(
    asset=REDIRECTS,
    additional_deps=[LINKS, dg.AssetKey(["identity", "ledger"])],
    description="Every retired id has its redirect, to a customer that exists or to nobody.",
)
def every_retired_id_redirects(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """The ledger and the redirects name the same retired ids, and no redirect leads nowhere."""
    with warehouse.connect() as con:
        missing, astray, in_use, to_nobody = con.execute(
            """
            WITH retired AS (
                SELECT other_customer_id AS id FROM identity.ledger WHERE event = 'merge'
                UNION SELECT customer_id FROM identity.ledger WHERE event = 'retire'
            ),
            alive AS (SELECT DISTINCT customer_id AS id FROM identity.links)
            SELECT
                (SELECT count(*) FROM retired FULL JOIN identity.redirects ON id = retired_id
                    WHERE id IS NULL OR retired_id IS NULL),
                (SELECT count(*) FROM identity.redirects ANTI JOIN alive ON id = customer_id
                    WHERE customer_id IS NOT NULL),
                (SELECT count(*) FROM identity.redirects JOIN alive ON id = retired_id),
                (SELECT count(*) FROM identity.redirects WHERE customer_id IS NULL)
            """
        ).fetchall()[0]
    return dg.AssetCheckResult(
        passed=missing == astray == in_use == 0,
        metadata={
            "ids_without_redirect": missing,
            "redirects_to_no_customer": astray,
            "ids_in_use": in_use,
            "ids_whose_records_are_gone": to_nobody,
        },
    )


@dg.asset_check(
    asset=EVALUATION,
    description="Where the truth is known: precision and recall over pairs of records.",
)
def agrees_with_the_truth(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """A warning below 0.9 F1: the links are published all the same."""
    with warehouse.connect() as con:
        values = dict(con.execute("SELECT metric, value FROM identity.evaluation").fetchall())
    if not values:
        return dg.AssetCheckResult(
            passed=True,
            severity=dg.AssetCheckSeverity.WARN,
            description="No truth file, or none of its records is here: nothing to compare with.",
        )
    return dg.AssetCheckResult(
        passed=values["pair_f1"] >= 0.9,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"Pairs: precision {values['pair_precision']:.3f}, recall {values['pair_recall']:.3f}, "
            f"F1 {values['pair_f1']:.3f}; B-cubed F1 {values['b_cubed_f1']:.3f} "
            f"on {int(values['records']):,} records."
        ),
        metadata={name: float(value) for name, value in sorted(values.items())},
    )


CHECKS: list[dg.AssetChecksDefinition] = [
    every_record_is_linked,
    retired_ids_stay_retired,
    strict_links_divide_customers,
    every_retired_id_redirects,
    agrees_with_the_truth,
]
