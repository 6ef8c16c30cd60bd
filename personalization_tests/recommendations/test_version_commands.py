"""`personalize recommend versions | promote | unpin | report`, and the checks about versions."""

from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from click.testing import CliRunner, Result

from personalization_assets.cli import main
from personalization_assets.recommendations.assets import als_model
from personalization_assets.recommendations.checks import (
    current_version_is_fresh,
    promoted_version_is_current,
)
from personalization_assets.recommendations.evaluation_page import History
from personalization_assets.recommendations.promotion_assets import promotions
from personalization_assets.recommendations.promotions import FILE, read_promotions
from personalization_assets.settings import Settings, load_settings
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse
from personalization_tests.recommendations import shop
from personalization_tests.recommendations.version_history import history, version, write

KEPT = (2, 3, 4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose warehouse has four versions; the first one's factors are gone."""
    monkeypatch.setenv("PERSONALIZE_DATA_DIR", str(tmp_path))
    write(tmp_path / "warehouse.duckdb", history(), KEPT)
    return tmp_path


def run(*command: str) -> Result:
    return CliRunner().invoke(
        main, ["recommend", *command], env={"COLUMNS": "200", "NO_COLOR": "1"}
    )


def holding(folder: Path) -> list[str]:
    return read_promotions(folder / FILE).filter("holds")["model_version"].to_list()


def test_versions_lists_what_the_gate_said_with_bounds_and_what_is_current(folder: Path) -> None:
    lines = run("versions").output.splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [[str(n), version(n)] for n in range(1, 5)]
    assert "0.1234  0.1100 to 0.1400" in lines[2]
    assert "0.0801" in lines[2]
    assert lines[1].rstrip().endswith("factors dropped")
    assert lines[4].rstrip().endswith("current")
    assert "earlier one kept" in lines[4]


def test_only_the_newest_versions_are_listed_when_there_are_many(folder: Path) -> None:
    lines = run("versions", "--limit", "1").output.splitlines()
    assert lines[1].split()[0] == "4"
    assert lines[2] == "and 3 older; --limit shows them."


@pytest.mark.parametrize("which", ["2", version(2)])
def test_a_version_is_promoted_by_number_or_name_and_the_next_run_is_said_to_obey(
    folder: Path, which: str
) -> None:
    result = run("promote", which, "--author", "ann", "--reason", "fewer socks")
    assert result.exit_code == 0
    assert f"Version 2 ({version(2)}) is promoted" in result.output
    assert "personalize run --select" in result.output
    [row] = read_promotions(folder / FILE).to_dicts()
    assert (row["model_version"], row["author"], row["reason"]) == (
        version(2), "ann", "fewer socks"
    )  # fmt: skip
    assert row["holds"]
    listed = run("versions").output
    assert f"Version 2 ({version(2)}) is promoted: the next run obeys." in listed
    assert "promoted" in next(line for line in listed.splitlines() if version(2) in line)


def test_promoting_twice_writes_once_and_another_takes_the_place(folder: Path) -> None:
    run("promote", "2")
    assert "is promoted already" in run("promote", "2").output
    run("promote", "3")
    assert holding(folder) == [version(3)]
    assert read_promotions(folder / FILE).height == 2


def test_a_version_without_factors_cannot_be_promoted(folder: Path) -> None:
    result = run("promote", "1")
    assert result.exit_code == 1
    assert "keeps no factors any more" in result.output
    assert "Promote one of 2, 3, 4;" in result.output
    assert not (folder / FILE).exists()


@pytest.mark.parametrize("which", ["5", "ffffffffffff", "x", "²"])
def test_a_version_that_does_not_exist_is_one_sentence(folder: Path, which: str) -> None:
    result = run("promote", which)
    assert result.exit_code == 1
    assert result.output.startswith(f"personalize: There is no version {which}")


def test_unpinning_withdraws_the_promotion_and_says_so_when_there_is_none(folder: Path) -> None:
    run("promote", "2")
    assert f"Version {version(2)} is promoted no longer." in run("unpin").output
    assert holding(folder) == []
    again = run("unpin")
    assert again.exit_code == 1
    assert "nothing to withdraw" in again.output


def test_report_writes_a_page_where_asked(folder: Path) -> None:
    assert str(folder / "exports" / "recommender.html") in run("report").output
    assert (folder / "exports" / "recommender.html").read_text().count("<svg") == 5
    out = folder / "pages" / "mine.html"
    run("report", "--out", str(out))
    assert out.exists()
    blocked = run("report", "--out", str(folder / "warehouse.duckdb" / "x.html"))
    assert blocked.exit_code == 1
    assert "cannot be written" in blocked.output


def test_without_a_warehouse_every_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONALIZE_DATA_DIR", str(tmp_path))
    for command in (["versions"], ["promote", "1"], ["report"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "run `personalize run` first" in result.output


def train(folder: Path, **settings: object) -> str:
    """Run what decides about versions in Dagster, and say which version is current."""
    recommender = {"tune": False, "algorithms": ["als"], "bootstrap_samples": 50, **settings}
    made = load_settings(data_dir=folder, recommendations=recommender)
    result = dg.materialize(
        [promotions, als_model],
        resources={
            "warehouse": Warehouse(database=str(made.warehouse_file)),
            "clock": Clock(as_of=shop.AS_OF.isoformat()),
            "settings": made,
        },
    )
    assert result.success
    with duckdb.connect(str(made.warehouse_file), read_only=True) as con:
        rows = con.execute("SELECT model_version FROM recommendations.als_model WHERE is_current")
        return str(rows.fetchall()[0][0])


def test_a_promotion_is_obeyed_by_the_runs_that_follow_until_it_is_withdrawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONALIZE_DATA_DIR", str(tmp_path))
    con = shop.connect()
    shop.with_tastes(con, people=120)
    shop.build(con, *shop.ROOM)
    con.execute(f"ATTACH '{tmp_path / 'warehouse.duckdb'}' AS file")
    con.execute("COPY FROM DATABASE memory TO file")
    con.close()

    first = train(tmp_path, factors=8)
    second = train(tmp_path, factors=9)
    assert first != second
    run("promote", "1", "--author", "ann")
    assert train(tmp_path, factors=10) == first  # the third is trained and judged, but it waits
    assert run("versions").output.splitlines()[3].startswith("3 ")
    run("unpin")
    assert train(tmp_path, factors=10) not in (first, second)


def checked(check: dg.AssetChecksDefinition, folder: Path) -> dg.AssetCheckResult:
    resources: dict[str, object] = {
        "warehouse": Warehouse(database=str(folder / "warehouse.duckdb"))
    }
    if check is current_version_is_fresh:
        resources["settings"] = Settings()
    result = check(**resources)
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_a_current_version_that_lags_behind_the_data_is_warned_about(folder: Path) -> None:
    assert checked(current_version_is_fresh, folder).passed
    old = history()
    late = pl.when(pl.col("number") == 4).then(pl.date(2026, 1, 30)).otherwise("window_end")
    current = pl.col("number") == 3
    made = History(
        old.models.with_columns(window_end=late, is_current=current),
        old.evaluation, old.trials, old.promotions,
    )  # fmt: skip
    write(folder / "warehouse.duckdb", made, KEPT)
    result = checked(current_version_is_fresh, folder)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert "Version 3 makes the lists and knows activity up to 2026-01-01, 29 days less" in str(
        result.description
    )


def test_a_promotion_that_cannot_be_obeyed_is_warned_about(folder: Path) -> None:
    assert checked(promoted_version_is_current, folder).passed
    write(folder / "warehouse.duckdb", history(promoted=3), KEPT)
    assert checked(promoted_version_is_current, folder).passed
    made = history(promoted=3)
    others = made.models.filter(pl.col("number") != 3)
    gone = History(others, made.evaluation, made.trials, made.promotions)
    write(folder / "warehouse.duckdb", gone, (2, 4))
    result = checked(promoted_version_is_current, folder)
    assert not result.passed
    assert "personalize recommend unpin" in str(result.description)
