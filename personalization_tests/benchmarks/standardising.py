"""How fast received rows become standardized rows that a contract has judged.

Baseline: plain Pandera (`Model.validate`) on the same frame, already typed. It reads no text, keeps
no reasons per row and, eager, stops at the first broken rule; so a ratio below 1 is expected, and
says what reading costs. Reading itself is compared with the libraries that one would call row by
row: email-validator, phonenumbers and strptime, on a part of the contacts.
"""

import argparse
import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from personalization_tests.benchmarks.measure import COST, measured, show, times

AS_OF = dt.datetime(2026, 11, 1)
PART = 50
"""The row-by-row loop reads one in so many contacts."""

DIRTY = 0.02
"""Share of rows with something wrong."""


def contacts(rows: int) -> pl.DataFrame:
    """Contacts as a CRM exports them: text, several formats, hardly two e-mails alike."""
    draw = np.random.default_rng(20)
    n = pl.int_range(rows, eager=True)
    letters = pl.Series([a + b + c for a in "abdefgklm" for b in "aeiou" for c in "lmnrst"])

    def word(salt: int) -> pl.Series:
        first = letters.gather(draw.integers(0, len(letters), rows))
        return first + letters.gather(draw.integers(0, len(letters), rows))

    day = pl.date_range(dt.date(1940, 1, 1), dt.date(2008, 1, 1), eager=True)
    frame = pl.DataFrame(
        {
            "contact_id": n.cast(pl.String),
            "given_name": word(1).str.to_titlecase(),
            "family_name": word(2).str.to_uppercase(),
            "birth_date": day.gather(draw.integers(0, len(day), rows)).dt.strftime("%d.%m.%Y"),
            "phone": pl.Series(draw.integers(10**7, 10**8, rows)).cast(pl.String),
            "kind": pl.Series(draw.integers(0, 4, rows)),
            "postcode": pl.Series(draw.integers(10_000, 99_999, rows)).cast(pl.String),
            "country": pl.Series(["DE", "Germany", "fr", "Italia"]).gather(
                draw.integers(0, 4, rows)
            ),
            "email_opt_in": pl.Series(["yes", "no", "1", ""]).gather(draw.integers(0, 4, rows)),
            "updated_at": pl.Series(["2026-03-01 10:00:00"]).new_from_index(0, rows),
        }
    )
    phones = pl.format("0170 {}", "phone"), pl.format("+49 171/{}", "phone")
    kind, bad = pl.col("kind"), pl.Series(draw.random(rows) < DIRTY)
    return frame.with_columns(
        phone=pl.when(kind == 0).then(phones[0]).when(kind == 1).then(phones[1]),
        email=pl.format("{}.{}{}@Mail.example", "given_name", "family_name", "contact_id"),
        contact_id=pl.when(bad & (kind == 0)).then(None).otherwise("contact_id"),
        birth_date=pl.when(bad).then(pl.lit("31.02.1980")).otherwise("birth_date"),
        **_origin(rows),
    ).drop("kind")


