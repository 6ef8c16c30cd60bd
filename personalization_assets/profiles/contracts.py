"""Contracts of the profiles room's tables that are not SQL models."""

import pandera.polars as pa
import polars as pl


class Attributes(pa.DataFrameModel):
    """The facts about a person that survive when their records disagree, each with the record it
    came from. The rules are data: `data/survivorship.yaml`.
    """

    customer_id: str = pa.Field(description="Stable id of the person")
    given_name: str = pa.Field(nullable=True, description="First name")
    given_name_origin: str = pa.Field(
        nullable=True, description="Record behind given_name, as source/record_id"
    )
    family_name: str = pa.Field(nullable=True, description="Last name")
    family_name_origin: str = pa.Field(
        nullable=True, description="Record behind family_name, as source/record_id"
    )
    email: str = pa.Field(nullable=True, description="Address that mail goes to, canonical form")
    email_origin: str = pa.Field(
        nullable=True, description="Record behind email, as source/record_id"
    )
    phone: str = pa.Field(nullable=True, description="Telephone number, E.164")
    phone_origin: str = pa.Field(
        nullable=True, description="Record behind phone, as source/record_id"
    )
    birth_date: pl.Date = pa.Field(nullable=True, description="Date of birth")
    birth_date_origin: str = pa.Field(
        nullable=True, description="Record behind birth_date, as source/record_id"
    )
    gender: str = pa.Field(nullable=True, description="female, male or other")
    gender_origin: str = pa.Field(
        nullable=True, description="Record behind gender, as source/record_id"
    )
    street: str = pa.Field(nullable=True, description="Street and number")
    street_origin: str = pa.Field(
        nullable=True, description="Record behind street, as source/record_id"
    )
    postcode: str = pa.Field(nullable=True, description="Postcode")
    postcode_origin: str = pa.Field(
        nullable=True, description="Record behind postcode, as source/record_id"
    )
    city: str = pa.Field(nullable=True, description="Town")
    city_origin: str = pa.Field(
        nullable=True, description="Record behind city, as source/record_id"
    )
    region: str = pa.Field(nullable=True, description="State or region, as its source spells it")
    region_origin: str = pa.Field(
        nullable=True, description="Record behind region, as source/record_id"
    )
    country: str = pa.Field(nullable=True, description="ISO 3166-1 alpha-2 code")
    country_origin: str = pa.Field(
        nullable=True, description="Record behind country, as source/record_id"
    )
    language: str = pa.Field(nullable=True, description="ISO 639-1 code")
    language_origin: str = pa.Field(
        nullable=True, description="Record behind language, as source/record_id"
    )
    account_key: str = pa.Field(nullable=True, description="Shop account, as system:number")
    account_key_origin: str = pa.Field(
        nullable=True, description="Record behind account_key, as source/record_id"
    )
    loyalty_tier: str = pa.Field(
        nullable=True, description="Level in the loyalty programme (bronze, silver, gold, platinum)"
    )
    loyalty_tier_origin: str = pa.Field(
        nullable=True, description="Record behind loyalty_tier, as source/record_id"
    )
    loyalty_points: int = pa.Field(
        nullable=True, description="Points in the loyalty programme", metadata={"unit": "points"}
    )
    loyalty_points_origin: str = pa.Field(
        nullable=True, description="Record behind loyalty_points, as source/record_id"
    )
    loyalty_since: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When the membership began (UTC)"
    )
    loyalty_since_origin: str = pa.Field(
        nullable=True, description="Record behind loyalty_since, as source/record_id"
    )
    updated_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="Newest update of any record that says something of them (UTC)"
    )

    class Config:
        """What the table promises as a whole."""

        name = "attributes"
        metadata = {
            "room": "profiles",
            "key": ["customer_id"],
            "grain": "one row per customer",
            "version": 1,
            "owner": "team:crm",
            "pii": True,
        }


class Maturity(pa.DataFrameModel):
    """How far the shop's data carries each data point of a golden profile, and what to do next."""

    data_point: str = pa.Field(description="Column of profiles.golden_profiles")
    coverage: float = pa.Field(
        ge=0,
        le=1,
        description="Share of customers for whom it is known",
        metadata={"unit": "share"},
    )
    validity: float = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="Share of the known values that can be right; empty where none is known",
        metadata={"unit": "share"},
    )
    freshness_days: float = pa.Field(
        ge=0,
        nullable=True,
        description="Median age of what it rests on, over customers for whom it is known",
        metadata={"unit": "days"},
    )
    origin_sources: int = pa.Field(
        ge=0, description="Number of sources that it comes from", metadata={"unit": "count"}
    )
    stage: str = pa.Field(
        isin=["missing", "emerging", "usable", "trusted"],
        description="missing (nobody has it), emerging, usable or trusted",
    )
    advice: str = pa.Field(description="What would help most, in one sentence")
    uniqueness: float = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="Of what names a person: different values per customer who has one",
        metadata={"unit": "share"},
    )
    consent: float = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="Share of those who have it who agreed to the use it needs: mail, text "
        "messages or personalisation",
        metadata={"unit": "share"},
    )
    score: float = pa.Field(
        ge=0,
        le=1,
        description="Weighted mean of coverage, validity, freshness, uniqueness and consent",
        metadata={"unit": "share"},
    )
    campaigns: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]
        description="Campaigns whose audience or templates use it"
    )
    models: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]
        description="Models that read it: product lists, imputation"
    )
    customers_to_reach: int = pa.Field(
        ge=0,
        description="Customers whom a fix would help: reachable, without it or with a wrong one",
        metadata={"unit": "count"},
    )
    gain: float = pa.Field(
        ge=0, description="customers_to_reach as a share of all customers, times what uses it"
    )
    rank: int = pa.Field(
        ge=1, nullable=True, description="What to fix next, 1 first; empty where nothing is gained"
    )

    class Config:
        """What the table promises as a whole."""

        name = "maturity"
        metadata = {
            "room": "profiles",
            "key": ["data_point"],
            "grain": "one row per data point of the golden profile",
            "version": 2,
            "owner": "team:data",
            "pii": False,
        }
