"""Everything a user may set, validated once: one settings file, and environment variables over it.

`data/settings.yaml` holds what differs from the defaults; `PERSONALIZE_<NAME>` in the environment
wins over the file for the fields at the top level. Each room's settings are a model in that room.
"""

import datetime as dt
import difflib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personalization_assets.audits.settings import AuditsSettings
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.errors import UserError
from personalization_assets.feedback.settings import FeedbackSettings
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.profiles.settings import ProfilesSettings
from personalization_assets.recommendations.settings import RecommendationsSettings
from personalization_assets.serving.settings import ServingSettings
from personalization_assets.sources.settings import SourcesSettings
from personalization_assets.standardized.settings import StandardizedSettings

PROJECT = Path(__file__).resolve().parent.parent


class Settings(BaseModel):
    """What the user has set; paths that are not given lie in `data_dir`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: Path = Field(default=PROJECT / "data", description="Where inputs and results live")
    sources_yaml: Path | None = Field(default=None, description="The file that names the sources")
    warehouse: Path | None = Field(default=None, description="The DuckDB file that is written")
    published_copy: Path | None = Field(
        default=None, description="The published copy that readers open"
    )
    campaigns: Path | None = Field(default=None, description="Folder with one folder a campaign")
    exports: Path | None = Field(default=None, description="Folder for galleries and hand-overs")
    truth: Path | None = Field(
        default=None, description="Who is who, where known: CSV with source, key, person"
    )
    sql_models: Path = Field(default=PROJECT / "dbt_like_sql", description="Folder of SQL models")
    base_currency: str = Field(default="EUR", pattern="^[A-Z]{3}$")
    time_zone: str = Field(default="UTC", description="Of schedules and of people without one")
    seed: int = Field(default=20, ge=0, description="Where chance is used, it starts here")
    threads: int = Field(default=2, ge=1, le=256, description="Threads of DuckDB and of training")
    memory_limit: str = Field(
        default="2GB",
        pattern=r"^\d+(\.\d+)? ?([KMGT]i?B|%)$",
        description="What DuckDB may use before it spills, like 2GB",
    )

    sources: SourcesSettings = Field(default_factory=SourcesSettings)
    standardized: StandardizedSettings = Field(default_factory=StandardizedSettings)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    profiles: ProfilesSettings = Field(default_factory=ProfilesSettings)
    recommendations: RecommendationsSettings = Field(default_factory=RecommendationsSettings)
    emails: EmailsSettings = Field(default_factory=EmailsSettings)
    feedback: FeedbackSettings = Field(default_factory=FeedbackSettings)
    audits: AuditsSettings = Field(default_factory=AuditsSettings)
    serving: ServingSettings = Field(default_factory=ServingSettings)

    @cached_property
    def sources_file(self) -> Path:
        """`sources.yaml`, by default the sample shop's."""
        return self.sources_yaml or self.data_dir / "sources.yaml"

    @cached_property
    def warehouse_file(self) -> Path:
        """The warehouse, `warehouse.duckdb`."""
        return self.warehouse or self.data_dir / "warehouse.duckdb"

    @cached_property
    def serving_file(self) -> Path:
        """The copy for readers, beside the warehouse."""
        return self.published_copy or self.warehouse_file.with_name(
            "serving.duckdb"
            if self.warehouse is None
            else f"{self.warehouse_file.stem}.serving.duckdb"
        )

    @cached_property
    def campaigns_dir(self) -> Path:
        """Folder of campaigns."""
        return self.campaigns or self.data_dir / "campaigns"

    @cached_property
    def exports_dir(self) -> Path:
        """Folder for what leaves the platform."""
        if self.exports:
            return self.exports
        if self.warehouse:
            return self.warehouse_file.with_name(f"{self.warehouse_file.stem}-exports")
        return self.data_dir / "exports"

    @cached_property
    def mails_dir(self) -> Path:
        """Folder of rendered mails, a folder per run."""
        if self.warehouse:
            return self.warehouse_file.with_name(f"{self.warehouse_file.stem}-mails")
        return self.data_dir / "mails"

    @cached_property
    def truth_file(self) -> Path:
        """Who is who, where somebody knows; may be absent. The sample's lies with its sources."""
        return self.truth or self.sources_file.parent / "landing" / "truth" / "truth.csv"

    def sql_variables(self, as_of: dt.datetime) -> dict[str, Any]:
        """What SQL models may read with `getvariable`: as_of, base_currency, `<room>__<field>`."""
        variables: dict[str, Any] = {
            "as_of": as_of,
            "base_currency": self.base_currency,
            "time_zone": self.time_zone,
        }
        for room, value in self:
            if isinstance(value, BaseModel):
                for name, setting in value:
                    if isinstance(setting, bool | int | float | str):
                        variables[f"{room}__{name}"] = setting
        return variables


def load_settings(path: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings file, then the environment, then `overrides` (a command's options).

    Raises:
        UserError: the file cannot be read, or a value is out of its bounds.
    """
    named = path or (
        Path(os.environ["PERSONALIZE_SETTINGS"]) if "PERSONALIZE_SETTINGS" in os.environ else None
    )
    data_dir = Path(
        overrides.get("data_dir") or os.environ.get("PERSONALIZE_DATA_DIR") or PROJECT / "data"
    )
    file = named or data_dir / "settings.yaml"
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise UserError(
                f"{file} is not readable YAML{place}: {error.problem}; correct that line."
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(
                f"{file} cannot be read as UTF-8 text ({type(error).__name__})."
            ) from None
        if not isinstance(values, dict):
            raise UserError(f"{file} must hold settings as `name: value` lines.")
    elif named:
        raise UserError(
            f"There is no settings file {named}: create it or unset PERSONALIZE_SETTINGS."
        )
    for name in Settings.model_fields:
        variable = f"PERSONALIZE_{name.upper()}"
        if variable in os.environ:
            values[name] = os.environ[variable]
    values.update({k: v for k, v in overrides.items() if v is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        raise UserError(f"{file}: {_problem(error)}.") from None


def _problem(error: ValidationError) -> str:
    """The first mistake; a misspelt name says more than what else it leads to."""
    errors = error.errors(include_url=False, include_input=False)
    first = min(errors, key=lambda e: e["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] != "extra_forbidden":
        message = first["msg"].removeprefix("Value error, ")
        return f"`{where}` is not valid: {message[0].lower()}{message[1:]}"
    known = Settings.model_fields
    for part in first["loc"][:-1]:
        room = known[str(part)].annotation if str(part) in known else None
        known = getattr(room, "model_fields", {})
    close = difflib.get_close_matches(str(first["loc"][-1]), list(known), n=1, cutoff=0.6)
    hint = f"did you mean `{close[0]}`" if close else "remove it"
    return f"`{where}` is not a setting: {hint}"
