"""Write, audit, publish: a table is replaced whole, or stands as it was."""

import datetime as dt
from pathlib import Path

import dagster as dg
import pandera.polars as pa
import polars as pl
import pytest

from personalization_assets.settings import Settings
from personalization_assets.sql_models import read_sql_models, sql_model_assets
from personalization_assets.tables import Clock, Query, Run, table_asset
from personalization_assets.warehouse import Change, Warehouse, content_hash


class Scores(pa.DataFrameModel):
    """One score per person."""

    person: str = pa.Field(description="Who")
    score: float = pa.Field(ge=0, description="How much")

    class Config:
        name = "scores"
        metadata = {"room": "profiles", "key": ["person"], "grain": "one row per person"}  # noqa: RUF012


GOOD = pl.DataFrame({"score": [1.0, 2.0], "person": ["a", "b"]})


def change(gone: list[str], fresh: dict[str, float]) -> Change:
    people = pl.DataFrame({"person": gone}, schema={"person": pl.String})
    rows = pl.DataFrame({"person": list(fresh), "score": list(fresh.values())})
    return Change(people.to_arrow(), rows.to_arrow())


def run(
    tmp_path: Path, assets: list[dg.AssetsDefinition], settings: Settings | None = None
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        assets,
        resources={
            "warehouse": Warehouse(database=str(tmp_path / "w.duckdb"), wait_seconds=0),
            "clock": Clock(as_of="2026-11-01"),
            "settings": settings or Settings(data_dir=tmp_path),
        },
        raise_on_error=False,
    )


def stored(tmp_path: Path, sql: str) -> list[tuple[object, ...]]:
    with Warehouse(database=str(tmp_path / "w.duckdb")).connect() as con:
        return con.execute(sql).fetchall()


def scores(rows: pl.DataFrame | Query | Change | Exception) -> dg.AssetsDefinition:
    @table_asset(contract=Scores)
    def build(_: Run) -> pl.DataFrame | Query | Change:
        if isinstance(rows, Exception):
            raise rows
        return rows

    return build


def test_columns_are_matched_by_name_and_commented(tmp_path: Path) -> None:
    assert run(tmp_path, [scores(GOOD)]).success
    assert stored(tmp_path, "SELECT person, score FROM profiles.scores ORDER BY 1") == [
        ("a", 1.0),
        ("b", 2.0),
    ]
    comments = stored(
        tmp_path, "SELECT comment FROM duckdb_columns() WHERE table_name = 'scores' ORDER BY 1"
    )
    assert comments == [("How much",), ("Who",)]


@pytest.mark.parametrize(
    "bad",
    [
        GOOD.with_columns(score=pl.lit(-1.0)),
        GOOD.with_columns(person=pl.lit("a")),
        Query("SELECT 'a' AS person, -1.0::DOUBLE AS score"),
        Query("SELECT 'a' AS person, 1.0::DOUBLE AS score FROM range(2)"),
        change(["a"], {"a": -1.0}),
        change(["a"], {"a": 1.0, "b": 3.0}),
        change(["a", "c"], {"a": 3.0}),
        RuntimeError("the library gave up"),
    ],
    ids=[
        "range",
        "key",
        "query range",
        "query key",
        "changed range",
        "changed key",
        "gone before",
        "exception",
    ],
)
def test_a_bad_build_leaves_the_old_table(
    tmp_path: Path, bad: pl.DataFrame | Query | Change | Exception
) -> None:
    run(tmp_path, [scores(GOOD)])
    before = stored(tmp_path, "SELECT * FROM profiles.scores ORDER BY 1")
    result = run(tmp_path, [scores(bad)])
    assert not result.success
    assert not result.get_asset_materialization_events()
    assert stored(tmp_path, "SELECT * FROM profiles.scores ORDER BY 1") == before
    assert stored(tmp_path, "SELECT count(*) FROM duckdb_tables()") == [(1,)]


def test_a_change_is_put_into_the_table_that_is_there(tmp_path: Path) -> None:
    run(tmp_path, [scores(GOOD)])
    result = run(tmp_path, [scores(change(["a"], {"a": 3.0, "c": 4.0}))])
    assert stored(tmp_path, "SELECT person, score FROM profiles.scores ORDER BY 1") == [
        ("a", 3.0),
        ("b", 2.0),
        ("c", 4.0),
    ]
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["dagster/row_count"].value == 3
    assert stored(tmp_path, "SELECT count(*) FROM duckdb_tables()") == [(1,)]


@pytest.mark.parametrize("shown", [False, True])
def test_an_error_that_quotes_a_value_stays_out_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    if shown:
        monkeypatch.setenv("PERSONALIZE_SHOW_ERRORS", "1")
    bad = Query("SELECT 'a' AS person, ('anna' || '@example.com')::DOUBLE AS score")
    result = run(tmp_path, [scores(bad)])
    assert not result.success
    log = " ".join(str(e) for e in result.all_events if e.is_step_failure)
    assert ("anna@example.com" in log) == shown
    assert "ConversionException" in log


def test_each_rule_is_one_check_and_the_broken_one_is_red(tmp_path: Path) -> None:
    result = run(tmp_path, [scores(GOOD.with_columns(score=pl.lit(-1.0)))])
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
    assert set(checks) == {"columns_are_filled", "score__range", "key__unique"}
    assert not checks["score__range"].passed
    assert checks["score__range"].severity == dg.AssetCheckSeverity.ERROR
    assert checks["score__range"].metadata["rows_failed"].value == 2
    assert checks["key__unique"].passed


def test_a_sql_model_is_an_asset_with_lineage(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "profiles"
    folder.mkdir(parents=True)
    (folder / "doubles.sql").write_text(
        "-- Twice the score.\n-- @grain: one row per person\n-- @key: person\n"
        "-- @column person: Who\n-- @column twice: Twice as much\n-- @column seen_at: When\n"
        "-- @rule positive: twice > 0\n"
        "WITH s AS (SELECT person AS who, score FROM profiles.scores)\n"
        "SELECT who AS person, 2 * score AS twice, getvariable('as_of')::TIMESTAMP AS seen_at\n"
        "FROM s"
    )
    upstream = scores(GOOD)
    models = sql_model_assets(read_sql_models(tmp_path / "models"), [upstream])
    result = run(tmp_path, [upstream, *models])
    assert result.success
    assert stored(tmp_path, "SELECT person, twice, seen_at FROM profiles.doubles ORDER BY 1") == [
        ("a", 2.0, dt.datetime(2026, 11, 1)),
        ("b", 4.0, dt.datetime(2026, 11, 1)),
    ]
    event = result.asset_materializations_for_node("profiles__doubles")[0]
    lineage = event.metadata["dagster/column_lineage"].value.deps_by_column
    assert [(d.asset_key.to_user_string(), d.column_name) for d in lineage["twice"]] == [
        ("profiles/scores", "score")
    ]
    schema = event.metadata["dagster/column_schema"].value
    assert {c.name: c.type for c in schema.columns}["twice"] == "DOUBLE"


def test_equal_rows_have_equal_hashes_whatever_their_order(tmp_path: Path) -> None:
    with Warehouse(database=str(tmp_path / "w.duckdb")).connect() as con:
        con.execute("CREATE SCHEMA t; CREATE TABLE t.a AS FROM range(1000) ORDER BY 1")
        con.execute("CREATE TABLE t.b AS FROM range(1000) ORDER BY 1 DESC")
        con.execute("CREATE TABLE t.c AS FROM range(999)")
        assert content_hash(con, "t.a") == content_hash(con, "t.b") != content_hash(con, "t.c")
