"""The worked example on files that nobody here made: every line arrives, every feed computes."""

from pathlib import Path

import duckdb
import pytest

from personalization_assets.sources import expressions
from personalization_assets.sources.config import load_sources
from personalization_assets.sources.feeds import feed_rows
from personalization_assets.sources.load import load_source
from personalization_tests.sources.conftest import AS_OF, AT_ONCE

YAML = Path(__file__).resolve().parent.parent / "real_shop" / "sources.yaml"


def test_every_line_of_the_real_shop(
    con: duckdb.DuckDBPyConnection, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REAL_SHOP", str(shared_data / "real-shop"))
    config = load_sources(YAML)
    expressions.check(config)
    reports = {name: load_source(con, config, name, AS_OF, AT_ONCE) for name in config.sources}
    assert {name: report.rows for name, report in reports.items()} == {
        "crm": 2_347,
        "loyalty": 1_161,
        "shop": 1_492,
        "shop_invoices": 181_739,
    }
    assert not any(r.bad_lines or r.refused or r.waiting for r in reports.values())
    fed = {
        (name, table): con.execute(
            f"SELECT count(*) FROM ({feed_rows(con, config, name, table)})"
        ).fetchall()[0][0]
        for name, source in config.sources.items()
        for table in source.feeds
    }
    assert fed == {
        ("crm", "crm_contacts"): 2_347,
        ("loyalty", "loyalty_members"): 1_161,
        ("shop", "crm_contacts"): 1_492,
        ("shop", "preferences"): 1_492,
        ("shop_invoices", "orders"): 10_191,
        ("shop_invoices", "order_lines"): 181_739,
        ("shop_invoices", "products"): 4_063,
    }
    truth = str(shared_data / "real-shop" / "truth.csv").replace("'", "''")
    matched = con.execute(
        f"""
        WITH truth AS (SELECT * FROM read_csv('{truth}', all_varchar = true)),
        people AS (SELECT 'crm' AS source, contact_id AS key FROM sources.crm
            UNION ALL SELECT 'loyalty', member_no FROM sources.loyalty
            UNION ALL SELECT 'shop', account_ref FROM sources.shop)
        SELECT count(*), count(people.key) FROM truth LEFT JOIN people USING (source, key)
        """
    ).fetchall()
    assert matched == [(5_000, 5_000)]
    shifted = con.execute(
        "SELECT count(*) FROM sources.shop_invoices WHERE try_cast(Country AS DOUBLE) IS NOT NULL"
        " OR try_cast(Quantity AS INTEGER) IS NULL OR try_cast(Price AS DOUBLE) IS NULL"
    ).fetchall()
    assert shifted == [(0,)]
