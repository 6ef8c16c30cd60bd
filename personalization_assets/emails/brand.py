"""The shop as its mails show it: `data/brand.yaml`."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from personalization_assets.emails.problems import (
    Place,
    YamlError,
    all_problems,
    fits,
    read_yaml,
    yaml_line,
)
from personalization_assets.errors import UserError

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Url = Annotated[str, fits(r"https?://[^\s\"'<>]+", "an address that begins with https://")]
Colour = Annotated[str, fits(r"#[0-9a-fA-F]{6}", "a colour such as '#1f5c46'")]
Address = Annotated[str, fits(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+", "an e-mail address")]
Country = Annotated[str, fits("[A-Z]{2}", "a country's two letters, such as IE")]
Currency = Annotated[str, fits("[A-Z]{3}", "a currency's three letters, such as EUR")]
LOCALES = ("en", "de", "fr", "es", "it", "nl")
Locale = Annotated[str, fits("|".join(LOCALES), f"one of {', '.join(LOCALES)}")]


class Sender(BaseModel):
    """A name and an address, as in a From header."""

    model_config = ConfigDict(extra="forbid")
    name: Text
    email: Address


class Colours(BaseModel):
    """The few colours that the shipped templates use."""

    model_config = ConfigDict(extra="forbid")
    ink: Colour = "#23302a"
    muted: Colour = "#66716b"
    paper: Colour = "#ffffff"
    canvas: Colour = "#f3f1ec"
    accent: Colour = "#1f5c46"
    soft: Colour = "#e7efe9"
    highlight: Colour = "#b4552d"


class RegionalOffer(BaseModel):
    """A line that only people in some countries see."""

    model_config = ConfigDict(extra="forbid")
    countries: list[Country]
    text: Text


class Brand(BaseModel):
    """Name, addresses and looks of the shop; the same for every campaign."""

    model_config = ConfigDict(extra="forbid")
    name: Text
    tagline: str = ""
    legal_name: Text
    postal_address: Text = Field(description="Required by law in every promotional mail")
    support_email: Address
    sender: Sender
    reply_to: Address | None = None
    site_url: Url
    bestsellers_url: Url
    cart_url: Url
    product_url: Url = Field(description="Address of a product; {product_id} is replaced")
    unsubscribe_url: Url = Field(description="Where List-Unsubscribe posts to; must be https")
    preferences_url: Url
    locale: Locale = "en"
    currency: Currency = "EUR"
    colours: Colours = Colours()
    tile_colours: list[Colour] = Field(
        default=["#dbe6dd", "#eadfd0", "#d9e2ea", "#ece3e6", "#e6e4d2", "#dfe7e6"],
        min_length=1,
        description="Behind product pictures, by category, while they load or can't",
    )
    regional_offers: list[RegionalOffer] = []


def load_brand(path: Path) -> Brand:
    """Read `brand.yaml`.

    Raises:
        UserError: the file is absent, is not YAML, or a field is missing, unknown or malformed; the
            first mistake, with its line.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing: write the shop's name, postal address, links and sender there "
            f"(the project's data/brand.yaml is an example)."
        )
    try:
        text, raw = read_yaml(path)
    except YamlError as error:
        raise UserError(f"{path} line {error.line}: {error.problem}.") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold fields such as name and site_url, one per line.")
    try:
        return Brand.model_validate(raw)
    except ValidationError as error:
        at, says = all_problems(error, _fields)[0]
        raise UserError(f"{path} line {yaml_line(text, at)}: {says}.") from error


def _fields(place: Place) -> list[str]:
    """Known names at the place where a validation failed."""
    models: dict[str, type[BaseModel]] = {
        "sender": Sender,
        "colours": Colours,
        "regional_offers": RegionalOffer,
    }
    return list(
        models.get(str(place[0]), Brand).model_fields if len(place) > 1 else Brand.model_fields
    )
