"""The wide row, its maturity, the checks across tables, and that threads change nothing."""

import datetime as dt
from pathlib import Path

import pytest

from personalization_assets.contracts import contract_of
from personalization_assets.profiles.campaign_use import campaign_use
from personalization_assets.profiles.checks import (
    PER_CUSTOMER,
    consents_against_a_no,
    consents_of_others,
    consents_without_origin,
    customers_missing,
)
from personalization_assets.profiles.contracts import Maturity
from personalization_assets.profiles.maturity import MODELS, measure, parts_of, stage_of
from personalization_assets.profiles.settings import ProfilesSettings
from personalization_assets.warehouse import content_hash

from .shop import ORDER, Shop, ago


def filled(people: int = 300, threads: int = 2) -> Shop:
    """A shop without a pattern to it, the same every time; ties are frequent on purpose."""
    shop = Shop(threads=threads)
    number = "(md5_number_lower('{0}' || i) % {1})::BIGINT"

    def some(salt: str, below: int) -> str:
        return number.format(salt, below)

    def fill(table: str, rows: int, **columns: str) -> None:
        shop.con.execute(
            f"INSERT INTO standardized.{table} ({', '.join(columns)})"
            f" SELECT {', '.join(columns.values())} FROM range({rows}) AS r(i)"
        )

    def when(salt: str) -> str:
        return f"TIMESTAMP '2025-06-01' + INTERVAL 1 DAY * {some(salt, 380)}"

    mail = f"'p' || {some('mail', people)} || '@x.org'"
    product = f"'p' || {some('product', 40)}"
    account = f"'k' || {some('account', people)}"
    fill("products", 40, source="'shop'", product_id="'p' || i", category="'C' || (i % 7)",
         brand="'B' || (i % 3)", price_base="i / 3.0")  # fmt: skip
    fill("crm_contacts", people, source="'crm'", contact_id="'c' || i", record_id="'c' || i",
         given_name=f"'G' || {some('given', 9)}", email=mail,
         birth_date="DATE '1970-01-01' + i::INT",
         country="CASE WHEN i % 2 = 0 THEN 'DE' ELSE 'US' END", postcode="i::VARCHAR",
         email_opt_in="i % 3 = 0", updated_at=when("crm"))  # fmt: skip
    fill("preferences", people, source="'pc'", record_id="'r' || i", email=mail,
         email_marketing="i % 4 > 0", categories="['C' || (i % 7)]",
         updated_at=when("pc"))  # fmt: skip
    fill("web_events", people * 40, source="'web'", event_id="'e' || i",
         occurred_at=when("web"), record_id=f"CASE WHEN i % 2 = 0 THEN {account} END",
         device_id=f"'d' || {some('account', people)}", session_id=f"'s' || {some('s', 999)}",
         event_name="['page_view', 'view_item', 'add_to_cart', 'remove_from_cart', 'search']"
         f"[1 + {some('name', 5)}]", product_id=product, quantity="1 + i % 3",
         device_type=f"['mobile', 'desktop'][1 + {some('t', 2)}]")  # fmt: skip
    fill("orders", people * 4, source="'shop'", order_id="'o' || i", record_id=account,
         account_key=account, ordered_at=when("order"), total_base=f"{some('total', 9)} / 7.0",
         status=f"['completed', 'completed', 'refunded'][1 + {some('st', 3)}]")  # fmt: skip
    fill("order_lines", people * 8, source="'shop'", order_source="'shop'",
         order_id="'o' || (i // 2)", line_number="i", product_id=product,
         quantity=f"{some('q', 4)} - 1", line_base="i / 7.0")  # fmt: skip
    fill("email_events", people * 12, source="'esp'", event_id="'m' || i", email=mail,
         record_id=mail, occurred_at=when("esp"), send_id=f"'s' || {some('send', people * 3)}",
         event_type="['delivered', 'delivered', 'open', 'click', 'bounce', 'unsubscribe']"
         f"[1 + {some('kind', 6)}]", bounce_type="'hard'", is_machine="i % 5 = 0")  # fmt: skip
    for table in ("crm_contacts", "preferences", "web_events", "orders", "email_events"):
        shop.con.execute(
            "INSERT INTO identity.links SELECT DISTINCT source, record_id, 'c_' ||"
            f" regexp_extract(record_id, '[0-9]+')::INT % {people // 2}, 'h', 0.9, 'model'"
            f" FROM standardized.{table} WHERE record_id IS NOT NULL"
        )
    shop.con.execute(
        "INSERT INTO identity.links_strict SELECT source, record_id, customer_id,"
        " 'k_' || customer_id || source[1] FROM identity.links"
    )
    return shop


