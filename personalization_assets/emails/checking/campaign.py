"""Every finding of some campaigns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from personalization_assets.emails.audience import check_audience
from personalization_assets.emails.brand import Brand
from personalization_assets.emails.campaigns import CampaignError, campaign_folders, load_campaign
from personalization_assets.emails.checking.findings import Finding, Findings, Place, found
from personalization_assets.emails.mail_context import DERIVED
from personalization_assets.emails.preview.own import own_scenarios
from personalization_assets.emails.preview.scenarios import Maker
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.templates import MailTemplates, examine_variant


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what was found: by file and line, a finding of a shared part once."""

    campaigns: tuple[str, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: str) -> int:
        """Findings of a severity."""
        return sum(f.severity == severity for f in self.findings)


def check_campaigns(
    folder: Path,
    only: Sequence[str] | None,
    brand: Brand,
    contract: Mapping[str, pa.DataType],
    settings: EmailsSettings,
    as_of: datetime,
) -> Checked:
    """Look at campaigns and everything that they include.

    Raises:
        UserError: a name in `only` that does not exist.
    """
    folders = campaign_folders(folder, only)
    everything: dict[Finding, None] = {}

    def note(error: CampaignError) -> None:
        for line, problem in error.problems:
            everything[found("campaign_file", Place(error.path, line), problem=problem)] = None

    profiles = _no_profiles(contract)
    for path in folders:
        try:
            campaign = load_campaign(path)
        except CampaignError as error:
            note(error)
            continue
        try:
            check_audience(profiles, campaign)
        except CampaignError as error:
            note(error)
        try:
            own_scenarios(Maker(contract, campaign, brand, as_of))
        except CampaignError as error:
            note(error)
        findings = Findings(campaign.file.allow)
        for variant in campaign.file.variants:
            examine_variant(campaign, variant, brand, contract, settings, as_of, findings)
        everything |= dict.fromkeys(findings.all)
    profiles.close()
    ordered = sorted(everything, key=lambda f: f.order)
    return Checked(tuple(p.name for p in folders), tuple(ordered))


def _no_profiles(contract: Mapping[str, pa.DataType]) -> duckdb.DuckDBPyConnection:
    """A database with golden_profiles of nobody, to ask whether a condition fits its columns."""
    columns = [field for field in contract["customer"] if field.name not in DERIVED]
    con = duckdb.connect()
    con.register("nobody", pa.schema(columns).empty_table())
    con.execute("CREATE SCHEMA profiles")
    con.execute("CREATE TABLE profiles.golden_profiles AS FROM nobody")
    return con


def warnings_of(compiled: Sequence[MailTemplates]) -> list[str]:
    """What a run says about its templates: each warning once, as a sentence with its place."""
    found_in = {f: None for templates in compiled for f in templates.warnings}
    return [f.sentence for f in sorted(found_in, key=lambda f: f.order)]
