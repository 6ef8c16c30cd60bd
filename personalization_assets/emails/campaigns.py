"""Campaign folders: what a marketer writes in `data/campaigns/<name>/campaign.yaml`.

A campaign is a folder with `campaign.yaml`, `subject.liquid`, `preheader.liquid`, `body.mjml` and
`text.liquid`; a variant may bring its own file for any of the four (a body may also be `.html`).
Folders whose name starts with `_` are not campaigns (`_blocks` holds shared parts).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import sqlglot
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlglot import expressions as sql

from personalization_assets.emails.brand import Address, Sender, Text
from personalization_assets.emails.checking.rules import RULES
from personalization_assets.emails.problems import (
    Place,
    YamlError,
    all_problems,
    did_you_mean,
    fits,
    read_yaml,
    yaml_line,
)
from personalization_assets.errors import UserError

Name = Annotated[
    str, fits("[a-z][a-z0-9_]{0,39}", "a word of small letters, digits and underscores")
]
FileName = Annotated[
    str, fits("[A-Za-z0-9][A-Za-z0-9._-]*", "the name of a file beside campaign.yaml")
]
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLOCK_FUNCTIONS = (
    sql.CurrentTimestamp,
    sql.CurrentDate,
    sql.CurrentTime,
    sql.CurrentDatetime,
    sql.Rand,
    sql.Uuid,
)
CLOCK_NAMES = {"now", "today", "random", "uuid", "gen_random_uuid", "get_current_timestamp"}


class Utm(BaseModel):
    """Tags that are added to every link to the shop."""

    model_config = ConfigDict(extra="forbid")
    source: Name = "newsletter"
    medium: Name = "email"
    campaign: Name | None = Field(default=None, description="Default: the campaign's name")


class Products(BaseModel):
    """How many products a mail shows, and how few are too few."""

    model_config = ConfigDict(extra="forbid")
    count: int = Field(default=6, ge=0, le=24)
    minimum: int = Field(
        default=2, ge=0, le=24, description="Below this, best sellers fill the block up"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Products":
        if self.minimum > self.count:
            raise ValueError(f"minimum ({self.minimum}) is above count ({self.count})")
        return self


class Variant(BaseModel):
    """One arm of an A/B test: its share of people, and the files that differ."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    share: float = Field(gt=0, le=1)
    subject: FileName = "subject.liquid"
    preheader: FileName = "preheader.liquid"
    body: FileName = "body.mjml"
    text: FileName = "text.liquid"


