"""Contracts of the tables that are about a person: CRM, loyalty, preference centre."""

import pandera.polars as pa
import polars as pl

from personalization_assets.standardized.contracts.base import (
    COUNTRY_PATTERN,
    EMAIL_PATTERN,
    EMAIL_WARNINGS,
    LANGUAGE_PATTERN,
    PERSON_WARNINGS,
    PHONE_PATTERN,
    StandardizedRow,
    at_least_one,
    believable_age,
    born_in_range,
    contract_metadata,
    countrys_postcode,
    given_out,
    in_order,
    known,
    lasting_address,
    no_task,
    not_in_the_future,
    readable_row,
    real_name,
)

GENDERS = ["female", "male", "other"]
TIERS = ["bronze", "silver", "gold", "platinum"]
FREQUENCIES = ["daily", "weekly", "monthly"]
POINTS_LIMIT = 100_000_000


class CrmContacts(StandardizedRow):
    """A contact as the CRM knows it: name, ways to reach the person, address, e-mail opt-in."""

    contact_id: str = pa.Field(
        description="The CRM's own id of the contact", str_length={"min_value": 1, "max_value": 200}
    )
    record_id: str = pa.Field(description="Record in identity.records; the contact_id")
    account_key: str = pa.Field(
        nullable=True, description="Shop account the contact is tied to, '<system>:<id>'"
    )
    given_name: str = pa.Field(nullable=True, description="Given name")
    family_name: str = pa.Field(nullable=True, description="Family name")
    full_name: str = pa.Field(nullable=True, description="Whole name, as given or put together")
    email: str = pa.Field(
        nullable=True,
        str_matches=EMAIL_PATTERN,
        description="Deliverable address in canonical form: lower case, domain in ASCII",
    )
    phone: str = pa.Field(nullable=True, str_matches=PHONE_PATTERN, description="Phone, E.164")
    birth_date: pl.Date = pa.Field(
        nullable=True, description="Date of birth; after 1900 and before the run"
    )
    gender: str = pa.Field(
        nullable=True, isin=GENDERS, description="female, male or other; null when not stated"
    )
    street: str = pa.Field(nullable=True, description="Street and house number")
    postcode: str = pa.Field(nullable=True, description="Postal code, upper case")
    city: str = pa.Field(nullable=True, description="Town or suburb")
    region: str = pa.Field(nullable=True, description="State, county or province as given")
    country: str = pa.Field(
        nullable=True, str_matches=COUNTRY_PATTERN, description="Country, ISO 3166-1 alpha-2"
    )
    language: str = pa.Field(
        nullable=True, str_matches=LANGUAGE_PATTERN, description="Language, ISO 639-1"
    )
    device_id: str = pa.Field(
        nullable=True, description="Browser or app id that the CRM tied to the contact"
    )
    email_opt_in: bool = pa.Field(
        nullable=True, description="Agreed to marketing e-mail; null when not stated"
    )
    created_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When the contact was made (UTC)", metadata={"unit": "UTC"}
    )
    updated_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When the contact last changed (UTC)", metadata={"unit": "UTC"}
    )

    name_implausible = real_name()
    email_role = no_task()
    email_disposable = lasting_address()
    phone_invalid = given_out()
    postcode_shape = countrys_postcode()
    country_unknown = known("country", "a country")
    birth_date_range = born_in_range()
    birth_date_age = believable_age()
    gender_unknown = known("gender", "female, male or other")
    language_unknown = known("language", "a language")
    created_at_future = not_in_the_future("created_at")
    updated_at_future = not_in_the_future("updated_at")

    # Nothing downstream can use a contact that names nobody.
    contact_reachable = at_least_one(
        "contact.reachable",
        ["given_name", "family_name", "full_name", "email", "phone", "account_key"],
        "A contact has at least one of name, e-mail, phone or account",
    )
    # A clock or a column mapping is wrong somewhere; the row is still usable.
    updated_after_created = in_order(
        "updated_at.order",
        "created_at",
        "updated_at",
        "A contact is not updated before it was made",
    )
    made_after_birth = in_order(
        "created_at.before_birth",
        "birth_date",
        "created_at",
        "A contact is not made before the person was born",
    )

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "crm_contacts"
        metadata = contract_metadata(
            ["source", "contact_id"],
            "one row per contact of a CRM source",
            pii=True,
            warnings=[
                *PERSON_WARNINGS,
                "birth_date.type",
                "email_opt_in.type",
                "created_at.type",
                "updated_at.type",
                "birth_date.range",
                "birth_date.age",
                "gender.unknown",
                "language.unknown",
                "created_at.future",
                "updated_at.future",
                "updated_at.order",
                "created_at.before_birth",
            ],
            unreadable=["email", "phone", "birth_date", "email_opt_in", "created_at", "updated_at"],
        )


