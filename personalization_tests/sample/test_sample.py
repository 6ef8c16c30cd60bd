"""The sample shop: the same every time, complete in its truth, as dirty as it says."""

import datetime as dt
import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import phonenumbers
import polars as pl
import pytest
import yaml

from personalization_assets.errors import UserError
from personalization_assets.sample import SampleSummary, generate

END = dt.datetime(2026, 11, 1)
PEOPLE = 1_500


def build(out: Path, people: int = 200, seed: int = 7, end: dt.datetime = END) -> SampleSummary:
    return generate(out, people, seed, end, lambda text: None)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "landing"
    build(out, PEOPLE)
    return out


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def prints(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def read(shop: Path, name: str) -> pl.DataFrame:
    german = name.startswith("loyalty")
    return pl.read_csv(
        (shop / name).read_bytes().decode("cp1252" if german else "utf-8").encode(),
        separator=";" if german else ",",
        infer_schema=False,
    )


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    build(tmp_path / "a")
    build(tmp_path / "b")
    build(tmp_path / "c", seed=8)
    first = prints(tmp_path / "a")
    assert first == prints(tmp_path / "b")
    assert first["crm/contacts.csv"] != prints(tmp_path / "c")["crm/contacts.csv"]


def test_small_shop_is_quick_and_marked_complete(tmp_path: Path) -> None:
    start = time.perf_counter()
    summary = build(tmp_path)
    assert time.perf_counter() - start < 20
    marker = json.loads((tmp_path / "sample.json").read_text())
    assert (marker["people"], marker["seed"], marker["end"]) == (200, 7, "2026-11-01T00:00:00")
    assert marker["rows"] == summary.rows
    assert set(prints(tmp_path)) == {*summary.files, "sample.json"}


def test_another_sample_replaces_the_first_and_leaves_no_file_behind(tmp_path: Path) -> None:
    build(tmp_path)
    summary = build(tmp_path, end=dt.datetime(2025, 3, 1))
    assert set(prints(tmp_path)) == {*summary.files, "sample.json"}


def test_files_of_somebody_else_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "mine.ndjson").write_text("{}")
    with pytest.raises(UserError, match=r"mine\.ndjson was not written by the sample shop"):
        build(tmp_path)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["mine.ndjson"]


def test_too_few_people_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="20 to 2,000,000 people"):
        build(tmp_path, people=3)


def test_truth_covers_every_record_once(shop: Path, con: duckdb.DuckDBPyConnection) -> None:
    truth = read(shop, "truth/truth.csv")
    assert not truth.select(pl.struct("source", "key").is_duplicated().any()).item()
    known = {
        name: set(part["key"])
        for (name,), part in truth.partition_by("source", as_dict=True).items()
    }
    assert (
        set(read(shop, "crm/contacts.csv")["ContactID"].drop_nulls()) - {""}
        <= known["crm_contacts"]
    )
    assert (
        set(read(shop, "loyalty/members.csv")["Mitgliedsnummer"].drop_nulls())
        <= known["loyalty_members"]
    )
    assert (
        set(read(shop, "preferences/preferences.csv")["subscriber_id"].drop_nulls())
        <= known["preference_centre"]
    )
    orders = read(shop, "shop/orders.csv").filter(pl.col("order_id").is_not_null())
    guests = orders.filter(pl.col("customer_id").is_null() & pl.col("billing_name").is_not_null())
    assert set("shop:" + orders["customer_id"].drop_nulls()) <= known["shop_orders"]
    assert set("order:" + guests["order_id"]) <= known["shop_orders"]
    users = con.sql(
        f"SELECT DISTINCT user_id FROM read_json('{shop}/web/*.gz') WHERE user_id IS NOT NULL"
    ).fetchall()
    assert {f"shop:{user}" for (user,) in users} <= known["web_events"]
    mails = con.sql(
        f"SELECT DISTINCT email FROM read_json('{shop}/esp/*') WHERE email LIKE '%@%.%'"
    ).fetchall()
    assert {mail for (mail,) in mails} <= known["esp_events"]
    handles = con.sql(
        f"SELECT DISTINCT network || ':' || handle FROM read_json('{shop}/social/*') "
        "WHERE handle IS NOT NULL"
    )
    assert {key for (key,) in handles.fetchall()} <= known["social_activity"]


def test_people_stand_in_several_systems(shop: Path) -> None:
    truth = read(shop, "truth/truth.csv").filter(~pl.col("person").str.starts_with("test"))
    assert 3 < truth.height / truth["person"].n_unique() < 7


def test_no_extract_tells_who_is_who(shop: Path) -> None:
    people = set(read(shop, "truth/truth.csv")["person"])
    sources = yaml.safe_load(Path("data/sources.yaml").read_text(encoding="utf-8"))["sources"]
    assert not [name for name, source in sources.items() if "truth" in source["path"]]
    for name in ("crm/contacts.csv", "loyalty/members.csv", "shop/orders.csv"):
        frame = read(shop, name)
        assert not any(set(frame[column].drop_nulls()) & people for column in frame.columns)


