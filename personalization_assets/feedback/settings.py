"""What a user may set about how clicks and purchases are credited to mails."""

from pydantic import BaseModel, ConfigDict, Field


class FeedbackSettings(BaseModel):
    """Windows of attribution, widths of intervals, and when a model should be trained anew."""

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
    click_days: float = Field(
        default=3.0, gt=0, le=60, description="A click counts for a mail that was sent so long ago"
    )
    heavy_orders: int = Field(
        default=4, ge=2, description="From so many orders a customer is in the segment heavy"
    )

    # how often a place is looked at
    examination_power: float = Field(
        default=0.5,
        ge=0,
        le=3,
        description="Without data, place k is looked at 1 / k ^ this as often as the first",
    )
    examination_shown: float = Field(
        default=2000.0,
        gt=0,
        description="That curve weighs as much as so many shown places of each position",
    )

    # when a model should be trained anew
    recent_days: int = Field(
        default=7, ge=1, le=90, description="Clicks of so many days are compared with those before"
    )
    level_days: int = Field(
        default=28, ge=1, le=365, description="... with those of so many days before"
    )
    click_drop: float = Field(
        default=0.2, gt=0, lt=1, description="A fall of the click rate by this share is a signal"
    )
    click_drop_z: float = Field(
        default=3.0, ge=0, description="... if it is so many standard errors, too"
    )
    drop_shown: int = Field(
        default=1000, ge=1, description="With fewer places on either side no fall is measured"
    )
    taste_psi: float = Field(
        default=0.25,
        gt=0,
        description="Population stability index of categories that is a signal (0.1 is a shift)",
    )
    taste_days: int = Field(
        default=28, ge=1, description="Activity is compared with so many days before the training"
    )
    taste_events: int = Field(
        default=1000, ge=1, description="With fewer events since the training nothing is compared"
    )
    new_products_share: float = Field(
        default=0.25, gt=0, le=1, description="Share of activity on unknown products: a signal"
    )
    new_customers_share: float = Field(
        default=0.4, gt=0, le=1, description="Share of activity of unknown customers: a signal"
    )
    model_days: float = Field(
        default=30.0, gt=0, description="A model of so many days with newer data is a signal"
    )

    # judging other models by what earlier lists showed
    offline_days: int = Field(
        default=28, ge=1, le=365, description="Lists of so many days are looked at"
    )
