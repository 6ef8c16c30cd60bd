"""The profiles room's assets that are not one SELECT; the others are in dbt_like_sql/profiles/."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pandera.polars as pa
import polars as pl
import yaml

from personalization_assets.profiles.campaign_use import campaign_use
from personalization_assets.profiles.contracts import Attributes, Maturity
from personalization_assets.profiles.contracts_enrichment import (
    ImputationQuality,
    Imputations,
    ThirdParty,
    ThirdPartyRefused,
)
from personalization_assets.profiles.enrichment_file import read_enrichment_file
from personalization_assets.profiles.maturity import PARTS, measure, parts_of
from personalization_assets.profiles.survivorship import TABLES, read_rules
from personalization_assets.profiles.survivorship_sql import compile_rules
from personalization_assets.settings import PROJECT, Settings
from personalization_assets.tables import Query, Run, table_asset
from personalization_assets.warehouse import Rows

FILE = "survivorship.yaml"
ENRICHMENT_FILE = "enrichment.yaml"


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
    contract=[ThirdParty, ThirdPartyRefused],
    deps=["profiles/attributes", "profiles/consents", "standardized/products"],
    kinds={"python", "sql", "yaml"},
)
def third_party(run: Run) -> Mapping[type[pa.DataFrameModel], Rows]:
    """What third parties say about customers who allow that, by `enrichment.yaml`."""
    from personalization_assets.profiles.third_party import match, read_files

    folder = run.settings.data_dir
    files = read_enrichment_file(
        folder / ENRICHMENT_FILE, _named_sources(run.settings.sources_file)
    )
    sold = run.con.execute(
        "SELECT DISTINCT category FROM standardized.products WHERE category IS NOT NULL"
    ).fetchall()
    read = read_files(files, folder, {row[0] for row in sold}, run.as_of)
    for problem in read.problems:
        run.log.warning("%s", problem)
    matched = match(run.con, read.values)
    run.metadata(
        files=len(files),
        files_refused=len(read.problems),
        values_refused=read.refused.height - len(read.problems),
        customers=matched["customer_id"].n_unique(),
    )
    return {ThirdParty: matched, ThirdPartyRefused: read.refused}


@table_asset(
    contract=[Imputations, ImputationQuality],
    deps=[
        "profiles/third_party",
        "profiles/imputation_signals",
        "profiles/age_bands",
        "profiles/preferences",
    ],
    kinds={"python", "sql"},
)
def imputations(run: Run) -> Mapping[type[pa.DataFrameModel], Rows]:
    """Missing attributes, filled in by third parties and by models that have proved their worth."""
    from personalization_assets.profiles.filling import fill, quality_of
    from personalization_assets.profiles.imputing import TARGETS, impute

    predicted = [
        impute(run.con, attribute, run.settings.profiles, run.settings.seed)
        for attribute in TARGETS
    ]
    for found in predicted:
        run.log.info("%s: %s", found.attribute, found.reason)
    filled = fill(run.con, predicted)
    quality = quality_of(predicted, filled, run.as_of)
    run.metadata(filled=filled.height, models_used=int(quality["used"].sum()))
    return {Imputations: filled, ImputationQuality: quality}


@table_asset(
    contract=Maturity,
    deps=[
        *(f"profiles/{part}" for part in PARTS),
        "profiles/golden_profiles",
        *sorted({f"standardized/{t}" for part in PARTS.values() for t in part.tables}),
    ],
)
def maturity(run: Run) -> pl.DataFrame:
    """How far each data point carries, and which to fix next."""
    uses = campaign_use(run.settings.campaigns_dir, parts_of(run.con))
    frame = measure(run.con, run.settings.profiles, uses)
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


ASSETS: list[dg.AssetsDefinition] = [
    attributes,
    third_party,
    imputations,
    maturity,
]
