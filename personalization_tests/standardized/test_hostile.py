"""From hostile files to tables, in real runs: every record is accepted or quarantined."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from personalization_assets.settings import Settings
from personalization_assets.sources.assets import build_source_assets
from personalization_assets.sources.config import load_sources
from personalization_assets.standardized.assets import build_standardized_assets
from personalization_assets.standardized.balance import balance
from personalization_assets.tables import Clock
from personalization_assets.warehouse import Warehouse

SOURCES = """
version: 1
sources:
  crm:
    path: crm
    format: csv
    date_order: dmy
    country: DE
    feeds:
      crm_contacts:
        columns: {contact_id: id, given_name: name, email: mail, phone: phone,
                  birth_date: born, postcode: zip, updated_at: changed, email_opt_in: opt}
  shop:
    path: shop
    format: ndjson
    currency: EUR
    feeds:
      orders:
        columns: {order_id: id, account_key: customer, ordered_at: at, total_amount: total,
                  given_name: name, email: mail}
"""
CRM = ["id", "name", "mail", "phone", "born", "zip", "changed", "opt"]
SHOP = ["id", "customer", "at", "total", "name", "mail"]
VALUES = [
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "\ufeff",
        "\u202egnp.exe",
        "\u200b",
        "e\u0301",
        "e" + "\u0301" * 500,
    ),
    *("=1+1", "@SUM(A1)", "-2", "+49 30 1234567", "\t=x", "'; DROP TABLE x;--", "%s{}$(id)", "\\"),
    *("日本 太郎", "עברית", "عربى", "नमस्ते", "👩‍👩‍👧‍👦", "ﬁ", "Ａ", "İı", "ß", "x" * 100_000),
    *("1,234.56", "1.234,56", "12,-", "99¢", "1e400", "NaN", "-0", "٣٤", "0x10", "1" * 400),
    *(
        "0000-00-00",
        "9999-12-31",
        "0001-01-01",
        "24-01-05",
        "2024-02-30",
        "1e18",
        "2024-03-31 02:30",
    ),
    *(
        "anna@example.com",
        "a@b@c",
        '"quoted local"@example.com',
        "jörg@münchen.de",
        "a" * 300 + "@x.org",
    ),
    *(
        "\u202ea@example.com",
        "a\u200b@example.com",
        "=cmd|'/c'!a@example.com",
        "a@-x.org",
        "@",
        "a@xn--",
    ),
    *("ja", "T", "0.0", "maybe", "ON", "✓", "line\nbreak", 'say "x"', "\r", "null", "[]", "{}"),
]


SOUND = 2_000
"""Sound rows beside them: a table with too many rejected rows would not be published."""


class Platform:
    """A folder with files and a warehouse; `refresh` runs the real assets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.received = (0, 0)
        (folder / "sources.yaml").write_text(SOURCES)
        self.warehouse = Warehouse(database=str(folder / "w.duckdb"))

    def put(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def refresh(self) -> None:
        config = load_sources(self.folder / "sources.yaml")
        keys = {dg.AssetKey(["standardized", t]) for t in ("crm_contacts", "orders", "quarantine")}
        tables = [a for a in build_standardized_assets(config) if keys & set(a.keys)]
        done = dg.materialize(
            [*build_source_assets(config), *tables],
            resources={
                "warehouse": self.warehouse,
                "clock": Clock(as_of="2026-10-20"),
                "settings": Settings.model_validate(
                    {"data_dir": self.folder, "sources": {"settle_seconds": 0}}
                ),
            },
        )
        assert done.success

    def counts(self, table: str) -> dict[str, int]:
        """Received, accepted, waiting and discarded rows."""
        with self.warehouse.connect() as con:
            frame = balance(con, load_sources(self.folder / "sources.yaml"), table)
        return {c: int(frame[c].sum()) for c in ("received", "accepted", "waiting", "discarded")}

    def query(self, sql: str) -> list[Any]:
        with self.warehouse.connect() as con:
            return con.execute(sql).fetchall()


def csv_of(rows: list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([CRM, *rows])
    return out.getvalue().encode()


def sound_contact(n: int) -> list[str]:
    return [f"s{n}", "Anna", f"s{n}@example.com", "", "1980-05-01", "10115", "", "yes"]


def balanced(counts: dict[str, int], received: int) -> None:
    assert counts["received"] == received
    assert received == counts["accepted"] + counts["waiting"] + counts["discarded"]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Every odd value in every column of two sources, between rows that are sound."""
    made = Platform(tmp_path_factory.mktemp("hostile"))
    rows, objects = [], []
    for n, value in enumerate(VALUES):
        for at in range(len(CRM)):
            row = [
                f"c{n}-{at}",
                "Anna",
                f"a{n}.{at}@example.com",
                "",
                "1980-05-01",
                "10115",
                "",
                "yes",
            ]
            row[at] = value
            rows.append(row)
        for key in SHOP:
            sound = {"id": f"o{n}-{key}", "at": "2024-01-31", "total": "9.50", "name": "Anna"}
            objects.append({**sound, "mail": "anna@example.com", key: value})
    rows += [sound_contact(n) for n in range(SOUND)]
    objects += [
        {"id": f"s{n}", "at": "2024-01-31", "total": "1", "name": "A"} for n in range(SOUND)
    ]
    made.put("crm/a.csv", csv_of(rows) + b'ragged\n"open,1\n')
    made.put("shop/a.ndjson", "".join(json.dumps(o) + "\n" for o in objects).encode() + b"{]\n")
    made.received = (len(rows) + 2, len(objects) + 1)
    made.refresh()
    return made


def test_every_odd_value_in_every_column_is_accounted_for(platform: Platform) -> None:
    contacts, orders = platform.received
    balanced(platform.counts("crm_contacts"), contacts)
    balanced(platform.counts("orders"), orders)


def test_quarantine_keeps_the_row_as_received(platform: Platform) -> None:
    kept = {p for (p,) in platform.query("SELECT payload FROM standardized.quarantine")}
    assert {"ragged", '"open,1', "{]"} <= kept
    values = {v for p in kept if p.startswith("{") and p != "{]" for v in json.loads(p).values()}
    rejected = {"a\x00b", "99¢", "1e400", "2024-02-30", "x" * 100_000} & values
    assert {"99¢", "1e400", "2024-02-30"} <= rejected


def test_no_accepted_row_holds_a_wrong_amount(platform: Platform) -> None:
    found = dict(
        platform.query(
            "SELECT s.total, any_value(o.total_amount) FROM standardized.orders o"
            " JOIN sources.shop s ON s._row_key = o._row_key GROUP BY ALL"
        )
    )
    assert {v: found.get(v) for v in ("1,234.56", "1.234,56", "12,-", "-0")} == {
        "1,234.56": 1234.56,
        "1.234,56": 1234.56,
        "12,-": 12.0,
        "-0": 0.0,
    }
    assert not {"99¢", "1e400", "NaN", "0x10", "٣٤"} & {
        v for v, n in found.items() if n is not None
    }


def test_accepted_text_holds_nothing_invisible(platform: Platform) -> None:
    odd = platform.query(
        "SELECT count(*) FROM standardized.crm_contacts WHERE regexp_matches("
        "concat_ws(' ', contact_id, given_name, email, postcode),"
        " '[\\x00-\\x1f\\x7f\\x{200b}\\x{202a}-\\x{202e}\\x{2066}-\\x{2069}\\x{feff}]')"
    )
    assert odd == [(0,)]


def test_a_hostile_new_version_leaves_the_tables_as_they_are(platform: Platform) -> None:
    before = platform.query("SELECT * FROM standardized.crm_contacts ORDER BY ALL")
    platform.put("crm/b.csv", b"\xff\xfe\x00")
    platform.put("crm/c.csv.gz", b"\x1f\x8b" + b"nonsense, but long enough")
    platform.put("shop/b.ndjson", b"[\n{}\n]\n")
    platform.refresh()
    assert platform.query("SELECT * FROM standardized.crm_contacts ORDER BY ALL") == before
    refused = platform.query("SELECT path FROM sources.files WHERE status = 'refused' ORDER BY 1")
    assert refused == [("crm/b.csv",), ("crm/c.csv.gz",), ("shop/b.ndjson",)]


@settings(
    max_examples=int(os.environ.get("FUZZ_RUNS", "1")),
    deadline=None,
    phases=[Phase.generate],  # a run takes a second: what fails is not made smaller
)
@given(
    st.lists(
        st.lists(st.one_of(st.sampled_from(VALUES), st.text(max_size=12)), min_size=8, max_size=8),
        min_size=1,
        max_size=30,
    )
)
def test_any_table_of_texts_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    made = Platform(tmp_path_factory.mktemp("any"))
    odd = [[v.encode("utf-8", "ignore").decode() for v in row] for row in rows]
    content = csv_of([*odd, *(sound_contact(n) for n in range(300))])
    made.put("crm/a.csv", content)
    made.put("shop/a.ndjson", b"")
    received = list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]
    made.refresh()
    balanced(made.counts("crm_contacts"), sum(1 for r in received if r))
