"""What changed too much is not published, and the run says what, how much, and what to do."""

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from personalization_assets.identity.assets import ASSETS
from personalization_assets.identity.checks import CHECKS
from personalization_assets.identity.gate import CHECKS as GATE
from personalization_assets.identity.gate import Figures, judge
from personalization_assets.identity.model import Model
from personalization_assets.identity.settings import IdentitySettings
from personalization_assets.settings import Settings
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse, content_hash
from personalization_tests.identity.people import AS_OF, Result, records, resolve
from personalization_tests.identity.test_who_is_who import ANNA

CALM = Figures(
    records_before=1000,
    records_now=1100,
    records_in_both=1000,
    kept=1000,
    newly_alone=0,
    customers_before=500,
    customers_now=520,
    merged=0,
    split=0,
    retired=0,
    largest_before=40,
    largest_now=41,
    conflicting_before=2,
    conflicting_now=2,
)


def figures(**changed: Any) -> Figures:
    """A calm night, but for this."""
    return Figures(**{**vars(CALM), **changed})


def test_a_calm_night_passes() -> None:
    verdicts, refusal = judge(CALM, IdentitySettings(), AS_OF)
    assert refusal == ""
    assert [v.check for v in verdicts] == list(GATE)
    assert all(v.passed and not v.stops for v in verdicts)


@pytest.mark.parametrize(
    ("changed", "check", "sentence"),
    [
        ({"kept": 949}, "gate_ids_kept", r"94.9% of the records .* keep .*95.0% \(gate_min_kept\)"),
        (
            {"merged": 26},
            "gate_merges",
            r"5.2% of .* \(26 of 500\).* 5.0% \(gate_max_merge_share\)",
        ),
        ({"split": 26}, "gate_splits", "5.2% .*gate_max_split_share"),
        ({"retired": 101}, "gate_retired", "20.2% .*gate_max_retired_share"),
        ({"newly_alone": 51}, "gate_alone", "5.1% .*gate_max_alone_share"),
        ({"largest_now": 1001}, "gate_largest", r"1,001 records, 40 before, .*1,000"),
        ({"conflicting_now": 16}, "gate_conflicting_names", "3.1% .*0.4% before"),
    ],
)
def test_a_figure_outside_its_limit_stops(
    changed: dict[str, int], check: str, sentence: str
) -> None:
    verdicts, refusal = judge(figures(**changed), IdentitySettings(), AS_OF)
    assert [v.check for v in verdicts if v.stops] == [check]
    assert [v.check for v in verdicts if not v.passed] == [check]
    assert pl.Series([refusal]).str.contains(sentence).all(), refusal
    assert "gate_accept: 2026-11-01" in refusal
    assert refusal.count(". ") == 1


@pytest.mark.parametrize(
    ("changed", "settings"),
    [
        ({"merged": 400, "kept": 100}, {"gate_accept": AS_OF.date()}),
        ({"merged": 400, "kept": 100, "records_before": 99}, {}),
        ({"largest_before": 2000, "largest_now": 2000}, {}),
        ({"conflicting_before": 100, "conflicting_now": 100}, {}),
        ({"records_before": 0}, {}),
        ({"merged": 26}, {"gate_max_merge_share": 0.06}),
    ],
    ids=["accepted", "few records", "as large as before", "as before", "first run", "a limit"],
)
def test_what_is_wanted_small_or_old_passes(
    changed: dict[str, int], settings: dict[str, Any]
) -> None:
    verdicts, refusal = judge(figures(**changed), IdentitySettings(**settings), AS_OF)
    assert refusal == ""
    assert not any(v.stops for v in verdicts)


def test_an_acceptance_is_for_one_day_and_stays_visible() -> None:
    accepting = IdentitySettings(gate_accept=AS_OF.date())
    verdicts, _ = judge(figures(merged=400), accepting, AS_OF)
    merges = next(v for v in verdicts if v.check == "gate_merges")
    assert not merges.passed
    assert "gate_accept" in merges.says
    assert judge(figures(merged=400), accepting, AS_OF + dt.timedelta(days=1))[1]


