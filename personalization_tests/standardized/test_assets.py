"""From files to published tables: repeats, the quarantine, nothing lost, nothing changed."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from personalization_assets import warehouse as wh
from personalization_assets.errors import UserError
from personalization_assets.settings import Settings
from personalization_assets.sources.assets import build_source_assets
from personalization_assets.sources.config import load_sources
from personalization_assets.standardized.assets import build_standardized_assets
from personalization_assets.standardized.checks import build_standardized_checks
from personalization_assets.standardized.spellings import load_spellings
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse

SOURCES = """
version: 1
sources:
  crm:
    path: crm*.csv
    format: csv
    date_order: dmy
    feeds:
      crm_contacts:
        columns: {contact_id: Id, given_name: Name, email: Mail, updated_at: Changed}
  shop:
    path: shop.csv
    format: csv
    currency: EUR
    feeds:
      products: {one_row_per: sku, columns: {product_id: sku, name: title}}
      order_lines:
        columns: {order_id: order, product_id: sku, quantity: n, unit_price: price}
  catalogue:
    path: catalogue.csv
    format: csv
    feeds:
      products: {columns: {product_id: sku, name: title}}
"""
FILES = {
    "crm_1.csv": "Id,Name,Mail,Changed\n"
    "1,Anna,anna@example.com,01.02.2024\n"
    "1,Anna,anna@example.com,01.02.2024\n"
    "2,Bob,bob@example.com,01.02.2024\n"
    "3,n/a,,\n"
    "4,Dan,dan@example.com,\n"
    "5,Eve,eve@example.com,\n"
    "6,Fay,fay@example.com,\n"
    "7,Guy,guy@example.com,\n",
    "crm_2.csv": "Id,Name,Mail,Changed\n"
    "2,Robert,bob@example.com,01.03.2024\n"
    "4,Daniel,dan@example.com,\n",
    "shop.csv": "order,sku,title,n,price\nA,p1,One,1,10\nA,p1,One,1,10\nA,p2,Two,3,1\n"
    "A,p3,Three,1,1\nA,p4,Four,x,1\nB,p1,One,1,2\n",
    "catalogue.csv": "sku,title\np1,Uno\np9,Nine\n",
}


FED = ["crm_contacts", "products", "orders", "order_lines", "quarantine"]
"""Tables that these files concern; the other ones would be empty."""


class Shop:
    """A folder with files and a warehouse."""

    first: dg.ExecuteInProcessResult

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in FILES.items():
            (folder / name).write_text(text)
        self.yaml = folder / "sources.yaml"
        self.yaml.write_text(SOURCES)
        self.warehouse = Warehouse(database=str(folder / "w.duckdb"))

    def run(self, as_of: str = "2026-10-20", only: str | None = None) -> dg.ExecuteInProcessResult:
        """Refresh the room, or one table of it with its sources."""
        config = load_sources(self.yaml)
        sources = build_source_assets(config)
        tables = build_standardized_assets(config)
        checks = build_standardized_checks(config)
        names = [only] if only else FED
        chosen = [
            t for t in tables if any(dg.AssetKey(["standardized", n]) in t.keys for n in names)
        ]
        return dg.materialize(
            [*sources, *chosen, *([] if only else checks[:1])],
            resources={
                "warehouse": self.warehouse,
                "clock": Clock(as_of=as_of),
                "settings": Settings.model_validate(
                    {"data_dir": self.folder, "sources": {"settle_seconds": 0}}
                ),
            },
        )

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with self.warehouse.connect() as con:
            return con.execute(sql).fetchall()

    def hashes(self) -> dict[str, str]:
        with self.warehouse.connect() as con:
            return {
                t: wh.content_hash(con, t) for t in wh.tables(con) if t.startswith("standardized.")
            }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"))
    made.first = made.run()
    return made


def test_the_newest_version_of_a_record_stays(shop: Shop) -> None:
    assert shop.query(
        "SELECT contact_id, given_name FROM standardized.crm_contacts ORDER BY 1"
    ) == [
        ("1", "Anna"),
        ("2", "Robert"),  # changed later
        ("4", "Daniel"),  # from the later file
        ("5", "Eve"),
        ("6", "Fay"),
        ("7", "Guy"),
    ]


def test_what_was_not_taken_waits_in_quarantine_as_it_was_received(shop: Shop) -> None:
    rows = shop.query(
        "SELECT table_name, payload, reasons, status FROM standardized.quarantine"
        " ORDER BY table_name, source, row_key, reasons"
    )
    found = {(str(r[0]), str(r[1])): (r[2], r[3]) for r in rows}
    assert len(rows) == 7
    assert found["crm_contacts", '{"Id":"3","Name":"n/a","Mail":null,"Changed":null}'] == (
        ["contact.reachable"],
        "waiting",
    )
    old = '{"Id":"2","Name":"Bob","Mail":"bob@example.com","Changed":"01.02.2024"}'
    assert found["crm_contacts", old] == (["row.superseded"], "discarded")
    again = '{"sku":"p1","title":"One","order":"A","n":"1","price":"10"}'
    assert found["order_lines", again] == (["row.duplicate"], "discarded")
    bad = '{"sku":"p4","title":"Four","order":"A","n":"x","price":"1"}'
    assert found["order_lines", bad] == (["quantity.type"], "waiting")
    assert found["products", '{"sku":"p1","title":"Uno"}'] == (
        ["product_id.other_source"],
        "discarded",
    )


def test_nothing_is_lost(shop: Shop) -> None:
    balance = {e.check_name: e for e in shop.first.get_asset_check_evaluations()}["no_row_was_lost"]
    assert balance.passed, balance.description


def test_a_second_run_changes_no_table_and_keeps_what_is_known_of_a_row(shop: Shop) -> None:
    before = shop.hashes()
    assert shop.run("2026-10-25").success
    assert shop.hashes() == before
    assert shop.query(
        "SELECT status, first_seen_as_of::DATE::VARCHAR FROM standardized.quarantine"
        " WHERE reasons = ['quantity.type']"
    ) == [("waiting", "2026-10-20")]


def test_too_many_bad_rows_stop_the_publish_and_leave_table_and_quarantine(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.run(only="crm_contacts")
    before = shop.hashes()
    (tmp_path / "crm_1.csv").write_text("Id,Name,Mail,Changed\n1,n/a,,\n2,,,\n3,,,\n")
    with pytest.raises(dg.Failure, match="rejected, the limit is 20%"):
        shop.run(only="crm_contacts")
    after = shop.hashes()
    assert after["standardized.crm_contacts"] == before["standardized.crm_contacts"]
    assert after["standardized.quarantine"] == before["standardized.quarantine"]


def test_wanted_spellings_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    assert load_spellings(path) == {}
    path.write_text("categories:\n  Home & Garden: [Haus und Garten]\n")
    assert load_spellings(path) == {"home garden": "Home & Garden", "haus garten": "Home & Garden"}
    for wrong in ("categories: [", "[]", "categories: {A: b}", "categories: {A: [x], B: [X]}"):
        path.write_text(wrong)
        with pytest.raises(UserError, match=r"labels\.yaml"):
            load_spellings(path)


def test_lines_find_their_orders_in_the_source_that_orders_of_names(tmp_path: Path) -> None:
    (tmp_path / "heads.csv").write_text("id,at\nA,2026-05-01\n")
    (tmp_path / "lines.csv").write_text("id,sku,n,price\nA,p1,1,10\nA,p2,1,5\n")
    yaml = (
        "version: 1\nsources:\n"
        "  heads:\n    path: heads.csv\n    format: csv\n    currency: EUR\n    feeds:\n"
        "      orders: {columns: {order_id: id, ordered_at: at}}\n"
        "  lines:\n    path: lines.csv\n    format: csv\n    currency: EUR\n    feeds:\n"
        "      order_lines:\n        orders_of: heads\n"
        "        columns: {order_id: id, product_id: sku, quantity: n, unit_price: price}\n"
    )
    room = dg.AssetKey(["standardized", "orders"]), dg.AssetKey(["standardized", "order_lines"])
    resources = {
        "warehouse": Warehouse(database=str(tmp_path / "w.duckdb")),
        "clock": Clock(as_of="2026-10-20"),
        "settings": Settings.model_validate(
            {"data_dir": tmp_path, "sources": {"settle_seconds": 0}}
        ),
    }
    for text, found in ((yaml, True), (yaml.replace("        orders_of: heads\n", ""), False)):
        (tmp_path / "sources.yaml").write_text(text)
        config = load_sources(tmp_path / "sources.yaml")
        tables = [a for a in build_standardized_assets(config) if a.keys & {*room}]
        check = build_standardized_checks(config)[1]
        result = dg.materialize([*build_source_assets(config), *tables, check], resources=resources)
        known = {e.check_name: e for e in result.get_asset_check_evaluations()}["order_is_known"]
        assert known.passed == found
        assert found or "name it in `orders_of`" in (known.description or "")


def test_events_are_read_in_pieces(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "id": [str(i % 2_400) for i in range(2_500)],
            "at": [str(1_706_700_000 + i % 2_400) for i in range(2_500)],
            "name": ["page_view"] * 2_500,
        }
    ).write_csv(tmp_path / "events.csv")
    yaml = tmp_path / "sources.yaml"
    yaml.write_text(
        "version: 1\nsources:\n  web:\n    path: events.csv\n    format: csv\n    feeds:\n"
        "      web_events: {columns: {event_id: id, occurred_at: at, event_name: name}}\n"
    )
    config = load_sources(yaml)
    warehouse = Warehouse(database=str(tmp_path / "w.duckdb"))
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path,
            "sources": {"settle_seconds": 0},
            "standardized": {"chunk_rows": 1000},
        }
    )
    wanted = [
        a
        for a in [*build_source_assets(config), *build_standardized_assets(config)]
        if a.keys & {dg.AssetKey(["sources", "web"]), dg.AssetKey(["standardized", "web_events"])}
    ]
    resources = {"warehouse": warehouse, "clock": Clock(as_of="2026-10-20"), "settings": settings}
    assert dg.materialize(wanted, resources=resources).success
    with warehouse.connect() as con:
        assert con.execute(
            "SELECT count(*), count(DISTINCT event_id), max(_row_key[18:]) FROM"
            " standardized.web_events"
        ).fetchall() == [(2_400, 2_400, "000002400")]
        assert con.execute("SELECT count(*) FROM standardized.quarantine").fetchall() == [(100,)]
