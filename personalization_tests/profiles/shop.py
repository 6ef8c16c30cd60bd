"""A warehouse with empty standardized tables that tests fill row by row, and the room's models."""

import datetime as dt
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandera.polars as pa
import polars as pl

from personalization_assets.contracts import contract_of
from personalization_assets.profiles.contracts_enrichment import (
    ImputationQuality,
    Imputations,
    ThirdParty,
    ThirdPartyRefused,
)
from personalization_assets.profiles.enrichment_file import VendorFile
from personalization_assets.profiles.filling import fill, quality_of
from personalization_assets.profiles.imputing import TARGETS, impute
from personalization_assets.profiles.settings import ProfilesSettings
from personalization_assets.profiles.survivorship import read_rules
from personalization_assets.profiles.survivorship_sql import compile_rules
from personalization_assets.profiles.third_party import match, read_files
from personalization_assets.settings import PROJECT, Settings
from personalization_assets.sql_models import SqlModel, read_sql_model

AS_OF = dt.datetime(2026, 6, 1, 6, 0)
MODELS = PROJECT / "dbt_like_sql"
RULES = PROJECT / "data" / "survivorship.yaml"

ORDER = (
    "time_zones",
    "device_owners",
    "email_addresses",
    "attributes",
    "consent_records",
    "places",
    "behaviour",
    "engagement",
    "transactions",
    "preferences",
    "consents",
    "age_bands",
    "imputation_signals",
    "third_party",
    "imputations",
    "enrichment",
    "golden_profiles",
)

_PERSON = "account_key, given_name, family_name, full_name, email, phone"
_ADDRESS = "street, postcode, city, region, country"
_COLUMNS = {
    "crm_contacts": f"contact_id, record_id, {_PERSON}, birth_date DATE, gender, {_ADDRESS}, "
    "language, device_id, email_opt_in BOOLEAN, created_at TIMESTAMP, updated_at TIMESTAMP",
    "loyalty_members": f"member_id, record_id, {_PERSON}, birth_date DATE, {_ADDRESS}, tier, "
    "points BIGINT, enrolled_at TIMESTAMP, updated_at TIMESTAMP",
    "preferences": "record_id, account_key, email, email_marketing BOOLEAN, personalisation "
    "BOOLEAN, sms_marketing BOOLEAN, third_party BOOLEAN, categories VARCHAR[], frequency, "
    "language, updated_at TIMESTAMP",
    "web_events": "event_id, occurred_at TIMESTAMP, event_name, device_id, account_key, record_id, "
    "session_id, product_id, quantity BIGINT, value DOUBLE, currency, value_base DOUBLE, page_url, "
    "search_term, traffic_source, country, device_type",
    "orders": f"order_id, record_id, {_PERSON}, {_ADDRESS}, ordered_at TIMESTAMP, status, "
    "currency, total_amount DOUBLE, total_base DOUBLE, discount_base DOUBLE, channel",
    "order_lines": "order_source, order_id, line_number BIGINT, product_id, description, "
    "quantity BIGINT, unit_price DOUBLE, currency, unit_price_base DOUBLE, line_base DOUBLE, "
    "ordered_at TIMESTAMP",
    "products": "product_id, name, category, subcategory, brand, price DOUBLE, currency, "
    "price_base DOUBLE, stock BIGINT, is_consumable BOOLEAN, image_url, url, description, "
    "launched_at TIMESTAMP, is_active BOOLEAN",
    "email_events": "event_id, occurred_at TIMESTAMP, event_type, email, record_id, campaign, "
    "send_id, url, product_id, is_machine BOOLEAN, bounce_type, user_agent",
    "social_activity": "activity_id, record_id, occurred_at TIMESTAMP, network, handle, full_name, "
    "email, activity_type, product_id, category, text",
}


def ago(days: float = 0, hours: float = 0, seconds: float = 0) -> dt.datetime:
    """So long before the run's time."""
    return AS_OF - dt.timedelta(days=days, hours=hours, seconds=seconds)


@cache
def _model(table: str, room: str = "profiles") -> SqlModel:
    return read_sql_model(MODELS / room / f"{table}.sql")


