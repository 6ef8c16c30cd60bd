"""What a user may set about places of a list that try something out. The model stays as it is."""

from pydantic import BaseModel, Field


class ExploringSettings(BaseModel):
    """How much of what is shown is there to learn from."""

    explore_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of the first places that try a near tie; at most one in a list. 0: none",
    )
    explore_places: int = Field(
        default=6, ge=1, le=200, description="So many places of a list may try: those mails show"
    )
    explore_within: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="A product may try a place if its score is below the place's by at most this "
        "share of it",
    )
    explore_among: int = Field(
        default=6, ge=2, le=50, description="At most so many products compete for a place"
    )
    explore_evenly: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of the tries that are drawn evenly: no product's chance is ever 0",
    )
    explore_prior_shown: float = Field(
        default=200.0,
        gt=0,
        description="A product starts with the overall click rate, as if seen so often",
    )
