"""What a user may set about person matching; how fields are compared is in `comparisons.yaml`."""

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class IdentitySettings(BaseModel):
    """Thresholds are probabilities; sizes count records after exact duplicates collapsed."""

    model_config = ConfigDict(extra="forbid")

    match_threshold: float = Field(
        0.5, gt=0, le=1, description="Pairs at least this probable can bring records together"
    )
    strict_threshold: float = Field(
        0.99,
        gt=0,
        le=1,
        description="Records may be shown to each other on pairs at least this probable, as long "
        "as no pair among them is improbable: identity.links_strict",
    )
    one_per_person: dict[str, list[Literal["account_key", "record_id", "birth_date"]]] = Field(
        {},
        description="By source ('*': any), columns that it has verified and a person has one value "
        "of: records with two different account keys of one system, two record ids of one source, "
        "or two birth dates are never one person, unless somebody decides so",
    )
    review_threshold: float = Field(
        0.3, gt=0, le=1, description="Pairs from here to the match threshold are put to a person"
    )
    household_threshold: float = Field(
        0.5, gt=0, le=1, description="Customers at least this probably living together share an id"
    )
    keep_threshold: float = Field(
        0.01, gt=0, le=1, description="Less probable pairs are not kept in identity.matches"
    )
    bridge_weight: float = Field(
        2.0,
        ge=0,
        description="Two groups of at least two records each are joined only by more evidence than "
        "this (sum of log2 odds of all pairs between them); less goes to the review queue",
    )
    max_cluster_size: int = Field(
        60, ge=2, description="Larger clusters are held for review and published unmerged"
    )
    max_component_size: int = Field(
        250, ge=2, description="Larger components are cut at stricter thresholds before clustering"
    )
    max_household_size: int = Field(
        12, ge=2, description="Larger households are cut at stricter probabilities"
    )
    max_block_size: int = Field(
        100, ge=2, description="A blocking value shared by more records than this makes no pairs"
    )
    junk_names: int = Field(
        4,
        ge=1,
        description="An e-mail, phone or device with more different first and more different last "
        "names than this is junk and ignored",
    )
    mass_date_factor: float = Field(
        25.0, gt=1, description="A birth date this many times as frequent as the median is ignored"
    )
    mass_date_minimum: int = Field(
        20, ge=2, description="A birth date is never a mass date with at most this many records"
    )
    minimum_records: int = Field(
        200, ge=0, description="With fewer records the model keeps its prior probabilities"
    )
    minimum_filled: float = Field(
        0.005, ge=0, le=1, description="A field filled in less often than this leaves the model"
    )
    sample_records: int = Field(
        2500, ge=100, description="Records crossed with each other to see how strangers agree"
    )
    prior_pairs: float = Field(
        1e6, ge=0, description="Weight of the prior chance that strangers share an identifier"
    )
    em_max_pairs: float = Field(
        1e6, ge=1000, description="Pairs per training block that expectation maximisation reads"
    )
    em_iterations: int = Field(15, ge=1, description="Rounds of expectation maximisation at most")
    em_prior_pairs: float = Field(
        20.0, ge=0, description="Weight of the prior chance that two records of one person agree"
    )
    retrain_growth: float = Field(
        4.0, gt=1, description="Train again when there are this many times the records of then"
    )
    seed: int = Field(1, ge=0, description="Start of every random choice in training")
    retrain: int = Field(0, ge=0, description="Change this number to train again on purpose")
    gate_min_kept: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Links are published only if at least this share of the records that were "
        "there before keep their customer_id",
    )
    gate_max_merge_share: float = Field(
        0.05, ge=0, le=1, description="At most this share of the former customers goes into others"
    )
    gate_max_split_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="At most so many customers are split off, as a share of the former customers",
    )
    gate_max_retired_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="At most this share of the former customers is retired with all their records",
    )
    gate_max_alone_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="At most this share of the records loses all other records of its customer",
    )
    gate_max_cluster: int = Field(
        1000, ge=2, description="No customer grows beyond so many records"
    )
    gate_max_conflicting_share: float = Field(
        0.03,
        ge=0,
        le=1,
        description="The share of customers with conflicting first names does not grow beyond this",
    )
    gate_min_records: int = Field(
        100, ge=0, description="With fewer records before or now, nothing is held back"
    )
    gate_accept: dt.date | None = Field(
        None,
        description="A day (of the run's as_of, UTC) on which links are published whatever "
        "changed; it is for that day only, so it may stay in the file",
    )
    incremental: bool = Field(
        True,
        description="Look only at what has changed since the last run, where that gives the same "
        "result; `identity link --full` looks at all records once",
    )
    incremental_share: float = Field(
        0.2, ge=0, le=1, description="If more of the records have changed, all are linked again"
    )
    train_now: bool = Field(
        False, description="Train in this run whatever the model; `identity train` sets it"
    )
