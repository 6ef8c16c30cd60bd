"""One small shop, audience and batch for the tests that only look."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from aiosmtpd.controller import Controller

from personalization_assets.emails.audience import decide
from personalization_assets.emails.brand import Brand, load_brand
from personalization_assets.emails.building import BatchReport, compile_all, render_parts
from personalization_assets.emails.campaigns import Campaign, load_campaigns
from personalization_assets.emails.links import Signer
from personalization_assets.emails.settings import EmailsSettings
from personalization_tests.emails.delivery_shop import Handler, free_port
from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop, publish


@dataclass(frozen=True)
class Shop:
    con: duckdb.DuckDBPyConnection
    campaigns: list[Campaign]
    brand: Brand
    parts: Path
    report: BatchReport

    def rows(self, sql: str) -> list[tuple]:
        return self.con.execute(sql).fetchall()


def render_all(
    con: duckdb.DuckDBPyConnection, parts: Path, folder: Path = PROJECT / "data" / "campaigns"
) -> Shop:
    settings = EmailsSettings()
    campaigns = load_campaigns(folder)
    brand = load_brand(PROJECT / "data" / "brand.yaml")
    publish(con, "emails.audience", decide(con, campaigns, settings, AS_OF))
    compiled = compile_all(con, campaigns, brand, settings, AS_OF)
    report = render_parts(con, compiled, Signer(b"0123456789abcdef"), parts)
    publish(
        con,
        "emails.batches",
        f"SELECT * FROM read_parquet('{parts}/*.parquet') ORDER BY send_id",
    )
    return Shop(con, campaigns, brand, parts, report)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    con = make_shop()
    # People whose data try to break a mail.
    con.execute(
        """
        UPDATE profiles.golden_profiles SET given_name = '<b>Eve</b>' WHERE customer_id = 'c_' ||
            lpad('1', 16, '0');
        UPDATE profiles.golden_profiles SET given_name = 'Wolfgang-Maximilian-Ferdinand-August'
            WHERE customer_id = 'c_' || lpad('2', 16, '0');
        UPDATE profiles.golden_profiles SET given_name = 'Eve' || chr(13) || chr(10) || 'Bcc: x',
            stated_categories = ['<script>x</script>'], loyalty_tier = 'gold"><img>',
            loyalty_points = NULL WHERE customer_id = 'c_' || lpad('3', 16, '0');
        UPDATE standardized.products SET name = 'Mug' || chr(10) || 'Bcc: evil@example.com <i>&'
            WHERE product_id IN ('P24', 'P27', 'P40');
        """
    )
    yield render_all(con, tmp_path_factory.mktemp("parts"))
    con.close()


@pytest.fixture
def handler() -> Handler:
    """What a mail server on loopback takes."""
    return Handler()


@pytest.fixture
def server(handler: Handler) -> Iterator[Controller]:
    """The server."""
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()
