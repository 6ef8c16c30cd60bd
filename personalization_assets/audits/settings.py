"""What a user may set in the audits room."""

import difflib
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, field_validator

PERSONAL_COLUMNS = (
    "account_key",
    "birth_date",
    "city",
    "decided_by",
    "decision_reason",
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

PROFILED = ("standardized", "profiles")

DEFAULTS: Mapping[str, tuple[float, float]] = {
    "psi": (0.10, 0.25),
    "js": (0.10, 0.25),
    "ks": (0.05, 0.20),
    "nulls": (0.15, 0.60),
    "rows": (0.30, 0.60),
    "distinct": (0.50, 0.90),
    "label_share": (0.15, 0.60),
    "new_labels": (0.001, 0.25),
    "vanished_labels": (0.001, 0.25),
    "range": (0.001, 0.10),
    "hours": (0.10, 0.25),
    "late": (24.0, 72.0),
}
"""Measure -> (from here on a warning, from here on a failure).

Shares and distances are from 0 to 1, `rows` and `distinct` relative to the reference, `late` in
hours beyond the usual, `nulls` and `label_share` Cohen's h of shares of rows: 0.15 is 0 to 0.6 %,
5 to 9 % or 50 to 57.5 %.
"""

MEASURES = tuple(DEFAULTS)
ALL = "*"

Limits = dict[str, float]


class AuditsSettings(BaseModel):
    """What is profiled, and from where on a change counts as drift."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profiled_rooms: tuple[str, ...] = Field(
        default=PROFILED, description="Rooms whose columns are profiled"
    )
    personal_columns: tuple[str, ...] = Field(
        default=PERSONAL_COLUMNS,
        description="Columns of which only rows, nulls and distinct values are counted",
    )
    rotating_columns: tuple[str, ...] = Field(
        default=("batch_id", "campaign"),
        description="Columns whose values come and go by design: counted like personal ones",
    )
    ignored_columns: tuple[str, ...] = Field(
        default=(),
        description="Columns without findings: a name for all tables, or room.table.column",
    )
    max_labels: int = Field(
        default=50, ge=2, le=1000, description="A text column with more values is not a label"
    )
    keep_runs: int = Field(
        default=400,
        ge=2,
        le=100_000,
        description="Runs kept per table in audits.runs and audits.column_history",
    )
    renew_reference_days: float = Field(
        default=7.0,
        gt=0,
        le=366,
        description="Age at which a reference is replaced, so that slow drift adds up to a finding",
    )
    minimum_rows: int = Field(
        default=100, ge=10, description="Fewer rows than this, now or then, are not compared"
    )
    usual_runs: int = Field(
        default=28, ge=1, description="Runs before this one that say how old data usually is"
    )
    false_alarms_per_night: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="Chance that a night on which nothing changed has any finding: it is shared "
        "out evenly over all measures of the night (Bonferroni)",
    )
    limits: dict[str, dict[str, Limits]] = Field(
        default={},
        description="Limits that differ: table (or *) -> column (or *) -> <measure>_warn or "
        "<measure>_fail -> value",
    )

    @field_validator("limits")
    @classmethod
    def _limits_are_of_measures(
        cls, limits: dict[str, dict[str, Limits]]
    ) -> dict[str, dict[str, Limits]]:
        known = [f"{m}_{level}" for m in DEFAULTS for level in ("warn", "fail")]
        for table, columns in limits.items():
            for column, own in columns.items():
                for name, value in own.items():
                    if name not in known:
                        close = difflib.get_close_matches(name, known, n=1)
                        hint = f"did you mean {close[0]}" if close else f"there are {known}"
                        raise ValueError(f"{table}, {column} has no limit {name}: {hint}")
                    if not value > 0:
                        raise ValueError(f"{table}, {column}: {name} must be above 0")
        return limits

    def thresholds(self, table: str, column: str, measure: str) -> tuple[float, float]:
        """From here on a warning, from here on a failure; what is set more closely wins.

        The column `*` stands for the table as a whole, and in `limits` for all of its columns.
        """
        warn, fail = DEFAULTS[measure]
        for place in ((ALL, ALL), (ALL, column), (table, ALL), (table, column)):
            own = self.limits.get(place[0], {}).get(place[1], {})
            warn = own.get(f"{measure}_warn", warn)
            fail = own.get(f"{measure}_fail", fail)
        return warn, max(warn, fail)

    def ignores(self, table: str, column: str) -> bool:
        """Whether a column has no findings."""
        return column in self.ignored_columns or f"{table}.{column}" in self.ignored_columns
