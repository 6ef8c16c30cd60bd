"""What a user may set about lists of products and the model behind them."""

from typing import Literal

from pydantic import ConfigDict, Field

from personalization_assets.recommendations.exploring_settings import ExploringSettings
from personalization_assets.recommendations.list_settings import ListSettings


class RecommendationsSettings(ListSettings, ExploringSettings):
    """Weights and guards of interactions, training, the gate before publishing, and the lists.

    Values of ALS are where its search begins, and what is used with `tune: false`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # what people did, as one number per customer and product
    weight_view: float = Field(default=1.0, ge=0, description="What one product view counts")
    weight_click: float = Field(default=2.0, ge=0, description="What one click in a mail counts")
    weight_cart: float = Field(default=4.0, ge=0, description="What one addition to a cart counts")
    weight_purchase: float = Field(default=10.0, ge=0, description="What one purchase counts")
    half_life_days: float = Field(
        default=60.0, gt=0, le=36500, description="After so many days an interaction counts half"
    )
    max_per_day: int = Field(
        default=5,
        ge=1,
        description="More of one kind for a product on a day add nothing: reloads, scripts",
    )
    bot_events_per_day: int = Field(
        default=1000,
        ge=1,
        description="A visitor's web events of a day with more product events are left out",
    )

    popularity_days: int = Field(
        default=28, ge=1, le=3650, description="Best sellers are those of so many days"
    )

    # the models
    algorithms: tuple[Literal["als", "ease", "knn", "blend"], ...] = Field(
        default=("als", "ease", "knn", "blend"),
        min_length=1,
        description="What is trained and judged; EASE only up to 10,000 products, blend is ALS "
        "and item-kNN together",
    )
    factors: int = Field(default=64, ge=2, le=1024, description="Of ALS: length of a vector")
    iterations: int = Field(default=5, ge=1, le=100, description="Rounds of alternating fits")
    alpha: float = Field(
        default=10.0, gt=0, description="Confidence of an interaction of mean weight: 1 + alpha"
    )
    regularization: float = Field(
        default=1.0, ge=0, description="Penalty on the size of factors, as a multiple of alpha"
    )
    damping: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Weights are divided by (customer's degree x product's degree) to this power",
    )
    popularity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Of ALS: scores are multiplied by the product's number of customers to this "
        "power",
    )
    history: float = Field(
        default=0.3,
        ge=0,
        description="How much of a customer's own interactions is added to the model's score",
    )
    tune: bool = Field(
        default=True, description="Try other values on a window before the test window"
    )
    tune_max_interactions: int = Field(
        default=400_000,
        ge=1,
        description="Values are tried on as many customers as have so many products together",
    )
    tune_days: float = Field(
        default=7.0,
        ge=0,
        description="Values found are used so long before they are searched anew; 0: every time",
    )
    retrain: Literal["nightly", "when_needed"] = Field(
        default="nightly",
        description="Train on every run with new activity, or only when "
        "feedback.retraining_signals says so",
    )
    keep_versions: int = Field(
        default=3, ge=1, le=100, description="So many versions keep their factors"
    )

    # the gate
    metric: Literal["ndcg@10", "ndcg@20", "recall@10", "recall@20", "map@10", "hit_rate@10"] = (
        Field(default="ndcg@10", description="What recipes are searched and compared by")
    )
    target: Literal["new", "all"] = Field(
        default="new",
        description="Judge by purchases of products new to the customer, or by all purchases",
    )
    require_significance: bool = Field(
        default=False,
        description="Go on with the running recipe only if it surely beats popularity; another "
        "recipe has to in any case",
    )
    test_days: int = Field(
        default=28,
        ge=1,
        le=365,
        description="Days at the end of the data that versions are judged by",
    )
    min_test_customers: int = Field(
        default=20, ge=1, description="With fewer buyers in the test window nothing is published"
    )
    evaluation_customers: int = Field(
        default=10_000, ge=1, description="At most so many customers are evaluated"
    )
    bootstrap_samples: int = Field(default=200, ge=10, le=10_000, description="For the bounds")