def test_what_is_measured(model: Model, resolved: Result) -> None:
    assert resolved.figures.records_before == resolved.figures.merged == 0
    frame = records(
        {"id": "a", **ANNA},
        {"id": "b", "email": "elsewhere@mail.example", "given_name": "Wilhelm"},
        {"id": "c", "email": "third@mail.example"},
        {"id": "d", "email": "fourth@mail.example"},
    )
    first = resolve(frame, model)
    joined = resolve(frame, model, first, [("a", "b", "same"), ("c", "d", "same")])
    now = joined.figures
    assert (now.records_before, now.records_in_both, now.kept) == (4, 4, 2)
    assert (now.customers_before, now.customers_now, now.merged) == (4, 2, 2)
    assert (now.conflicting_before, now.conflicting_now) == (0, 1)  # Annabel and Wilhelm
    assert (now.largest_before, now.largest_now) == (1, 2)
    assert now.causes == {"decision": 2}
    # What is alone because its fellow is gone is not the model's doing.
    parted = resolve(frame.filter(pl.col("record_id") != "d"), model, joined)
    assert (parted.figures.split, parted.figures.newly_alone) == (1, 2)
    assert (parted.figures.conflicting_before, parted.figures.conflicting_now) == (1, 0)


def test_a_refused_night_leaves_all_tables_and_a_red_check(
    tmp_path: Path, townsfolk: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    warehouse = Warehouse(database=str(tmp_path / "warehouse.duckdb"))
    together = ("links", "ledger", "review_queue", "links_strict", "former_ids")

    def night(day: int, frame: pl.DataFrame, **identity: Any) -> dg.ExecuteInProcessResult:
        with warehouse.connect() as con:
            con.execute("CREATE SCHEMA IF NOT EXISTS identity")
            con.register("incoming", frame.to_arrow())
            con.execute("CREATE OR REPLACE TABLE identity.records AS SELECT * FROM incoming")
        settings = Settings(
            data_dir=tmp_path, identity=IdentitySettings(sample_records=500, **identity)
        )
        return dg.materialize(
            [*ASSETS, *CHECKS[:3]],
            resources={
                "warehouse": warehouse,
                "settings": settings,
                "clock": Clock(as_of=dt.datetime(2026, 11, day, 3).isoformat()),
            },
            raise_on_error=False,
        )

    def hashes() -> dict[str, str]:
        with warehouse.connect() as con:
            return {t: content_hash(con, f"identity.{t}") for t in together}

    def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
        return {
            e.check_name: e for e in result.get_asset_check_evaluations() if e.check_name in GATE
        }

    frame = townsfolk[0]
    first = night(1, frame)
    assert first.success
    assert all(e.passed for e in checks(first).values())
    before = hashes()

    # A source that loses its columns overnight: nothing is left to match by.
    broken = frame.with_columns(
        pl.lit(None, pl.String).alias(c) for c in ("email", "phone", "street", "family_name")
    ).with_columns(birth_date=pl.lit(None, pl.Date))
    refused = night(2, broken)
    assert not refused.success
    assert hashes() == before
    found = checks(refused)
    assert set(found) == set(GATE)
    assert not found["gate_alone"].passed
    assert found["gate_alone"].severity == dg.AssetCheckSeverity.ERROR
    assert found["gate_retired"].passed
    failure = next(e for e in refused.all_events if e.is_step_failure)
    said = str(failure.step_failure_data.user_failure_data.description)
    assert "of the records lose all others of their customer" in said
    assert "gate_accept: 2026-11-02" in said

    # Looked at, and wanted.
    accepted = night(2, broken, gate_accept="2026-11-02")
    assert accepted.success
    assert not checks(accepted)["gate_alone"].passed
    assert hashes() != before
