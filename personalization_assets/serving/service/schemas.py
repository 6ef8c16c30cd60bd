"""What the service takes and gives, as OpenAPI shows it."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_IDS = 100
MOST_PRODUCTS = 100

ProductId = Annotated[str, Field(min_length=1, max_length=200, examples=["P00042"])]
ProductIds = Annotated[list[ProductId], Field(max_length=MOST_IDS)]
ServedBy = Literal["live", "cached", "popular"]


class CartLine(BaseModel):
    """A product in the customer's cart."""

    model_config = ConfigDict(extra="forbid")

    product_id: ProductId
    quantity: int = Field(default=1, ge=1, le=1_000_000, description="Pieces")


class Context(BaseModel):
    """What the customer is doing right now, and what may be answered."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "n": 4,
                    "cart": [{"product_id": "P00042", "quantity": 2}],
                    "viewed": ["P00017"],
                    "exclude": ["P00099"],
                    "max_price": 50,
                }
            ]
        },
    )

    n: int = Field(default=8, ge=1, le=MOST_PRODUCTS, description="Products wanted")
    cart: list[CartLine] = Field(
        default_factory=list,
        max_length=MOST_IDS,
        description="What lies in the cart: it says what is wanted, and is not recommended",
    )
    viewed: ProductIds = Field(
        default_factory=list,
        description="Products just viewed: they say what is wanted, and are not recommended",
    )
    exclude: ProductIds = Field(default_factory=list, description="Products not to recommend")
    category: str | None = Field(
        default=None, max_length=200, description="Only products of this category"
    )
    max_price: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Only products that cost no more"
    )


class Item(BaseModel):
    """A product to show."""

    position: int = Field(description="Place in the answer, 1 first", examples=[1])
    product_id: str = Field(examples=["P00042"])
    name: str | None = Field(description="Name for people", examples=["Oak serving board"])
    category: str | None = Field(examples=["Kitchen"])
    brand: str | None = Field(examples=["Alder"])
    price: float | None = Field(description="In `currency`", examples=[34.5])
    url: str | None = Field(description="Page of the product")
    image_url: str | None = Field(description="Picture of the product")
    score: float = Field(
        description="By what its source ranks; comparable within one answer and source only"
    )
    source: str = Field(
        description="What put it there: als or similar (the model), repeat, new, category, region, "
        "popular, bought_together and others, as in recommendations.top_products",
        examples=["als"],
    )
    reason: str | None = Field(
        description="Why, in words that a customer can be shown",
        examples=["Goes with Linen apron in your cart"],
    )
    recommendation_id: str = Field(
        description="Give it back with a click: md5 of customer|product|model version",
        examples=["0f343b0931126a20f133d67c2b018a3b"],
    )


class Answer(BaseModel):
    """What every answer with data says about itself."""

    model_version: str = Field(
        description="Version of the model in recommendations.als_model; none without one",
        examples=["3f2a90c41d7e"],
    )
    published_at: dt.datetime = Field(description="When the data were published (UTC)")
    request_id: str = Field(description="Also in the header X-Request-Id, and in the log")


class Recommendations(Answer):
    """Products for a customer, best first."""

    customer_id: str = Field(
        description="The customer's id now: another than asked for if that was merged into it",
        examples=["c_5f0c3a9be1d24c77"],
    )
    known: bool = Field(description="Whether there is such a customer")
    served_by: ServedBy = Field(
        description="live: scored now; cached: the published list; popular: best sellers"
    )
    fallback: str | None = Field(
        description="Why it is not the first choice: late, busy, failed, switched_off, no_model, "
        "nothing_to_score, no_list, no_consent, unknown_customer; null if it is",
        examples=[None],
    )
    currency: str = Field(description="Of prices, ISO 4217", examples=["EUR"])
    items: list[Item]


class Similar(Answer):
    """Products that go with a product, best first."""

    product_id: str = Field(examples=["P00042"])
    served_by: ServedBy = Field(
        description="cached: the published list of similar products; popular: best sellers of the "
        "category, where there are no similar ones"
    )
    currency: str = Field(description="Of prices, ISO 4217", examples=["EUR"])
    items: list[Item]


class Profile(Answer):
    """What may be said about a customer."""

    customer_id: str = Field(description="The customer's id now", examples=["c_5f0c3a9be1d24c77"])
    personal_contents_allowed: bool = Field(
        description="Whether the customer agreed to contents chosen by their behaviour"
    )
    fields: dict[str, Any] = Field(
        description="Values by column of profiles.golden_profiles; null where unknown",
        examples=[{"given_name": "Aoife", "favourite_category": "Kitchen"}],
    )
    withheld: list[str] = Field(
        description="Fields left out because the customer did not agree to personal contents"
    )


class Preferences(Answer):
    """What a customer stated last in the preference centre."""

    customer_id: str = Field(description="The customer's id now", examples=["c_5f0c3a9be1d24c77"])
    categories: list[str] | None = Field(
        description="Categories named, in the order stated; null if none ever were"
    )
    frequency: str | None = Field(
        description="How often mail is wanted: daily, weekly or monthly", examples=["weekly"]
    )
    language: str | None = Field(
        description="Language: stated, else as records say (ISO 639-1)", examples=["en"]
    )
    stated_at: dt.datetime | None = Field(description="Latest statement (UTC)")


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether there are data to answer from, and how new they are."""

    status: Literal["ready", "not_ready"]
    published_at: dt.datetime | None = Field(description="Publication in use (UTC)")
    age_seconds: float | None = Field(description="Its age")
    model_version: str | None
    customers: int | None = Field(description="Customers in it")
    refused: str | None = Field(
        description="Why the newest file is not in use, and what to do; null while it is"
    )


class Problem(BaseModel):
    """An error, as application/problem+json (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Too Many Requests"])
    status: int = Field(examples=[429])
    detail: str = Field(
        description="What is wrong, and what to do",
        examples=["The limit of this key is 100/second: try again in 1 s."],
    )
    request_id: str