def test_sources_file_maps_only_columns_that_exist(
    shop: Path, con: duckdb.DuckDBPyConnection
) -> None:
    sources = yaml.safe_load(Path("data/sources.yaml").read_text(encoding="utf-8"))["sources"]
    truth = set(read(shop, "truth/truth.csv")["source"])
    assert truth <= set(sources)
    for source in sources.values():
        path = shop / source["path"].removeprefix("landing/")
        if source["format"] == "csv":
            columns = set(
                read(shop, next(path.parent.glob(path.name)).relative_to(shop).as_posix()).columns
            )
        else:
            reader = "read_parquet" if source["format"] == "parquet" else "read_json"
            columns = set(con.sql(f"SELECT * FROM {reader}('{path}') LIMIT 0").columns)
        for feed in source["feeds"].values():
            plain = {name for name in feed["columns"].values() if isinstance(name, str)}
            assert plain <= columns


def test_dirt_is_there_and_little(shop: Path) -> None:
    marker = json.loads((shop / "sample.json").read_text())
    assert all(rows > 0 for rows in marker["dirty"].values())
    per_table: dict[str, int] = {}
    for kind, rows in marker["dirty"].items():
        per_table[kind.split(".")[0]] = per_table.get(kind.split(".")[0], 0) + rows
    contacts = marker["rows"]["crm/contacts.csv"]
    assert 0.01 < per_table["crm_contacts"] / contacts < 0.06
    orders = read(shop, "shop/orders.csv")
    lines = pl.read_parquet(shop / "shop/order_lines.parquet")
    assert orders["order_id"].null_count() > 0
    assert (
        (orders["currency"] == "XXX").any()
        or (orders["currency"] == "BTC").any()
        or (orders["currency"] == "EURO€").any()
    )
    assert (lines["quantity"] == 0).any()
    assert (lines["unit_price"] < 0).any()
    assert not set(lines["sku"].drop_nulls()) <= set(
        read(shop, "shop/products.csv")["sku"].drop_nulls()
    )
    assert lines.is_duplicated().any()


def test_web_log_has_the_shape_of_ga4(shop: Path, con: duckdb.DuckDBPyConnection) -> None:
    log = con.sql(f"SELECT * FROM read_json('{shop}/web/*.gz')")
    assert {"event_params", "items", "user_pseudo_id", "user_id", "event_timestamp"} <= set(
        log.columns
    )
    names = con.sql(
        "SELECT event_name, count(*), bool_and(len(event_params) >= 2), max(len(items)) "
        "FROM log GROUP BY 1"
    ).fetchall()
    found = {name: (rows, most) for name, rows, whole, most in names if whole}
    for name in (
        "page_view",
        "view_item",
        "search",
        "add_to_cart",
        "remove_from_cart",
        "begin_checkout",
        "purchase",
        "login",
        "sign_up",
    ):
        assert found[name][0] > 0
    assert found["view_item"][1] == 1
    assert found["purchase"][1] > 1
    late = con.sql(
        "SELECT max(TRY_CAST(event_timestamp AS BIGINT)) FILTER (WHERE event_date < '20261101') "
        "FROM log"
    ).fetchall()
    assert late[0][0] is not None


def test_mail_events_hold_machine_opens_and_bounces(
    shop: Path, con: duckdb.DuckDBPyConnection
) -> None:
    log = con.sql(f"SELECT * FROM read_json('{shop}/esp/*')")
    assert log.columns
    machine = con.sql(
        "SELECT count(*) FILTER (WHERE sg_machine_open), count(*) FROM log WHERE event = 'open'"
    )
    robots, opens = machine.fetchall()[0]
    assert 0 < robots < opens
    kinds = dict(
        con.sql("SELECT type, count(*) FROM log WHERE event = 'bounce' GROUP BY 1").fetchall()
    )
    assert {"bounce", "blocked"} <= set(kinds)


def test_phones_are_valid_where_nobody_spoilt_them(shop: Path) -> None:
    contacts = read(shop, "crm/contacts.csv").filter(pl.col("Phone").str.starts_with("+"))
    numbers = [text for text in contacts["Phone"] if len(text) > 6]
    good = sum(phonenumbers.is_valid_number(phonenumbers.parse(text, None)) for text in numbers)
    assert good / len(numbers) > 0.99


def test_addresses_lie_in_reserved_domains(shop: Path) -> None:
    mails = read(shop, "shop/orders.csv")["email"].drop_nulls().str.to_lowercase()
    hosts = set(
        mails.filter(mails.str.contains(r"^[^@]+@[^@]+\.[a-z]+$")).str.split("@").list.get(1)
    )
    assert all(host.endswith(".example") or ".example." in f".{host}" for host in hosts)


def test_nothing_happens_after_the_end_but_on_purpose(shop: Path) -> None:
    at = (
        read(shop, "shop/orders.csv")["created_at"]
        .str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False)
        .drop_nulls()
    )
    late = (at >= END).sum()
    marker = json.loads((shop / "sample.json").read_text())
    assert late <= marker["dirty"]["shop_orders.created_at.future"] * 2


def test_gzip_files_carry_no_time(shop: Path) -> None:
    path = next((shop / "web").glob("*.gz"))
    assert path.read_bytes()[4:8] == b"\0\0\0\0"
    with gzip.open(path) as lines:
        assert json.loads(lines.readline())["event_name"]