@pytest.fixture(scope="module")
def shop() -> Shop:
    return filled().build()


def test_every_customer_has_one_row_in_every_table(shop: Shop) -> None:
    assert customers_missing(shop.con) == {}
    assert {shop.frame(t).height for t in PER_CUSTOMER} == {150}


def test_a_missing_customer_is_found(shop: Shop) -> None:
    shop.con.execute("BEGIN")
    shop.con.execute("DELETE FROM profiles.consents WHERE customer_id = 'c_1'")
    shop.con.execute("INSERT INTO profiles.places (customer_id) VALUES ('nobody')")
    assert customers_missing(shop.con) == {"consents": 1, "places": 1}
    shop.con.execute("ROLLBACK")


def test_consents_are_backed(shop: Shop) -> None:
    assert consents_without_origin(shop.con) == consents_against_a_no(shop.con) == 0
    shop.con.execute("BEGIN")
    shop.con.execute("UPDATE profiles.golden_profiles SET consent_email_marketing = true")
    assert (
        consents_without_origin(shop.con)
        == shop.con.execute(
            "SELECT count(*) FROM profiles.consents WHERE email_marketing_origin IS NULL"
        ).fetchall()[0][0]
    )
    assert consents_against_a_no(shop.con) > 0
    shop.con.execute("ROLLBACK")


def test_a_consent_of_another_record_is_found(shop: Shop) -> None:
    assert consents_of_others(shop.con) == 0
    shop.con.execute("BEGIN")
    shop.con.execute("UPDATE profiles.golden_profiles SET email = 'new@x.org', email_origin = NULL")
    consenting = "SELECT count(*) FROM profiles.golden_profiles WHERE consent_email_marketing"
    assert consents_of_others(shop.con) == shop.con.execute(consenting).fetchall()[0][0] > 0
    shop.con.execute("ROLLBACK")


def test_golden_profiles_carry_what_the_parts_say(shop: Shop) -> None:
    golden = shop.frame("golden_profiles").columns
    assert len(golden) == len(set(golden))
    for part in ("behaviour", "transactions", "enrichment"):
        assert set(shop.frame(part).columns) <= set(golden)
    row, consent = shop.one("golden_profiles", "c_7"), shop.one("consents", "c_7")
    assert row["consent_email_marketing"] == consent["email_marketing"]
    assert row["revenue_base"] == shop.one("transactions", "c_7")["revenue_base"]
    assert row["identity_confidence"] == 0.9


def test_the_number_of_threads_changes_nothing(shop: Shop) -> None:
    other = filled(threads=1)
    for table, order in (("web_events", "md5(event_id)"), ("order_lines", "line_number DESC")):
        other.con.execute(
            f"CREATE OR REPLACE TABLE standardized.{table} AS"
            f" SELECT * FROM standardized.{table} ORDER BY {order}"
        )
    other.build()
    for table in ORDER:
        name = f"profiles.{table}"
        assert content_hash(other.con, name) == content_hash(shop.con, name), table
    assert measure(other.con, ProfilesSettings()).equals(measure(shop.con, ProfilesSettings()))


def test_maturity_names_every_data_point(shop: Shop) -> None:
    frame = measure(shop.con, ProfilesSettings())
    audit = contract_of(Maturity).audit(frame)
    assert audit.rejected.height == 0
    by_name = {row["data_point"]: row for row in frame.iter_rows(named=True)}
    golden = set(shop.frame("golden_profiles").columns)
    assert set(by_name) <= golden
    assert {"email", "orders", "open_cart", "consent_email_marketing", "is_vip"} <= set(by_name)
    assert by_name["phone"]["stage"] == "missing"
    assert "crm_contacts" in by_name["phone"]["advice"]
    assert (by_name["birth_date"]["coverage"], by_name["birth_date"]["stage"]) == (1.0, "trusted")
    assert by_name["birth_date"]["origin_sources"] == 1
    assert all(row["advice"].endswith(".") for row in by_name.values())


