"""A source that loses a mapped column: loaded without it, noticed, never mistaken for a typo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from personalization_assets.settings import Settings
from personalization_assets.sources.assets import build_source_assets
from personalization_assets.sources.config import SourcesConfig
from personalization_assets.sources.feeds import feed_rows
from personalization_assets.sources.load import Report
from personalization_assets.standardized.assets import build_standardized_assets
from personalization_assets.standardized.checks import build_standardized_checks
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse
from personalization_tests.sources.conftest import AS_OF, AT_ONCE, CRM, WEB, put

Con = duckdb.DuckDBPyConnection
Shop = Callable[..., SourcesConfig]
Load = Callable[..., Report]
HEAD = "ID,First,Mail\n"


def said(report: Report, source: str = "crm") -> list[str]:
    return [m.in_words(source) for m in report.missing]


def test_a_lost_column_is_empty_and_named_until_it_is_back(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,a@x.org\n", crm__b_csv=HEAD + "2,Bob,b@x.org\n")
    assert said(load(config)) == []
    put(tmp_path, "crm__c_csv", "ID,First,Mial\n3,Cat,c@x.org\n")
    put(tmp_path, "crm__a_csv", "ID,First\n1,Anna\n")
    sentence = (
        "`Mail` is missing in 2 files, the last is crm/c.csv, which has `Mial`: it is empty there; "
        "have it exported again, or map another column in sources.yaml"
    )
    report = load(config)
    assert (report.refused, said(report)) == ({}, [sentence])
    assert (load(config).changed, said(load(config))) == (False, [sentence])
    rows = feed_rows(con, config, "crm", "crm_contacts")
    assert con.execute(f"SELECT given_name, email FROM ({rows}) ORDER BY 1").fetchall() == [
        ("Anna", None),
        ("Bob", "b@x.org"),
        ("Cat", None),
    ]
    put(tmp_path, "crm__a_csv", HEAD + "1,Anna,a@x.org\n")
    put(tmp_path, "crm__d_csv", HEAD + "4,Dan,d@x.org\n")
    assert said(load(config)) == []


def test_a_column_that_was_never_there_is_a_mistake_in_the_mapping(
    con: Con, shop: Shop, load: Load
) -> None:
    typo = CRM.replace("email: Mail", "email: Mial")
    report = load(shop(typo, crm__a_csv=HEAD + "1,Ann,a@x.org\n"))
    assert report.refused == {
        "crm/a.csv": "has no column `Mial`, it has `Mail`: correct the mapping or the file"
    }
    assert load(shop()).loaded == ["crm/a.csv"]
    again = load(shop(typo))
    assert "has no column `Mial`" in again.problems()[0]
    assert (again.rows, again.missing) == (1, [])


def test_columns_that_only_sql_reads_count_as_mapped(
    con: Con, shop: Shop, load: Load, tmp_path: Path
) -> None:
    config = shop(
        CRM.replace("email: Mail", 'email: {sql: "lower(Mail) || Domain"}'),
        crm__a_csv="ID,First,Mail,Domain\n1,Ann,A,@x.org\n",
    )
    load(config)
    put(tmp_path, "crm__a_csv", HEAD + "1,Ann,A\n")
    assert said(load(config))[0].startswith("`Domain` is missing in crm/a.csv: it is empty there")
    rows = feed_rows(con, config, "crm", "crm_contacts")
    assert con.execute(f"SELECT given_name, email FROM ({rows})").fetchall() == [("Ann", None)]


def test_another_kind_of_file_is_refused(con: Con, shop: Shop, load: Load, tmp_path: Path) -> None:
    config = shop(crm__a_csv=HEAD + "1,Ann,a@x.org\n")
    load(config)
    put(tmp_path, "crm__b_csv", "sku;price\n1;2\n")
    report = load(config)
    assert "it has one column only: is the delimiter ';'?" in report.refused["crm/b.csv"]
    assert (report.rows, report.missing) == (1, [])


@pytest.mark.parametrize(
    ("second", "missing"),
    [
        ('{"event": "view"}\n', True),
        ('{"event": "view", "device": null}\n', False),
    ],
)
def test_a_key_that_every_object_lost_is_named(
    shop: Shop, load: Load, tmp_path: Path, second: str, missing: bool
) -> None:
    config = shop(WEB, web__a_ndjson='{"event": "view", "device": {"id": "d"}}\n')
    load(config, "web")
    put(tmp_path, "web__b_ndjson", second)
    assert bool(said(load(config, "web"), "web")) == missing


def test_a_key_that_some_objects_have_may_be_absent_for_a_day(
    shop: Shop, load: Load, tmp_path: Path
) -> None:
    with_key, without = '{"event": "a", "device": {}}\n', '{"event": "b"}\n'
    config = shop(WEB, web__a_ndjson=with_key, web__b_ndjson=without, web__c_ndjson=with_key)
    load(config, "web")
    put(tmp_path, "web__d_ndjson", without)
    assert load(config, "web").missing == []
    typo = shop(WEB.replace("event_name: event", "event_name: evnt"))
    assert said(load(typo, "web"), "web") == [
        "No file of web ever had `evnt`: correct the mapping in sources.yaml"
    ]


class Run:
    """The source and its standardized table, as a run of the platform makes them."""

    def __init__(self, config: SourcesConfig, folder: Path) -> None:
        tables = build_standardized_assets(config)
        wanted = {dg.AssetKey(["standardized", n]) for n in ("crm_contacts", "quarantine")}
        self.result = dg.materialize(
            [
                *build_source_assets(config, AT_ONCE),
                *(t for t in tables if wanted & set(t.keys)),
                *build_standardized_checks(config)[:1],
            ],
            resources={
                "warehouse": Warehouse(database=str(folder / "w.duckdb")),
                "clock": Clock(as_of=AS_OF.isoformat()),
                "settings": Settings(data_dir=folder),
            },
            raise_on_error=False,
        )
        self.checks = {c.check_name: c for c in self.result.get_asset_check_evaluations()}
        with duckdb.connect(str(folder / "w.duckdb")) as con:
            self.rows: list[Any] = con.execute(
                "SELECT contact_id, given_name, email, phone FROM standardized.crm_contacts"
                " ORDER BY 1"
            ).fetchall()


def test_a_source_grows_drops_and_renames_in_real_runs(shop: Shop, tmp_path: Path) -> None:
    yaml = CRM.replace("given_name: First", "given_name: First, phone: Phone")
    head = "ID,First,Mail,Phone\n"
    whole = "".join(f"{n},Ann,a{n}@example.com,+49 30 90182{n:02}\n" for n in range(10, 30))
    config = shop(yaml, crm__a_csv=head + whole)
    first = Run(config, tmp_path)
    assert first.result.success
    assert first.checks["mapped_columns_are_there"].passed

    other = head.replace("Phone", "Tel").replace("\n", ",Fax\n") + whole.replace("\n", ",1\n")
    put(tmp_path, "crm__a_csv", other)
    renamed = Run(config, tmp_path)
    check = renamed.checks["mapped_columns_are_there"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "`Phone` is missing in crm/a.csv" in (check.description or "")
    assert "example.com" not in " ".join(str(e) for e in renamed.result.all_events)
    assert renamed.rows == [(*row[:3], None) for row in first.rows]
    assert renamed.checks["no_row_was_lost"].passed
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        assert con.execute('SELECT DISTINCT "Fax" FROM sources.crm').fetchall() == [("1",)]

    moved = Run(shop(yaml.replace("phone: Phone", "phone: Tel")), tmp_path)
    assert moved.checks["mapped_columns_are_there"].passed
    assert moved.rows == first.rows


def test_a_source_that_loses_its_key_is_not_published(shop: Shop, tmp_path: Path) -> None:
    rows = "".join(f"{n},Ann,a{n}@example.com\n" for n in range(10))
    config = shop(crm__a_csv=HEAD + rows)
    first = Run(config, tmp_path)
    put(tmp_path, "crm__a_csv", "First,Mail\n" + "".join(r[2:] + "\n" for r in rows.split()))
    lost = Run(config, tmp_path)
    assert not lost.result.success
    assert lost.rows == first.rows
    assert "`ID` is missing in crm/a.csv" in str(lost.checks["mapped_columns_are_there"])
    assert not lost.checks["contact_id__required"].passed
    (failure,) = [e for e in lost.result.all_events if e.is_step_failure]
    assert "standardized.crm_contacts was not published: of 10 rows" in str(
        failure.event_specific_data
    )
