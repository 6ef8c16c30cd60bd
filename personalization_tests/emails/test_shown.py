"""What mails recommended is kept place by place, as it went out."""

import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from personalization_assets.emails.brand import load_brand
from personalization_assets.emails.building import compile_all, render_parts
from personalization_assets.emails.campaigns import load_campaigns
from personalization_assets.emails.links import Signer
from personalization_assets.emails.settings import EmailsSettings
from personalization_assets.emails.shown import shown
from personalization_tests.emails.conftest import Shop, render_all
from personalization_tests.emails.shop import AS_OF, PROJECT, make_shop, publish

COLUMNS = "send_id, position, product_id, rank, source, propensity, explored"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop of this module's own: its temporary tables are looked at."""
    return render_all(make_shop(150), tmp_path_factory.mktemp("parts"))


def kept(con: duckdb.DuckDBPyConnection, days: int = 120, earlier: bool = True,
         delivered: bool = True) -> list[tuple[Any, ...]]:  # fmt: skip
    sql = shown(AS_OF, days, earlier, delivered)
    return con.execute(f"SELECT {COLUMNS} FROM ({sql}) ORDER BY 1, 2").fetchall()


def test_each_place_is_a_link_of_the_mail_and_each_link_a_place(own: Shop) -> None:
    mails = own.rows(
        "SELECT send_id, html FROM emails.batches WHERE status = 'rendered' ORDER BY 1"
    )
    linked = {
        (send_id, int(place))
        for send_id, html in mails
        for place in re.findall(r"utm_content=products-(\d+)", html)
    }
    places = kept(own.con, earlier=False, delivered=False)
    assert {row[:2] for row in places} == linked
    assert len(places) == len(linked) > 300


def test_places_say_how_the_product_came_there(own: Shop) -> None:
    for table, where in (
        ("propensity = 1 AND rank IS NULL AND model_version = 'none'", "source = 'bestseller'"),
        ("explored = (rank % 4 = 0) AND propensity = 1 - rank / 100 AND model_version = 'm1'",
         "source <> 'bestseller'"),
    ):  # fmt: skip
        right, count = own.rows(
            f"SELECT count(*) FILTER (WHERE {table}), count(*) FROM mail_places WHERE {where}"
        )[0]
        assert right == count > 50, where
    wrong = own.rows("""
        SELECT count(*) FROM mail_places p JOIN recommendations.top_products t
        USING (customer_id, product_id)
        WHERE p.source <> 'bestseller' AND p.recommendation_id <> t.recommendation_id
    """)
    assert wrong == [(0,)]


def test_a_mail_that_was_handed_over_keeps_the_places_that_it_went_out_with(own: Shop) -> None:
    con = own.con
    now = kept(con, earlier=False, delivered=False)
    publish(con, "emails.shown_products", shown(AS_OF, 120, earlier=False, delivered=False))
    publish(con, "emails.deliveries", "SELECT min(send_id) AS send_id FROM mail_places")
    assert kept(con) == now
    con.execute("UPDATE emails.shown_products SET product_id = 'old' WHERE position = 1")
    changed = {row[0] for row in kept(con) if row[2] == "old"}
    assert changed == {min(row[0] for row in now)}
    assert len(kept(con)) == len(now)


def test_earlier_runs_stay_for_the_days_that_settings_say(own: Shop) -> None:
    con = own.con
    now = kept(con, earlier=False, delivered=False)
    publish(
        con,
        "emails.shown_products",
        f"""SELECT * REPLACE (md5(send_id) AS send_id, as_of - INTERVAL 10 DAY AS as_of)
            FROM ({shown(AS_OF, 120, earlier=False, delivered=False)})""",
    )
    assert len(kept(con, delivered=False)) == 2 * len(now)
    assert kept(con, days=9, delivered=False) == now
    # what a run of the same time rendered before, and does not any more, goes
    con.execute("UPDATE emails.shown_products SET as_of = as_of + INTERVAL 10 DAY")
    assert kept(con, delivered=False) == now


def test_a_template_that_shows_two_products_has_two_places(tmp_path: Path) -> None:
    con = make_shop(60)
    render_all(con, tmp_path / "first")
    whole = con.execute("SELECT DISTINCT position FROM mail_places ORDER BY 1").fetchall()
    assert [row[0] for row in whole] == [1, 2, 3, 4, 5, 6]
    folder = tmp_path / "campaigns"
    shutil.copytree(PROJECT / "data" / "campaigns", folder)
    for file in ("_blocks/products.mjml", "weekly_recommendations/text.liquid"):
        text = (folder / file).read_text()
        text = text.replace("for p in recommendations", "for p in recommendations limit: 2")
        text = text.replace("products: recommendations", "products: cart.items")
        (folder / file).write_text(text)
    settings = EmailsSettings()
    campaigns = [c for c in load_campaigns(folder) if c.name == "weekly_recommendations"]
    brand = load_brand(PROJECT / "data" / "brand.yaml")
    compiled = compile_all(con, campaigns, brand, settings, AS_OF)
    render_parts(con, compiled, Signer(b"0123456789abcdef"), tmp_path / "second")
    found = con.execute("SELECT DISTINCT position FROM mail_places ORDER BY 1").fetchall()
    assert [row[0] for row in found] == [1, 2]
