"""Dirty rows of every kind that contracts name: about one row in forty, counted by kind."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl

from personalization_assets.sample.draw import Draw

Spoilt = tuple[str, str, Sequence[object]]  # kind, column, values to choose from


class Dirt:
    """Spoils tables and counts what it did: `counts["crm.email.broken"]` rows."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.counts: dict[str, int] = {}

    def spoil(
        self,
        table: str,
        frame: pl.DataFrame,
        kinds: Sequence[Spoilt],
        key: str | None = None,
        share: float = 0.02,
        twice: float = 0.003,
    ) -> pl.DataFrame:
        """Overwrite cells in rows of their own, then repeat some rows and some keys.

        A repeated row is exactly the same; a repeated key stands on a row that says something
        else in the column of the first kind. Rows keep their order, repetitions go to the end.
        """
        draw = Draw(self.seed, f"dirt {table}")
        n = frame.height
        if not n:
            return frame
        each = max(1, round(n * share / max(1, len(kinds))))
        free = draw.rng.permutation(n)
        for number, (kind, column, values) in enumerate(kinds):
            rows = np.sort(free[number * each : (number + 1) * each])
            rows = rows[: max(1, n // 12 - number)] if n < 12 * len(kinds) else rows
            chosen = draw.rng.integers(0, len(values), len(rows))
            cells = pl.Series(column, [values[i] for i in chosen], dtype=frame.schema[column])
            frame = frame.with_columns(frame[column].scatter(rows, cells))
            self._count(f"{table}.{kind}", len(rows))
        again = max(1, round(n * twice))
        spare = free[len(kinds) * each :]
        extra = [frame[np.sort(spare[:again])]]
        self._count(f"{table}.row.repeated", len(spare[:again]))
        if key is not None and kinds:
            rows = np.sort(spare[again : again * 2])
            _, column, values = kinds[-1]
            extra.append(
                frame[rows].with_columns(
                    pl.lit(values[0], dtype=frame.schema[column]).alias(column)
                )
            )
            self._count(f"{table}.key.repeated", len(rows))
        return pl.concat([frame, *extra])

    def _count(self, kind: str, rows: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + rows


def crm(dirt: Dirt, frame: pl.DataFrame, end: dt.datetime) -> pl.DataFrame:
    """Contacts, with some that an employee made to try something out."""
    later = (end + dt.timedelta(days=400)).strftime("%d/%m/%Y")
    frame = dirt.spoil(
        "crm_contacts",
        frame,
        [
            (
                "email.broken",
                "EmailAddress",
                [
                    "anna.example.com",
                    "@mail.example.com",
                    "name@",
                    "a b@mail.example.com",
                    "x@@y.example",
                ],
            ),
            (
                "email.placeholder",
                "EmailAddress",
                ["n/a", "none", "-", "null", "test@test.com", "noreply@example.com"],
            ),
            (
                "phone.garbage",
                "Phone",
                ["000000", "12345", "call in the evening", "+49", "n/a", "0000 000000"],
            ),
            (
                "birth_date.impossible",
                "Birthday",
                ["31/02/1984", "00/00/0000", "45/13/1990", "1985"],
            ),
            ("birth_date.future", "Birthday", [later]),
            ("birth_date.placeholder", "Birthday", ["01/01/1900", "01/01/1970"]),
            ("country.unknown", "Country", ["Europe", "Atlantis", "ZZ", "??"]),
            ("language.unknown", "Language", ["klingon", "xx"]),
            ("contact_id.missing", "ContactID", [None, ""]),
            ("name.placeholder", "LastName", ["n/a", "Unknown", "XXX", "."]),
            ("created_at.broken", "CreatedOn", ["yesterday", "2024-13-45", "##########"]),
            ("email_opt_in.unknown", "EmailOptIn", ["maybe", "?"]),
            ("updated_at.future", "ModifiedOn", [f"{later} 10:00"]),
        ],
        key="ContactID",
    )
    tests = max(2, frame.height // 2_000)
    blank = frame[:tests].with_columns(
        pl.when(pl.lit(False)).then(pl.all().exclude("_person", "CreatedOn", "ModifiedOn"))
    )
    trial = blank.with_columns(
        ContactID=pl.format("TEST-{}", pl.int_range(1, pl.len() + 1)),
        FirstName=pl.lit("Test"),
        LastName=pl.lit("Test"),
        EmailAddress=pl.lit("test@test.com"),
        _person=-1 - pl.int_range(pl.len()),
    )
    dirt.counts["crm_contacts.name.test"] = tests
    return pl.concat([frame, trial])


def loyalty(dirt: Dirt, frame: pl.DataFrame) -> pl.DataFrame:
    """Members, with what a till lets through."""
    return dirt.spoil(
        "loyalty_members",
        frame,
        [
            ("email.broken", "E-Mail", ["kein", "unbekannt@", "keine E-Mail", "n/a"]),
            ("phone.garbage", "Telefon", ["0", "keine", "999999999999999999"]),
            ("birth_date.impossible", "Geburtsdatum", ["30.02.1971", "00.00.0000", "99.99.9999"]),
            ("birth_date.placeholder", "Geburtsdatum", ["01.01.1900"]),
            ("tier.unknown", "Stufe", ["Diamant", "VIP?", "alt"]),
            ("points.negative", "Punkte", ["-250"]),
            ("points.broken", "Punkte", ["viele", "#WERT!"]),
            ("member_id.missing", "Mitgliedsnummer", [None]),
            ("enrolled_at.broken", "Eintritt", ["irgendwann", "32.01.2025"]),
            ("country.unknown", "Land", ["Ausland", "XX"]),
        ],
        key="Mitgliedsnummer",
    )


def preferences(dirt: Dirt, frame: pl.DataFrame) -> pl.DataFrame:
    """Answers of the preference centre."""
    return dirt.spoil(
        "preference_centre",
        frame,
        [
            ("email.broken", "email", ["undefined", "foo@bar@example.com", "null"]),
            ("subscriber_id.missing", "subscriber_id", [None]),
            ("newsletter.unknown", "newsletter", ["later", "2"]),
            ("topics.unknown", "topics", ["Yachts", "asdf|Hiking"]),
            ("updated_at.broken", "updated", ["Invalid Date", "0000-00-00T00:00:00Z"]),
            ("frequency.unknown", "how_often", ["whenever", "hourly"]),
        ],
        key="subscriber_id",
    )


def orders(dirt: Dirt, frame: pl.DataFrame, end: dt.datetime) -> pl.DataFrame:
    """Orders; the shop never checked much."""
    later = (end + dt.timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return dirt.spoil(
        "shop_orders",
        frame,
        [
            ("email.broken", "email", ["guest@", "no-mail", "n/a"]),
            ("order_id.missing", "order_id", [None]),
            ("created_at.broken", "created_at", ["", "not a date", "2025-02-30T10:00:00Z"]),
            ("created_at.future", "created_at", [later]),
            ("currency.unknown", "currency", ["XXX", "EURO€", "BTC"]),
            ("status.unknown", "financial_status", ["on_hold", "voided?"]),
            ("total.negative", "total", [-49.95, -1.0]),
            ("country.unknown", "billing_country", ["Narnia", "--"]),
        ],
        key="order_id",
    )


def lines(dirt: Dirt, frame: pl.DataFrame) -> pl.DataFrame:
    """Order lines."""
    return dirt.spoil(
        "shop_order_lines",
        frame,
        [
            ("order_id.orphan", "order_id", ["FH0000001", "FH0000002", "FH0000003"]),
            ("order_id.missing", "order_id", [None]),
            ("product_id.unknown", "sku", ["ZZ-00001", "GIFT-WRAP", "OLD-1234"]),
            ("product_id.missing", "sku", [None]),
            ("quantity.zero", "quantity", [0]),
            ("quantity.huge", "quantity", [999_999]),
            ("unit_price.negative", "unit_price", [-9.95]),
            ("currency.unknown", "currency", ["???", "XXX"]),
        ],
        key="order_id",
        share=0.015,
    )


def products(dirt: Dirt, frame: pl.DataFrame) -> pl.DataFrame:
    """The catalogue."""
    return dirt.spoil(
        "shop_products",
        frame,
        [
            ("price.negative", "price", ["-12.00"]),
            ("price.broken", "price", ["on request", "12,9O"]),
            ("currency.unknown", "currency", ["XYZ"]),
            ("product_id.missing", "sku", [None]),
            ("category.unknown", "category", ["Misc", "TODO"]),
            ("launched.broken", "launched", ["soon"]),
            ("name.missing", "title", [None]),
        ],
        key="sku",
        share=0.012,
        twice=0.002,
    )


def web(dirt: Dirt, frame: pl.DataFrame, end: dt.datetime) -> pl.DataFrame:
    """Web events."""
    later = str(int((end + dt.timedelta(days=3)).replace(tzinfo=dt.UTC).timestamp()) * 1_000_000)
    return dirt.spoil(
        "web_events",
        frame,
        [
            ("occurred_at.broken", "at", ["", "NaN", "not-a-time"]),
            ("occurred_at.future", "at", [later]),
            ("event_name.unknown", "event_name", ["scroll_90", "dbg_test", "click_chat"]),
            ("event_name.missing", "event_name", [""]),
            ("visitor.missing", "user_pseudo_id", [None]),
            ("product_id.unknown", "sku", ["undefined", "ZZ-99999"]),
            ("currency.unknown", "currency", ["XXX"]),
            ("value.negative", "value", ["-5.0"]),
        ],
        share=0.012,
    )


def esp(dirt: Dirt, frame: pl.DataFrame) -> pl.DataFrame:
    """Events of the e-mail service."""
    return dirt.spoil(
        "esp_events",
        frame,
        [
            ("email.broken", "email", ["", "undefined", "jane@"]),
            ("occurred_at.broken", "timestamp", ["soon", ""]),
            ("event_id.missing", "sg_event_id", [None]),
            ("event_type.unknown", "event", ["teleported", "test"]),
        ],
        key="sg_event_id",
        share=0.01,
        twice=0.002,
    )


def social(dirt: Dirt, frame: pl.DataFrame) -> pl.DataFrame:
    """Activity on social media."""
    return dirt.spoil(
        "social_activity",
        frame,
        [
            ("activity_id.missing", "id", [None]),
            ("handle.missing", "handle", [None]),
            ("occurred_at.broken", "created_time", ["last week"]),
            ("activity_type.unknown", "action", ["superlike", "wave"]),
            ("product_id.unknown", "sku", ["nope"]),
            ("email.broken", "email", ["hidden", "@"]),
        ],
        key="id",
    )
