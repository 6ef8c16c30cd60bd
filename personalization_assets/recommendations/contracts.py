"""Contracts of the tables that Python builds here; those of SQL models are in their headers."""

from typing import ClassVar

import pandera.polars as pa
import polars as pl

KEEPER = {"room": "recommendations", "owner": "team:crm", "version": 1}


class AlsModel(pa.DataFrameModel):
    """Every version of the model ever trained: its values, its data, how it did against popularity.

    A version is named by its settings and data, so unchanged input trains nothing. Lists are made
    with the version that `is_current`; there is none until a version beats popularity.
    """

    model_version: str = pa.Field(
        str_matches=r"^[0-9a-f]{12}$", description="Hash of settings and data"
    )
    number: int = pa.Field(ge=1, description="Running number of the version")
    trained_as_of: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="as_of of the run that trained it", metadata={"unit": "UTC"}
    )
    settings_hash: str = pa.Field(
        str_matches=r"^[0-9a-f]{12}$", description="Hash of the settings that training depends on"
    )
    algorithm: str = pa.Field(str_matches=r"^[a-z_]+$", description="als, ease, knn or blend")
    recipe: str = pa.Field(description="Algorithm and all its values, as JSON")
    half_life_days: float = pa.Field(
        gt=0, description="Age at which an interaction counts half", metadata={"unit": "days"}
    )
    customers: int = pa.Field(ge=0, description="Customers trained on", metadata={"unit": "count"})
    products: int = pa.Field(ge=0, description="Products trained on", metadata={"unit": "count"})
    interactions: int = pa.Field(
        ge=0, description="Customer-product pairs trained on", metadata={"unit": "count"}
    )
    window_start: pl.Date = pa.Field(description="First day of the data")
    window_end: pl.Date = pa.Field(description="Last day of the data")
    metric: str = pa.Field(description="What the gate judged by, with its target: 'ndcg@10 new'")
    metric_value: float = pa.Field(nullable=True, description="What the version reached")
    popularity_value: float = pa.Field(
        nullable=True, description="What windowed popularity reached"
    )
    outcome: str = pa.Field(
        isin=["first", "switched", "refitted", "kept", "nothing"],
        description="What the gate decided: first published version; another recipe took over; "
        "the running recipe on newer data; the earlier version stays; nothing to publish",
    )
    published: bool = pa.Field(description="Whether the gate let it make the lists")
    is_current: bool = pa.Field(description="Whether lists are made with it; at most one is")
    verdict: str = pa.Field(description="The gate's decision in words")

    class Config:
        """Where the table is and what a row is."""

        name = "als_model"
        metadata: ClassVar = {
            **KEEPER,
            "key": ["model_version"],
            "grain": "one row per trained version",
        }


class AlsFactors(pa.DataFrameModel):
    """What makes up the newest versions and the current one, see `recommendations/models`.

    ALS: a vector per customer and product, a score is a dot product. EASE and item-kNN: per product
    the weights with which it speaks for others.
    """

    model_version: str = pa.Field(description="Version in als_model")
    side: str = pa.Field(
        isin=["customer", "product", "neighbours"],
        description="Whose factors; neighbours: products of a blend's item model",
    )
    key: str = pa.Field(description="customer_id or product_id")
    factors: pl.List(pl.Float32) = pa.Field(  # type: ignore[valid-type]
        description="The vector, or the weights of the neighbours"
    )
    neighbours: pl.List(pl.Int32) = pa.Field(  # type: ignore[valid-type]
        nullable=True,
        description="Item models: which products the weights are for, as places (from 0) among the "
        "version's products sorted by key",
    )
    scale: pl.Float32 = pa.Field(
        nullable=True, description="ALS, products: what makes damped weights have mean 1"
    )
    boost: pl.Float32 = pa.Field(
        nullable=True, description="ALS, products: what scores are multiplied by"
    )

    class Config:
        """Where the table is and what a row is."""

        name = "als_factors"
        metadata: ClassVar = {
            **KEEPER,
            "key": ["model_version", "side", "key"],
            "pii": True,
            "grain": "one row per kept version, side and key",
        }


