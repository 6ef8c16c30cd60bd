"""Where Dagster enters: the rooms, what runs them, and what they run on.

`definitions` is what `workspace.yaml` and `[tool.dg]` name. `build_definitions` makes the same
platform for other settings: another `sources.yaml`, another warehouse.
"""

import dagster as dg

from personalization_assets.audits import assets as audits
from personalization_assets.audits.checks import CHECKS as AUDITS_CHECKS
from personalization_assets.audits.checks import drift_checks
from personalization_assets.automation.alerts import run_failure_alert
from personalization_assets.automation.freshness import with_freshness
from personalization_assets.automation.jobs import refresh
from personalization_assets.automation.retraining import retrain, retraining_sensor
from personalization_assets.automation.schedules import nightly_schedule
from personalization_assets.contracts import Contract, contract_of
from personalization_assets.contracts.reading import models
from personalization_assets.emails import assets as emails
from personalization_assets.emails.checks import CHECKS as EMAILS_CHECKS
from personalization_assets.feedback import assets as feedback
from personalization_assets.feedback.checks import CHECKS as FEEDBACK_CHECKS
from personalization_assets.identity import assets as identity
from personalization_assets.identity.checks import CHECKS as IDENTITY_CHECKS
from personalization_assets.profiles import assets as profiles
from personalization_assets.profiles.checks import CHECKS as PROFILES_CHECKS
from personalization_assets.recommendations import assets as recommendations
from personalization_assets.recommendations import list_assets, promotion_assets
from personalization_assets.recommendations.checks import CHECKS as RECOMMENDATIONS_CHECKS
from personalization_assets.recommendations.list_checks import CHECKS as LIST_CHECKS
from personalization_assets.serving import assets as serving
from personalization_assets.settings import Settings, load_settings
from personalization_assets.sources.assets import build_source_assets
from personalization_assets.sources.config import load_sources
from personalization_assets.sources.sensor import new_files_sensor
from personalization_assets.sql_models import read_sql_models, sql_model_assets
from personalization_assets.standardized.assets import build_standardized_assets
from personalization_assets.standardized.checks import build_standardized_checks
from personalization_assets.standardized.in_force import contracts_in_force
from personalization_assets.standardized.verification import assets as verification
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse


def build_definitions(settings: Settings) -> dg.Definitions:
    """The whole platform for these settings.

    Raises:
        UserError: a file that the settings name (sources, SQL models) has a mistake in it.
    """
    extracts = load_sources(settings.sources_file)
    tables = [
        *build_source_assets(extracts, settings.sources),
        *build_standardized_assets(extracts, settings.standardized),
        *verification.ASSETS,
        *identity.ASSETS,
        *profiles.ASSETS,
        *promotion_assets.ASSETS,
        *recommendations.ASSETS,
        *list_assets.ASSETS,
        *emails.ASSETS,
        *feedback.ASSETS,
        *serving.ASSETS,
    ]
    models = sql_model_assets(read_sql_models(settings.sql_models), tables)
    return dg.Definitions(
        assets=with_freshness([*tables, *models, *audits.watch([*tables, *models])]),
        asset_checks=[
            *build_standardized_checks(extracts),
            *IDENTITY_CHECKS,
            *PROFILES_CHECKS,
            *RECOMMENDATIONS_CHECKS,
            *LIST_CHECKS,
            *EMAILS_CHECKS,
            *FEEDBACK_CHECKS,
            *AUDITS_CHECKS,
            *drift_checks([*tables, *models]),
        ],
        jobs=[refresh, retrain],
        schedules=[nightly_schedule(settings.time_zone)],
        sensors=[
            new_files_sensor(extracts, settings.sources),
            retraining_sensor(settings.serving_file),
            run_failure_alert,
        ],
        resources={
            "warehouse": warehouse_of(settings),
            "clock": Clock(),
            "settings": settings,
        },
        executor=dg.in_process_executor,
    )


def contracts_of(settings: Settings) -> dict[str, Contract]:
    """`room.table` -> contract of every table that has one, in the order of their names.

    Those of the standardized tables with the user's settings applied.

    Raises:
        UserError: as `build_definitions`.
    """
    keys = build_definitions(settings).resolve_asset_graph().materializable_asset_keys
    found = {m.contract.name: m.contract for m in read_sql_models(settings.sql_models)}
    found |= {c.name: c for c in (contract_of(model) for model in models())}
    found |= {c.name: c for c in contracts_in_force(settings.standardized).values()}
    return {name: found[name] for name in sorted(".".join(k.path) for k in keys) if name in found}


def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse that these settings name."""
    return Warehouse(
        database=str(settings.warehouse_file),
        connection_config={"threads": settings.threads, "memory_limit": settings.memory_limit},
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """The platform for the settings file and the environment of this process."""
    return build_definitions(load_settings())