@pytest.mark.parametrize(
    ("coverage", "validity", "freshness", "stage"),
    [
        (0.0, None, None, "missing"),
        (0.2, 1.0, 1.0, "emerging"),
        (0.9, 0.8, 1.0, "emerging"),
        (0.5, 1.0, 1.0, "usable"),
        (0.9, 0.95, 1.0, "usable"),
        (0.9, 1.0, 900.0, "usable"),
        (0.9, 1.0, None, "trusted"),
    ],
)
def test_stages(
    coverage: float, validity: float | None, freshness: float | None, stage: str
) -> None:
    assert stage_of(coverage, validity, freshness, ProfilesSettings()) == stage


@pytest.mark.parametrize(
    ("born", "band"),
    [
        (dt.date(2008, 6, 1), "18-24"),
        (dt.date(2008, 6, 2), "under_18"),
        (dt.date(1961, 6, 2), "55-64"),
        (dt.date(1961, 6, 1), "65+"),
        (dt.date(1890, 1, 1), None),
        (dt.date(2030, 1, 1), None),
    ],
)
def test_age_bands_at_as_of(born: dt.date, band: str | None) -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", birth_date=born, updated_at=ago(1))
    shop.link("c_1", "crm/a")
    row = shop.build().one("enrichment")
    assert (row["age_band"], row["age_band_origin"]) == (band, "crm/a" if band else None)


@pytest.mark.parametrize(
    ("country", "region", "zone", "origin"),
    [
        ("US", "ca", "America/Los_Angeles", "crm/a"),
        ("US", "California", "America/Los_Angeles", "crm/a"),
        ("US", None, "America/New_York", "crm/a"),
        ("DE", "Bayern", "Europe/Berlin", "crm/a"),
        (None, None, "UTC", "setting/time_zone"),
    ],
)
def test_time_zones(country: str | None, region: str | None, zone: str, origin: str) -> None:
    shop = Shop()
    shop.add("crm_contacts", "crm", record_id="a", country=country, region=region, postcode="1")
    shop.link("c_1", "crm/a")
    row = shop.build().one("enrichment")
    assert (row["time_zone"], row["time_zone_origin"]) == (zone, origin)


def test_every_time_zone_is_known_to_duckdb(shop: Shop) -> None:
    unknown = shop.con.execute(
        "SELECT time_zone FROM profiles.time_zones EXCEPT SELECT name FROM pg_timezone_names()"
    ).fetchall()
    assert unknown == []


def test_settings_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="active_days must not exceed lapsed_days"):
        ProfilesSettings(active_days=400)


def test_an_empty_shop_gives_empty_tables() -> None:
    shop = Shop().build()
    assert {shop.frame(t).height for t in PER_CUSTOMER} == {0}
    assert set(measure(shop.con, ProfilesSettings())["stage"]) == {"missing"}


def test_what_to_fix_next_is_ranked_by_customers_and_campaigns(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "_blocks").mkdir()
    (tmp_path / "_blocks" / "top.liquid").write_text("Hi {{ customer.loyalty_tier }}")
    for name, text in (
        ("one", "{% render 'top' %} {{ customer.city }}"),
        ("two", "{{ customer.city }}"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "campaign.yaml").write_text("audience: orders > 0")
        (tmp_path / name / "text.liquid").write_text(text)
    uses = campaign_use(tmp_path, parts_of(shop.con))
    assert (uses["city"], uses["loyalty_tier"]) == (["one", "two"], ["one"])
    assert uses["orders"] == uses["email"] == ["one", "two"]
    assert "phone" not in uses
    rows = {r["data_point"]: r for r in measure(shop.con, ProfilesSettings(), uses).to_dicts()}
    writable = shop.con.execute(
        "SELECT count(*) FROM profiles.golden_profiles WHERE consent_email_marketing"
    ).fetchall()[0][0]
    assert (
        rows["city"]["customers_to_reach"] == rows["loyalty_tier"]["customers_to_reach"] == writable
    )
    assert rows["city"]["rank"] < rows["loyalty_tier"]["rank"]
    assert rows["phone"]["rank"] is rows["orders"]["rank"] is None
    assert (rows["city"]["models"], rows["language"]["models"]) == ([], ["imputation"])
    assert rows["language"]["rank"]  # no campaign, but a model
    assert {name for read in MODELS.values() for name in read} <= set(rows)
    assert all(0 <= r["score"] <= 1 for r in rows.values())
