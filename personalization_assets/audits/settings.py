"""What a user may set in the audits room."""

from pydantic import BaseModel, ConfigDict, Field

PERSONAL_COLUMNS = (
    "account_key",
    "birth_date",
    "city",
    "device_id",
    "email",
    "family_name",
    "full_name",
    "given_name",
    "handle",
    "page_url",
    "phone",
    "postcode",
    "record_id",
    "search_term",
    "street",
    "text",
    "url",
    "user_agent",
)


class AuditsSettings(BaseModel):
    """What is profiled, and from where on a change counts as drift."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profiled_rooms: tuple[str, ...] = Field(
        default=("standardized", "profiles"), description="Rooms whose columns are profiled"
    )
    personal_columns: tuple[str, ...] = Field(
        default=PERSONAL_COLUMNS,
        description="Columns of which only rows, nulls and distinct values are counted",
    )
    max_labels: int = Field(
        default=50, ge=2, le=1000, description="A text column with more values is not a label"
    )
    keep_runs: int = Field(
        default=400, ge=2, le=100_000, description="Runs kept per table in audits.runs"
    )
    renew_reference_days: float = Field(
        default=7.0,
        gt=0,
        le=366,
        description="Age at which a reference is replaced, so that slow drift adds up to a finding",
    )
    minimum_rows: int = Field(
        default=500, ge=1, description="Fewer rows than this, now or then, are not compared"
    )
    psi_warn: float = Field(default=0.10, gt=0, description="Population stability index: watch")
    psi_fail: float = Field(default=0.25, gt=0, description="Population stability index: act")
    js_warn: float = Field(
        default=0.10, gt=0, le=1, description="Jensen-Shannon distance, base 2: watch"
    )
    js_fail: float = Field(
        default=0.25, gt=0, le=1, description="Jensen-Shannon distance, base 2: act"
    )
    ks_warn: float = Field(
        default=0.05, gt=0, le=1, description="Kolmogorov-Smirnov distance: watch"
    )
    ks_fail: float = Field(default=0.20, gt=0, le=1, description="Kolmogorov-Smirnov distance: act")
    nulls_warn: float = Field(
        default=0.05, gt=0, le=1, description="Change of the share of empty values: watch"
    )
    nulls_fail: float = Field(
        default=0.25, gt=0, le=1, description="Change of the share of empty values: act"
    )
    rows_warn: float = Field(
        default=0.30, gt=0, description="Change of the number of rows, as a share: watch"
    )
    rows_fail: float = Field(
        default=0.60, gt=0, description="Change of the number of rows, as a share: act"
    )

    def thresholds(self) -> dict[str, tuple[float, float]]:
        """Measure -> (from here on a warning, from here on a failure)."""
        return {
            "psi": (self.psi_warn, self.psi_fail),
            "js": (self.js_warn, self.js_fail),
            "ks": (self.ks_warn, self.ks_fail),
            "nulls": (self.nulls_warn, self.nulls_fail),
            "rows": (self.rows_warn, self.rows_fail),
        }
