"""`data/enrichment.yaml`: which files of third parties fill which attributes of whose profile.

Here is what the file may say. How the vendors' files are read is in `third_party.py`.
"""

import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from personalization_assets.errors import UserError

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "age_band": ("under_18", "18-24", "25-34", "35-44", "45-54", "55-64", "65+"),
    "favourite_category": (),
    "urbanity": ("urban", "suburban", "rural"),
    "household_size": ("1", "2", "3+"),
}
"""Attributes that a third party may fill, and their values; () is any category of the shop. Another
one needs a column in `enrichment.sql` and `golden_profiles.sql` too. Gender is never filled."""

RESERVED = ("imputed", "third_party")
"""How origins of filled values begin; no source may have such a name."""

Name = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Join(_Part):
    """The file's columns that say who a row is about: one kind of key."""

    email: str | None = None
    email_sha256: str | None = None
    phone: str | None = None
    account_key: str | None = None
    postcode: str | None = None
    country: str | None = None

    @model_validator(mode="after")
    def _one_key(self) -> "Join":
        named = set(self.model_fields_set)
        if named == {"postcode", "country"} or (
            len(named) == 1 and not named & {"postcode", "country"}
        ):
            return self
        raise ValueError(
            "must name one key: email, email_sha256, phone, account_key, or postcode with country"
        )

    @property
    def key(self) -> str:
        """The kind of key; a postcode always comes with its country."""
        return next(
            n
            for n in ("email", "email_sha256", "phone", "account_key", "postcode")
            if getattr(self, n)
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The file's columns that the key is made of."""
        both = (self.country, self.postcode) if self.postcode else (getattr(self, self.key),)
        return tuple(c for c in both if c)


class Fill(_Part):
    """One attribute: the column with its value, and how far to believe it (0-1)."""

    column: str
    confidence: float | None = Field(default=None, gt=0, le=1)
    confidence_column: str | None = None
    labels: dict[str, str] = Field(default={}, description="The vendor's words -> ours")

    @model_validator(mode="after")
    def _one_confidence(self) -> "Fill":
        if (self.confidence is None) == (self.confidence_column is None):
            raise ValueError("needs either `confidence` or `confidence_column`")
        return self


class VendorFile(_Part):
    """One file of a third party; see the head of `data/enrichment.yaml`."""

    description: str
    path: str
    format: Literal["csv", "parquet"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: Literal["utf-8", "cp1252", "latin-1"] = "utf-8"
    licence: str = Field(min_length=1, description="What allows the use, for whoever asks")
    licence_ends: dt.date | None = Field(default=None, description="Last day of the use")
    consent: Literal["personalisation", "third_party"] = "third_party"
    join: Join
    fills: dict[str, Fill] = Field(min_length=1)
    observed_on: str | None = Field(default=None, description="Column: day of the observation")
    max_age_days: int | None = Field(default=None, ge=1)
    valid_until: str | None = Field(default=None, description="Column: last day of a row")

    @model_validator(mode="after")
    def _holds_together(self) -> "VendorFile":
        if self.consent == "personalisation" and self.join.key != "postcode":
            raise ValueError(
                f"`consent: personalisation` is for data about areas; rows about a person "
                f"(joined by {self.join.key}) need `consent: third_party`"
            )
        if (self.max_age_days is None) != (self.observed_on is None):
            raise ValueError("`max_age_days` and `observed_on` go together")
        for name, fill in self.fills.items():
            if name == "gender":
                raise ValueError("gender is never filled in; remove it from `fills`")
            if name not in ATTRIBUTES:
                raise ValueError(
                    f"'{name}' is not an attribute that can be filled; use one of "
                    f"{', '.join(ATTRIBUTES)}"
                )
            allowed = ATTRIBUTES[name]
            odd = sorted(set(fill.labels.values()) - set(allowed)) if allowed else []
            if odd:
                raise ValueError(
                    f"'{odd[0]}' is not a value of {name}; use one of {', '.join(allowed)}"
                )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the file that is read, each once."""
        named = [*self.join.columns, self.observed_on, self.valid_until]
        for fill in self.fills.values():
            named += [fill.column, fill.confidence_column]
        return tuple(dict.fromkeys(c for c in named if c))


class EnrichmentFile(_Part):
    """The whole of `enrichment.yaml`."""

    version: Literal[1]
    files: dict[Name, VendorFile] = {}


def read_enrichment_file(path: Path, sources: Collection[str] = ()) -> dict[str, VendorFile]:
    """The third parties' files by name, most trusted first; none where there is no such file.

    Raises:
        UserError: the file has a mistake in it, or one of the shop's `sources` has a name by which
            filled values are told from facts.
    """
    for name in RESERVED:
        if name in sources:
            raise UserError(
                f"sources.yaml names a source '{name}', which marks filled values: rename it."
            )
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return EnrichmentFile.model_validate(content).files
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read: {reason}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: `{where}`: {message}.") from None
