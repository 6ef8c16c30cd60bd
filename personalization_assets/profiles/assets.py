"""The profiles room's assets that are not one SELECT; the others are in dbt_like_sql/profiles/."""

from pathlib import Path

import dagster as dg
import polars as pl
import yaml

from personalization_assets.profiles.contracts import Attributes, Maturity
from personalization_assets.profiles.maturity import PARTS, measure
from personalization_assets.profiles.survivorship import TABLES, read_rules
from personalization_assets.profiles.survivorship_sql import compile_rules
from personalization_assets.settings import PROJECT, Settings
from personalization_assets.tables import Query, Run, table_asset

FILE = "survivorship.yaml"


@table_asset(
    contract=Attributes,
    deps=[
        *(f"standardized/{table}" for table in TABLES),
        "identity/links",
        "profiles/email_addresses",
    ],
    kinds={"sql", "yaml"},
)
def attributes(run: Run) -> Query:
    """The survivors of each customer's records, by the rules in `survivorship.yaml`."""
    linked = run.con.execute("SELECT DISTINCT source FROM identity.links").fetchall()
    known = {row[0] for row in linked} | _named_sources(run.settings.sources_file)
    rules = read_rules(_rules_file(run.settings), known)
    run.metadata(rules=len(rules))
    return Query(compile_rules(rules))


@table_asset(
    contract=Maturity,
    deps=[
        *(f"profiles/{part}" for part in PARTS),
        "profiles/golden_profiles",
        *sorted({f"standardized/{t}" for part in PARTS.values() for t in part.tables}),
    ],
)
def maturity(run: Run) -> pl.DataFrame:
    """Coverage, validity, freshness and stage of each data point."""
    frame = measure(run.con, run.settings.profiles)
    for stage, count in frame.group_by("stage").len().sort("stage").iter_rows():
        run.metadata(**{stage: count})
    return frame


def _rules_file(settings: Settings) -> Path:
    """The user's own file, else the one that ships with the project."""
    own = settings.data_dir / FILE
    return own if own.exists() else PROJECT / "data" / FILE


def _named_sources(file: Path) -> set[str]:
    """The sources that `sources.yaml` names, also those without rows; it is checked elsewhere."""
    if not file.exists():
        return set()
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return set()
    sources = content.get("sources") if isinstance(content, dict) else None
    return {str(name) for name in sources} if isinstance(sources, dict) else set()


ASSETS: list[dg.AssetsDefinition] = [attributes, maturity]
