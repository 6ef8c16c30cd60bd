"""What a user may set about how clicks and purchases are credited to mails."""

from pydantic import BaseModel, ConfigDict, Field


class FeedbackSettings(BaseModel):
    """Windows of attribution and the width of confidence intervals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attribution_days: float = Field(
        default=7.0, gt=0, le=365, description="A purchase is credited to a click at most so old"
    )
    prefer_same_product: bool = Field(
        default=True,
        description="A click on the product that was bought wins over a later click on another",
    )
    z: float = Field(
        default=1.959964,
        gt=0,
        le=10,
        description="Normal quantile of the intervals: 1.959964 for 95 %",
    )
