"""What a user may set about reading files."""

from pydantic import BaseModel, ConfigDict, Field


class SourcesSettings(BaseModel):
    """When a file counts as completely written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settle_seconds: float = Field(
        default=2.0, ge=0, le=600, description="A file that changed this recently is watched first"
    )
    stale_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="A cut-off file that nobody has written to for this long is taken as it is",
    )
