"""Versions of a table with a contract through real runs, and who is told of what."""

import datetime as dt
from pathlib import Path
from typing import ClassVar

import dagster as dg
import duckdb
import pandera.polars as pa
import polars as pl

from personalization_assets.audits.assets import watch
from personalization_assets.audits.schema_assets import no_schema_change
from personalization_assets.audits.schema_changes import ShapeColumn
from personalization_assets.audits.schema_moves import move_to, stored_shape
from personalization_assets.audits.schemas import former_names, read_versions, standing
from personalization_assets.contracts import contract_of
from personalization_assets.settings import Settings
from personalization_assets.tables import Clock, Run, table_asset
from personalization_assets.warehouse import Warehouse, content_hash, transaction

MONDAY = dt.datetime(2026, 3, 2)


class Before(pa.DataFrameModel):
    """Members as they were."""

    member_id: str = pa.Field(description="Member")
    points: int = pa.Field(description="Points")
    colour: str = pa.Field(nullable=True, description="Colour of the card")

    class Config:
        name = "members"
        metadata: ClassVar[dict[str, object]] = {"room": "standardized", "key": ["member_id"]}


class After(pa.DataFrameModel):
    """Members with a name that says more."""

    member_id: str = pa.Field(description="Member")
    balance: int = pa.Field(description="Points", metadata={"renamed_from": "points"})

    class Config:
        name = "members"
        metadata: ClassVar[dict[str, object]] = {
            "room": "standardized",
            "key": ["member_id"],
            "version": 2,
        }


class Reader(pa.DataFrameModel):
    """A table that reads members."""

    member_id: str = pa.Field(description="Member")

    class Config:
        name = "tiers"
        metadata: ClassVar[dict[str, object]] = {"room": "profiles", "key": ["member_id"]}


def refresh(
    folder: Path, model: type[pa.DataFrameModel], day: int, read: bool
) -> dg.AssetCheckEvaluation:
    @table_asset(contract=model)
    def members(run: Run) -> pl.DataFrame:
        frame = pl.DataFrame({"member_id": ["m1"], "points": [1], "balance": [1]})
        return frame.with_columns(colour=pl.lit("red"))

    @table_asset(contract=Reader, deps=["standardized/members"] if read else [])
    def tiers(run: Run) -> pl.DataFrame:
        return pl.DataFrame({"member_id": ["m1"]})

    key = dg.AssetKey(["audits", "schema_versions"])
    audits = [asset for asset in watch([members, tiers]) if key in asset.keys]
    result = dg.materialize(
        [members, tiers, *audits, no_schema_change],
        resources={
            "warehouse": Warehouse(database=str(folder / "w.duckdb")),
            "clock": Clock(as_of=(MONDAY + dt.timedelta(days=day)).isoformat()),
            "settings": Settings(data_dir=folder),
        },
    )
    (check,) = [
        c for c in result.get_asset_check_evaluations() if c.check_name == "no_schema_change"
    ]
    return check


def test_a_break_in_a_table_that_others_read_is_an_error(tmp_path: Path) -> None:
    assert refresh(tmp_path, Before, 0, read=True).passed
    broken = refresh(tmp_path, After, 1, read=True)
    assert (broken.passed, broken.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "renamed points to balance; dropped colour VARCHAR; contract version 1 -> 2" in (
        broken.description or ""
    )
    assert "breaks its readers: 1 tables" in (broken.description or "")
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        used = con.execute(
            "SELECT u.version, v.compatibility, v.read_by FROM audits.schema_use u"
            " JOIN audits.schema_versions v USING (table_name, version)"
            " WHERE table_name = 'standardized.members' ORDER BY as_of"
        ).fetchall()
    assert used == [
        (1, "full", ["profiles.tiers"]),
        (2, "backward", ["profiles.tiers"]),
    ]


def test_values_come_back_after_a_night_of_the_new_version(tmp_path: Path) -> None:
    refresh(tmp_path, Before, 0, read=True)
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        first = content_hash(con, "standardized.members")
        before = stored_shape(con, "standardized.members")
        after = tuple(
            ShapeColumn(c.name, c.duckdb_type, c.nullable) for c in contract_of(After).columns
        )
        with transaction(con):
            move_to(con, "standardized.members", after, {"balance": "points"}, ["member_id"])
    check = refresh(tmp_path, After, 1, read=True)
    assert not check.passed
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        versions = read_versions(con, "standardized.members")
        assert standing(stored_shape(con, "standardized.members"), versions) == versions[1]
        assert former_names(versions, 1, 2) == {"balance": "points"}
        assert former_names(versions, 2, 1) == {"points": "balance"}
        with transaction(con):
            move_to(con, "standardized.members", before, {}, ["member_id"])
        assert content_hash(con, "standardized.members") == first
    assert refresh(tmp_path, After, 2, read=True).passed
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        assert len(read_versions(con, "standardized.members")) == 2
        assert [t for t in read_versions(con) if t.table.startswith("parked.")] == []


def test_a_break_that_nobody_reads_only_warns(tmp_path: Path) -> None:
    refresh(tmp_path, Before, 0, read=False)
    check = refresh(tmp_path, After, 1, read=False)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