def web_events(rows: int) -> pl.DataFrame:
    """Web events as text, as the feed of an analytics export gives them."""
    draw = np.random.default_rng(21)
    seconds = pl.Series(draw.integers(1_760_000_000, 1_790_000_000, rows))
    names = pl.Series(["page_view", "view_item", "add_to_cart", "purchase", "Scroll"])
    return pl.DataFrame(
        {
            "event_id": pl.int_range(rows, eager=True).cast(pl.String),
            "occurred_at": pl.from_epoch(seconds).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "event_name": names.gather(draw.choice(5, rows, p=[0.5, 0.3, 0.1, 0.09, 0.01])),
            "device_id": pl.Series(draw.integers(0, rows // 20 + 1, rows)).cast(pl.String),
            "session_id": pl.Series(draw.integers(0, rows // 5 + 1, rows)).cast(pl.String),
            "product_id": "P" + pl.Series(draw.integers(0, 2000, rows)).cast(pl.String),
            "quantity": pl.Series(draw.integers(1, 4, rows)).cast(pl.String),
            "value": pl.Series(draw.integers(100, 9999, rows) / 100).cast(pl.String),
            "currency": pl.Series(["EUR", "USD", "GBP"]).gather(draw.integers(0, 3, rows)),
            "country": pl.Series(["DE", "US", "Great Britain"]).gather(draw.integers(0, 3, rows)),
            "device_type": pl.Series(["mobile", "desktop"]).gather(draw.integers(0, 2, rows)),
        }
    ).with_columns(**_origin(rows))


def _origin(rows: int) -> dict[str, Any]:
    key = pl.int_range(pl.len()).cast(pl.String).str.zfill(9)
    return {"_batch_id": pl.lit("b"), "_row_key": pl.lit("b:") + key}


RAW = {"crm_contacts": contacts, "web_events": web_events}


def _parts(table: str, rows: int) -> tuple[pl.DataFrame, Any, Callable[[pl.DataFrame], Any]]:
    """Raw rows, the contract, and the function that standardises them as the room does."""
    from personalization_assets.contracts import contract_of
    from personalization_assets.standardized.entities import SourceContext, standardise
    from personalization_assets.standardized.in_force import MODELS
    from personalization_assets.standardized.intake import CHUNKED
    from personalization_assets.standardized.settings import StandardizedSettings

    source = SourceContext("bench", "Europe/Berlin", "dmy", "EUR", "DE", "shop")
    chunk = StandardizedSettings().chunk_rows if table in CHUNKED else rows
    contract = next(c for c in map(contract_of, MODELS) if c.table == table)

    def read(raw: pl.DataFrame) -> pl.DataFrame:
        pieces = [standardise(table, p, source, AS_OF, "EUR") for p in raw.iter_slices(chunk)]
        return pl.concat(pieces, rechunk=False)

    return RAW[table](rows), contract, read


def standardising(table: str, rows: int) -> Callable[[], None]:
    """Work that standardises received rows."""
    raw, _, read = _parts(table, rows)
    return lambda: (read(raw), None)[1]


def auditing(table: str, rows: int) -> Callable[[], int]:
    """Work that judges standardised rows; gives how many are rejected."""
    raw, contract, read = _parts(table, rows)
    frame = read(raw)
    del raw
    return lambda: int(contract.audit(frame).rejected.height)


def pandera(table: str, rows: int, lazy: bool) -> Callable[[], int]:
    """Work that validates the typed frame; gives how many failures Pandera reports."""
    from pandera.errors import SchemaError, SchemaErrors

    raw, contract, read = _parts(table, rows)
    frame = contract.conform(read(raw))
    del raw

    def work() -> int:
        try:
            contract.model.validate(frame, lazy=lazy)
        except SchemaErrors as error:
            return int(error.failure_cases.height)
        except SchemaError:
            return 1
        return 0

    return work


def row_by_row(rows: int) -> Callable[[], int]:
    """Work that reads e-mail, phone and dates of contacts in a loop; gives how many failed."""
    import phonenumbers
    from email_validator import EmailNotValidError, validate_email

    received = contacts(rows).select("email", "phone", "birth_date", "updated_at").rows()

    def work() -> int:
        failed = 0
        for email, phone, born, updated in received:
            try:
                validate_email(email, check_deliverability=False)
                if phone:
                    number = phonenumbers.parse(phone, "DE")
                    phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
                dt.datetime.strptime(updated, "%Y-%m-%d %H:%M:%S")
                dt.datetime.strptime(born, "%d.%m.%Y")
            except (EmailNotValidError, phonenumbers.NumberParseException, ValueError):
                failed += 1
        return failed

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    asked = parser.parse_args()
    for table, count in (("crm_contacts", asked.contacts), ("web_events", asked.events)):
        failures, lazy = measured(pandera, table, count, True)
        _, eager = measured(pandera, table, count, False)
        _, read = measured(standardising, table, count)
        rejected, audit = measured(auditing, table, count)
        costs = {
            f"Pandera, lazy=True: {failures:,} failures": lazy,
            "Pandera, stops at the first": eager,
            "standardise": read,
            f"audit: {rejected:,} rejected": audit,
        }
        baseline = count / lazy.cpu
        rows = [
            [what, *c.cells(), f"{count / c.cpu:,.0f}", times(count / c.cpu, baseline)]
            for what, c in costs.items()
        ]
        both = count / (read.cpu + audit.cpu)
        total = [f"{read.seconds + audit.seconds:.2f}", f"{read.cpu + audit.cpu:.2f}", ""]
        rows.append(["standardise + audit", *total, f"{both:,.0f}", times(both, baseline)])
        if table == "crm_contacts":
            _, loop = measured(row_by_row, count // PART)
            cells = [*loop.cells(), f"{count / PART / loop.cpu:,.0f}"]
            name = f"libraries row by row, {count // PART:,} rows"
            rows.append([name, *cells, times(count / PART / loop.cpu, baseline)])
        heads = ["what", *COST, "rows/CPU s", "to Pandera lazy"]
        show(f"{count:,} rows of {table}", heads, rows)


if __name__ == "__main__":
    main()
