"""Checks across the tables of the feedback room: somebody reports on the mails that went out."""

import dagster as dg
import duckdb

from personalization_assets.settings import Settings
from personalization_assets.warehouse import Warehouse


def runs_nobody_reports_on(con: duckdb.DuckDBPyConnection, click_days: float) -> tuple[int, int]:
    """Runs whose mails arrived and had time to be clicked before the latest run: all of them, and
    those of which no event of the provider names a mail."""
    old, silent = con.execute(
        """
        WITH runs AS (
            SELECT made_at, bool_or(arrived) AS arrived, bool_or(counts) AS counts,
                   max(sent_at) AS sent_at
            FROM feedback.recommendation_outcomes GROUP BY made_at
        )
        SELECT count(*), count(*) FILTER (WHERE NOT counts) FROM runs
        WHERE arrived
            AND sent_at + to_seconds(86400 * ?) <= (SELECT max(made_at) FROM runs)
        """,
        [click_days],
    ).fetchall()[0]
    return int(old), int(silent)


@dg.asset_check(
    asset=["feedback", "recommendation_outcomes"],
    description="Events of the mail provider name the mails of every run that is over",
)
def mails_are_reported_on(
    warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Warns: without such events every recommendation would look like one that nobody wants."""
    with warehouse.connect() as con:
        old, silent = runs_nobody_reports_on(con, settings.feedback.click_days)
    return dg.AssetCheckResult(
        passed=not silent,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Of {silent:,} of {old:,} runs no event names a mail, so nothing is learnt "
        "from them: hand send_id over to the mail provider and map what it echoes to send_id in "
        "sources.yaml (docs/feedback.md)."
        if silent
        else "The provider reports on the mails of every run that is over.",
        metadata={"runs": old, "silent_runs": silent},
    )


CHECKS: list[dg.AssetChecksDefinition] = [mails_are_reported_on]
