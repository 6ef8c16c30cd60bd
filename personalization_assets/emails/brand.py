"""The shop as its mails show it: `data/brand.yaml`."""

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from personalization_assets.emails.problems import first_problem
from personalization_assets.errors import UserError

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s\"'<>]+$")]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+$")]


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
    countries: list[Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]]
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
    locale: str = Field(default="en", pattern="^(en|de|fr|es|it|nl)$")
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$")
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
        UserError: the file is absent, is not YAML, or a field is missing, unknown or malformed.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing: write the shop's name, postal address, links and sender there "
            f"(the project's data/brand.yaml is an example)."
        )
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {first_problem(error)}.") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold fields such as name and site_url, one per line.")
    try:
        return Brand.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{path}: {first_problem(error, known=known_fields(Brand))}.") from error


@cache
def known_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Field names of a model, for a suggestion when one is misspelt."""
    return tuple(f.alias or n for n, f in model.model_fields.items())