class CampaignFile(BaseModel):
    """The fields of `campaign.yaml`."""

    model_config = ConfigDict(extra="forbid")
    description: Text
    kind: Literal["promotional", "transactional"] = "promotional"
    priority: int = Field(ge=0, le=1000, description="Higher goes first when caps are short")
    cap_class: Literal["standard", "exempt"] | None = None
    schedule: str = Field(default="daily", description="`daily`, or days of the week with commas")
    again_after_days: int = Field(
        default=7, ge=0, le=3650, description="The same person gets it again after so many days"
    )
    audience: Text = Field(description="SQL condition over the columns of golden_profiles")
    needs_personalisation: bool = Field(
        default=False, description="Only for people who agreed to personalisation"
    )
    mailing_list: Name = Field(
        default="newsletter",
        alias="list",
        description="Who unsubscribes from the list gets none of its promotional campaigns",
    )
    holdout: float = Field(default=0.0, ge=0, lt=1, description="Share that is never mailed")
    experiment: Name | None = Field(
        default=None,
        description="Another word here draws holdout and variants anew; default: campaign's name",
    )
    sender: Sender | None = Field(default=None, alias="from", description="Default: the brand's")
    reply_to: Address | None = None
    utm: Utm = Utm()
    products: Products = Products()
    variants: list[Variant] = Field(default=[Variant(name="a", share=1.0)], min_length=1)
    allow: list[str] = Field(
        default=[],
        description="Warnings of `personalize campaign check` that are meant to be so, by code",
    )

    @field_validator("allow")
    @classmethod
    def _warnings(cls, value: list[str]) -> list[str]:
        for code in value:
            if code not in RULES:
                hint = did_you_mean(code, RULES).rstrip("?")
                raise ValueError(f"{code!r} is not the code of a finding{hint}")
            if RULES[code].severity == "error":
                raise ValueError(f"{code!r} is an error, and only warnings can be allowed")
        return value

    @field_validator("schedule", mode="before")
    @classmethod
    def _days(cls, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("must be 'daily', or days of the week with commas between them")
        words = [w.strip().lower() for w in value.split(",")]
        for word in words:
            if words != ["daily"] and word not in DAYS:
                hint = did_you_mean(word, [*DAYS, "daily"]).rstrip("?")
                raise ValueError(f"{word!r} is neither 'daily' nor a day of the week{hint}")
        return ", ".join(words)

    @field_validator("audience")
    @classmethod
    def _one_condition(cls, value: str) -> str:
        check_condition(value)
        return value.strip()

    @model_validator(mode="after")
    def _whole(self) -> "CampaignFile":
        total = sum(v.share for v in self.variants)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the variants add up to {total:g}, not to 1")
        names = [v.name for v in self.variants]
        if len(set(names)) < len(names):
            raise ValueError("two variants have the same name; give each its own")
        if self.kind == "promotional" and self.cap_class == "exempt":
            raise ValueError(
                "cap_class: a promotional campaign can't be exempt from the caps; "
                "remove cap_class or make it transactional"
            )
        return self


@dataclass(frozen=True)
class Campaign:
    """A campaign folder that passed its checks."""

    name: str
    folder: Path
    file: CampaignFile

    @property
    def capped(self) -> bool:
        """Whether mails of this campaign count against the caps."""
        if self.file.cap_class is not None:
            return self.file.cap_class == "standard"
        return self.file.kind == "promotional"

    def due(self, weekday: int) -> bool:
        """Whether the schedule names this day (Monday is 0)."""
        return self.file.schedule == "daily" or DAYS[weekday] in self.file.schedule.split(", ")


def check_condition(condition: str) -> None:
    """Refuse what is not one SQL condition that gives the same answer every time.

    Raises:
        ValueError: half a sentence that says what to change.
    """
    try:
        statements = sqlglot.parse(f"SELECT 1 WHERE ({condition}\n)", read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        said = re.sub(r"\x1b\[[0-9;]*m| for <class [^>]*>", "", str(error))
        detail = said.splitlines()[0].rstrip(". ")
        raise ValueError(f"this is not one SQL condition ({detail})") from error
    tree = statements[0]
    if len(statements) != 1 or not isinstance(tree, sql.Select):
        raise ValueError("this must be one SQL condition, without ';'")
    if len(list(tree.find_all(sql.Select))) > 1:
        raise ValueError("sub-queries are not allowed; put the measure into golden_profiles")
    for node in tree.find_all(sql.Func):
        name = node.name.lower() if isinstance(node, sql.Anonymous) else ""
        if isinstance(node, CLOCK_FUNCTIONS) or name in CLOCK_NAMES:
            raise ValueError(
                "functions that read the clock or chance are not allowed; use the column as_of "
                "for the time of the run"
            )


class CampaignError(UserError):
    """What is wrong in a campaign's own file: `problems` are lines (from 1) and half sentences."""

    def __init__(self, path: Path, problems: Sequence[tuple[int, str]], says: str = "") -> None:
        super().__init__(says or f"{path} line {problems[0][0]}: {problems[0][1]}.")
        self.path, self.problems = path, problems


def load_campaigns(folder: Path, only: list[str] | None = None) -> list[Campaign]:
    """All campaigns of a folder, by name. An absent folder holds none.

    Raises:
        UserError: the first mistake found in a campaign, or a name in `only` that does not exist.
    """
    return [load_campaign(p) for p in campaign_folders(folder, only)]


def campaign_folders(folder: Path, only: Sequence[str] | None = None) -> list[Path]:
    """The folders of all campaigns, or of some, by name.

    Raises:
        UserError: a name in `only` that does not exist.
    """
    folders = (
        sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "_.")
        if folder.is_dir()
        else []
    )
    if only is None:
        return folders
    names = [p.name for p in folders]
    for name in only:
        if name not in names:
            raise UserError(
                f"There is no campaign {name!r} in {folder}{did_you_mean(name, names)} "
                f"Campaigns there: {', '.join(names) or 'none'}."
            )
    return [p for p in folders if p.name in only]


def load_campaign(folder: Path) -> Campaign:
    """One campaign folder, its yaml validated and its files found.

    Raises:
        CampaignError: one sentence that names the file and the field.
    """
    path = folder / "campaign.yaml"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", folder.name):
        says = (
            f"The campaign folder {folder} needs a name of small letters, digits and underscores "
            f"that starts with a letter."
        )
        raise CampaignError(path, [(1, says.rstrip("."))], says)
    if not path.is_file():
        says = (
            f"{folder} has no campaign.yaml: add one, or start the folder's name with '_' if it "
            f"is not a campaign."
        )
        raise CampaignError(path, [(1, says.rstrip("."))], says)
    try:
        text, raw = read_yaml(path)
    except YamlError as error:
        raise CampaignError(path, [(error.line, error.problem)]) from error
    if not isinstance(raw, dict):
        says = f"{path} must hold fields such as description and audience."
        raise CampaignError(path, [(1, "this must hold fields such as description")], says)
    try:
        file = CampaignFile.model_validate(raw)
    except ValidationError as error:
        problems = [(yaml_line(text, at), say) for at, say in all_problems(error, _fields)]
        raise CampaignError(path, problems) from error
    missing = [
        (
            yaml_line(text, ("variants", number)),
            f"variant {variant.name!r} needs the file {name}, which is not in {folder}; add it",
        )
        for number, variant in enumerate(file.variants)
        for name in (variant.subject, variant.preheader, variant.body, variant.text)
        if not (folder / name).is_file()
    ]
    if missing:
        raise CampaignError(path, missing)
    return Campaign(folder.name, folder, file)


def _fields(place: Place) -> list[str]:
    """Known names at the place where a validation failed."""
    models: dict[str, type[BaseModel]] = {
        "variants": Variant,
        "utm": Utm,
        "products": Products,
        "from": Sender,
    }
    model = models.get(str(place[0]), CampaignFile) if len(place) > 1 else CampaignFile
    return [f.alias or name for name, f in model.model_fields.items()]
