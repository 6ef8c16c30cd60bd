"""Checks of models that span more than one row. None of them stops a run: lists fall back."""

import dagster as dg

from personalization_assets.settings import Settings
from personalization_assets.warehouse import Warehouse, exists

MODEL = dg.AssetKey(["recommendations", "als_model"])


@dg.asset_check(
    asset=MODEL, description="The newest version beats the popularity of the last weeks."
)
def newest_version_beats_popularity(
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """A warning, not a failure: lists are made by the version before, or by popularity."""
    with warehouse.connect() as con:
        rows = con.execute(
            "SELECT published, verdict, (SELECT count(*) FROM recommendations.als_model"
            " WHERE is_current) FROM recommendations.als_model ORDER BY number DESC LIMIT 1"
        ).fetchall()
    if not rows:
        return warning(False, "There are no interactions to train on; lists show best sellers.")
    published, verdict, current = rows[0]
    meanwhile = "an earlier version makes the lists" if current else "lists show best sellers"
    return warning(published, verdict if published else f"{verdict}; {meanwhile}.")


@dg.asset_check(
    asset=MODEL,
    description="The version that makes the lists knows all but the last days of activity.",
)
def current_version_is_fresh(
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
) -> dg.AssetCheckResult:
    """It may lag by `test_days`, the days that versions are judged on: what it was judged to be
    good for is over then. A version grows old while it is promoted, or while none of the newer ones
    is good enough. The newest version, published or not, knows all activity."""
    with warehouse.connect() as con:
        rows = con.execute(
            "SELECT number, date_diff('day', window_end, newest), window_end"
            " FROM (SELECT *, max(window_end) OVER () AS newest FROM recommendations.als_model)"
            " WHERE is_current"
        ).fetchall()
    if not rows:
        return warning(True, "No version makes lists, so none can be too old.")
    number, days, last = rows[0]
    return warning(
        days <= settings.recommendations.test_days,
        f"Version {number} makes the lists and knows activity up to {last}, {days:,} days less "
        f"than there is; {settings.recommendations.test_days:,} are allowed.",
    )


@dg.asset_check(
    asset=MODEL,
    additional_deps=[dg.AssetKey(["recommendations", "promotions"])],
    description="The version that a person promoted makes the lists.",
)
def promoted_version_is_current(
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """It cannot where its factors are gone, as in a warehouse that was built anew."""
    with warehouse.connect() as con:
        rows = (
            con.execute(
                "SELECT p.model_version, coalesce(m.is_current, FALSE)"
                " FROM recommendations.promotions AS p"
                " LEFT JOIN recommendations.als_model AS m ON p.model_version = m.model_version"
                " WHERE p.holds"
            ).fetchall()
            if exists(con, "recommendations.promotions")
            else []
        )
    if not rows:
        return warning(True, "No version is promoted by a person: the gate decides.")
    version, current = rows[0]
    return warning(
        current,
        f"Version {version} is promoted and makes the lists."
        if current
        else f"Version {version} is promoted, but its factors are not kept: the gate decides. "
        "`personalize recommend unpin` withdraws the promotion.",
    )


def warning(passed: bool, words: str) -> dg.AssetCheckResult:
    """The result of a check that never stops a run."""
    return dg.AssetCheckResult(
        passed=bool(passed), severity=dg.AssetCheckSeverity.WARN, description=words
    )


CHECKS: list[dg.AssetChecksDefinition] = [
    newest_version_beats_popularity,
    current_version_is_fresh,
    promoted_version_is_current,
]
