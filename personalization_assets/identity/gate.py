"""The gate before publishing: how far who-is-who may change from one run to the next.

A column that went missing, a wrong setting or a bad model can merge half of the customers in one
night, and retired ids never come back. So what changed is measured before anything is published,
and figures outside the settings' limits stop it.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import duckdb

from personalization_assets.catalog import Verdict
from personalization_assets.identity.blocking import first_names_conflict
from personalization_assets.identity.settings import IdentitySettings

CHECKS = {
    "gate_ids_kept": "Records that were there before keep their customer_id",
    "gate_merges": "Former customers do not go into others in large numbers",
    "gate_splits": "Customers are not split in large numbers",
    "gate_retired": "Customers are not retired with all their records in large numbers",
    "gate_alone": "Records do not lose the other records of their customer in large numbers",
    "gate_largest": "No customer grows beyond the limit",
    "gate_conflicting_names": "Customers with conflicting first names do not become more than that",
}


@dataclass(frozen=True)
class Totals:
    """Of all that a run published; the next one, if it looks at changes only, counts on from it.

    `conflicting` are customers with conflicting first names.
    """

    records: int = 0
    customers: int = 0
    largest: int = 0
    conflicting: int = 0


@dataclass(frozen=True)
class Figures:
    """What changed since the run before; counts, and the same figure of the run before."""

    records_before: int
    records_now: int
    records_in_both: int
    kept: int
    newly_alone: int
    customers_before: int
    customers_now: int
    merged: int
    split: int
    retired: int
    largest_before: int
    largest_now: int
    conflicting_before: int
    conflicting_now: int
    causes: dict[str, int] = field(default_factory=dict)

    @property
    def totals(self) -> Totals:
        """What the next run has to know."""
        return Totals(self.records_now, self.customers_now, self.largest_now, self.conflicting_now)


def measure(
    work: duckdb.DuckDBPyConnection, now: str = "descriptions", before: str | None = None
) -> Figures:
    """The figures of a linking that is not published yet.

    Reads what `link` leaves on the connection (`fate`, `events`) and the table `now`, rows of
    `descriptions`; and of the run before the table `before` (customer_id, first_name, first_canon,
    last_name), else what is now known of its records.
    """
    counts = work.sql(
        """
        WITH stayed AS (SELECT old, new FROM fate WHERE old IS NOT NULL AND new IS NOT NULL),
        together AS (SELECT old, count(*) AS records FROM stayed GROUP BY old),
        was AS (SELECT old, count(*) AS records FROM fate WHERE old IS NOT NULL GROUP BY old),
        now AS (SELECT new, count(*) AS records FROM fate WHERE new IS NOT NULL GROUP BY new)
        SELECT
            (SELECT count(old) FROM fate) AS records_before,
            (SELECT count(new) FROM fate) AS records_now,
            (SELECT count(*) FROM stayed) AS records_in_both,
            (SELECT count(*) FROM stayed WHERE old = new) AS kept,
            (SELECT count(*) FROM stayed JOIN together AS t USING (old) JOIN now AS n USING (new)
                WHERE t.records > 1 AND n.records = 1) AS newly_alone,
            (SELECT count(*) FROM was) AS customers_before,
            (SELECT count(*) FROM now) AS customers_now,
            (SELECT count(DISTINCT other_customer_id) FROM events WHERE event = 'merge') AS merged,
            (SELECT count(DISTINCT customer_id) FROM events WHERE event = 'split') AS split,
            (SELECT count(*) FROM events WHERE event = 'retire') AS retired,
            (SELECT coalesce(max(records), 0) FROM was) AS largest_before,
            (SELECT coalesce(max(records), 0) FROM now) AS largest_now
        """
    )
    values = dict(zip(counts.columns, counts.fetchall()[0], strict=True))
    causes = work.sql(
        "SELECT cause, count(*) FROM events WHERE event IN ('merge', 'split', 'move')"
        " GROUP BY cause ORDER BY count(*) DESC, cause"
    ).fetchall()
    return Figures(
        **values,
        conflicting_before=conflicting_names(work, before or _borne("old", now)),
        conflicting_now=conflicting_names(work, _borne("new", now)),
        causes=dict(causes),
    )


def _borne(customer: str, names: str) -> str:
    return f"""(
        SELECT f.{customer} AS customer_id, n.first_name, n.first_canon, n.last_name
        FROM fate AS f JOIN {names} AS n USING (source, record_id) WHERE f.{customer} IS NOT NULL
    )"""


def judge(
    figures: Figures, settings: IdentitySettings, as_of: dt.datetime
) -> tuple[list[Verdict], str]:
    """A verdict per check of `CHECKS`, and why nothing may be published, empty if it may."""
    if not figures.records_before:
        return [Verdict(c, True, "The first run: nothing to compare with.") for c in CHECKS], ""
    few = min(figures.records_before, figures.records_now) < settings.gate_min_records
    accepted = settings.gate_accept == as_of.date()
    rules = _rules(figures, settings)
    broken = [r for r in rules if r.is_broken]
    stops = bool(broken) and not few and not accepted
    verdicts = [
        Verdict(
            r.check,
            not r.is_broken,
            r.says
            + ("." if stops or not r.is_broken else ", and was let pass: ")
            + ("" if stops or not r.is_broken else _why_passed(few)),
            {"value": r.value, "limit": r.limit, **r.counts},
            stops=stops and r.is_broken,
        )
        for r in rules
    ]
    return verdicts, _refusal(broken, figures, as_of) if stops else ""


@dataclass(frozen=True)
class _Rule:
    check: str
    value: float
    limit: float
    is_broken: bool
    says: str
    counts: dict[str, int]


def _rules(f: Figures, s: IdentitySettings) -> list[_Rule]:
    def share(check: str, part: int, whole: int, setting: str, what: str) -> _Rule:
        value = part / whole if whole else 0.0
        limit = float(getattr(s, setting))
        says = (
            f"{value:.1%} of {what} ({part:,} of {whole:,}), the limit is {limit:.1%} ({setting})"
        )
        return _Rule(check, value, limit, value > limit, says, {"count": part, "of": whole})

    kept = f.kept / f.records_in_both if f.records_in_both else 1.0
    before = f.conflicting_before / max(f.customers_before, 1)
    names = share(
        "gate_conflicting_names",
        f.conflicting_now,
        f.customers_now,
        "gate_max_conflicting_share",
        f"the customers have conflicting first names, {before:.1%} before",
    )
    return [
        _Rule(
            "gate_ids_kept",
            kept,
            s.gate_min_kept,
            kept < s.gate_min_kept,
            f"{kept:.1%} of the records that were there before keep their customer_id ({f.kept:,} "
            f"of {f.records_in_both:,}), the limit is {s.gate_min_kept:.1%} (gate_min_kept)",
            {"count": f.kept, "of": f.records_in_both},
        ),
        share(
            "gate_merges",
            f.merged,
            f.customers_before,
            "gate_max_merge_share",
            "the former customers go into others",
        ),
        share(
            "gate_splits",
            f.split,
            f.customers_before,
            "gate_max_split_share",
            "the former customers give records to a new one",
        ),
        share(
            "gate_retired",
            f.retired,
            f.customers_before,
            "gate_max_retired_share",
            "the former customers have no record left",
        ),
        share(
            "gate_alone",
            f.newly_alone,
            f.records_in_both,
            "gate_max_alone_share",
            "the records lose all others of their customer",
        ),
        # What was so before is no news: only what gets worse is held back.
        _Rule(
            "gate_largest",
            f.largest_now,
            s.gate_max_cluster,
            s.gate_max_cluster < f.largest_now > f.largest_before,
            f"the largest customer has {f.largest_now:,} records, {f.largest_before:,} before, the "
            f"limit is {s.gate_max_cluster:,} (gate_max_cluster)",
            {"before": f.largest_before},
        ),
        _Rule(
            names.check,
            names.value,
            names.limit,
            names.is_broken and names.value > before,
            names.says,
            names.counts,
        ),
    ]


def _why_passed(few: bool) -> str:
    if few:
        return "with so few records (gate_min_records) a share means little."
    return "gate_accept names this day."


def _refusal(broken: Sequence[_Rule], figures: Figures, as_of: dt.datetime) -> str:
    most = next(iter(figures.causes), "")
    causes = {
        "new model": " (mostly because the model is new)",
        "new records": " (mostly because of new records)",
        "records gone": " (mostly because records are gone)",
        "decision": " (mostly because of people's decisions)",
        "matching": " (mostly because records, settings or the code changed)",
    }
    return (
        f"identity.links was not published: {'; '.join(r.says for r in broken)}"
        f"{causes.get(most, '')}. The customers of the last run stand; undo what changed, or, if "
        f"it is wanted, write `identity: {{gate_accept: {as_of.date()}}}` into the settings and "
        "run again."
    )


def elsewhere(figures: Figures, before: Totals, work: duckdb.DuckDBPyConnection) -> Figures:
    """The figures of all records, given those of the ones that were linked again.

    Whoever was not has not changed, and no customer lies on both sides. `before` are the last run's
    totals. Reads `wanted` (source, record_id: who was linked again, or is gone) and `links_before`.
    """
    records = before.records - figures.records_before
    customers = before.customers - figures.customers_before
    largest = before.largest
    if figures.largest_before == largest:
        # It is among those that were linked again; another may be as large.
        largest = work.sql(
            """
            SELECT coalesce(max(records), 0)
            FROM (SELECT customer_id, count(*) AS records FROM links_before GROUP BY customer_id)
            ANTI JOIN (
                SELECT customer_id FROM links_before SEMI JOIN wanted USING (source, record_id)
            ) AS w USING (customer_id)
            """
        ).fetchall()[0][0]
    return replace(
        figures,
        **{
            name: getattr(figures, name) + records
            for name in ("records_before", "records_now", "records_in_both", "kept")
        },
        customers_before=figures.customers_before + customers,
        customers_now=figures.customers_now + customers,
        largest_before=max(figures.largest_before, largest),
        largest_now=max(figures.largest_now, largest),
        conflicting_before=before.conflicting,
        conflicting_now=before.conflicting - figures.conflicting_before + figures.conflicting_now,
    )


def conflicting_names(work: duckdb.DuckDBPyConnection, borne: str) -> int:
    """How many customers hold first names that no one person has.

    `borne` is a table or SELECT in brackets of customer_id, first_name, first_canon, last_name.
    """
    return int(
        work.sql(
            f"""
            WITH several AS (
                SELECT customer_id FROM {borne} GROUP BY customer_id
                HAVING min(first_canon) <> max(first_canon)
            ),
            names AS (
                SELECT DISTINCT customer_id, first_name, first_canon, last_name,
                    substring(first_name, 1, 1) AS first_initial
                FROM {borne} SEMI JOIN several USING (customer_id)
            )
            SELECT count(DISTINCT a.customer_id)
            FROM names AS a
            JOIN names AS b ON a.customer_id = b.customer_id AND a.first_name < b.first_name
            WHERE {first_names_conflict("a", "b")}
            """
        ).fetchall()[0][0]
    )