class Evaluation(pa.DataFrameModel):
    """How each candidate did on the purchases of the test window, trained on what came before.

    A recipe (als, ease, knn, each with and without the customer's own history) stands beside what
    it has to beat: popular, category, recent, history, and `running`, the recipe of the current
    version fitted again. Gains are differences on the gate's metric, paired by customer, and their
    bounds allow for the choice of the best among several candidates.
    """

    model_version: str = pa.Field(description="Version in als_model")
    target: str = pa.Field(
        isin=["new", "all"],
        description="new: purchases of products not bought before by the customer; all: all",
    )
    segment: str = pa.Field(
        isin=["all", "new", "light", "heavy"],
        description="Customers by products known before: new 1 or 2; heavy the upper third of the "
        "others; all of them",
    )
    candidate: str = pa.Field(str_matches=r"^[a-z_]+$", description="What made the lists")
    metric: str = pa.Field(
        isin=[
            "recall",
            "ndcg",
            "map",
            "hit_rate",
            "novelty",
            "calibration",
            "coverage",
            "gini",
            "gain",
            "gain_over_running",
        ],
        description="novelty and calibration are in bits; coverage and gini describe all lists "
        "together; gain is over popular",
    )
    k: int = pa.Field(ge=1, description="Length of the lists judged")
    value: float = pa.Field(ge=-1, description="Mean over customers")
    customers: int = pa.Field(ge=0, description="Customers judged", metadata={"unit": "count"})
    low: float = pa.Field(nullable=True, description="Lower bootstrap bound (2.5 %)")
    high: float = pa.Field(nullable=True, description="Upper bootstrap bound (97.5 %)")

    class Config:
        """Where the table is and what a row is."""

        name = "evaluation"
        metadata: ClassVar = {
            **KEEPER,
            "version": 2,
            "key": ["model_version", "target", "segment", "candidate", "metric", "k"],
            "grain": "one row per version, target, segment, candidate, metric and list length",
        }


class Trials(pa.DataFrameModel):
    """What the search for training values tried on the validation window, and what it reached."""

    model_version: str = pa.Field(description="Version in als_model")
    trial: int = pa.Field(ge=1, description="In the order tried")
    algorithm: str = pa.Field(str_matches=r"^[a-z_]+$", description="als, ease, knn or blend")
    recipe: str = pa.Field(description="Algorithm and all its values, as JSON")
    value: float = pa.Field(description="The gate's metric on the validation window")
    is_chosen: bool = pa.Field(description="Whether it is what its algorithm was judged with")

    class Config:
        """Where the table is and what a row is."""

        name = "trials"
        metadata: ClassVar = {
            **KEEPER,
            "key": ["model_version", "trial"],
            "grain": "one row per version and trial",
        }


class TrainingData(pa.DataFrameModel):
    """What each version was trained on, by kind of activity."""

    model_version: str = pa.Field(description="Version in als_model")
    kind: str = pa.Field(description="view, cart, purchase, click or preference")
    pairs: int = pa.Field(ge=0, description="Customers x products", metadata={"unit": "count"})
    events: int = pa.Field(ge=0, description="Interactions", metadata={"unit": "count"})
    customers: int = pa.Field(ge=0, description="Customers", metadata={"unit": "count"})
    products: int = pa.Field(ge=0, description="Products", metadata={"unit": "count"})
    first_day: pl.Date = pa.Field(description="Day of the first of them")
    last_day: pl.Date = pa.Field(description="Day of the last of them")
    fingerprint: str = pa.Field(description="The same for the same activity, whatever its order")

    class Config:
        """Where the table is and what a row is."""

        name = "training_data"
        metadata: ClassVar = {
            **KEEPER,
            "key": ["model_version", "kind"],
            "grain": "one row per version and kind of activity",
        }
