"""What a user may set in the standardized room."""

from pydantic import BaseModel, ConfigDict, Field

from personalization_assets.contracts.overrides import ContractSettings
from personalization_assets.standardized.verification.settings import VerificationSettings


class StandardizedSettings(BaseModel):
    """Settings of the standardized room."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunk_rows: int = Field(
        default=250_000,
        ge=1_000,
        le=10_000_000,
        description="Rows of an event source that are standardised at a time; bounds the memory",
    )
    labels_file: str = Field(
        default="labels.yaml",
        description="File in the data folder with the wanted spelling of categories, if there",
    )
    contracts: dict[str, ContractSettings] = Field(
        default={},
        description="By table: severities, parameters and limits of rules that differ from the "
        "contract; `personalize contracts show <table>` lists them",
    )
    verification: VerificationSettings = Field(default_factory=VerificationSettings)
