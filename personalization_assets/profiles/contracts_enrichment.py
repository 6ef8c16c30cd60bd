"""Contracts of the tables that say what was filled in, from where, and how far to believe it."""

import pandera.polars as pa
import polars as pl

from personalization_assets.profiles.enrichment_file import ATTRIBUTES


class ThirdParty(pa.DataFrameModel):
    """What third parties say about customers who allow that, from the files of
    `data/enrichment.yaml`. Rows about people who are not customers are not kept.
    """

    customer_id: str = pa.Field(description="Stable id of the person")
    attribute: str = pa.Field(isin=list(ATTRIBUTES), description="Attribute of the profile")
    file: str = pa.Field(description="Name of the file in enrichment.yaml")
    row: int = pa.Field(ge=1, description="Row of the file, counted from 1 without the header")
    place: int = pa.Field(ge=0, description="Place of the file in enrichment.yaml; lower wins")
    value: str = pa.Field(description="Value in our words")
    confidence: float = pa.Field(
        ge=0, le=1, description="How far to believe it", metadata={"unit": "share"}
    )

    class Config:
        """What the table promises as a whole."""

        name = "third_party"
        metadata = {
            "room": "profiles",
            "key": ["customer_id", "attribute", "file"],
            "grain": "one row per customer, attribute and file",
            "version": 1,
            "owner": "team:data",
            "pii": True,
        }


class ThirdPartyRefused(pa.DataFrameModel):
    """Rows, values and whole files of third parties that could not be used. The refused value
    itself stays in the vendor's file.
    """

    file: str = pa.Field(description="Name of the file in enrichment.yaml")
    row: int = pa.Field(ge=0, description="Row of the file, counted from 1; 0 for the whole file")
    attribute: str = pa.Field(description="Attribute whose value was refused; empty: the whole row")
    reason: str = pa.Field(
        isin=[
            "file_refused",
            "key_unreadable",
            "key_repeated",
            "day_unreadable",
            "no_longer_valid",
            "too_old",
            "value_unknown",
            "confidence_unreadable",
        ],
        description="Why",
    )

    class Config:
        """What the table promises as a whole."""

        name = "third_party_refused"
        metadata = {
            "room": "profiles",
            "key": ["file", "row", "attribute"],
            "grain": "one row per refused row, value or file",
            "version": 1,
            "owner": "team:data",
            "pii": False,
        }


class Imputations(pa.DataFrameModel):
    """Missing attributes of customers that were filled in: by a third party, else by a model. A
    fact is never overwritten: where there is one, there is no row here.
    """

    customer_id: str = pa.Field(description="Stable id of the person")
    attribute: str = pa.Field(isin=list(ATTRIBUTES), description="Attribute of the profile")
    value: str = pa.Field(description="What was filled in")
    confidence: float = pa.Field(
        ge=0,
        le=1,
        description="How often such a value is right: calibrated on known values for a model, the "
        "vendor's word for a third party",
        metadata={"unit": "share"},
    )
    origin: str = pa.Field(
        str_matches="^(third_party/.+/[0-9]+|imputed/.+)$",
        description="third_party/file/row or imputed/model version",
    )

    class Config:
        """What the table promises as a whole."""

        name = "imputations"
        metadata = {
            "room": "profiles",
            "key": ["customer_id", "attribute"],
            "grain": "one row per customer and attribute that was filled in",
            "version": 1,
            "owner": "team:data",
            "pii": True,
        }


class ImputationQuality(pa.DataFrameModel):
    """How well each attribute can be predicted, measured on known values that the model had not
    seen, and whether it is. A model is used only when it beats the commonest value by more than
    chance (accuracy_gain_low > 0) and is right as often as it says where it is confident.
    """

    attribute: str = pa.Field(description="Attribute of the profile")
    model_version: str = pa.Field(
        description="Names the model by its training data; part of the origin of what it fills"
    )
    used: bool = pa.Field(description="Whether the model may fill anything")
    reason: str = pa.Field(description="Why it is used or not, in one sentence")
    known: int = pa.Field(
        ge=0, description="Known values that were learned from", metadata={"unit": "count"}
    )
    missing: int = pa.Field(
        ge=0,
        description="Customers who agreed to personalisation and lack it",
        metadata={"unit": "count"},
    )
    filled: int = pa.Field(
        ge=0, description="Of these, filled by the model", metadata={"unit": "count"}
    )
    accuracy: float = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="Share of unseen known values that were predicted right; empty with too few",
        metadata={"unit": "share"},
    )
    baseline: float = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="The same for always saying the commonest value",
        metadata={"unit": "share"},
    )
    accuracy_gain_low: float = pa.Field(
        nullable=True,
        description="Lower end of the 95 % interval of accuracy - baseline (bootstrap over "
        "households)",
        metadata={"unit": "share"},
    )
    accuracy_gain_high: float = pa.Field(
        nullable=True, description="Upper end of that interval", metadata={"unit": "share"}
    )
    log_loss: float = pa.Field(
        ge=0,
        nullable=True,
        description="Mean log loss of the calibrated probabilities on unseen values",
        metadata={"unit": "nat"},
    )
    baseline_log_loss: float = pa.Field(
        ge=0,
        nullable=True,
        description="The same for always giving the shares of the values",
        metadata={"unit": "nat"},
    )
    calibration_error: float = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="Mean distance of confidence from hit rate (expected calibration error, ten "
        "bins)",
        metadata={"unit": "share"},
    )
    confident_share: float = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="Share of unseen values with a confidence of imputation_confidence or more",
        metadata={"unit": "share"},
    )
    confident_accuracy: float = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="How many of these were predicted right",
        metadata={"unit": "share"},
    )
    trained_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        description="Time of the run that trained it (UTC)"
    )

    class Config:
        """What the table promises as a whole."""

        name = "imputation_quality"
        metadata = {
            "room": "profiles",
            "key": ["attribute", "model_version"],
            "grain": "one row per attribute and model version",
            "version": 1,
            "owner": "team:data",
            "pii": False,
        }