class LoyaltyMembers(StandardizedRow):
    """A member of the loyalty programme with tier and points."""

    member_id: str = pa.Field(
        description="The programme's id of the member",
        str_length={"min_value": 1, "max_value": 200},
    )
    record_id: str = pa.Field(description="Record in identity.records; the member_id")
    account_key: str = pa.Field(
        nullable=True, description="Shop account of the member, '<system>:<id>'"
    )
    given_name: str = pa.Field(nullable=True, description="Given name")
    family_name: str = pa.Field(nullable=True, description="Family name")
    full_name: str = pa.Field(nullable=True, description="Whole name, as given or put together")
    email: str = pa.Field(
        nullable=True, str_matches=EMAIL_PATTERN, description="Deliverable address, canonical"
    )
    phone: str = pa.Field(nullable=True, str_matches=PHONE_PATTERN, description="Phone, E.164")
    birth_date: pl.Date = pa.Field(
        nullable=True, description="Date of birth; after 1900 and before the run"
    )
    street: str = pa.Field(nullable=True, description="Street and house number")
    postcode: str = pa.Field(nullable=True, description="Postal code, upper case")
    city: str = pa.Field(nullable=True, description="Town or suburb")
    region: str = pa.Field(nullable=True, description="State, county or province as given")
    country: str = pa.Field(
        nullable=True, str_matches=COUNTRY_PATTERN, description="Country, ISO 3166-1 alpha-2"
    )
    tier: str = pa.Field(
        nullable=True, isin=TIERS, description="bronze, silver, gold or platinum; others are kept"
    )
    points: int = pa.Field(
        nullable=True,
        ge=0,
        le=POINTS_LIMIT,
        description="Points on the account",
        metadata={"unit": "points"},
    )
    enrolled_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When the person joined (UTC)", metadata={"unit": "UTC"}
    )
    updated_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When the member last changed (UTC)", metadata={"unit": "UTC"}
    )

    name_implausible = real_name()
    email_role = no_task()
    email_disposable = lasting_address()
    phone_invalid = given_out()
    postcode_shape = countrys_postcode()
    country_unknown = known("country", "a country")
    birth_date_range = born_in_range()
    birth_date_age = believable_age()
    enrolled_at_future = not_in_the_future("enrolled_at")
    updated_at_future = not_in_the_future("updated_at")

    updated_after_enrolled = in_order(
        "updated_at.order",
        "enrolled_at",
        "updated_at",
        "A member is not updated before it joined",
    )
    enrolled_after_birth = in_order(
        "enrolled_at.before_birth",
        "birth_date",
        "enrolled_at",
        "A member does not join before being born",
    )

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "loyalty_members"
        metadata = contract_metadata(
            ["source", "member_id"],
            "one row per member of a loyalty source",
            pii=True,
            warnings=[
                *PERSON_WARNINGS,
                "birth_date.type",
                "points.type",
                "enrolled_at.type",
                "updated_at.type",
                "birth_date.range",
                "birth_date.age",
                "tier.known",
                "points.range",
                "enrolled_at.future",
                "updated_at.future",
                "updated_at.order",
                "enrolled_at.before_birth",
            ],
            unreadable=["email", "phone", "birth_date", "points", "enrolled_at", "updated_at"],
        )


class Preferences(StandardizedRow):
    """What a person told the preference centre: consents, wishes, how often to write."""

    record_id: str = pa.Field(
        description="Record in identity.records: the centre's own id, else the e-mail"
    )
    account_key: str = pa.Field(
        nullable=True, description="Shop account of the person, '<system>:<id>'"
    )
    email: str = pa.Field(
        nullable=True, str_matches=EMAIL_PATTERN, description="Deliverable address, canonical"
    )
    email_marketing: bool = pa.Field(
        nullable=True, description="May we send marketing e-mail; null when not stated"
    )
    personalisation: bool = pa.Field(
        nullable=True, description="May we use behaviour to choose content; null when not stated"
    )
    sms_marketing: bool = pa.Field(
        nullable=True, description="May we send marketing text messages; null when not stated"
    )
    third_party: bool = pa.Field(
        nullable=True, description="May data go to third parties; null when not stated"
    )
    categories: pl.List(pl.String) = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="Categories the person asked for, in the order given"
    )
    frequency: str = pa.Field(
        nullable=True, isin=FREQUENCIES, description="daily, weekly or monthly; others are kept"
    )
    language: str = pa.Field(
        nullable=True, str_matches=LANGUAGE_PATTERN, description="Language, ISO 639-1"
    )
    updated_at: pl.Datetime("us") = pa.Field(  # type: ignore[valid-type]
        nullable=True, description="When the answers were given (UTC)", metadata={"unit": "UTC"}
    )

    email_role = no_task()
    email_disposable = lasting_address()
    language_unknown = known("language", "a language")
    updated_at_future = not_in_the_future("updated_at")

    row_unreadable = readable_row()

    class Config:
        """Facts about the table."""

        name = "preferences"
        metadata = contract_metadata(
            ["source", "record_id"],
            "one row per person who answered a preference centre",
            pii=True,
            # An unreadable consent is null, which counts as no further down.
            warnings=[
                *EMAIL_WARNINGS,
                "email_marketing.type",
                "personalisation.type",
                "sms_marketing.type",
                "third_party.type",
                "updated_at.type",
                "frequency.known",
                "language.unknown",
                "updated_at.future",
            ],
            unreadable=[
                "email",
                "email_marketing",
                "personalisation",
                "sms_marketing",
                "third_party",
                "updated_at",
            ],
        )