class Shop:
    """A tiny shop: `add` rows, `link` records to people, `build` the room, `one` row to look at."""

    def __init__(self, settings: ProfilesSettings | None = None, threads: int = 2) -> None:
        self.con = duckdb.connect(config={"threads": threads})
        self.settings = Settings(profiles=settings or ProfilesSettings())
        for name, value in self.settings.sql_variables(AS_OF).items():
            self.con.execute(f"SET VARIABLE {name} = ?", [value])
        for room in ("standardized", "identity", "profiles", "emails"):
            self.con.execute(f"CREATE SCHEMA {room}")
        for table, columns in _COLUMNS.items():
            typed = [c if " " in c else f"{c} VARCHAR" for c in columns.split(", ")]
            self.con.execute(
                f"CREATE TABLE standardized.{table} (source VARCHAR, {', '.join(typed)})"
            )
        self.con.execute(
            "CREATE TABLE identity.links (source VARCHAR, record_id VARCHAR, customer_id VARCHAR,"
            " household_id VARCHAR, confidence DOUBLE, linked_by VARCHAR)"
        )
        self.con.execute(
            "CREATE TABLE identity.links_strict (source VARCHAR, record_id VARCHAR,"
            " customer_id VARCHAR, certain_id VARCHAR)"
        )
        self.con.execute("CREATE TABLE emails.suppressions (email VARCHAR, stops VARCHAR)")
        self._number = 0

    def add(self, table: str, source: str = "src", **values: Any) -> None:
        """One row of a standardized table; ids that do not matter are numbered."""
        self._number += 1
        ids = {"web_events": "event_id", "email_events": "event_id", "crm_contacts": "contact_id"}
        if table in ids:
            values.setdefault(ids[table], f"{self._number:04d}")
        if table == "email_events":
            values.setdefault("record_id", values["email"])
        if table == "web_events":
            values.setdefault("record_id", values.get("account_key"))
            values.setdefault("device_id", "device")
        names = ", ".join(["source", *values])
        marks = ", ".join("?" * (len(values) + 1))
        self.con.execute(
            f"INSERT INTO standardized.{table} ({names}) VALUES ({marks})",
            [source, *values.values()],
        )

    def link(self, customer: str, *records: str, certain: bool = True) -> None:
        """Make records, written source/record_id, one customer; if not `certain`, by the model."""
        for record in records:
            source, record_id = record.split("/", 1)
            self.con.execute(
                "INSERT INTO identity.links VALUES (?, ?, ?, ?, 1.0, 'exact')",
                [source, record_id, customer, f"h_{customer}"],
            )
            self.con.execute(
                "INSERT INTO identity.links_strict VALUES (?, ?, ?, ?)",
                [source, record_id, customer, f"k_{customer}" if certain else f"k_{record}"],
            )

    def order(
        self, account: str, order_id: str, days: float, total: float | None, **values: Any
    ) -> None:
        """An order of an account of the shop, by default completed."""
        self.add(
            "orders",
            "shop",
            order_id=order_id,
            record_id=account,
            account_key=account,
            ordered_at=ago(days),
            total_base=total,
            **{"status": "completed", **values},
        )

    def line(
        self,
        order_id: str,
        product: str,
        quantity: int = 1,
        price: float = 10,
        source: str = "shop",
    ) -> None:
        """A line of an order of the shop; `source` is where the line itself comes from."""
        self._number += 1
        self.add(
            "order_lines",
            source,
            order_source="shop",
            order_id=order_id,
            line_number=self._number,
            product_id=product,
            quantity=quantity,
            line_base=quantity * price,
        )

    def build(
        self,
        rules: Path = RULES,
        vendors: Mapping[str, VendorFile] | None = None,
        folder: Path = MODELS,
    ) -> "Shop":
        """Build every table of the room, each rule of a model held; `vendors` lie in `folder`."""
        records = _model("records", "identity").sql
        self.con.execute(f"CREATE OR REPLACE TABLE identity.records AS {records}")
        for table in ORDER:
            if table == "attributes":
                sources = {
                    r[0] for r in self.con.execute("SELECT source FROM identity.links").fetchall()
                }
                self._create(table, compile_rules(read_rules(rules, sources)))
                continue
            if table == "third_party":
                read = read_files(vendors or {}, folder, {"Camping", "Hiking"}, AS_OF)
                self._keep("third_party_refused", ThirdPartyRefused, read.refused)
                self._keep(table, ThirdParty, match(self.con, read.values))
                continue
            if table == "imputations":
                predicted = [impute(self.con, a, self.settings.profiles, 20) for a in TARGETS]
                filled = fill(self.con, predicted)
                self._keep(table, Imputations, filled)
                quality = quality_of(predicted, filled, AS_OF)
                self._keep("imputation_quality", ImputationQuality, quality)
                continue
            model = _model(table)
            self._create(table, model.sql)
            for rule in model.contract.rules:
                if rule.sql:
                    broken = self.con.execute(
                        f"SELECT count(*) FROM profiles.{table} WHERE NOT ({rule.sql})"
                    ).fetchall()[0][0]
                    assert broken == 0, f"{table}: {rule.name}"
        return self

    def _keep(self, table: str, model: type[pa.DataFrameModel], frame: pl.DataFrame) -> None:
        audit = contract_of(model).audit(frame)
        assert not any(audit.failures.values()), (table, audit.failures)
        self.con.register("kept", audit.accepted.to_arrow())
        self._create(table, "FROM kept")
        self.con.unregister("kept")

    def _create(self, table: str, sql: str) -> None:
        self.con.execute(f"CREATE OR REPLACE TABLE profiles.{table} AS {sql}")

    def one(self, table: str, customer: str = "c_1") -> Mapping[str, Any]:
        """A customer's row of a table of the room."""
        rows = self.frame(table).filter(pl.col("customer_id") == customer)
        assert rows.height == 1
        return rows.row(0, named=True)

    def frame(self, table: str) -> pl.DataFrame:
        """A whole table of the room."""
        frame: pl.DataFrame = self.con.sql(f"SELECT * FROM profiles.{table}").pl()
        return frame
